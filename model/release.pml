/*
 * A cgroup empties, is judged, and is told empty once those who left are through (I7, spec 10).
 *
 * Bounds: 2 tids, a cgroup with the css_sets 2 and 3 (two, as if another hierarchy told its tasks
 * apart). Task 1 begins in set 2, makes FORKS children on tid 2, one after the other, and may end; a
 * child ends. Ending takes two steps: the death hook, and later memory and files. Another thread of
 * the daemon makes MOVES moves of task 1, to set 2, to set 3 or out. The doorbell has room for BELLS
 * bells; with NOISE somebody else's may be in it. With SETTLING an earlier release waits to be told.
 * With SIBLING task 2 is there from the start, and task 1 makes one child on tid 3, which lives on.
 * Checks: I2; a verdict only when the cgroup has emptied since the last one; nobody who left
 * before it still holds anything when it is told; at the end, if the cgroup is empty, it was told so
 * after it emptied last, and does not show as populated.
 */
#ifdef SIBLING
#define TIDS 3
#else
#define TIDS 2
#endif
#define SETS 3
#ifndef BELLS
#define BELLS 1
#endif
#ifndef FORKS
#define FORKS 1
#endif
#ifndef MOVES
#define MOVES 1
#endif

#include "hooks.pml"
#include "judge.pml"

/* Kernel truth. */
bool exiting[TIDS + 1];	/* PF_EXITING, and exit_state is 0 */
byte ended;		/* processes that are through, but for the looker */

inline TICK() { GHOSTS() }

inline Exit(who)
{
	exiting[who] = true;
	corral_death(who, who);
	d_step { exiting[who] = false; must = must & ~(1 << who) }
}

#ifdef NOISE
/* The doorbell is full of what concerns others. */
proctype Noise()
{
	atomic { nfull(bell) -> bell!BELL_SET(1) };
	ended++
}
#define OTHERS	3
#else
#define OTHERS	2
#endif

proctype Child()
{
	HOOK_LOCALS;

	Exit(2);
	ended++
}

proctype Parent()
{
	HOOK_LOCALS;
	byte forks;

	do
#ifdef SIBLING
	:: forks == 0 -> corral_birth(1, 1, 3, 3); forks++
#else
	:: forks < FORKS && !corral_word_alive(word[2]) && !exiting[2] ->
		forks++;
		corral_birth(1, 1, 2, 2);
		run Child()
#endif
	:: break
	od;
#ifdef SIBLING
	forks = FORKS;
#endif
	if
	:: Exit(1)
	:: true
	fi;
	ended = ended + 1 + FORKS - forks
}

/* Registry::Attach */
proctype Boss()
{
	HOOK_LOCALS;
	byte moves, to, expected, v2, v3;

	do
	:: moves < MOVES ->
		moves++;
		if
		:: to = 1
		:: to = 2
		:: to = 3
		fi;
		LOCK();
		CORRAL_LOAD(word[1], expected);
		if
		:: corral_word_alive(expected) && corral_word_set(expected) != to ->
			if
			:: to != 1 -> Judge()
			:: else
			fi;
			corral_move(1, expected, to);
			if
			:: was == expected ->	/* Moves::Commit */
				if
				:: to != 1 -> populated = true
				:: else
				fi;
				if
				:: corral_word_set(expected) != 1 -> Judge()
				:: else
				fi
			:: else
			fi
		:: else
		fi;
		UNLOCK()
	:: moves == MOVES -> break
	od;
	ended++
}

/* Looker::Look */
proctype Looker()
{
	byte v2, v3, was, batch_serial, mask, leaving, rung;

	do
	:: nempty(bell) || wake || settling ->
		wake = false;
		/* Drain */
		do
		:: atomic { nempty(bell) -> bell?_, rung };
			TakePendingAndJudge(rung)
		:: empty(bell) -> break
		od;
		if
		:: ring_full ->
			ring_full = false;
			TakePendingAndJudge(2);
			TakePendingAndJudge(3)
		:: else
		fi;
		Settle()
	:: ended == FORKS + OTHERS && empty(bell) && !wake && !settling -> break
	od
}

init {
	atomic {
		word[1] = corral_make_word(1, 2);
		counter[2] = 1;
		inside = true;
		populated = true;
#ifdef SIBLING
		word[2] = corral_make_word(2, 2);
		counter[2] = 2;
		run Child();
#endif
#ifdef SETTLING	/* an earlier release waits to be told, and the cgroup was filled again */
		settling = true;
		decided = true;
		emptied = 1;
#endif
#ifdef NOISE
		run Noise();
#endif
		run Parent();
		run Boss();
		run Looker()
	};
	_nr_pr == 1 ->
	assert(FOR_ALL_SETS(EXACT));
	assert(populated == (WORDS(2) + WORDS(3) > 0));
	assert(populated || (!owed && !decided));
	assert(told <= emptied)
}

/*
 * A css_set is unlinked, retired, and its id used again for another tuple (I5, I7).
 *
 * Bounds: 2 tids, a cgroup with the css_sets 2 and 3. Task 1 begins in set START and makes FORKS children on
 * tid 2, which end (not with CHILD_LIVES). Task 1 is moved out, to set 2 and out again (the first MOVES of
 * these), each between any two steps of a birth; with LATE the looker sleeps meanwhile. Then set 2 is unlinked, if its count is 0, as by the removal of a directory in another
 * hierarchy, retired when nobody who left it is on the way out, and interned for another cgroup.
 * Checks: as release.pml, whatever set 2 takes with it; no leaver shows a retired set; the
 * other cgroup, which nobody ever enters, is not judged released.
 */
#define TIDS 2
#define SETS 3
#define BELLS 1
#define UNLINKING
#ifndef FORKS
#define FORKS 1
#endif
#ifndef MOVES
#define MOVES 1
#endif
#ifndef START
#define START 2
#endif
#define OTHERS 2

#include "hooks.pml"
#include "judge.pml"

bool unlinked;		/* or found busy */

#define SHOW_2	((corral_word_set(word[1]) == 2) * 2 + (corral_word_set(word[2]) == 2) * 4)

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
	:: forks < FORKS && !corral_word_alive(word[2]) && !exiting[2] ->
		forks++;
		corral_birth(1, 1, 2, 2);
#ifdef CHILD_LIVES
		ended++
#else
		run Child()
#endif
	:: break
	od;
	ended = ended + 1 + FORKS - forks
}

/* Registry::Attach, then SetLinks::Unlink, LeavingSets::Retire, SetLinks::Intern for another. */
proctype Boss()
{
	HOOK_LOCALS;
	byte moves, to = 1, expected, v2, v3, mask, leaving;

	do
	:: moves < MOVES ->
		moves++;
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
			:: was == expected ->
				if
				:: to != 1 -> populated = true
				:: else -> Judge()
				fi
			:: else
			fi
		:: else
		fi;
		UNLOCK();
		to = 3 - to
	:: else -> break
	od;

	/* The other directory of set 2 goes: counts 0, under the lock, or EBUSY. */
	LOCK();
	CORRAL_LOAD(counter[2], expected);
	if
	:: COUNT(expected) == 0 ->
		Judge();
#ifndef BROKEN_NO_FOLD
		unjudged = unjudged || LEAVES(expected) != judged2;
#endif
		linked2 = false;
		unlinked = true;
		UNLOCK();
		do
		::
#ifndef BROKEN_RETIRE_EARLY
			Leavers();
			mask = mask & SHOW_2;
#endif
			LOCK();
			CORRAL_LOAD(counter[2], expected);
			if
			:: COUNT(expected) == 0 && mask == 0 -> break
			:: else -> UNLOCK(); mask = 0
			fi
		od;
		/* Retired, and used again: no task that left may still show it as its place. */
		assert(!(LEFT(1) && corral_word_set(word[1]) == 2) && !(LEFT(2) && corral_word_set(word[2]) == 2));
#ifdef BROKEN_BASELINE_ZERO
		expected = 0;
#else
		CORRAL_LOAD(LEAVES(counter[2]), expected);
#endif
		/* Nobody is ever put there: it must not be judged released. */
		d_step {
			v2 = counter[2];
			assert(COUNT(v2) != 0 || LEAVES(v2) == expected);
			v2 = 0; expected = 0
		}
	:: else
	fi;
	UNLOCK();
	unlinked = true;
	ended++
}

/* Looker::Look */
proctype Looker()
{
	byte v2, v3, was, batch_serial, mask, leaving, rung;

#ifdef LATE
	unlinked;
#endif
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
		word[1] = corral_make_word(1, START);
		counter[START] = 1;
		inside = true;
		populated = true;
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

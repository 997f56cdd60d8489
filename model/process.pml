/*
 * A whole process is moved while its threads make threads and end (Moves::MoveProcess).
 *
 * Bounds: 3 tids; the process begins with the thread 2; threads make FORKS threads in all, on whichever
 * tids are free, new ones too; each may end at any time, and its tid is used again. The
 * process is moved MOVES times, each time to another css_set; its tids are looked at in
 * ascending order, one at a time, and what was seen elsewhere is moved after the pass.
 * A pass that sees nobody is repeated while the process exists: 20 looks with pauses in the
 * code, which a process could outrun that forks and exits in step with them each time.
 * WRAPS births in all may get a lower tid than their maker: the kernel gives tids in ascending
 * order and wraps once per pid_max. Counters are left out; birth.pml has them.
 * Checks: I1 at every step; at the end every task has its word and nobody is left behind.
 */
#define TIDS 3
#ifndef FORKS
#define FORKS 2
#endif
#ifndef MOVES
#define MOVES 1
#endif
#ifndef WRAPS
#define WRAPS 1
#endif
#define NO_COUNTS
#define SETS (MOVES + 2)

#include "hooks.pml"

byte task[TIDS + 1];	/* kernel truth: the tgid of a task that must have a live word */
bool used[TIDS + 1];	/* the tid is given away: from before the birth hook to after the death hook */
byte forks;
byte wraps;
byte target = 2;

#define GIVES(t, maker)	(!used[t] && ((t) > (maker) || wraps < WRAPS))
#define GONE		(!used[1] && !used[2] && !used[3])
#define KNOWN(t)	(task[t] == 0 || corral_word_tgid(word[t]) == task[t])

inline TICK() { assert(KNOWN(1) && KNOWN(2) && KNOWN(3)) }

proctype Thread(byte me)
{
	HOOK_LOCALS;
	byte tid;

	do
	:: atomic {
		forks < FORKS && (GIVES(1, me) || GIVES(2, me) || GIVES(3, me)) ->
		forks++;
		if
		:: GIVES(1, me) -> tid = 1
		:: GIVES(2, me) -> tid = 2
		:: GIVES(3, me) -> tid = 3
		fi;
		used[tid] = true;
		if
		:: tid < me -> wraps++
		:: else
		fi
	   };
		corral_birth(me, 1, tid, 1);
		/* Only now it can run. */
		atomic { task[tid] = 1; run Thread(tid); tid = 0 }
	:: break	/* lives on, and does nothing more */
	:: task[me] = 0;
		corral_death(me, 1);
		used[me] = false;
		break
	od
}

proctype Mover()
{
	HOOK_LOCALS;
	byte moves, tid, elsewhere, expected;
	bool saw, clean;

	do
	:: moves == MOVES -> break
	:: else ->
		moves++;
		target = target + 1;
		clean = false;
		do	/* passes */
		:: elsewhere = 0;
			saw = false;
			tid = 1;
			do
			:: tid > TIDS -> break
			:: else ->
				CORRAL_LOAD(word[tid], was);
				if
				:: corral_word_alive(was) ->
					saw = true;
					if
					:: corral_word_set(was) != target -> elsewhere = elsewhere | (1 << tid)
					:: else
					fi
				:: else
				fi;
				tid++
			od;
#ifndef BROKEN_ONE_PASS
			if
#ifdef BROKEN_ONE_CLEAN_PASS
			:: saw && elsewhere == 0 -> break
#else
			:: saw && elsewhere == 0 && clean -> break
#endif
			:: !saw && GONE -> break	/* the code looks 20 times, we ask the kernel */
			:: else -> clean = saw && elsewhere == 0
			fi;
#endif
			tid = 1;
			do
			:: tid > TIDS -> break
			:: (elsewhere & (1 << tid)) == 0 -> tid++
			:: else ->	/* Moves::MoveAgreed */
				CORRAL_LOAD(word[tid], expected);
				if
				:: !corral_word_alive(expected) || corral_word_set(expected) == target -> tid++
				:: else ->
					corral_move(tid, expected, target);
					if
					:: was == expected -> tid++
					:: corral_word_tgid(was) != corral_word_tgid(expected) -> tid++	/* ESRCH */
					:: else	/* EAGAIN: again */
					fi
				fi
			od;
#ifdef BROKEN_ONE_PASS
			break
#endif
		od
	od
}

#define SETTLED(t)	(corral_word_tgid(word[t]) == task[t])
#define MOVED(t)	(!corral_word_alive(word[t]) || corral_word_set(word[t]) == target)

init {
	atomic {
		word[2] = corral_make_word(1, 2);
		task[2] = 1; used[2] = true;
		run Thread(2);
		run Mover()
	};
	_nr_pr == 1 ->
	assert(SETTLED(1) && SETTLED(2) && SETTLED(3));
	assert(MOVED(1) && MOVED(2) && MOVED(3))
}

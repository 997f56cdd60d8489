/*
 * The daemon is killed between any two of its steps, and a successor goes on.
 *
 * Bounds: 2 tids, both tasks begin in css_set 2 of the cgroup and may end at any time; the daemon
 * moves task 1 out once, then looks and tells; CRASHES kills. One run of the control program is not split by
 * a kill, but its steps interleave with the hooks. Tables and bells stay (pinned maps); baseline,
 * decision and queue are in the store, each change of them one transaction; everything else is lost.
 * Checks: I2; nothing is decided that did not empty; at the end an empty cgroup was told after
 * it emptied last, and the counters are exact. Told twice is allowed after a crash.
 */
#define TIDS 2
#define SETS 3
#define BELLS 1
#define TOLD()	queued = true	/* one transaction with the end of the decision */
#ifndef CRASHES
#define CRASHES 1
#endif

#include "hooks.pml"
bool queued;		/* store: a notification waits, or was being started */
#include "judge.pml"

bool exiting[TIDS + 1];	/* kernel truth: PF_EXITING, and exit_state is 0 */
byte ended;
bool crash, in_kernel;

inline TICK() { GHOSTS() }

proctype Task(byte me)
{
	HOOK_LOCALS;

	if
	:: exiting[me] = true;
		corral_death(me, me);
		d_step { exiting[me] = false; must = must & ~(1 << me) }
	:: true
	fi;
	ended++
}

proctype Fate()
{
	byte crashes;

	do
	:: crashes < CRASHES -> crashes++; crash = true; !crash
	:: break
	od;
	ended++
}

/* Started with the agent's argument; everything after the last step is outside. */
inline Notify()
{
	if
	:: queued ->
#ifdef BROKEN_FORGET_FIRST
		queued = false;
#endif
		untold = false;	/* the agent runs */
		queued = false
	:: else
	fi
}

#ifdef BROKEN_DAEMON_MOVES
#define KERNEL(b)	skip
#else
#define KERNEL(b)	in_kernel = b
#endif

proctype Daemon()
{
	HOOK_LOCALS;
	byte v2, v3, batch_serial, mask, leaving, rung, expected;
	bool moved;

again:
	{
#ifndef BROKEN_NO_JUDGE_AT_START
		LOCK();
		Judge();
		UNLOCK();
#endif
		settling = settling || decided;
		LOCK();
		CORRAL_LOAD(word[1], expected);
		if
		:: corral_word_alive(expected) && corral_word_set(expected) == 2 && !moved ->
			KERNEL(true);
			corral_move(1, expected, 1);
			KERNEL(false);
			moved = true;
			Judge()
		:: else
		fi;
		UNLOCK();
		do
		:: nempty(bell) || wake || settling || queued ->
			wake = false;
			do
			:: atomic { nempty(bell) -> bell?_, rung };
				TakePendingAndJudge(rung)
			:: empty(bell) -> break
			od;
			Settle();
			Notify()
		:: ended == 3 && empty(bell) && !wake && !settling && !queued -> break
		od
	} unless {
		atomic {
			crash && !in_kernel ->
			/* What was in its memory. */
			crash = false; tree_mu = false; wake = true; settling = decided;
			awaited = 0; awaited_known = false; populated = true;
			v2 = 0; v3 = 0; batch_serial = 0; mask = 0; leaving = 0; rung = 0; expected = 0;
			moved = false;
			goto again
		}
	}
}

init {
	atomic {
		word[1] = corral_make_word(1, 2);
		word[2] = corral_make_word(2, 2);
		counter[2] = 2;
		inside = true;
		populated = true;
		run Task(1);
		run Task(2);
		run Fate();
		run Daemon()
	};
	_nr_pr == 1 ->
	assert(FOR_ALL_SETS(EXACT));
	assert(WORDS(2) > 0 || (!owed && !decided && !untold))
}

/*
 * A thread that is not the leader execs: its word must follow it to the leader's tid, whoever takes
 * the old tid meanwhile, whoever moves it, and whether the exec ends well or not.
 *
 * Bounds: 3 tids. Process 1: leader 1 in set 2, thread 2 in set 3; the thread execs, which may fail
 * after the exchange of tids. Process 3 (set 4) makes FORKS processes on any tid that is free, 2 from
 * the exchange on and 1 after a failed exec; each may end at once, and the tid is used again. With
 * UNKNOWN nobody knows task 3 before it forks. The thread is moved MOVES times, to set 4, back to
 * 2. A resync runs whenever asked for (with ASKED, once from the start); it buries what two looks
 * saw alike (the code wants six), and adopts after a single one.
 * Checks: I1, I2 (words under way counted), I6 and the live bitmap at every step; at the end each
 * task has its word and nobody else has, the thread's place is where the last move put it, counters
 * exact.
 */
#define TIDS 3
#define SETS 4
#define RESYNC
#define LIVE_BITS
#define MUST_BE_LISTED(t)	known[t]
#ifndef FORKS
#define FORKS 2
#endif
#ifndef MOVES
#define MOVES 1
#endif

#include "hooks.pml"

/* Kernel truth. */
byte task[TIDS + 1];	/* the tgid of the task that has this tid, from before its birth hook */
bool exiting[TIDS + 1];	/* PF_EXITING */
bool known[TIDS + 1];	/* I1 holds for it: born, not dead, not inside exec */
bool in_exec;		/* process 1 is between the exchange of tids and the end of the exec hook */
bool exchanged, succeeded;
byte ended;		/* how many of the processes are through, but for the resync */
byte place_now = 3;	/* where the thread of process 1 is */

bool used[TIDS + 1];	/* process 3 has used the tid before */
bool looking;		/* a resync is between its first read and its last repair */

/* No process gets the number of one that ended while a single look of a resync lasts. */
#define GIVES(t)	(task[t] == 0 && !(used[t] && looking))
#define KNOWN(t)	(!known[t] || corral_word_tgid(word[t]) == task[t])

inline TICK() { assert(KNOWN(1) && KNOWN(2) && KNOWN(3)) }

inline Die(dying)
{
	d_step { exiting[dying] = true; known[dying] = false };
	corral_death(dying, task[dying]);
	d_step { task[dying] = 0; exiting[dying] = false }
}

proctype Exec()
{
	HOOK_LOCALS;

	/* The kernel ends the leader, and waits for it to be a zombie. */
	Die(1);
	d_step { task[1] = 1; task[2] = 0; known[2] = false; in_exec = true; exchanged = true };
	if
	:: corral_exec(2, 1, 1);
		skip;	/* spin: no jump to a d_step */
		d_step { in_exec = false; known[1] = true; succeeded = true; TICK() }
	:: d_step { exiting[1] = true; in_exec = false };	/* failed */
		corral_death(1, 1);
		d_step { task[1] = 0; exiting[1] = false }
	fi;
	ended++
}

proctype Other()
{
	HOOK_LOCALS;
	byte forks, child;

	do
	:: forks < FORKS && exchanged && (GIVES(1) || GIVES(2)) ->
		forks++;
		if
		:: d_step { GIVES(1) -> child = 1; task[1] = 1; used[1] = true }
		:: d_step { GIVES(2) -> child = 2; task[2] = 2; used[2] = true }
		:: else -> child = 0
		fi;
		if
		:: child != 0 ->
			corral_birth(3, 3, child, child);
			known[child] = true;
			if
			:: Die(child)
			:: true
			fi
		:: else
		fi
	:: break
	od;
	ended++
}

/* Only the word of the thread of process 1 is moved. */
proctype Mover()
{
	HOOK_LOCALS;
	byte moves, tid, to, expected;

	do
	:: moves < MOVES ->
		moves++;
		if
		:: tid = 1
		:: tid = 2
		fi;
		to = (place_now == 4 -> 2 : 4);
		CORRAL_LOAD(word[tid], expected);
		if
		:: corral_word_tgid(expected) == 1 && (tid == 2 || succeeded) ->
			corral_move(tid, expected, to);
			if
			:: was == expected -> place_now = to
			:: else
			fi
		:: else
		fi
	:: moves == MOVES -> break
	od;
	ended++
}

#ifdef BROKEN_ADOPT_IN_EXEC
#define ADOPTABLE(t)	!exiting[t]
#else
#define ADOPTABLE(t)	(!exiting[t] && !(t == 1 && in_exec))
#endif

/* Somebody changed the word since it was seen: it may be a phantom all the same. */
#ifdef BROKEN_BURY_NOT_RETRIED
inline Again(t) { skip }
#else
inline Again(t)
{
	if
	:: seen != expected[t] -> missed = true
	:: else
	fi
}
#endif

/* One look may straddle an exchange of tids: only what two looks saw alike is buried. */
inline Suspect(t)
{
	if
	:: phantom[t] && suspect[t] != expected[t] ->
		suspect[t] = expected[t];
		phantom[t] = false;
		missed = true
	:: else -> suspect[t] = 0
	fi
}

/* TaskAudit::Run, adopt_tasks. Words before tasks. */
proctype Resync()
{
	HOOK_LOCALS;
	byte tid, expected[TIDS + 1], suspect[TIDS + 1];
	bool phantom[TIDS + 1], wordless;

	do
	:: missed ->
		d_step { missed = false; looking = true };
		CORRAL_LOAD(word[1], expected[1]);
		CORRAL_LOAD(word[2], expected[2]);
		/* The walk: the leader of process 1 is the only one that can be inside exec. A
		 * word and the task of its tid are looked at one after the other. */
		CORRAL_LOAD(word[1], now);
		d_step {
			wordless = task[1] == 1 && !exiting[1] && !corral_word_alive(now);
			phantom[1] = corral_word_alive(expected[1]) && task[1] != corral_word_tgid(expected[1]);
#ifndef BROKEN_RESYNC_TRUSTS_EXITING
			if	/* on its way out, perhaps past its death hook: look again when it is gone */
			:: corral_word_alive(now) && exiting[1] -> missed = true
			:: else
			fi
#endif
		};
		d_step {
			phantom[2] = corral_word_alive(expected[2]) && task[2] != corral_word_tgid(expected[2]);
			if
			:: phantom[2] && wordless && corral_word_tgid(expected[2]) == 1 ->
				phantom[2] = false;
				missed = true	/* unsettled: look again */
			:: else
			fi
		};
		d_step {
			Suspect(1);
			Suspect(2)
		};
		if
		:: phantom[1] -> corral_bury(1, expected[1]); Again(1)
		:: else
		fi;
		if
		:: phantom[2] -> corral_bury(2, expected[2]); Again(2)
		:: else
		fi;
		tid = 1;
		do
		:: tid == 3 -> break
		:: else ->
			CORRAL_LOAD(word[tid], seen);
			if
			:: d_step {
				(!corral_word_alive(seen) && task[tid] != 0 && ADOPTABLE(tid)) ->
				place = task[tid]
			   };
				corral_mark_live(tid);
				CORRAL_CAS(word[tid], seen, corral_make_word(place, 1), was);
				if
				:: was == seen && (exiting[tid] || task[tid] != place) ->
					CORRAL_CAS(word[tid], corral_make_word(place, 1), seen, was)
				:: else
				fi
			:: else
			fi;
			tid++
		od;
		wordless = false;
		looking = false;
		d_step {	/* spin does not see that they are dead */
			expected[1] = 0; expected[2] = 0; phantom[1] = false; phantom[2] = false;
			now = 0; seen = 0; place = 0; was = 0; tid = 0
		}
	:: ended == 3 && !missed -> break
	od
}

/* Task 3 is not known in UNKNOWN until it forks. */
#define SETTLED(t)	(corral_word_tgid(word[t]) == task[t])

init {
	atomic {
		word[1] = corral_make_word(1, 2); counter[2] = 1;
		word[2] = corral_make_word(1, 3); counter[3] = 1;
#ifndef UNKNOWN
		word[3] = corral_make_word(3, 4); counter[4] = 1;
		known[3] = true; live[3] = 1;
#endif
		task[1] = 1; task[2] = 1; task[3] = 3;
		known[1] = true; known[2] = true;
		live[1] = 1; live[2] = 1;
#ifdef ASKED
		missed = true;
#endif
		run Exec();
		run Other();
		run Mover();
		run Resync()
	};
	_nr_pr == 1 ->
	assert(FOR_ALL_SETS(EXACT));
	assert(SETTLED(1) && SETTLED(2) && (SETTLED(3) || word[3] == 0));
	assert((!task[1] || live[1]) && (!task[2] || live[2]) && (!word[3] || live[3]));
	assert(!succeeded || word[1] == corral_make_word(1, place_now))
}

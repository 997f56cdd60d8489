/*
 * A task forks while it is moved about, and css_sets go and come back under other names.
 *
 * Bounds: 3 tids, 3 counted css_sets; FORKS births by one task, each child may die at once and
 * its tid be used again; MOVES moves of the parent or of a child; any set with count 0
 * may be retired at any time, and its id be used again by the next move.
 * Checks: I2, I3, I5 at every step; no live word shows a retired set; no leave of a set that
 * nobody was in since it was interned; I1 and exact counters at the end.
 */
#define TIDS 3
#define SETS 4
#ifndef FORKS
#define FORKS 2
#endif
#ifndef MOVES
#define MOVES 2
#endif
#include "hooks.pml"

bool gone[SETS + 1];	/* retired; its id waits to be used again */
bool been[SETS + 1];	/* some word showed the set since it was interned */
byte base[SETS + 1];	/* leaves when it was interned */
byte task[TIDS + 1];	/* kernel truth: the tgid of a task that must have a live word */

#define STAYS_OUT(t)	(!corral_word_alive(word[t]) || !gone[corral_word_set(word[t])])
#define KNOWN(t)	(task[t] == 0 || corral_word_tgid(word[t]) == task[t])
#define LEFT_BY_SOMEBODY(s)	(been[s] || LEAVES(counter[s]) == base[s])

inline TICK()
{
	assert(STAYS_OUT(1) && STAYS_OUT(2) && STAYS_OUT(3));
	assert(KNOWN(1) && KNOWN(2) && KNOWN(3));	/* I1 */
	been[2] = been[2] || WORDS(2) > 0;
	been[3] = been[3] || WORDS(3) > 0;
	been[4] = been[4] || WORDS(4) > 0;
	assert(FOR_ALL_SETS(LEFT_BY_SOMEBODY))
}

proctype Parent()
{
	HOOK_LOCALS;
	byte forks, tid = 2;

	do
	:: forks < FORKS ->
		corral_birth(1, 1, tid, 1);
		task[tid] = 1;
		forks++;
		if
		:: tid = 3	/* it lives on */
		:: task[tid] = 0; corral_death(tid, 1)	/* and its tid is used again */
		fi
	:: else -> break
	od
}

inline Intern(s)
{
	if
	:: gone[s] -> d_step { gone[s] = false; base[s] = LEAVES(counter[s]); been[s] = false }
	:: else
	fi
}

proctype Mover()
{
	HOOK_LOCALS;
	byte moves, to, tid, expected;

	do
	:: moves < MOVES ->
		moves++;
		if
		:: tid = 1
		:: tid = 2
		fi;
		if
		:: to = 2
		:: to = 3
		:: to = 4
		fi;
		CORRAL_LOAD(word[tid], expected);
		if
		:: corral_word_alive(expected) ->
			Intern(to);
			corral_move(tid, expected, to)
		:: else
		fi
	:: to = 2; goto retire
	:: to = 3; goto retire
	:: to = 4; goto retire
	:: moves == MOVES -> break
retire:
		CORRAL_LOAD(counter[to], was);
		if
		:: COUNT(was) == 0 && !gone[to] -> gone[to] = true
		:: else
		fi
	od
}

#define SETTLED(t)	(corral_word_tgid(word[t]) == task[t])

init {
	atomic {
		word[1] = corral_make_word(1, 2);
		counter[2] = 1;
		task[1] = 1;
		been[2] = true;
		run Parent();
		run Mover()
	};
	_nr_pr == 1 ->
	assert(FOR_ALL_SETS(EXACT));
	assert(SETTLED(1) && SETTLED(2) && SETTLED(3))
}

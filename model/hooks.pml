/*
 * The hooks of bpf/task_hooks.h, function by function, under the same names: lay the two
 * side by side. One Promela statement (or d_step) is one atomic access to memory that
 * others see; everything in between is local to a processor and costs no step.
 *
 * A scenario defines, before it includes this file:
 *   TIDS    largest tid, at most 6 (a tid stands for itself and for a tgid)
 *   SETS    largest css_set, at most 5; 1 is the initial one, not counted
 *   TICK()  its own checks, an inline run within every step that changes a table
 * and may define:
 *   BELLS       capacity of the doorbell; without it nobody listens, and notices are left out
 *   RESYNC      without BELLS: somebody listens for asked resyncs only
 *   LIVE_BITS   the bitmap of live tids is modelled; MUST_BE_LISTED(t) says who has to be in it
 *   NO_COUNTS   counters are left out: the scenario is about words only
 *   BROKEN_*    puts one old mistake back (scripts/check-model lists them all)
 *
 * Left out: NULL for a tid or set beyond its table; the bounds on retries and spins (moves
 * are few here, so every loop ends by itself); the counting of handovers, which only lists use.
 */

/* ---- shared.h, in small: a word is { tgid:4 | css_set:4 }, a counter { leaves:4 | count:4 } */

#define corral_make_word(tgid, set)	((tgid) * 16 + (set))
#define corral_word_tgid(w)		((w) >> 4)
#define corral_word_set(w)		((w) & 15)
#define corral_word_alive(w)		((w) > 15)
#define CORRAL_DEAD_MASK		15
#define CORRAL_LEAVE			15	/* count - 1 and leaves + 1 in one addition */
#define COUNT(c)			((c) & 15)
#define LEAVES(c)			((c) >> 4)

byte word[TIDS + 1];
byte counter[SETS + 1];

mtype = { BELL_SET, BELL_RESYNC };
#ifdef BELLS
bit pending[SETS + 1];
chan bell = [BELLS] of { mtype, byte };
bool ring_full;		/* CORRAL_MISS_RING_FULL differs from what the daemon saw last */
#endif
bool missed;		/* any other miss counter does */
#ifdef LIVE_BITS
bit live[TIDS + 1];
#endif

/* ---- ghosts: what only the checker knows */

/* Words on their way from one tid to another (exec): taken out of the table, held in a
 * register of a hook. I2 counts them as well. */
byte carried[SETS + 1];

#define HOLDS(t, s)	(corral_word_alive(word[t]) && corral_word_set(word[t]) == (s))
#if TIDS == 2
#define WORDS(s)	(HOLDS(1, s) + HOLDS(2, s))
#elif TIDS == 3
#define WORDS(s)	(HOLDS(1, s) + HOLDS(2, s) + HOLDS(3, s))
#elif TIDS == 4
#define WORDS(s)	(HOLDS(1, s) + HOLDS(2, s) + HOLDS(3, s) + HOLDS(4, s))
#elif TIDS == 5
#define WORDS(s)	(HOLDS(1, s) + HOLDS(2, s) + HOLDS(3, s) + HOLDS(4, s) + HOLDS(5, s))
#endif

#define I2(s)		(COUNT(counter[s]) >= WORDS(s) + carried[s])
#define EXACT(s)	(COUNT(counter[s]) == WORDS(s) && carried[s] == 0)
#if SETS == 2
#define FOR_ALL_SETS(p)	(p(2))
#elif SETS == 3
#define FOR_ALL_SETS(p)	(p(2) && p(3))
#elif SETS == 4
#define FOR_ALL_SETS(p)	(p(2) && p(3) && p(4))
#elif SETS == 5
#define FOR_ALL_SETS(p)	(p(2) && p(3) && p(4) && p(5))
#endif

/* The bitmap is a superset of the live words. */
#ifdef LIVE_BITS
#define BIT(t)		(!MUST_BE_LISTED(t) || live[t])
#if TIDS == 2
#define BITS_HOLD	(BIT(1) && BIT(2))
#elif TIDS == 3
#define BITS_HOLD	(BIT(1) && BIT(2) && BIT(3))
#elif TIDS == 4
#define BITS_HOLD	(BIT(1) && BIT(2) && BIT(3) && BIT(4))
#elif TIDS == 5
#define BITS_HOLD	(BIT(1) && BIT(2) && BIT(3) && BIT(4) && BIT(5))
#endif
#else
#define BITS_HOLD	true
#endif

/* At every instant. The halves of a counter never run over in a scenario. */
inline CHECK()
{
#ifndef NO_COUNTS
	assert(FOR_ALL_SETS(I2));
#endif
	assert(BITS_HOLD);
	TICK()
}

/* ---- atomics: each one step */

inline CORRAL_LOAD(from, into) { d_step { into = from } }

inline CORRAL_ADD(c, v, was)
{
	d_step {
		was = c;
		assert(COUNT(was) + 1 <= 15 && LEAVES(was) < 15);
		c = (c + v) & 255;
		CHECK()
	}
}

inline CORRAL_AND(w, mask, was)
{
	d_step { was = w; w = w & mask; CHECK() }
}

inline CORRAL_XCHG(w, new, was)
{
	d_step { was = w; w = new; CHECK() }
}

inline CORRAL_CAS(w, old, new, was)
{
	d_step {
		was = w;
		if
		:: was == old -> w = new; CHECK()
		:: else
		fi
	}
}

/* What every process that runs a hook declares. */
#define HOOK_LOCALS byte seen, displaced, set, now, was, place

/* ---- task_hooks.h */

/* Which miss it was makes no difference: any of them asks for a resync. */
#define CORRAL_MISS_ADOPTED		0
#define CORRAL_MISS_UNKNOWN_DEATH	0
#define CORRAL_MISS_DISPLACED		0

#ifdef LIVE_BITS
inline corral_mark_live(tid) { live[tid] = 1 }
inline corral_mark_dead(tid) { d_step { live[tid] = 0; assert(BITS_HOLD) } }
#else
inline corral_mark_live(tid) { skip }
inline corral_mark_dead(tid) { skip }
#endif

#ifdef BELLS
inline corral_ring(kind, id)
{
	if
	:: atomic { nfull(bell) -> bell!kind(id) }
	:: full(bell) ->
		ring_full = true;
#ifndef BROKEN_NO_SECOND_RING
		/* Counted, then tried again (tracker.bpf.c). */
		if
		:: atomic { nfull(bell) -> bell!kind(id) }
		:: full(bell)
		fi
#endif
	fi
}

inline corral_count(counter_name) { missed = true }

inline corral_notice(s)
{
	d_step { was = pending[s]; pending[s] = 1 };
	if
	:: was == 0 -> corral_ring(BELL_SET, s)
	:: else
	fi
}
#else
inline corral_notice(s) { skip }
#ifdef RESYNC
/* Of bells and misses only this is kept: somebody should compare everything. */
inline corral_ring(kind, id) { missed = true }
inline corral_count(counter_name) { missed = true }
#else
inline corral_ring(kind, id) { skip }
inline corral_count(counter_name) { skip }
#endif
#endif

#ifdef NO_COUNTS
inline corral_raise(s) { skip }
inline corral_lower(s, delta) { skip }
#else
inline corral_raise(s)
{
	if
	:: s != 1 -> CORRAL_ADD(counter[s], 1, was)
	:: else
	fi
}

inline corral_lower(s, delta)
{
	if
	:: s != 1 ->
		d_step {
			was = counter[s];
			assert(COUNT(was) >= 1);	/* else the halves run into each other */
			assert(LEAVES(was) < 15);
			counter[s] = (counter[s] + delta) & 255;
			CHECK()
		};
		if
		:: COUNT(was) == 1 -> corral_notice(s)
		:: else
		fi
	:: else
	fi
}

#endif

#ifdef BROKEN_SPLIT_COUNTERS
/* Count and leaves are two counters. */
inline corral_leave(s)
{
	corral_lower(s, 255);
	if
	:: s != 1 -> CORRAL_ADD(counter[s], 16, was)
	:: else
	fi
}
#else
inline corral_leave(s) { corral_lower(s, CORRAL_LEAVE) }
#endif

inline corral_take_back(s) { corral_lower(s, 255) }

inline corral_adopt(at, old, tid, tgid)
{
	corral_mark_live(tid);
	CORRAL_CAS(word[at], old, corral_make_word(tgid, 1), was);
	if
	:: was == old -> corral_count(CORRAL_MISS_ADOPTED)
	:: else
	fi
}

/* Uses: displaced; `now` counts the tries. */
inline corral_displaced(tgid)
{
	now = 0;
	do
	:: corral_word_tgid(displaced) == tgid || now == 2 -> seen = 255; break	/* no word to put it at */
	:: else ->
		CORRAL_LOAD(word[corral_word_tgid(displaced)], seen);
		if
		:: corral_word_alive(seen) -> seen = 255; break
		:: else
		fi;
		corral_mark_live(corral_word_tgid(displaced));
		d_step {
			was = word[corral_word_tgid(displaced)];
			if
			:: was == seen ->
				word[corral_word_tgid(displaced)] = displaced;
				carried[corral_word_set(displaced)]--;
				CHECK()
			:: else
			fi
		};
		if
		:: was == seen -> break
		:: else -> now++
		fi
	od;
	if
	:: seen != 255 -> corral_ring(BELL_RESYNC, corral_word_tgid(displaced))
	:: else ->
		carried[corral_word_set(displaced)]--;
		corral_leave(corral_word_set(displaced));
		corral_count(CORRAL_MISS_DISPLACED)
	fi
}

/* Kernel truth goes in step with the word: the task exists from its publication on. */
inline corral_birth(parent, parent_tgid, tid, tgid)
{
	CORRAL_LOAD(word[parent], seen);
	if
	:: !corral_word_alive(seen) ->
		corral_adopt(parent, seen, parent, parent_tgid);
		CORRAL_LOAD(word[parent], seen)
	:: else
	fi;
	set = corral_word_set(seen);
	do
	:: corral_raise(set);
#ifdef BROKEN_NO_REREAD
		break;
#endif
		CORRAL_LOAD(corral_word_set(word[parent]), now);
		if
		:: now == set -> break
		:: else
		fi;
		corral_take_back(set);
		set = now
	od;

	corral_mark_live(tid);
#ifdef BROKEN_PLAIN_PUBLISH
	d_step { word[tid] = corral_make_word(tgid, set); CHECK() };
	displaced = 0;
#else
	d_step {
		displaced = word[tid];
		word[tid] = corral_make_word(tgid, set);
		if
		:: corral_word_alive(displaced) -> carried[corral_word_set(displaced)]++
		:: else
		fi;
		CHECK()
	};
#endif
#ifdef BROKEN_DISPLACED_DROPPED
	/* Whatever was there is a death that was missed. */
	if
	:: corral_word_alive(displaced) ->
		carried[corral_word_set(displaced)]--;
		corral_leave(corral_word_set(displaced))
	:: else
	fi;
#else
	if
	:: corral_word_alive(displaced) -> corral_displaced(tgid)
	:: else
	fi;
#endif

#ifndef BROKEN_NO_SECOND_LOOK
	do
	:: CORRAL_LOAD(corral_word_set(word[parent]), now);
		if
		:: now == set -> break
		:: else
		fi;
		corral_raise(now);
#ifndef BROKEN_NO_CONFIRM_ALONG
		CORRAL_LOAD(corral_word_set(word[parent]), was);
		if
		:: was != now -> corral_take_back(now)
		:: else ->
#else
		if
		:: true ->
#endif
			CORRAL_CAS(word[tid], corral_make_word(tgid, set), corral_make_word(tgid, now), was);
			if
			:: was != corral_make_word(tgid, set) -> corral_take_back(now); break
			:: else
			fi;
			corral_leave(set);
			set = now
		fi
	od
#endif
}

/* Uses: place. */
inline corral_death(tid, tgid)
{
#ifdef BROKEN_DEATH_STALE
	/* The word is read first and cleared later. */
	CORRAL_LOAD(word[tid], place);
	d_step { word[tid] = place & CORRAL_DEAD_MASK; CHECK() };
#else
#ifdef BROKEN_DEATH_LEAVES_FIRST
	CORRAL_LOAD(word[tid], place);
	corral_leave(corral_word_set(place));
#endif
	CORRAL_AND(word[tid], CORRAL_DEAD_MASK, place);
#endif
	if
	:: !corral_word_alive(place) ->
		CORRAL_CAS(word[tid], place, 0, was);
		corral_count(CORRAL_MISS_UNKNOWN_DEATH);
		corral_ring(BELL_RESYNC, tgid)
	:: else ->
		corral_mark_dead(tid);
#ifndef BROKEN_DEATH_LEAVES_FIRST
		corral_leave(corral_word_set(place))
#endif
	fi
}

/* For a thread that is not the leader. Uses: seen, place. */
inline corral_exec(old_tid, tid, tgid)
{
	CORRAL_LOAD(word[old_tid], place);
	seen = 0;
	do
#ifdef BROKEN_EXEC_NO_TGID
	:: !corral_word_alive(place) -> break
	:: else ->
#else
	:: corral_word_tgid(place) != tgid -> break
	:: else ->
#endif
		corral_mark_live(tid);
		d_step {
			seen = word[old_tid];
			if
			:: seen == place ->
				word[old_tid] = 0;
				carried[corral_word_set(place)]++;
				CHECK()
			:: else
			fi
		};
		if
		:: seen == place ->
#ifdef BROKEN_EXEC_CLEARS_BIT
			corral_mark_dead(old_tid);
#endif
			d_step {
				seen = word[tid];
				word[tid] = place;
				carried[corral_word_set(place)]--;
				CHECK()
			};
			if
			:: corral_word_alive(seen) -> corral_leave(corral_word_set(seen))
			:: else
			fi;
			seen = 255;	/* done */
			break
		:: else -> place = seen
		fi
	od;
	do
	:: seen == 255 -> break
	:: else ->
		CORRAL_LOAD(word[tid], seen);
		if
		:: corral_word_alive(seen) -> break
		:: else
		fi;
		CORRAL_LOAD(corral_word_alive(word[old_tid]), was);
		if
		:: !was ->
			CORRAL_LOAD(word[tid], seen);
			if
			:: !corral_word_alive(seen) -> corral_adopt(tid, seen, tid, tgid)
			:: else
			fi;
			break
		:: else
		fi
	od
}

/* One run of the control program: its steps interleave with the hooks, but a kill of the
 * daemon waits for its end. `was` is the word it found. */
inline corral_move(tid, expected, to)
{
	if
	:: corral_word_set(expected) == to -> CORRAL_LOAD(word[tid], was)
	:: else ->
#ifdef BROKEN_LOWER_FIRST
		CORRAL_CAS(word[tid], expected, corral_make_word(corral_word_tgid(expected), to), seen);
		if
		:: seen == expected -> corral_leave(corral_word_set(expected)); corral_raise(to)
		:: else
		fi;
#else
		corral_raise(to);
#ifdef BROKEN_MOVE_REVIVES
		/* Compares only the set, and stores {tgid, to}. */
		d_step {
			seen = word[tid];
			if
			:: corral_word_set(seen) == corral_word_set(expected) ->
				seen = expected;
				word[tid] = corral_make_word(corral_word_tgid(expected), to);
				CHECK()
			:: else
			fi
		};
#else
		CORRAL_CAS(word[tid], expected, corral_make_word(corral_word_tgid(expected), to), seen);
#endif
		if
		:: seen == expected -> corral_leave(corral_word_set(expected))
#ifdef BROKEN_FAILED_MOVE_LEAVES
		:: else -> corral_leave(to)
#else
		:: else -> corral_take_back(to)
#endif
		fi;
#endif
		was = seen
	fi
}

inline corral_bury(tid, expected)
{
#ifdef BROKEN_BURY_BLIND
	d_step { seen = expected; word[tid] = word[tid] & CORRAL_DEAD_MASK; CHECK() };
#else
	CORRAL_CAS(word[tid], expected, expected & CORRAL_DEAD_MASK, seen);
#endif
	if
	:: seen == expected ->
#ifdef BROKEN_BURY_CLEARS_BIT
		corral_mark_dead(tid);
#endif
		CORRAL_CAS(word[corral_word_tgid(expected)], 0, expected & CORRAL_DEAD_MASK, was);
		corral_leave(corral_word_set(expected))
	:: else
	fi
}

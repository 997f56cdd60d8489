/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * Birth, exec, death, move and bury: the whole protocol of a task's word,
 * written once. Compiled into the BPF object (bpf/tracker.bpf.c) and into C++
 * (src/trackers/inproc), so what the unit tests and sanitizers run is what the
 * kernel runs. docs/concurrency.md argues every race; I1..I8 are its invariants.
 *
 * The includer provides, over an opaque CORRAL_TABLES *t:
 *   corral_word(t, tid)          the word of a tid, NULL beyond the table
 *   corral_live(t, tid)          the 64-bit piece of the live bitmap with tid
 *   corral_entry(t, set)         the entry of a css_set, NULL beyond the table
 *   corral_ring(t, kind, id)     ring the doorbell
 *   corral_count(t, counter)     add 1 to an enum corral_counter
 * and, for schedule exploration, may define CORRAL_INTERLEAVE() (atomics.h).
 *
 * Live bitmap: bit tid is set whenever word[tid] is live (a superset: a stale
 * bit costs a look, a lost one would lose a task).
 */
#ifndef CORRAL_BPF_TASK_HOOKS_H
#define CORRAL_BPF_TASK_HOOKS_H

#include "atomics.h"
#include "shared.h"

/* Each retry needs somebody to have moved this very task in the few
 * nanoseconds between two reads; running out is counted, not ignored. */
#define CORRAL_RETRIES 32
/* How long exec waits for a birth on another processor to hand it its word. */
#define CORRAL_HANDOVER_SPINS 512

#define CORRAL_DEAD_MASK 0xFFFFFFFFull	/* keeps the css_set half */

CORRAL_INLINE void corral_mark_live(CORRAL_TABLES *t, corral_u32 tid)
{
	corral_u64 *bits = corral_live(t, tid);
	corral_u64 bit = 1ull << (tid & 63);

	/* No test first: a stale bit may be on its way to being cleared by
	 * nobody, but a load would still have to come before the exchange. */
	if (bits)
		(void)CORRAL_OR(bits, bit);
}

CORRAL_INLINE void corral_mark_dead(CORRAL_TABLES *t, corral_u32 tid)
{
	corral_u64 *bits = corral_live(t, tid);

	if (bits)
		(void)CORRAL_AND(bits, ~(1ull << (tid & 63)));
}

/* The count may have reached 0: leave a mark, and ring unless somebody did and
 * nobody has looked yet. The reader clears the mark *before* it reads. */
CORRAL_INLINE void corral_notice(CORRAL_TABLES *t, corral_u32 set, struct corral_set_entry *e)
{
	if (CORRAL_XCHG(&e->pending, 1) == 0)
		corral_ring(t, CORRAL_BELL_SET, set);
}

/* I3: before a word can show the set. Full barrier. */
CORRAL_INLINE void corral_raise(CORRAL_TABLES *t, corral_u32 set)
{
	struct corral_set_entry *e;

	if (set == CORRAL_SET_INITIAL)
		return;
	e = corral_entry(t, set);
	if (!e) {
		corral_count(t, CORRAL_MISS_OUT_OF_TABLE);
		return;
	}
	if (CORRAL_ADD(&e->counter, 1) == ~0ull)	/* result used: ordered form */
		corral_count(t, CORRAL_MISS_OUT_OF_TABLE);
}

CORRAL_INLINE void corral_lower(CORRAL_TABLES *t, corral_u32 set, corral_u64 delta)
{
	struct corral_set_entry *e;

	if (set == CORRAL_SET_INITIAL)
		return;
	e = corral_entry(t, set);
	if (!e) {
		corral_count(t, CORRAL_MISS_OUT_OF_TABLE);
		return;
	}
	if ((corral_u32)CORRAL_ADD(&e->counter, delta) == 1)
		corral_notice(t, set, e);
}

/* A task really left: after no word shows it any more (I3). */
CORRAL_INLINE void corral_leave(CORRAL_TABLES *t, corral_u32 set)
{
	corral_lower(t, set, CORRAL_LEAVE);
}

/* A raise that came to nothing is no leave (I4, I7); it rings all the same,
 * since whoever looked meanwhile saw one too many. */
CORRAL_INLINE void corral_take_back(CORRAL_TABLES *t, corral_u32 set)
{
	corral_lower(t, set, ~0ull);
}

/* A live task is met whose word is dead: give it a place (the uncounted set), and say who. */
CORRAL_INLINE void corral_adopt(CORRAL_TABLES *t, corral_u64 *word, corral_u64 seen,
				corral_u32 tid, corral_u32 tgid)
{
	corral_mark_live(t, tid);
	if (CORRAL_CAS(word, seen, corral_make_word(tgid, CORRAL_SET_INITIAL)) == seen) {
		corral_count(t, CORRAL_MISS_ADOPTED);
		corral_ring(t, CORRAL_BELL_RESYNC, tid);
	}
}

/* I6: the exchange of a birth displaced a live word. Either it belongs to a
 * thread inside exec, which already has its leader's tid, or a death was missed. */
CORRAL_INLINE void corral_displaced(CORRAL_TABLES *t, corral_u64 displaced, corral_u32 tgid)
{
	corral_u32 owner = corral_word_tgid(displaced);
	corral_u64 *word = owner != tgid ? corral_word(t, owner) : CORRAL_NULL;
	int i;

	/* A dead word changes under us at most once: its task dies in a failed exec. */
	for (i = 0; word && i < 2; i++) {
		corral_u64 seen = CORRAL_LOAD(word);

		if (corral_word_alive(seen))
			break;
		corral_mark_live(t, owner);
		corral_count(t, CORRAL_HANDOVER_BEGUN);
		seen = CORRAL_CAS(word, seen, displaced) == seen;
		corral_count(t, CORRAL_HANDOVER_ENDED);
		if (seen) {
			/* The exec may have failed and the task died before
			 * this: let somebody check. */
			corral_ring(t, CORRAL_BELL_RESYNC, owner);
			return;
		}
	}
	corral_leave(t, corral_word_set(displaced));
	corral_count(t, CORRAL_MISS_DISPLACED);
}

/*
 * Birth. Kernel: task_newtask, past the last point where fork can fail, before
 * the child can run; `parent` is the calling thread. Its own word can be changed
 * meanwhile only by a mover: it cannot die, exec or fork a second time.
 */
CORRAL_INLINE void corral_birth(CORRAL_TABLES *t, corral_u32 parent, corral_u32 parent_tgid,
				corral_u32 tid, corral_u32 tgid)
{
	corral_u64 *from = corral_word(t, parent);
	corral_u64 *word = corral_word(t, tid);
	corral_u64 seen, displaced;
	corral_u32 set = CORRAL_SET_INITIAL, now;
	int i;

	if (!word) {
		corral_count(t, CORRAL_MISS_OUT_OF_TABLE);
		return;
	}
	if (from) {
		seen = CORRAL_LOAD(from);
		if (!corral_word_alive(seen)) {
			corral_adopt(t, from, seen, parent, parent_tgid);
			seen = CORRAL_LOAD(from);
		}
		set = corral_word_set(seen);
		/* I5: a reference as with a hazard pointer: raise, look again. */
		for (i = 0; i < CORRAL_RETRIES; i++) {
			corral_raise(t, set);
			now = corral_word_set(CORRAL_LOAD(from));
			if (now == set)
				break;
			corral_take_back(t, set);
			set = now;
		}
		if (i == CORRAL_RETRIES) {
			corral_raise(t, set);
			corral_count(t, CORRAL_MISS_RETRIES);
		}
	}

	corral_mark_live(t, tid);
	displaced = CORRAL_XCHG(word, corral_make_word(tgid, set));
	if (corral_word_alive(displaced))
		corral_displaced(t, displaced, tgid);
	if (!from)
		return;

	/* I5: the parent was moved between our read and the exchange; a mover of
	 * the whole process may have passed the child's word before it was there. */
	for (i = 0; i < CORRAL_RETRIES; i++) {
		corral_u64 mine = corral_make_word(tgid, set);

		now = corral_word_set(CORRAL_LOAD(from));
		if (now == set)
			return;
		corral_raise(t, now);
		if (corral_word_set(CORRAL_LOAD(from)) != now) {
			corral_take_back(t, now);
			continue;
		}
		if (CORRAL_CAS(word, mine, corral_make_word(tgid, now)) != mine) {
			corral_take_back(t, now);	/* somebody moved the child itself */
			return;
		}
		corral_leave(t, set);
		set = now;
	}
	corral_count(t, CORRAL_MISS_RETRIES);
}

/*
 * Death. Kernel: sched_process_exit, in the dying task, before its parent can
 * learn of it; files, and on newer kernels memory, are still held (spec 10.10 waits
 * for those).
 */
CORRAL_INLINE void corral_death(CORRAL_TABLES *t, corral_u32 tid, corral_u32 tgid)
{
	corral_u64 *word = corral_word(t, tid);
	corral_u64 old;

	if (!word) {
		corral_count(t, CORRAL_MISS_OUT_OF_TABLE);
		return;
	}
	old = CORRAL_AND(word, CORRAL_DEAD_MASK);
	if (!corral_word_alive(old)) {
		/* Not known, or its exec failed after it took the leader's tid. What
		 * the dead word says was left by somebody else, long gone: with no
		 * set in it, a burial of our real word can say what *we* left. */
		(void)CORRAL_CAS(word, old, 0ull);
		corral_count(t, CORRAL_MISS_UNKNOWN_DEATH);
		corral_ring(t, CORRAL_BELL_RESYNC, tgid);
		return;
	}
	corral_mark_dead(t, tid);
	corral_leave(t, corral_word_set(old));
}

/*
 * Exec. Kernel: sched_process_exec, in the task, after a thread that was not the
 * leader has taken the leader's tid and before it returns to user space. The old
 * tid may have been given to a new task already (I6).
 */
CORRAL_INLINE void corral_exec(CORRAL_TABLES *t, corral_u32 old_tid, corral_u32 tid,
			       corral_u32 tgid)
{
	corral_u64 *word = corral_word(t, tid);
	corral_u64 *old_word;
	corral_u64 seen, place;
	int i;

	if (!word) {
		corral_count(t, CORRAL_MISS_OUT_OF_TABLE);
		return;
	}
	if (old_tid == tid) {
		seen = CORRAL_LOAD(word);
		if (!corral_word_alive(seen))
			corral_adopt(t, word, seen, tid, tgid);
		return;
	}
	old_word = corral_word(t, old_tid);
	if (!old_word) {
		corral_count(t, CORRAL_MISS_OUT_OF_TABLE);
		return;
	}
	place = CORRAL_LOAD(old_word);
	for (i = 0; i < CORRAL_RETRIES; i++) {
		if (corral_word_tgid(place) != tgid)
			break;
		corral_mark_live(t, tid);
		corral_count(t, CORRAL_HANDOVER_BEGUN);
		seen = CORRAL_CAS(old_word, place, 0ull);
		if (seen == place) {
			/* The live bit of old_tid stays: a birth that reuses the tid
			 * may have set it already. */
			seen = CORRAL_XCHG(word, place);
			corral_count(t, CORRAL_HANDOVER_ENDED);
			if (corral_word_alive(seen))	/* a repair came before us */
				corral_leave(t, corral_word_set(seen));
			return;
		}
		corral_count(t, CORRAL_HANDOVER_ENDED);
		place = seen;	/* a mover was faster */
	}
	/* A birth took the old tid: it will put our word here, or has. */
	for (i = 0; i < CORRAL_HANDOVER_SPINS; i++) {
		seen = CORRAL_LOAD(word);
		if (corral_word_alive(seen))
			return;
		if (!corral_word_alive(CORRAL_LOAD(old_word))) {
			seen = CORRAL_LOAD(word);
			if (!corral_word_alive(seen))
				corral_adopt(t, word, seen, tid, tgid);
			return;
		}
	}
	corral_count(t, CORRAL_MISS_RETRIES);
	corral_ring(t, CORRAL_BELL_RESYNC, tgid);
}

/*
 * Move. By the daemon's BPF syscall program: no signal can split it. Returns 0,
 * -ESRCH (3) for a dead word or another task, -EAGAIN (11) when the task is
 * somewhere else than `expected` says; *seen is what was there.
 */
CORRAL_INLINE int corral_move(CORRAL_TABLES *t, corral_u32 tid, corral_u64 expected,
			      corral_u32 to, corral_u64 *seen)
{
	corral_u64 *word = corral_word(t, tid);
	corral_u64 was;

	*seen = 0;
	if (!word || !corral_word_alive(expected))
		return -3;
	if (corral_word_set(expected) == to) {
		was = CORRAL_LOAD(word);
	} else {
		corral_raise(t, to);
		was = CORRAL_CAS(word, expected,
				 corral_make_word(corral_word_tgid(expected), to));
		if (was == expected)
			corral_leave(t, corral_word_set(expected));
		else
			corral_take_back(t, to);	/* I4 */
	}
	*seen = was;
	if (was == expected)
		return 0;
	return corral_word_tgid(was) == corral_word_tgid(expected) ? -11 : -3;
}

/* Bury. By resync only: a live word whose task does not exist. */
CORRAL_INLINE int corral_bury(CORRAL_TABLES *t, corral_u32 tid, corral_u64 expected,
			      corral_u64 *seen)
{
	corral_u64 *word = corral_word(t, tid);

	corral_u64 *leader = corral_word(t, corral_word_tgid(expected));

	*seen = 0;
	if (!word || !corral_word_alive(expected))
		return -3;
	*seen = CORRAL_CAS(word, expected, expected & CORRAL_DEAD_MASK);
	if (*seen != expected)
		return -11;
	/* The live bit stays: a birth may be about to publish here. After a failed exec
	 * the task dies, perhaps slowly, under its leader's tid: leave the set there
	 * before it counts as left, so that "empty" waits for it (spec 10.10). */
	if (leader)
		(void)CORRAL_CAS(leader, 0ull, expected & CORRAL_DEAD_MASK);
	corral_leave(t, corral_word_set(expected));
	return 0;
}

/* Adopt on request, for tasks that the task iterators hide: the caller has seen the task
 * alive, and looks again afterwards; if it was on its way out, it buries the word. */
CORRAL_INLINE int corral_adopt_known(CORRAL_TABLES *t, corral_u32 tid, corral_u64 expected,
				     corral_u32 tgid, corral_u64 *seen)
{
	corral_u64 *word = corral_word(t, tid);

	*seen = 0;
	if (!word || corral_word_alive(expected))
		return -3;
	corral_mark_live(t, tid);
	*seen = CORRAL_CAS(word, expected, corral_make_word(tgid, CORRAL_SET_INITIAL));
	return *seen == expected ? 0 : -11;
}

#endif

/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * The tables and records that the kernel hooks and the user-space core share.
 * Included by BPF C and by C++; plain fixed-width members only.
 *
 * A task's place is one 64-bit word at index tid:   { tgid:32 | css_set:32 }
 *   tgid half 0   no live task has this tid. The css_set half of such a dead
 *                 word stays until the tid is used again: it says which
 *                 css_set a task that is still on its way out had left.
 * A css_set's counter is one 64-bit word:           { leaves:32 | count:32 }
 *   count         live words that hold the set, never too low (I2)
 *   leaves        how many tasks ever left it, modulo 2^32 (I7)
 */
#ifndef CORRAL_BPF_SHARED_H
#define CORRAL_BPF_SHARED_H

#if defined(__bpf__)
typedef unsigned int corral_u32;
typedef unsigned long long corral_u64;
typedef long long corral_s64;
#else
#include <stdint.h>
typedef uint32_t corral_u32;
typedef uint64_t corral_u64;
typedef int64_t corral_s64;
#endif

enum {
	CORRAL_SET_NONE = 0,	/* never a place */
	CORRAL_SET_INITIAL = 1,	/* "the root of every hierarchy"; not counted (I2) */
	CORRAL_SET_FIRST = 2,	/* the first id the core hands out */
};

/* count - 1 and leaves + 1 in one addition: the low half borrows from itself
 * and carries into the high half. Right as long as count >= 1. */
#define CORRAL_LEAVE 0xFFFFFFFFull

/* One css_set, alone on its cache line. */
struct corral_set_entry {
	corral_u64 counter;
	corral_u32 pending;	/* 1: somebody should look; only a hint (I7) */
	corral_u32 unused[13];
} __attribute__((aligned(64)));

/* What the doorbell ring buffer carries. */
enum corral_bell_kind {
	CORRAL_BELL_SET = 1,	/* id: a css_set whose count reached 0 */
	CORRAL_BELL_RESYNC = 2,	/* id: a tgid that a hook could not account for */
	CORRAL_BELL_UNKNOWN = 3,	/* id: a task that was not known; a struct corral_unknown_bell */
};

struct corral_bell {
	corral_u32 kind;
	corral_u32 id;
};

/* More of a task that was not known, and was adopted or dies; for the log. */
struct corral_unknown_bell {
	struct corral_bell bell;
	corral_u32 tgid;
	corral_u32 parent;	/* its parent's tgid, as it is now */
	corral_u32 hidden;	/* a process that the kernel hides is the reason */
	corral_u32 dies;
	corral_u64 start;	/* when it was made */
	char comm[16];
};

/* Processes that the kernel keeps from its tracing, as the daemon has found; 0: none. */
enum { CORRAL_HIDDEN_MOST = 16 };
struct corral_hidden {
	corral_u32 tgids[CORRAL_HIDDEN_MOST];
};

/* Counters. The misses are things a hook could not do by itself; any change makes the
 * daemon resync (I8). */
enum corral_counter {
	CORRAL_MISS_RING_FULL,		/* no room for a bell: scan the pending bits */
	CORRAL_MISS_OUT_OF_TABLE,	/* tid or css_set beyond its table */
	CORRAL_MISS_UNKNOWN_DEATH,	/* a task died whose word was dead already */
	CORRAL_MISS_ADOPTED,		/* an unknown live task was met and put in set 1 */
	CORRAL_MISS_DISPLACED,		/* a birth found a live word nobody claims */
	CORRAL_MISS_RETRIES,		/* a bounded loop ran out */
	/* A word goes from one tid to another (exec by a non-leader): begun, ended. A
	 * scan during which either changed may have seen the task twice or not at all. */
	CORRAL_HANDOVER_BEGUN,
	CORRAL_HANDOVER_ENDED,
	/* Of unknown deaths and adopted: those that a process which the kernel hides is the
	 * reason of (docs/concurrency.md, 6.5). */
	CORRAL_HIDDEN_UNKNOWN_DEATH,
	CORRAL_HIDDEN_ADOPTED,
	CORRAL_COUNTERS,
};

/* The argument of the control program (a BPF syscall program; the in-process
 * tracker calls the same functions directly). */
enum corral_op {
	CORRAL_OP_MOVE = 1,	/* word[tid]: expected -> {its tgid, to} */
	CORRAL_OP_BURY = 2,	/* word[tid]: expected -> dead, with a leave */
	CORRAL_OP_ADOPT = 3,	/* word[tid]: expected, dead -> {to, the initial set} */
};

struct corral_request {
	corral_u32 op;
	corral_u32 tid;
	corral_u64 expected;	/* the word the caller decided on */
	corral_u32 to;		/* a css_set; for ADOPT a tgid */
	corral_u32 unused;
	corral_s64 result;	/* 0 or a negative errno */
	corral_u64 seen;	/* the word that was there instead */
};

/* One record of the task walk (seeding, audit). */
struct corral_task_record {
	corral_u32 tid;
	corral_u32 tgid;
	corral_u64 word;
	corral_u32 flags;	/* CORRAL_TASK_* */
	corral_u32 unused;
	corral_u64 start;	/* when it was made; 0: not known */
};

/* What task_feed.bpf.c tells, for subsystems that want forks. A hint like a bell: what is lost is
 * counted, and made up for by a walk. */
enum corral_feed_kind {
	CORRAL_FEED_FORK = 1,
	CORRAL_FEED_EXIT = 2,
	CORRAL_FEED_EXEC = 3,	/* by a thread that was not the leader: old_tid is tid now */
};

struct corral_feed_record {
	corral_u32 kind;
	corral_u32 tid;
	corral_u32 tgid;
	corral_u32 old_tid;
	corral_u64 start;	/* when it was made: tells it from others with its tid */
	corral_u32 set;		/* where it was then; 0: beyond the table */
	corral_u32 unused;
};

/* A limit on births (task_limits.bpf.c). What is 1 + an index has 0 for "none". */
struct corral_task_limit {
	corral_u64 max;
	corral_u32 number;	/* of its refusals */
	corral_u32 outer;	/* 1 + index of the limit it is inside */
	corral_u32 first;	/* of the list of limited sets */
	corral_u32 end;
};

enum {
	CORRAL_TASK_EXITING = 1,	/* the kernel has begun to end it */
	CORRAL_TASK_GONE = 2,		/* memory, files and directory are released */
	CORRAL_TASK_IN_EXEC = 4,	/* inside execve() */
	CORRAL_TASK_NEWBORN = 8,	/* has never run; its birth hook may be about to come */
};

static inline corral_u64 corral_make_word(corral_u32 tgid, corral_u32 set)
{
	return ((corral_u64)tgid << 32) | set;
}
static inline corral_u32 corral_word_tgid(corral_u64 word) { return (corral_u32)(word >> 32); }
static inline corral_u32 corral_word_set(corral_u64 word) { return (corral_u32)word; }
static inline int corral_word_alive(corral_u64 word) { return corral_word_tgid(word) != 0; }

#endif

// SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only)
/*
 * Births beyond a limit are stopped. Attached only while there is a limit, and one of the two
 * programs only: `limit_refuse` where the kernel lets a BPF program refuse (the BPF LSM), else
 * `limit_kill`.
 *
 * Nothing is counted here: what a limit has is the sum of its css_sets' counters at that moment,
 * so it is right whenever they are (I2).
 */
#include "atomics.h"
#include "set_table.h"

#define EAGAIN 11
#define SIGKILL 9

/* Limits come twice: the half that `generation` points to, in its lowest bit, is in force, and the
 * other is filled meanwhile. Sizes are set by the loader; `capacity` is that of one half. All values
 * are of whole 8 bytes, as they lie in mapped arrays. */
const volatile corral_u32 capacity = 1;

#define ARRAY(name, type_of_value)				\
	struct {						\
		__uint(type, BPF_MAP_TYPE_ARRAY);		\
		__uint(map_flags, BPF_F_MMAPABLE);		\
		__uint(max_entries, 1);				\
		__type(key, corral_u32);			\
		__type(value, type_of_value);			\
	} name SEC(".maps")

ARRAY(generation, corral_u64);
ARRAY(limits, struct corral_task_limit);
ARRAY(limited, corral_u64);	/* css_sets, a piece for each limit */
ARRAY(innermost, corral_u64);	/* by css_set: 1 + index of its limit */
ARRAY(refused, corral_u64);	/* by number of a limit */
ARRAY(let_through, corral_u64);	/* births that should have been stopped and could not be */

/* On a newborn that was killed at its birth, until it is gone. */
struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, corral_u32);
} stopped SEC(".maps");

struct sum {
	corral_u32 at;	/* in `limited` */
	corral_u32 unused;
	corral_u64 tasks;
};

struct climb {
	corral_u32 half;	/* where it begins */
	corral_u32 at;		/* 1 + index of the limit to look at */
	corral_u32 first;	/* of `limited`, what is in the sum already */
	corral_u32 end;
	corral_u64 tasks;	/* the sum */
	corral_u32 number;	/* of the limit that is exceeded; 0: none */
	corral_u32 unused;
};

static long add_set(corral_u32 i, struct sum *sum)
{
	corral_u32 at = sum->at + i;
	corral_u64 *listed = bpf_map_lookup_elem(&limited, &at);
	corral_u32 set = listed ? *listed : CORRAL_SET_NONE;
	struct corral_set_entry *entry = bpf_map_lookup_elem(&sets, &set);

	if (entry)
		sum->tasks += (corral_u32)CORRAL_LOAD(&entry->counter);
	return 0;
}

static __always_inline void add_piece(struct climb *climb, corral_u32 first, corral_u32 end)
{
	struct sum sum = {.at = climb->half + first};

	bpf_loop(end - first, add_set, &sum, 0);
	climb->tasks += sum.tasks;
}

/* The pieces of a limit and of the one it is inside are nested: each set is added once. */
static long check_limit(corral_u32 i, struct climb *climb)
{
	corral_u32 at = climb->half + climb->at - 1;
	struct corral_task_limit *limit;

	if (climb->at == 0)
		return 1;
	limit = bpf_map_lookup_elem(&limits, &at);
	if (!limit)
		return 1;
	if (climb->first == climb->end)
		climb->first = climb->end = limit->first;
	add_piece(climb, limit->first, climb->first);
	add_piece(climb, climb->end, limit->end);
	climb->first = limit->first;
	climb->end = limit->end;
	if (climb->tasks > limit->max) {
		climb->number = limit->number;
		return 1;
	}
	climb->at = limit->outer;
	return 0;
}

/* The number of the innermost limit that css_set `set` would exceed with `more` tasks more; 0:
 * none. A half may be filled anew while we read it, once the generation went on twice: read again. */
static __noinline corral_u32 exceeded(corral_u32 set, corral_u32 more)
{
	corral_u32 zero = 0;
	corral_u64 *now = bpf_map_lookup_elem(&generation, &zero);
	struct climb climb;
	int i;

	if (!now || set >= capacity)
		return 0;
	for (i = 0; i < 4; i++) {
		corral_u64 seen = CORRAL_LOAD(now);
		corral_u32 half = seen & 1 ? capacity : 0, at = half + set;
		corral_u64 *first = bpf_map_lookup_elem(&innermost, &at);

		__builtin_memset(&climb, 0, sizeof(climb));
		climb.half = half;
		climb.tasks = more;
		climb.at = first ? *first : 0;
		bpf_loop(capacity, check_limit, &climb, 0);
		if (CORRAL_ADD(now, 0) == seen)	/* ordered: after what was read */
			break;
	}
	return climb.number;
}

static __always_inline corral_u32 set_of(corral_u32 tid)
{
	corral_u64 *word = bpf_map_lookup_elem(&words, &tid);
	corral_u64 seen = word ? CORRAL_LOAD(word) : 0;

	return corral_word_alive(seen) ? corral_word_set(seen) : CORRAL_SET_NONE;
}

/* In the calling thread, before the child is anything. */
SEC("lsm/task_alloc")
int BPF_PROG(limit_refuse, struct task_struct *task, unsigned long clone_flags, int before)
{
	corral_u32 number;

	if (before)
		return before;
	number = exceeded(set_of((corral_u32)bpf_get_current_pid_tgid()), 1);
	if (!number)
		return 0;
	corral_count_in(&refused, number);
	return -EAGAIN;
}

enum pid_type { PIDTYPE_PID, PIDTYPE_TGID };
extern int bpf_send_signal_task(struct task_struct *task, int sig, enum pid_type type,
				corral_u64 value) __ksym __weak;

/* After the tracker's hook: the child has its word, is counted, and has not run. Workers that the
 * kernel makes for a process live: a kill would end the process too, which did not ask for them. */
SEC("tp_btf/task_newtask")
int BPF_PROG(limit_kill, struct task_struct *task, unsigned long clone_flags)
{
	corral_u32 number;

	if (task->flags & (PF_IO_WORKER | PF_USER_WORKER))
		return 0;
	number = exceeded(set_of(task->pid), 0);
	if (!number)
		return 0;
	/* Before it is woken: whoever sees it awake sees this. */
	bpf_task_storage_get(&stopped, task, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (bpf_send_signal_task(task, SIGKILL, PIDTYPE_TGID, 0) == 0) {
		corral_count_in(&refused, number);
	} else {
		corral_count_in(&let_through, 0);
		bpf_task_storage_delete(&stopped, task);
	}
	return 0;
}

/* Newborns that were stopped, and those that have not been judged: a newborn is woken after it was. */
SEC("iter/task")
int walk_not_let_in(struct bpf_iter__task *ctx)
{
	struct task_struct *task = ctx->task;
	corral_u32 tid;

	if (!task)
		return 0;
	if (!(task->__state & TASK_NEW) && !bpf_task_storage_get(&stopped, task, 0, 0))
		return 0;
	tid = task->pid;
	bpf_seq_write(ctx->meta->seq, &tid, sizeof(tid));
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";

// SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only)
/*
 * Births, deaths and changes of tid, told to user space one by one. Loaded only while a subsystem
 * wants forks; each tracepoint's program runs after the tracker's own, which is attached first.
 */
#include "atomics.h"
#include "kernel.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, corral_u32);
	__type(value, corral_u64);
} lost SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);	/* set by the loader */
} feed SEC(".maps");

static __noinline int tell(struct corral_feed_record *told)
{
	if (told && bpf_ringbuf_output(&feed, told, sizeof(*told), 0) == 0)
		return 0;
	corral_count_in(&lost, 0);
	return 0;
}

static __always_inline int tell_of(struct task_struct *task, corral_u32 kind, corral_u32 old_tid)
{
	struct corral_feed_record told = {
		.kind = kind,
		.tid = task->pid,
		.tgid = task->tgid,
		.old_tid = old_tid,
		.start = task->start_time,
	};
	corral_u64 *word = bpf_map_lookup_elem(&words, &told.tid);

	if (told.tid == 0)	/* idle tasks of processors coming up */
		return 0;
	if (word)
		told.set = corral_word_set(CORRAL_LOAD(word));
	return tell(&told);
}

/* In the calling thread; the child has its word and has not run. */
SEC("tp_btf/task_newtask")
int BPF_PROG(feed_newtask, struct task_struct *task, unsigned long clone_flags)
{
	return tell_of(task, CORRAL_FEED_FORK, 0);
}

/* The old leader has told its end before: exec waits for that. */
SEC("tp_btf/sched_process_exec")
int BPF_PROG(feed_exec, struct task_struct *task, int old_pid)
{
	if (old_pid == task->pid)
		return 0;
	return tell_of(task, CORRAL_FEED_EXEC, old_pid);
}

/* In the dying task. Its tid is not used again before this (but for exec, see feed_exec). */
SEC("tp_btf/sched_process_exit")
int BPF_PROG(feed_exit, struct task_struct *task)
{
	return tell_of(task, CORRAL_FEED_EXIT, 0);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * The few kernel types our BPF programs look into, relocated at load time (CO-RE), so that no
 * vmlinux.h is needed; and the one table they share. A field that a program does not touch costs
 * it nothing, also where the kernel has no such field.
 */
#ifndef CORRAL_BPF_KERNEL_H
#define CORRAL_BPF_KERNEL_H

#include <linux/bpf.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "shared.h"

#define KERNEL_TYPE __attribute__((preserve_access_index))

struct sched_entity {
	corral_u64 sum_exec_runtime;
} KERNEL_TYPE;

struct task_struct {
	unsigned int __state;
	unsigned int flags;
	int on_cpu;
	struct sched_entity se;
	int exit_state;
	int pid;
	int tgid;
	corral_u64 utime;
	corral_u64 stime;
	corral_u64 start_time;
	struct task_struct *real_parent;
	unsigned int in_execve : 1;
} KERNEL_TYPE;

struct seq_file;

struct bpf_iter_meta {
	struct seq_file *seq;
} KERNEL_TYPE;

struct bpf_iter__task {
	struct bpf_iter_meta *meta;
	struct task_struct *task;
} KERNEL_TYPE;

#define PF_EXITING 0x4
#define PF_IO_WORKER 0x10
#define PF_USER_WORKER 0x4000
/* __state */
#define TASK_DEAD 0x80
#define TASK_NEW 0x800	/* until it is woken for the first time, after its birth hook */

/* The words of all tasks (shared.h). The tracker's; its loader sets the size, and gives it to the
 * other objects. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, corral_u32);
	__type(value, corral_u64);
} words SEC(".maps");

/* One more in an array of counters. */
static __always_inline void corral_count_in(void *map, corral_u32 at)
{
	corral_u64 *n = bpf_map_lookup_elem(map, &at);

	if (n && __sync_fetch_and_add(n, 1) == ~0ull)	/* result used: ordered form */
		*n = 0;
}

#endif

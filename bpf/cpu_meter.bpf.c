// SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only)
/*
 * The CPU meter: two tracepoints at the end of a task's life, and two task iterators. Loaded only
 * while somebody asks for CPU time; nothing here runs on a context switch.
 *
 * A task's account remembers how much of what it ran is on a bill already, and, once it is
 * dead, whose bill the rest goes to. It is made when somebody looks at a living task, or at
 * its death; a task without one has been charged nothing. It ends with the last charge, when
 * the task has left its processor for good. Whoever sees that first makes it: a walk, the
 * next deaths (each looks at two dead tasks of the queue), or the kernel's last word on the
 * task. The last alone would do, if no kernel skipped it; one was met that runs no tracing
 * program in an interrupt over a thread of process 1 (docs/concurrency.md, 18.4).
 */
#include "atomics.h"
#include "cpu_bill.h"
#include "kernel.h"

struct account {
	corral_u64 task;	/* its address: no other task's before this ends. 0: free */
	corral_u32 set;		/* charged last; of a dead task: pays the rest */
	corral_u32 dead;
	corral_u64 born;	/* of a dead task: its start_time, which changes no more */
	corral_u64 total, user, system;	/* charged already */
};

struct bucket {
	struct bpf_spin_lock lock;
	corral_u32 unused;
	struct account of[CORRAL_BUCKET_WAYS];
};

/* Kept by the daemon from one start of the meter to the next. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, corral_u32);
	__type(value, struct corral_bill);
} bills SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);	/* set by the loader, a power of two */
	__type(key, corral_u32);
	__type(value, struct bucket);
} buckets SEC(".maps");

/* Dead tasks, to be looked at again. One that finds no room is left to on_free. */
struct dead_task {
	corral_u64 task;
	corral_u64 born;
};

struct {
	__uint(type, BPF_MAP_TYPE_QUEUE);
	__uint(max_entries, 16384);
	__type(value, struct dead_task);
} dead_tasks SEC(".maps");

const volatile corral_u32 bucket_mask = 0;
const volatile corral_u64 began = 0;	/* CLOCK_MONOTONIC: what ran before is nobody's */
corral_u64 crowded = 0;			/* deaths that found no room in their bucket */
corral_u64 lost = 0;			/* dead tasks that nobody saw the end of */

struct sums {
	corral_u64 total, user, system;
};

/* How an account is used. */
enum visit {
	VISIT_LIVING,	/* make it if it is not there; charge to where the task's word says */
	VISIT_LEAVING,	/* only after the death hook: charge to the set that it wrote down */
	VISIT_DEATH,	/* make it if it is not there; write down the set given */
	VISIT_END,	/* charge the rest to the set written down; the account ends */
};

struct result {
	corral_u32 set;
	corral_u32 found;
	corral_u32 dead;
	corral_u32 stale;	/* an account of another task, which left `stale_set`, was here */
	corral_u32 stale_set;
	corral_u32 unused;
	struct sums due;
};

/* A task's address as a number to calculate with, which the verifier allows with no pointer. It is
 * a task's own alone and stays the same when a thread execs; nothing else of a task does both. */
static __always_inline corral_u64 address_of(struct task_struct *task)
{
	struct task_struct *volatile pointer = task;
	corral_u64 address = 0;

	bpf_probe_read_kernel(&address, sizeof(address), (void *)&pointer);
	return address;
}

static __always_inline struct bucket *bucket_of(corral_u64 address)
{
	corral_u32 index = (corral_u32)((address * 0x9E3779B97F4A7C15ull) >> 40) & bucket_mask;

	return bpf_map_lookup_elem(&buckets, &index);
}

static __always_inline void take_due(struct account *a, corral_u64 total, corral_u64 user,
				     corral_u64 system, struct sums *due)
{
	due->total = total - a->total;
	a->total = total;
	due->user = user - a->user;
	a->user = user;
	due->system = system - a->system;
	a->system = system;
}

/*
 * Everything about one account happens under the lock of its bucket and with interrupts
 * off: find it, see what is due, and take that as charged. Sums are read under the lock,
 * so that marks never go back.
 */
static __always_inline void visit(struct task_struct *task, enum visit why, corral_u64 *word,
				  corral_u32 set, struct result *out)
{
	corral_u64 self = address_of(task);
	struct bucket *b = bucket_of(self);
	struct account *a = 0, *spare = 0;
	int i;

	if (!b)
		return;
	bpf_spin_lock(&b->lock);
#pragma unroll
	for (i = 0; i < CORRAL_BUCKET_WAYS; i++) {
		if (b->of[i].task == self)
			a = &b->of[i];
		else if (!b->of[i].task)
			spare = &b->of[i];
	}
	if (a && a->dead && a->born != task->start_time) {
		/* Of a task that had this memory before, and whose end nobody saw. */
		out->stale = 1;
		out->stale_set = a->set;
		a->task = 0;
		spare = a;
		a = 0;
	}
	if (why == VISIT_LIVING && !(a && a->dead)) {
		corral_u64 seen = CORRAL_LOAD(word);

		/* Not placed, or its place is on its way to another tid (exec). */
		if (corral_word_tgid(seen) != task->tgid)
			goto out;
		set = corral_word_set(seen);
	}
	if (!a && spare && (why == VISIT_LIVING || why == VISIT_DEATH)) {
		int older = task->start_time < began;

		a = spare;
		a->task = self;
		a->dead = 0;
		a->total = older ? task->se.sum_exec_runtime : 0;
		a->user = older ? task->utime : 0;
		a->system = older ? task->stime : 0;
	}
	if (!a || (why == VISIT_LEAVING && !a->dead))
		goto out;
	out->found = 1;
	if (why == VISIT_DEATH || (why == VISIT_LIVING && !a->dead))
		a->set = set;
	if (why == VISIT_DEATH) {
		a->dead = 1;
		a->born = task->start_time;
		goto out;
	}
	take_due(a, task->se.sum_exec_runtime, task->utime, task->stime, &out->due);
	out->set = a->set;
	out->dead = a->dead;
	if (why == VISIT_END)
		a->task = 0;
out:
	bpf_spin_unlock(&b->lock);
}

static __always_inline struct corral_bill *bill_of(corral_u32 set)
{
	return bpf_map_lookup_elem(&bills, &set);
}

/* With its result used: the fully ordered form. */
#define ADD(p, n)                                                                             \
	do {                                                                                  \
		__typeof__(*(p)) was = CORRAL_ADD(p, n);                                      \
		asm volatile("" ::"r"(was));                                                  \
	} while (0)

static __always_inline void charge(struct corral_bill *bill, const struct sums *due)
{
	if (due->total)
		ADD(&bill->total, due->total);
	if (due->user)
		ADD(&bill->user, due->user);
	if (due->system)
		ADD(&bill->system, due->system);
}

/* After the charge. */
static __always_inline void pay_off(struct corral_bill *bill)
{
	ADD(&bill->paid, 1);
}

static __always_inline void settle(const struct result *r, int ends)
{
	struct corral_bill *bill;

	bill = r->found ? bill_of(r->set) : 0;
	if (bill) {
		charge(bill, &r->due);
		if (ends && r->dead)
			pay_off(bill);
	}
	bill = r->stale ? bill_of(r->stale_set) : 0;
	if (bill) {
		ADD(&lost, 1);
		pay_off(bill);
	}
}

/*
 * One dead task of the queue: if it has left its processor for good, it gets its last charge.
 * Its memory may be free by now, or another task's: what is read counts only if it still has
 * the dead one's start_time afterwards. Returns what became of it.
 */
__noinline int look_at_dead(void)
{
	struct dead_task it;
	struct task_struct *task;
	struct result r = {};
	struct account *a = 0;
	struct bucket *b;
	corral_u64 total = 0, user = 0, system = 0, born = 0, fence = 0;
	corral_u32 state = 0;
	int on_cpu = 0, ends, i;

	if (bpf_map_pop_elem(&dead_tasks, &it) != 0)
		return CORRAL_DEAD_NONE;
	task = (struct task_struct *)it.task;
	BPF_CORE_READ_INTO(&state, task, __state);
	if (bpf_core_field_exists(task->on_cpu))
		BPF_CORE_READ_INTO(&on_cpu, task, on_cpu);
	ADD(&fence, 1);
	BPF_CORE_READ_INTO(&total, task, se.sum_exec_runtime);
	BPF_CORE_READ_INTO(&user, task, utime);
	BPF_CORE_READ_INTO(&system, task, stime);
	ADD(&fence, 1);
	BPF_CORE_READ_INTO(&born, task, start_time);
	ends = born != it.born || (state == TASK_DEAD && !on_cpu);

	b = bucket_of(it.task);
	if (!b)
		return CORRAL_DEAD_SETTLED;
	bpf_spin_lock(&b->lock);
#pragma unroll
	for (i = 0; i < CORRAL_BUCKET_WAYS; i++) {
		if (b->of[i].task == it.task && b->of[i].dead && b->of[i].born == it.born)
			a = &b->of[i];
	}
	if (a && ends) {
		if (born == it.born) {
			take_due(a, total, user, system, &r.due);
			r.found = r.dead = 1;
			r.set = a->set;
		} else {
			r.stale = 1;
			r.stale_set = a->set;
		}
		a->task = 0;
	}
	bpf_spin_unlock(&b->lock);
	settle(&r, 1);
	if (!a || ends)
		return CORRAL_DEAD_SETTLED;
	bpf_map_push_elem(&dead_tasks, &it, 0);
	return CORRAL_DEAD_WAITS;
}

/*
 * In the dying task, PF_EXITING set, long before it has run its last nanosecond. The tracker's
 * hook was here before; the dead word shows the set until the tid is used again. (None: its
 * exec failed too late. What it ran then is on the machine's bill, and on no group's.)
 */
SEC("tp_btf/sched_process_exit")
int BPF_PROG(on_death, struct task_struct *task)
{
	corral_u32 tid = task->pid;
	corral_u64 *word = bpf_map_lookup_elem(&words, &tid);
	corral_u32 set = word ? corral_word_set(CORRAL_LOAD(word)) : CORRAL_SET_NONE;
	struct corral_bill *bill = bill_of(set);
	struct result r = {};

	if (tid == 0 || !bill)
		return 0;
	/* First: nobody pays off what is not owed yet. */
	ADD(&bill->dead, 1);
	visit(task, VISIT_DEATH, 0, set, &r);
	if (r.found) {
		struct dead_task it = { .task = address_of(task), .born = task->start_time };

		r.found = 0;	/* charged later */
		settle(&r, 0);
		/* One in, two out: the queue stays short. */
		look_at_dead();
		look_at_dead();
		bpf_map_push_elem(&dead_tasks, &it, 0);
		return 0;
	}
	/* No room: what is known now, and no more. */
	ADD(&crowded, 1);
	if (task->start_time >= began) {
		r.due.total = task->se.sum_exec_runtime;
		r.due.user = task->utime;
		r.due.system = task->stime;
		charge(bill, &r.due);
	}
	pay_off(bill);
	return 0;
}

/*
 * A grace period after the task was reaped and had left its processor for good: its sums
 * are final, and nobody finds it in the task list any more. Most were settled before.
 */
SEC("tp_btf/sched_process_free")
int BPF_PROG(on_free, struct task_struct *task)
{
	struct result r = {};

	visit(task, VISIT_END, 0, 0, &r);
	settle(&r, 1);
	return 0;
}

/*
 * Charges what each task has run so far to where it is.
 *
 * An account is made only for a task that is seen alive within this RCU section, so its
 * on_free is still to come.
 */
SEC("iter/task")
int charge_tasks(struct bpf_iter__task *ctx)
{
	struct task_struct *task = ctx->task;
	struct result r = {};
	corral_u64 *word;
	corral_u32 tid;

	if (!task)
		return 0;
	tid = task->pid;
	if (CORRAL_LOAD(&task->flags) & PF_EXITING) {
		visit(task, VISIT_LEAVING, 0, 0, &r);
	} else {
		word = bpf_map_lookup_elem(&words, &tid);
		if (!word)
			return 0;
		visit(task, VISIT_LIVING, word, 0, &r);
	}
	settle(&r, 0);
	return 0;
}

static long look_once(corral_u32 i, struct corral_queue_look *look)
{
	int found = look_at_dead();

	if (found == CORRAL_DEAD_NONE)
		return 1;
	look->seen++;
	if (found == CORRAL_DEAD_WAITS)
		look->waiting++;
	return 0;
}

/*
 * Some of the queue, for the daemon, which walks over one task: an iterator, since a syscall
 * program may take no spin lock on 6.1. The loop is bpf_loop's: written out, it is too much
 * for the verifier there.
 */
SEC("iter/task")
int look_at_queue(struct bpf_iter__task *ctx)
{
	struct corral_queue_look look = {};

	if (!ctx->task)
		return 0;
	bpf_loop(CORRAL_LOOKS, look_once, &look, 0);
	bpf_seq_write(ctx->meta->seq, &look, sizeof(look));
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";

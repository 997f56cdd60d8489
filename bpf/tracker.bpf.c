// SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only)
/*
 * The kernel tracker: three tracepoints, two task iterators and one syscall
 * program around task_hooks.h. Nothing here decides anything.
 */
#include "atomics.h"
#include "kernel.h"
#include "set_table.h"

/* Sizes are set by the loader: words and live from pid_max, sets from the core. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, corral_u32);
	__type(value, corral_u64);
} live SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, CORRAL_COUNTERS);
	__type(key, corral_u32);
	__type(value, corral_u64);
} counters SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 20);
} doorbell SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, corral_u32);
	__type(value, struct corral_hidden);
} hidden SEC(".maps");

#define CORRAL_TABLES void

static __always_inline corral_u64 *corral_word(void *t, corral_u32 tid)
{
	return bpf_map_lookup_elem(&words, &tid);
}

static __always_inline corral_u64 *corral_live(void *t, corral_u32 tid)
{
	corral_u32 piece = tid >> 6;

	return bpf_map_lookup_elem(&live, &piece);
}

static __always_inline struct corral_set_entry *corral_entry(void *t, corral_u32 set)
{
	return bpf_map_lookup_elem(&sets, &set);
}

static __always_inline void corral_count(void *t, corral_u32 counter)
{
	corral_count_in(&counters, counter);
}

static __always_inline int is_hidden(corral_u32 tgid)
{
	corral_u32 zero = 0, found = 0;
	struct corral_hidden *all = bpf_map_lookup_elem(&hidden, &zero);
	int i;

	if (!all || !tgid)
		return 0;
#pragma unroll
	for (i = 0; i < CORRAL_HIDDEN_MOST; i++)
		found |= all->tgids[i] == tgid;
	return found;
}

/*
 * A task that was not known has met a hook, and the miss is counted: it was adopted, or it dies.
 * (What else asks for a resync is no such miss.) Who it was is told for the log. A process whose
 * parent is hidden is expected; a thread is not, its own process makes it. Not static, so that the
 * verifier looks at it once, and not again for each path that leads here.
 */
__noinline int corral_tell_unknown(corral_u32 id)
{
	struct task_struct *task = bpf_get_current_task_btf();
	corral_u32 tid = task->pid, tgid = task->tgid, parent = task->real_parent->tgid;
	corral_u32 dies = (task->flags & PF_EXITING) != 0, owed;
	corral_u64 *word = corral_word(0, tid);
	struct corral_unknown_bell *bell;

	if (!dies && (id != tid || !word || !corral_word_alive(CORRAL_LOAD(word))))
		return 0;
	owed = is_hidden(tgid) || (tid == tgid && is_hidden(parent));
	if (owed)
		corral_count_in(&counters,
				dies ? CORRAL_HIDDEN_UNKNOWN_DEATH : CORRAL_HIDDEN_ADOPTED);
	bell = bpf_ringbuf_reserve(&doorbell, sizeof(*bell), 0);
	if (!bell)	/* the log has less to say */
		return 0;
	__builtin_memset(bell, 0, sizeof(*bell));
	bell->bell.kind = CORRAL_BELL_UNKNOWN;
	bell->bell.id = tid;
	bell->hidden = owed;
	bell->dies = dies;
	bell->tgid = tgid;
	bell->parent = parent;
	bell->start = task->start_time;
	bpf_get_current_comm(bell->comm, sizeof(bell->comm));
	bpf_ringbuf_submit(bell, 0);
	return 0;
}

/* Out of line: rare, and inlining it everywhere bloats the hooks. */
static __noinline int corral_ring_slow(corral_u32 kind, corral_u32 id)
{
	struct corral_bell *bell;

	if (kind == CORRAL_BELL_RESYNC)
		corral_tell_unknown(id);
	bell = bpf_ringbuf_reserve(&doorbell, sizeof(*bell), 0);
	if (!bell) {
		/* Count, then try again: had the daemon emptied the ring and read the
		 * counters in between, nothing would wake it for this one. */
		corral_count(0, CORRAL_MISS_RING_FULL);
		bell = bpf_ringbuf_reserve(&doorbell, sizeof(*bell), 0);
		if (!bell)
			return 0;
	}
	bell->kind = kind;
	bell->id = id;
	bpf_ringbuf_submit(bell, 0);
	return 0;
}

static __always_inline void corral_ring(void *t, corral_u32 kind, corral_u32 id)
{
	corral_ring_slow(kind, id);
}

#include "task_hooks.h"

/*
 * End of copy_process(), for every kind of task, io workers included; current is
 * the calling thread. A failed fork never comes here (spec 11.5).
 */
SEC("tp_btf/task_newtask")
int BPF_PROG(on_newtask, struct task_struct *task, unsigned long clone_flags)
{
	corral_u64 self = bpf_get_current_pid_tgid();

	if (task->pid != 0)	/* idle tasks of processors coming up */
		corral_birth(0, (corral_u32)self, self >> 32, task->pid, task->tgid);
	return 0;
}

/* The new image is in place; for a non-leader, the tids are already exchanged. */
SEC("tp_btf/sched_process_exec")
int BPF_PROG(on_exec, struct task_struct *task, int old_pid)
{
	corral_exec(0, old_pid, task->pid, task->tgid);
	return 0;
}

/* In do_exit(), PF_EXITING already set, before exit_notify() tells the parent. Files are held
 * still; memory on newer kernels (6.18), on 6.1 no more. */
SEC("tp_btf/sched_process_exit")
int BPF_PROG(on_exit, struct task_struct *task)
{
	if (task->pid != 0)
		corral_death(0, task->pid, task->tgid);
	return 0;
}

/* One atomic step for the daemon: see corral_move, corral_bury. */
SEC("syscall")
int control(struct corral_request *rq)
{
	corral_u64 seen = 0;

	switch (rq->op) {
	case CORRAL_OP_MOVE:
		rq->result = corral_move(0, rq->tid, rq->expected, rq->to, &seen);
		break;
	case CORRAL_OP_BURY:
		rq->result = corral_bury(0, rq->tid, rq->expected, &seen);
		break;
	case CORRAL_OP_ADOPT:
		rq->result = corral_adopt_known(0, rq->tid, rq->expected, rq->to, &seen);
		break;
	default:
		rq->result = -22;
	}
	rq->seen = seen;
	return 0;
}

static __always_inline corral_u32 task_state(struct task_struct *task)
{
	corral_u32 state = 0;

	if (task->flags & PF_EXITING)
		state |= CORRAL_TASK_EXITING;
	if (task->exit_state)
		state |= CORRAL_TASK_GONE;
	if (bpf_core_field_exists(task->in_execve) && BPF_CORE_READ_BITFIELD(task, in_execve))
		state |= CORRAL_TASK_IN_EXEC;
	if (task->__state & TASK_NEW)
		state |= CORRAL_TASK_NEWBORN;
	return state;
}

static __always_inline void emit(struct bpf_iter__task *ctx, struct task_struct *task,
				 corral_u64 word)
{
	struct corral_task_record record = {
		.tid = task->pid,
		.tgid = task->tgid,
		.word = word,
		.flags = task_state(task),
		.start = task->start_time,
	};

	bpf_seq_write(ctx->meta->seq, &record, sizeof(record));
}

/*
 * Seeding and repair: every live task without a live word is put in set 1. A task
 * that begins to exit meanwhile may have passed its death hook before our word was
 * there: look again and undo. A task inside exec is left to the exec hook, its
 * word may be on its way from another tid (I6); a newborn to its birth hook.
 */
SEC("iter/task")
int adopt_tasks(struct bpf_iter__task *ctx)
{
	struct task_struct *task = ctx->task;
	corral_u64 *word, seen, mine;

	if (!task)
		return 0;
	word = corral_word(0, task->pid);
	if (!word)
		return 0;
	seen = CORRAL_LOAD(word);
	if (corral_word_alive(seen))
		return 0;
	if (!task_state(task)) {
		mine = corral_make_word(task->tgid, CORRAL_SET_INITIAL);
		corral_mark_live(0, task->pid);
		if (CORRAL_CAS(word, seen, mine) == seen &&
		    (CORRAL_LOAD(&task->flags) & PF_EXITING))
			(void)CORRAL_CAS(word, mine, seen);
	}
	return 0;
}

/* Every task the machine has, with the word it has at that moment. */
SEC("iter/task")
int walk_tasks(struct bpf_iter__task *ctx)
{
	struct task_struct *task = ctx->task;
	corral_u64 *word;

	if (!task)
		return 0;
	word = corral_word(0, task->pid);
	emit(ctx, task, word ? CORRAL_LOAD(word) : 0);
	return 0;
}

/* Only those that have left their css_set and still hold memory or files. */
SEC("iter/task")
int walk_leavers(struct bpf_iter__task *ctx)
{
	struct task_struct *task = ctx->task;
	corral_u64 *word, seen;

	if (!task || !(task->flags & PF_EXITING) || task->exit_state)
		return 0;
	word = corral_word(0, task->pid);
	if (!word)
		return 0;
	seen = CORRAL_LOAD(word);
	if (!corral_word_alive(seen) && corral_word_set(seen) > CORRAL_SET_INITIAL)
		emit(ctx, task, seen);
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";

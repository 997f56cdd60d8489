/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * The atomic steps that task_hooks.h and its includers are made of, all fully ordered.
 * Every one of them comes after a CORRAL_INTERLEAVE(): schedule exploration stops
 * between any two steps, and no place can be forgotten. Without it: nothing there.
 *
 * BPF clang has __sync_* with a *used* result as its fully ordered form and no
 * __atomic_load_n; C++ has __atomic_*.
 */
#ifndef CORRAL_BPF_ATOMICS_H
#define CORRAL_BPF_ATOMICS_H

#if defined(__bpf__)
#define CORRAL_INLINE static __attribute__((always_inline)) inline
#define CORRAL_LOAD(p) (*(volatile __typeof__(*(p)) *)(p))
#define CORRAL_ADD(p, v) __sync_fetch_and_add(p, v)
#define CORRAL_AND(p, v) __sync_fetch_and_and(p, v)
#define CORRAL_OR(p, v) __sync_fetch_and_or(p, v)
#define CORRAL_XCHG(p, v) __sync_lock_test_and_set(p, v)
#define CORRAL_CAS(p, old, new) __sync_val_compare_and_swap(p, old, new)
#define CORRAL_NULL ((void *)0)
#else
#ifndef CORRAL_INTERLEAVE
#define CORRAL_INTERLEAVE() ((void)0)
#endif
#define CORRAL_INLINE static inline
#define CORRAL_LOAD(p) (CORRAL_INTERLEAVE(), __atomic_load_n(p, __ATOMIC_SEQ_CST))
#define CORRAL_ADD(p, v) (CORRAL_INTERLEAVE(), __atomic_fetch_add(p, v, __ATOMIC_SEQ_CST))
#define CORRAL_AND(p, v) (CORRAL_INTERLEAVE(), __atomic_fetch_and(p, v, __ATOMIC_SEQ_CST))
#define CORRAL_OR(p, v) (CORRAL_INTERLEAVE(), __atomic_fetch_or(p, v, __ATOMIC_SEQ_CST))
#define CORRAL_XCHG(p, v) (CORRAL_INTERLEAVE(), __atomic_exchange_n(p, v, __ATOMIC_SEQ_CST))
#define CORRAL_CAS(p, old, new) (CORRAL_INTERLEAVE(), __sync_val_compare_and_swap(p, old, new))
#define CORRAL_NULL nullptr
#endif

#endif

/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * What the CPU meter's programs share with the daemon: the bill of a css_set.
 * docs/concurrency.md, section 15, argues that every nanosecond is on one bill, once.
 */
#ifndef CORRAL_BPF_CPU_BILL_H
#define CORRAL_BPF_CPU_BILL_H

#include "shared.h"

/* Only ever added to. */
struct corral_bill {
	corral_u64 total, user, system;	/* ns */
	corral_u64 dead;	/* tasks that died in this set */
	corral_u64 paid;	/* of those, whose last nanosecond is in `total` */
};

/* What a look at a dead task of the queue found. */
enum {
	CORRAL_DEAD_NONE,	/* the queue is empty */
	CORRAL_DEAD_SETTLED,
	CORRAL_DEAD_WAITS,	/* it runs still; it is in the queue again */
};

/* What a look at the queue of dead tasks says. */
struct corral_queue_look {
	corral_u32 seen;	/* up to CORRAL_LOOKS */
	corral_u32 waiting;
};

enum {
	CORRAL_LOOKS = 64,
};

enum {
	/* Accounts of tasks in one bucket. With the load the loader allows for, more than
	 * this in one bucket is one chance in a million. */
	CORRAL_BUCKET_WAYS = 8,
};

#endif

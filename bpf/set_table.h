/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/* The counters of all css_sets (shared.h). The tracker's; its loader sets the size, and gives it to
 * other objects that read them. */
#ifndef CORRAL_BPF_SET_TABLE_H
#define CORRAL_BPF_SET_TABLE_H

#include "kernel.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, corral_u32);
	__type(value, struct corral_set_entry);
} sets SEC(".maps");

#endif

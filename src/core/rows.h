// Rows of the journal. Each kind is described once, by a function that serves for writing and for
// reading: a field that is written is read, for it is the same line. The order of the lines is the
// format, and kRowFormat its number: raise it with every change of a line. A store of another
// format is refused by name; most are given up before that, since a store belongs to one build of
// the hooks.
//
//   RowWriter writer;            RowReader reader(bytes);
//   MetaFields(writer, meta);    MetaFields(reader, meta);
#ifndef CORRAL_CORE_ROWS_H_
#define CORRAL_CORE_ROWS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "core/cgroup.h"
#include "core/cpu_ledger.h"
#include "core/release_queue.h"
#include "core/row_bytes.h"

namespace corral {

// The first byte of a key; after it a number. The order is that of taking over: hierarchies before
// their cgroups.
enum class RowKind : char {
  kMeta = 'a',
  kHierarchy = 'b',
  kCgroup = 'c',
  kSet = 'd',
  kNotification = 'e',
  kLastPath = 'f',    // the path is the row
  kAttributes = 'g',  // Attributes::Fields (attributes.h)
};

inline std::string RowKey(RowKind kind, std::uint64_t number) {
  RowWriter key;
  key.Number(number);
  return static_cast<char>(kind) + key.Take();
}

inline constexpr std::uint32_t kRowFormat = 1;

// The format of all rows, and the next of each number to be given.
struct MetaRow {
  std::uint32_t format = kRowFormat;
  std::uint64_t cgroup = 1;
  std::uint32_t hierarchy = 1;
  std::uint64_t notification = 1;
};

template <typename IO>
void MetaFields(IO& io, auto& meta) {
  io.Number(meta.format);
  io.Number(meta.cgroup);
  io.Number(meta.hierarchy);
  io.Number(meta.notification);
}

// What a hierarchy's row has beside its own fields.
struct BesideHierarchy {
  std::string subsystems;  // names, comma separated
  std::string dialect;     // its name; empty: none
  bool ended = false;      // only its notifications are left
};

template <typename IO>
void HierarchyFields(IO& io, auto& hierarchy, auto& beside) {
  io.Text(hierarchy.name);
  io.Text(beside.subsystems);
  io.Text(beside.dialect);
  io.Text(hierarchy.release_agent);
  io.Text(hierarchy.agent_user);
  io.Bits(hierarchy.built_in, hierarchy.noprefix, hierarchy.css_inherit,
          hierarchy.rules.per_emptying, hierarchy.rules.outlives_removal, beside.ended);
  io.Id(hierarchy.root.id);
  io.Time(hierarchy.cpu_at_start);
}

// A cgroup's row begins with where it is, so that a reader knows whose fields follow.
struct CgroupPlace {
  HierarchyId hierarchy;
  CgroupId parent;  // 0: it is a root, or departed
};

template <typename IO>
void CgroupPlaceFields(IO& io, auto& place) {
  io.Id(place.hierarchy);
  io.Id(place.parent);
}

// `departed`: only its notifications are left.
template <typename IO>
void CgroupFields(IO& io, auto& cgroup, auto& departed) {
  io.Text(cgroup.name);
  io.Bits(cgroup.notify_on_release, cgroup.clone_children, cgroup.releasable, cgroup.auto_remove,
          cgroup.release.unjudged, cgroup.release.settling, cgroup.release.decided,
          cgroup.shown.populated_self, departed);
  io.Number(cgroup.shown.releases);
  io.Time(cgroup.cpu.spent);
  io.Time(cgroup.cpu.spent_below);
  io.Number(cgroup.quotas.depth);
  io.Number(cgroup.quotas.descendants);
  io.List(cgroup.notice.decided, [&](auto& path) { io.Text(path); });
}

// A css_set: its tuple with the baseline of each cgroup that it is linked to, or, unlinked, who
// waits for it and whom it pays.
struct SetRow {
  struct Link {
    HierarchyId hierarchy;
    CgroupId cgroup;
    std::uint32_t judged = 0;  // ReleaseState::judged; 0 where it is unlinked
  };
  bool linked = true;
  std::vector<Link> links;
  CpuTime cpu_base;
  std::vector<CgroupId> waiting;
  std::vector<Payee> payees;
};

template <typename IO>
void SetFields(IO& io, auto& set) {
  io.Bits(set.linked);
  io.List(set.links, [&](auto& link) {
    io.Id(link.hierarchy);
    io.Id(link.cgroup);
    io.Number(link.judged);
  });
  io.Time(set.cpu_base);
  if (set.linked) return;
  io.List(set.waiting, [&](auto& cgroup) { io.Id(cgroup); });
  io.List(set.payees, [&](auto& payee) {
    io.Id(payee.cgroup);
    io.Bits(payee.below);
  });
}

template <typename IO>
void NotificationFields(IO& io, auto& waiting) {
  io.Id(waiting.cgroup);
  io.Id(waiting.hierarchy);
  io.Text(waiting.path);
}

}  // namespace corral

#endif  // CORRAL_CORE_ROWS_H_

// What outlives the process: rows written at the end of each operation, and a registry built from
// them again. Which state a crash may leave between two of them: docs/concurrency.md, 15.
//
// An operation marks what it changes; its rows are written as they are at its end, before the tree
// is unlocked, all in one transaction. So nobody can be told what is not kept. What can be
// derived is not kept: which sets are in use, who is populated, how many are settling below.
#include <algorithm>
#include <cerrno>
#include <utility>

#include "base/check.h"
#include "base/errors.h"
#include "base/log.h"
#include "core/registry.h"
#include "core/row_bytes.h"

namespace corral {
namespace {

// The first byte of a key. The order is that of taking over: hierarchies before their cgroups.
enum Kind : char {
  kMeta = 'a',
  kHierarchy = 'b',
  kCgroup = 'c',
  kSet = 'd',
  kNotification = 'e',
  kLastPath = 'f',
  kAttributes = 'g',
};

std::string Key(Kind kind, std::uint64_t number) {
  return std::string(1, kind) + RowWriter().Number(number).Take();
}

// A meter may have begun anew with the process: then its sums begin below what was kept.
CpuTime Earlier(const CpuTime& kept, const CpuTime& now) {
  return now.total < kept.total ? now : kept;
}

template <typename T>
void SortOut(std::vector<T>& all) {
  std::sort(all.begin(), all.end());
  all.erase(std::unique(all.begin(), all.end()), all.end());
}

template <typename... Bits>
std::uint64_t Pack(Bits... bits) {
  std::uint64_t packed = 0;
  int at = 0;
  ((packed |= std::uint64_t{bits} << at++), ...);
  return packed;
}

template <typename... Bits>
void Unpack(std::uint64_t packed, Bits&... bits) {
  int at = 0;
  ((bits = (packed >> at++ & 1) != 0), ...);
}

}  // namespace

Registry::Operation::Operation(Registry& registry) NO_THREAD_SAFETY_ANALYSIS : registry_(registry) {
  registry_.tree_mu_.Lock();
}

Registry::Operation::~Operation() NO_THREAD_SAFETY_ANALYSIS {
  registry_.EndLocked();
  registry_.tree_mu_.Unlock();
}

// A change that cannot be kept cannot be taken back either: it stays marked, and the next
// operation tries again. The journal knows that it is behind.
void Registry::EndLocked() {
  if (auto kept = CommitRowsLocked(); kept) {
    behind_ = false;
  } else if (!std::exchange(behind_, true)) {
    log::Error("changes cannot be kept, and would be lost with a crash: {}", kept.error().message);
  }
  if (emitted_.empty()) return;
  {
    MutexLock lock(events_mu_);
    std::move(emitted_.begin(), emitted_.end(), std::back_inserter(events_));
  }
  emitted_.clear();
  wake_();
}

// ---- writing

std::string Registry::MetaRowLocked() const {
  return RowWriter().Number(next_cgroup_).Number(next_hierarchy_).Number(next_notification_).Take();
}

std::string Registry::RowOfLocked(const Hierarchy& hierarchy, bool ended) const {
  return RowWriter()
      .Text(hierarchy.name)
      .Text(subsystems_.NamesOf(hierarchy.subsystems))
      .Text(hierarchy.dialect ? dialects_.name_of(*hierarchy.dialect) : std::string())
      .Text(hierarchy.release_agent)
      .Text(hierarchy.agent_user)
      .Number(Pack(hierarchy.built_in, hierarchy.noprefix, hierarchy.css_inherit,
                   hierarchy.rules.per_emptying, hierarchy.rules.outlives_removal, ended))
      .Number(hierarchy.root.id.value)
      .Time(hierarchy.cpu_at_start)
      .Take();
}

std::string Registry::RowOfLocked(const Cgroup& cgroup, bool departed) const {
  RowWriter row;
  row.Number(cgroup.hierarchy->id.value)
      .Number(cgroup.parent ? cgroup.parent->id.value : 0)
      .Text(cgroup.name)
      .Number(Pack(cgroup.notify_on_release, cgroup.clone_children, cgroup.releasable,
                   cgroup.auto_remove, cgroup.unjudged, cgroup.settling, cgroup.release_decided,
                   cgroup.populated_self, departed))
      .Number(cgroup.releases)
      .Time(cgroup.cpu_spent)
      .Time(cgroup.cpu_spent_below)
      .Number(cgroup.quotas.depth)
      .Number(cgroup.quotas.descendants)
      .Number(cgroup.notify_decided.size());
  for (const std::string& path : cgroup.notify_decided) row.Text(path);
  return row.Take();
}

// Its tuple, with the baseline of each cgroup that it is linked to. Nothing: it is retired.
std::optional<std::string> Registry::RowOfLocked(CssSetId set) const {
  const SetTuple tuple = sets_.TupleOf(set);
  if (tuple.empty()) return std::nullopt;
  const auto unlinked = unlinked_.find(set);
  const bool linked = unlinked == unlinked_.end();
  RowWriter row;
  row.Number(linked).Number(tuple.size());
  for (const Member& member : tuple) {
    row.Number(member.hierarchy.value).Number(member.cgroup.value);
    row.Number(linked ? (*FindLocked(member.cgroup, ENODEV))->judged.at(set) : 0);
  }
  const auto base = cpu_base_.find(set);
  row.Time(base == cpu_base_.end() ? CpuTime{} : base->second);
  if (linked) return row.Take();
  row.Number(unlinked->second.waiting.size());
  for (const CgroupId id : unlinked->second.waiting) row.Number(id.value);
  row.Number(unlinked->second.payees.size());
  for (const Payee& payee : unlinked->second.payees) {
    row.Number(payee.cgroup.value).Number(payee.below);
  }
  return row.Take();
}

// A hierarchy's row stays until its last notification is through: it says which agent.
bool Registry::IsOwedLocked(HierarchyId id) const {
  return std::any_of(notifications_.begin(), notifications_.end(),
                     [&](const auto& entry) { return entry.second.hierarchy == id; });
}

Result<void> Registry::CommitRowsLocked() {
  if (!journal_ || marked_.empty()) return {};
  std::vector<Journal::Change> changes;
  std::vector<HierarchyId> owed;
  if (std::string meta = MetaRowLocked(); meta != kept_meta_) {
    changes.push_back({Key(kMeta, 0), std::move(meta)});
  }
  SortOut(marked_.hierarchies);
  for (const HierarchyId id : marked_.hierarchies) {
    const auto live = hierarchies_.find(id);
    const auto ended = ended_.find(id);
    std::optional<std::string> row;
    if (live != hierarchies_.end()) row = RowOfLocked(*live->second, /*ended=*/false);
    if (ended != ended_.end()) row = RowOfLocked(*ended->second, /*ended=*/true);
    if (!row && IsOwedLocked(id)) {
      owed.push_back(id);
    } else {
      changes.push_back({Key(kHierarchy, id.value), std::move(row)});
    }
  }
  SortOut(marked_.cgroups);
  for (const CgroupId id : marked_.cgroups) {
    const auto live = cgroups_.find(id);
    const auto departed = departed_.find(id);
    std::optional<std::string> row;
    if (live != cgroups_.end()) row = RowOfLocked(*live->second, /*departed=*/false);
    if (departed != departed_.end()) row = RowOfLocked(*departed->second, /*departed=*/true);
    if (live == cgroups_.end()) changes.push_back({Key(kAttributes, id.value), std::nullopt});
    changes.push_back({Key(kCgroup, id.value), std::move(row)});
  }
  SortOut(marked_.sets);
  for (const CssSetId set : marked_.sets) {
    changes.push_back({Key(kSet, set.value), RowOfLocked(set)});
  }
  SortOut(marked_.notifications);
  for (const std::uint64_t number : marked_.notifications) {
    const auto waiting = notifications_.find(number);
    std::optional<std::string> row;
    if (waiting != notifications_.end()) {
      row = RowWriter()
                .Number(waiting->second.cgroup.value)
                .Number(waiting->second.hierarchy.value)
                .Text(waiting->second.path)
                .Take();
    }
    changes.push_back({Key(kNotification, number), std::move(row)});
  }
  SortOut(marked_.last_paths);
  for (const CgroupId id : marked_.last_paths) {
    const auto path = last_paths_.find(id);
    changes.push_back({Key(kLastPath, id.value),
                       path == last_paths_.end() ? std::nullopt : std::optional(path->second)});
  }
  SortOut(marked_.attributes);
  for (const CgroupId id : marked_.attributes) {
    const auto live = cgroups_.find(id);
    if (live == cgroups_.end()) continue;  // gone, and so is its row
    changes.push_back({Key(kAttributes, id.value), live->second->attributes.Row()});
  }
  if (auto done = journal_->Commit(changes); !done) return done;
  if (changes.front().key.front() == kMeta) kept_meta_ = *changes.front().value;
  marked_ = {};
  marked_.hierarchies = std::move(owed);
  return {};
}

// ---- taking over

Result<void> Registry::Keep(Journal& journal, DialectNames dialects) {
  Operation lock(*this);
  CORRAL_CHECK(!callbacks_);  // somebody was told of tasks whose css are not known yet
  dialects_ = std::move(dialects);
  auto read = journal.ForEach([&](std::string_view key, std::string_view value)
                                  REQUIRES(tree_mu_) { return TakeRowLocked(key, value); });
  if (!read) return read;
  kept_meta_ = MetaRowLocked();
  journal_ = &journal;
  TakeStockLocked();
  return {};
}

Result<void> Registry::TakeRowLocked(std::string_view key, std::string_view value) {
  RowReader number(key.empty() ? key : key.substr(1));
  const std::uint64_t id = number.Number();
  Result<void> taken = Fail(EBADMSG, "its key is unknown");
  if (number.good()) {
    RowReader row(value);
    switch (key.front()) {
      case kMeta:
        next_cgroup_ = row.Number();
        next_hierarchy_ = static_cast<std::uint32_t>(row.Number());
        next_notification_ = row.Number();
        taken = {};
        break;
      case kHierarchy:
        taken = TakeHierarchyLocked(HierarchyId{static_cast<std::uint32_t>(id)}, row);
        break;
      case kCgroup: taken = TakeCgroupLocked(CgroupId{id}, row); break;
      case kSet: taken = TakeSetLocked(CssSetId{static_cast<std::uint32_t>(id)}, row); break;
      case kNotification: taken = TakeNotificationLocked(id, row); break;
      case kLastPath: last_paths_[CgroupId{id}] = value; return {};
      case kAttributes:
        taken = {};
        if (auto cgroup = FindLocked(CgroupId{id}, ENOENT)) {
          (*cgroup)->attributes = Attributes::FromRow(row);
          break;
        }
        return {};  // of none: its cgroup is gone
      default: break;
    }
    if (taken && !row.good()) taken = Fail(EBADMSG, "it has too few or too many bytes");
  }
  if (taken) return taken;
  return Fail(taken.error().code, "row {:?}: {}", key, taken.error().message);
}

Result<void> Registry::TakeHierarchyLocked(HierarchyId id, RowReader& row) {
  auto hierarchy = std::make_unique<Hierarchy>();
  hierarchy->id = id;
  hierarchy->name = row.Text();
  const std::string subsystems = row.Text();
  const std::string dialect = row.Text();
  hierarchy->release_agent = row.Text();
  hierarchy->agent_user = row.Text();
  bool ended = false;
  Unpack(row.Number(), hierarchy->built_in, hierarchy->noprefix, hierarchy->css_inherit,
         hierarchy->rules.per_emptying, hierarchy->rules.outlives_removal, ended);
  hierarchy->root.id = CgroupId{row.Number()};
  hierarchy->cpu_at_start = Earlier(row.Time(), MachineCpuTime());
  hierarchy->root.hierarchy = hierarchy.get();
  hierarchy->root.populated_self = true;
  if (!dialect.empty()) {
    hierarchy->dialect = dialects_.find(dialect);
    if (!hierarchy->dialect) return Fail(EBADMSG, "no dialect {:?}", dialect);
  }
  if (ended) {
    ended_.emplace(id, std::move(hierarchy));
    return {};
  }
  for (std::size_t begin = 0; begin < subsystems.size();) {
    const std::size_t end = std::min(subsystems.find(',', begin), subsystems.size());
    const std::string name = subsystems.substr(begin, end - begin);
    const auto subsystem = subsystems_.Find(name);
    begin = end + 1;
    if (!subsystem) {
      return Fail(ENODEV,
                  "hierarchy '{}' is bound to subsystem '{}', which is not here; start "
                  "corrald with the plug-in that has it (--plugin)",
                  hierarchy->name, name);
    }
    hierarchy->subsystems |= SubsystemSet{1} << *subsystem;
  }
  if (auto bound = subsystems_.Bind(hierarchy->subsystems, id, hierarchy->root.id); !bound) {
    return bound;
  }
  hierarchy->root.css = subsystems_.Roots(hierarchy->subsystems);
  cgroups_.emplace(hierarchy->root.id, &hierarchy->root);
  hierarchies_.emplace(id, std::move(hierarchy));
  return {};
}

// Parents have lower ids than their children, so they are there already.
Result<void> Registry::TakeCgroupLocked(CgroupId id, RowReader& row) {
  const HierarchyId in{static_cast<std::uint32_t>(row.Number())};
  const CgroupId parent_id{row.Number()};
  const auto live = hierarchies_.find(in);
  const auto ended = ended_.find(in);
  Hierarchy* const hierarchy = live != hierarchies_.end() ? live->second.get()
                               : ended != ended_.end()    ? ended->second.get()
                                                          : nullptr;
  if (!hierarchy) return Fail(EBADMSG, "it is in hierarchy {}, which is not there", in.value);
  auto made = std::make_unique<Cgroup>();
  const bool is_root = hierarchy->root.id == id;
  Cgroup& cgroup = is_root ? hierarchy->root : *made;
  cgroup.id = id;
  cgroup.hierarchy = hierarchy;
  cgroup.name = row.Text();
  bool settling = false;
  bool departed = false;
  Unpack(row.Number(), cgroup.notify_on_release, cgroup.clone_children, cgroup.releasable,
         cgroup.auto_remove, cgroup.unjudged, settling, cgroup.release_decided,
         cgroup.populated_self, departed);
  cgroup.releases = row.Number();
  cgroup.cpu_spent = row.Time();
  cgroup.cpu_spent_below = row.Time();
  cgroup.quotas.depth = row.Number();
  cgroup.quotas.descendants = row.Number();
  for (std::uint64_t left = row.Count(); left != 0; --left) {
    cgroup.notify_decided.push_back(row.Text());
  }
  if (settling) settling_.push_back(id);
  if (is_root) return {};
  if (departed) {
    cgroup.settling = true;
    ++hierarchy->waiting;
    departed_.emplace(id, std::move(made));
    return {};
  }
  const auto parent = cgroups_.find(parent_id);
  if (parent == cgroups_.end() || parent->second->hierarchy != hierarchy ||
      parent->second->children.contains(cgroup.name)) {
    return Fail(EBADMSG, "it cannot be in cgroup {}", parent_id.value);
  }
  cgroup.parent = parent->second;
  cgroup.level = cgroup.parent->level + 1;
  cgroup.bound = cgroup.parent->nearest_bound();
  auto css = subsystems_.Create(cgroup.parent->css, id, hierarchy->css_inherit,
                                cgroup.parent->clone_children);
  if (!css) return Fail(css.error());
  cgroup.css = std::move(*css);
  cgroup.settling = settling;
  cgroups_.emplace(id, &cgroup);
  cgroup.parent->by_age.emplace(id, &cgroup);
  cgroup.parent->children.emplace(cgroup.name, std::move(made));
  return {};
}

// Every set is in use until it was looked at.
Result<void> Registry::TakeSetLocked(CssSetId set, RowReader& row) {
  const bool linked = row.Number() != 0;
  SetTuple tuple;
  for (std::uint64_t left = row.Count(); left != 0; --left) {
    const HierarchyId hierarchy{static_cast<std::uint32_t>(row.Number())};
    const CgroupId id{row.Number()};
    const auto leaves = static_cast<std::uint32_t>(row.Number());
    tuple.push_back({hierarchy, id});
    if (!linked) continue;
    auto cgroup = TRY(FindLocked(id, EBADMSG));
    cgroup->judged[set] = leaves;
    cgroup->in_use.insert(set);
    if (tracker_.Count(set).count != 0) cgroup->populated_self = true;
  }
  const CpuTime base = row.Time();
  if (meter_) cpu_base_[set] = Earlier(base, meter_->Charged(set));
  if (auto taken = sets_.TakeOver(set, tuple, linked); !taken) return taken;
  if (linked) return {};
  Unlinked& unlinked = unlinked_[set];
  unlinked.serial = ++unlinked_serial_;
  for (std::uint64_t left = row.Count(); left != 0; --left) {
    const CgroupId id{row.Number()};
    unlinked.waiting.push_back(id);
    if (Cgroup* const cgroup = FindSettlingLocked(id)) cgroup->ghosts.insert(set);
  }
  for (std::uint64_t left = row.Count(); left != 0; --left) {
    const CgroupId id{row.Number()};
    unlinked.payees.push_back({id, row.Number() != 0});
  }
  return {};
}

// One that was being started when the process died is told again (spec 10.9). Should its cgroup
// have been queued anew meanwhile, that is one telling (spec 10.7).
Result<void> Registry::TakeNotificationLocked(std::uint64_t number, RowReader& row) {
  Waiting waiting;
  waiting.number = number;
  waiting.cgroup = CgroupId{row.Number()};
  waiting.hierarchy = HierarchyId{static_cast<std::uint32_t>(row.Number())};
  waiting.path = row.Text();
  const auto live = hierarchies_.find(waiting.hierarchy);
  const auto ended = ended_.find(waiting.hierarchy);
  if (live == hierarchies_.end() && ended == ended_.end()) {
    return Fail(EBADMSG, "it is of hierarchy {}, which is not there", waiting.hierarchy.value);
  }
  Hierarchy& hierarchy = live != hierarchies_.end() ? *live->second : *ended->second;
  if (const auto cgroup = cgroups_.find(waiting.cgroup); cgroup != cgroups_.end()) {
    const bool again = std::exchange(cgroup->second->queued, true);
    if (again && !hierarchy.rules.per_emptying) {
      marked_.notifications.push_back(number);
      return {};
    }
  }
  ++hierarchy.waiting;
  notifications_.emplace(number, waiting);
  queue_.Push(std::move(waiting));
  return {};
}

// All rows are read: what is derived from them, and what happened while nobody looked.
void Registry::TakeStockLocked() {
  sets_.TakenOver();
  std::vector<Cgroup*> all;
  for (const auto& [id, cgroup] : cgroups_) all.push_back(cgroup);
  std::sort(all.begin(), all.end(), [](auto* a, auto* b) { return a->id > b->id; });
  for (Cgroup* const cgroup : all) {  // children before their parents
    if (!cgroup->parent) continue;
    if (cgroup->populated()) ++cgroup->parent->populated_children;
    cgroup->parent->descendants += cgroup->descendants + 1;
  }
  for (Cgroup* const cgroup : all) {
    JudgeLocked(*cgroup);
    // Told as released, and the looker died before it removed it.
    const bool idle = !cgroup->populated() && !cgroup->settling && cgroup->children.empty();
    if (cgroup->auto_remove && cgroup->releases != 0 && idle) {
      EmitLocked(Event::Kind::kReleased, *cgroup);
    }
  }
}

}  // namespace corral

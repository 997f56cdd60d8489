// The registry's side of subsystems (spec 13): registration, references, and what they may ask.
#include <cerrno>
#include <utility>

#include "base/errors.h"
#include "core/registry.h"

namespace corral {

// ---- what a subsystem may ask

class Registry::Hold final : public TreeHold {
 public:
  explicit Hold(Registry& registry) NO_THREAD_SAFETY_ANALYSIS : registry_(registry) {
    registry_.tree_mu_.Lock();
  }
  ~Hold() override NO_THREAD_SAFETY_ANALYSIS { registry_.tree_mu_.Unlock(); }

  std::vector<Tid> Tasks(const Css& css) const override NO_THREAD_SAFETY_ANALYSIS {
    auto found = registry_.FindLocked(css.cgroup(), ENODEV);
    if (!found) return {};
    return registry_.TasksAt((*found)->hierarchy->id, (*found)->place());
  }
  std::vector<std::shared_ptr<Css>> Children(const Css& css) const override
      NO_THREAD_SAFETY_ANALYSIS {
    std::vector<std::shared_ptr<Css>> children;
    auto found = registry_.FindLocked(css.cgroup(), ENODEV);
    if (!found) return children;
    const CssList& own = (*found)->css;
    for (std::size_t i = 0; i < own.size(); ++i) {
      if (own[i].get() != &css) continue;
      for (const auto& [name, child] : (*found)->children) children.push_back(child->css[i]);
    }
    return children;
  }

 private:
  Registry& registry_;
};

class Registry::RegistryGroups final : public Groups {
 public:
  explicit RegistryGroups(Registry& registry) : registry_(registry) {}

  std::vector<Tid> Tasks(const Css& css) const override {
    return registry_.Tasks(css.cgroup()).value_or(std::vector<Tid>());
  }
  std::vector<Tid> SubtreeTasks(const Css& css) const override {
    std::vector<Tid> tids;
    for (const TaskMember& task : Members(css)) tids.push_back(task.tid);
    return tids;
  }
  std::vector<Tgid> SubtreeProcesses(const Css& css) const override {
    return ProcessesOf(Members(css));
  }
  std::string PathOf(const Css& css) const override {
    return registry_.PathOf(css.cgroup()).value_or("");
  }
  std::unique_ptr<TreeHold> HoldTree() override { return std::make_unique<Hold>(registry_); }
  Result<CgroupId> Clone(Subsystem& subsystem, Tid task) override {
    for (const SubsystemInfo& info : registry_.Subsystems()) {
      if (info.name == subsystem.name()) return registry_.Clone(info.hierarchy, task);
    }
    return Fail(ENOENT, "subsystem {} is not registered", subsystem.name());
  }
  Result<void> LimitTasks(Css& css, std::uint64_t max) override {
    return registry_.LimitTasks(css, max);
  }
  std::uint64_t RefusedBirths(const Css& css) const override {
    return registry_.RefusedBirths(css.cgroup());
  }
  Result<std::uint64_t> TasksLetIn(const Css& css) const override {
    return registry_.TasksLetIn(css);
  }
  std::string Describe(const Css& css) const override {
    return registry_.DescribeSets(css.cgroup());
  }
  Result<CpuTime> CpuTimeOf(const Css& css, bool subtree) override {
    return registry_.CpuTimeOf(css.cgroup(), subtree);
  }
  Result<std::unordered_map<CgroupId, CpuTime>> CpuTimes(const Css& top) override {
    const auto times = TRY(registry_.CpuTimesBelow(top.cgroup()));
    std::unordered_map<CgroupId, CpuTime> own;
    for (const auto& [id, time] : times) own.emplace(id, time.own);
    return own;
  }

 private:
  std::vector<TaskMember> Members(const Css& css) const {
    return registry_.SubtreeTasks(css.cgroup()).value_or(std::vector<TaskMember>());
  }

  Registry& registry_;
};

// ---- references (spec 13.5)

// Pushed by whoever puts, without a lock; taken all at once.
struct Registry::PutNote {
  CgroupId cgroup;
  PutNote* next;
};

Registry::Registry(Tracker& tracker, std::function<void()> wake)
    : tracker_(tracker),
      wake_(std::move(wake)),
      groups_(std::make_unique<RegistryGroups>(*this)),
      sets_(tracker, [this](const SetTuple& tuple)
                         NO_THREAD_SAFETY_ANALYSIS { return CssOfLocked(tuple); }) {}

Registry::~Registry() {
  for (std::size_t i = 0; const auto subsystem = SubsystemAt(i); ++i) {
    GuardedTell(*subsystem, "Stop", [&] { subsystem->Stop(); });
  }
  if (callbacks_) (void)tracker_.Listen(nullptr);
  for (PutNote* note = puts_.exchange(nullptr); note;) delete std::exchange(note, note->next);
}

void Registry::LastPut(CgroupId cgroup) {
  auto* const note = new PutNote{cgroup, puts_.load()};
  while (!puts_.compare_exchange_weak(note->next, note)) {
  }
  wake_();
}

// A last reference that went is a leave like any other (spec 10.1): to be judged.
void Registry::TakePutsLocked() {
  if (puts_.load() == nullptr) return;
  for (PutNote* note = puts_.exchange(nullptr); note;) {
    if (auto cgroup = FindLocked(note->cgroup, ENODEV); cgroup && (*cgroup)->parent) {
      (*cgroup)->unjudged = true;
      MarkLocked(**cgroup);
      put_.push_back(note->cgroup);
    }
    delete std::exchange(note, note->next);
  }
}

void Registry::JudgePutsLocked() {
  TakePutsLocked();
  for (const CgroupId id : std::exchange(put_, {})) {
    if (auto cgroup = FindLocked(id, ENODEV)) JudgeLocked(**cgroup);
  }
}

// ---- registration and looks

Result<void> Registry::Register(std::shared_ptr<Subsystem> subsystem, Births births) {
  Operation lock(*this);
  const bool wants_forks = subsystem->WantsForks();
  const bool now = wants_forks && births == Births::kToldNow;
  if (now) {
    if (auto listening = ListenLocked(); !listening) return listening;
  }
  auto registered = subsystems_.Register(std::move(subsystem), *groups_, *this);
  if (registered && wants_forks) untold_.push_back(subsystems_.slots().size() - 1);
  if (registered && now) TellUntoldLocked();
  if (!registered && now && callbacks_->empty()) {
    (void)tracker_.Listen(nullptr);
    callbacks_.reset();
  }
  return registered;
}

Result<void> Registry::TellOfBirths() {
  Operation lock(*this);
  if (untold_.empty()) return {};
  if (auto listening = ListenLocked(); !listening) return listening;
  TellUntoldLocked();
  return {};
}

// REQUIRES: ListenLocked().
void Registry::TellUntoldLocked() {
  const auto still = tracker_.HoldTasks();
  for (const std::size_t number : std::exchange(untold_, {})) {
    const SubsystemTable::Slot& slot = subsystems_.slots()[number];
    callbacks_->Add(slot.subsystem, number, slot.root);
  }
}

Result<void> Registry::ListenLocked() {
  if (callbacks_) return {};
  auto callbacks = std::make_unique<TaskCallbacks>(sets_);
  if (auto listening = tracker_.Listen(callbacks.get()); !listening) return listening;
  callbacks_ = std::move(callbacks);
  return {};
}

std::vector<SubsystemInfo> Registry::Subsystems() const {
  MutexLock lock(tree_mu_);
  std::vector<SubsystemInfo> all;
  for (const SubsystemTable::Slot& slot : subsystems_.slots()) {
    SubsystemInfo info{.name = std::string(slot.subsystem->name()), .hierarchy = slot.bound};
    if (auto hierarchy = FindHierarchyLocked(slot.bound)) info.cgroups = (*hierarchy)->cgroups();
    all.push_back(std::move(info));
  }
  return all;
}

std::optional<std::size_t> Registry::FindSubsystem(std::string_view name) const {
  MutexLock lock(tree_mu_);
  return subsystems_.Find(name);
}

std::vector<std::string> Registry::SubsystemNames() const {
  MutexLock lock(tree_mu_);
  std::vector<std::string> names;
  for (const auto& slot : subsystems_.slots()) names.emplace_back(slot.subsystem->name());
  return names;
}

SubsystemSet Registry::AllSubsystems() const {
  MutexLock lock(tree_mu_);
  return subsystems_.All();
}

std::string Registry::NamesOf(SubsystemSet subsystems) const {
  MutexLock lock(tree_mu_);
  return subsystems_.NamesOf(subsystems);
}

std::shared_ptr<Subsystem> Registry::SubsystemAt(std::size_t number) const {
  MutexLock lock(tree_mu_);
  return number < subsystems_.slots().size() ? subsystems_.slots()[number].subsystem : nullptr;
}

std::shared_ptr<Css> Registry::CssOf(CgroupId id, std::size_t subsystem) const {
  MutexLock lock(tree_mu_);
  auto found = FindLocked(id, ENODEV);
  return found && subsystem < (*found)->css.size() ? (*found)->css[subsystem] : nullptr;
}

// For developers: every css_set of a cgroup, its counter, and its other cgroups.
std::string Registry::DescribeSets(CgroupId id) const {
  MutexLock lock(tree_mu_);
  auto found = FindLocked(id, ENODEV);
  if (!found) return {};
  const Cgroup& cgroup = **found;
  const auto line = [&](CssSetId set, std::string_view state) REQUIRES(tree_mu_) {
    const SetCount count = tracker_.Count(set);
    std::string text = fmt::format("css_set {} {} count {} leaves {}", set.value, state,
                                   count.count, count.leaves);
    for (const Member& member : sets_.TupleOf(set)) {
      const auto other = FindLocked(member.cgroup, ENODEV);
      text += fmt::format(" {}:{}", member.hierarchy.value,
                          other ? ShownPath(**other) : std::string("(removed)"));
    }
    return text + "\n";
  };
  std::string text;
  for (const auto& [set, leaves] : cgroup.judged) {
    text += line(set, cgroup.in_use.contains(set) ? "in-use" : "idle");
  }
  for (const CssSetId set : cgroup.ghosts) text += line(set, "leaving");
  return text;
}

// ---- clone (spec 13.7)

Result<CgroupId> Registry::Clone(HierarchyId id, Tid tid) {
  Operation lock(*this);
  auto hierarchy = FindHierarchyLocked(id);
  if (!hierarchy) return Fail(hierarchy.error());
  const auto still = tracker_.HoldTasks();
  const auto place = TRY(tracker_.Describe(tid));
  Cgroup& parent = CgroupInLocked(**hierarchy, sets_.PlaceIn(place.set, id));
  std::string name = fmt::format("task_{}", tid.value);
  for (int again = 2; parent.children.contains(name); ++again) {
    name = fmt::format("task_{}_{}", tid.value, again);
  }
  auto made = MkdirLocked(parent, name, {}, /*clone=*/true);
  if (!made) return Fail(made.error());
  std::vector<Moved> moved;
  auto done = CheckMayGoLocked(**made, place.tgid);
  if (done) done = MoveTaskLocked(**made, tid, place.tgid, nullptr, &moved);
  done = FinishLocked(**made, std::move(done), moved, {});
  const CgroupId child = (*made)->id;
  if (done) return child;
  // Nothing of it stays, and nobody is told: it never was there for anybody, nor had a task.
  TRY(CloseLocked(**made));
  for (const CssSetId ghost : (*made)->ghosts) AddGhostLocked(parent, ghost);
  (void)TakeOutLocked(**made);
  wake_();
  return Fail(done.error());
}

}  // namespace corral

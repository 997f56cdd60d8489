#include "trackers/bpf/task_limiter.h"

#include <algorithm>
#include <atomic>
#include <cerrno>

#include "base/errors.h"
#include "base/log.h"
#include "base/security_modules.h"
#include "task_limits.skel.h"
#include "trackers/tables.h"

namespace corral {
namespace {

// Loading such a program says nothing: without the BPF LSM it loads on some kernels, attaches, and
// is never called.
bool BpfLsmIsOn() { return ListsModule(SecurityModules(), "bpf"); }

// What loading or attaching a program fails with that this kernel does not take.
bool KernelCannot(int error) {
  constexpr int kAnswers[] = {EINVAL, EPERM, EACCES, ENOENT, ESRCH, ENOTSUP, EOPNOTSUPP};
  return std::ranges::find(kAnswers, error) != std::end(kAnswers);
}

}  // namespace

Result<std::unique_ptr<TaskLimiter>> TaskLimiter::Create(int words, int sets,
                                                         std::uint32_t set_capacity) {
  Result<void> loaded;
  for (const BirthControl control : {BirthControl::kRefuses, BirthControl::kKills}) {
    if (control == BirthControl::kRefuses && !BpfLsmIsOn()) continue;
    std::unique_ptr<TaskLimiter> limiter(new TaskLimiter(set_capacity));
    loaded = limiter->Load(control, words, sets);
    if (loaded) return limiter;
    if (!KernelCannot(loaded.error().code)) break;
    if (control == BirthControl::kRefuses) {
      log::Warn("the BPF LSM is on, but {}: births beyond a limit are killed, not refused",
                loaded.error().message);
    }
  }
  return Fail(KernelCannot(loaded.error().code) ? ENOTSUP : loaded.error().code,
              "births are not limited: {}", loaded.error().message);
}

Result<void> TaskLimiter::Load(BirthControl control, int words, int sets) {
  skeleton_ = TRY(OpenSkeleton<task_limits_bpf>("the limits'"));
  auto& maps = skeleton_->maps;
  for (bpf_map* map : {maps.limits, maps.limited, maps.innermost}) {
    bpf_map__set_max_entries(map, 2 * capacity_);
  }
  bpf_map__set_max_entries(maps.refused, capacity_);
  skeleton_->rodata->capacity = capacity_;
  bpf_program__set_autoload(skeleton_->progs.limit_refuse, control == BirthControl::kRefuses);
  // A birth that is refused leaves no newborn.
  const bool kills = control == BirthControl::kKills;
  bpf_program__set_autoload(skeleton_->progs.limit_kill, kills);
  bpf_program__set_autoload(skeleton_->progs.walk_not_let_in, kills);
  bpf_map__set_autocreate(maps.stopped, kills);
  int error = bpf_map__reuse_fd(maps.words, words);
  if (error == 0) error = bpf_map__reuse_fd(maps.sets, sets);
  if (error == 0) error = task_limits_bpf::load(skeleton_.get());
  if (error != 0) return FailErrno(-error, "the program is refused");
  control_ = control;
  if (kills) walk_.reset(bpf_program__attach(skeleton_->progs.walk_not_let_in));
  if (kills && !walk_) return FailErrno("cannot attach a task iterator");
  TRY(Map());
  // Whether it can be attached is known only by doing it.
  TRY(AttachIf(true));
  return AttachIf(false);
}

Result<void> TaskLimiter::Map() {
  const auto& maps = skeleton_->maps;
  tables_.generation = TRY(MapArray<std::uint64_t>(maps.generation));
  tables_.limits = TRY(MapArray<corral_task_limit>(maps.limits));
  tables_.limited = TRY(MapArray<std::uint64_t>(maps.limited));
  tables_.innermost = TRY(MapArray<std::uint64_t>(maps.innermost));
  tables_.refused = TRY(MapArray<const std::uint64_t>(maps.refused));
  tables_.let_through = TRY(MapArray<const std::uint64_t>(maps.let_through));
  return {};
}

TaskLimiter::TaskLimiter(std::uint32_t capacity) : capacity_(capacity) {}
TaskLimiter::~TaskLimiter() = default;

Result<void> TaskLimiter::AttachIf(bool wanted) {
  if (wanted == (link_ != nullptr)) return {};
  link_.reset();
  if (!wanted) return {};
  link_.reset(bpf_program__attach(control_ == BirthControl::kRefuses
                                      ? skeleton_->progs.limit_refuse
                                      : skeleton_->progs.limit_kill));
  if (!link_) return FailErrno("the program cannot be attached");
  return {};
}

// The half that is not in force is filled, then the generation goes on. Who reads the old half
// meanwhile is done with it, or notices, before it is filled again.
Result<void> TaskLimiter::Set(const TaskLimits& all) {
  if (all.limits.size() > capacity_ || all.sets.size() > capacity_) {
    return Fail(ENOSPC, "no room for {} limits on {} css_sets", all.limits.size(), all.sets.size());
  }
  if (!all.limits.empty()) TRY(AttachIf(true));  // before anything is changed
  const std::uint64_t next = *tables_.generation + 1;
  std::atomic_thread_fence(std::memory_order_seq_cst);  // the last generation, then what it left
  const std::size_t half = next & 1 ? capacity_ : 0;
  for (std::size_t i = 0; i < all.limits.size(); ++i) {
    const TaskLimit& limit = all.limits[i];
    tables_.limits[half + i] = {.max = limit.max,
                                .number = limit.number,
                                .outer = limit.outer,
                                .first = limit.first,
                                .end = limit.end};
  }
  std::vector<CssSetId>& limited = limited_[next & 1];
  for (const CssSetId set : limited) tables_.innermost[half + set.value] = 0;
  limited.clear();
  for (std::size_t i = 0; i < all.sets.size(); ++i) {
    const auto& [set, innermost] = all.sets[i];
    tables_.limited[half + i] = set.value;
    tables_.innermost[half + set.value] = innermost;
    limited.push_back(set);
  }
  __atomic_store_n(tables_.generation.get(), next, __ATOMIC_SEQ_CST);
  return all.limits.empty() ? AttachIf(false) : Result<void>();
}

std::uint64_t TaskLimiter::Refused(std::uint32_t number) const {
  return number < capacity_ ? ::corral::Load(tables_.refused[number]) : 0;
}

Result<std::vector<Tid>> TaskLimiter::NotLetIn() const {
  if (!walk_) return std::vector<Tid>();
  const auto tids = TRY(RecordsOf<std::uint32_t>(bpf_link__fd(walk_.get())));
  std::vector<Tid> all;
  for (const std::uint32_t tid : tids) all.push_back(Tid{tid});
  return all;
}

std::uint64_t TaskLimiter::LetThrough() const { return ::corral::Load(*tables_.let_through); }

}  // namespace corral

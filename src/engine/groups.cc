// Hierarchies, subsystems, their files, and waiting.
#include <algorithm>
#include <cerrno>
#include <chrono>

#include "base/errors.h"
#include "base/event_fd.h"
#include "base/poll.h"
#include "core/foreign_calls.h"
#include "engine/engine_core.h"

namespace corral {

Result<void> EngineCore::Register(std::shared_ptr<Subsystem> subsystem) {
  if (!subsystem) return Fail(EINVAL, "no subsystem");
  TRY(registry_.Register(subsystem));
  const std::size_t number = registry_.FindSubsystem(subsystem->name()).value();
  MutexLock lock(files_mu_);
  for (SubsystemFile& file : FilesOf(*subsystem)) {
    std::string name = fmt::format("{}.{}", subsystem->name(), file.name);
    files_[std::move(name)] =
        std::make_shared<AddedFile>(AddedFile{.subsystem = number, .file = std::move(file)});
  }
  return {};
}

Result<CgroupId> EngineCore::CreateHierarchy(HierarchySpec spec) {
  if (spec.name.empty()) return Fail(EINVAL, "a hierarchy needs a name");
  SubsystemSet subsystems = 0;
  for (const std::string& name : spec.subsystems) {
    const auto number = registry_.FindSubsystem(name);
    if (!number) return Fail(ENOENT, "no subsystem '{}' is registered", name);
    subsystems |= SubsystemSet{1} << *number;
  }
  auto id = TRY(registry_.CreateHierarchy(
      {.name = spec.name,
       .subsystems = subsystems,
       // Each emptying by itself, also of a group that is removed meanwhile.
       .rules = {.per_emptying = true, .outlives_removal = true}}));
  {
    MutexLock lock(told_mu_);
    told_[id] = std::make_shared<HierarchySpec>(std::move(spec));
  }
  const CgroupId root = registry_.Root(id).value();
  (void)registry_.SetNotifyOnRelease(root, true);  // every group below inherits it
  return root;
}

Result<void> EngineCore::WithFile(
    CgroupId group, std::string_view name,
    const std::function<Result<void>(const SubsystemFile&, FileUse&)>& use) {
  using Where = SubsystemFile::Where;
  std::shared_ptr<const AddedFile> added;
  {
    MutexLock lock(files_mu_);
    const auto found = files_.find(name);
    if (found != files_.end()) added = found->second;
  }
  const auto facts = registry_.Facts(group);
  if (!facts) return Fail(ENODEV, "the group is gone");
  const Where nowhere = facts->is_root() ? Where::kNotTop : Where::kTopOnly;
  if (!added || !Has(facts->subsystems, added->subsystem) || added->file.where == nowhere) {
    return Fail(ENOENT, "no file '{}' here", name);
  }
  FileUse opened{.css = registry_.CssOf(group, added->subsystem), .state = {}};
  if (!opened.css) return Fail(ENODEV, "the group is gone");
  const SubsystemFile& file = added->file;
  return CallForeign([&] { return std::string(name); },
                     [&]() -> Result<void> {
                       if (file.open) TRY(file.open(opened));
                       auto used = use(file, opened);
                       if (file.release) file.release(opened);
                       return used;
                     });
}

Result<std::string> EngineCore::Read(CgroupId group, std::string_view name) {
  std::string content;
  TRY(WithFile(group, name, [&](const SubsystemFile& file, FileUse& use) -> Result<void> {
    if (!file.read && !file.number) return Fail(EINVAL, "'{}' cannot be read", name);
    if (file.read) {
      content = TRY(file.read(use));
    } else {
      content = fmt::format("{}\n", TRY(file.number(use)));
    }
    return {};
  }));
  return content;
}

Result<void> EngineCore::Write(CgroupId group, std::string_view name, std::string_view bytes) {
  return WithFile(group, name, [&](const SubsystemFile& file, FileUse& use) -> Result<void> {
    if (!file.write) return Fail(EINVAL, "'{}' cannot be written", name);
    return file.write(use, bytes);
  });
}

// Registered before it looks (Waiters).
Result<void> EngineCore::WaitEmpty(CgroupId group, std::chrono::milliseconds timeout) {
  using Clock = std::chrono::steady_clock;
  using std::chrono::milliseconds;
  if (OnOwnThread()) return Fail(EDEADLK, "on_release would wait for itself");
  if (registry_.IsRoot(group)) return Fail(EINVAL, "a root is never empty");
  const bool for_ever = timeout == milliseconds::max();
  const auto end = Clock::now() + (for_ever ? milliseconds{} : timeout);
  EventFd changed;
  Waiters::Entry entry(waiters_, group, changed);
  for (;;) {
    changed.Reset();
    const auto events = registry_.Events(group);
    if (!events) return Fail(ENODEV, "the group is gone");
    if (!events->populated) return {};
    const auto left = std::chrono::ceil<milliseconds>(end - Clock::now()).count();
    if (!for_ever && left <= 0) return Fail(ETIMEDOUT, "the group still has tasks");
    if (changed.fd() < 0) return Fail(EMFILE, "no descriptor is left to wait with");
    pollfd fds[] = {{.fd = changed.fd(), .events = POLLIN, .revents = 0}};
    constexpr std::int64_t kMost = 1'000'000'000;
    (void)PollAll(fds, for_ever ? -1 : static_cast<int>(std::min<std::int64_t>(left, kMost)));
  }
}

}  // namespace corral

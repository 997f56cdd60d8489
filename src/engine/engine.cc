// Engine, Group and Task over their EngineCore.
#include <corral/engine.h>

#include <cerrno>

#include "base/errors.h"
#include "base/thread.h"
#include "engine/engine_core.h"
#include "subsystems/any_task.h"

namespace corral {
namespace {

std::unexpected<Error> NoGroup() { return Fail(ENODEV, "there is no group in this object"); }

}  // namespace

// ---- tasks

void Task::End() {
  if (EngineCore* const core = std::exchange(core_, nullptr)) core->End(std::exchange(id_, {}));
}

bool Task::killed() const { return core_ && core_->tasks().IsKilled(id_); }

// ---- groups

std::string Group::path() const {
  return core_ ? core_->registry().PathOf(id_).value_or("") : std::string();
}

Result<Group> Group::Create(std::string_view name) const {
  if (!core_) return NoGroup();
  const bool plain = !name.empty() && name != "." && name != ".." &&
                     name.find_first_of(std::string_view("/\0", 2)) == std::string_view::npos;
  if (!plain) return Fail(EINVAL, "'{}' is no name for a group", name);
  auto made = core_->registry().Mkdir(id_, name, {});
  if (!made && made.error().code == ENOENT) return Fail(ENODEV, "the group is gone");
  if (!made) return Fail(made.error());
  ++core_->handles;
  return Group(core_, *made);
}

Result<void> Group::Enter(TaskId task) const {
  return core_ ? core_->Enter(id_, task) : Result<void>(NoGroup());
}

Result<Task> Group::Begin() const {
  if (!core_) return NoGroup();
  const auto id = TRY(core_->Begin(EngineCore::kProgram));
  Task task(core_, id);
  TRY(Enter(id));
  return task;
}

Result<std::vector<TaskId>> Group::Tasks() const {
  return core_ ? core_->Tasks(id_, /*subtree=*/false) : Result<std::vector<TaskId>>(NoGroup());
}

Result<std::vector<TaskId>> Group::SubtreeTasks() const {
  return core_ ? core_->Tasks(id_, /*subtree=*/true) : Result<std::vector<TaskId>>(NoGroup());
}

Result<std::size_t> Group::Kill(const std::function<void(TaskId)>& end) const {
  return core_ ? core_->Kill(id_, end) : Result<std::size_t>(NoGroup());
}

Result<void> Group::WaitEmpty(std::chrono::milliseconds timeout) const {
  return core_ ? core_->WaitEmpty(id_, timeout) : Result<void>(NoGroup());
}

Result<void> Group::Remove() {
  if (!core_) return NoGroup();
  TRY(core_->Remove(id_));
  --core_->handles;
  core_ = nullptr;
  id_ = {};
  return {};
}

Result<std::string> Group::Read(std::string_view file) const {
  return core_ ? core_->Read(id_, file) : Result<std::string>(NoGroup());
}

Result<void> Group::Write(std::string_view file, std::string_view bytes) const {
  return core_ ? core_->Write(id_, file, bytes) : Result<void>(NoGroup());
}

std::shared_ptr<Css> Group::StateOf(std::string_view subsystem) const {
  if (!core_) return nullptr;
  const auto number = core_->registry().FindSubsystem(subsystem);
  return number ? core_->registry().CssOf(id_, *number) : nullptr;
}

void Group::Drop() {
  if (EngineCore* const core = std::exchange(core_, nullptr)) core->Drop(std::exchange(id_, {}));
}

// ---- the engine

Engine::Engine(std::unique_ptr<EngineCore> core) : core_(std::move(core)) {}
Engine::~Engine() = default;

Result<std::unique_ptr<Engine>> Engine::Create(EngineOptions options) {
  if (options.tasks == 0 || options.tasks > kMostTasks) {
    return Fail(EINVAL, "{} tasks: from 1 to {} are possible", options.tasks, kMostTasks);
  }
  if (options.places == 0) return Fail(EINVAL, "no places for tasks");
  EventFd wake;
  if (wake.fd() < 0) return FailErrno("eventfd");
  try {
    return std::unique_ptr<Engine>(
        new Engine(std::make_unique<EngineCore>(options, std::move(wake))));
  } catch (...) {  // memory for its tables, or its thread
    return Fail(CaughtError());
  }
}

Result<void> Engine::Register(std::shared_ptr<Subsystem> subsystem) {
  return core_->Register(std::move(subsystem));
}

Result<void> Engine::RegisterBuiltIn(std::string_view name) {
  for (auto& subsystem : MakeSubsystemsForAnyTask()) {
    if (subsystem->name() == name) return core_->Register(std::move(subsystem));
  }
  return Fail(ENOENT, "corral brings no subsystem '{}' for tasks of any kind", name);
}

std::vector<std::string> Engine::BuiltIns() {
  std::vector<std::string> names;
  for (const auto& subsystem : MakeSubsystemsForAnyTask()) names.emplace_back(subsystem->name());
  return names;
}

Result<Group> Engine::CreateHierarchy(HierarchySpec spec) {
  auto root = TRY(core_->CreateHierarchy(std::move(spec)));
  ++core_->handles;
  return Group(core_.get(), root);
}

Result<Task> Engine::Begin() {
  auto id = TRY(core_->Begin(EngineCore::kProgram));
  return Task(core_.get(), id);
}

Result<Task> Engine::Begin(const Task& parent) {
  auto id = TRY(core_->Begin(parent.id()));
  return Task(core_.get(), id);
}

Result<void> Engine::Flush() { return core_->Flush(); }
AuditReport Engine::Audit() { return core_->Audit(); }

}  // namespace corral

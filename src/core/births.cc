#include "core/births.h"

#include <utility>

#include "base/errors.h"
#include "core/core.h"

namespace corral {

Births::Births(Core& core)
    : tracker_(core.tracker), sets_(core.sets), subsystems_(core.subsystems) {}

Result<void> Births::Listen() {
  if (callbacks_) return {};
  auto callbacks = std::make_unique<TaskCallbacks>(sets_);
  TRY(tracker_.Listen(callbacks.get()));
  callbacks_ = std::move(callbacks);
  return {};
}

void Births::StopIfUnused() {
  if (!callbacks_->empty()) return;
  (void)tracker_.Listen(nullptr);
  callbacks_.reset();
}

Result<void> Births::Tell() {
  if (untold_.empty()) return {};
  TRY(Listen());
  const auto still = tracker_.HoldTasks();
  for (const std::size_t number : std::exchange(untold_, {})) {
    const SubsystemTable::Slot& slot = subsystems_.slots()[number];
    callbacks_->Add(slot.subsystem, number, slot.root);
  }
  return {};
}

}  // namespace corral

#include "core/core.h"

namespace corral {

Core::Core(Tracker& with_tracker, std::function<void()> call_wake)
    : tracker(with_tracker),
      wake(std::move(call_wake)),
      sets(with_tracker,
           [this](const SetTuple& tuple) NO_THREAD_SAFETY_ANALYSIS { return tree.CssOf(tuple); }) {}

}  // namespace corral

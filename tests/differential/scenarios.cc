#include "differential/scenarios.h"

namespace corral::differential {
namespace {

#define CORRAL_SCENARIO_ROW(name) {#name, name},
constexpr Scenario kScenarios[] = {CORRAL_SCENARIOS(CORRAL_SCENARIO_ROW)};
#undef CORRAL_SCENARIO_ROW

}  // namespace

std::span<const Scenario> Scenarios() { return kScenarios; }

}  // namespace corral::differential

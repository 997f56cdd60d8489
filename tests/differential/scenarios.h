// Every scenario of the suite, by name: a function that plays on a stage and notes what it
// sees. README.md says how to add one.
#ifndef CORRAL_TESTS_DIFFERENTIAL_SCENARIOS_H_
#define CORRAL_TESTS_DIFFERENTIAL_SCENARIOS_H_

#include <ostream>
#include <span>

#include "differential/stage.h"

namespace corral::differential {

struct Scenario {
  const char* name;  // also of its recording
  void (*play)(Stage&);
};

// For the name of a test.
inline void PrintTo(const Scenario& scenario, std::ostream* out) { *out << scenario.name; }

std::span<const Scenario> Scenarios();

// clang-format off
#define CORRAL_SCENARIOS(SCENARIO)                                                          \
  SCENARIO(MountOptions) SCENARIO(JoiningAHierarchy) SCENARIO(Remounting)                   \
  SCENARIO(Lifetimes) SCENARIO(EndsOfHierarchies) SCENARIO(ModesAndOwners) SCENARIO(ModesOfDirectories)                 \
  SCENARIO(SetGroupIdParents) SCENARIO(OpenFlags) SCENARIO(Positions) SCENARIO(Mapping)     \
  SCENARIO(Copying) SCENARIO(LocksAndSyncs) SCENARIO(ExtendedAttributes)                    \
  SCENARIO(ChangingAttributes) SCENARIO(MakingFiles) SCENARIO(RemovingFiles)                \
  SCENARIO(MakingDirectories) SCENARIO(RemovingDirectories) SCENARIO(ReadingDirectories)    \
  SCENARIO(Renaming) SCENARIO(RenameFlags) SCENARIO(UnprivilegedFileOperations)             \
  SCENARIO(StickyDirectories) SCENARIO(SpellingsOfAPid) SCENARIO(SpellingsOfNumbers)        \
  SCENARIO(LongWrites) SCENARIO(SpellingsOfAFlag) SCENARIO(ReadingInPieces)                 \
  SCENARIO(SharedLists) SCENARIO(RightsOverTasks) SCENARIO(OpenerAndWriter)                 \
  SCENARIO(Capabilities) SCENARIO(Delegation) SCENARIO(ReleaseTriggers)                     \
  SCENARIO(ReleaseNonTriggers) SCENARIO(ReleaseAcrossChanges) SCENARIO(HowTheAgentRuns)     \
  SCENARIO(AgentsThatDoNotRun) SCENARIO(WritingTheAgent) SCENARIO(WhoSetsTheAgent)          \
  SCENARIO(InheritedFlags) SCENARIO(Names) SCENARIO(Births) SCENARIO(Threads)               \
  SCENARIO(ExecByAThread) SCENARIO(DeadLeaders) SCENARIO(Zombies) SCENARIO(KernelThreads)   \
  SCENARIO(PidNamespaces) SCENARIO(UserNamespaces) SCENARIO(RemovedCgroups)                 \
  SCENARIO(RemovedAfterReading) SCENARIO(DeepTrees)
// clang-format on

#define CORRAL_DECLARE_SCENARIO(name) void name(Stage& stage);
CORRAL_SCENARIOS(CORRAL_DECLARE_SCENARIO)
#undef CORRAL_DECLARE_SCENARIO

}  // namespace corral::differential

#endif  // CORRAL_TESTS_DIFFERENTIAL_SCENARIOS_H_

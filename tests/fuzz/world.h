// World: a small hierarchy with tasks over the in-process tracker, as fuzzers need it: made
// anew for each input, and asked afterwards whether it is whole.
//
// Groups: the top, /a, /a/b and /c; tasks 1 (root's, the daemon itself), 2 (root's, threads
// 3 and 4), 5 (uid 1000's).
#ifndef CORRAL_TESTS_FUZZ_WORLD_H_
#define CORRAL_TESTS_FUZZ_WORLD_H_

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "base/check.h"
#include "control/tree.h"
#include "core/looker.h"
#include "core/registry.h"
#include "support/fake_machine.h"
#include "trackers/inproc/inproc_tracker.h"

namespace corral {

class World {
 public:
  explicit World(const HierarchyOptions& options) {
    machine.admins.insert(Tid{1});
    machine.bad_agents.insert("/writable");
    machine.on_kill = [this](Tgid process) { Kill(process); };
    for (const auto& [tid, tgid] : alive) machine.owners[tid] = {};
    machine.owners[Tid{5}] = {.real_uid = 1000, .saved_uid = 1000};
    for (const unsigned tid : {1u, 2u, 5u}) tracker.Start(Tid{tid}, Tgid{tid});
    for (const unsigned tid : {3u, 4u}) tracker.Birth(Tid{2}, Tid{tid}, Tgid{2});
    root = registry.Root(registry.CreateHierarchy(options).value()).value();
    groups = {root, Make(root, "a")};
    groups.push_back(Make(groups[1], "b"));
    groups.push_back(Make(root, "c"));
  }

  void Look() { looker.Look(); }

  // Every live task is in exactly one group, and the counters say so.
  void CheckWhole() {
    std::vector<Tid> listed;
    for (const CgroupId group : groups) {
      const auto tasks = registry.Tasks(group);
      if (tasks) listed.insert(listed.end(), tasks->begin(), tasks->end());
    }
    std::ranges::sort(listed);
    std::vector<Tid> expected;
    for (const auto& [tid, tgid] : alive) expected.push_back(tid);
    CORRAL_CHECK(listed == expected);
    CORRAL_CHECK(tracker.Audit().differences.empty());
  }

  std::map<Tid, Tgid> alive{{Tid{1}, Tgid{1}},
                            {Tid{2}, Tgid{2}},
                            {Tid{3}, Tgid{2}},
                            {Tid{4}, Tgid{2}},
                            {Tid{5}, Tgid{5}}};
  InprocTracker tracker{{.tids = 128, .sets = 64, .machine_tasks = {}}};
  Registry registry{tracker, [] {}};
  Looker looker{registry};
  FakeMachine machine;
  Tree tree{registry, machine};
  CgroupId root;
  std::vector<CgroupId> groups;

 private:
  CgroupId Make(CgroupId parent, std::string_view name) {
    const Caller maker{.tid = Tid{1}};
    return Inode{tree.Mkdir(maker, Inode::Directory(parent), name, 0755).value().st_ino}.cgroup();
  }
  void Kill(Tgid process) {
    CORRAL_CHECK(process != machine.own);
    std::erase_if(alive, [&](const auto& task) {
      if (task.second == process) tracker.Death(task.first);
      return task.second == process;
    });
  }
};

}  // namespace corral

#endif  // CORRAL_TESTS_FUZZ_WORLD_H_

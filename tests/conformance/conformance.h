// One test for each item of the specification, in each dialect. The tests of the program share
// an instance; each has a mount of its own at mnt(), in v6 that of the one hierarchy there is.
// Afterwards all its groups are removed again.
//
//   class Tasks : public Conformance {};
//   CORRAL_IN_EVERY_DIALECT(Tasks);
//   TEST_P(Tasks, AZeroMovesTheCaller) {
//     Spec("6.2");                                   // items.txt lists them
//     EXPECT_EQ(Write(Group("a") + "/tasks", "0"), 0);
//   }
#ifndef CORRAL_TESTS_CONFORMANCE_CONFORMANCE_H_
#define CORRAL_TESTS_CONFORMANCE_CONFORMANCE_H_

#include <gtest/gtest.h>
#include <sys/types.h>

#include <functional>
#include <set>
#include <string>
#include <vector>

#include "conformance/calls.h"
#include "system/instance.h"

namespace corral {

class Conformance : public InstanceTest, public ::testing::WithParamInterface<std::string> {
 public:
  static void EndSharedInstance();

 protected:
  void SetUp() final;
  void TearDown() override;
  // What a suite has before each of its tests, with the hierarchy mounted.
  virtual void Prepare() {}

  // ---- what the test shows
  // The items, as in "6.3 2.4".
  void Spec(const std::string& items) { RecordProperty("spec", items); }
  bool Is(const std::string& dialect) const { return GetParam() == dialect; }
  bool v6() const { return Is("v6"); }
  template <typename T>
  T ByDialect(T v6, T v11, T corral, T linux_today) const {
    return Is("v6") ? v6 : Is("v11") ? v11 : Is("corral") ? corral : linux_today;
  }

  // ---- mounts
  // Mount options of a hierarchy of this test alone (but in v6).
  std::string Options(const std::string& name = "own") const;
  // The hierarchy at mnt().
  std::string Name() const { return v6() ? "v6" : "own" + number_; }
  // errno of a mount in a place of its own that is undone at once, 0 for success.
  int TryMount(const std::string& options) const;
  int Remount(const std::string& options) const;
  // Of it, from `corral status --json`: jq's output.
  std::string Status(const std::string& field) const;

  // ---- groups and tasks; all processes are ended with the test
  std::string Group(const std::string& path) const;  // makes it; its full path
  pid_t Sleeper();                                   // a process that does nothing
  pid_t SleeperIn(const std::string& group);
  pid_t Child(const std::function<void()>& act);  // does that and exits
  void End(pid_t child);                          // SIGKILL, and waits for it
  static void Await(pid_t child);
  // A process enters the group and exits.
  void EmptyByExit(const std::string& group);
  // The exit status of a child of this uid and gid that returns what `act` returns.
  static int As(uid_t uid, gid_t gid, const std::function<int()>& act);

  // ---- the release agent
  // In v6 by remount, while there are no groups; else by writing `release_agent`.
  void SetAgent(const std::string& path);
  // One that adds its argument to the log.
  void SetLoggingAgent() { SetAgent(WriteAgent("echo \"$1\" >> " + work() + "/log")); }
  void Notify(const std::string& group) { ASSERT_EQ(Write(group + "/notify_on_release", "1"), 0); }
  // What the agent was told, sorted: waits for so many lines, and then long enough to see one
  // too many.
  std::vector<std::string> Told(std::size_t at_least);

 private:
  void Clean(const std::string& mount);

  std::string number_;
  std::set<pid_t> children_;
};

}  // namespace corral

#define CORRAL_IN_EVERY_DIALECT(suite)                                                 \
  INSTANTIATE_TEST_SUITE_P(, suite, ::testing::Values("v6", "v11", "corral", "linux"), \
                           [](const auto& made) { return made.param; })

// The item says nothing about this dialect. A page of results gives the reason.
#define NOT_APPLICABLE(reason)                \
  do {                                        \
    RecordProperty("not_applicable", reason); \
    GTEST_SKIP() << reason;                   \
  } while (false)

// The item is not met, and this is why. The test stays, behind this line.
#define NOT_MET(reason)                \
  do {                                 \
    RecordProperty("not_met", reason); \
    GTEST_SKIP() << reason;            \
  } while (false)

#endif  // CORRAL_TESTS_CONFORMANCE_CONFORMANCE_H_

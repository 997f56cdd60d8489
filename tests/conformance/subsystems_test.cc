// Spec 1.4, 1.5, 2.20, 3.6 to 3.9 and section 13 as far as files show it: with the subsystem
// `debug`, whose files make it refuse and hold, and `numtasks`, which keeps a number.
#include <fcntl.h>
#include <unistd.h>

#include "conformance/conformance.h"

namespace corral {
namespace {

class Subsystems : public Conformance {
 protected:
  void Prepare() override {
    if (v6()) return;
    ASSERT_EQ(Mkdir(work() + "/mnt-sub"), 0);
  }
  std::string With(const std::string& options) const { return options + ",compat=" + GetParam(); }
  std::string Sub() const { return work() + "/mnt-sub"; }
  void MountSub(const std::string& options) { Mount(With(options), "mnt-sub"); }
  std::string Files() const { return Sh("ls " + Sub() + "/g").out; }
  // Hierarchy and number of cgroups of a subsystem, from the proc view (spec 12.4).
  static std::string Bound(const std::string& name) {
    return Sh("awk '$1 == \"" + name +
              "\" {print ($2 != 0), $3}' /run/corral/$CORRAL_INSTANCE/proc/cgroups")
        .out;
  }
};
CORRAL_IN_EVERY_DIALECT(Subsystems);

#define NEEDS_SUBSYSTEMS() \
  if (v6()) NOT_APPLICABLE("subsystem options are ignored")

TEST_P(Subsystems, AreBoundToOneHierarchyAtMost) {
  Spec("1.4 3.6");
  NEEDS_SUBSYSTEMS();
  EXPECT_EQ(Bound("debug"), "0 1\n") << "bound nowhere";
  MountSub("debug");
  ASSERT_EQ(Mkdir(Sub() + "/g"), 0);
  EXPECT_EQ(Bound("debug"), "1 2\n");
  EXPECT_EQ(TryMount(With("debug,numtasks")), EBUSY);
  EXPECT_EQ(TryMount(With("debug,name=other")), EBUSY);
  EXPECT_EQ(TryMount(With("all")), EBUSY);
  EXPECT_EQ(Bound("numtasks"), "0 1\n") << "what was refused changed nothing";
  ASSERT_EQ(Rmdir(Sub() + "/g"), 0);
  ASSERT_EQ(Sh("umount " + Sub()).status, 0);
  EXPECT_EQ(TryMount(With("debug,numtasks")), 0) << "free again, at once";
}

TEST_P(Subsystems, HaveAStateOfTheirOwnInEachCgroup) {
  Spec("1.5 13.1");
  NEEDS_SUBSYSTEMS();
  MountSub("numtasks");
  for (const char* name : {"/g", "/h"}) ASSERT_EQ(Mkdir(Sub() + name), 0);
  ASSERT_EQ(Write(Sub() + "/g/numtasks.max", "7"), 0);
  EXPECT_EQ(Read(Sub() + "/g/numtasks.max"), "7\n");
  EXPECT_EQ(Read(Sub() + "/h/numtasks.max"), "max\n");
  ASSERT_EQ(Rmdir(Sub() + "/g"), 0);
  ASSERT_EQ(Mkdir(Sub() + "/g"), 0);
  EXPECT_EQ(Read(Sub() + "/g/numtasks.max"), "max\n") << "a new cgroup, a new state";
}

TEST_P(Subsystems, LoseTheirPrefixWithNoprefix) {
  Spec("3.8 2.20");
  NEEDS_SUBSYSTEMS();
  EXPECT_EQ(TryMount(With("numtasks,noprefix")), ByDialect(-1, 0, 0, EINVAL));
  MountSub("cpuset");
  ASSERT_EQ(Mkdir(Sub() + "/g"), 0);
  EXPECT_NE(Files().find("cpuset.cpus\n"), std::string::npos) << Files();
  ASSERT_EQ(Rmdir(Sub() + "/g"), 0);
  ASSERT_EQ(Sh("umount " + Sub()).status, 0);
  MountSub("cpuset,noprefix");
  ASSERT_EQ(Mkdir(Sub() + "/g"), 0);
  EXPECT_EQ(Files().find("cpuset."), std::string::npos) << Files();
  EXPECT_NE(Files().find("\ncpus\n"), std::string::npos) << Files();
}

TEST_P(Subsystems, OfAKnownNameAreThoseItHas) {
  Spec("3.7");
  NEEDS_SUBSYSTEMS();
  MountSub("debug,name=known");
  EXPECT_EQ(TryMount(With("numtasks,name=known")), EBUSY);
  EXPECT_EQ(TryMount(With("debug,numtasks,name=known")), EBUSY);
  ASSERT_EQ(Mkdir(Sub() + "/g"), 0);
  Mount(With("debug,name=known"), "mnt-again");
  EXPECT_EQ(StatOf(work() + "/mnt-again/g").st_ino, StatOf(Sub() + "/g").st_ino);
}

TEST_P(Subsystems, OfTheSameSetAreTheSameTree) {
  Spec("3.7");
  NEEDS_SUBSYSTEMS();
  MountSub("debug,numtasks");
  ASSERT_EQ(Mkdir(Sub() + "/g"), 0);
  Mount(With("numtasks,debug"), "mnt-again");
  EXPECT_EQ(StatOf(work() + "/mnt-again/g").st_ino, StatOf(Sub() + "/g").st_ino);
}

TEST_P(Subsystems, ComeAndGoByARemount) {
  Spec("3.9");
  NEEDS_SUBSYSTEMS();
  const auto remount = [this](const std::string& options) {
    return Sh("corral mount -o remount," + options + " none " + Sub()).status;
  };
  MountSub("debug");
  EXPECT_EQ(remount(With("debug,numtasks")), 0);
  EXPECT_EQ(Bound("numtasks"), "1 1\n");
  EXPECT_EQ(remount(With("numtasks")), 0);
  EXPECT_EQ(Bound("debug"), "0 1\n");
  // What another hierarchy has cannot be added; then nothing is changed, the agent included.
  Mount(With("debug"), "mnt-other");
  const std::string agent = WriteAgent("true");
  EXPECT_NE(remount(With("numtasks,debug,release_agent=" + agent)), 0);
  EXPECT_EQ(Read(Sub() + "/release_agent"), "\n");
  EXPECT_EQ(Bound("numtasks"), "1 1\n");
  // Nor with child cgroups.
  ASSERT_EQ(Mkdir(Sub() + "/g"), 0);
  EXPECT_NE(remount(With("numtasks,freezer")), 0);
  EXPECT_EQ(Bound("freezer"), "0 1\n");
}

TEST_P(Subsystems, ThatRefuseAMoveUndoIt) {
  Spec("6.8 13.2");
  NEEDS_SUBSYSTEMS();
  MountSub("debug,numtasks");
  for (const char* name : {"/g", "/h"}) ASSERT_EQ(Mkdir(Sub() + name), 0);
  const pid_t task = Sleeper();
  ASSERT_EQ(Write(Sub() + "/g/tasks", std::to_string(task)), 0);
  ASSERT_EQ(Write(Sub() + "/h/debug.refuse", "can_attach 28"), 0);
  EXPECT_EQ(Write(Sub() + "/h/tasks", std::to_string(task)), ENOSPC);
  EXPECT_EQ(Write(Sub() + "/h/cgroup.procs", std::to_string(task)), Is("v11") ? ENOENT : ENOSPC);
  EXPECT_EQ(Read(Sub() + "/g/tasks"), std::to_string(task) + "\n");
  EXPECT_EQ(Read(Sub() + "/h/tasks"), "");
  ASSERT_EQ(Write(Sub() + "/h/debug.refuse", "\n"), 0);
  EXPECT_EQ(Write(Sub() + "/h/tasks", std::to_string(task)), 0);
  EXPECT_EQ(Read(Sub() + "/h/tasks"), std::to_string(task) + "\n") << "nothing else kept it back";
}

TEST_P(Subsystems, ThatRefuseACgroupLeaveNothingOfIt) {
  Spec("13.1");
  NEEDS_SUBSYSTEMS();
  MountSub("debug,numtasks");
  ASSERT_EQ(Mkdir(Sub() + "/g"), 0);
  ASSERT_EQ(Write(Sub() + "/g/debug.refuse", "create 12"), 0);
  EXPECT_EQ(Mkdir(Sub() + "/g/new"), ENOMEM);
  EXPECT_EQ(OpenError(Sub() + "/g/new", O_RDONLY), ENOENT);
  EXPECT_EQ(Bound("numtasks"), "1 2\n");
  EXPECT_EQ(StatOf(Sub() + "/g").st_nlink, 2u);
}

TEST_P(Subsystems, AddTheirFiles) {
  Spec("13.4");
  NEEDS_SUBSYSTEMS();
  MountSub("numtasks");
  ASSERT_EQ(Mkdir(Sub() + "/g"), 0);
  const std::string current = Sub() + "/g/numtasks.current";
  EXPECT_EQ(Read(current), "0\n");
  EXPECT_EQ(StatOf(current).st_mode & 07777, ByDialect(0u, 0644u, 0444u, 0444u));
  EXPECT_EQ(Write(current, "1"), EINVAL) << "no handler";
}

TEST_P(Subsystems, HoldACgroupByReferences) {
  Spec("13.5 10.2");
  NEEDS_SUBSYSTEMS();
  MountSub("debug");
  ASSERT_EQ(Write(Sub() + "/release_agent", WriteAgent("echo \"$1\" >> " + work() + "/log")), 0);
  ASSERT_EQ(Mkdir(Sub() + "/g"), 0);
  ASSERT_EQ(Write(Sub() + "/g/notify_on_release", "1"), 0);
  ASSERT_EQ(Write(Sub() + "/g/debug.hold", "1"), 0);
  EXPECT_EQ(Rmdir(Sub() + "/g"), EBUSY);
  EXPECT_NE(Code(::access((work() + "/log").c_str(), F_OK)), 0) << "never used but by a reference";
  ASSERT_EQ(Write(Sub() + "/g/debug.hold", "0"), 0);
  EXPECT_TRUE(Eventually([&] { return Read(work() + "/log") == "/g\n"; })) << "the last one went";
  EXPECT_EQ(Rmdir(Sub() + "/g"), 0);
}

}  // namespace
}  // namespace corral

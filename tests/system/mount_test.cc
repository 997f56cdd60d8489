// Mounting, lifetimes and instances (spec 3).
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

#include "support/rounds.h"
#include "system/instance.h"

namespace corral {
namespace {

class Mounting : public InstanceTest {
 protected:
  // The sentence a refused mount ends with.
  std::string Refused(const std::string& options) {
    const Outcome outcome = Sh("corral mount -o '" + options + "' none $MNT");
    EXPECT_NE(outcome.status, 0) << options;
    return outcome.out;
  }
};

TEST_F(Mounting, BadOptionsAreNamed) {
  const struct {
    const char* options;
    const char* told;
  } kCases[] = {
      {"none", "name=NAME"},           {"none,all,name=x", "exclude"},
      {"none,name=", "name="},         {"none,name=a/b", "a/b"},
      {"none,name=x,name=y", "twice"}, {"name=missing", "missing"},
      {"none,name=x,bogus", "bogus"},  {"none,name=x,release_agent=", "release_agent="},
      {"none,name=x,compat=v9", "v9"}, {"none,name=x,agent_user=nosuchuser", "nosuchuser"},
  };
  for (const auto& c : kCases) {
    EXPECT_NE(Refused(c.options).find(c.told), std::string::npos) << c.options;
  }
  EXPECT_EQ(Sh("corral status --json | jq '.hierarchies | length'").out, "1\n");
}

TEST_F(Mounting, TheSameNameIsTheSameTree) {
  Mount("none,name=x");
  Mount("name=x", "again");
  EXPECT_EQ(Sh("mkdir $MNT/a; stat -c %i $MNT/a $WORK/again/a | uniq | wc -l").out, "1\n");
  EXPECT_EQ(Sh("rmdir $WORK/again/a; ls -d $MNT/a").status, 2);
  EXPECT_EQ(Sh("mv $MNT $MNT 2>/dev/null; mkdir $MNT/b; mv $WORK/again/b $WORK/again/c; "
               "ls -d $MNT/c | wc -l")
                .out,
            "1\n");
}

TEST_F(Mounting, OtherHierarchiesAreIndependent) {
  Mount("none,name=x");
  Mount("none,name=y", "other");
  EXPECT_EQ(Sh("mkdir $MNT/a $WORK/other/b\n"
               "sleep 60 & p=$!\n"
               "echo $p > $MNT/a/tasks; echo $p > $WORK/other/b/tasks\n"
               "grep -cx $p $MNT/a/tasks; grep -cx $p $WORK/other/b/tasks\n"
               "echo $p > $WORK/other/tasks\n"
               "grep -cx $p $MNT/a/tasks; kill $p; wait $p 2>/dev/null\n"
               "rmdir $MNT/a $WORK/other/b; echo $?")
                .out,
            "1\n1\n1\n0\n");
}

TEST_F(Mounting, AHierarchyWithCgroupsOutlivesItsMount) {
  Mount("none,name=x");
  ASSERT_EQ(Sh("mkdir $MNT/a; echo 1 > $MNT/a/notify_on_release; sleep 30 >/dev/null 2>&1 & "
               "echo $! > $MNT/a/tasks; echo $! > $WORK/pid; umount $MNT")
                .status,
            0);
  Mount("name=x");
  EXPECT_EQ(
      Sh("cat $MNT/a/notify_on_release; diff $MNT/a/tasks $WORK/pid && kill $(cat $WORK/pid)").out,
      "1\n");
}

TEST_F(Mounting, AHierarchyWithoutCgroupsEndsWithItsMountAtOnce) {
  for (int i = 0, rounds = Rounds(20); i < rounds; ++i) {
    Mount("none,name=x,release_agent=/agent" + std::to_string(i));
    EXPECT_EQ(Read(mnt() + "/release_agent"), "/agent" + std::to_string(i) + "\n");
    ASSERT_EQ(Sh("umount $MNT").status, 0);
  }
  EXPECT_NE(Refused("name=x").find("no hierarchy"), std::string::npos);
}

TEST_F(Mounting, AReadOnlyMountRefusesWrites) {
  Mount("none,name=x,ro");
  EXPECT_EQ(::mkdir((mnt() + "/a").c_str(), 0755), -1);
  EXPECT_EQ(errno, EROFS);
  EXPECT_EQ(Write(mnt() + "/notify_on_release", "1"), EROFS);
  EXPECT_NE(Read(mnt() + "/tasks"), "");
}

TEST_F(Mounting, TheBuiltInHierarchyIsMountableByName) {
  Mount("name=corral");
  EXPECT_EQ(Sh("corral run -- sh -c 'ls $MNT | grep -c sh'").out, "1\n");
}

TEST_F(Mounting, ProcMountsShowsTypeAndOptions) {
  Mount("none,name=x,release_agent=/a");
  EXPECT_EQ(Sh("grep \" $MNT \" /proc/mounts | cut -d' ' -f1,3").out,
            "release_agent=/a,name=x fuse.container\n");
}

TEST_F(Mounting, MountHelperWorksThroughMount8) {
  // mount(8) looks only in /sbin: put the helper there for the test's own mount namespace.
  const std::string bin =
      std::filesystem::canonical("/proc/self/exe").parent_path().parent_path() / "bin";
  ASSERT_EQ(Sh("corral run -- true").status, 0);  // the daemon, outside that namespace
  const Outcome mounted =
      Sh("unshare -m sh -c 'mkdir -p $WORK/sbin; cp -a /sbin/. $WORK/sbin/ 2>/dev/null; "
         "cp " +
         bin +
         "/mount.container $WORK/sbin/; mount --bind $WORK/sbin /usr/sbin; "
         "mount -t container -o none,name=viahelper whatever $MNT && mkdir $MNT/ok && "
         "ls -d $MNT/ok/tasks | wc -l; rmdir $MNT/ok; umount $MNT; echo $?'");
  EXPECT_EQ(mounted.out, "1\n0\n");
}

TEST_F(Mounting, AnotherUserMayNotMount) {
  Mount("none,name=x");
  const Outcome refused =
      Sh("setpriv --reuid 65534 --clear-groups corral mount -o none,name=y none /tmp");
  EXPECT_NE(refused.status, 0);
  EXPECT_EQ(Sh("corral status --json | jq '.hierarchies | length'").out, "2\n");
}

// The kernel gives the device number of an ended mount to the next file system, whosever it is.
TEST_F(Mounting, AShutdownLeavesAloneWhatHasTheNumberOfAnEndedMount) {
  Mount("none,name=x");
  ASSERT_EQ(::mkdir((work() + "/other").c_str(), 0755), 0);
  const std::string number = Sh("stat -c %d $MNT").out;
  ASSERT_EQ(Sh("umount $MNT").status, 0);
  // Until one gets the number; those before hold theirs meanwhile.
  int mounted = 0;
  bool reused = false;
  for (; mounted < 20 && !reused; ++mounted) {
    ASSERT_EQ(Sh("mount -t tmpfs none $WORK/other").status, 0);
    reused = Sh("stat -c %d $WORK/other").out == number;
  }
  EXPECT_EQ(Sh("corral shutdown --force").status, 0);
  EXPECT_EQ(Sh("grep -c \" $WORK/other \" /proc/mounts").out, std::to_string(mounted) + "\n");
  for (; mounted > 0; --mounted) EXPECT_EQ(Sh("umount $WORK/other").status, 0);
  if (!reused) GTEST_SKIP() << "the number went to somebody else";
}

TEST_F(Mounting, NothingStaysBehindAfterAShutdown) {
  Mount("none,name=x");
  ASSERT_EQ(Sh("mkdir $MNT/a; corral shutdown").status, 1) << "busy: mounted";
  ASSERT_EQ(Sh("corral shutdown --force").status, 0);
  EXPECT_EQ(Sh("mountpoint -q $MNT; echo $?").out, "32\n");
  EXPECT_EQ(Sh("ls -d /run/corral/$CORRAL_INSTANCE 2>/dev/null | wc -l").out, "0\n");
  EXPECT_EQ(Sh("corral status").status, 3);
}

}  // namespace
}  // namespace corral

// Spec 3.9 and 3.11: remount, and what the end of a mount ends. Spec 2.2, 2.3.
#include <sys/mount.h>
#include <unistd.h>

#include <filesystem>

#include "conformance/conformance.h"

namespace corral {
namespace {

class Lifetime : public Conformance {
 protected:
  std::string Compat() const { return "compat=" + GetParam(); }
  void Unmount() { ASSERT_EQ(Code(::umount2(mnt().c_str(), 0)), 0); }
};
CORRAL_IN_EVERY_DIALECT(Lifetime);

TEST_P(Lifetime, V6HasOneHierarchyAndTheOthersAsManyAsNamed) {
  Spec("2.2");
  Mount(Options("other"), "mnt-other");
  const std::string g = Group("g");
  EXPECT_EQ(Code(::access((work() + "/mnt-other/g").c_str(), F_OK)), v6() ? 0 : ENOENT);
  if (!v6()) return;
  for (const char* ignored : {"all", "none", "noprefix", "all,none", "name=x"}) {
    EXPECT_EQ(TryMount(std::string(ignored) + ",compat=v6"), 0) << ignored;
  }
}

TEST_P(Lifetime, V6IgnoresNamesThatWouldBeRefusedElsewhere) {
  Spec("2.2");
  if (!v6()) NOT_APPLICABLE("names are not ignored");
  for (const char* ignored : {"name=", "name=a/b", "name=x,name=y"}) {
    EXPECT_EQ(TryMount(std::string(ignored) + ",compat=v6"), 0) << ignored;
  }
}

TEST_P(Lifetime, TheV6HierarchyIsThereFromStartToShutdown) {
  Spec("2.2 3.11");
  if (!v6()) NOT_APPLICABLE("there is no such hierarchy");
  const std::string flag = mnt() + "/notify_on_release";
  ASSERT_EQ(Write(flag, "1"), 0);
  ASSERT_EQ(Sh("umount $MNT").status, 0);
  EXPECT_EQ(Status(".mounts"), "0\n");
  Mount("compat=v6");
  EXPECT_EQ(Read(flag), "1\n");
  EXPECT_EQ(Write(flag, "0"), 0);
}

// In an instance of its own, whose daemon finds such an agent in /sbin.
TEST_P(Lifetime, V6CallsAnAgentThatNobodySet) {
  Spec("2.3");
  if (!v6()) {
    EXPECT_EQ(Read(mnt() + "/release_agent"), "\n");
    EXPECT_EQ(Status(".release_agent"), "\n");
    return;
  }
  const std::string script =
      "export CORRAL_INSTANCE=$CORRAL_INSTANCE-default\n"
      "mkdir $WORK/sbin $WORK/mnt-default\n"
      "printf '#!/bin/sh\\necho $0 $1 >> $WORK/log\\n' > $WORK/sbin/container_release_agent\n"
      "sed -i s,\\$WORK,$WORK,g $WORK/sbin/container_release_agent\n"
      "chmod 755 $WORK/sbin/container_release_agent\n"
      "mount --bind $WORK/sbin /sbin/ || exit 9\n"
      // In the foreground it stays in this mount namespace.
      "corrald --foreground >/dev/null 2>&1 &\n"
      "for i in $(seq 200); do [ -S /run/corral/$CORRAL_INSTANCE/socket ] && break; sleep 0.05; "
      "done\n"
      "corral mount -o compat=v6 none $WORK/mnt-default\n"
      "mkdir $WORK/mnt-default/g; echo 1 > $WORK/mnt-default/g/notify_on_release\n"
      "sh -c 'echo 0 > $WORK/mnt-default/g/tasks'\n"
      "for i in $(seq 200); do [ -s $WORK/log ] && break; sleep 0.05; done\n"
      "corral shutdown --force; cat $WORK/log";
  EXPECT_EQ(Sh("unshare -m sh <<'E'\n" + script + "\nE").out, "/sbin/container_release_agent /g\n");
}

// ---- remount

TEST_P(Lifetime, ARemountChangesTheAgent) {
  Spec("3.9 10.5");
  const std::string agent = WriteAgent("true");
  EXPECT_EQ(Remount(Compat() + ",release_agent=" + agent), 0);
  EXPECT_EQ(Status(".release_agent"), agent + "\n");
  const std::string other = work() + "/other";
  std::filesystem::copy(agent, other);
  EXPECT_EQ(
      Sh("corral mount -o remount," + Compat() + ",release_agent=" + other + " none $MNT").out, "");
  EXPECT_EQ(Status(".release_agent"), other + "\n");
}

TEST_P(Lifetime, ARemountWithGroupsIsRefused) {
  Spec("3.9");
  const std::string agent = WriteAgent("true"), before = Status(".release_agent");
  const std::string g = Group("g");
  EXPECT_EQ(Remount(Compat() + ",release_agent=" + agent), EBUSY);
  EXPECT_EQ(Status(".release_agent"), before);
  ASSERT_EQ(Rmdir(g), 0);
  EXPECT_EQ(Remount(Compat() + ",release_agent=" + agent), 0);
}

TEST_P(Lifetime, ARemountThatFailsChangesNothing) {
  Spec("3.9");
  const std::string agent = WriteAgent("true"), other = work() + "/other";
  std::filesystem::copy(agent, other);
  ASSERT_EQ(Remount(Compat() + ",release_agent=" + agent), 0);
  const std::string change = ",ro,release_agent=" + other;
  EXPECT_EQ(Remount("compat=" + std::string(Is("v11") ? "linux" : "v11") + change), EINVAL);
  EXPECT_EQ(Remount(Compat() + ",bogus" + change), EINVAL);
  if (!v6()) {  // which ignores both
    EXPECT_EQ(Remount(Compat() + ",name=another" + change), EINVAL);
    EXPECT_EQ(Remount(Compat() + ",noprefix,name=" + Name() + change), EINVAL);
  }
  EXPECT_EQ(Status(".release_agent"), agent + "\n");
  EXPECT_EQ(Mkdir(mnt() + "/writable"), 0);
}

TEST_P(Lifetime, ARemountIgnoresCloneChildren) {
  Spec("3.9");
  EXPECT_EQ(Remount(Compat() + ",clone_children"), 0);
  EXPECT_EQ(Status(".options").find("clone_children"), std::string::npos);
  if (Is("linux")) {
    EXPECT_EQ(Read(mnt() + "/cgroup.clone_children"), "0\n");
  }
}

TEST_P(Lifetime, Mount8RemountsByTheHelper) {
  Spec("3.9 3.1");
  const auto bin = std::filesystem::canonical("/proc/self/exe").parent_path().parent_path() / "bin";
  const std::string agent = WriteAgent("true");
  EXPECT_EQ(Sh("mkdir $WORK/sbin; cp " + (bin / "mount.container").string() +
               " $WORK/sbin/mount.fuse.container\n"
               "unshare -m sh -c 'mount --bind $WORK/sbin /sbin/ || exit 9\n"
               "mount -o remount," +
               Compat() + ",release_agent=" + agent + " $MNT'")
                .out,
            "");
  EXPECT_EQ(Status(".release_agent"), agent + "\n");
}

// ---- umount

TEST_P(Lifetime, WithGroupsItGoesOnUnmounted) {
  Spec("3.11");
  SetLoggingAgent();
  const std::string name = Name(), agent = Status(".release_agent");
  const std::string g = Group("g"), kept = Group("kept");
  Notify(g);
  Notify(kept);
  const auto inode = StatOf(kept).st_ino;
  const pid_t leaving = SleeperIn(g), staying = SleeperIn(kept);
  Unmount();
  End(leaving);
  EXPECT_TRUE(Eventually([&] { return Read(work() + "/log") == "/g\n"; }));
  Mount(v6() ? "compat=v6" : "name=" + name);
  EXPECT_EQ(StatOf(kept).st_ino, inode);
  EXPECT_EQ(Read(kept + "/tasks"), std::to_string(staying) + "\n");
  EXPECT_EQ(Read(kept + "/notify_on_release"), "1\n");
  EXPECT_EQ(Status(".release_agent"), agent);
}

TEST_P(Lifetime, WithoutGroupsItEndsAtOnce) {
  Spec("3.11");
  if (v6()) NOT_APPLICABLE("there from start to shutdown");
  const std::string name = Name();
  for (int round = 0; round < 20; ++round) {
    ASSERT_EQ(Write(mnt() + "/notify_on_release", "1"), 0);
    const std::string g = Group("g");
    End(SleeperIn(g));
    ASSERT_EQ(Rmdir(g), 0);
    Unmount();
    ASSERT_EQ(TryMount("name=" + name), EINVAL) << "round " << round;
    Mount("none,name=" + name + "," + Compat());
    EXPECT_EQ(Read(mnt() + "/notify_on_release"), "0\n");
    EXPECT_TRUE(Lists(mnt() + "/tasks", ::getpid()));
  }
}

}  // namespace
}  // namespace corral

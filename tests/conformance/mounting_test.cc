// Spec 3.1 to 3.8, 3.10, 3.12 to 3.14 and what the dialects say of mounting.
#include <fcntl.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <filesystem>

#include "conformance/conformance.h"

namespace corral {
namespace {

class Mounting : public Conformance {
 protected:
  // Options of this dialect, with the hierarchy `name` where there is more than one.
  std::string With(const std::string& options) const { return options + ",compat=" + GetParam(); }
  // This instance's line for a mount point in the proc view's `mounts`.
  std::string ProcLine(const std::string& point) const {
    for (const std::string& line : SplitLines(Read("/run/corral/" + Instance() + "/proc/mounts"))) {
      if (line.find(" " + point + " ") != std::string::npos) return line;
    }
    return "";
  }
  // How many there are whose name begins so.
  static std::string Hierarchies(const std::string& name) {
    return Sh("corral status --json | jq '[.hierarchies[].name | select(startswith(\"" + name +
              "\"))] | length'")
        .out;
  }
  static std::string Instance() { return std::getenv("CORRAL_INSTANCE"); }
  // mount(8) finds its helpers in /sbin: a directory of ours there, for `command` alone.
  Outcome WithHelper(const std::string& command) const {
    const auto bin =
        std::filesystem::canonical("/proc/self/exe").parent_path().parent_path() / "bin";
    return Sh("mkdir $WORK/sbin; cp " + (bin / "mount.container").string() + " $WORK/sbin/\n" +
              "unshare -m sh -c 'mount --bind $WORK/sbin /sbin/ || exit 9; " + command + "'");
  }
};
CORRAL_IN_EVERY_DIALECT(Mounting);

TEST_P(Mounting, Mount8FindsTheHelperAndTheSourceIsAnyText) {
  Spec("3.1");
  ASSERT_EQ(Mkdir(work() + "/mnt-8"), 0);
  const Outcome mounted = WithHelper("mount -t container -o " + Options("eight") +
                                     " \"any text/at all\" $WORK/mnt-8 && ls $WORK/mnt-8/tasks && "
                                     "umount $WORK/mnt-8 && echo done");
  EXPECT_EQ(mounted.out, work() + "/mnt-8/tasks\ndone\n");
  EXPECT_EQ(mounted.status, 0);
}

TEST_P(Mounting, TheCommandLineMountsWithAnySourceToo) {
  Spec("3.1");
  ASSERT_EQ(Mkdir(work() + "/mnt-cli"), 0);
  ASSERT_EQ(Sh("corral mount -o " + Options("cli") + " 'two words' $WORK/mnt-cli").status, 0);
  EXPECT_TRUE(ProcLine(work() + "/mnt-cli").starts_with("two\\040words "))
      << ProcLine(work() + "/mnt-cli");
}

TEST_P(Mounting, OptionsAreSeparatedByCommasAndEmptyOnesIgnored) {
  Spec("3.2");
  const std::string agent = WriteAgent("true");
  EXPECT_EQ(TryMount(",,none,,name=many,clone_children,agent_user=nobody,release_agent=" + agent +
                     ",,compat=" + GetParam() + ","),
            0);
  EXPECT_EQ(TryMount(Options("generic") + ",ro,nosuid,nodev,noexec,relatime,defaults"), 0);
  EXPECT_EQ(TryMount(With("all")), 0);
}

TEST_P(Mounting, GenericOptionsAreTheMounts) {
  Spec("3.2");
  Mount(Options("generic") + ",nosuid,nodev,noexec", "mnt-generic");
  struct statvfs st {};
  ASSERT_EQ(::statvfs((work() + "/mnt-generic").c_str(), &st), 0);
  constexpr unsigned long kAll = ST_NOSUID | ST_NODEV | ST_NOEXEC;
  EXPECT_EQ(st.f_flag & kAll, kAll);
}

TEST_P(Mounting, WithoutSubsystemAndNameItIsTheOneAnonymousHierarchy) {
  Spec("3.3");
  Mount("compat=" + GetParam(), "mnt-one");
  Mount(With("all"), "mnt-two");
  ASSERT_EQ(Mkdir(work() + "/mnt-one/g"), 0);
  EXPECT_EQ(StatOf(work() + "/mnt-two/g").st_ino, StatOf(work() + "/mnt-one/g").st_ino);
  EXPECT_EQ(Code(::access((mnt() + "/g").c_str(), F_OK)), v6() ? 0 : ENOENT);
}

TEST_P(Mounting, AHierarchysNameHas1To63PlainCharacters) {
  Spec("3.4");
  if (v6()) NOT_APPLICABLE("name options are ignored");
  EXPECT_EQ(TryMount(With("none,name=" + std::string(63, 'n'))), 0);
  EXPECT_EQ(TryMount(With("none,name=Az09_.-")), 0);
  EXPECT_EQ(TryMount(With("none,name=" + std::string(64, 'n'))), EINVAL);
  for (const char* bad : {"a/b", "a b", "\xc3\xa4", "a:b", "a=b"}) {
    EXPECT_EQ(TryMount(With("none,name=" + std::string(bad))), EINVAL) << bad;
  }
}

TEST_P(Mounting, ANameAloneJoinsAndDoesNotMake) {
  Spec("3.4");
  if (v6()) NOT_APPLICABLE("name options are ignored");
  EXPECT_EQ(TryMount(With("name=nobody-made-it")), EINVAL);
  Mount("none,name=joined,compat=" + GetParam(), "mnt-made");
  Mount("name=joined", "mnt-joined");
  ASSERT_EQ(Mkdir(work() + "/mnt-made/g"), 0);
  EXPECT_EQ(Code(::access((work() + "/mnt-joined/g").c_str(), F_OK)), 0);
}

TEST_P(Mounting, SenselessOptionsGiveEinval) {
  Spec("3.5");
  const std::string agent = WriteAgent("true");
  std::vector<std::string> senseless = {
      With("none,name=x,bogus"), With("none,name=x,bogus=1"), "none,name=x,compat=v9",
      With("none,name=x,release_agent=" + agent + ",release_agent=" + agent)};
  if (!v6()) {  // which ignores subsystems and names
    for (const char* options : {"none,all,name=x", "all,bogus", "none,bogus,name=x", "none",
                                "noprefix", "none,name=", "none,name=x,name=y"}) {
      senseless.push_back(With(options));
    }
  }
  for (const std::string& options : senseless) EXPECT_EQ(TryMount(options), EINVAL) << options;
  EXPECT_EQ(Hierarchies("x"), "0\n");
}

TEST_P(Mounting, AnEmptyReleaseAgentIsTheDialectsMatter) {
  Spec("2.18 3.5");
  EXPECT_EQ(TryMount(Options("empty") + ",release_agent="), ByDialect(0, 0, EINVAL, EINVAL));
  if (Is("v11")) {
    Mount(Options("empty") + ",release_agent=", "mnt-empty");
    EXPECT_EQ(Read(work() + "/mnt-empty/release_agent"), "\n");
  }
  if (v6()) {
    const std::string agent = WriteAgent("true");
    ASSERT_EQ(Remount("compat=v6,release_agent=" + agent), 0);
    ASSERT_EQ(Remount("compat=v6,release_agent="), 0);
    EXPECT_EQ(Status(".release_agent"), agent + "\n") << "it was ignored";
  }
}

TEST_P(Mounting, TheSameNameIsTheSameTreeWhateverElseIsGiven) {
  Spec("3.7");
  const std::string agent = WriteAgent("true");
  Mount(Options() + ",release_agent=" + agent + ",clone_children,agent_user=nobody", "mnt-again");
  const std::string g = Group("g");
  EXPECT_EQ(StatOf(work() + "/mnt-again/g").st_ino, StatOf(g).st_ino);
  EXPECT_EQ(StatOf(work() + "/mnt-again/g/tasks").st_ino, StatOf(g + "/tasks").st_ino);
  const pid_t task = SleeperIn(g);
  EXPECT_EQ(Read(work() + "/mnt-again/g/tasks"), std::to_string(task) + "\n");
  EXPECT_EQ(Rename(work() + "/mnt-again/g", work() + "/mnt-again/h"), 0);
  EXPECT_EQ(Code(::access((mnt() + "/h").c_str(), F_OK)), 0);
  if (!v6()) {
    EXPECT_EQ(Read(mnt() + "/release_agent"), "\n");
    // Another dialect is no other tree, and changes nothing.
    Mount("name=" + Name() + ",compat=" + (Is("linux") ? "v11" : "linux"), "mnt-third");
    EXPECT_EQ(Sh("ls $WORK/mnt-third").out, Sh("ls $MNT").out);
  }
}

TEST_P(Mounting, NoprefixIsForNamedHierarchiesToo) {
  Spec("2.20 3.8");
  if (v6()) NOT_APPLICABLE("subsystem options are ignored");
  // With subsystems other than cpuset the dialects differ; there is none to name yet.
  EXPECT_EQ(TryMount(With("none,name=bare,noprefix")), 0);
}

TEST_P(Mounting, AReadOnlyMountIsReadOnly) {
  Spec("3.10");
  Mount(Options() + ",ro", "mnt-ro");
  const std::string ro = work() + "/mnt-ro";
  Group("g");
  EXPECT_EQ(Mkdir(ro + "/new"), EROFS);
  EXPECT_EQ(OpenError(ro + "/g/tasks", O_WRONLY), EROFS);
  EXPECT_EQ(OpenError(ro + "/g/tasks", O_RDWR), EROFS);
  EXPECT_EQ(OpenError(ro + "/g/tasks", O_RDONLY), 0);
  EXPECT_EQ(Mkdir(mnt() + "/new"), 0) << "the hierarchy is not";
}

TEST_P(Mounting, TheOptionsInForceAreShown) {
  Spec("3.12");
  ASSERT_EQ(Mkdir(work() + "/an agent"), 0);
  ASSERT_EQ(Sh("cp " + WriteAgent("true") + " '" + work() + "/an agent/a'").status, 0);
  const std::string agent = work() + "/an agent/a";
  const std::string escaped = work() + "/an\\040agent/a";
  std::string expected;
  if (v6()) {
    SetAgent(agent);
    expected = "release_agent=" + escaped + ",compat=v6";
  } else {
    ASSERT_EQ(Sh("umount $MNT").status, 0);
    Mount(Options() + ",noprefix,clone_children,release_agent=" + agent);
    expected = "noprefix,release_agent=" + escaped + ",clone_children,name=" + Name();
    if (!Is("corral")) expected += ",compat=" + GetParam();
  }
  EXPECT_EQ(Status(".options"), expected + "\n");
  EXPECT_EQ(ProcLine(mnt()), "none " + mnt() + " container " + expected + " 0 0");
  if (!v6()) {  // whose mount was there before its agent
    EXPECT_EQ(Sh("grep \" $MNT \" /proc/mounts | cut -d' ' -f1").out, expected + "\n");
  }
}

TEST_P(Mounting, TheStatusForPeopleShowsTheOptionsToo) {
  Spec("3.12");
  const std::string agent = WriteAgent("true");
  SetAgent(agent);
  EXPECT_NE(Sh("corral status").out.find("release_agent=" + agent), std::string::npos)
      << Sh("corral status").out;
}

TEST_P(Mounting, TheStatusForPeopleEscapesAsTheKernelDoes) {
  Spec("3.12");
  ASSERT_EQ(Mkdir(work() + "/an agent"), 0);
  ASSERT_EQ(Sh("cp " + WriteAgent("true") + " '" + work() + "/an agent/a'").status, 0);
  SetAgent(work() + "/an agent/a");
  EXPECT_NE(Sh("corral status").out.find("release_agent=" + work() + "/an\\040agent/a"),
            std::string::npos)
      << Sh("corral status").out;
}

TEST_P(Mounting, OneHierarchyIsBuiltIn) {
  Spec("3.13");
  Mount("name=corral", "mnt-built-in");
  Mount("name=corral,compat=" + GetParam(), "mnt-again");
  const std::string top = work() + (v6() ? "/mnt-built-in" : "/mnt-again");
  EXPECT_EQ(Sh("corral run -- sh -c \"ls " + top + " | grep -c ^sh\"").out, "1\n");
  ASSERT_EQ(Sh("umount $WORK/mnt-built-in $WORK/mnt-again").status, 0);
  Mount("name=corral", "mnt-built-in");
}

TEST_P(Mounting, OnlyRootMounts) {
  Spec("3.14");
  ASSERT_EQ(Mkdir(work() + "/mnt-user"), 0);
  const std::string as_user = "setpriv --reuid 65534 --regid 65534 --clear-groups ";
  const std::string options = " -o " + Options("denied");
  const Outcome command = Sh(as_user + "corral mount" + options + " none $WORK/mnt-user");
  EXPECT_NE(command.status, 0);
  EXPECT_NE(command.out.find("only root"), std::string::npos) << command.out;
  const Outcome helper = Sh(as_user + "mount.container none $WORK/mnt-user" + options);
  EXPECT_EQ(helper.status, 1) << "mount(8): no permission";
  EXPECT_NE(helper.out.find("only root"), std::string::npos) << helper.out;
  EXPECT_EQ(Hierarchies("denied"), "0\n");
}

TEST_P(Mounting, RootOfAnotherUserNamespaceDoesNot) {
  Spec("3.14");
  ASSERT_EQ(Mkdir(work() + "/mnt-user"), 0);
  const Outcome inner =
      Sh("unshare -Urm corral mount -o " + Options("denied") + " none $WORK/mnt-user");
  EXPECT_NE(inner.status, 0);
  EXPECT_NE(inner.out.find("CAP_SYS_ADMIN"), std::string::npos) << inner.out;
  // Nor has a root without the capability.
  const Outcome without = Sh("setpriv --bounding-set=-sys_admin corral mount -o " +
                             Options("denied") + " none $WORK/mnt-user");
  EXPECT_NE(without.out.find("CAP_SYS_ADMIN"), std::string::npos) << without.out;
  EXPECT_EQ(Hierarchies("denied"), "0\n");
}

}  // namespace
}  // namespace corral

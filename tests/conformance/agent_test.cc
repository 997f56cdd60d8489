// Spec 10.4, 10.5, 10.11 and 2.19: what an agent is started with, and how it is set.
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "conformance/conformance.h"

namespace corral {
namespace {

class Agent : public Conformance {
 protected:
  // What the agent's body prints when /a/g empties.
  std::string Printed(const std::string& body) {
    SetAgent(WriteAgent("{\n" + body + "\n} > " + work() + "/part 2>&1; mv " + work() + "/part " +
                        work() + "/log"));
    Group("a");
    const std::string g = Group("a/g");
    Notify(g);
    EmptyByExit(g);
    EXPECT_TRUE(Eventually([&] { return ::access((work() + "/log").c_str(), F_OK) == 0; }));
    return Read(work() + "/log");
  }
  std::string File() const { return mnt() + "/release_agent"; }
  // An absolute path of so many bytes at which there is nothing.
  static std::string PathOf(std::size_t bytes) {
    std::string path;
    while (path.size() + 2 <= bytes) path += "/x";
    return path.size() < bytes ? path + "x" : path;
  }
};
CORRAL_IN_EVERY_DIALECT(Agent);

TEST_P(Agent, GetsThePathAsItsOnlyArgument) {
  Spec("10.4");
  EXPECT_EQ(Printed("echo $# $0 $1"), "1 " + work() + "/agent /a/g\n");
}

TEST_P(Agent, GetsThePathsRawBytes) {
  Spec("10.4");
  SetLoggingAgent();
  const std::string name = " a\xff\xc3(*)$x\\ \"'";
  const std::string g = Group(name);
  Notify(g);
  EmptyByExit(g);
  // echo of some shells reads backslashes.
  EXPECT_TRUE(Eventually([&] {
    return Read(work() + "/log").starts_with("/ a\xff\xc3(*)$x\\ \"'\n");
  })) << Read(work() + "/log");
}

TEST_P(Agent, HasACleanEnvironment) {
  Spec("10.4");
  EXPECT_EQ(Printed("tr '\\0' '\\n' < /proc/$$/environ | sort; pwd; umask"),
            "HOME=/\nPATH=/sbin:/bin:/usr/sbin:/usr/bin\n/\n0022\n");
}

// Its shell holds the script besides, for itself alone; what it starts has what it was given.
TEST_P(Agent, HasNothingOpenButDevNull) {
  Spec("10.4 14.8");
  SetAgent(
      WriteAgent("files=$(readlink /proc/$$/fd/0 /proc/$$/fd/1 /proc/$$/fd/2)\n"
                 "count=$(ls /proc/self/fd | wc -l)\n"
                 "echo $files $count > " +
                 work() + "/part; mv " + work() + "/part " + work() + "/log"));
  const std::string g = Group("g");
  Notify(g);
  EmptyByExit(g);
  // Of ls: 0, 1, 2, and the directory.
  EXPECT_TRUE(Eventually([&] {
    return Read(work() + "/log") == "/dev/null /dev/null /dev/null 4\n";
  })) << Read(work() + "/log");
}

TEST_P(Agent, HasASessionOfItsOwn) {
  Spec("10.4 14.8");
  EXPECT_EQ(Printed("read -r pid name state parent group session rest < /proc/$$/stat\n"
                    "[ $session = $$ ] && [ $group = $$ ] && echo own"),
            "own\n");
}

// Also when somebody tries to move the daemon.
TEST_P(Agent, IsInTheTopOfEveryHierarchy) {
  Spec("10.4");
  Mount("none,name=second", "mnt-second");
  const std::string tops = mnt() + "/tasks " + work() + "/mnt-second/tasks";
  ASSERT_EQ(Mkdir(work() + "/mnt-second/g"), 0);
  SetAgent(WriteAgent("grep -cx $$ " + tops + " | sed 's/.*://' > " + work() + "/part; mv " +
                      work() + "/part " + work() + "/log"));
  const std::string g = Group("g"), daemon = Group("daemon");
  Notify(g);
  const Outcome tried =
      Sh("d=$(corral status --json | jq .daemon_pid)\n"
         "for p in $d $(cat /proc/$d/task/*/children); do for t in /proc/$p/task/*; do\n"
         "/bin/echo ${t##*/} > $MNT/daemon/tasks; /bin/echo ${t##*/} > $WORK/mnt-second/g/tasks; "
         "done; done");
  EXPECT_NE(tried.out, "") << "each is refused";
  EXPECT_EQ(Read(daemon + "/tasks") + Read(work() + "/mnt-second/g/tasks"), "");
  EmptyByExit(g);
  EXPECT_TRUE(Eventually([&] { return Read(work() + "/log") == "1\n1\n"; }))
      << Read(work() + "/log");
}

// ---- setting it

TEST_P(Agent, IsSetByTheMountOption) {
  Spec("10.5");
  if (v6()) NOT_APPLICABLE("its hierarchy is there already; see remount");
  const std::string agent = WriteAgent("true");
  Mount(Options("agent") + ",release_agent=" + agent, "mnt-agent");
  EXPECT_EQ(Read(work() + "/mnt-agent/release_agent"), agent + "\n");
}

TEST_P(Agent, IsSetByTheFileAndClearedByANewline) {
  Spec("10.5");
  if (v6()) NOT_APPLICABLE("no such file");
  const std::string agent = WriteAgent("true");
  EXPECT_EQ(Read(File()), "\n");
  EXPECT_EQ(Write(File(), agent + "\n"), 0);
  EXPECT_EQ(Read(File()), agent + "\n");
  EXPECT_EQ(Write(File(), "\n"), 0);
  EXPECT_EQ(Read(File()), "\n");
}

TEST_P(Agent, TheTextIsTheDialectsMatter) {
  Spec("2.19 10.5");
  if (v6()) NOT_APPLICABLE("no such file");
  const std::string longest = PathOf(4095), too_long = PathOf(4096);
  EXPECT_EQ(Write(File(), longest), 0);
  EXPECT_EQ(Read(File()), longest + "\n");
  EXPECT_EQ(Write(File(), PathOf(4094) + "\n"), 0);
  // In linux it is the length of the write, as today's kernel has it.
  EXPECT_EQ(Write(File(), longest + "\n"), ByDialect(0, ENOSPC, 0, E2BIG));
  EXPECT_EQ(Write(File(), too_long), ByDialect(0, ENOSPC, ENOSPC, E2BIG));
  const std::string agent = WriteAgent("true");
  ASSERT_EQ(Write(File(), agent), 0);
  EXPECT_EQ(Write(File(), ""), 0);
  EXPECT_EQ(Read(File()), agent + "\n") << "an empty write changes nothing";
  if (Is("linux")) {
    EXPECT_EQ(Write(File(), " \t\n" + agent + " \n\n"), 0);
    EXPECT_EQ(Read(File()), agent + "\n");
  } else {
    EXPECT_EQ(Write(File(), "/x/y\n\n"), 0);
    EXPECT_EQ(Read(File()), "/x/y\n\n") << "one newline is dropped";
  }
}

// ---- rights

TEST_P(Agent, MayBeAnotherUsers) {
  Spec("10.11");
  const std::string user = ",agent_user=nobody",
                    agent = WriteAgent("id -u > " + work() + "/out/uid");
  ASSERT_EQ(Sh("mkdir -m 777 $WORK/out").status, 0);
  if (v6()) {
    ASSERT_EQ(Remount("compat=v6,release_agent=" + agent + user), 0);
  } else {
    ASSERT_EQ(Sh("umount $MNT").status, 0);
    Mount(Options() + ",release_agent=" + agent + user);
  }
  const std::string g = Group("g");
  Notify(g);
  EmptyByExit(g);
  EXPECT_TRUE(Eventually([&] { return Read(work() + "/out/uid") == "65534\n"; }));
  if (!v6()) return;
  ASSERT_EQ(Rmdir(g), 0);
  EXPECT_EQ(Remount("compat=v6,agent_user=root"), 0);
}

TEST_P(Agent, IsRootWithNoNewPrivilegesButInLinux) {
  Spec("10.11");
  EXPECT_EQ(Printed("id -u; grep NoNewPrivs /proc/$$/status"),
            Is("linux") ? "0\nNoNewPrivs:\t0\n" : "0\nNoNewPrivs:\t1\n");
}

TEST_P(Agent, ThatOthersMayWriteIsRefusedWhenItIsSet) {
  Spec("10.11");
  const std::string agent = WriteAgent("true");
  const auto set = [&](const std::string& path) {
    return v6() ? Remount("compat=v6,release_agent=" + path) : Write(File(), path);
  };
  for (const mode_t mode : {0775, 0757}) {
    ASSERT_EQ(Code(::chmod(agent.c_str(), mode)), 0);
    EXPECT_EQ(set(agent), EPERM);
  }
  ASSERT_EQ(Code(::chmod(agent.c_str(), 0755)), 0);
  const std::string directory = work() + "/open";
  ASSERT_EQ(Mkdir(directory), 0);
  std::filesystem::copy(agent, directory + "/agent");
  ASSERT_EQ(Code(::chmod(directory.c_str(), 0777)), 0);
  EXPECT_EQ(set(directory + "/agent"), EPERM);
  ASSERT_EQ(Code(::chmod(directory.c_str(), 0755)), 0);
  EXPECT_EQ(set(directory + "/agent"), 0);
  // Sticky and root's: nobody else can take root's file away there.
  ASSERT_EQ(Code(::chmod(directory.c_str(), 01777)), 0);
  EXPECT_EQ(set(directory + "/agent"), 0);
  ASSERT_EQ(Code(::chown((directory + "/agent").c_str(), 1000, 1000)), 0);
  EXPECT_EQ(set(directory + "/agent"), EPERM);
  ASSERT_EQ(Code(::chown((directory + "/agent").c_str(), 0, 0)), 0);
  EXPECT_EQ(TryMount(Options("refused") + ",release_agent=" + agent), 0);
}

TEST_P(Agent, WhoeverOwnsADirectoryAboveItCouldChangeIt) {
  Spec("10.11");
  const std::string above = work() + "/above", link = work() + "/link";
  ASSERT_EQ(Sh("mkdir -p $WORK/above/b/c").status, 0);
  std::filesystem::copy(WriteAgent("true"), above + "/b/c/agent");
  std::filesystem::create_symlink("above/b/c/agent", link);
  const auto set = [&](const std::string& path) {
    return v6() ? Remount("compat=v6,release_agent=" + path) : Write(File(), path);
  };
  EXPECT_EQ(set(link), 0);
  ASSERT_EQ(Code(::chown(above.c_str(), 1000, 1000)), 0);
  EXPECT_EQ(set(above + "/b/c/agent"), EPERM);
  EXPECT_EQ(set(link), EPERM);
  ASSERT_EQ(Code(::chown(above.c_str(), 0, 0)), 0);
  ASSERT_EQ(Code(::chmod(above.c_str(), 0775)), 0);
  EXPECT_EQ(set(link), EPERM);
}

TEST_P(Agent, ThatOthersMayWriteIsRefusedAgainWhenItWouldStart) {
  Spec("10.11");
  const auto refused = [] {
    return std::atol(Sh("corral status --json | jq .agents.refused").out.c_str());
  };
  const long before = refused();
  SetLoggingAgent();
  const std::string g = Group("g");
  Notify(g);
  ASSERT_EQ(Code(::chmod((work() + "/agent").c_str(), 0777)), 0);
  EmptyByExit(g);
  EXPECT_TRUE(Eventually([&] { return refused() == before + 1; }));
  EXPECT_EQ(Read(work() + "/log"), "");
  const std::string log =
      Read("/run/corral/" + std::string(std::getenv("CORRAL_INSTANCE")) + "/corrald.log");
  EXPECT_NE(log.find(work() + "/agent"), std::string::npos);
  ASSERT_EQ(Code(::chmod((work() + "/agent").c_str(), 0755)), 0);
  EmptyByExit(g);
  EXPECT_TRUE(Eventually([&] { return Read(work() + "/log") == "/g\n"; })) << "it is told again";
}

}  // namespace
}  // namespace corral

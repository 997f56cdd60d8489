// The command line on a real daemon: every command, with good and with bad input.
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "base/text.h"
#include "client/client.h"
#include "support/slow_close.h"
#include "system/instance.h"
#include "wire/bytes.h"

namespace corral {
namespace {

class Cli : public InstanceTest {
 protected:
  void SetUp() override {
    InstanceTest::SetUp();
    if (IsSkipped()) return;
    Mount("none,name=jobs");
  }

  void ExpectFailure(const std::string& command, int status, const std::string& told) {
    const Outcome outcome = Sh(command);
    EXPECT_EQ(outcome.status, status) << command << "\n" << outcome.out;
    EXPECT_NE(outcome.out.find(told), std::string::npos) << command << "\n" << outcome.out;
    EXPECT_EQ(outcome.out.find('\x1b'), std::string::npos) << "drives the terminal";
    EXPECT_EQ(std::ranges::count(outcome.out, '\n'), 1) << "one sentence: " << outcome.out;
  }

  // A background `sleep` whose end nobody has to wait for; its pid.
  std::string Sleeper(const std::string& seconds = "60") {
    std::string pid = Sh("sleep " + seconds + " >/dev/null 2>&1 & echo $!").out;
    pid.pop_back();
    sleepers_ += " " + pid;
    return pid;
  }
  void TearDown() override {
    if (!sleepers_.empty()) Sh("kill -9" + sleepers_);
    Sh("kill -9 $(cat $WORK/reader)");
    InstanceTest::TearDown();
  }

  // `corral events ARGUMENTS` into WORK/stream; its pid in WORK/reader, its end in WORK/status.
  void Follow(const std::string& arguments) {
    Sh("(corral events " + arguments +
       " > $WORK/stream & echo $! > $WORK/reader; wait $!; "
       "echo $? > $WORK/status) >/dev/null 2>&1 &");
    ASSERT_TRUE(LineAppears("stream", "subscribed"));
  }
  bool LineAppears(const std::string& name, const std::string& text) {
    return Eventually([&] { return Read(work() + "/" + name).find(text) != std::string::npos; });
  }

 private:
  std::string sleepers_;
};

// ---- attach

TEST_F(Cli, AttachMovesEachTaskAndAProcessWithAllItsThreads) {
  const std::string a = Sleeper(), b = Sleeper();
  ASSERT_EQ(Sh("mkdir $MNT/a; corral attach jobs:/a " + a + " " + b).status, 0);
  EXPECT_EQ(Sh("sort $MNT/a/tasks | tr '\\n' ' '").out,
            Sh("printf '%s\\n' " + a + " " + b + " | sort | tr '\\n' ' '").out);
  ASSERT_EQ(Sh("mkdir $MNT/b; python3 -c 'import threading, time\n"
               "for i in range(3): threading.Thread(target=time.sleep, args=(600,)).start()' "
               ">/dev/null 2>&1 & echo $! > $WORK/pid")
                .status,
            0);
  const std::string process = Sh("tr -d '\\n' < $WORK/pid").out;
  ASSERT_TRUE(Eventually([&] { return Sh("ls /proc/" + process + "/task | wc -l").out == "4\n"; }));
  ASSERT_EQ(Sh("corral attach -p $MNT/b " + process).status, 0);
  EXPECT_EQ(Sh("wc -l < $MNT/b/tasks").out, "4\n");
  EXPECT_EQ(Sh("corral attach jobs:/ " + process).status, 0);
  EXPECT_EQ(Sh("wc -l < $MNT/b/tasks").out, "3\n") << "without -p: the one thread";
  EXPECT_EQ(Sh("corral attach -p jobs:/ " + process).status, 0);
  EXPECT_EQ(Sh("wc -l < $MNT/b/tasks").out, "0\n");
  Sh("kill -9 " + process);
}

TEST_F(Cli, AttachNamesEachTaskThatCannotBeMovedAndMovesTheOthers) {
  const std::string alive = Sleeper();
  ASSERT_EQ(Sh("mkdir $MNT/a").status, 0);
  const std::string gone = Sh("sh -c 'echo $$'").out;
  ExpectFailure("corral attach jobs:/a " + gone.substr(0, gone.size() - 1) + " " + alive, 1,
                "task " + gone.substr(0, gone.size() - 1));
  EXPECT_EQ(Read(mnt() + "/a/tasks"), alive + "\n");
  EXPECT_EQ(Sh("corral attach jobs:/a 2147483647 --json 2>/dev/null | jq -c '[.attached, "
               ".failed[0].tid, .failed[0].errno]'")
                .out,
            "[[],2147483647,3]\n");
}

TEST_F(Cli, AttachRefusesWhatIsNoNumberAndMovesNobody) {
  const std::string alive = Sleeper();
  ASSERT_EQ(Sh("mkdir $MNT/a").status, 0);
  for (const char* bad : {"abc", "0", "-3", "12x", "''", "99999999999", "1.5", "0x10", "' 7'"}) {
    ExpectFailure(std::string("corral attach jobs:/a ") + alive + " " + bad, 2, "");
  }
  ExpectFailure("corral attach jobs:/a " + alive + " \"$(printf '7\\033[2J')\"", 2, "x1b");
  ExpectFailure("corral attach jobs:/a", 2, "TID");
  EXPECT_EQ(Read(mnt() + "/a/tasks"), "");
  EXPECT_EQ(Sh("corral attach jobs:/a " + alive).status, 0);
  EXPECT_EQ(Read(mnt() + "/a/tasks"), alive + "\n") << "it could have been moved";
}

// Of the socket itself: a number is never taken for another one.
TEST_F(Cli, ARequestWithANumberThatDoesNotFitMovesNobody) {
  const std::string alive = Sleeper();
  ASSERT_EQ(Sh("mkdir $MNT/a").status, 0);
  auto client = Client::Connect(std::getenv("CORRAL_INSTANCE"));
  ASSERT_TRUE(client);
  const auto attach = [&](const nlohmann::json& tid) {
    const auto done = client->Call({{"op", "attach"}, {"path", "jobs:/a"}, {"tid", tid}});
    return done ? 0 : done.error().code;
  };
  EXPECT_EQ(attach((std::uint64_t{1} << 32) + std::stoul(alive)), ESRCH);
  for (const nlohmann::json& bad :
       {nlohmann::json(-1), nlohmann::json(1.5), nlohmann::json(1e30), nlohmann::json(alive)}) {
    EXPECT_EQ(attach(bad), EPROTO) << bad;
  }
  EXPECT_EQ(Read(mnt() + "/a/tasks"), "");
  EXPECT_EQ(attach(std::stoul(alive)), 0);
}

// ---- exec

TEST_F(Cli, ExecBecomesTheCommandInsideTheGroup) {
  ASSERT_EQ(Sh("mkdir $MNT/a").status, 0);
  EXPECT_EQ(Sh("corral exec $MNT/a -- sh -c 'cat $MNT/a/tasks; echo $$; exit 9'").status, 9);
  EXPECT_EQ(Sh("corral exec jobs:/a sh -c 'grep -cx $$ $MNT/a/tasks'").out, "1\n");
  // The process that the shell started is the command.
  EXPECT_EQ(Sh("corral exec jobs:/a -- sleep 60 & p=$!; "
               "until [ \"$(cat /proc/$p/comm)\" = sleep ]; do sleep 0.05; done; "
               "cat $MNT/a/tasks | grep -cx $p; kill $p; wait $p 2>/dev/null; echo $?")
                .out,
            "1\n143\n");
  EXPECT_EQ(Sh("corral exec jobs:/a -- printf '%s|' -n --json -- x").out, "-n|--json|--|x|");
}

TEST_F(Cli, ExecOfWhatIsNoCommandMovesNobody) {
  ASSERT_EQ(Sh("mkdir $MNT/a").status, 0);
  ExpectFailure("corral exec jobs:/a -- no-such-command", 127, "not found");
  ExpectFailure("corral exec jobs:/a -- /etc/passwd", 126, "ermission");
  ExpectFailure("corral exec jobs:/a -- /tmp", 126, "ermission");
  ExpectFailure("corral exec jobs:/a", 2, "no command");
  ExpectFailure("corral exec jobs:/missing -- true", 125, "missing");
  ExpectFailure("corral exec /tmp -- true", 125, "/tmp");
  EXPECT_EQ(Read(mnt() + "/a/releasable"), "0\n");
  EXPECT_EQ(Sh("cat $MNT/a/cgroup.events | grep releases").out, "releases 0\n");
}

// ---- kill, rm, mkdir

TEST_F(Cli, KillEndsTheWholeSubtreeAndSaysWhom) {
  const std::string a = Sleeper(), b = Sleeper(), other = Sleeper();
  ASSERT_EQ(
      Sh("mkdir -p $MNT/a/b; corral attach jobs:/a " + a + "; corral attach jobs:/a/b " + b).status,
      0);
  const Outcome killed = Sh("corral kill jobs:/a");
  EXPECT_EQ(killed.status, 0);
  EXPECT_EQ(killed.out.substr(0, 30), "killed 2 processes in jobs:/a:");
  EXPECT_NE(killed.out.find("sleep (" + a + ")"), std::string::npos) << killed.out;
  EXPECT_EQ(Sh("corral wait jobs:/a").status, 0);
  EXPECT_EQ(Sh("kill -0 " + other).status, 0);
  EXPECT_EQ(Sh("corral kill jobs:/a").out, "nothing to kill in jobs:/a\n");
  EXPECT_EQ(Sh("corral kill jobs:/a --json | jq -c .").out,
            "{\"killed\":[],\"path\":\"jobs:/a\"}\n");
  ExpectFailure("corral kill jobs:/", 1, "jobs:/");
  ExpectFailure("corral kill jobs:/missing", 1, "missing");
}

TEST_F(Cli, RmPointsToWhyWhenTheGroupIsInUse) {
  const std::string a = Sleeper();
  ASSERT_EQ(Sh("mkdir -p $MNT/a/b/c $MNT/a/d; corral attach jobs:/a/b " + a).status, 0);
  ExpectFailure("corral rm jobs:/a", 1, "corral why jobs:/a");
  ExpectFailure("corral rm jobs:/a/b", 1, "1 group below");
  ExpectFailure("corral rm -r jobs:/a", 1, "1 task");
  EXPECT_EQ(Sh("find $MNT/a -type d | wc -l").out, "4\n") << "nothing is removed by halves";
  ASSERT_EQ(Sh("corral kill jobs:/a && corral wait jobs:/a").status, 0);
  EXPECT_EQ(Sh("corral rm -r $MNT/a --json | jq -c .removed").out,
            "[\"jobs:/a/b/c\",\"jobs:/a/b\",\"jobs:/a/d\",\"jobs:/a\"]\n");
  ExpectFailure("corral rm jobs:/a", 1, "jobs:/");
  ExpectFailure("corral rm -r jobs:/", 1, "root");
  ExpectFailure("corral rm", 2, "PATH");
}

TEST_F(Cli, MkdirMakesAGroupWithoutAMount) {
  EXPECT_EQ(Sh("corral mkdir corral:/x/y && corral tree corral:/x --json | jq -r "
               "'.trees[0].groups[1].path'")
                .out,
            "/x/y\n");
  ExpectFailure("corral mkdir corral:/x/y", 1, "already");
  ExpectFailure("corral mkdir corral:/", 2, "HIERARCHY:/path");
  ExpectFailure("corral mkdir x", 2, "HIERARCHY:/path");
  ExpectFailure("corral mkdir nosuch:/x", 1, "nosuch");
  ExpectFailure("corral mkdir corral:/x/tasks", 1, "tasks");
  EXPECT_EQ(Sh("corral rm -r corral:/x").status, 0);
}

// ---- why

TEST_F(Cli, WhyShowsTasksParentsGroupsAndWhoHoldsFiles) {
  ASSERT_EQ(Sh("mkdir -p $MNT/a/b").status, 0);
  // A shell with a child in the group, its directory there and a file of it open.
  Sh("cd $MNT/a/b; sh -c 'exec 7<$MNT/a/tasks; echo $$ > $WORK/shell; sleep 61 & "
     "echo $! > $WORK/pid; wait' >/dev/null 2>&1 &\n"
     "until [ -s $WORK/pid ]; do sleep 0.05; done; corral attach jobs:/a $(cat $WORK/pid)");
  const std::string pid = Read(work() + "/pid").substr(0, Read(work() + "/pid").find('\n'));
  const std::string shell = Read(work() + "/shell").substr(0, Read(work() + "/shell").find('\n'));
  const Outcome why = Sh("corral why jobs:/a");
  EXPECT_EQ(why.status, 0);
  for (const std::string& told :
       {std::string("jobs:/a is not empty: 1 task in 1 process, 1 group below."),
        std::string("sleep 61"), "child of sh (" + shell + ")", std::string("(1)"),
        std::string("/a/b"), std::string("working directory"), std::string("descriptor 7")}) {
    EXPECT_NE(why.out.find(told), std::string::npos) << told << " is not in\n" << why.out;
  }
  EXPECT_EQ(Sh("corral why $MNT/a --json | jq -c '[.tasks[0].tid, .tasks[0].parents[0].pid, "
               ".tasks[0].parents[-1].pid, (.tasks[0].age_s >= 0), .populated, "
               "([.holders[] | select(.pid == " +
               shell + ") | .what] | sort)]'")
                .out,
            "[" + pid + "," + shell + ",1,true,true,[\"descriptor 7\",\"working directory\"]]\n");
  // What is held keeps the group from nothing.
  Sh("kill " + pid);
  EXPECT_EQ(Sh("corral wait jobs:/a; corral why jobs:/a/b | head -1").out,
            "jobs:/a/b is empty: no tasks, no groups below. It can be removed.\n");
  Sh("kill " + shell);
}

TEST_F(Cli, WhyCopesWithARootAnEmptyGroupAndAGroupThatIsNotThere) {
  const Outcome root = Sh("corral why jobs:/");
  EXPECT_EQ(root.status, 0);
  EXPECT_NE(root.out.find("root of a hierarchy"), std::string::npos);
  EXPECT_EQ(std::ranges::count(root.out, '\n'), 1) << root.out;
  EXPECT_EQ(Sh("corral why jobs:/ --json | jq -c '[.root, (.own_tasks > 1), has(\"tasks\")]'").out,
            "[true,true,false]\n");
  ASSERT_EQ(Sh("mkdir $MNT/a $MNT/a/b").status, 0);
  EXPECT_NE(Sh("corral why jobs:/a").out.find("no tasks, but 1 group below"), std::string::npos);
  ExpectFailure("corral why jobs:/missing", 1, "missing");
  ExpectFailure("corral why $MNT/a/tasks", 1, "file");
}

TEST_F(Cli, WhyShowsHostileNamesHarmlessly) {
  ASSERT_EQ(Sh("mkdir \"$MNT/$(printf 'a\\033[2J')\"; cp $(command -v sleep) \"$WORK/$(printf "
               "'x\\033]0;y')\"")
                .status,
            0);
  Sh("\"$WORK/$(printf 'x\\033]0;y')\" 60 >/dev/null 2>&1 & echo $! > $WORK/pid");
  ASSERT_EQ(Sh("corral attach \"$MNT/$(printf 'a\\033[2J')\" $(cat $WORK/pid)").status, 0);
  for (const char* command : {"why", "ps", "ls", "tree", "kill", "rm"}) {
    const Outcome shown = Sh(std::string("corral ") + command + " \"jobs:/$(printf 'a\\033[2J')\"");
    EXPECT_EQ(shown.out.find('\x1b'), std::string::npos) << command;
  }
  ExpectFailure("corral why \"jobs:/$(printf 'b\\033[2J')\"", 1, "x1b");
  ExpectFailure("corral why \"/$(printf 'b\\033[2J')\"", 1, "x1b");
}

TEST_F(Cli, WhyShowsWhoHasEndedAndIsStillAwaited) {
  SlowClose slow(work() + "/slow");
  ASSERT_EQ(Sh("mkdir $MNT/a").status, 0);
  const pid_t child = ::fork();
  if (child == 0) {
    const bool in = Write(mnt() + "/a/tasks", "0") == 0;
    ::open(slow.file().c_str(), O_RDONLY);
    ::_exit(in ? 0 : 1);
  }
  ASSERT_TRUE(slow.AwaitClosers(1));
  const Outcome why = Sh("corral why jobs:/a");
  EXPECT_NE(why.out.find("1 task that ended holds memory or files yet"), std::string::npos)
      << why.out;
  EXPECT_EQ(Sh("corral why jobs:/a --json | jq -c '[.awaited[0].tid, .awaited[0].path, "
               "(.tasks | length), .populated]'")
                .out,
            "[" + std::to_string(child) + ",\"/a\",0,true]\n");
  slow.LetGo();
  int status = -1;
  ::waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);
  EXPECT_NE(Sh("corral why jobs:/a").out.find("is empty"), std::string::npos);
}

// ---- events

TEST_F(Cli, EventsTellEachStepInOrderAndEndWithTheGroup) {
  const std::string agent = WriteAgent("exit 0");
  ASSERT_EQ(
      Sh("mkdir $MNT/a; echo 1 > $MNT/a/notify_on_release; echo " + agent + " > $MNT/release_agent")
          .status,
      0);
  Follow("jobs:/a --json");
  Sh("corral exec jobs:/a -- true");
  ASSERT_TRUE(LineAppears("stream", "notified"));
  Sh("mkdir $MNT/other; rmdir $MNT/other; rmdir $MNT/a");
  ASSERT_TRUE(LineAppears("status", "0"));
  EXPECT_EQ(Sh("jq -r '[.event, .group, (.populated | tostring)] | join(\" \")' $WORK/stream").out,
            "subscribed jobs:/a null\n"
            "populated jobs:/a true\n"
            "populated jobs:/a false\n"
            "released jobs:/a null\n"
            "notified jobs:/a null\n"
            "removed jobs:/a null\n");
  EXPECT_EQ(Sh("jq -e 'select(.event == \"released\") | .hierarchy == \"jobs\" and .path == \"/a\" "
               "and (.time | test(\"^[0-9-]+T[0-9:]+[.][0-9]{6}Z$\"))' $WORK/stream")
                .out,
            "true\n");
}

TEST_F(Cli, EventsFollowARenameAndLeaveOtherGroupsOut) {
  ASSERT_EQ(Sh("mkdir -p $MNT/a/b $MNT/ab").status, 0);
  Follow("$MNT/a -n 5");
  Sh("corral exec jobs:/ab -- true; mv $MNT/a $MNT/z; corral exec jobs:/z/b -- true");
  ASSERT_TRUE(LineAppears("status", "0"));
  EXPECT_EQ(Sh("cut -c 18- $WORK/stream | sed 's/  */ /g; s/^ //'").out,
            "subscribed jobs:/a\npopulated jobs:/z/b\npopulated jobs:/z\nempty jobs:/z/b\n"
            "empty jobs:/z\nreleased jobs:/z/b\n");
}

TEST_F(Cli, AReaderThatStopsLosesNothingSilentlyAndHoldsUpNobody) {
  if (std::getenv("CORRAL_ROUNDS")) GTEST_SKIP() << "takes more rounds than are wanted";
  const int rounds = 40'000;
  ASSERT_EQ(Sh("mkdir $MNT/a").status, 0);
  Follow("--json");
  Sh("kill -STOP $(cat $WORK/reader)");
  // Each round is two events: full and empty again; each group has one more when it goes.
  const pid_t mover = ::fork();
  if (mover == 0) {
    const int in = ::open((mnt() + "/a/tasks").c_str(), O_WRONLY);
    const int out = ::open((mnt() + "/tasks").c_str(), O_WRONLY);
    const int look = ::open((mnt() + "/a/cgroup.events").c_str(), O_RDONLY);
    for (int i = 0; i < rounds; ++i) {
      char events[64];
      if (::write(in, "0", 1) != 1 || ::write(out, "0", 1) != 1) ::_exit(1);
      if (::pread(look, events, sizeof events, 0) <= 0) ::_exit(1);  // tells that it is empty
    }
    ::_exit(0);
  }
  int status = -1;
  ::waitpid(mover, &status, 0);
  EXPECT_EQ(status, 0);
  Sh("kill -CONT $(cat $WORK/reader)");
  ASSERT_TRUE(LineAppears("stream", "\"lost\""));  // it has caught up
  Sh("mkdir $MNT/last; rmdir $MNT/last");
  ASSERT_TRUE(LineAppears("stream", "\"/last\""));
  EXPECT_EQ(
      Sh("jq -n '[inputs | if .event == \"lost\" then .lost elif .path == \"/a\" then 1 else 0 "
         "end] | add' $WORK/stream")
          .out,
      std::to_string(3 * rounds) + "\n");
  EXPECT_NE(Sh("grep -c '\"lost\"' $WORK/stream").out, "0\n")
      << "nothing was lost: nothing is tested";
}

// Its answer is larger than what the socket holds.
TEST_F(Cli, AReaderThatNeverReadsItsAnswerDoesNotKeepTheDaemonFromEnding) {
  auto client = Client::Connect(std::getenv("CORRAL_INSTANCE"));
  ASSERT_TRUE(client && client->Call({{"op", "subscribe"}}));
  // Each name 250 bytes: events of 2 KB each.
  ASSERT_EQ(Sh("cd $MNT; n=$(printf %0250d 0); for i in 1 2 3 4 5 6 7 8; do mkdir $n; cd $n; done; "
               "for i in $(seq 400); do mkdir x$i; rmdir x$i; done")
                .status,
            0);
  ASSERT_TRUE(client->Send({{"op", "events"}}));
  ::usleep(300'000);  // it is being sent by now
  EXPECT_EQ(Sh("timeout 30 corral shutdown --force").status, 0);
}

TEST_F(Cli, AStoppedReaderDoesNotKeepTheDaemonFromEnding) {
  Follow("");
  Sh("kill -STOP $(cat $WORK/reader)");
  EXPECT_EQ(Sh("timeout 30 corral shutdown --force").status, 0);
  Sh("kill -CONT $(cat $WORK/reader)");
  EXPECT_TRUE(LineAppears("status", "3"));
}

// ---- bad input everywhere

TEST_F(Cli, EveryCommandRefusesBadInputWithOneSentence) {
  const struct {
    const char* command;
    int status;
    const char* told;
  } kCases[] = {
      {"corral", 2, "--help"},
      {"corral nonsense", 2, "nonsense"},
      {"corral -i 'a/b' status", 2, "a/b"},
      {"CORRAL_INSTANCE=. corral status", 2, "CORRAL_INSTANCE"},
      {"corral run", 2, "no command"},
      {"corral run --wait --kill -- true", 2, "exclude"},
      {"corral ps", 2, "PATH"},
      {"corral ps jobs:/a jobs:/b", 2, "jobs:/b"},
      {"corral ps --nonsense jobs:/", 2, "--nonsense"},
      {"corral ps $MNT/tasks", 1, "file"},
      {"corral ls nosuch:/", 1, "nosuch"},
      {"corral tree jobs:/missing", 1, "missing"},
      {"corral tree jobs:/../a", 1, ".."},
      {"corral wait jobs:/", 1, "never empty"},
      {"corral wait ''", 1, "HIERARCHY"},
      {"corral events nosuch:/", 1, "nosuch"},
      {"corral events -n 0", 2, "count"},
      {"corral events -n x", 2, "x"},
      {"corral mount -o nonsense none $MNT", 1, "nonsense"},
      {"corral mount none /nonexistent", 1, "/nonexistent"},
      {"corral umount /nonexistent", 1, "/nonexistent"},
      {"corral status extra", 2, "extra"},
      {"corral shutdown", 1, "--force"},
  };
  for (const auto& c : kCases) ExpectFailure(c.command, c.status, c.told);
}

TEST_F(Cli, WithoutADaemonEveryCommandSaysSoAndStartsNone) {
  for (const char* command : {"attach corral:/a 1", "kill corral:/a", "rm corral:/a",
                              "mkdir corral:/a", "why corral:/a", "events", "events corral:/a",
                              "ps corral:/", "ls", "tree", "wait corral:/a", "status", "audit"}) {
    ExpectFailure(std::string("corral -i cli-test-none ") + command, 3, "cli-test-none");
  }
  ExpectFailure("corral -i cli-test-none exec corral:/a -- true", 125, "cli-test-none");
  EXPECT_EQ(Sh("corral -i cli-test-none shutdown").status, 0) << "what is asked for is so";
  // A directory in another instance's mount.
  ExpectFailure(
      "CORRAL_INSTANCE=$CORRAL_INSTANCE-b corral run -- true; "
      "CORRAL_INSTANCE=$CORRAL_INSTANCE-b corral why $MNT",
      1, "not inside a mount");
  EXPECT_EQ(Sh("CORRAL_INSTANCE=$CORRAL_INSTANCE-b corral shutdown").status, 0);
}

TEST_F(Cli, JsonOfEveryCommandParses) {
  ASSERT_EQ(Sh("mkdir $MNT/a").status, 0);
  const std::string pid = Sleeper();
  for (const std::string& command :
       {"attach jobs:/a " + pid, std::string("why jobs:/a"), std::string("ps jobs:/a"),
        std::string("ls jobs:/"), std::string("tree"), std::string("kill jobs:/a"),
        std::string("wait jobs:/a"), std::string("rm jobs:/a"), std::string("mkdir jobs:/b"),
        std::string("status"), std::string("audit"), std::string("doctor")}) {
    EXPECT_EQ(Sh("corral " + command + " --json | jq -e 'type == \"object\"'").out, "true\n")
        << command;
  }
}

// ---- texts that others chose

// C1 as a character and as a byte, right-to-left, DEL, ESC, a line separator, a backslash.
constexpr char kHostile[] =
    "a\xc2\x9b"
    "31m\x9b\xe2\x80\xae\x7f\x1b[2J\xe2\x80\xa8\\z";

void ExpectHarmless(const std::string& command, const std::string& out) {
  std::istringstream lines(out);
  for (std::string line; std::getline(lines, line);) EXPECT_EQ(Harmless(line), line) << command;
}

TEST_F(Cli, ANameDrivesNoTerminalWhateverShowsIt) {
  const std::string group = mnt() + "/" + kHostile;
  ASSERT_EQ(::mkdir(group.c_str(), 0755), 0);
  std::filesystem::copy_file("/bin/sleep", work() + "/" + kHostile);
  Follow("jobs:/");
  ::setenv("PROGRAM", (work() + "/" + kHostile).c_str(), 1);
  ::setenv("NAME", kHostile, 1);
  const std::string pid = Sh("\"$PROGRAM\" 60 >/dev/null 2>&1 & echo $!").out;
  ASSERT_EQ(Write(group + "/tasks", pid), 0);
  for (const char* command : {"corral tree",
                              "corral ls jobs:/",
                              "corral ps -r jobs:/",
                              "corral why \"jobs:/$NAME\"",
                              "corral stat \"jobs:/$NAME\"",
                              "corral top --once --interval 0.1",
                              "corral rm \"jobs:/$NAME\"",
                              "corral ps \"jobs:/$NAME/no\"",
                              "corral ps \"$MNT/$NAME/no\"",
                              "corral mkdir \"jobs:/$NAME\"",
                              "corral run -g \"jobs:/\" -- \"$NAME\"",
                              "corral exec \"jobs:/a\" -- \"$NAME\"",
                              "corral attach jobs:/ \"$NAME\"",
                              "corral mount -o \"$NAME\" none $MNT",
                              "corral umount \"$WORK/$NAME\"",
                              "corral \"$NAME\"",
                              "corral ps \"--$NAME\" x",
                              "corral -i \"$NAME\" status",
                              "corrald --instance \"$NAME\"",
                              "corrald \"--$NAME\"",
                              "mount.container none $MNT -o \"$NAME\"",
                              "mount.container none \"$WORK/no$NAME\"",
                              "corral __complete ps jobs:/ | tr '\\t' ' '",
                              "corral kill \"jobs:/$NAME\""}) {
    ExpectHarmless(command, Sh(command).out);
  }
  ASSERT_TRUE(LineAppears("stream", "empty"));
  ExpectHarmless("events", Read(work() + "/stream"));
  ExpectHarmless("log", Sh("cat /run/corral/$CORRAL_INSTANCE/corrald.log").out);
  ::unsetenv("NAME");
  ::unsetenv("PROGRAM");
}

TEST_F(Cli, JsonIsAsciiAndKeepsEveryByteOfAName) {
  ASSERT_EQ(::mkdir((mnt() + "/" + kHostile).c_str(), 0755), 0);
  for (const char* command : {"tree", "ls jobs:/", "why jobs:/", "top --once --interval 0.1"}) {
    const std::string json = Sh(std::string("corral ") + command + " --json").out;
    EXPECT_TRUE(std::ranges::all_of(json, [](char c) {
      return c == '\n' || (c >= ' ' && c < 0x7f);
    })) << command;
    EXPECT_NE(json.find("\\u202e"), std::string::npos) << command;
  }
  const auto tree = nlohmann::json::parse(Sh("corral tree jobs:/ --json").out);
  EXPECT_EQ(FromJsonText(tree["trees"][0]["groups"][1]["name"].get<std::string>()), kHostile);
}

TEST_F(Cli, WhatIsShownOfANameCanBeTypedBack) {
  const std::string shown = Printable(std::string("jobs:/") + kHostile);
  EXPECT_EQ(Sh("corral mkdir '" + shown + "'").out, "");
  EXPECT_EQ(::access((mnt() + "/" + kHostile).c_str(), F_OK), 0);
  EXPECT_EQ(Sh("corral run -g '" + shown + "' -- true").status, 0);
  EXPECT_EQ(Sh("corral ls '" + shown + "' | wc -l").out, "1\n");
  EXPECT_EQ(Sh("corral rm '" + shown + "'").out, "");
  EXPECT_NE(::access((mnt() + "/" + kHostile).c_str(), F_OK), 0);
  ExpectFailure("corral rm '\"jobs:/\\q\"'", 1, "quotes");
}

TEST_F(Cli, HelpOfEveryCommandShowsAnExample) {
  const Outcome help = Sh("corral --help");
  EXPECT_EQ(help.status, 0);
  EXPECT_NE(help.out.find("Exit status"), std::string::npos);
  std::istringstream commands(
      Sh("corral --help | sed -n '/^Subcommands:/,/^$/s/^  \\([a-z]*\\) .*/\\1/p'").out);
  int count = 0;
  for (std::string command; commands >> command; ++count) {
    const Outcome one = Sh("corral " + command + " --help");
    EXPECT_EQ(one.status, 0);
    EXPECT_NE(one.out.find("Example:\n  corral " + command), std::string::npos) << one.out;
    EXPECT_NE(one.out.find("Usage: corral " + command), std::string::npos) << one.out;
  }
  EXPECT_GE(count, 18);
}

// ---- completion

TEST_F(Cli, CompletesCommandsOptionsGroupsAndDirectories) {
  ASSERT_EQ(Sh("mkdir -p $MNT/build/sub $MNT/best $WORK/dir").status, 0);
  const auto complete = [&](const std::string& words) {
    return Sh("corral __complete " + words + " | cut -f 1 | tr '\\n' ' '").out;
  };
  EXPECT_EQ(complete("wa"), "none wait ");
  EXPECT_EQ(complete("-i x wa"), "none wait ");
  EXPECT_EQ(complete("ps --r"), "none --recursive ");
  EXPECT_EQ(complete("ps jobs:/b"), "none jobs:/best jobs:/build ");
  EXPECT_EQ(complete("run --group jobs:/build/"), "none jobs:/build/sub ");
  EXPECT_EQ(complete("ps jo"), "dirs jobs:/ ");
  EXPECT_EQ(complete("exec jobs:/build ''"), "commands ");
  EXPECT_EQ(complete("exec jobs:/build -- sh ''"), "files ");
  EXPECT_EQ(complete("run --kill -- sh"), "commands ");
  EXPECT_EQ(complete("mount -o none,re"), "none none,release_agent= none,remount ");
  EXPECT_EQ(complete("-i cli-test-none ps jo"), "dirs ");
}

TEST_F(Cli, BashCompletesALine) {
  ASSERT_EQ(Sh("mkdir -p $MNT/build \"$MNT/two words\" $WORK/dir").status, 0);
  const std::string script =  // the test is build/tests/NAME
      std::filesystem::canonical("/proc/self/exe").parent_path().parent_path().parent_path() /
      "completions/corral";
  if (::access(script.c_str(), R_OK) != 0) GTEST_SKIP() << "needs " << script;
  const auto complete = [&](const std::string& line) {
    return Sh("bash -c '. " + script +
              "; COMP_LINE=\"$1\"; COMP_POINT=${#1}; _corral; "
              "printf \"%s|\" \"${COMPREPLY[@]}\"' - \"" +
              line + "\"")
        .out;
  };
  EXPECT_EQ(complete("corral umo"), "umount|");
  EXPECT_EQ(complete("corral ps --rec"), "--recursive|");
  EXPECT_EQ(complete("corral ps jobs:/b"), "/build|") << "readline keeps what is before the colon";
  EXPECT_EQ(complete("corral ps jobs:/t"), "/two\\ words|");
  EXPECT_EQ(complete("corral ps $WORK/d"), work() + "/dir|");
  EXPECT_EQ(complete("corral mount -o none,name=x,compat=l"), "linux|");
  EXPECT_NE(("|" + complete("corral run -- tru")).find("|truncate|"), std::string::npos);
}

}  // namespace
}  // namespace corral

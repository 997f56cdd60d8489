// Spec 10.10: whoever is told "empty" finds nothing held by a task that left by exiting: no
// open file, no lock, no mapping, no working directory. The agent and a poller check it each
// time, by unmounting the file system that all of it was on (EBUSY while anything is held).
//
// CORRAL_RACE_SCALE=20 does 20 times as many rounds.
#include <fcntl.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <random>
#include <thread>

#include "base/fd.h"
#include "support/rounds.h"
#include "support/slow_close.h"
#include "system/instance.h"

namespace corral {
namespace {

class Ordering : public InstanceTest {
 protected:
  void SetUp() override {
    InstanceTest::SetUp();
    if (IsSkipped()) return;
    Mount("none,name=order");
  }
  void SetAgent(const std::string& body) {
    ASSERT_EQ(Write(mnt() + "/release_agent", WriteAgent(body)), 0);
  }
  void MakeGroup(const std::string& name) {
    ASSERT_EQ(::mkdir((mnt() + name).c_str(), 0755), 0);
    ASSERT_EQ(Write(mnt() + name + "/notify_on_release", "1"), 0);
  }
  // A child that enters the group, does `act`, and exits.
  template <typename Act>
  pid_t InGroup(const std::string& name, Act act) {
    const pid_t child = ::fork();
    if (child != 0) return child;
    if (Write(mnt() + name + "/tasks", "0") != 0) ::_exit(2);
    act();
    ::_exit(0);
  }
  std::string Events(const std::string& name) { return Read(mnt() + name + "/cgroup.events"); }
  // As a program would wait: poll, then read from the start (spec 4.6).
  bool AwaitEmpty(const std::string& name) {
    const Fd events(::open((mnt() + name + "/cgroup.events").c_str(), O_RDONLY | O_CLOEXEC));
    for (int i = 0; i < 100; ++i) {
      char text[64] = {};
      if (::pread(events.get(), text, sizeof text - 1, 0) <= 0) return false;
      if (std::string_view(text).starts_with("populated 0")) return true;
      pollfd changed = {events.get(), POLLPRI, 0};
      ::poll(&changed, 1, 10000);
    }
    return false;
  }
};

// ---- a close that takes as long as the test likes

class SlowExit : public Ordering {
 protected:
  void ExpectNobodyTold(const std::string& name) {
    for (int look = 0; look < 40; ++look) {  // 400 ms: resyncs and looks have come and gone
      ASSERT_EQ(Events(name), "populated 1\nreleases 0\n");
      ASSERT_EQ(Read(work() + "/log"), "");
      ::usleep(10'000);
    }
  }
  void ExpectTold(const std::string& name) {
    EXPECT_TRUE(Eventually([&] { return Read(work() + "/log") == name + "\n"; }))
        << Read(work() + "/log");
    EXPECT_EQ(Events(name), "populated 0\nreleases 1\n");
  }
};

TEST_F(SlowExit, HoldsTheNewsButNotTheGroup) {
  SlowClose slow(work() + "/slow");
  SetAgent("echo $1 >> " + work() + "/log");
  MakeGroup("/g");
  const pid_t child = InGroup("/g", [&] { ::open(slow.file().c_str(), O_RDONLY); });
  ASSERT_TRUE(slow.AwaitClosers(1));
  EXPECT_EQ(Read(mnt() + "/g/tasks"), "");  // it has left (spec 11.4)
  EXPECT_EQ(::waitpid(child, nullptr, WNOHANG), 0);
  ExpectNobodyTold("/g");
  slow.LetGo();
  ::waitpid(child, nullptr, 0);
  ExpectTold("/g");
}

TEST_F(SlowExit, HoldsTheNewsOfTheParentWhenTheGroupIsRemoved) {
  SlowClose slow(work() + "/slow");
  SetAgent("echo $1 >> " + work() + "/log");
  MakeGroup("/p");
  MakeGroup("/p/c");
  const pid_t child = InGroup("/p/c", [&] { ::open(slow.file().c_str(), O_RDONLY); });
  ASSERT_TRUE(slow.AwaitClosers(1));
  EXPECT_EQ(::rmdir((mnt() + "/p/c").c_str()), 0);
  ExpectNobodyTold("/p");
  slow.LetGo();
  ::waitpid(child, nullptr, 0);
  ExpectTold("/p");
}

// The exec fails when the thread has its leader's tid already: its word is still at the old
// one, and a resync has to find it (I6, I8). Also then the news waits for the close.
TEST_F(SlowExit, HoldsTheNewsAfterAnExecThatFailedTooLate) {
  SlowClose slow(work() + "/slow");
  SetAgent("echo $1 >> " + work() + "/log");
  MakeGroup("/g");
  const pid_t child = InGroup("/g", [&] {
    ::open(slow.file().c_str(), O_RDONLY);
    std::thread([] {
      const rlimit little = {8192, 8192};
      const rlimit none = {0, 0};
      ::setrlimit(RLIMIT_CORE, &none);
      ::setrlimit(RLIMIT_AS, &little);
      ::execl("/bin/true", "true", nullptr);
      ::_exit(3);
    }).join();
  });
  ASSERT_TRUE(slow.AwaitClosers(1));
  EXPECT_TRUE(Eventually([&] { return Read(mnt() + "/g/tasks").empty(); }));
  ExpectNobodyTold("/g");
  slow.LetGo();
  int status = 0;
  ::waitpid(child, &status, 0);
  EXPECT_TRUE(WIFSIGNALED(status));
  ExpectTold("/g");
  ExpectCleanAudit();
}

TEST_F(SlowExit, OfOneTaskHoldsNoOtherGroupAndNoNewcomer) {
  SlowClose slow(work() + "/slow");
  SetAgent("echo $1 >> " + work() + "/log");
  MakeGroup("/slow");
  MakeGroup("/quick");
  const pid_t hanging = InGroup("/slow", [&] { ::open(slow.file().c_str(), O_RDONLY); });
  ASSERT_TRUE(slow.AwaitClosers(1));
  ::waitpid(InGroup("/quick", [] {}), nullptr, 0);
  EXPECT_TRUE(Eventually([&] { return Read(work() + "/log") == "/quick\n"; }));
  // Used again meanwhile: that emptying is told, too; the two may be told as one (spec 10.7).
  ::waitpid(InGroup("/slow", [] {}), nullptr, 0);
  EXPECT_EQ(Events("/slow").find("populated 1"), 0u);
  slow.LetGo();
  ::waitpid(hanging, nullptr, 0);
  EXPECT_TRUE(AwaitEmpty("/slow"));
  EXPECT_TRUE(Eventually([&] { return Read(work() + "/log").starts_with("/quick\n/slow\n"); }));
}

// ---- nothing held, many times

class NothingHeld : public Ordering {
 protected:
  std::string FileSystem(int round) { return work() + "/fs" + std::to_string(round); }

  // Holds all there is to hold on `where`, with a child and a thread that hold it, too.
  static void HoldEverything(const std::string& where, unsigned random, int say) {
    if (::chdir(where.c_str()) != 0) ::_exit(3);
    const int file = ::open("file", O_RDWR | O_CREAT, 0600);
    constexpr std::size_t kBytes = 8 << 20;
    if (::ftruncate(file, kBytes) != 0 || ::flock(file, LOCK_EX) != 0) ::_exit(3);
    char* memory =
        static_cast<char*>(::mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0));
    for (std::size_t at = 0; at < kBytes; at += 4096) memory[at] = 1;
    if (::fork() == 0) {
      ::close(say);
      ::usleep(random % 10000);
      ::_exit(0);
    }
    std::thread([random] { ::usleep(random % 900); }).detach();
    if (::write(say, "h", 1) != 1) ::_exit(3);
    ::close(say);
    ::usleep(random % 8000);
    if (random % 3 == 0) ::raise(SIGKILL);
  }

  void Prepare(int round) {
    ASSERT_EQ(::mkdir(FileSystem(round).c_str(), 0755), 0);
    ASSERT_EQ(::mount("none", FileSystem(round).c_str(), "tmpfs", 0, "size=16m"), 0);
    MakeGroup("/g" + std::to_string(round));
  }
  // Comes back when the child holds everything.
  pid_t Start(int round) {
    int holds[2];
    if (::pipe2(holds, O_CLOEXEC) != 0) return -1;
    const unsigned random = random_();
    const pid_t child = InGroup("/g" + std::to_string(round),
                                [&] { HoldEverything(FileSystem(round), random, holds[1]); });
    ::close(holds[1]);
    char said = 'n';
    EXPECT_EQ(::read(holds[0], &said, 1), 1) << "the child holds nothing";
    ::close(holds[0]);
    return child;
  }
  // 0, or killed by its own hand; it is only waited for when everything has been looked at.
  static void ExpectEnded(pid_t child) {
    int status = 0;
    EXPECT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_TRUE(status == 0 || (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)) << status;
  }

  std::mt19937 random_{1};
};

TEST_F(NothingHeld, WhenAPollerIsTold) {
  const int kRounds = Rounds(200);
  for (int round = 0; round < kRounds && !HasFailure(); ++round) {
    Prepare(round);
    const pid_t child = Start(round);
    EXPECT_TRUE(AwaitEmpty("/g" + std::to_string(round)));
    EXPECT_EQ(::umount2(FileSystem(round).c_str(), 0), 0) << "held: errno " << errno;
    EXPECT_EQ(Events("/g" + std::to_string(round)), "populated 0\nreleases 1\n");
    ExpectEnded(child);
    EXPECT_EQ(::rmdir((mnt() + "/g" + std::to_string(round)).c_str()), 0);
    ::rmdir(FileSystem(round).c_str());
  }
  RecordProperty("rounds", kRounds);
  ExpectCleanAudit();
}

TEST_F(NothingHeld, WhenTheAgentIsCalled) {
  const int kRounds = Rounds(200);
  // $1 is /gN, the file system .../fsN.
  SetAgent("if umount " + work() + "/fs${1#/g}; then echo free; else echo held $1; fi >> " +
           work() + "/log 2>&1; rmdir " + mnt() + "$1");
  constexpr int kAtOnce = 8;
  std::vector<pid_t> running;
  for (int round = 0; round < kRounds; ++round) {
    Prepare(round);
    running.push_back(Start(round));
    if (running.size() < kAtOnce) continue;
    ExpectEnded(running.front());
    running.erase(running.begin());
  }
  for (const pid_t child : running) ExpectEnded(child);
  EXPECT_TRUE(
      Eventually([&] { return Sh("wc -l < $WORK/log").out == std::to_string(kRounds) + "\n"; }));
  EXPECT_EQ(Sh("sort -u $WORK/log").out, "free\n");
  EXPECT_TRUE(Eventually([&] { return Sh("ls -d $MNT/g* 2>/dev/null | wc -l").out == "0\n"; }));
  ExpectCleanAudit();
}

}  // namespace
}  // namespace corral

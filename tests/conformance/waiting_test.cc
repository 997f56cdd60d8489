// A notification that waits, because a task that left still holds a file (spec 10.10): spec
// 10.7 and 2.14 to 2.17. A file whose close takes its time makes it wait as long as the test
// likes.
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <csignal>
#include <optional>

#include "base/process.h"
#include "conformance/conformance.h"
#include "support/slow_close.h"

namespace corral {
namespace {

class Waiting : public Conformance {
 protected:
  void Prepare() override {
    SetLoggingAgent();
    slow_.emplace(work() + "/slow");
    group_ = Group("g");
    Notify(group_);
    leaving_ = Child([&] {
      if (Write(group_ + "/tasks", "0") != 0) ::_exit(1);
      ::open(slow_->file().c_str(), O_RDONLY);
    });
    ASSERT_TRUE(slow_->AwaitClosers(1));
  }
  void TearDown() override {
    if (slow_) slow_->LetGo();
    slow_.reset();
    Conformance::TearDown();
  }
  void LetGo() {
    slow_->LetGo();
    End(leaving_);
  }
  bool NobodyIsTold() const {
    for (int look = 0; look < 15; ++look) {
      if (!Read(work() + "/log").empty()) return false;
      ::usleep(10'000);
    }
    return true;
  }
  std::optional<SlowClose> slow_;
  std::string group_;
  pid_t leaving_ = 0;
};
CORRAL_IN_EVERY_DIALECT(Waiting);

TEST_P(Waiting, UntilWhoLeftHasClosedItsFiles) {
  Spec("10.10 11.4");
  EXPECT_EQ(Read(group_ + "/tasks"), "");
  EXPECT_TRUE(NobodyIsTold());
  LetGo();
  EXPECT_EQ(Told(1), Lines{"/g"});
}

TEST_P(Waiting, WhenTheGroupIsRemovedItIsTheDialectsMatter) {
  Spec("2.14 10.7");
  ASSERT_EQ(Rmdir(group_), 0);
  LetGo();
  const Lines fired{"/g"}, dropped;
  EXPECT_EQ(Told(Is("v6") || Is("linux") ? 1 : 0), ByDialect(fired, dropped, dropped, fired));
}

TEST_P(Waiting, WhenTheGroupEmptiesAgainItIsTheDialectsMatter) {
  Spec("2.15 10.7");
  EmptyByExit(group_);
  EXPECT_TRUE(NobodyIsTold());
  LetGo();
  EXPECT_EQ(Told(v6() ? 2 : 1), v6() ? (Lines{"/g", "/g"}) : Lines{"/g"});
  EmptyByExit(group_);
  EXPECT_EQ(Told(v6() ? 3 : 2).size(), v6() ? 3u : 2u) << "taken out, it may be queued again";
}

TEST_P(Waiting, WhenTheGroupIsRenamedThePathIsTheDialectsMatter) {
  Spec("2.16");
  ASSERT_EQ(Rename(group_, mnt() + "/renamed"), 0);
  LetGo();
  const Lines old_path{"/g"}, new_path{"/renamed"};
  EXPECT_EQ(Told(1), ByDialect(old_path, new_path, new_path, new_path));
}

TEST_P(Waiting, TheAgentIsTheOneSetWhenItStarts) {
  Spec("10.5");
  if (v6()) NOT_APPLICABLE("no file to set it, and no remount while there are groups");
  const std::string other = work() + "/other";
  ASSERT_EQ(Sh("printf '#!/bin/sh\\necho other $1 >> " + work() + "/log\\n' > " + other +
               "; chmod 755 " + other)
                .status,
            0);
  ASSERT_EQ(Write(mnt() + "/release_agent", other), 0);
  LetGo();
  EXPECT_TRUE(Eventually([&] { return Read(work() + "/log") == "other /g\n"; }));
}

TEST_P(Waiting, TheDeadAreNoLongerListedForWhoWaitedForThem) {
  Spec("10.10");
  const std::string other = Group("other");
  for (int round = 0; round < 20; ++round) {
    const pid_t child = SleeperIn(other);
    const Fd pidfd = OpenPidfd(child).value();
    ::kill(child, SIGKILL);
    if (round % 2 == 0) {
      pollfd readable = {pidfd.get(), POLLIN, 0};
      ASSERT_EQ(::poll(&readable, 1, 10'000), 1);
      ASSERT_EQ(Read(other + "/tasks"), "");
    }
    End(child);
    ASSERT_EQ(Read(other + "/tasks"), "");
    ASSERT_EQ(Rmdir(other), 0);
    ASSERT_EQ(Mkdir(other), 0);
  }
}

// ---- a path longer than 4095 bytes

class LongPath : public Conformance {
 protected:
  // Makes a group so deep, and returns it.
  Fd Deep(std::size_t bytes) {
    Fd at = Open(mnt(), O_RDONLY | O_DIRECTORY);
    for (std::size_t length = 0; length < bytes;) {
      const std::size_t name = std::min<std::size_t>(250, bytes - length - 1);
      const std::string text(name, 'd');
      EXPECT_EQ(Code(::mkdirat(at.get(), text.c_str(), 0755)), 0);
      at = Fd(::openat(at.get(), text.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
      length += name + 1;
    }
    return at;
  }
  int WriteAt(const Fd& directory, const char* name, const std::string& text) {
    const Fd file(::openat(directory.get(), name, O_WRONLY | O_CLOEXEC));
    return Code(::write(file.get(), text.data(), text.size()));
  }
  Lines LengthsTold(std::size_t bytes, std::size_t at_least) {
    const Fd deep = Deep(bytes);
    EXPECT_EQ(WriteAt(deep, "notify_on_release", "1"), 0);
    const pid_t task = Sleeper();
    EXPECT_EQ(WriteAt(deep, "tasks", std::to_string(task)), 0);
    End(task);
    return Told(at_least);
  }
};
CORRAL_IN_EVERY_DIALECT(LongPath);

TEST_P(LongPath, ReachesTheAgentAsTheDialectHasIt) {
  Spec("2.17");
  SetAgent(WriteAgent("case $1 in /zz*) echo $1;; *) echo ${#1};; esac >> " + work() + "/log"));
  const Lines none, whole{"4096"}, cut{"4095"};
  EXPECT_EQ(LengthsTold(4096, Is("corral") || Is("linux") ? 1 : 0),
            ByDialect(none, none, whole, cut));
}

TEST_P(LongPath, Of4095BytesReachesEveryAgent) {
  Spec("2.17");
  SetAgent(WriteAgent("case $1 in /zz*) echo $1;; *) echo ${#1};; esac >> " + work() + "/log"));
  EXPECT_EQ(LengthsTold(4095, 1), Lines{"4095"});
}

TEST_P(LongPath, IsReadAsTheDialectHasIt) {
  Spec("2.17");
  const Fd deep = Deep(5000);
  const pid_t task = Sleeper();
  ASSERT_EQ(WriteAt(deep, "tasks", std::to_string(task)), 0);
  const Fd paths = Open("/run/corral/" + std::string(std::getenv("CORRAL_INSTANCE")) + "/proc/" +
                            std::to_string(task) + "/cgroup",
                        O_RDONLY);
  if (Is("linux")) {
    std::string longest;
    for (const std::string& line : SplitLines(ReadOn(paths.get(), 0))) {
      const std::string path = line.substr(line.rfind(':') + 1);
      if (path.size() > longest.size()) longest = path;
    }
    EXPECT_EQ(longest.size(), 4095u);
  } else {
    EXPECT_EQ(ReadError(paths.get()), ENAMETOOLONG);
  }
}

}  // namespace
}  // namespace corral

#include "conformance/conformance.h"

#include <dirent.h>
#include <fcntl.h>
#include <grp.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>
#include <string>

#include "client/client.h"
#include "client/place_mount.h"
#include "wire/instance.h"

namespace corral {
namespace {

std::string shared_work;
std::string shared_instance;
int number_of_test = 0;

// Deepest first, by descriptors: a path may be longer than PATH_MAX. Tasks go to `top`.
void RemoveGroupsBelow(int directory, int top_tasks) {
  DIR* const list = ::fdopendir(::openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!list) return;
  Lines names;
  while (const dirent* entry = ::readdir(list)) {
    const std::string name = entry->d_name;
    if (entry->d_type == DT_DIR && name != "." && name != "..") names.push_back(name);
  }
  ::closedir(list);
  for (const std::string& name : names) {
    const Fd child(::openat(directory, name.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    RemoveGroupsBelow(child.get(), top_tasks);
    const Fd tasks(::openat(child.get(), "tasks", O_RDONLY | O_CLOEXEC));
    for (const std::string& task : SplitLines(ReadOn(tasks.get(), 0))) {
      [[maybe_unused]] const ssize_t moved = ::write(top_tasks, task.data(), task.size());
    }
    ::unlinkat(directory, name.c_str(), AT_REMOVEDIR);
  }
}

}  // namespace

void Conformance::EndSharedInstance() {
  if (shared_work.empty()) return;
  ::setenv("CORRAL_INSTANCE", shared_instance.c_str(), 1);
  Finish(shared_work);
}

void Conformance::SetUp() {
  if (shared_work.empty()) {
    InstanceTest::SetUp();
    if (IsSkipped() || HasFailure()) return;
    shared_work = work();
    shared_instance = std::getenv("CORRAL_INSTANCE");
  }
  number_ = std::to_string(++number_of_test);
  Reuse(shared_work + "/t" + number_);
  ::setenv("WORK", work().c_str(), 1);
  ::setenv("MNT", mnt().c_str(), 1);
  ::setenv("DIALECT", GetParam().c_str(), 1);
  ASSERT_EQ(Mkdir(work()), 0);
  ::umask(022);
  Mount(Options());
  if (!HasFailure()) Prepare();
}

void Conformance::TearDown() {
  if (number_.empty()) return;
  while (!children_.empty()) End(*children_.begin());
  // By name: `mnt` before those it is mounted at as well, of which one may be read-only.
  std::set<std::string> mounts;
  for (const auto& entry : std::filesystem::directory_iterator(work())) {
    if (entry.path().filename().string().starts_with("mnt")) mounts.insert(entry.path());
  }
  for (const std::string& mount : mounts) Clean(mount);
  std::error_code ignored;
  std::filesystem::remove_all(work(), ignored);
}

void Conformance::Clean(const std::string& mount) {
  const bool clean = Eventually([&] {
    const Fd top = Open(mount, O_RDONLY | O_DIRECTORY);
    const Fd tasks(::openat(top.get(), "tasks", O_WRONLY | O_CLOEXEC));
    RemoveGroupsBelow(top.get(), tasks.get());
    struct stat st {};
    return ::fstat(top.get(), &st) != 0 || st.st_nlink == 2;
  });
  EXPECT_TRUE(clean) << "groups stay behind in " << mount;
  ::umount2(mount.c_str(), MNT_DETACH);
}

// ---- mounts

std::string Conformance::Options(const std::string& name) const {
  return "none,name=" + name + number_ + ",compat=" + GetParam();
}

int Conformance::TryMount(const std::string& options) const {
  const std::string dir = work() + "/mnt-try";
  Mkdir(dir);
  auto client = Client::Connect(shared_instance);
  if (!client) return client.error().code;
  const auto mounted = MountOn(*client, {.source = "none", .dir = dir, .options = options});
  if (!mounted) return mounted.error().code;
  EXPECT_EQ(Code(::umount2(dir.c_str(), 0)), 0) << options;
  return 0;
}

int Conformance::Remount(const std::string& options) const {
  auto client = Client::Connect(shared_instance);
  if (!client) return client.error().code;
  const auto done =
      MountOn(*client, {.source = "none", .dir = mnt(), .options = "remount," + options});
  return done ? 0 : done.error().code;
}

std::string Conformance::Status(const std::string& field) const {
  return Sh("corral status --json | jq -r '.hierarchies[] | select(.name == \"" + Name() +
            "\") | " + field + "'")
      .out;
}

// ---- groups and tasks

std::string Conformance::Group(const std::string& path) const {
  const std::string full = mnt() + "/" + path;
  EXPECT_EQ(Mkdir(full), 0) << full;
  return full;
}

pid_t Conformance::Child(const std::function<void()>& act) {
  const pid_t child = ::fork();
  if (child == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);  // should the test program crash
    act();
    ::_exit(0);
  }
  children_.insert(child);
  return child;
}

pid_t Conformance::Sleeper() {
  return Child([] {
    for (;;) ::pause();
  });
}

pid_t Conformance::SleeperIn(const std::string& group) {
  const pid_t child = Sleeper();
  EXPECT_EQ(Write(group + "/tasks", std::to_string(child)), 0) << group;
  return child;
}

void Conformance::End(pid_t child) {
  ::kill(child, SIGKILL);
  Await(child);
  children_.erase(child);
}

void Conformance::Await(pid_t child) {
  while (::waitpid(child, nullptr, 0) < 0 && errno == EINTR) {
  }
}

void Conformance::EmptyByExit(const std::string& group) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(Write(group + "/tasks", "0"));
  int status = -1;
  ::waitpid(child, &status, 0);
  ASSERT_EQ(status, 0) << group;
}

int Conformance::As(uid_t uid, gid_t gid, const std::function<int()>& act) {
  const pid_t child = ::fork();
  if (child == 0) {
    if (::setgroups(0, nullptr) != 0 || ::setresgid(gid, gid, gid) != 0 ||
        ::setresuid(uid, uid, uid) != 0) {
      ::_exit(255);
    }
    ::_exit(act());
  }
  int status = -1;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

// ---- the release agent

void Conformance::SetAgent(const std::string& path) {
  if (v6()) {
    ASSERT_EQ(Remount("compat=v6,release_agent=" + path), 0);
  } else {
    ASSERT_EQ(Write(mnt() + "/release_agent", path), 0);
  }
}

std::vector<std::string> Conformance::Told(std::size_t at_least) {
  const auto lines = [&] {
    Lines all = SplitLines(Read(work() + "/log"));
    std::sort(all.begin(), all.end());
    return all;
  };
  EXPECT_TRUE(Eventually([&] { return lines().size() >= at_least; })) << Read(work() + "/log");
  // What was to come before the last one of all has come, or is being started.
  static int serial = 0;
  const std::string marker = "zz-marker" + std::to_string(++serial);
  const std::string group = Group(marker);
  EXPECT_EQ(Write(group + "/notify_on_release", "1"), 0);
  EmptyByExit(group);
  const auto marked = [&] {
    const Lines all = lines();
    return std::find(all.begin(), all.end(), "/" + marker) != all.end();
  };
  EXPECT_TRUE(Eventually(marked)) << Read(work() + "/log");
  EXPECT_EQ(Rmdir(group), 0);
  ::usleep(30'000);
  Lines all = lines();
  std::erase_if(all, [](const std::string& line) { return line.starts_with("/zz-marker"); });
  return all;
}

}  // namespace corral

namespace {

class EndsTheInstance : public ::testing::Environment {
  void TearDown() override { corral::Conformance::EndSharedInstance(); }
};

[[maybe_unused]] const auto* const environment =
    ::testing::AddGlobalTestEnvironment(new EndsTheInstance);

}  // namespace

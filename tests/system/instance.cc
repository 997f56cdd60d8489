#include "system/instance.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

#include "base/fd.h"
#include "base/process.h"

namespace corral {

void InstanceTest::SetUp() {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root";
  if (::access("/dev/fuse", R_OK | W_OK) != 0) GTEST_SKIP() << "needs /dev/fuse";
  if (::access("/sys/kernel/btf/vmlinux", R_OK) != 0) GTEST_SKIP() << "needs a kernel with BTF";
  // The test is build/tests/NAME, the programs are in build/bin.
  const std::string bin =
      std::filesystem::canonical("/proc/self/exe").parent_path().parent_path() / "bin";
  static int serial = 0;
  const std::string name = "test-" + std::to_string(::getpid()) + "-" + std::to_string(serial++);
  work_ = "/tmp/corral-" + name;
  ASSERT_EQ(::mkdir(work_.c_str(), 0755), 0);
  ::chmod(work_.c_str(), 0755);
  ASSERT_EQ(::mkdir(mnt().c_str(), 0755), 0);
  ::setenv("CORRAL_INSTANCE", name.c_str(), 1);
  ::setenv("MNT", mnt().c_str(), 1);
  ::setenv("WORK", work_.c_str(), 1);
  const std::string path = std::getenv("PATH");
  if (!path.starts_with(bin)) ::setenv("PATH", (bin + ":" + path).c_str(), 1);
}

void InstanceTest::TearDown() {
  if (!work_.empty()) Finish(work_);
}

void InstanceTest::Finish(const std::string& work) {
  const Outcome down = Sh("corral shutdown --force");
  EXPECT_EQ(down.status, 0) << down.out;
  // Also after a test that failed: what is pinned would count on for ever.
  EXPECT_EQ(Sh("ls -d /run/corral/$CORRAL_INSTANCE /sys/fs/bpf/corral/$CORRAL_INSTANCE "
               "2>/dev/null; rm -rf /sys/fs/bpf/corral/$CORRAL_INSTANCE")
                .out,
            "");
  for (const auto& entry : std::filesystem::directory_iterator(work)) {
    std::error_code dead;  // a mount whose daemon died
    if (entry.is_directory(dead) || dead) ::umount2(entry.path().c_str(), MNT_DETACH);
  }
  std::error_code ignored;
  std::filesystem::remove_all(work, ignored);
}

void InstanceTest::Mount(const std::string& options, const std::string& name) {
  ::mkdir((work_ + "/" + name).c_str(), 0755);
  const Outcome mounted = Sh("corral mount -o '" + options + "' none $WORK/" + name);
  ASSERT_EQ(mounted.status, 0) << mounted.out;
}

void InstanceTest::KillDaemon(int signal) {
  const pid_t daemon = std::atoi(Sh("corral status --json | jq .daemon_pid").out.c_str());
  ASSERT_GT(daemon, 1);
  const Fd handle = OpenPidfd(daemon).value();
  ASSERT_EQ(::kill(daemon, signal), 0);
  pollfd ended{handle.get(), POLLIN, 0};
  ASSERT_EQ(::poll(&ended, 1, 60'000), 1);
}

void InstanceTest::MountAgain(const std::string& options, const std::string& name) {
  ::umount2((work_ + "/" + name).c_str(), MNT_DETACH);
  Mount(options, name);
}

Outcome InstanceTest::Sh(const std::string& command) {
  Outcome outcome;
  FILE* pipe = ::popen(("exec 2>&1\n" + command).c_str(), "re");
  char buffer[4096];
  for (std::size_t n; (n = std::fread(buffer, 1, sizeof buffer, pipe)) > 0;) {
    outcome.out.append(buffer, n);
  }
  const int status = ::pclose(pipe);
  outcome.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return outcome;
}

std::string InstanceTest::WriteAgent(const std::string& body) const {
  const std::string path = work_ + "/agent";
  std::ofstream(path) << "#!/bin/sh\n" << body << "\n";
  ::chmod(path.c_str(), 0755);
  return path;
}

std::string InstanceTest::Read(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

int InstanceTest::Write(const std::string& path, const std::string& bytes) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_CLOEXEC);
  if (fd < 0) return errno;
  const ssize_t n = ::write(fd, bytes.data(), bytes.size());
  const int error = n < 0 ? errno : 0;
  ::close(fd);
  if (n >= 0) {
    EXPECT_EQ(static_cast<std::size_t>(n), bytes.size());
  }
  return error;
}

bool InstanceTest::Eventually(const std::function<bool()>& condition) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (!condition()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return true;
}

void InstanceTest::ExpectCleanAudit() const {
  const Outcome audit = Sh("corral audit");
  EXPECT_EQ(audit.status, 0)
      << audit.out
      << Sh("corral status; sleep 1; corral audit; cat /run/corral/$CORRAL_INSTANCE/corrald.log")
             .out;
}

}  // namespace corral

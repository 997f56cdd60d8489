#include "agent/agent_child.h"

#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>

namespace corral {
namespace {

[[noreturn]] void Give(int pipe, wire::ReportKind kind, const Error& error) {
  const ChildFailure failure{kind, error.code};
  std::string message(reinterpret_cast<const char*>(&failure), sizeof failure);
  message.append(error.message, 0, wire::kMaxReportText);
  [[maybe_unused]] const ssize_t written = ::write(pipe, message.data(), message.size());
  ::_exit(127);
}

// Takes on `user` for good: its groups, then the group, then the uid and with it the rights.
Result<void> SwitchUser(const std::string& user) {
  errno = 0;
  const passwd* entry = ::getpwnam(user.c_str());
  if (entry == nullptr) {
    return Fail(errno != 0 ? errno : ENOENT, "no user {} (agent_user=)", user);
  }
  if (::initgroups(entry->pw_name, entry->pw_gid) != 0 || ::setgid(entry->pw_gid) != 0 ||
      ::setuid(entry->pw_uid) != 0) {
    return Fail(errno, "cannot become user {}: {}", user, std::strerror(errno));
  }
  return {};
}

Result<void> Prepare(const AgentJob& job) {
  ::setsid();
  ::umask(022);
  if (::chdir("/") != 0) return Fail(errno, "cannot change to /: {}", std::strerror(errno));
  if (!job.user.empty()) {
    if (auto switched = SwitchUser(job.user); !switched) return switched;
  }
  if (job.no_new_privs && ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
    return Fail(errno, "cannot set no_new_privs: {}", std::strerror(errno));
  }
  return {};
}

}  // namespace

void BecomeAgent(const AgentJob& job, int report_pipe) {
  using wire::ReportKind;
  if (auto check = CheckAgentFile(job.agent); !check) {
    const bool refused = check.error().code == EPERM;
    Give(report_pipe, refused ? ReportKind::kRefused : ReportKind::kNotStarted, check.error());
  }
  if (auto ready = Prepare(job); !ready) Give(report_pipe, ReportKind::kNotStarted, ready.error());

  // Last, because looking up a user may have opened something.
  if (report_pipe != 3) report_pipe = ::dup3(report_pipe, 3, O_CLOEXEC);
  ::close_range(4, ~0U, 0);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);

  char home[] = "HOME=/";
  char path[] = "PATH=/sbin:/bin:/usr/sbin:/usr/bin";
  char* const environment[] = {home, path, nullptr};
  char* const arguments[] = {const_cast<char*>(job.agent.c_str()),
                             const_cast<char*>(job.path.c_str()), nullptr};
  ::execve(job.agent.c_str(), arguments, environment);
  Give(report_pipe, ReportKind::kNotStarted, Error{errno, std::strerror(errno)});
}

}  // namespace corral

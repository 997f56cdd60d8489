#include "agent/agent_child.h"

#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string>

#include "agent/agent_file.h"
#include "agent/wire.h"
#include "base/errors.h"
#include "base/fd.h"
#include "base/process.h"

namespace corral {
namespace {

using wire::ReportKind;

constexpr int kAgentFd = wire::kSocket + 1;

// What a service gets, not what the daemon raised for itself. Hard limits stay.
constexpr struct {
  decltype(RLIMIT_NOFILE) resource;
  rlim_t soft;
} kLimits[] = {{RLIMIT_NOFILE, 1024}, {RLIMIT_STACK, 8 << 20}, {RLIMIT_CORE, 0}};

[[noreturn]] void Give(int socket, std::uint64_t id, ReportKind kind, const Error& error) {
  (void)wire::SendReport(socket, id, kind, error.code, error.message);
  ::_exit(127);
}

// Takes on the user for good: its groups, then the group, then the uid and with it the rights.
Result<void> SwitchUser(const passwd& user) {
  if (::initgroups(user.pw_name, user.pw_gid) != 0 || ::setgid(user.pw_gid) != 0 ||
      ::setuid(user.pw_uid) != 0) {
    return FailErrno("cannot become user {}", user.pw_name);
  }
  return {};
}

// The daemon's surroundings are for the daemon (spec 10.4 for the rest).
void TakeOrdinarySurroundings() {
  ::setsid();
  ::umask(022);
  ::setpriority(PRIO_PROCESS, 0, 0);
  for (const auto& [resource, soft] : kLimits) {
    rlimit limit;
    if (::getrlimit(resource, &limit) != 0) continue;
    limit.rlim_cur = std::min(soft, limit.rlim_max);
    ::setrlimit(resource, &limit);
  }
  const Fd score(::open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC));
  (void)!::write(score.get(), "0", 1);
}

// The agent's file, checked; the process is ready to become it.
Result<Fd> Prepare(const AgentJob& job) {
  const passwd* user = nullptr;
  if (!job.user.empty()) {
    errno = 0;
    user = ::getpwnam(job.user.c_str());
    if (user == nullptr) {
      return Fail(errno != 0 ? errno : ENOENT, "no user {} (agent_user=)", job.user);
    }
  }
  Fd file = TRY(OpenAgentFile(job.agent, user != nullptr ? user->pw_uid : 0));
  if (::chdir("/") != 0) return FailErrno("cannot change to /");
  TakeOrdinarySurroundings();
  if (user != nullptr) TRY(SwitchUser(*user));
  if (job.no_new_privs && ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
    return FailErrno("cannot set no_new_privs");
  }
  return file;
}

// What was checked is what is started: the file that is open. Not so what the kernel hands to an
// interpreter, which gets a name: a name from a descriptor (/dev/fd/N) would need that descriptor
// left open and be $0 (spec 10.4). So it is the agent's own name again, and as good: the check went
// along every directory that this name leads through, and none but root and the agent's user can
// change what it finds there. (In a sticky directory root's file would have to be removed by root,
// and another made by somebody else, in the microseconds between.)
void Exec(const AgentJob& job) {
  char home[] = "HOME=/";
  std::string path = std::string("PATH=") + kAgentPath;
  char* const environment[] = {home, path.data(), nullptr};
  char* const arguments[] = {const_cast<char*>(job.agent.c_str()),
                             const_cast<char*>(job.path.c_str()), nullptr};
  ::syscall(SYS_execveat, kAgentFd, "", arguments, environment, AT_EMPTY_PATH);
  if (errno == ENOENT) ::execve(job.agent.c_str(), arguments, environment);
}

// Asks the daemon. False: it is dead, or has no descriptor for the answer.
bool MayGo(std::uint64_t id, int socket) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return false;
  const Fd answer(ends[0]);
  Fd go(ends[1]);
  // With the process itself, so that its end can be seen without the spawner.
  const Fd self = OpenPidfd(::getpid()).value_or(Fd());
  if (!wire::SendReport(socket, id, ReportKind::kReady, ::getpid(), {}, go.get(), self.get())) {
    return false;
  }
  go.reset();
  char byte;
  ssize_t size;
  do {
    size = ::read(answer.get(), &byte, 1);
  } while (size < 0 && errno == EINTR);
  return size == 1;
}

}  // namespace

void BecomeAgent(std::uint64_t id, const AgentJob& job, int socket) {
  auto file = Prepare(job);
  if (!file) {
    const bool refused = file.error().code == EPERM;
    Give(socket, id, refused ? ReportKind::kRefused : ReportKind::kNotStarted, file.error());
  }
  // Last, because looking up a user may have opened something.
  if (file->get() != kAgentFd) ::dup3(file->get(), kAgentFd, O_CLOEXEC);
  ::close_range(kAgentFd + 1, ~0U, 0);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);

  if (!MayGo(id, socket)) ::_exit(127);
  Exec(job);
  Give(socket, id, ReportKind::kNotStarted, Error{errno, std::strerror(errno)});
}

}  // namespace corral

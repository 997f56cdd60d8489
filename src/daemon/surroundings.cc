#include "daemon/surroundings.h"

#include <fcntl.h>
#include <grp.h>
#include <linux/close_range.h>
#include <linux/keyctl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <climits>
#include <cstdint>
#include <cstdlib>
#include <cstring>

#include "base/number.h"
#include "base/proc.h"
#include "base/read_file.h"
#include "daemon/surrounding_steps.h"

namespace corral {
namespace surroundings {

std::string OfInit(const std::string& path) {
  for (const char* process : {"/proc/1/", "/proc/2/"}) {
    struct stat found;
    if (::stat((process + path).c_str(), &found) == 0) return process + path;
  }
  return "";
}

namespace {

constexpr std::array<const char*, 2> kEnvironment = {
    "HOME=/", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"};

// A real or saved uid of another user would let that one send us signals.
void Identity(Report& report) {
  (void)::setgroups(0, nullptr);
  if (::setresgid(0, 0, 0) != 0) {
    report.Harmless(fmt::format("the group ids of its starter stay: {}", std::strerror(errno)));
  }
  if (::setresuid(0, 0, 0) != 0) {
    report.Harms(fmt::format("the real uid {} of its starter stays: {}; that user may end it",
                             ::getuid(), std::strerror(errno)));
  }
}

// Timers outlive an exec, and their signals end us.
void Signals(Report&) {
  for (const __itimer_which timer : {ITIMER_REAL, ITIMER_VIRTUAL, ITIMER_PROF}) {
    const itimerval never = {};
    (void)::setitimer(timer, &never, nullptr);
  }
  struct sigaction plain = {};
  plain.sa_handler = SIG_DFL;
  for (int signal = 1; signal < NSIG; ++signal) (void)::sigaction(signal, &plain, nullptr);
  sigset_t none;
  ::sigemptyset(&none);
  (void)::sigprocmask(SIG_SETMASK, &none, nullptr);
}

void Directory(Report& report) {
  ::umask(022);
  if (::chdir("/") != 0) {
    report.Harmless(fmt::format("the working directory stays: {}", std::strerror(errno)));
  }
}

void Keyring(Report&) {
  (void)::syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, nullptr, 0, 0, 0);
}

struct Capability {
  unsigned number;
  const char* name;
  const char* what_for;
};
constexpr Capability kCapabilities[] = {
    {5, "CAP_KILL", "corral kill"},
    {18, "CAP_SYS_CHROOT", "leaving a mount namespace"},
    {19, "CAP_SYS_PTRACE", "looking at other users' processes"},
    {21, "CAP_SYS_ADMIN", "mounting"},
    {23, "CAP_SYS_NICE", "cpusets, and leaving a niceness"},
    {24, "CAP_SYS_RESOURCE", "raising limits"},
};

// What init has as well cannot be had on this machine: nobody's doing.
void Rights(Report& report) {
  (void)::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
  const std::string inits = ReadFileOrNothing("/proc/1/status");
  const std::string own = ReadFileOrNothing("/proc/self/status");
  const std::uint64_t lost = LeadingNumber(StatusValue(inits, "CapBnd"), 16) &
                             ~LeadingNumber(StatusValue(own, "CapEff"), 16);
  for (const auto& [number, name, what_for] : kCapabilities) {
    if (lost >> number & 1) report.Harmless(fmt::format("it lacks {} ({})", name, what_for));
  }
  if (StatusValue(own, "NoNewPrivs") == "1") {
    report.Harmless("no_new_privs is set, for release agents as well");
  }
  if (const auto mode = StatusValue(own, "Seccomp"); mode != "0" && !mode.empty()) {
    report.Harmless("a seccomp filter of its starter decides over its system calls");
  }
  if (const auto tracer = StatusValue(own, "TracerPid"); tracer != "0" && !tracer.empty()) {
    report.Harms(fmt::format("process {} traces it, and may stop it", tracer));
  }
}

// Whom the step is for: everybody, or those that no supervisor started in the foreground.
enum class For { kAll, kBackground };

struct Row {
  const char* name;
  For whom;
  void (*leave)(Report&);
  bool before_exec = false;  // counts from the next exec on
};

// In this order: capabilities are used before anything could take them away; the cgroups are named
// as the initial cgroup namespace does; the processors are those of the cgroup left for.
constexpr Row kSteps[] = {
    {"signals", For::kAll, Signals},
    {"limits", For::kBackground, Limits, true},
    {"personality", For::kAll, Personality, true},
    {"namespaces", For::kBackground, Namespaces},
    {"directory", For::kAll, Directory},
    {"cgroups", For::kBackground, KernelCgroups},
    {"priority", For::kBackground, Priority},
    {"processors", For::kBackground, Processors},
    {"oom_score", For::kBackground, OomScore},
    {"keyring", For::kAll, Keyring},
    {"user", For::kAll, Identity},
    {"rights", For::kAll, Rights},
};

bool Applies(For whom, bool foreground) { return whom == For::kAll || !foreground; }

// All but standard input, output and error, and `kept`. Those three are there, so that nothing else
// gets their numbers.
void CloseDescriptors(int kept) {
  int null_fd;
  while ((null_fd = ::open("/dev/null", O_RDWR)) >= 0 && null_fd <= 2) {
  }
  if (null_fd > 2 && null_fd != kept) ::close(null_fd);
  if (kept > 3) ::close_range(3, static_cast<unsigned>(kept) - 1, 0);
  ::close_range(kept < 3 ? 3 : static_cast<unsigned>(kept) + 1, ~0U, 0);
}

// The program's own name where that is still this file: it is what tools show.
std::string OwnProgram() {
  const char* const self = "/proc/self/exe";
  char name[PATH_MAX + 1] = {};
  return ::readlink(self, name, PATH_MAX) > 0 && SameFile(name, self) ? name : self;
}

}  // namespace
}  // namespace surroundings

using namespace surroundings;

// Our own, and of a supervisor's what says where standard error leads (systemd.exec(5)).
static std::vector<std::string> Environment(bool foreground) {
  std::vector<std::string> wanted(kEnvironment.begin(), kEnvironment.end());
  constexpr const char* kJournal = "JOURNAL_STREAM";
  if (const char* set = std::getenv(kJournal); foreground && set != nullptr) {
    wanted.push_back(fmt::format("{}={}", kJournal, set));
  }
  return wanted;
}

bool EnvironmentIsClean(bool foreground) {
  std::size_t found = 0;
  for (const std::string& wanted : Environment(foreground)) {
    if (!environ[found] || environ[found++] != wanted) return false;
  }
  return environ[found] == nullptr;
}

Error RunAgainClean(const std::vector<std::string>& words, bool foreground) {
  Report ignored;  // the second run says it
  for (const Row& row : kSteps) {
    if (row.before_exec && Applies(row.whom, foreground)) row.leave(ignored);
  }
  std::vector<const char*> arguments;
  for (const std::string& word : words) arguments.push_back(word.c_str());
  arguments.push_back(nullptr);
  const std::vector<std::string> wanted = Environment(foreground);
  std::vector<const char*> environment;
  for (const std::string& variable : wanted) environment.push_back(variable.c_str());
  environment.push_back(nullptr);
  const std::string program = OwnProgram();
  ::execve(program.c_str(), const_cast<char* const*>(arguments.data()),
           const_cast<char* const*>(environment.data()));
  return {errno, fmt::format("cannot run {} again: {}", program, std::strerror(errno))};
}

void RaiseDescriptors() {
  rlimit limit = {};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  (void)::setrlimit(RLIMIT_NOFILE, &limit);
}

std::vector<NotLeft> LeaveSurroundings(bool foreground, int kept_fd) {
  CloseDescriptors(kept_fd);
  std::vector<NotLeft> all;
  for (const Row& row : kSteps) {
    if (!Applies(row.whom, foreground)) continue;
    Report report;
    row.leave(report);
    for (const auto& [text, harms] : report.lines()) all.push_back({row.name, text, harms});
  }
  return all;
}

}  // namespace corral

// What limits, slows down or singles out a process, and is inherited.
#include <sched.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <vector>

#include "daemon/surrounding_steps.h"

#include <fmt/format.h>

namespace corral::surroundings {
namespace {

constexpr rlim_t kNone = RLIM_INFINITY;
constexpr int kOomScore = -900;                // others first; 1000 less would be "never"
constexpr unsigned long kTimerSlack = 50'000;  // ns, the kernel's own default
constexpr std::size_t kMostProcessors = 8192;

struct Limit {
  __rlimit_resource resource;
  const char* name;
  rlim_t soft, hard;
  rlim_t harms_below = 0;  // then the daemon is ended, or cannot do what it is asked
};

// The stack's soft limit is the size of each thread's; one of core files is for who wants some;
// that of descriptors is for whom we start (RaiseDescriptors).
constexpr Limit kLimits[] = {
    {RLIMIT_CPU, "CPU time", kNone, kNone, kNone},
    {RLIMIT_FSIZE, "file size", kNone, kNone, kNone},
    {RLIMIT_AS, "address space", kNone, kNone, kNone},
    {RLIMIT_DATA, "data segment", kNone, kNone, kNone},
    {RLIMIT_RSS, "resident memory", kNone, kNone},
    {RLIMIT_NPROC, "processes", kNone, kNone},
    {RLIMIT_NOFILE, "open files", 1024, kNone, 4096},
    {RLIMIT_MEMLOCK, "locked memory", kNone, kNone},
    {RLIMIT_LOCKS, "file locks", kNone, kNone},
    {RLIMIT_SIGPENDING, "pending signals", kNone, kNone},
    {RLIMIT_MSGQUEUE, "message queues", 819200, 819200},
    {RLIMIT_RTTIME, "real-time CPU time", kNone, kNone},
    {RLIMIT_NICE, "niceness", 0, 0},
    {RLIMIT_RTPRIO, "real-time priority", 0, 0},
    {RLIMIT_STACK, "stack", rlim_t{8} << 20, kNone, rlim_t{1} << 20},
    {RLIMIT_CORE, "core files", 0, kNone},
};

// No limit of descriptors may be higher than this.
rlim_t MostDescriptors() {
  rlim_t most = 1 << 20;
  std::ifstream("/proc/sys/fs/nr_open") >> most;
  return most;
}

rlim_t HardLimitOfInit(__rlimit_resource resource) {
  rlimit theirs = {};
  return ::prlimit(1, resource, nullptr, &theirs) == 0 ? theirs.rlim_max : 0;
}

// Without CAP_SYS_RESOURCE a hard limit that was lowered stays so. That is the starter's doing only
// if init has more.
void Raise(const Limit& limit, Report& report) {
  rlimit wanted{limit.soft, limit.hard};
  if (limit.resource == RLIMIT_NOFILE) wanted.rlim_max = MostDescriptors();
  if (::setrlimit(limit.resource, &wanted) == 0) return;
  const int error = errno;
  rlimit now = {};
  if (::getrlimit(limit.resource, &now) != 0) return;
  now.rlim_cur = std::min(wanted.rlim_cur, now.rlim_max);
  (void)::setrlimit(limit.resource, &now);
  if (now.rlim_max >= HardLimitOfInit(limit.resource)) return;
  const std::string text = fmt::format("the limit of {} stays at {}: {}", limit.name, now.rlim_max,
                                       std::strerror(error));
  now.rlim_max < limit.harms_below ? report.Harms(text) : report.Harmless(text);
}

}  // namespace

void Limits(Report& report) {
  for (const Limit& limit : kLimits) Raise(limit, report);
}

void Priority(Report& report) {
  const sched_param none = {};
  if (::sched_setscheduler(0, SCHED_OTHER, &none) != 0) {
    report.Harmless(fmt::format("the scheduling policy stays: {}", std::strerror(errno)));
  }
  if (::setpriority(PRIO_PROCESS, 0, 0) != 0) {
    report.Harmless(
        fmt::format("nice stays at {}: {}", ::getpriority(PRIO_PROCESS, 0), std::strerror(errno)));
  }
  constexpr int kThisProcess = 1;  // IOPRIO_WHO_PROCESS; its header is C only
  (void)::syscall(SYS_ioprio_set, kThisProcess, 0, 0);
  (void)::prctl(PR_SET_TIMERSLACK, kTimerSlack, 0, 0, 0);
}

// The kernel keeps those that our cpuset (a kernel cgroup) allows.
void Processors(Report& report) {
  std::vector<cpu_set_t> all(kMostProcessors / CPU_SETSIZE);
  const std::size_t bytes = all.size() * sizeof(cpu_set_t);
  std::memset(all.data(), 0xff, bytes);
  (void)::sched_setaffinity(0, bytes, all.data());
  constexpr int kDefaultMemoryPolicy = 0;  // MPOL_DEFAULT
  (void)::syscall(SYS_set_mempolicy, kDefaultMemoryPolicy, nullptr, 0);
  if (::sched_getaffinity(0, bytes, all.data()) != 0) return;
  const long ours = CPU_COUNT_S(bytes, all.data());
  const long online = ::sysconf(_SC_NPROCESSORS_ONLN);
  if (ours < online) {
    report.Harmless(fmt::format("it may run on {} of {} processors only", ours, online));
  }
}

void OomScore(Report& report) {
  const char* const path = "/proc/self/oom_score_adj";
  int score = 0;
  std::ifstream(path) >> score;
  for (const int wanted : {kOomScore, 0}) {
    if (score <= wanted) return;
    if (std::ofstream(path) << wanted << std::flush) return;
    const std::string text = fmt::format(
        "oom_score_adj is {}, and cannot be lowered to {} (CAP_SYS_RESOURCE): when memory is short "
        "the kernel may choose the daemon",
        score, wanted);
    if (wanted == 0) return report.Harms(text);
    if (score <= 0) return report.Harmless(text);
  }
}

void Personality(Report& report) {
  if (::personality(PER_LINUX) < 0) report.Harmless("the personality stays as it was");
}

}  // namespace corral::surroundings

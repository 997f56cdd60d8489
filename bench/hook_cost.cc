// corral_hook_cost [CHILDREN]: nanoseconds that corral adds to a fork and to an exit, as the
// kernel itself measures them (kernel.bpf_stats_enabled), in three places: the initial css_set,
// a counted one that stays filled, and one that each child leaves empty (the bell rings).
//
// The meter itself costs more than the hooks do; an empty program at the same tracepoints, in
// the same forks, tells how much, and the net is what is left.
//
// Needs root. The kernel's statistics are on while it runs and off again afterwards. A number is
// the mean over all forks of the machine meanwhile: run it on a quiet one.
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>
#include <vector>

#include "base/fd.h"
#include "trackers/bpf/bpf_cpu_meter.h"
#include "trackers/bpf/bpf_tracker.h"

namespace corral {
namespace {

constexpr double kBoundNs = 150;

struct Cost {
  std::uint64_t ns = 0;
  std::uint64_t runs = 0;
};

// Our hooks are the newest programs with these names: other instances may be running.
std::map<std::string, Fd> FindHooks() {
  std::map<std::string, Fd> hooks;
  for (std::uint32_t id = 0; bpf_prog_get_next_id(id, &id) == 0;) {
    Fd fd(bpf_prog_get_fd_by_id(id));
    bpf_prog_info info = {};
    std::uint32_t size = sizeof info;
    if (!fd || bpf_obj_get_info_by_fd(fd.get(), &info, &size) != 0) continue;
    const std::string name = info.name;
    if (name.starts_with("on_") || name.starts_with("limit_")) hooks[name] = std::move(fd);
  }
  return hooks;
}

// An empty program at a tracepoint, attached as long as it lives.
struct EmptyHook {
  explicit EmptyHook(const char* tracepoint) {
    const bpf_insn empty[] = {
        {.code = BPF_ALU64 | BPF_MOV | BPF_K,
         .dst_reg = BPF_REG_0,
         .src_reg = 0,
         .off = 0,
         .imm = 0},
        {.code = BPF_JMP | BPF_EXIT, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = 0}};
    LIBBPF_OPTS(bpf_prog_load_opts, options, .expected_attach_type = BPF_TRACE_RAW_TP);
    options.attach_btf_id =
        static_cast<std::uint32_t>(libbpf_find_vmlinux_btf_id(tracepoint, BPF_TRACE_RAW_TP));
    program.reset(bpf_prog_load(BPF_PROG_TYPE_TRACING, "corral_empty", "GPL", empty, 2, &options));
    link.reset(bpf_raw_tracepoint_open(nullptr, program.get()));
    if (!link) std::fprintf(stderr, "corral_hook_cost: the cost of the meter is unknown\n");
  }
  Fd program;
  Fd link;
};

Cost CostOf(int fd) {
  bpf_prog_info info = {};
  std::uint32_t size = sizeof info;
  if (bpf_obj_get_info_by_fd(fd, &info, &size) != 0) return {};
  return {info.run_time_ns, info.run_cnt};
}

// Nanoseconds a run, of the runs since `then`.
double MeanSince(const Cost& then, int fd) {
  const Cost now = CostOf(fd);
  const std::uint64_t runs = now.runs - then.runs;
  return runs ? static_cast<double>(now.ns - then.ns) / static_cast<double>(runs) : 0;
}

void ForkMany(int children) {
  for (int i = 0; i < children; ++i) {
    const pid_t child = ::fork();
    if (child == 0) ::_exit(0);
    ::waitpid(child, nullptr, 0);
  }
}

// Each child is put alone into `set`, which its death empties.
void ForkManyAlone(BpfTracker& tracker, int children, CssSetId set) {
  struct Deaf final : Tracker::Listener {
    void SetMayBeEmpty(CssSetId) override {}
    void ResyncNeeded() override {}
  } deaf;
  for (int i = 0; i < children; ++i) {
    int gate[2];
    if (::pipe(gate) != 0) std::exit(1);
    const pid_t child = ::fork();
    if (child == 0) {
      char c;
      ::close(gate[1]);
      (void)!::read(gate[0], &c, 1);
      ::_exit(0);
    }
    const Tid task{static_cast<std::uint32_t>(child)};
    (void)tracker.Move(task, {Tgid{task.value}, kInitialSet}, set);
    ::close(gate[0]);
    ::close(gate[1]);
    ::waitpid(child, nullptr, 0);
    tracker.Drain(deaf);  // somebody looked: the next one rings again
  }
}

// The programs whose cost is asked for, each with its empty twin.
struct Meter {
  std::map<std::string, Fd> hooks = FindHooks();
  EmptyHook empty_birth{"task_newtask"};
  EmptyHook empty_death{"sched_process_exit"};
};

template <typename Run>
void Measure(const char* what, const Meter& meter, Run run) {
  const int fds[] = {meter.hooks.at("on_newtask").get(), meter.empty_birth.program.get(),
                     meter.hooks.at("on_exit").get(), meter.empty_death.program.get()};
  Cost before[4];
  double mean[4];
  for (int i = 0; i < 4; ++i) before[i] = CostOf(fds[i]);
  run();
  for (int i = 0; i < 4; ++i) mean[i] = MeanSince(before[i], fds[i]);
  const double net = mean[0] - mean[1] + mean[2] - mean[3];
  std::printf(
      "%-26s birth %6.0f ns (empty %4.0f)   death %6.0f ns (empty %4.0f)   net sum %6.0f ns  %s\n",
      what, mean[0], mean[1], mean[2], mean[3], net, net <= kBoundNs ? "" : "over the bound");
}

// What programs cost that are there only while something is in use.
void MeasureExtra(const char* what, const std::vector<std::string>& programs, int children) {
  const std::map<std::string, Fd> hooks = FindHooks();
  std::map<std::string, Cost> before;
  for (const std::string& name : programs) {
    if (hooks.contains(name)) before[name] = CostOf(hooks.at(name).get());
  }
  ForkMany(children);
  std::printf("%-26s", what);
  for (const auto& [name, then] : before) {
    std::printf(" %s %6.0f ns  ", name.c_str(), MeanSince(then, hooks.at(name).get()));
  }
  std::printf("\n");
}

void MeasureCpuMeter(BpfTracker& tracker, int children) {
  BpfCpuMeter cpu_meter(tracker);
  if (auto started = cpu_meter.Start(); !started) {
    std::fprintf(stderr, "corral_hook_cost: %s\n", started.error().message.c_str());
    return;
  }
  MeasureExtra("CPU time is metered", {"on_death", "on_free"}, children);
  cpu_meter.Stop();
}

// `sets` css_sets in each of `depth` limits, one inside the other; we are in the first.
void MeasureLimits(const char* what, BpfTracker& tracker, std::uint32_t sets, std::uint32_t depth,
                   int children) {
  TaskLimits all;
  for (std::uint32_t i = 0; i < depth; ++i) {
    all.limits.push_back({.max = 1 << 20, .number = i + 1, .outer = i, .first = 0, .end = sets});
  }
  for (std::uint32_t i = 0; i < sets; ++i) all.sets.push_back({CssSetId{2 + i}, depth});
  if (auto limited = tracker.LimitTasks(all); !limited) {
    std::fprintf(stderr, "corral_hook_cost: %s\n", limited.error().message.c_str());
    return;
  }
  MeasureExtra(what, {"limit_refuse", "limit_kill"}, children);
  (void)tracker.LimitTasks({});
}

int Main(int children) {
  auto created = BpfTracker::Create();
  if (!created) {
    std::fprintf(stderr, "corral_hook_cost: %s\n", created.error().message.c_str());
    return 1;
  }
  BpfTracker& tracker = **created;
  const Fd statistics(bpf_enable_stats(BPF_STATS_RUN_TIME));  // off again when it is closed
  if (!statistics) {
    std::fprintf(stderr, "corral_hook_cost: cannot turn on the kernel's BPF statistics\n");
    return 1;
  }
  const Meter meter;
  const Tid self{static_cast<std::uint32_t>(::getpid())};
  constexpr CssSetId kSet{2};
  (void)tracker.CreateSet(kSet);
  std::printf("%d children each; the bound is %.0f ns\n", children, kBoundNs);
  Measure("initial css_set", meter, [&] { ForkMany(children); });
  (void)tracker.Move(self, {Tgid{self.value}, kInitialSet}, kSet);
  Measure("counted css_set", meter, [&] { ForkMany(children); });
  (void)tracker.Move(self, {Tgid{self.value}, kSet}, kInitialSet);
  Measure("emptied each time (bell)", meter, [&] { ForkManyAlone(tracker, children, kSet); });
  MeasureCpuMeter(tracker, children);
  MeasureLimits("a limit elsewhere", tracker, 1, 1, children);
  (void)tracker.Move(self, {Tgid{self.value}, kInitialSet}, kSet);
  MeasureLimits("a limit", tracker, 1, 1, children);
  MeasureLimits("8 limits, 1 set in each", tracker, 1, 8, children);
  MeasureLimits("a limit on 1000 sets", tracker, 1000, 1, children);
  return 0;
}

}  // namespace
}  // namespace corral

int main(int argc, char** argv) { return corral::Main(argc > 1 ? std::atoi(argv[1]) : 20000); }

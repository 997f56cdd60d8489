#include "trackers/bpf/tracker_programs.h"

#include <bpf/bpf.h>
#include <sys/random.h>

#include <algorithm>
#include <chrono>
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <thread>

#include "base/errors.h"
#include "base/log.h"
#include "tracker.skel.h"
#include "trackers/bpf/kernel_support.h"
#include "trackers/bpf/proc_tasks.h"

namespace corral {
namespace {

constexpr std::array<const char*, 3> kHooks = {"on_newtask", "on_exec", "on_exit"};

int LogLibbpf(enum libbpf_print_level level, const char* format, va_list args) {
  char line[1024];
  std::vsnprintf(line, sizeof line, format, args);
  line[std::strcspn(line, "\n")] = '\0';
  if (level == LIBBPF_WARN) {
    log::Warn("libbpf: {}", line);
  } else {
    log::Debug("libbpf: {}", line);
  }
  return 0;
}

// The program behind a link, which may be another process's.
Fd ProgramOf(int link) {
  bpf_link_info info = {};
  std::uint32_t size = sizeof info;
  if (bpf_obj_get_info_by_fd(link, &info, &size) != 0) return Fd();
  return Fd(bpf_prog_get_fd_by_id(info.prog_id));
}

// What programs and tables are made of: hooks and control program must be of one make.
std::uint64_t LayoutOfObject() {
  std::size_t size = 0;
  const auto* const bytes = static_cast<const unsigned char*>(tracker_bpf::elf_bytes(&size));
  std::uint64_t hash = 0xcbf29ce484222325;  // FNV-1a
  for (std::size_t i = 0; i < size; ++i) hash = (hash ^ bytes[i]) * 0x100000001b3;
  return hash;
}

std::uint64_t NewGeneration() {
  std::uint64_t generation = 0;
  (void)!::getrandom(&generation, sizeof generation, 0);
  return generation;
}

Result<void> LoadAndAttach(tracker_bpf& skeleton, std::string_view what) {
  int error = tracker_bpf::load(&skeleton);
  if (error != 0) return FailErrno(-error, "the kernel refuses the tracker's BPF programs");
  // The last hook first: a task whose birth is seen and whose death is not would be a word
  // without a task until the tid is used again (docs/concurrency.md, 6.1).
  if (bpf_program__autoload(skeleton.progs.on_exit)) {
    skeleton.links.on_exit = bpf_program__attach(skeleton.progs.on_exit);
  }
  error = tracker_bpf::attach(&skeleton);
  if (error != 0) return FailErrno(-error, "cannot attach the {}", what);
  return {};
}

}  // namespace

TrackerPrograms::TrackerPrograms(std::optional<Pins> pins) : pins_(std::move(pins)) {}
TrackerPrograms::~TrackerPrograms() = default;

Result<std::unique_ptr<TrackerPrograms>> TrackerPrograms::Load(TableSizes sizes,
                                                               std::optional<Pins> pins) {
  libbpf_set_print(LogLibbpf);
  const auto stamp = pins ? pins->ReadStamp() : std::nullopt;
  const std::uint64_t layout = LayoutOfObject();
  std::unique_ptr<TrackerPrograms> programs(new TrackerPrograms(std::move(pins)));
  std::string given_up;
  if (stamp && stamp->layout == layout) {
    programs->stamp_ = *stamp;
    const auto loaded = programs->LoadPinned();
    programs->taken_over_ = loaded.has_value();
    if (loaded) return programs;
    given_up = loaded.error().message;
  } else if (stamp) {
    given_up = "the hooks that an earlier daemon left are of another build of corral";
  }
  programs.reset(new TrackerPrograms(std::move(programs->pins_)));
  programs->given_up_ = std::move(given_up);
  programs->stamp_ = {.layout = layout, .generation = NewGeneration()};
  if (programs->pins_) programs->pins_->Clear();
  TRY(programs->LoadNew(sizes));
  return programs;
}

Result<void> TrackerPrograms::LoadNew(TableSizes sizes) {
  skeleton_ = TRY(OpenSkeleton<tracker_bpf>("the tracker's"));
  const std::uint32_t wanted = sizes.tids ? sizes.tids : std::max(PidMax(), HighestTid() + 1);
  const std::uint32_t tids = (wanted + 63) / 64 * 64;
  bpf_map__set_max_entries(skeleton_->maps.words, tids);
  bpf_map__set_max_entries(skeleton_->maps.live, tids / 64);
  bpf_map__set_max_entries(skeleton_->maps.sets, sizes.sets);
  TRY(LoadAndAttach(*skeleton_, "tracker's hooks"));
  const auto& links = skeleton_->links;
  for (const bpf_link* link : {links.on_newtask, links.on_exec, links.on_exit}) {
    hook_programs_.push_back(ProgramOf(bpf_link__fd(link)));
  }
  // What cannot be pinned is no reason not to track: it only does not outlive us.
  if (auto pinned = pins_ ? PinAll() : Result<void>(); !pinned) {
    log::Warn("{}", pinned.error().message);
    EndPins();
    pins_.reset();
  }
  return {};
}

// Tables and hooks are there and at work; what is ours are the programs that are called.
Result<void> TrackerPrograms::LoadPinned() {
  skeleton_ = TRY(OpenSkeleton<tracker_bpf>("the tracker's"));
  for (const auto& [name, map] : Tables()) {
    const Fd pinned(bpf_obj_get(pins_->PathOf(name).c_str()));
    if (!pinned || bpf_map__reuse_fd(map, pinned.get()) != 0) {
      return FailErrno("cannot take over {}", pins_->PathOf(name));
    }
  }
  for (const char* hook : kHooks) {
    Fd link(bpf_obj_get(pins_->PathOf(hook).c_str()));
    Fd program = link ? ProgramOf(link.get()) : Fd();
    if (!program) return FailErrno("cannot take over {}", pins_->PathOf(hook));
    hook_links_.push_back(std::move(link));
    hook_programs_.push_back(std::move(program));
  }
  const auto& progs = skeleton_->progs;
  for (bpf_program* hook : {progs.on_newtask, progs.on_exec, progs.on_exit}) {
    bpf_program__set_autoload(hook, false);
  }
  TRY(LoadAndAttach(*skeleton_, "task iterators"));
  const std::uint32_t tids = bpf_map__max_entries(skeleton_->maps.words);
  if (const std::uint32_t max = PidMax(); max > tids) {
    log::Error(
        "kernel.pid_max is {}, but the table that was taken over holds {} tids: tasks beyond that "
        "are not tracked; shut the instance down and start it again",
        max, tids);
  }
  return {};
}

Result<void> TrackerPrograms::PinAll() const {
  int error = 0;
  for (const auto& [name, map] : Tables()) {
    if (error == 0) error = bpf_map__pin(map, pins_->PathOf(name).c_str());
  }
  const auto& links = skeleton_->links;
  const std::array<bpf_link*, 3> hooks = {links.on_newtask, links.on_exec, links.on_exit};
  for (std::size_t i = 0; i < hooks.size(); ++i) {
    if (error == 0) error = bpf_link__pin(hooks[i], pins_->PathOf(kHooks[i]).c_str());
  }
  if (error != 0) return FailErrno(-error, "cannot pin the tracker's tables and hooks");
  return {};
}

void TrackerPrograms::EndPins() const {
  if (pins_) pins_->Remove();
}

// In the order of TrackerTable.
std::array<std::pair<const char*, bpf_map*>, 6> TrackerPrograms::Tables() const {
  const auto& maps = skeleton_->maps;
  return {{{"words", maps.words},
           {"live", maps.live},
           {"sets", maps.sets},
           {"counters", maps.counters},
           {"hidden", maps.hidden},
           {"doorbell", maps.doorbell}}};
}

const bpf_map* TrackerPrograms::Map(TrackerTable table) const {
  return Tables()[static_cast<std::size_t>(table)].second;
}

int TrackerPrograms::Request(corral_op op, Tid tid, std::uint64_t word, std::uint32_t to) const {
  corral_request request = {};
  request.op = op;
  request.tid = tid.value;
  request.expected = word;
  request.to = to;
  LIBBPF_OPTS(bpf_test_run_opts, options, .ctx_in = &request, .ctx_size_in = sizeof request);
  const int error = bpf_prog_test_run_opts(bpf_program__fd(skeleton_->progs.control), &options);
  if (error != 0) {
    log::Error("the control program cannot run: {}", std::strerror(-error));
    return error;
  }
  return static_cast<int>(request.result);
}

int TrackerPrograms::LinkOf(Walks over) const {
  const auto& links = skeleton_->links;
  switch (over) {
    case Walks::kTasks: return bpf_link__fd(links.walk_tasks);
    case Walks::kLeavers: return bpf_link__fd(links.walk_leavers);
    case Walks::kAdopt: return bpf_link__fd(links.adopt_tasks);
  }
  return -1;
}

std::vector<corral_task_record> TrackerPrograms::Walk(Walks over) const {
  constexpr auto kLongestPause = std::chrono::milliseconds(1280);
  static log::Limit once_a_minute(1);
  for (auto pause = std::chrono::milliseconds(20);; pause = std::min(2 * pause, kLongestPause)) {
    auto records = RecordsOf<corral_task_record>(LinkOf(over));
    if (records) return *std::move(records);
    log::WriteAtMost(once_a_minute, log::Level::kError,
                     records.error().message + "; trying again until it can be");
    std::this_thread::sleep_for(pause);
  }
}

std::uint64_t TrackerPrograms::SkippedHooks() const {
  std::uint64_t skipped = 0;
  for (const Fd& hook : hook_programs_) skipped += RecursionMisses(hook.get());
  return skipped;
}

}  // namespace corral

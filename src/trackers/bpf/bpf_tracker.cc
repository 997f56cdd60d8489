#include "trackers/bpf/bpf_tracker.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <set>
#include <thread>
#include <unordered_set>

#include "base/errors.h"
#include "base/log.h"
#include "tracker.skel.h"
#include "trackers/bpf/bpf_object.h"
#include "trackers/bpf/proc_tasks.h"
#include "trackers/bpf/task_feed.h"
#include "trackers/bpf/task_limiter.h"
#include "trackers/task_audit.h"

namespace corral {
namespace {

// The initial pid namespace has this inode on every kernel (PROC_PID_INIT_INO).
constexpr ino_t kInitialPidNamespace = 0xEFFFFFFC;

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

Result<void> CheckKernel() {
  if (::geteuid() != 0) {
    return Fail(EPERM, "tracking tasks needs root (CAP_BPF and CAP_PERFMON at least)");
  }
  struct stat ns;
  if (::stat("/proc/self/ns/pid", &ns) != 0) {
    return Fail(ENOTSUP, "cannot read /proc/self/ns/pid: is /proc mounted?");
  }
  if (ns.st_ino != kInitialPidNamespace) {
    return Fail(ENOTSUP,
                "this is not the host's pid namespace: the kernel's hooks number tasks "
                "differently here; start corrald on the host");
  }
  if (::access("/sys/kernel/btf/vmlinux", R_OK) != 0) {
    return Fail(ENOTSUP,
                "the kernel has no type information (/sys/kernel/btf/vmlinux): it needs "
                "CONFIG_DEBUG_INFO_BTF");
  }
  return {};
}

std::uint32_t ReadPidMax() {
  std::uint32_t pid_max = 32768;
  std::ifstream("/proc/sys/kernel/pid_max") >> pid_max;
  return pid_max;
}

// A bell, or what begins with one.
int CollectBell(void* bells, void* data, std::size_t size) {
  corral_unknown_bell record = {};
  std::memcpy(&record, data, std::min(size, sizeof record));
  static_cast<std::vector<corral_unknown_bell>*>(bells)->push_back(record);
  return 0;
}

// Who they were, for a line of the log: the first few.
std::string NamesOf(const std::vector<corral_unknown_bell>& tasks) {
  constexpr std::size_t kNamed = 5;
  std::string text;
  for (std::size_t i = 0; i < std::min(tasks.size(), kNamed); ++i) {
    const corral_unknown_bell& one = tasks[i];
    text += fmt::format("{}{} ({:?}, process {}, child of {}, made {}.{:03} s after boot)",
                        i == 0 ? " " : ", ", one.bell.id,
                        std::string_view(one.comm, ::strnlen(one.comm, sizeof one.comm)), one.tgid,
                        one.parent, one.start / 1'000'000'000, one.start / 1'000'000 % 1000);
  }
  if (tasks.size() > kNamed) text += fmt::format(" and {} more", tasks.size() - kNamed);
  return text;
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
  const auto* const bytes = static_cast<const unsigned char*>(tracker_bpf__elf_bytes(&size));
  std::uint64_t hash = 0xcbf29ce484222325;  // FNV-1a
  for (std::size_t i = 0; i < size; ++i) hash = (hash ^ bytes[i]) * 0x100000001b3;
  return hash;
}

std::uint64_t NewGeneration() {
  std::uint64_t generation = 0;
  (void)!::getrandom(&generation, sizeof generation, 0);
  return generation;
}

constexpr std::array<const char*, 3> kHooks = {"on_newtask", "on_exec", "on_exit"};

}  // namespace

std::array<std::pair<const char*, bpf_map*>, 6> BpfTracker::Maps() const {
  const auto& maps = skeleton_->maps;
  return {{{"words", maps.words},
           {"live", maps.live},
           {"sets", maps.sets},
           {"counters", maps.counters},
           {"hidden", maps.hidden},
           {"doorbell", maps.doorbell}}};
}

Result<std::unique_ptr<BpfTracker>> BpfTracker::Create(BpfOptions options,
                                                       std::optional<Pins> pins) {
  TRY(CheckKernel());
  libbpf_set_print(LogLibbpf);
  const auto stamp = pins ? pins->ReadStamp() : std::nullopt;
  const std::uint64_t layout = LayoutOfObject();
  std::unique_ptr<BpfTracker> tracker(new BpfTracker);
  tracker->pins_ = std::move(pins);
  if (stamp && stamp->layout == layout) {
    tracker->stamp_ = *stamp;
    const auto loaded = tracker->LoadPinned();
    if (loaded) tracker->taken_over_ = true;
    if (!loaded) tracker->given_up_ = loaded.error().message;
  } else if (stamp) {
    tracker->given_up_ = "the hooks that an earlier daemon left are of another build of corral";
  }
  if (!tracker->taken_over_) {
    auto kept = std::move(tracker->pins_);
    std::string given_up = std::move(tracker->given_up_);
    tracker.reset(new BpfTracker);
    tracker->pins_ = std::move(kept);
    tracker->given_up_ = std::move(given_up);
    tracker->stamp_ = {.layout = layout, .generation = NewGeneration()};
    if (tracker->pins_) tracker->pins_->Clear();
    if (auto ok = tracker->Load(options); !ok) return Fail(ok.error());
  }
  tracker->feed_bytes_ = options.feed_bytes;
  tracker->also_hidden_ = std::move(options.also_hidden);
  TRY(tracker->ListenToDoorbell());
  TRY(tracker->MapTables());
  TRY(tracker->Seed());
  return tracker;
}

Result<void> BpfTracker::Load(const BpfOptions& options) {
  skeleton_ = TRY(OpenSkeleton<tracker_bpf>("the tracker's"));
  const std::uint32_t wanted =
      options.tids ? options.tids : std::max(ReadPidMax(), HighestTid() + 1);
  const std::uint32_t tids = (wanted + 63) / 64 * 64;
  bpf_map__set_max_entries(skeleton_->maps.words, tids);
  bpf_map__set_max_entries(skeleton_->maps.live, tids / 64);
  bpf_map__set_max_entries(skeleton_->maps.sets, options.sets);
  int error = tracker_bpf::load(skeleton_.get());
  if (error != 0) return FailErrno(-error, "the kernel refuses the tracker's BPF programs");
  // The last hook first: a task whose birth is seen and whose death is not would be a word
  // without a task until the tid is used again (docs/concurrency.md, 6.1).
  skeleton_->links.on_exit = bpf_program__attach(skeleton_->progs.on_exit);
  error = tracker_bpf::attach(skeleton_.get());
  if (error != 0) return FailErrno(-error, "cannot attach the tracker's hooks");
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
Result<void> BpfTracker::LoadPinned() {
  skeleton_ = TRY(OpenSkeleton<tracker_bpf>("the tracker's"));
  for (const auto& [name, map] : Maps()) {
    const Fd pinned(bpf_obj_get(pins_->PathOf(name).c_str()));
    if (!pinned || bpf_map__reuse_fd(map, pinned.get()) != 0) {
      return Fail(errno, "cannot take over {}: {}", pins_->PathOf(name), std::strerror(errno));
    }
  }
  for (const char* hook : kHooks) {
    Fd link(bpf_obj_get(pins_->PathOf(hook).c_str()));
    Fd program = link ? ProgramOf(link.get()) : Fd();
    if (!program) {
      return Fail(errno, "cannot take over {}: {}", pins_->PathOf(hook), std::strerror(errno));
    }
    hook_links_.push_back(std::move(link));
    hook_programs_.push_back(std::move(program));
  }
  const auto& progs = skeleton_->progs;
  for (bpf_program* hook : {progs.on_newtask, progs.on_exec, progs.on_exit}) {
    bpf_program__set_autoload(hook, false);
  }
  int error = tracker_bpf::load(skeleton_.get());
  if (error != 0) return FailErrno(-error, "the kernel refuses the tracker's BPF programs");
  error = tracker_bpf::attach(skeleton_.get());
  if (error != 0) return FailErrno(-error, "cannot attach the task iterators");
  if (const std::uint32_t max = ReadPidMax(); max > bpf_map__max_entries(skeleton_->maps.words)) {
    log::Error(
        "kernel.pid_max is {}, but the table that was taken over holds {} tids: tasks beyond that "
        "are not tracked; shut the instance down and start it again",
        max, bpf_map__max_entries(skeleton_->maps.words));
  }
  return {};
}

Result<void> BpfTracker::ListenToDoorbell() {
  doorbell_.reset(
      ring_buffer__new(bpf_map__fd(skeleton_->maps.doorbell), CollectBell, &bells_, nullptr));
  if (!doorbell_) return FailErrno("cannot map the doorbell");
  return {};
}

Result<void> BpfTracker::PinAll() {
  int error = 0;
  for (const auto& [name, map] : Maps()) {
    if (error == 0) error = bpf_map__pin(map, pins_->PathOf(name).c_str());
  }
  const auto& links = skeleton_->links;
  const std::array<bpf_link*, 3> hooks = {links.on_newtask, links.on_exec, links.on_exit};
  for (std::size_t i = 0; i < hooks.size(); ++i) {
    if (error == 0) error = bpf_link__pin(hooks[i], pins_->PathOf(kHooks[i]).c_str());
  }
  if (error == 0) return {};
  return Fail(-error, "cannot pin the tracker's tables and hooks: {}", std::strerror(-error));
}

Result<void> BpfTracker::CommitPins() { return pins_->WriteStamp(stamp_); }

void BpfTracker::EndPins() {
  if (pins_) pins_->Remove();
}

bool BpfTracker::HasPlacedTasks() const {
  for (std::uint32_t set = CORRAL_SET_FIRST; set < tables_.set_capacity; ++set) {
    if (Count(CssSetId{set}).count != 0) return true;
  }
  return false;
}

Result<void> BpfTracker::MapTables() {
  // Words are read only: every change goes through the hooks or the control program.
  words_ = TRY(MapArray<const std::uint64_t>(skeleton_->maps.words));
  live_ = TRY(MapArray<const std::uint64_t>(skeleton_->maps.live));
  counters_ = TRY(MapArray<const std::uint64_t>(skeleton_->maps.counters));
  sets_ = TRY(MapArray<corral_set_entry>(skeleton_->maps.sets));
  tables_.words = words_.get();
  tables_.live = live_.get();
  tables_.counters = counters_.get();
  tables_.sets = sets_.get();
  tables_.tid_capacity = bpf_map__max_entries(skeleton_->maps.words);
  tables_.set_capacity = bpf_map__max_entries(skeleton_->maps.sets);
  return {};
}

// The hooks are attached: every task born from now on is known, the others are adopted
// here. A task inside exec is adopted by the exec hook; if that exec fails, by a later look.
Result<void> BpfTracker::Seed() {
  constexpr int kTries = 50;
  for (int i = 0; i < kTries; ++i) {
    AdoptUnknown();
    std::unordered_set<std::uint32_t> shown;
    for (const auto& task : Walk(bpf_link__fd(skeleton_->links.walk_tasks))) {
      shown.insert(task.tid);
    }
    if (shown.empty()) return Fail(ENOTSUP, "the kernel's task iterator shows no task");
    std::set<Tgid> hidden;
    seed_incomplete_ = false;
    for (const corral_task_record& task : MachineTasks()) {
      const bool unborn = (task.flags & CORRAL_TASK_NEWBORN) && !corral_word_alive(task.word);
      if (unborn || (task.flags & (CORRAL_TASK_EXITING | CORRAL_TASK_GONE))) continue;
      if (!corral_word_alive(task.word)) seed_incomplete_ = true;
      // Or born since: look once more.
      if (!shown.contains(task.tid)) hidden.insert(Tgid{task.tgid});
    }
    walk_hides_tasks_ = !hidden.empty();
    hidden_.assign(hidden.begin(), hidden.end());
    if (!seed_incomplete_ && (hidden.empty() || i > 2)) break;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  hidden_.insert(hidden_.end(), also_hidden_.begin(), also_hidden_.end());
  if (auto told = TellHooksOfHidden(); !told) return told;
  if (walk_hides_tasks_) log::Info("the task iterator hides tasks; /proc is asked as well");
  if (taken_over_) {
    // Told by whoever was here before; what was missed since, the resync below finds.
    seen_ = misses();
  } else {
    // What died or forked before it was known is no miss.
    ring_buffer__consume(doorbell_.get());
    stamp_.at_start = AllMisses();
  }
  Compare(true);  // an exec that crossed the seeding
  return {};
}

// So that what these processes are the reason of is not taken for trouble. More than fit are rare
// enough to be told as misses.
Result<void> BpfTracker::TellHooksOfHidden() {
  const auto told = TRY(MapArray<corral_hidden>(skeleton_->maps.hidden));
  for (std::size_t i = 0; i < std::size(told->tgids); ++i) {
    __atomic_store_n(&told->tgids[i], i < hidden_.size() ? hidden_[i].value : 0, __ATOMIC_SEQ_CST);
  }
  return {};
}

std::vector<corral_task_record> BpfTracker::MachineTasks() const {
  auto tasks = Walk(bpf_link__fd(skeleton_->links.walk_tasks));
  if (!walk_hides_tasks_) return tasks;
  std::unordered_set<std::uint32_t> shown;
  for (const corral_task_record& task : tasks) shown.insert(task.tid);
  for (corral_task_record& task : TasksOfProc(shown)) {
    if (task.tid < tables_.tid_capacity) task.word = ::corral::Load(tables_.words[task.tid]);
    tasks.push_back(task);
  }
  return tasks;
}

// What the iterator shows is adopted by the kernel program itself. For the rest, the look
// at the flags afterwards is ours: a task that began to exit meanwhile may have passed its
// death hook before its word was there.
void BpfTracker::AdoptUnknown() {
  Walk(bpf_link__fd(skeleton_->links.adopt_tasks));
  if (!walk_hides_tasks_) return;
  for (const corral_task_record& task : MachineTasks()) {
    if (task.flags != 0 || corral_word_alive(task.word)) continue;
    const Tid tid{task.tid};
    if (Request(CORRAL_OP_ADOPT, tid, task.word, task.tgid) != 0) continue;
    if (StateInProc(task.tgid, task.tid) != 0) {
      Request(CORRAL_OP_BURY, tid, corral_make_word(task.tgid, CORRAL_SET_INITIAL), 0);
    }
  }
}

BpfTracker::BpfTracker() = default;

BpfTracker::~BpfTracker() {
  feed_.reset();
  limiter_.reset();
}

Result<Place> BpfTracker::Describe(Tid tid) const { return DescribeTask(tables_, tid); }

Result<SetCount> BpfTracker::CreateSet(CssSetId set) {
  if (set.value >= tables_.set_capacity) {
    return Fail(ENOSPC, "the css_set table is full ({} entries)", tables_.set_capacity);
  }
  if (set.value > highest_set_) highest_set_ = set.value;
  return Count(set);
}

// 0 or a negative errno.
int BpfTracker::Request(corral_op op, Tid tid, std::uint64_t expected, std::uint32_t to) const {
  corral_request request = {};
  request.op = op;
  request.tid = tid.value;
  request.expected = expected;
  request.to = to;
  LIBBPF_OPTS(bpf_test_run_opts, options, .ctx_in = &request, .ctx_size_in = sizeof request);
  const int error = bpf_prog_test_run_opts(bpf_program__fd(skeleton_->progs.control), &options);
  if (error != 0) {
    log::Error("the control program cannot run: {}", std::strerror(-error));
    return error;
  }
  return static_cast<int>(request.result);
}

Result<void> BpfTracker::Move(Tid tid, Place expected, CssSetId to) {
  const int error = Request(CORRAL_OP_MOVE, tid, WordOf(expected), to.value);
  if (error != 0) return Fail(-error, "task {} is not where it was", tid.value);
  return {};
}

SetCount BpfTracker::Count(CssSetId set) const { return CountOf(tables_, set); }

void BpfTracker::ForEachTask(const std::function<void(Tid, Place)>& fn) const {
  for (const auto& [tid, word] : LiveWords(tables_)) fn(tid, PlaceOf(word));
}

Result<void> BpfTracker::Listen(TaskListener* listener) {
  std::shared_ptr<TaskFeed> feed;
  if (listener) {
    auto made = TRY(TaskFeed::Create(
        words_fd(), tables_, [this] { return MachineTasks(); }, feed_bytes_, *listener));
    feed = std::move(made);
  }
  MutexLock lock(parts_mu_);
  feed_.swap(feed);
  return {};
}

std::shared_ptr<TaskFeed> BpfTracker::Feed() const {
  MutexLock lock(parts_mu_);
  return feed_;
}

Result<void> BpfTracker::LimitTasks(const TaskLimits& limits) {
  auto limiter = Limiter();
  if (!limiter) {
    if (limits.limits.empty()) return {};
    auto made =
        TaskLimiter::Create(words_fd(), bpf_map__fd(skeleton_->maps.sets), tables_.set_capacity);
    MutexLock lock(parts_mu_);
    const bool cannot = !made && made.error().code == ENOTSUP;
    if (std::exchange(cannot_limit_, cannot) != cannot && cannot) {
      log::Warn("{}", made.error().message);
    }
    if (!made) return Fail(made.error());
    limiter = limiter_ = std::move(*made);
  }
  return limiter->Set(limits);
}

std::string_view BpfTracker::births_beyond_limits() const {
  MutexLock lock(parts_mu_);
  if (cannot_limit_) return "allowed";
  if (!limiter_) return "";
  return limiter_->control() == BirthControl::kRefuses ? "refused" : "killed";
}

std::uint64_t BpfTracker::RefusedBirths(std::uint32_t number) const {
  const auto limiter = Limiter();
  return limiter ? limiter->Refused(number) : 0;
}

Result<std::vector<Tid>> BpfTracker::BirthsNotLetIn() const {
  const auto limiter = Limiter();
  return limiter ? limiter->NotLetIn() : std::vector<Tid>();
}

std::uint64_t BpfTracker::births_let_through() const {
  const auto limiter = Limiter();
  return limiter ? limiter->LetThrough() : 0;
}

std::shared_ptr<TaskLimiter> BpfTracker::Limiter() const {
  MutexLock lock(parts_mu_);
  return limiter_;
}

std::unique_ptr<Tracker::Standstill> BpfTracker::HoldTasks() {
  class Held final : public Standstill {
   public:
    explicit Held(std::shared_ptr<TaskFeed> feed) NO_THREAD_SAFETY_ANALYSIS
        : feed_(std::move(feed)) {
      feed_->mu().Lock();
    }
    ~Held() override NO_THREAD_SAFETY_ANALYSIS { feed_->mu().Unlock(); }

   private:
    const std::shared_ptr<TaskFeed> feed_;
  };
  auto feed = Feed();
  if (!feed) return nullptr;
  return std::make_unique<Held>(std::move(feed));
}

void BpfTracker::RetireSet(CssSetId set) { TakePending(tables_, set); }

// "No task" is an answer that empties groups and buries words; so a walk that cannot be made,
// for lack of descriptors or memory, is waited for, however long.
std::vector<corral_task_record> BpfTracker::Walk(int link_fd) const {
  constexpr auto kLongestPause = std::chrono::milliseconds(1280);
  static log::Limit once_a_minute(1);
  for (auto pause = std::chrono::milliseconds(20);; pause = std::min(2 * pause, kLongestPause)) {
    auto records = RecordsOf<corral_task_record>(link_fd);
    if (records) return *std::move(records);
    log::WriteAtMost(once_a_minute, log::Level::kError,
                     records.error().message + "; trying again until it can be");
    std::this_thread::sleep_for(pause);
  }
}

std::vector<Leaver> BpfTracker::Leavers() {
  std::vector<Leaver> leavers;
  for (const auto& task : Walk(bpf_link__fd(skeleton_->links.walk_leavers))) {
    leavers.push_back({Tid{task.tid}, CssSetId{corral_word_set(task.word)}});
  }
  return leavers;
}

int BpfTracker::words_fd() const { return bpf_map__fd(skeleton_->maps.words); }

int BpfTracker::bell_fd() const { return ring_buffer__epoll_fd(doorbell_.get()); }

void BpfTracker::Drain(Listener& listener) {
  bells_.clear();
  ring_buffer__consume(doorbell_.get());
  bool resync = std::exchange(seed_incomplete_, false);
  std::vector<corral_unknown_bell> adopted, of_hidden;
  for (const corral_unknown_bell& record : bells_) {
    const corral_bell& bell = record.bell;
    if (bell.kind == CORRAL_BELL_RESYNC) {
      resync = true;
    } else if (bell.kind == CORRAL_BELL_UNKNOWN) {
      if (record.hidden) of_hidden.push_back(record);
      if (!record.hidden && !record.dies) adopted.push_back(record);
    } else if (TakePending(tables_, CssSetId{bell.id})) {
      listener.SetMayBeEmpty(CssSetId{bell.id});
    }
  }
  const MissCounts now = misses();
  if (now.adopted != seen_.adopted) {
    log::Warn("{} live tasks were not known and are in every root now:{}",
              now.adopted - seen_.adopted, NamesOf(adopted));
  }
  if (now.hidden != seen_.hidden) {
    log::Info(
        "{} births or deaths that the kernel does not tell of, as is to be expected here (corral "
        "doctor):{}",
        now.hidden - seen_.hidden, NamesOf(of_hidden));
  }
  if (now.bells != seen_.bells) {
    log::Warn("the doorbell overflowed; looking at every css_set");
    for (std::uint32_t set = CORRAL_SET_FIRST; set <= highest_set_; ++set) {
      if (TakePending(tables_, CssSetId{set})) listener.SetMayBeEmpty(CssSetId{set});
    }
  }
  if (now.out_of_table != seen_.out_of_table && !std::exchange(told_out_of_table_, true)) {
    log::Error(
        "kernel.pid_max is {}, but the table holds {} tids: tasks beyond that are not tracked; "
        "restart corrald",
        ReadPidMax(), tables_.tid_capacity);
  }
  // What is beyond the table cannot be mended; a fork storm there must not cost a resync each.
  seen_.out_of_table = now.out_of_table;
  if (now != seen_) resync = true;
  seen_ = now;
  if (resync) listener.ResyncNeeded();
}

AuditReport BpfTracker::Audit() { return Compare(false); }
AuditReport BpfTracker::Resync() {
  AuditReport report = Compare(true);
  if (const auto feed = Feed()) feed->LookAgain();
  return report;
}

AuditReport BpfTracker::Compare(bool repair) {
  TaskAudit audit(
      tables_, [this] { return MachineTasks(); }, repair ? std::vector<Tgid>() : hidden_);
  AuditReport report = audit.Run();
  if (repair) {
    const std::uint64_t buried = audit.Bury(
        [](Tid tid, Tgid tgid) { return StateInProc(tgid.value, tid.value) & CORRAL_TASK_GONE; },
        [this](Tid tid, std::uint64_t word) { return Request(CORRAL_OP_BURY, tid, word, 0) == 0; });
    report.repaired += buried;
    report.unsettled += audit.phantoms().size() - buried;  // a mover was faster: once more
    // After burying: a phantom may sit on the tid of a task that lives.
    if (!audit.unknown().empty() || !audit.phantoms().empty()) {
      AdoptUnknown();
      for (const Tid tid : audit.unknown()) report.repaired += Describe(tid).has_value() ? 1 : 0;
    }
    return report;
  }
  constexpr int kPatienceMs = 50;
  Tables used = tables_;
  used.set_capacity = highest_set_ + 1;
  for (std::string& difference : AuditCounts(used, kPatienceMs)) {
    report.differences.push_back(std::move(difference));
  }
  return report;
}

MissCounts BpfTracker::AllMisses() const {
  MissCounts misses = MissesOf(tables_);
  for (const Fd& hook : hook_programs_) misses.recursion += RecursionMisses(hook.get());
  return misses;
}

MissCounts BpfTracker::misses() const {
  MissCounts misses = AllMisses() - stamp_.at_start;
  // A thread of a hidden process ends unheard, and a birth finds its word when it gets the tid.
  // Whose word it was, nobody can say any more.
  if (walk_hides_tasks_) misses.hidden += std::exchange(misses.displaced, 0);
  return misses;
}

}  // namespace corral

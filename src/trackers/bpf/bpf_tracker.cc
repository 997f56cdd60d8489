#include "trackers/bpf/bpf_tracker.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <thread>
#include <unordered_set>

#include "base/fd.h"
#include "base/log.h"
#include "tracker.skel.h"
#include "trackers/bpf/bpf_util.h"
#include "trackers/bpf/proc_tasks.h"
#include "trackers/bpf/task_feed.h"
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

std::size_t PageUp(std::size_t bytes) {
  const std::size_t page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  return (bytes + page - 1) / page * page;
}

template <typename T>
Result<T*> MapArray(bpf_map* map, int protection) {
  const std::size_t bytes =
      PageUp(std::size_t{bpf_map__value_size(map)} * bpf_map__max_entries(map));
  void* at = ::mmap(nullptr, bytes, protection, MAP_SHARED, bpf_map__fd(map), 0);
  if (at == MAP_FAILED) {
    return Fail(errno, "cannot map the BPF table {}: {}", bpf_map__name(map),
                std::strerror(errno));
  }
  return static_cast<T*>(at);
}

void UnmapArray(bpf_map* map, const void* at) {
  if (!at) return;
  ::munmap(const_cast<void*>(at),
           PageUp(std::size_t{bpf_map__value_size(map)} * bpf_map__max_entries(map)));
}

int CollectBell(void* bells, void* data, std::size_t size) {
  if (size >= sizeof(corral_bell)) {
    static_cast<std::vector<corral_bell>*>(bells)->push_back(*static_cast<corral_bell*>(data));
  }
  return 0;
}

}  // namespace

Result<std::unique_ptr<BpfTracker>> BpfTracker::Create(BpfOptions options) {
  if (auto ok = CheckKernel(); !ok) return Fail(ok.error());
  libbpf_set_print(LogLibbpf);
  std::unique_ptr<BpfTracker> tracker(new BpfTracker);
  tracker->feed_bytes_ = options.feed_bytes;
  if (auto ok = tracker->Load(options); !ok) return Fail(ok.error());
  if (auto ok = tracker->MapTables(); !ok) return Fail(ok.error());
  if (auto ok = tracker->Seed(); !ok) return Fail(ok.error());
  return tracker;
}

Result<void> BpfTracker::Load(const BpfOptions& options) {
  skeleton_ = tracker_bpf__open();
  if (!skeleton_) return Fail(errno, "cannot open the BPF object: {}", std::strerror(errno));
  const std::uint32_t wanted =
      options.tids ? options.tids : std::max(ReadPidMax(), HighestTid() + 1);
  const std::uint32_t tids = (wanted + 63) / 64 * 64;
  bpf_map__set_max_entries(skeleton_->maps.words, tids);
  bpf_map__set_max_entries(skeleton_->maps.live, tids / 64);
  bpf_map__set_max_entries(skeleton_->maps.sets, options.sets);
  if (const int error = tracker_bpf__load(skeleton_); error != 0) {
    return Fail(-error, "the kernel refuses the tracker's BPF programs: {}",
                std::strerror(-error));
  }
  // The last hook first: a task whose birth is seen and whose death is not would be a word
  // without a task until the tid is used again (docs/concurrency.md, 6.1).
  skeleton_->links.on_exit = bpf_program__attach(skeleton_->progs.on_exit);
  if (const int error = tracker_bpf__attach(skeleton_); error != 0) {
    return Fail(-error, "cannot attach the tracker's hooks: {}", std::strerror(-error));
  }
  doorbell_ = ring_buffer__new(bpf_map__fd(skeleton_->maps.doorbell), CollectBell, &bells_,
                               nullptr);
  if (!doorbell_) return Fail(errno, "cannot map the doorbell: {}", std::strerror(errno));
  return {};
}

Result<void> BpfTracker::MapTables() {
  // Words are read only: every change goes through the hooks or the control program.
  auto words = MapArray<std::uint64_t>(skeleton_->maps.words, PROT_READ);
  if (!words) return Fail(words.error());
  tables_.words = *words;
  auto live = MapArray<std::uint64_t>(skeleton_->maps.live, PROT_READ);
  if (!live) return Fail(live.error());
  tables_.live = *live;
  auto counters = MapArray<std::uint64_t>(skeleton_->maps.counters, PROT_READ);
  if (!counters) return Fail(counters.error());
  tables_.counters = *counters;
  auto sets = MapArray<corral_set_entry>(skeleton_->maps.sets, PROT_READ | PROT_WRITE);
  if (!sets) return Fail(sets.error());
  tables_.sets = *sets;
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
    bool hidden = false;
    seed_incomplete_ = false;
    for (const corral_task_record& task : MachineTasks()) {
      const bool unborn = (task.flags & CORRAL_TASK_NEWBORN) && !corral_word_alive(task.word);
      if (unborn || (task.flags & (CORRAL_TASK_EXITING | CORRAL_TASK_GONE))) continue;
      if (!corral_word_alive(task.word)) seed_incomplete_ = true;
      if (!shown.contains(task.tid)) hidden = true;  // or born since: look once more
    }
    walk_hides_tasks_ = hidden;
    if (!seed_incomplete_ && (!hidden || i > 2)) break;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  if (walk_hides_tasks_) log::Info("the task iterator hides tasks; /proc is asked as well");
  // What died or forked before it was known is no miss.
  ring_buffer__consume(doorbell_);
  at_start_ = misses();
  Compare(true);  // an exec that crossed the seeding
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

BpfTracker::~BpfTracker() {
  feed_.reset();
  if (doorbell_) ring_buffer__free(doorbell_);
  if (!skeleton_) return;
  UnmapArray(skeleton_->maps.words, tables_.words);
  UnmapArray(skeleton_->maps.live, tables_.live);
  UnmapArray(skeleton_->maps.counters, tables_.counters);
  UnmapArray(skeleton_->maps.sets, tables_.sets);
  tracker_bpf__destroy(skeleton_);
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
  const int error =
      bpf_prog_test_run_opts(bpf_program__fd(skeleton_->progs.control), &options);
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
    auto made = TaskFeed::Create(bpf_map__fd(skeleton_->maps.words), tables_,
                                 [this] { return MachineTasks(); }, feed_bytes_, *listener);
    if (!made) return Fail(made.error());
    feed = std::move(*made);
  }
  MutexLock lock(feed_mu_);
  feed_.swap(feed);
  return {};
}

std::shared_ptr<TaskFeed> BpfTracker::Feed() const {
  MutexLock lock(feed_mu_);
  return feed_;
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
  constexpr auto kPause = std::chrono::milliseconds(20);
  for (bool told = false;; std::this_thread::sleep_for(kPause)) {
    auto records = WalkOnce(link_fd);
    if (records) return *records;
    if (!std::exchange(told, true)) log::Error("{}; trying again", records.error().message);
  }
}

Result<std::vector<corral_task_record>> BpfTracker::WalkOnce(int link_fd) const {
  const Fd iterator(bpf_iter_create(link_fd));
  if (!iterator) return Fail(errno, "cannot start a task iterator: {}", std::strerror(errno));
  // A record is never split by the kernel, but a read may end within one.
  std::vector<char> bytes;
  std::vector<char> chunk(64 * 1024);
  for (;;) {
    const ssize_t n = ::read(iterator.get(), chunk.data(), chunk.size());
    if (n < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (n < 0) return Fail(errno, "cannot read a task iterator: {}", std::strerror(errno));
    if (n == 0) break;
    bytes.insert(bytes.end(), chunk.begin(), chunk.begin() + n);
  }
  std::vector<corral_task_record> records(bytes.size() / sizeof(corral_task_record));
  std::memcpy(records.data(), bytes.data(), records.size() * sizeof(corral_task_record));
  return records;
}

std::vector<Leaver> BpfTracker::Leavers() {
  std::vector<Leaver> leavers;
  for (const auto& task : Walk(bpf_link__fd(skeleton_->links.walk_leavers))) {
    leavers.push_back({Tid{task.tid}, CssSetId{corral_word_set(task.word)}});
  }
  return leavers;
}

int BpfTracker::bell_fd() const { return ring_buffer__epoll_fd(doorbell_); }

void BpfTracker::Drain(Listener& listener) {
  bells_.clear();
  ring_buffer__consume(doorbell_);
  bool resync = std::exchange(seed_incomplete_, false);
  for (const corral_bell& bell : bells_) {
    if (bell.kind == CORRAL_BELL_RESYNC) {
      resync = true;
    } else if (TakePending(tables_, CssSetId{bell.id})) {
      listener.SetMayBeEmpty(CssSetId{bell.id});
    }
  }
  const MissCounts now = misses();
  if (now.adopted != seen_.adopted) {
    std::string tids;
    for (const corral_bell& bell : bells_) {
      if (bell.kind == CORRAL_BELL_RESYNC) tids += fmt::format(" {}", bell.id);
    }
    log::Warn("{} live tasks were not known and are in every root now; among them some of:{}",
              now.adopted - seen_.adopted, tids);
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
  TaskAudit audit(tables_, [this] { return MachineTasks(); });
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

MissCounts BpfTracker::misses() const {
  MissCounts misses = MissesOf(tables_);
  for (const bpf_program* hook :
       {skeleton_->progs.on_newtask, skeleton_->progs.on_exec, skeleton_->progs.on_exit}) {
    misses.recursion += RecursionMisses(hook);
  }
  return misses - at_start_;
}

}  // namespace corral

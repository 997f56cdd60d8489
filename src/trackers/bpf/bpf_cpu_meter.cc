#include "trackers/bpf/bpf_cpu_meter.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <ctime>
#include <utility>

#include "base/errors.h"
#include "base/log.h"
#include "cpu_meter.skel.h"

namespace corral {
namespace {

// Runs an iterator over some tasks; what it wrote.
Result<std::vector<char>> WalkOver(const bpf_program* program, const bpf_iter_link_info& tasks) {
  LIBBPF_OPTS(bpf_link_create_opts, options, .iter_info = const_cast<bpf_iter_link_info*>(&tasks),
              .iter_info_len = sizeof tasks);
  const Fd link(bpf_link_create(bpf_program__fd(program), 0, BPF_TRACE_ITER, &options));
  if (!link) return FailErrno("cannot walk over a task");
  return RunIterator(link.get());
}

std::uint64_t MonotonicNow() {
  timespec now = {};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000 +
         static_cast<std::uint64_t>(now.tv_nsec);
}

// Room for twice as many tasks as a machine of this size is likely to have, and no more memory
// than 21 MB: a bucket is full in one case of a million with 65,536 tasks.
std::uint32_t BucketsFor(std::uint32_t tids) {
  return std::clamp(std::bit_ceil(tids / 2), 1024u, 65536u);
}

constexpr std::uint32_t kQueue = 16384;

std::uint64_t Owing(const corral_bill& bill) {
  // Paid first: in between, a task can only die.
  const std::uint64_t paid = __atomic_load_n(&bill.paid, __ATOMIC_SEQ_CST);
  return __atomic_load_n(&bill.dead, __ATOMIC_SEQ_CST) - paid;
}

CpuTime TimeOn(const corral_bill& bill) {
  return {.total = __atomic_load_n(&bill.total, __ATOMIC_SEQ_CST),
          .user = __atomic_load_n(&bill.user, __ATOMIC_SEQ_CST),
          .system = __atomic_load_n(&bill.system, __ATOMIC_SEQ_CST),
          .tasks = __atomic_load_n(&bill.dead, __ATOMIC_SEQ_CST)};
}

}  // namespace

// The loaded programs. Who walks holds on to them, so Stop() waits for nobody.
struct BpfCpuMeter::Hooks {
  // Charges all tasks, or those that `of` selects.
  Result<void> Charge(const bpf_iter_link_info* of = nullptr) const {
    TRY(of ? WalkOver(skeleton->progs.charge_tasks, *of)
           : RunIterator(bpf_link__fd(skeleton->links.charge_tasks)));
    return {};
  }

  // Gives all dead tasks that have left their processors their last charge. Those that have not
  // go round in the queue: enough is seen when a whole round found nobody but them.
  void LookAtQueue() const {
    bpf_iter_link_info self = {};
    self.task.tid = static_cast<std::uint32_t>(::gettid());
    for (std::uint32_t waiting = 0; waiting < kQueue;) {
      const auto written = WalkOver(skeleton->progs.look_at_queue, self);
      corral_queue_look look = {};
      if (!written || written->size() < sizeof look) {
        log::Error("the CPU meter cannot look at dead tasks: {}",
                   written ? "no answer" : written.error().message);
        return;
      }
      std::memcpy(&look, written->data(), sizeof look);
      if (look.seen < CORRAL_LOOKS || look.waiting == look.seen) return;
      waiting += look.waiting;
    }
  }

  Skeleton<cpu_meter_bpf> skeleton;
};

BpfCpuMeter::~BpfCpuMeter() = default;

Result<std::shared_ptr<BpfCpuMeter::Hooks>> BpfCpuMeter::Load() {
  auto hooks = std::make_shared<Hooks>();
  hooks->skeleton = TRY(OpenSkeleton<cpu_meter_bpf>("the CPU meter's"));
  cpu_meter_bpf* const skeleton = hooks->skeleton.get();
  int error = bpf_map__reuse_fd(skeleton->maps.words, tracker_.words_fd());
  if (error == 0 && bills_map_) {
    error = bpf_map__reuse_fd(skeleton->maps.bills, bills_map_.get());
  } else {
    bpf_map__set_max_entries(skeleton->maps.bills, tracker_.set_capacity());
  }
  const std::uint32_t buckets = BucketsFor(tracker_.tid_capacity());
  bpf_map__set_max_entries(skeleton->maps.buckets, buckets);
  skeleton->rodata->bucket_mask = buckets - 1;
  skeleton->rodata->began = MonotonicNow();
  if (error == 0) error = cpu_meter_bpf::load(skeleton);
  if (error != 0) return FailErrno(-error, "the kernel refuses the CPU meter's BPF programs");
  if (!bills_map_) {
    auto bills = TRY(MapArray<corral_bill>(skeleton->maps.bills));
    Fd map(::fcntl(bpf_map__fd(skeleton->maps.bills), F_DUPFD_CLOEXEC, 0));
    if (!map) return FailErrno("cannot keep the CPU meter's bills");
    bills_map_ = std::move(map);
    mapped_bills_ = std::move(bills);
    bills_ = mapped_bills_.get();
  }
  // The end first: a death that is seen is owed for until its end.
  skeleton->links.on_free = bpf_program__attach(skeleton->progs.on_free);
  if (skeleton->links.on_free) {
    skeleton->links.on_death = bpf_program__attach(skeleton->progs.on_death);
  }
  if (skeleton->links.on_death) {
    skeleton->links.charge_tasks = bpf_program__attach_iter(skeleton->progs.charge_tasks, nullptr);
  }
  if (!skeleton->links.charge_tasks) {
    return FailErrno("cannot attach the CPU meter's hooks");
  }
  // What each task has run before now is written down as nobody's.
  TRY(hooks->Charge());
  return hooks;
}

Result<void> BpfCpuMeter::Start() {
  MutexLock lock(start_mu_);
  if (users_ == 0) {
    auto hooks = Load();
    if (!hooks) {
      WriteOff();
      return Fail(hooks.error());
    }
    told_crowded_ = told_lost_ = 0;
    MutexLock hooks_lock(hooks_mu_);
    hooks_ = *std::move(hooks);
  }
  ++users_;
  return {};
}

void BpfCpuMeter::Stop() {
  MutexLock lock(start_mu_);
  if (--users_ != 0) return;
  std::shared_ptr<Hooks> hooks;
  {
    MutexLock hooks_lock(hooks_mu_);
    hooks = std::exchange(hooks_, nullptr);
  }
  (void)hooks->Charge();
  hooks->LookAtQueue();
  auto& links = hooks->skeleton->links;  // the third is for those who walk still
  bpf_link__destroy(std::exchange(links.on_death, nullptr));
  bpf_link__destroy(std::exchange(links.on_free, nullptr));
  WriteOff();
}

// Nobody comes any more who would pay what is owed; sets must not wait for it.
void BpfCpuMeter::WriteOff() {
  corral_bill* const bills = bills_.load();
  for (std::uint32_t set = 0; bills && set <= tracker_.highest_set().value; ++set) {
    const std::uint64_t dead = __atomic_load_n(&bills[set].dead, __ATOMIC_SEQ_CST);
    __atomic_store_n(&bills[set].paid, dead, __ATOMIC_SEQ_CST);
  }
}

bool BpfCpuMeter::IsOn() const { return UsedHooks() != nullptr; }

std::shared_ptr<BpfCpuMeter::Hooks> BpfCpuMeter::UsedHooks() const {
  MutexLock lock(hooks_mu_);
  return hooks_;
}

// A process that is gone, or that the iterator hides, has nothing to split.
void BpfCpuMeter::Split(Tgid process) {
  if (const auto hooks = UsedHooks()) {
    bpf_iter_link_info of = {};
    of.task.pid = process.value;
    (void)hooks->Charge(&of);
  }
}

void BpfCpuMeter::Split(Tid task) {
  if (const auto hooks = UsedHooks()) {
    bpf_iter_link_info of = {};
    of.task.tid = task.value;
    (void)hooks->Charge(&of);
  }
}

void BpfCpuMeter::WarnOfLosses(const Hooks& hooks) {
  const auto& bss = *hooks.skeleton->bss;
  const std::uint64_t crowded = __atomic_load_n(&bss.crowded, __ATOMIC_SEQ_CST);
  if (crowded != told_crowded_.exchange(crowded)) {
    log::Warn(
        "the CPU meter has no room for more tasks: {} were charged for what they had run "
        "when they began to exit, and no more",
        crowded);
  }
  const std::uint64_t lost = __atomic_load_n(&bss.lost, __ATOMIC_SEQ_CST);
  if (lost != told_lost_.exchange(lost)) {
    log::Warn("the kernel did not tell of the end of {} tasks: their last steps are on no bill",
              lost);
  }
}

std::unordered_map<CssSetId, CpuTime> BpfCpuMeter::Read() {
  if (const auto hooks = UsedHooks()) {
    if (auto walked = hooks->Charge(); !walked) {
      log::Warn("CPU time of living tasks is as it was: {}", walked.error().message);
    }
    hooks->LookAtQueue();
    WarnOfLosses(*hooks);
  }
  std::unordered_map<CssSetId, CpuTime> sums;
  const corral_bill* const bills = bills_.load();
  for (std::uint32_t set = 0; bills && set <= tracker_.highest_set().value; ++set) {
    const CpuTime time = TimeOn(bills[set]);
    if (time != CpuTime{}) sums.emplace(CssSetId{set}, time);
  }
  return sums;
}

const corral_bill* BpfCpuMeter::BillOf(CssSetId set) const {
  const corral_bill* const bills = bills_.load();
  return bills && set.value < tracker_.set_capacity() ? &bills[set.value] : nullptr;
}

CpuTime BpfCpuMeter::Charged(CssSetId set) const {
  const corral_bill* const bill = BillOf(set);
  return bill ? TimeOn(*bill) : CpuTime{};
}

std::uint64_t BpfCpuMeter::Owed(CssSetId set) const {
  const corral_bill* const bill = BillOf(set);
  return bill ? Owing(*bill) : 0;
}

std::uint64_t BpfCpuMeter::Uncharged(CssSetId set) {
  if (Owed(set) != 0) {
    if (const auto hooks = UsedHooks()) hooks->LookAtQueue();
  }
  return Owed(set);
}

}  // namespace corral

#include "trackers/bpf/task_feed.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include <chrono>

#include "base/errors.h"
#include "base/poll.h"
#include "base/thread.h"
#include "task_feed.skel.h"

namespace corral {
namespace {

constexpr auto kPauseAfterFailure = std::chrono::milliseconds(100);
constexpr auto kCompareAnyway = std::chrono::minutes(1);

int Collect(void* came, void* data, std::size_t size) {
  if (size >= sizeof(corral_feed_record)) {
    static_cast<std::vector<corral_feed_record>*>(came)->push_back(
        *static_cast<corral_feed_record*>(data));
  }
  return 0;
}

}  // namespace

TaskFeed::TaskFeed(const Tables& tables, Walk walk, TaskListener& listener)
    : tables_(tables), walk_(std::move(walk)), listener_(listener) {}

Result<std::unique_ptr<TaskFeed>> TaskFeed::Create(int words, const Tables& tables, Walk walk,
                                                   std::uint32_t ring_bytes,
                                                   TaskListener& listener) {
  std::unique_ptr<TaskFeed> feed(new TaskFeed(tables, std::move(walk), listener));
  TRY(feed->Load(words, ring_bytes));
  {
    MutexLock lock(feed->mu_);
    feed->Compare();
  }
  feed->teller_ = TRY(StartThread([raw = feed.get()] { raw->Persist(); }));
  return feed;
}

Result<void> TaskFeed::Load(int words, std::uint32_t ring_bytes) {
  if (wake_.fd() < 0) return FailErrno("eventfd");
  skeleton_ = TRY(OpenSkeleton<task_feed_bpf>("the feed's"));
  bpf_map__set_max_entries(skeleton_->maps.feed, ring_bytes);
  int error = bpf_map__reuse_fd(skeleton_->maps.words, words);
  if (error == 0) error = task_feed_bpf::load(skeleton_.get());
  if (error != 0) return FailErrno(-error, "the kernel refuses the feed's BPF programs");
  error = task_feed_bpf::attach(skeleton_.get());
  if (error != 0) return FailErrno(-error, "cannot attach the feed's programs");
  ring_.reset(ring_buffer__new(bpf_map__fd(skeleton_->maps.feed), Collect, &came_, nullptr));
  if (!ring_) return FailErrno("cannot map the feed");
  lost_ = TRY(MapArray<const std::uint64_t>(skeleton_->maps.lost));
  return {};
}

TaskFeed::~TaskFeed() {
  stopping_ = true;
  wake_.Wake();
  if (teller_.joinable()) teller_.join();
}

void TaskFeed::LookAgain() {
  doubt_ = true;
  wake_.Wake();
}

// What flies out is a lack of memory or descriptors: everything is compared when it is over.
void TaskFeed::Persist() {
  while (!stopping_) {
    try {
      Run();
    } catch (...) {
      doubt_ = true;
      std::this_thread::sleep_for(kPauseAfterFailure);
    }
  }
}

void TaskFeed::Run() {
  using Clock = std::chrono::steady_clock;
  auto compare_anyway = Clock::now() + kCompareAnyway;
  while (!stopping_) {
    pollfd fds[] = {{.fd = ring_buffer__epoll_fd(ring_.get()), .events = POLLIN, .revents = 0},
                    {.fd = wake_.fd(), .events = POLLIN, .revents = 0}};
    (void)PollAll(fds, std::chrono::milliseconds(kCompareAnyway).count());
    if (fds[1].revents) wake_.Reset();
    MutexLock lock(mu_);
    TellWhatCame();
    const bool due = Clock::now() >= compare_anyway;
    if (!doubt_.exchange(false) && !due && Missed() == missed_) continue;
    Compare();
    compare_anyway = Clock::now() + kCompareAnyway;
  }
}

void TaskFeed::TellWhatCame() {
  came_.clear();
  ring_buffer__consume(ring_.get());
  for (const corral_feed_record& record : came_) Tell(record);
}

void TaskFeed::Tell(const corral_feed_record& record) {
  const TaskName task{Tid{record.tid}, Tgid{record.tgid}, record.start};
  switch (record.kind) {
    case CORRAL_FEED_EXIT: listener_.Exited(task); break;
    case CORRAL_FEED_EXEC:  // of another process: a birth has taken the tid, and was told (I6)
      listener_.Exited({Tid{record.old_tid}, task.tgid});
      [[fallthrough]];
    case CORRAL_FEED_FORK: listener_.Forked(task, PlaceNow(record)); break;
  }
}

CssSetId TaskFeed::PlaceNow(const corral_feed_record& record) const {
  const auto place = DescribeTask(tables_, Tid{record.tid});
  if (place && place->tgid.value == record.tgid) return place->set;
  return record.set != CORRAL_SET_NONE ? CssSetId{record.set} : kInitialSet;
}

// What is in the ring is older than the walk, which makes it good; what comes into it from here on
// is told after it, and ignored where the walk was faster.
void TaskFeed::Compare() {
  missed_ = Missed();
  came_.clear();
  ring_buffer__consume(ring_.get());
  std::vector<ExistingTask> all;
  for (const corral_task_record& task : walk_()) {
    if (corral_word_tgid(task.word) != task.tgid)
      continue;  // not born yet, or dead, or inside exec
    all.push_back(
        {.name = {Tid{task.tid}, Tgid{task.tgid}, task.start}, .set = PlaceOf(task.word).set});
  }
  listener_.Existing(all);
}

std::uint64_t TaskFeed::Missed() const {
  std::uint64_t missed = ::corral::Load(*lost_);
  for (const bpf_program* program :
       {skeleton_->progs.feed_newtask, skeleton_->progs.feed_exec, skeleton_->progs.feed_exit}) {
    missed += RecursionMisses(bpf_program__fd(program));
  }
  return missed;
}

}  // namespace corral

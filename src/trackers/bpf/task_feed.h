// TaskFeed: births and deaths from the kernel to a TaskListener, later, from a thread of its own.
//
// Made when a subsystem first wants forks: loads bpf/task_feed.bpf.c, attaches it after the
// tracker's hooks, and tells of all tasks there are before Create() returns. Without it the kernel
// does nothing for it.
//
// What is guaranteed. Of each task Forked comes before Exited, each once, in the order in which the
// kernel saw them, and none of it while HoldTasks() holds. The css_set in Forked is the task's at
// that moment; of one that is gone already, the one it was born in. When the ring was full, a
// program was skipped, the tracker mended something, or a minute has passed, the words of the
// machine's tasks are compared with what was told (Existing): then a task that came and went
// unseen is not told of at all.
//
// Why nothing is told twice: docs/concurrency.md, 17.4.
#ifndef CORRAL_TRACKERS_BPF_TASK_FEED_H_
#define CORRAL_TRACKERS_BPF_TASK_FEED_H_

#include <corral/tracker.h>

#include <atomic>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include "base/event_fd.h"
#include "base/mutex.h"
#include "trackers/bpf/bpf_object.h"
#include "trackers/tables.h"

struct task_feed_bpf;

namespace corral {

class TaskFeed {
 public:
  using Walk = std::function<std::vector<corral_task_record>()>;

  // `words`: the tracker's map. `walk`: the machine's tasks with their words. All must outlive it.
  static Result<std::unique_ptr<TaskFeed>> Create(int words, const Tables& tables, Walk walk,
                                                  std::uint32_t ring_bytes, TaskListener& listener);
  ~TaskFeed();  // nothing is told any more

  // Compare soon: the tracker has mended something. Any thread.
  void LookAgain();

  // What the thread holds while it tells (Tracker::HoldTasks).
  Mutex& mu() { return mu_; }

 private:
  TaskFeed(const Tables& tables, Walk walk, TaskListener& listener);
  Result<void> Load(int words, std::uint32_t ring_bytes);
  void Persist();
  void Run();
  void TellWhatCame() REQUIRES(mu_);
  void Tell(const corral_feed_record& record) REQUIRES(mu_);
  void Compare() REQUIRES(mu_);
  CssSetId PlaceNow(const corral_feed_record& record) const;
  std::uint64_t Missed() const;

  const Tables& tables_;
  const Walk walk_;
  Skeleton<task_feed_bpf> skeleton_;
  Ring ring_;
  Mapping<const std::uint64_t> lost_;
  EventFd wake_;
  std::atomic<bool> stopping_ = false;
  std::atomic<bool> doubt_ = false;
  std::thread teller_;

  Mutex mu_;  // after the core's tree lock, before all others
  TaskListener& listener_ GUARDED_BY(mu_);
  std::vector<corral_feed_record> came_;  // filled by the ring's callback, under mu_
  std::uint64_t missed_ GUARDED_BY(mu_) = 0;
};

}  // namespace corral

#endif  // CORRAL_TRACKERS_BPF_TASK_FEED_H_

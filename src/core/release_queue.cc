#include "core/release_queue.h"

#include <utility>

namespace corral {

void ReleaseQueue::Push(Waiting notification) {
  MutexLock lock(queue_mu_);
  waiting_.push_back(std::move(notification));
  filled_.NotifyOne();
}

std::optional<Waiting> ReleaseQueue::Take() {
  MutexLock lock(queue_mu_);
  while (waiting_.empty() && !closed_) filled_.Wait(queue_mu_);
  if (closed_) return std::nullopt;
  Waiting next = std::move(waiting_.front());
  waiting_.pop_front();
  return next;
}

std::optional<Waiting> ReleaseQueue::TryTake() {
  MutexLock lock(queue_mu_);
  if (waiting_.empty()) return std::nullopt;
  Waiting next = std::move(waiting_.front());
  waiting_.pop_front();
  return next;
}

void ReleaseQueue::Close() {
  MutexLock lock(queue_mu_);
  closed_ = true;
  filled_.NotifyAll();
}

std::size_t ReleaseQueue::size() const {
  MutexLock lock(queue_mu_);
  return waiting_.size();
}

}  // namespace corral

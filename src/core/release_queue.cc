#include "core/release_queue.h"

#include <utility>

namespace corral {
namespace {

Waiting TakeFirst(std::deque<Waiting>& queue) {
  Waiting first = std::move(queue.front());
  queue.pop_front();
  return first;
}

}  // namespace

void ReleaseQueue::Push(Waiting notification) {
  MutexLock lock(queue_mu_);
  waiting_.push_back(std::move(notification));
  filled_.NotifyOne();
}

std::optional<Waiting> ReleaseQueue::Take(const std::function<bool()>& room) {
  MutexLock lock(queue_mu_);
  while (!closed_) {
    if (!put_back_.empty() && room()) return TakeFirst(put_back_);
    if (!waiting_.empty()) return TakeFirst(waiting_);
    filled_.Wait(queue_mu_);
  }
  return std::nullopt;
}

std::optional<Waiting> ReleaseQueue::TryTake() {
  MutexLock lock(queue_mu_);
  if (waiting_.empty()) return std::nullopt;
  return TakeFirst(waiting_);
}

void ReleaseQueue::PutBack(Waiting notification) {
  MutexLock lock(queue_mu_);
  put_back_.push_back(std::move(notification));
}

void ReleaseQueue::Wake() {
  MutexLock lock(queue_mu_);
  filled_.NotifyAll();
}

void ReleaseQueue::Close() {
  MutexLock lock(queue_mu_);
  closed_ = true;
  filled_.NotifyAll();
}

std::size_t ReleaseQueue::size() const {
  MutexLock lock(queue_mu_);
  return waiting_.size() + put_back_.size();
}

}  // namespace corral

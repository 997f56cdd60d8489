// OpenBudget: what open descriptors may cost us. A descriptor is cheap for who has it and may hold
// a long list here; one user may have many, in many processes. Root's are counted for nobody.
//
// Owned by the Tree; any thread.
//
//   OpenBudget::Charge charge = budget.For(uid);
//   if (auto fits = charge.Resize(list.size()); !fits) return fits;   // EMFILE
#ifndef CORRAL_CONTROL_OPEN_BUDGET_H_
#define CORRAL_CONTROL_OPEN_BUDGET_H_

#include <corral/result.h>
#include <sys/types.h>

#include <cerrno>
#include <cstddef>
#include <unordered_map>
#include <utility>

#include "base/mutex.h"

namespace corral {

class OpenBudget {
 public:
  static constexpr std::size_t kEach = 1024;  // of any descriptor, whatever it holds
  static constexpr std::size_t kOneUser = 32u << 20;
  static constexpr std::size_t kAllUsers = 512u << 20;  // a user may have uids to spare

  // What one descriptor costs; nothing any more when it goes. One thread at a time.
  class Charge {
   public:
    Charge(OpenBudget& budget, uid_t uid) : budget_(&budget), uid_(uid) {}
    Charge(Charge&& other) noexcept
        : budget_(other.budget_), uid_(other.uid_), bytes_(std::exchange(other.bytes_, 0)) {}
    Charge& operator=(Charge&&) = delete;
    ~Charge() { (void)budget_->Change(uid_, bytes_, 0); }

    // It holds so many bytes from now on, kEach apart. EMFILE: too many; then what it was stays.
    Result<void> Resize(std::size_t held) {
      auto done = budget_->Change(uid_, bytes_, kEach + held);
      if (done) bytes_ = kEach + held;
      return done;
    }

   private:
    OpenBudget* const budget_;
    const uid_t uid_;
    std::size_t bytes_ = 0;
  };
  Charge For(uid_t uid) { return Charge(*this, uid); }

 private:
  Result<void> Change(uid_t uid, std::size_t from, std::size_t to) EXCLUDES(budget_mu_) {
    if (uid == 0 || from == to) return {};
    MutexLock lock(budget_mu_);
    std::size_t& user = users_[uid];
    const bool fits = user - from + to <= kOneUser && all_ - from + to <= kAllUsers;
    if (to > from && !fits) {
      if (user == 0) users_.erase(uid);
      return Fail(EMFILE, "uid {} has too many open files here: close some", uid);
    }
    user = user - from + to;
    all_ = all_ - from + to;
    if (user == 0) users_.erase(uid);
    return {};
  }

  Mutex budget_mu_;  // a leaf
  std::unordered_map<uid_t, std::size_t> users_ GUARDED_BY(budget_mu_);
  std::size_t all_ GUARDED_BY(budget_mu_) = 0;
};

}  // namespace corral

#endif  // CORRAL_CONTROL_OPEN_BUDGET_H_

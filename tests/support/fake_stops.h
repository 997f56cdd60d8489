// FakeStops: a StopHost whose processes stop and go on as they are told, unless the test says
// otherwise. Any thread.
//
//   stops->Set(7, true);       // somebody stops process 7
//   stops->Stopped(7);         // true
#ifndef CORRAL_TESTS_SUPPORT_FAKE_STOPS_H_
#define CORRAL_TESTS_SUPPORT_FAKE_STOPS_H_

#include <cerrno>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>

#include "subsystems/real_tasks.h"

namespace corral {

class FakeStops final : public StopHost {
 public:
  Result<Look> LookAt(Tid task) const override {
    const std::lock_guard lock(mu);
    if (gone.contains(task)) return Fail(ESRCH, "gone");
    const auto thread = threads.find(task);
    const Tgid process = thread == threads.end() ? Tgid{task.value} : thread->second;
    return Look{.process = process, .stopped = stopped.contains(process)};
  }
  Result<std::unique_ptr<Process>> Open(Tgid process) override {
    const std::lock_guard lock(mu);
    if (no_descriptors) return Fail(EMFILE, "no descriptors");
    if (on_open) on_open(process);
    if (gone.contains(Tid{process.value})) return Fail(ESRCH, "gone");
    return std::make_unique<Held>(*this, process, lives[process]);
  }
  Tgid OwnProcess() const override { return Tgid{4242}; }

  bool Stopped(unsigned process) const {
    const std::lock_guard lock(mu);
    return stopped.contains(Tgid{process});
  }
  int Stops(unsigned process) const {
    const std::lock_guard lock(mu);
    const auto at = stops.find(Tgid{process});
    return at == stops.end() ? 0 : at->second;
  }
  void Set(unsigned process, bool stop) {
    const std::lock_guard lock(mu);
    if (stop) {
      stopped.insert(Tgid{process});
    } else {
      stopped.erase(Tgid{process});
    }
  }

  mutable std::mutex mu;
  std::map<Tid, Tgid> threads;
  std::set<Tid> gone;
  std::set<Tgid> stopped;
  std::set<Tgid> unstoppable;
  std::map<Tgid, std::uint64_t> lives;  // which process of that number it is
  std::map<Tgid, int> stops;
  std::function<void(Tgid)> on_open, on_stop;  // with `mu` held
  bool no_descriptors = false;

 private:
  class Held final : public Process {
   public:
    Held(FakeStops& host, Tgid process, std::uint64_t life)
        : host_(host), process_(process), life_(life) {}
    std::uint64_t started() const override { return life_ + 1000; }
    Result<void> Stop() override {
      const std::lock_guard lock(host_.mu);
      if (host_.lives[process_] != life_) return Fail(ESRCH, "gone");
      ++host_.stops[process_];
      if (host_.on_stop) host_.on_stop(process_);
      if (!host_.unstoppable.contains(process_)) host_.stopped.insert(process_);
      return {};
    }
    Result<void> Continue() override {
      const std::lock_guard lock(host_.mu);
      host_.stopped.erase(process_);
      return {};
    }

   private:
    FakeStops& host_;
    const Tgid process_;
    const std::uint64_t life_;
  };
};

}  // namespace corral

#endif  // CORRAL_TESTS_SUPPORT_FAKE_STOPS_H_

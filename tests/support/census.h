// Census: a subsystem that counts tasks by what it is told, and fails when a test says so.
//
//   auto census = std::make_shared<Census>("census");
//   registry.Register(census);
//   Census::TasksOf(*registry.CssOf(cgroup, 0));   // what was told adds up to
//   census->impossible;                            // calls that cannot be: 0
//
// No lock: no two of its callbacks run at once, ThreadSanitizer would tell. A test that reads while
// tasks come and go holds them (Tracker::HoldTasks).
#ifndef CORRAL_TESTS_SUPPORT_CENSUS_H_
#define CORRAL_TESTS_SUPPORT_CENSUS_H_

#include <corral/subsystem.h>

#include <atomic>
#include <cerrno>
#include <map>
#include <stdexcept>

namespace corral {

class Census final : public Subsystem {
 public:
  struct Count final : Css {
    std::atomic<int> tasks = 0;
  };
  enum class Fault { kNone, kRefuse, kThrow };

  explicit Census(std::string name) : name_(std::move(name)) {}

  std::string_view name() const override { return name_; }
  bool WantsForks() const override { return true; }
  Result<std::unique_ptr<Css>> Create(const NewCss&) override {
    if (auto done = Do("create"); !done) return Fail(done.error());
    return std::make_unique<Count>();
  }
  Result<void> CanAttach(Css&, Css&, Tid) override { return Do("can-attach"); }
  void Attach(Css& to, Css& from, Tid task) override {
    if (where_[task] != &from) ++impossible;
    --static_cast<Count&>(from).tasks;
    ++static_cast<Count&>(to).tasks;
    where_[task] = &to;
    (void)Do("attach");
  }
  void Cancel(Css&, Css&, Tid) override { (void)Do("cancel"); }
  Result<void> CanFork(Css&, Tid) override { return Do("can-fork"); }
  void Fork(Css& css, Tid task) override {
    if (!where_.emplace(task, &css).second) ++impossible;
    ++static_cast<Count&>(css).tasks;
    if (on_fork) on_fork(task);
    (void)Do("fork");
  }
  void Exit(Css& css, Tid task) override {
    const auto at = where_.find(task);
    if (at == where_.end() || at->second != &css) ++impossible;
    if (at != where_.end()) where_.erase(at);
    --static_cast<Count&>(css).tasks;
    if (on_exit) on_exit(task);
    (void)Do("exit");
  }

  static int TasksOf(const Css& css) { return static_cast<const Count&>(css).tasks; }
  std::size_t known() const { return where_.size(); }
  bool Knows(Tid task) const { return where_.contains(task); }

  std::map<std::string, Fault> faults;
  bool record = true;
  std::vector<std::string> said;
  std::function<void(Tid)> on_fork;
  std::function<void(Tid)> on_exit;
  int impossible = 0;

 private:
  Result<void> Do(const std::string& what) {
    if (record) said.push_back(what);
    const auto fault = faults.find(what);
    if (fault == faults.end() || fault->second == Fault::kNone) return {};
    if (fault->second == Fault::kThrow) throw std::runtime_error("it died in " + what);
    return Fail(EXDEV, "it refused {}", what);
  }

  const std::string name_;
  // Guarded by nothing: no two of these callbacks run at once. ThreadSanitizer would tell.
  std::map<Tid, Css*> where_;
};

}  // namespace corral

#endif  // CORRAL_TESTS_SUPPORT_CENSUS_H_

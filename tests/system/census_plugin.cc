// A plug-in that counts tasks by what it is told of births, deaths and moves.
//
//   census.tasks   tasks of the group itself, as they add up
//   census.wrong   calls that cannot be: a task that is born twice, leaves or ends where it is not
#include <corral/plugin.h>

#include <atomic>
#include <cstdint>
#include <map>
#include <mutex>

namespace {

using corral::Css;
using corral::FileUse;
using corral::Result;
using corral::Tid;

struct Count final : Css {
  std::atomic<std::int64_t> tasks = 0;
};

std::atomic<std::int64_t>& TasksOf(Css& css) { return static_cast<Count&>(css).tasks; }

class Census final : public corral::Subsystem {
 public:
  std::string_view name() const override { return "census"; }
  bool WantsForks() const override { return true; }

  std::vector<corral::SubsystemFile> Files() override {
    return {{.name = "tasks",
             .read = [](FileUse& use) -> Result<std::string> {
               return std::to_string(TasksOf(*use.css)) + "\n";
             }},
            {.name = "wrong",
             .number = [this](FileUse&) -> Result<std::uint64_t> { return wrong_.load(); }}};
  }

  Result<std::unique_ptr<Css>> Create(const corral::NewCss&) override {
    return std::make_unique<Count>();
  }
  void Fork(Css& css, Tid task) override {
    const std::lock_guard lock(mu_);
    if (!where_.emplace(task, &css).second) ++wrong_;
    ++TasksOf(css);
  }
  void Attach(Css& to, Css& from, Tid task) override {
    const std::lock_guard lock(mu_);
    if (std::exchange(where_[task], &to) != &from) ++wrong_;
    --TasksOf(from);
    ++TasksOf(to);
  }
  void Exit(Css& css, Tid task) override {
    const std::lock_guard lock(mu_);
    const auto at = where_.find(task);
    if (at == where_.end() || at->second != &css) ++wrong_;
    if (at != where_.end()) where_.erase(at);
    --TasksOf(css);
  }

 private:
  std::atomic<std::uint64_t> wrong_ = 0;
  std::mutex mu_;
  std::map<Tid, Css*> where_;
};

}  // namespace

CORRAL_PLUGIN([] { return std::make_shared<Census>(); })

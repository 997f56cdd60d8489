// FaultySubsystem: a subsystem behind callbacks that fail when a test says so, and a book of what
// the core told it.
//
//   auto faulty = std::make_shared<FaultySubsystem>(std::make_shared<Debug>());
//   registry.Register(faulty);
//   faulty->Arm("CanAttach", FaultySubsystem::Fault::kThrowAfter, /*nth=*/2);
//   ...
//   faulty->struck();      // the second CanAttach() came, and threw
//   faulty->Disorder();    // empty: what the core told it is in order all the same
//
// The book is kept of what the core says, whatever becomes of the call. Any thread, as subsystem.h
// says; the lock is held over no callback.
#ifndef CORRAL_TESTS_SUPPORT_FAULTY_SUBSYSTEM_H_
#define CORRAL_TESTS_SUPPORT_FAULTY_SUBSYSTEM_H_

#include <corral/subsystem.h>

#include <cerrno>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace corral {

class FaultySubsystem final : public Subsystem {
 public:
  enum class Fault {
    kRefuse,       // an errno, kRefusal
    kThrowBefore,  // the real subsystem has done nothing
    kThrowAfter,   // it has done all of it
    kDie,          // the task it is about ends meanwhile; the call itself goes well
  };
  static constexpr int kRefusal = EXDEV;

  explicit FaultySubsystem(std::shared_ptr<Subsystem> real) : real_(std::move(real)) {}

  // The nth call of `callback` from now on fails, and no other.
  void Arm(std::string callback, Fault fault, int nth = 1) {
    const std::lock_guard lock(mu_);
    armed_ = std::move(callback);
    fault_ = fault;
    left_ = nth;
    struck_ = false;
  }
  bool struck() const {
    return Look([this] { return struck_; });
  }

  std::function<void(Tid)> on_die = [](Tid) {};
  Tid bystander;  // who dies of a callback that is about no task, or about one that ends anyway

  // What it failed to do when it was told (TellOnce), it does now.
  void PayDebts() {
    for (const auto& debt : Look([this] { return std::exchange(debts_, {}); })) debt();
  }

  // ---- the book
  Groups* groups() const { return groups_; }
  int calls(const std::string& callback) const {
    return Look([&] { return calls_.contains(callback) ? calls_.at(callback) : 0; });
  }
  std::size_t alive() const {
    return Look([this] { return alive_.size(); });
  }
  std::size_t TasksOf(const Css& css) const {  // by births, moves and deaths, if it wants them
    return Look([&] {
      return static_cast<std::size_t>(
          std::ranges::count_if(where_, [&](const auto& one) { return one.second == &css; }));
    });
  }
  // What cannot be: a task that was asked about and got neither Attach() nor Cancel(), or more
  // than one; a task that comes from where it was not; a css that ends twice; a file left open.
  std::string Disorder() const {
    return Look([this] {
      std::string all = wrong_;
      for (const auto& [task, asked] : asked_) {
        if (asked != 0) all += fmt::format("task {}: {} too many asked; ", task.value, asked);
      }
      if (open_ != 0) all += fmt::format("{} files open", open_);
      return all;
    });
  }

  // ---- Subsystem
  std::string_view name() const override { return real_->name(); }
  bool WantsForks() const override { return real_->WantsForks(); }
  Result<void> Start(Groups& groups) override {
    groups_ = &groups;
    return Ask("Start", bystander, [&] { return real_->Start(groups); });
  }
  void Stop() override {
    Tell("Stop", bystander, [this] { real_->Stop(); });
  }
  std::vector<SubsystemFile> Files() override {
    std::vector<SubsystemFile> files;
    Tell("Files", bystander, [&] { files = real_->Files(); });
    for (SubsystemFile& file : files) file = Wrap(std::move(file));
    return files;
  }
  Result<std::unique_ptr<Css>> Create(const NewCss& of) override {
    // Who makes a css and fails then takes back what it did for it: the core never had it.
    const auto take_back = [&](Result<std::unique_ptr<Css>>& made) {
      if (made && of.parent) real_->Destroy(**made);
    };
    auto made = Ask(
        "Create", bystander, [&] { return real_->Create(of); }, take_back);
    if (made) Note([&] { return alive_.insert(made->get()).second; }, "created twice");
    return made;
  }
  void Destroy(Css& css) override {
    Note([&] { return alive_.erase(&css) == 1; }, "destroyed and not there");
    TellOnce("Destroy", bystander, [this, &css] { real_->Destroy(css); });
  }
  void PostClone(Css& css) override {
    Tell("PostClone", bystander, [&] { real_->PostClone(css); });
  }
  void Bind(Css& root, HierarchyId hierarchy) override {
    const auto bind = [this, &root, hierarchy] { real_->Bind(root, hierarchy); };
    if (hierarchy.value != 0) return Tell("Bind", bystander, bind);  // a throw refuses it
    TellOnce("Bind", bystander, bind);
  }
  Result<void> CanAttach(Css& to, Css& from, Tid task) override {
    auto agreed = Ask("CanAttach", task, [&] { return real_->CanAttach(to, from, task); });
    if (agreed) Note([&] { return ++asked_[task] == 1; }, "asked twice");
    return agreed;
  }
  void Attach(Css& to, Css& from, Tid task) override {
    Note([&] { return --asked_[task] == 0; }, "attached unasked");
    if (WantsForks()) {
      Note([&] { return std::exchange(where_[task], &to) == &from; }, "attached from elsewhere");
    }
    TellOnce("Attach", task, [this, &to, &from, task] { real_->Attach(to, from, task); });
  }
  void Cancel(Css& to, Css& from, Tid task) override {
    Note([&] { return --asked_[task] == 0; }, "cancelled unasked");
    TellOnce("Cancel", task, [this, &to, &from, task] { real_->Cancel(to, from, task); });
  }
  Result<void> CanFork(Css& css, Tid parent) override {
    return Ask("CanFork", parent, [&] { return real_->CanFork(css, parent); });
  }
  void Fork(Css& css, Tid task) override {
    Note([&] { return where_.emplace(task, &css).second; }, "born twice");
    TellOnce("Fork", task, [this, &css, task] { real_->Fork(css, task); });
  }
  void Exit(Css& css, Tid task) override {
    Note([&] { return where_.contains(task) && where_.extract(task).mapped() == &css; },
         "ended elsewhere");
    TellOnce("Exit", bystander, [this, &css, task] { real_->Exit(css, task); });
  }

 private:
  template <typename Fn>
  std::invoke_result_t<Fn> Look(Fn fn) const {
    const std::lock_guard lock(mu_);
    return fn();
  }
  template <typename Fn>
  void Note(Fn right, const char* otherwise) {
    const std::lock_guard lock(mu_);
    if (!right()) wrong_ += std::string(otherwise) + "; ";
  }

  // Counts the call; whether it is the one to be struck.
  bool Strikes(const std::string& callback, Tid about) {
    {
      const std::lock_guard lock(mu_);
      ++calls_[callback];
      if (callback != armed_ || --left_ != 0) return false;
      struck_ = true;
    }
    if (fault_ == Fault::kDie) on_die(about);
    return true;
  }
  static void Throw(const std::string& callback) {
    throw std::runtime_error("it died in " + callback);
  }

  // A callback that answers. `take_back`: of what the real one answered, before that is lost.
  template <typename Fn, typename Back = void (*)(std::invoke_result_t<Fn>&)>
  auto Ask(
      const std::string& callback, Tid about, Fn real, Back take_back = [](auto&) {})
      -> std::invoke_result_t<Fn> {
    const bool strikes = Strikes(callback, about);
    if (strikes && fault_ == Fault::kRefuse) return Fail(kRefusal, "{} was refused", callback);
    if (strikes && fault_ == Fault::kThrowBefore) Throw(callback);
    PayDebts();
    auto answer = real();
    if (strikes && fault_ == Fault::kThrowAfter) {
      take_back(answer);
      Throw(callback);
    }
    return answer;
  }
  // One that does not.
  void Tell(const std::string& callback, Tid about, const std::function<void()>& real) {
    const bool strikes = Strikes(callback, about);
    if (strikes && fault_ == Fault::kThrowBefore) Throw(callback);
    PayDebts();
    real();
    if (strikes && fault_ == Fault::kThrowAfter) Throw(callback);
  }
  // One that the core makes once, whatever comes of it (13.3): what it said is not said again. So
  // who fails before it has acted on it owes that to itself, and does it at its next callback.
  void TellOnce(const std::string& callback, Tid about, const std::function<void()>& real) {
    bool done = false;
    try {
      Tell(callback, about, [&] {
        real();
        done = true;
      });
    } catch (...) {
      const std::lock_guard lock(mu_);
      if (!done) debts_.push_back(real);
      throw;
    }
  }

  // Each file is opened and closed by us, also where the real one does not care.
  SubsystemFile Wrap(SubsystemFile real) {
    SubsystemFile file{.name = real.name, .where = real.where, .mode = real.mode};
    file.open = [this, open = real.open](FileUse& use) {
      auto opened = Ask("open", bystander, [&] { return open ? open(use) : Result<void>(); });
      if (opened) Note([this] { return ++open_ > 0; }, "");
      return opened;
    };
    file.release = [this, release = real.release](FileUse& use) {
      Note([this] { return --open_ >= 0; }, "closed and not open");
      Tell("release", bystander, [&] {
        if (release) release(use);
      });
    };
    if (real.read) {
      file.read = [this, read = real.read](FileUse& use) {
        return Ask("read", bystander, [&] { return read(use); });
      };
    }
    if (real.number) {
      file.number = [this, number = real.number](FileUse& use) {
        return Ask("number", bystander, [&] { return number(use); });
      };
    }
    if (real.write) {
      file.write = [this, write = real.write](FileUse& use, std::string_view bytes) {
        return Ask("write", bystander, [&] { return write(use, bytes); });
      };
    }
    return file;
  }

  const std::shared_ptr<Subsystem> real_;
  Groups* groups_ = nullptr;
  Fault fault_ = Fault::kRefuse;  // changes only while nothing is called
  mutable std::mutex mu_;         // for the rest
  std::string armed_;
  int left_ = 0;
  bool struck_ = false;
  std::map<std::string, int> calls_;
  std::set<const Css*> alive_;
  std::map<Tid, int> asked_;
  std::map<Tid, const Css*> where_;
  int open_ = 0;
  std::string wrong_;
  std::vector<std::function<void()>> debts_;
};

}  // namespace corral

#endif  // CORRAL_TESTS_SUPPORT_FAULTY_SUBSYSTEM_H_

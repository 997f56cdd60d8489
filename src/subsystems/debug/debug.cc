#include "subsystems/debug/debug.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <string>

#include "base/errors.h"
#include "base/mutex.h"
#include "base/number.h"

namespace corral {
namespace {

enum Callback : std::size_t { kCreate, kCanAttach, kCanFork, kCallbacks };
constexpr std::array<std::string_view, kCallbacks> kNames = {"create", "can_attach", "can_fork"};

// The errno with which each callback refuses; 0: it does not.
using Refusals = std::array<int, kCallbacks>;

class State final : public Css {
 public:
  Result<void> Ask(Callback callback) {
    MutexLock lock(mu_);
    const int error = refusals_[callback];
    if (error == 0) return {};
    return Fail(error, "debug.refuse: {} is to be refused here", kNames[callback]);
  }
  Refusals refusals() {
    MutexLock lock(mu_);
    return refusals_;
  }
  void Refuse(const Refusals& refusals) {
    MutexLock lock(mu_);
    refusals_ = refusals;
  }

  bool held() {
    MutexLock lock(mu_);
    return held_;
  }
  Result<void> Hold(bool on) {
    MutexLock lock(mu_);
    if (held_ == on) return {};
    if (on && !Get()) return Fail(ENODEV, "the group is gone");
    held_ = on;
    if (!on) Put();
    return {};
  }

  std::atomic<std::uint64_t> forks = 0;
  std::atomic<std::uint64_t> exits = 0;

 private:
  Mutex mu_;
  Refusals refusals_ GUARDED_BY(mu_) = {};
  bool held_ GUARDED_BY(mu_) = false;
};

State& StateOf(Css& css) { return static_cast<State&>(css); }
State& StateOf(const FileUse& use) { return StateOf(*use.css); }

// ---- debug.refuse: "can_attach EACCES", one a line

constexpr int kMostErrno = 133;

// By name or number; 0: it is none.
int ParseErrno(std::string_view text) {
  int error = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), error);
  if (failed == std::errc() && end == text.data() + text.size()) {
    return error >= 1 && error <= kMostErrno ? error : 0;
  }
  for (error = kMostErrno; error > 0; --error) {
    const char* name = ::strerrorname_np(error);
    if (name && text == name) break;
  }
  return error;
}

std::string_view NextWord(std::string_view& text) { return TakeWord(text, " \t\n,"); }

Result<Refusals> ParseRefusals(std::string_view text, bool forks_asked) {
  Refusals refusals = {};
  for (std::string_view name = NextWord(text); !name.empty(); name = NextWord(text)) {
    const auto callback =
        static_cast<std::size_t>(std::find(kNames.begin(), kNames.end(), name) - kNames.begin());
    if (callback == kCallbacks) {
      return Fail(EINVAL, "'{}' is no callback: create, can_attach or can_fork", name);
    }
    if (callback == kCanFork && !forks_asked) {
      return Fail(EINVAL, "can_fork: this subsystem was made without fork callbacks");
    }
    const std::string_view error = NextWord(text);
    refusals[callback] = ParseErrno(error);
    if (refusals[callback] == 0) {
      return Fail(EINVAL, "{}: '{}' is no errno, like EPERM or 1", name, error);
    }
  }
  return refusals;
}

Result<std::string> ReadRefuse(FileUse& use) {
  const Refusals refusals = StateOf(use).refusals();
  std::string text;
  for (std::size_t i = 0; i < kCallbacks; ++i) {
    if (refusals[i] == 0) continue;
    const char* name = ::strerrorname_np(refusals[i]);
    text += fmt::format("{} {}\n", kNames[i], name ? name : std::to_string(refusals[i]));
  }
  return text;
}

Result<void> WriteHold(FileUse& use, std::string_view bytes) {
  const std::string_view word = NextWord(bytes);
  if ((word != "0" && word != "1") || !NextWord(bytes).empty()) {
    return Fail(EINVAL, "debug.hold takes 1 (take a reference) or 0 (put it)");
  }
  return StateOf(use).Hold(word == "1");
}

}  // namespace

Result<void> Debug::Start(Groups& groups) {
  groups_ = &groups;
  return {};
}

std::vector<SubsystemFile> Debug::Files() {
  const bool counted = WantsForks();
  std::vector<SubsystemFile> files;
  files.push_back({.name = "css_sets", .read = [this](FileUse& use) -> Result<std::string> {
                     return groups_->Describe(*use.css);
                   }});
  files.push_back({.name = "state", .read = [this](FileUse& use) -> Result<std::string> {
                     const Css& css = *use.css;
                     return fmt::format("cgroup {}\npath {}\nparent {}\n", css.cgroup().value,
                                        groups_->PathOf(css),
                                        css.parent() ? css.parent()->cgroup().value : 0);
                   }});
  files.push_back({.name = "references", .number = [](FileUse& use) -> Result<std::uint64_t> {
                     return static_cast<std::uint64_t>(use.css->references());
                   }});
  files.push_back({.name = "taskcount", .number = [this](FileUse& use) -> Result<std::uint64_t> {
                     return groups_->Tasks(*use.css).size();
                   }});
  files.push_back({.name = "refuse",
                   .read = ReadRefuse,
                   .write = [counted](FileUse& use, std::string_view bytes) -> Result<void> {
                     auto refusals = TRY(ParseRefusals(bytes, counted));
                     StateOf(use).Refuse(refusals);
                     return {};
                   }});
  files.push_back(
      {.name = "hold",
       .where = SubsystemFile::Where::kNotTop,
       .number = [](FileUse& use) -> Result<std::uint64_t> { return StateOf(use).held() ? 1 : 0; },
       .write = WriteHold});
  if (!counted) return files;
  files.push_back({.name = "forks", .number = [](FileUse& use) -> Result<std::uint64_t> {
                     return StateOf(use).forks.load();
                   }});
  files.push_back({.name = "exits", .number = [](FileUse& use) -> Result<std::uint64_t> {
                     return StateOf(use).exits.load();
                   }});
  return files;
}

Result<std::unique_ptr<Css>> Debug::Create(const NewCss& of) {
  if (of.parent) TRY(StateOf(*of.parent).Ask(kCreate));
  return std::make_unique<State>();
}

Result<void> Debug::CanAttach(Css& to, Css& /*from*/, Tid /*task*/) {
  return StateOf(to).Ask(kCanAttach);
}

Result<void> Debug::CanFork(Css& css, Tid /*parent*/) { return StateOf(css).Ask(kCanFork); }
void Debug::Fork(Css& css, Tid /*task*/) { ++StateOf(css).forks; }
void Debug::Exit(Css& css, Tid /*task*/) { ++StateOf(css).exits; }

}  // namespace corral

#include "random/lockstep.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <memory>
#include <thread>

namespace corral::random {
namespace {

constexpr auto kPatience = std::chrono::seconds(10);
constexpr std::chrono::microseconds kLongestPause(20000);

std::string Errno(int error) { return error == 0 ? "success" : ::strerrorname_np(error); }

std::string Names(const Errnos& errors) {
  std::string text;
  for (const int error : errors) text += (text.empty() ? "" : " or ") + Errno(error);
  return text;
}

// The first fact that differs.
std::optional<std::string> Compare(const std::string& mount, const Model::Facts& expected,
                                   const Model::Facts& seen) {
  for (const auto& [what, text] : expected) {
    const auto at = seen.find(what);
    if (at == seen.end()) return fmt::format("{} {}: not there; model: {:?}", mount, what, text);
    if (at->second != text) {
      return fmt::format("{} {}: {:?}; model: {:?}", mount, what, at->second, text);
    }
  }
  for (const auto& [what, text] : seen) {
    if (!expected.contains(what)) {
      return fmt::format("{} {}: {:?}; model: not there", mount, what, text);
    }
  }
  return std::nullopt;
}

}  // namespace

Lockstep::Lockstep(Machine& machine, Mistake mistake)
    : machine_(machine),
      model_({.cpus = Machine::cpus(),
              .agents = machine_.agents(),
              .own_tid = ::getpid(),
              .mistake = mistake}) {}

std::optional<std::string> Lockstep::Do(const Step& step) {
  if (!model_.Applicable(step)) return std::nullopt;
  ++steps_;
  const std::map<std::string, ModelTask> before = model_.tasks();
  const Machine::Done done = machine_.Perform(step, model_);
  const Errnos allowed = model_.Apply(step);
  if (done.tid != 0) {
    const std::size_t made = step.verb == "start" || step.verb == "exec" ? 0 : 1;
    model_.Bind(step.arg(made), done.tid, done.tgid);
  }
  if (auto difference = CompareOutcome(step, allowed, done)) return difference;
  if (auto difference = AwaitEnds(before)) return difference;
  Views views = Look(model_.tasks().size() != before.size() ? nullptr : OnlyHierarchyOf(step));
  if (auto difference = CompareNow(views)) return difference;
  return CompareLater(std::move(views));
}

std::optional<std::string> Lockstep::CompareOutcome(const Step& step, const Errnos& allowed,
                                                    const Machine::Done& done) {
  if (!allowed.contains(done.error)) {
    return fmt::format("{}: {}; model: {}", step.verb, Errno(done.error), Names(allowed));
  }
  if (done.error == 0 && model_.read_text() && *model_.read_text() != done.text) {
    return fmt::format("{}: {:?}; model: {:?}", step.verb, done.text, *model_.read_text());
  }
  return std::nullopt;
}

// Processes that the model says are over must be, before anything is looked at.
std::optional<std::string> Lockstep::AwaitEnds(const std::map<std::string, ModelTask>& before) {
  std::set<int> alive, ended;
  for (const auto& [name, task] : model_.tasks()) alive.insert(task.tgid);
  for (const auto& [name, task] : before) {
    if (!alive.contains(task.tgid)) ended.insert(task.tgid);
  }
  for (const int process : ended) {
    if (!machine_.AwaitEnd(process)) return fmt::format("process {} does not end", process);
  }
  return std::nullopt;
}

// The hierarchy that a step is about; null: it may be about all. Every fourth step looks at all.
const ModelHierarchy* Lockstep::OnlyHierarchyOf(const Step& step) const {
  constexpr std::size_t kLookAtAll = 4;
  if (steps_ % kLookAtAll == 0) return nullptr;
  for (const std::string& arg : step.args) {
    const auto mount = model_.mounts().find(arg);
    if (mount != model_.mounts().end()) return mount->second.hierarchy;
    const auto file = model_.open_files().find(arg);
    if (file != model_.open_files().end()) return file->second.hierarchy;
  }
  return nullptr;
}

// Of several mounts of a hierarchy one is looked at, in turn.
Lockstep::Views Lockstep::Look(const ModelHierarchy* only) {
  std::map<const ModelHierarchy*, std::vector<std::string>> mounts;
  for (const auto& [point, mount] : model_.mounts()) {
    if (!only || mount.hierarchy == only) mounts[mount.hierarchy].push_back(point);
  }
  Views views;
  for (const auto& [hierarchy, points] : mounts) {
    const std::string& point = points[steps_ % points.size()];
    views[point] = machine_.Observe(point, model_);
  }
  return views;
}

// What a user must see at once.
std::optional<std::string> Lockstep::CompareNow(const Views& views) {
  for (const auto& [point, seen] : views) {
    if (auto difference = Compare(point, model_.Observe(point, false), seen.now)) return difference;
    if (auto difference = CompareInodes(point, seen.inodes)) return difference;
  }
  return std::nullopt;
}

// Spec 3.7, 5.5, 5.6: one number for each thing as long as it lives, and never for another.
std::optional<std::string> Lockstep::CompareInodes(const std::string& mount,
                                                   const std::map<std::string, ino_t>& seen) {
  const auto things = model_.Inodes(mount);
  for (const auto& [path, number] : seen) {
    const std::string& thing = things.at(path);
    const ino_t known = inode_of_.try_emplace(thing, number).first->second;
    if (known != number) {
      return fmt::format("{} {}: inode {}; it was {}", mount, path, number, known);
    }
    const std::string& named = named_by_.try_emplace(number, thing).first->second;
    if (named != thing) {
      return fmt::format("{} {}: inode {} of {} was that of {}", mount, path, number, thing, named);
    }
  }
  return std::nullopt;
}

std::optional<std::string> Lockstep::HearCalls() {
  for (const Call& call : machine_.TakeCalls()) {
    const auto at = expected_.find(call);
    if (at == expected_.end()) {
      return fmt::format("agent {} was called for {:?}; model: not", call.agent, call.path);
    }
    expected_.erase(at);
  }
  return std::nullopt;
}

// What may take its time (spec 10.10): waited for, generously.
std::optional<std::string> Lockstep::CompareLater(Views views) {
  const auto agents = machine_.agents();
  for (const Call& call : model_.TakeCalls()) {
    for (const auto& [name, path] : agents) {
      if (path == call.agent) expected_.insert(call);
    }
  }
  const auto end = std::chrono::steady_clock::now() + kPatience;
  for (std::chrono::microseconds pause(200);; pause = std::min(pause * 2, kLongestPause)) {
    std::optional<std::string> difference = HearCalls();
    if (difference) return difference;
    if (!expected_.empty()) {
      difference = fmt::format("no agent was called for {:?}", expected_.begin()->path);
    }
    for (const auto& [point, seen] : views) {
      if (difference) break;
      difference = Compare(point, model_.Observe(point, true), seen.later);
    }
    if (!difference || std::chrono::steady_clock::now() > end) return difference;
    std::this_thread::sleep_for(pause);
    views = Look(nullptr);
  }
}

std::optional<std::string> Lockstep::Finish() {
  std::this_thread::sleep_for(std::chrono::milliseconds(300));  // one too many would come now
  if (auto difference = CompareLater(Look(nullptr))) return difference;
  const std::string audit = machine_.Audit();
  return audit.empty() ? std::nullopt : std::optional("audit: " + audit);
}

namespace {

std::optional<Difference> ReplayOn(Machine& machine, const Script& script, Mistake mistake,
                                   bool finish) {
  Lockstep lockstep(machine, mistake);
  for (std::size_t i = 0; i < script.size(); ++i) {
    if (auto what = lockstep.Do(script[i])) return Difference{i, *what};
  }
  if (!finish) return std::nullopt;
  if (auto what = lockstep.Finish()) return Difference{script.size(), *what};
  return std::nullopt;
}

// One machine after the other, each as long as it can be wiped.
class Replayer {
 public:
  Replayer(Mistake mistake, bool finish) : mistake_(mistake), finish_(finish) {}
  std::optional<Difference> Replay(const Script& script) {
    if (!machine_ || !machine_->Wipe()) {
      machine_.reset();  // before the next one: one at a time
      machine_ = std::make_unique<Machine>();
    }
    return ReplayOn(*machine_, script, mistake_, finish_);
  }

 private:
  const Mistake mistake_;
  const bool finish_;
  std::unique_ptr<Machine> machine_;
};

}  // namespace

std::optional<Difference> Replay(const Script& script, Mistake mistake, bool finish) {
  Machine machine;
  return ReplayOn(machine, script, mistake, finish);
}

// Takes out parts, half of it first, then ever smaller ones, as long as a difference remains.
Script Shrink(Script script, Mistake mistake, int attempts, bool at_end) {
  Replayer replayer(mistake, at_end);
  for (std::size_t part = (script.size() + 1) / 2; part > 0 && attempts > 0;) {
    bool shorter = false;
    for (std::size_t end = script.size(); end > 0 && attempts > 0;) {
      const std::size_t begin = end - std::min(part, end);
      Script without = script;
      without.erase(without.begin() + static_cast<std::ptrdiff_t>(begin),
                    without.begin() + static_cast<std::ptrdiff_t>(end));
      end = begin;
      --attempts;
      const auto difference = replayer.Replay(without);
      if (!difference) continue;
      if (difference->step < without.size()) without.resize(difference->step + 1);
      script = std::move(without);
      end = std::min(end, script.size());
      shorter = true;
    }
    if (part == 1 && !shorter) break;
    if (!shorter || part > script.size() / 2)
      part = std::max<std::size_t>(part / 2, shorter ? 1 : 0);
  }
  return script;
}

}  // namespace corral::random

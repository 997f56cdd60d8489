// Tasks: births, execs, ends and moves (spec 6, 10 and 11).
#include <algorithm>
#include <cerrno>

#include "random/model.h"

namespace corral::random {

bool Model::HasTasks(const ModelGroup& group) const {
  return std::ranges::any_of(tasks_, [&](const auto& entry) {
    const auto at = entry.second.where.find(group.hierarchy);
    return at != entry.second.where.end() && at->second == &group;
  });
}

bool Model::SubtreeHasTasks(const ModelGroup& group) const {
  return !group.parent || HasTasks(group) ||
         std::ranges::any_of(group.children,
                             [&](const auto& child) { return SubtreeHasTasks(*child.second); });
}

std::vector<std::string> Model::ThreadsOf(int tgid) const {
  std::vector<std::string> threads;
  for (const auto& [name, task] : tasks_) {
    if (task.tgid == tgid) threads.push_back(name);
  }
  return threads;
}

bool Model::LivesAnyOf(int tgid) const { return !ThreadsOf(tgid).empty(); }

std::string Model::NameOf(int tid) const {
  for (const auto& [name, task] : tasks_) {
    if (task.tid == tid) return name;
  }
  for (const auto& [name, zombie] : zombies_) {
    if (zombie.tid == tid) return name;
  }
  return "";
}

std::map<int, std::string> Model::NamesByTid() const {
  std::map<int, std::string> names;
  for (const auto& [name, task] : tasks_) names.emplace(task.tid, name);
  for (const auto& [name, zombie] : zombies_) names.emplace(zombie.tid, name);
  return names;
}

bool Model::IsReapable(const std::string& zombie) const {
  return !LivesAnyOf(zombies_.at(zombie).tid);
}

void Model::Bind(const std::string& task, int tid, int tgid) {
  tasks_.at(task).tid = tid;
  tasks_.at(task).tgid = tgid;
}

// Spec 10.1, 10.2. A root is never released (1.7).
void Model::ReleaseIfIdle(ModelGroup& group) {
  if (!group.parent || HasTasks(group)) return;
  if (!group.children.empty() && options_.mistake != Mistake::kReleaseNeedsNoLastChild) return;
  ++group.releases;
  if (group.notify) calls_.push_back({group.hierarchy->agent, PathOf(group)});
}

// ---- births

// Spec 11.1: in the place of the calling thread, whatever the way.
Errnos Model::Birth(const Step& step) {
  const bool start = step.verb == "start";
  const ModelTask& parent = tasks_.at(start ? "me" : step.arg(0));
  tasks_[step.arg(start ? 0 : 1)] = {.tid = 0, .tgid = 0, .uid = parent.uid, .where = parent.where};
  return {0};
}

Errnos Model::BirthOfThread(const Step& step) {
  tasks_[step.arg(1)] = tasks_.at(step.arg(0));
  return {0};
}

// ---- ends

// Tasks that leave by exiting, all at once: a group they emptied is released once.
void Model::End(const std::vector<std::string>& tasks) {
  std::set<ModelGroup*> left;
  for (const std::string& name : tasks) {
    for (const auto& [hierarchy, group] : tasks_.at(name).where) left.insert(group);
    tasks_.erase(name);
  }
  for (ModelGroup* group : left) {
    if (HasTasks(*group)) continue;
    if (group->notify && group->parent) group->releasable = true;  // spec 9.3
    ReleaseIfIdle(*group);
  }
}

void Model::EndProcesses(const std::set<int>& processes) {
  std::vector<std::string> ending;
  for (const auto& [name, task] : tasks_) {
    if (!processes.contains(task.tgid)) continue;
    ending.push_back(name);
    // A leader stays as a zombie until it is waited for.
    if (task.tid == task.tgid) zombies_[name] = {.tid = task.tid, .uid = task.uid};
  }
  End(ending);
}

Errnos Model::Exit(const Step& step) {
  const ModelTask& task = tasks_.at(step.arg(0));
  if (task.tid == task.tgid) zombies_[step.arg(0)] = {.tid = task.tid, .uid = task.uid};
  End({step.arg(0)});
  return {0};
}

Errnos Model::ExitProcess(const Step& step) {
  EndProcesses({tasks_.at(step.arg(0)).tgid});
  return {0};
}

// Spec 11.3: its place goes with it to the leader's number.
Errnos Model::Exec(const Step& step) {
  const std::string& name = step.arg(0);
  ModelTask& task = tasks_.at(name);
  std::vector<std::string> ending;
  for (const std::string& thread : ThreadsOf(task.tgid)) {
    if (thread == name) continue;
    ending.push_back(thread);
    if (options_.mistake == Mistake::kExecStaysWithTheLeader &&
        tasks_.at(thread).tid == task.tgid) {
      task.where = tasks_.at(thread).where;
    }
  }
  std::erase_if(zombies_, [&](const auto& zombie) { return zombie.second.tid == task.tgid; });
  task.tid = task.tgid;
  End(ending);
  return {0};
}

Errnos Model::Reap(const Step& step) {
  zombies_.erase(step.arg(0));
  return {0};
}

Errnos Model::SetUid(const Step& step) {
  tasks_.at(step.arg(0)).uid = static_cast<unsigned>(std::stoul(step.arg(1)));
  return {0};
}

// ---- moves

void Model::Move(const std::vector<std::string>& tasks, ModelGroup& to) {
  std::set<ModelGroup*> left;
  for (const std::string& name : tasks) {
    ModelTask& task = tasks_.at(name);
    const auto at = task.where.find(to.hierarchy);
    ModelGroup* from = at == task.where.end() ? to.hierarchy->root.get() : at->second;
    if (from == &to) continue;  // spec 6.7
    left.insert(from);
    if (to.parent) {
      task.where[to.hierarchy] = &to;
    } else {
      task.where.erase(to.hierarchy);
    }
    if (options_.mistake == Mistake::kAttachClearsReleasable) to.releasable = false;
  }
  for (ModelGroup* group : left) {
    group->releasable = true;  // any task is moved out, others may remain (spec 9.3)
    ReleaseIfIdle(*group);
  }
}

}  // namespace corral::random

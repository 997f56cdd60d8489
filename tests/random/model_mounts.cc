// Mounts and the life of hierarchies (spec 3).
#include <algorithm>
#include <cerrno>

#include "random/model.h"

namespace corral::random {
namespace {

struct Wanted {
  bool none = false, all = false, read_only = false, clone_children = false, noprefix = false;
  std::vector<std::string> names, agents, dialects;
  bool unknown = false;
};

Wanted Parse(const std::string& text) {
  const std::set<std::string> generic{"rw", "nosuid", "nodev", "noexec", "relatime"};
  Wanted wanted;
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find(',', begin), text.size());
    const std::string token = text.substr(begin, end - begin);
    begin = end + 1;
    const std::size_t equals = token.find('=');
    const std::string key = token.substr(0, equals);
    if (token.empty() || generic.contains(token)) continue;
    if (equals != token.npos) {
      const std::string value = token.substr(equals + 1);
      if (key == "name")
        wanted.names.push_back(value);
      else if (key == "release_agent")
        wanted.agents.push_back(value);
      else if (key == "compat")
        wanted.dialects.push_back(value);
      else
        wanted.unknown = true;
    } else if (token == "none")
      wanted.none = true;
    else if (token == "all")
      wanted.all = true;
    else if (token == "ro")
      wanted.read_only = true;
    else if (token == "clone_children")
      wanted.clone_children = true;
    else if (token == "noprefix")
      wanted.noprefix = true;
    else
      wanted.unknown = true;
  }
  return wanted;
}

bool GoodName(const std::string& name) {
  const std::string allowed = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-";
  return !name.empty() && name.size() <= 63 && name.find_first_not_of(allowed) == name.npos;
}

// Spec 3.4, 3.5.
bool IsWrong(const Wanted& wanted, const SpecDialect* dialect) {
  const bool one_dialect = std::ranges::count(wanted.dialects, dialect ? dialect->name : "") ==
                           std::ssize(wanted.dialects);  // the same one may be given again
  if (wanted.unknown || !dialect || !one_dialect || wanted.agents.size() > 1) {
    return true;
  }
  if (!wanted.agents.empty() && wanted.agents[0].empty() && !dialect->empty_agent_ignored &&
      !dialect->empty_agent_is_none) {
    return true;
  }
  if (dialect->one_hierarchy) return false;
  if (wanted.names.size() > 1 || (!wanted.names.empty() && !GoodName(wanted.names[0]))) return true;
  if (wanted.none && (wanted.all || wanted.names.empty())) return true;
  return wanted.noprefix && !wanted.none && !wanted.all && wanted.names.empty();
}

}  // namespace

const SpecDialect* Model::DialectNamed(std::string_view name) const {
  const auto at = std::ranges::find(dialects_, name, &SpecDialect::name);
  return at == dialects_.end() ? nullptr : &*at;
}

ModelHierarchy* Model::FindHierarchy(const std::string& name) const {
  for (const auto& hierarchy : hierarchies_) {
    if (hierarchy->name == name) return hierarchy.get();
  }
  return nullptr;
}

ModelHierarchy* Model::NewHierarchy(const std::string& name, const SpecDialect& dialect) {
  ModelHierarchy& hierarchy = *hierarchies_.emplace_back(std::make_unique<ModelHierarchy>());
  hierarchy.name = name;
  hierarchy.dialect = &dialect;
  hierarchy.root =
      NewGroup(hierarchy, nullptr, "", {.mode = dialect.root_mode, .uid = 0, .gid = 0});
  return &hierarchy;
}

Errnos Model::Mount(const Step& step) {
  const Wanted wanted = Parse(Expand(step.arg(1)));
  const SpecDialect* dialect =
      DialectNamed(wanted.dialects.empty() ? "corral" : wanted.dialects[0]);
  if (IsWrong(wanted, dialect)) return {EINVAL};
  const std::string name = dialect->one_hierarchy ? "v6"
                           : wanted.names.empty() ? ""
                                                  : wanted.names[0];
  ModelHierarchy* hierarchy = FindHierarchy(name);
  if (!hierarchy) {
    const bool joins = !wanted.none && !name.empty() && !dialect->one_hierarchy;
    if (joins) return {EINVAL};  // only what is there
    hierarchy = NewHierarchy(name, *dialect);
    // "There from start to shutdown": nobody can tell that from its first mount, but that this
    // one says which agent it has.
    hierarchy->permanent = dialect->one_hierarchy;
    if (!wanted.agents.empty()) hierarchy->agent = wanted.agents[0];
    hierarchy->root->clone_children = wanted.clone_children;
  }
  mounts_[step.arg(0)] = {.hierarchy = hierarchy, .read_only = wanted.read_only};
  return {0};
}

// Spec 3.11.
void Model::EndIfUnused(ModelHierarchy* hierarchy) {
  if (hierarchy->permanent) return;
  if (!hierarchy->root->children.empty() && options_.mistake != Mistake::kUmountForgets) return;
  for (const auto& [point, mount] : mounts_) {
    if (mount.hierarchy == hierarchy) return;
  }
  for (auto& [name, task] : tasks_) task.where.erase(hierarchy);
  std::erase_if(hierarchies_, [&](const auto& other) { return other.get() == hierarchy; });
}

Errnos Model::Umount(const Step& step) {
  for (const auto& [name, file] : open_) {
    if (file.mount == step.arg(0)) return {EBUSY};
  }
  ModelHierarchy* hierarchy = mounts_.at(step.arg(0)).hierarchy;
  mounts_.erase(step.arg(0));
  EndIfUnused(hierarchy);
  return {0};
}

// Spec 3.9.
Errnos Model::Remount(const Step& step) {
  ModelMount& mount = mounts_.at(step.arg(0));
  ModelHierarchy& hierarchy = *mount.hierarchy;
  const Wanted wanted = Parse(Expand(step.arg(1)));
  const SpecDialect* dialect =
      wanted.dialects.empty() ? hierarchy.dialect : DialectNamed(wanted.dialects[0]);
  Errnos errors;
  if (IsWrong(wanted, dialect) || dialect != hierarchy.dialect) errors.insert(EINVAL);
  const bool named = !wanted.names.empty() && !hierarchy.dialect->one_hierarchy;  // ignored there
  if (named && wanted.names[0] != hierarchy.name) errors.insert(EINVAL);
  if (!hierarchy.root->children.empty()) errors.insert(EBUSY);
  if (!errors.empty()) return errors;
  if (!wanted.agents.empty()) hierarchy.agent = wanted.agents[0];
  mount.read_only = wanted.read_only;
  return {0};
}

}  // namespace corral::random

#include "daemon/mount_options.h"

#include <algorithm>
#include <cerrno>
#include <vector>

#include "base/errors.h"

namespace corral {
namespace {

constexpr std::size_t kMaxHierarchyName = 63;

struct FlagOption {
  std::string_view name;
  bool MountOptions::*field;
  bool value;
};

constexpr FlagOption kFlags[] = {
    {"ro", &MountOptions::read_only, true},
    {"rw", &MountOptions::read_only, false},
    {"nosuid", &MountOptions::nosuid, true},
    {"suid", &MountOptions::nosuid, false},
    {"nodev", &MountOptions::nodev, true},
    {"dev", &MountOptions::nodev, false},
    {"all", &MountOptions::all, true},
    {"none", &MountOptions::none, true},
    {"noprefix", &MountOptions::noprefix, true},
    {"clone_children", &MountOptions::clone_children, true},
    {"remount", &MountOptions::remount, true},
};

// What mount(8) and fstab hand on and what means nothing here; and what FUSE shows of a mount,
// which mount(8) gives back at a remount.
constexpr std::string_view kIgnored[] = {
    "defaults",   "relatime",    "norelatime", "atime",   "noatime",
    "nodiratime", "strictatime", "lazytime",   "async",   "auto",
    "noauto",     "user",        "nouser",     "_netdev", "nofail",
    "silent",     "loud",        "exec",       "noexec",  "default_permissions",
    "allow_other"};
constexpr std::string_view kIgnoredKeys[] = {"user_id",  "group_id", "rootmode", "fd",
                                             "max_read", "blksize",  "x-"};

Result<void> CheckName(std::string_view name) {
  const bool characters = std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_' ||
           c == '.' || c == '-';
  });
  if (name.empty() || name.size() > kMaxHierarchyName || !characters) {
    return Fail(EINVAL, "name='{}': a name has 1 to {} characters of [A-Za-z0-9_.-]", name,
                kMaxHierarchyName);
  }
  return {};
}

std::string DialectNames() {
  std::string names;
  for (const Dialect& dialect : Dialects()) {
    if (!names.empty()) names += ", ";
    names += dialect.name;
  }
  return names;
}

Result<void> SetName(std::string_view value, MountOptions* options) {
  if (options->name) return Fail(EINVAL, "name= is given twice");
  TRY(CheckName(value));
  options->name = value;
  return {};
}

// Whether an empty one is fine is the dialect's, which may be named later.
Result<void> SetAgent(std::string_view value, MountOptions* options) {
  if (options->release_agent) return Fail(EINVAL, "release_agent= is given twice");
  if (value.size() > kMaxPath) {
    return Fail(EINVAL, "release_agent=: a path of {} bytes, more than {}", value.size(), kMaxPath);
  }
  options->release_agent = value;
  return {};
}

Result<void> SetAgentUser(std::string_view value, MountOptions* options) {
  if (!options->agent_user.empty()) return Fail(EINVAL, "agent_user= is given twice");
  if (value.empty()) return Fail(EINVAL, "agent_user= is empty");
  options->agent_user = value;
  return {};
}

Result<void> SetDialect(std::string_view value, MountOptions* options) {
  const Dialect* dialect = FindDialect(value);
  if (!dialect) {
    return Fail(EINVAL, "compat={}: there is no such dialect; known are {}", value, DialectNames());
  }
  if (options->dialect && options->dialect != dialect) {
    return Fail(EINVAL, "compat= is given twice, with different dialects");
  }
  options->dialect = dialect;
  return {};
}

struct ValueOption {
  std::string_view key;
  Result<void> (*set)(std::string_view value, MountOptions* options);
};

constexpr ValueOption kValues[] = {
    {"name", SetName},
    {"release_agent", SetAgent},
    {"agent_user", SetAgentUser},
    {"compat", SetDialect},
};

Result<void> ApplyValue(std::string_view key, std::string_view value, MountOptions* options) {
  for (const ValueOption& option : kValues) {
    if (option.key == key) return option.set(value, options);
  }
  const bool ignored = std::ranges::any_of(kIgnoredKeys, [&](std::string_view known) {
    return known.ends_with('-') ? key.starts_with(known) : key == known;
  });
  if (key.empty() || ignored) return {};
  return Fail(EINVAL, "unknown mount option '{}='", key);
}

Result<void> Apply(std::string_view token, const std::vector<std::string>& known,
                   MountOptions* options) {
  if (const auto equals = token.find('='); equals != std::string_view::npos) {
    return ApplyValue(token.substr(0, equals), token.substr(equals + 1), options);
  }
  for (const FlagOption& flag : kFlags) {
    if (flag.name != token) continue;
    options->*flag.field = flag.value;
    return {};
  }
  if (std::ranges::find(kIgnored, token) != std::end(kIgnored) || token.starts_with("x-")) {
    return {};
  }
  if (std::ranges::find(known, token) != known.end()) {
    if (std::ranges::find(options->subsystems, token) == options->subsystems.end()) {
      options->subsystems.emplace_back(token);
    }
    return {};
  }
  std::string names;
  for (const std::string& name : known) names += (names.empty() ? "" : ", ") + name;
  return Fail(EINVAL, "unknown mount option or subsystem '{}'; subsystems are: {}", token,
              names.empty() ? "none" : names);
}

std::vector<std::string_view> TokensOf(std::string_view text) {
  std::vector<std::string_view> tokens;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find(',', begin), text.size());
    if (end > begin) tokens.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return tokens;
}

bool IsOneHierarchyDialect(std::string_view token) {
  constexpr std::string_view kKey = "compat=";
  if (!token.starts_with(kKey)) return false;
  const Dialect* dialect = FindDialect(token.substr(kKey.size()));
  return dialect && dialect->one_hierarchy;
}

// What only all of them together can tell.
Result<void> CheckTogether(const Dialect* present, MountOptions* options) {
  const Dialect& dialect = DialectOf(options->dialect ? options->dialect : present);
  if (dialect.one_hierarchy) {
    options->all = options->none = options->noprefix = false;
    options->subsystems.clear();
  }
  for (const Dialect& other : Dialects()) {
    if (other.one_hierarchy && options->name == other.name) {
      return Fail(EINVAL, "the name '{0}' belongs to the one hierarchy of compat={0}", other.name);
    }
  }
  const bool named = !options->subsystems.empty();
  if (options->none && options->all) return Fail(EINVAL, "'none' and 'all' exclude each other");
  if (named && (options->none || options->all)) {
    return Fail(EINVAL, "'{}' and subsystem '{}' exclude each other",
                options->none ? "none" : "all", options->subsystems.front());
  }
  if (options->none && !options->name) return Fail(EINVAL, "'none' needs a name=NAME");
  if (options->noprefix && !options->name && !options->all && !named) {
    return Fail(EINVAL, "'noprefix' says nothing by itself: name a subsystem or a hierarchy");
  }
  const bool others =
      std::ranges::any_of(options->subsystems, [](const auto& name) { return name != "cpuset"; });
  if (options->noprefix && !dialect.noprefix_for_all && others) {
    return Fail(EINVAL, "'noprefix' is for cpuset alone in compat={}", dialect.name);
  }
  if (options->release_agent && options->release_agent->empty()) {
    if (dialect.empty_agent == EmptyAgent::kRefused) {
      return Fail(EINVAL, "release_agent= is empty");
    }
    if (dialect.empty_agent == EmptyAgent::kIgnored) options->release_agent.reset();
  }
  return {};
}

}  // namespace

Result<MountOptions> ParseMountOptions(std::string_view text, const std::vector<std::string>& known,
                                       const Dialect* present) {
  const std::vector<std::string_view> tokens = TokensOf(text);
  const bool names_mean_nothing =
      DialectOf(present).one_hierarchy || std::ranges::any_of(tokens, IsOneHierarchyDialect);
  MountOptions options;
  for (const std::string_view token : tokens) {
    if (names_mean_nothing && token.starts_with("name=")) continue;
    TRY(Apply(token, known, &options));
  }
  TRY(CheckTogether(present, &options));
  return options;
}

}  // namespace corral

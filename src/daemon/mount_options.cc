#include "daemon/mount_options.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

namespace corral {
namespace {

constexpr std::size_t kMaxName = 63;

struct FlagOption {
  std::string_view name;
  bool MountOptions::* field;
  bool value;
};

// Generic options that the mount takes; atime options mean nothing to us and are ignored.
constexpr FlagOption kFlags[] = {
    {"ro", &MountOptions::read_only, true},   {"rw", &MountOptions::read_only, false},
    {"nosuid", &MountOptions::nosuid, true},  {"suid", &MountOptions::nosuid, false},
    {"nodev", &MountOptions::nodev, true},    {"dev", &MountOptions::nodev, false},
    {"noexec", &MountOptions::noexec, true},  {"exec", &MountOptions::noexec, false},
    {"none", &MountOptions::none, true},
};

constexpr std::string_view kIgnored[] = {"defaults", "relatime", "noatime", "nodiratime",
                                         "strictatime", "async", "auto", "noauto", "user",
                                         "nouser", "_netdev", "nofail"};

constexpr std::string_view kNotYet[] = {"noprefix", "clone_children", "remount"};

Result<void> CheckName(std::string_view name) {
  const bool characters = std::all_of(name.begin(), name.end(), [](unsigned char c) {
    return std::isalnum(c) || c == '_' || c == '.' || c == '-';
  });
  if (name.empty() || name.size() > kMaxName || !characters) {
    return Fail(EINVAL, "name='{}': a name has 1 to {} characters of [A-Za-z0-9_.-]", name,
                kMaxName);
  }
  return {};
}

Result<void> ApplyValue(std::string_view key, std::string_view value, MountOptions* options) {
  if (key == "name") {
    if (options->name) return Fail(EINVAL, "name= is given twice");
    if (auto ok = CheckName(value); !ok) return ok;
    options->name = value;
  } else if (key == "release_agent") {
    if (options->release_agent) return Fail(EINVAL, "release_agent= is given twice");
    if (value.empty()) return Fail(EINVAL, "release_agent= is empty");
    options->release_agent = value;
  } else if (key == "agent_user") {
    if (!options->agent_user.empty()) return Fail(EINVAL, "agent_user= is given twice");
    if (value.empty()) return Fail(EINVAL, "agent_user= is empty");
    options->agent_user = value;
  } else if (key == "compat") {
    if (value != "corral") {
      return Fail(EINVAL, "compat={}: this version knows only the dialect 'corral'", value);
    }
  } else {
    return Fail(EINVAL, "unknown mount option '{}='", key);
  }
  return {};
}

Result<void> Apply(std::string_view token, MountOptions* options, bool* all) {
  if (const auto equals = token.find('='); equals != std::string_view::npos) {
    return ApplyValue(token.substr(0, equals), token.substr(equals + 1), options);
  }
  for (const FlagOption& flag : kFlags) {
    if (flag.name != token) continue;
    options->*flag.field = flag.value;
    return {};
  }
  if (token == "all") {
    *all = true;
    return {};
  }
  if (std::ranges::find(kIgnored, token) != std::end(kIgnored)) return {};
  if (std::ranges::find(kNotYet, token) != std::end(kNotYet)) {
    return Fail(EINVAL, "the mount option '{}' is not available in this version", token);
  }
  return Fail(EINVAL, "unknown mount option or subsystem '{}'", token);
}

}  // namespace

Result<MountOptions> ParseMountOptions(std::string_view text) {
  MountOptions options;
  bool all = false;
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find(',', begin), text.size());
    const std::string_view token = text.substr(begin, end - begin);
    begin = end + 1;
    if (token.empty()) continue;
    if (auto ok = Apply(token, &options, &all); !ok) return Fail(ok.error());
  }
  if (options.none && all) return Fail(EINVAL, "'none' and 'all' exclude each other");
  if (options.none && !options.name) return Fail(EINVAL, "'none' needs a name=NAME");
  return options;
}

}  // namespace corral

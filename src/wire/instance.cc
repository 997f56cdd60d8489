#include "wire/instance.h"

#include <algorithm>
#include <cerrno>
#include <cstdlib>

#include "base/errors.h"

namespace corral {

Result<void> CheckInstanceName(std::string_view name) {
  constexpr std::string_view kAllowed =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-";
  const bool good = !name.empty() && name.size() <= 63 && name != "." && name != ".." &&
                    name.find_first_not_of(kAllowed) == std::string_view::npos;
  if (good) return {};
  return Fail(EINVAL, "{:?} is no instance name: 1 to 63 letters, digits, '_', '.' or '-'", name);
}

Result<std::string> InstanceFromEnvironment() {
  const char* set = std::getenv("CORRAL_INSTANCE");
  std::string name = set == nullptr || *set == '\0' ? "default" : set;
  TRY(CheckInstanceName(name));
  return name;
}

std::string RuntimeDir(std::string_view instance) {
  return fmt::format("/run/corral/{}", instance);
}

std::string ProcDir(std::string_view instance) { return RuntimeDir(instance) + "/proc"; }

std::string StoreDir(std::string_view instance) { return RuntimeDir(instance) + "/store"; }

std::string PinDir(std::string_view instance) {
  std::string name(instance);
  std::replace(name.begin(), name.end(), '.', '+');  // no instance has a plus sign
  return "/sys/fs/bpf/corral/" + name;
}

std::string LockPath(std::string_view instance) { return RuntimeDir(instance) + "/lock"; }

std::string LogPath(std::string_view instance) { return RuntimeDir(instance) + "/corrald.log"; }

std::string SocketPath(std::string_view instance) { return RuntimeDir(instance) + "/socket"; }

}  // namespace corral

#include <fmt/format.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string_view>

#include "differential/subject.h"

namespace corral::differential {
namespace {

// mount(8) takes `ro` for a flag, not an option of the file system.
unsigned long TakeFlags(std::string& options) {
  std::istringstream tokens(options);
  std::string rest;
  unsigned long flags = 0;
  for (std::string token; std::getline(tokens, token, ',');) {
    if (token == "ro") {
      flags |= MS_RDONLY;
    } else {
      rest += (rest.empty() ? "" : ",") + token;
    }
  }
  if (flags != 0) options = rest;
  return flags;
}

// Without what any mount has: "rw,relatime,name=x" is "name=x".
std::string HierarchyPart(std::string options) {
  for (const std::string_view generic : {"rw,", "ro,", "relatime,"}) {
    if (options.starts_with(generic)) options.erase(0, generic.size());
  }
  return options;
}

class Kernel : public Subject {
 public:
  int Mount(const std::string& options, const std::string& dir) override {
    return Call(options, dir, 0);
  }
  int Remount(const std::string& options, const std::string& dir) override {
    return Call(options, dir, MS_REMOUNT);
  }

  std::string ShownOptions(const std::string& dir) const override {
    std::ifstream mounts("/proc/self/mounts");
    std::string shown = "(not mounted)";
    for (std::string line; std::getline(mounts, line);) {
      std::istringstream fields(line);
      std::string source, where, type, options;
      fields >> source >> where >> type >> options;
      if (where == dir) shown = HierarchyPart(options);  // the topmost
    }
    return shown;
  }

  std::string PlaceFile(const std::string& process, pid_t thread) const override {
    return thread == 0 ? fmt::format("/proc/{}/cgroup", process)
                       : fmt::format("/proc/{}/task/{}/cgroup", process, thread);
  }

 private:
  static int Call(std::string options, const std::string& dir, unsigned long flags) {
    flags |= TakeFlags(options);
    return ::mount("none", dir.c_str(), "cgroup", flags, options.c_str()) == 0 ? 0 : errno;
  }
};

}  // namespace

std::unique_ptr<Subject> KernelSubject(std::string& why) {
  auto kernel = std::make_unique<Kernel>();
  const std::string name = fmt::format("corral-diff-probe-{}", ::getpid());
  const std::string dir = "/tmp/" + name;
  std::filesystem::create_directory(dir);
  const int error = kernel->Mount("none,name=" + name, dir);
  if (error == 0) ::umount(dir.c_str());
  std::filesystem::remove(dir);
  if (error == 0) return kernel;
  why = std::string("this kernel mounts no cgroup v1: ") + std::strerror(error);
  return nullptr;
}

}  // namespace corral::differential

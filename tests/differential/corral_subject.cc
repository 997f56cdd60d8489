#include <fmt/format.h>

#include <cstdio>
#include <fstream>
#include <sstream>
#include <string_view>

#include "client/client.h"
#include "client/place_mount.h"
#include "differential/subject.h"
#include "wire/instance.h"

namespace corral::differential {
namespace {

class Corral : public Subject {
 public:
  explicit Corral(std::string dialect) : dialect_(std::move(dialect)) {}

  int Mount(const std::string& options, const std::string& dir) override {
    return Call(fmt::format("{},compat={}", options, dialect_), dir);
  }
  int Remount(const std::string& options, const std::string& dir) override {
    return Call(fmt::format("remount,{},compat={}", options, dialect_), dir);
  }

  // The proc view's `mounts` (spec 3.12), without what says the dialect.
  std::string ShownOptions(const std::string& dir) const override {
    std::ifstream mounts(ProcView() + "/mounts");
    std::string shown = "(not mounted)";
    for (std::string line; std::getline(mounts, line);) {
      std::istringstream fields(line);
      std::string source, where, type, options;
      fields >> source >> where >> type >> options;
      if (where == dir) shown = options;
    }
    const std::string compat = ",compat=" + dialect_;
    if (const auto at = shown.find(compat); at != shown.npos) shown.erase(at, compat.size());
    return shown;
  }

  std::string PlaceFile(const std::string& process, pid_t thread) const override {
    return thread == 0 ? fmt::format("{}/{}/cgroup", ProcView(), process)
                       : fmt::format("{}/{}/task/{}/cgroup", ProcView(), process, thread);
  }

 private:
  static std::string ProcView() {
    return RuntimeDir(InstanceFromEnvironment().value_or("default")) + "/proc";
  }

  static int Call(const std::string& options, const std::string& dir) {
    auto client = Client::ConnectOrStart(InstanceFromEnvironment().value_or("default"));
    if (!client) {
      std::fprintf(stderr, "no daemon: %s\n", client.error().message.c_str());
      return client.error().code;
    }
    auto done = MountOn(*client, {.source = "none", .dir = dir, .options = options});
    return done ? 0 : done.error().code;
  }

  const std::string dialect_;
};

}  // namespace

std::unique_ptr<Subject> CorralSubject(const std::string& dialect) {
  return std::make_unique<Corral>(dialect);
}

}  // namespace corral::differential

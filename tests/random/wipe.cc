// Making a machine as good as new.
#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <thread>

#include "client/place_mount.h"
#include "random/machine.h"

namespace corral::random {
namespace {

using std::chrono::milliseconds;

bool WriteFile(const std::string& path, const std::string& text) {
  const Fd fd(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  return fd && ::write(fd.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size());
}

// Directories below `top`, parents first.
std::vector<std::string> DirectoriesIn(const std::string& top) {
  std::vector<std::string> all;
  std::error_code error;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(top, error)) {
    if (entry.is_directory()) all.push_back(entry.path());
  }
  return all;
}

bool Remove(const std::string& directory) {
  for (int tries = 0; tries < 100; ++tries) {
    if (::rmdir(directory.c_str()) == 0) return true;
    if (errno != EBUSY) return false;
    std::this_thread::sleep_for(milliseconds(1));
  }
  return false;
}

}  // namespace

void Machine::EndTasks() {
  std::set<Tgid> processes;
  for (const auto& [tid, tgid] : puppets_.tasks()) processes.insert(tgid);
  for (const Tgid process : processes) puppets_.Kill(process);
  while (::waitpid(-1, nullptr, WNOHANG | __WALL) > 0) {  // the daemon may be a child, too
  }
}

// Mounted once more, emptied and unmounted; with no group it ends (spec 3.11).
bool Machine::WipeHierarchy(const std::string& name) {
  const std::string at = Under("m1", "");
  const std::string options = name.empty() ? "" : "name=" + name;
  if (!MountOn(*client_, {.source = "none", .dir = at, .options = options})) return false;
  std::vector<std::string> directories = DirectoriesIn(at);
  for (const std::string& directory : directories) {
    WriteFile(directory + "/notify_on_release", "0");
  }
  bool good = WriteFile(at + "/tasks", std::to_string(::getpid()));
  EndTasks();
  for (auto directory = directories.rbegin(); good && directory != directories.rend();
       ++directory) {
    good = Remove(*directory);
  }
  return ::umount2(at.c_str(), 0) == 0 && good;
}

bool Machine::AwaitQuietAgents() {
  for (int tries = 0; tries < 1000; ++tries) {
    const auto status = client_->Call({{"op", "status"}});
    if (!status) return false;
    const auto& agents = status->at("agents");
    const auto ended = agents.at("succeeded").get<long>() + agents.at("failed").get<long>();
    if (status->at("pending_notifications") == 0 && agents.at("started") == ended) return true;
    std::this_thread::sleep_for(milliseconds(1));
  }
  return false;
}

// A mount namespace that somebody else made meanwhile has our mounts in it, and none ends before
// it.
bool Machine::OnlyTheBuiltInIsLeft() {
  const auto status = client_->Call({{"op", "status"}});
  return status && std::ranges::all_of(status->at("hierarchies"), [](const auto& hierarchy) {
           return hierarchy.at("built_in").template get<bool>();
         });
}

bool Machine::Wipe() {
  open_.clear();
  for (const char* point : {"m1", "m2", "m3", "m4"}) ::umount2(Under(point, "").c_str(), 0);
  if (used_for_good_) return false;
  const auto status = client_->Call({{"op", "status"}});
  if (!status) return false;
  for (const auto& hierarchy : status->at("hierarchies")) {
    if (hierarchy.at("built_in")) continue;
    if (!WipeHierarchy(hierarchy.at("name").get<std::string>())) return false;
  }
  EndTasks();
  if (!AwaitQuietAgents() || !OnlyTheBuiltInIsLeft()) return false;
  TakeCalls();
  return true;
}

}  // namespace corral::random

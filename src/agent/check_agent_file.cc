// Who may write an agent is who may run code as root: spec 10.11.
#include <sys/stat.h>

#include <cerrno>
#include <climits>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>

#include "agent/agent_starter.h"

namespace corral {
namespace {

std::string DirectoryOf(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

Result<void> CheckOne(std::string_view what, const std::string& path) {
  struct stat st;
  if (::stat(path.c_str(), &st) != 0) {
    return Fail(errno, "release agent: {} {}: {}", what, path, std::strerror(errno));
  }
  if ((st.st_mode & (S_IWGRP | S_IWOTH)) == 0) return {};
  return Fail(EPERM, "release agent: the {} {} may be written by {} (mode {:04o}); chmod go-w",
              what, path, (st.st_mode & S_IWOTH) != 0 ? "anybody" : "its group",
              st.st_mode & 07777);
}

}  // namespace

Result<void> CheckAgentFile(const std::string& agent) {
  if (auto file = CheckOne("file", agent); !file) return file;
  if (auto directory = CheckOne("directory", DirectoryOf(agent)); !directory) return directory;
  // A link is as safe as the directory it is in *and* the one it points into.
  char resolved[PATH_MAX];
  if (::realpath(agent.c_str(), resolved) == nullptr) {
    return Fail(errno, "release agent: file {}: {}", agent, std::strerror(errno));
  }
  return CheckOne("directory", DirectoryOf(resolved));
}

}  // namespace corral

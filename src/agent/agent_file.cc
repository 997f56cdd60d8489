#include "agent/agent_file.h"

#include <elf.h>
#include <pwd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstring>
#include <sstream>
#include <string_view>

#include "agent/agent_starter.h"
#include "base/errors.h"
#include "base/trusted_file.h"

namespace corral {
namespace {

// As the kernel: a first line of so many bytes, so many scripts that start scripts.
constexpr std::size_t kFirstLine = 256;
constexpr int kMostScripts = 5;

Result<TrustedFile> OpenWithInterpreters(const std::string& path, uid_t user, int scripts);

// `#!/usr/bin/env [-S] [NAME=VALUE] PROGRAM`: another interpreter, found by name. Who could put one
// of that name into a directory before it would be started instead.
Result<void> CheckProgramOfEnv(const std::string& argument, uid_t user, int scripts) {
  std::istringstream words(argument);
  std::string program;
  while (words >> program && (program.starts_with('-') || program.contains('='))) program.clear();
  if (program.empty()) return {};
  if (program.contains('/')) {
    TRY(OpenWithInterpreters(program, user, scripts));
    return {};
  }
  std::istringstream directories(kAgentPath);
  for (std::string directory; std::getline(directories, directory, ':');) {
    const auto found = OpenWithInterpreters(directory + "/" + program, user, scripts);
    if (found) return {};
    if (found.error().code != ENOENT) return Fail(found.error());
  }
  return Fail(ENOENT, "{} is in no directory of {}", program, kAgentPath);
}

Result<void> CheckInterpreter(std::string_view line, uid_t user, int scripts) {
  constexpr std::string_view kBlank = " \t";
  line = line.substr(0, line.find_first_of(std::string_view("\n\0", 2)));
  line.remove_prefix(std::min(line.find_first_not_of(kBlank), line.size()));
  const std::string interpreter(line.substr(0, line.find_first_of(kBlank)));
  if (interpreter.empty()) return Fail(ENOEXEC, "no interpreter after #!");
  TRY(OpenWithInterpreters(interpreter, user, scripts));
  if (!interpreter.ends_with("/env")) return {};
  return CheckProgramOfEnv(std::string(line.substr(interpreter.size())), user, scripts);
}

// The loader that a binary for this machine names; empty: none.
std::string LoaderOf(const std::string& bytes) {
  Elf64_Ehdr header;
  if (bytes.size() < sizeof header) return "";
  std::memcpy(&header, bytes.data(), sizeof header);
  for (std::size_t i = 0; i < header.e_phnum; ++i) {
    Elf64_Phdr part;
    const std::size_t at = header.e_phoff + i * sizeof part;
    if (header.e_phoff > bytes.size() || at + sizeof part > bytes.size()) return "";
    std::memcpy(&part, bytes.data() + at, sizeof part);
    if (part.p_type != PT_INTERP) continue;
    if (part.p_offset > bytes.size()) return "";
    const std::string loader = bytes.substr(part.p_offset, part.p_filesz);
    return loader.substr(0, loader.find('\0'));
  }
  return "";
}

Result<void> CheckWhatStartsIt(const TrustedFile& file, uid_t user, int scripts) {
  // Headers and the loader's name are at the beginning of a binary.
  const auto bytes = ReadTrusted(file, PATH_MAX + kFirstLine);
  if (!bytes) return bytes.error().code == EINVAL ? Result<void>() : Fail(bytes.error());
  if (bytes->starts_with("#!")) {
    if (scripts == kMostScripts) return Fail(ELOOP, "{}: scripts of scripts", file.path);
    return CheckInterpreter(std::string_view(*bytes).substr(2, kFirstLine - 2), user, scripts + 1);
  }
  if (!bytes->starts_with(ELFMAG) || (*bytes)[EI_CLASS] != ELFCLASS64) return {};
  const std::string loader = LoaderOf(*bytes);
  if (loader.empty()) return {};
  TRY(OpenTrusted(loader, user));
  return {};
}

Result<TrustedFile> OpenWithInterpreters(const std::string& path, uid_t user, int scripts) {
  TrustedFile file = TRY(OpenTrusted(path, user));
  TRY(CheckWhatStartsIt(file, user, scripts));
  return file;
}

}  // namespace

Result<Fd> OpenAgentFile(const std::string& agent, uid_t user) {
  auto file = OpenWithInterpreters(agent, user, 0);
  if (!file) return Fail(file.error().code, "release agent: {}", file.error().message);
  return std::move(file->file);
}

Result<void> CheckAgentFile(const std::string& agent, const std::string& user) {
  uid_t uid = 0;
  if (!user.empty()) {
    passwd entry;
    passwd* found = nullptr;
    std::string buffer(1 << 16, '\0');
    const int error = ::getpwnam_r(user.c_str(), &entry, buffer.data(), buffer.size(), &found);
    if (found == nullptr) return Fail(error != 0 ? error : ENOENT, "no user {}", user);
    uid = found->pw_uid;
  }
  TRY(OpenAgentFile(agent, uid));
  return {};
}

}  // namespace corral

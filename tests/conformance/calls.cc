#include "conformance/calls.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>

namespace corral {

Lines SplitLines(const std::string& text) {
  Lines lines;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    lines.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return lines;
}

int Mkdir(const std::string& path, mode_t mode) { return Code(::mkdir(path.c_str(), mode)); }

int Rmdir(const std::string& path) { return Code(::rmdir(path.c_str())); }

int Rename(const std::string& from, const std::string& to) {
  return Code(::rename(from.c_str(), to.c_str()));
}

int OpenError(const std::string& path, int flags) {
  return Code(Fd(::open(path.c_str(), flags | O_CLOEXEC, 0644)).get());
}

Fd Open(const std::string& path, int flags) {
  Fd fd(::open(path.c_str(), flags | O_CLOEXEC, 0644));
  EXPECT_TRUE(fd) << path << ": errno " << errno;
  return fd;
}

int ReadError(int fd, off_t at) {
  char byte;
  return Code(::pread(fd, &byte, 1, at));
}

std::string ReadOn(int fd, off_t at, std::size_t piece) {
  std::string text, buffer(piece, '\0');
  for (ssize_t n; (n = ::pread(fd, buffer.data(), piece, at)) > 0; at += n) {
    text.append(buffer, 0, static_cast<std::size_t>(n));
  }
  return text;
}

bool Lists(const std::string& tasks, pid_t task) {
  const Fd list = Open(tasks, O_RDONLY);
  return ("\n" + ReadOn(list.get(), 0)).find("\n" + std::to_string(task) + "\n") !=
         std::string::npos;
}

struct stat StatOf(const std::string& path) {
  struct stat st {};
  EXPECT_EQ(Code(::stat(path.c_str(), &st)), 0) << path;
  return st;
}

pid_t KernelThread(const std::string& name) {
  for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
    const int tid = std::atoi(entry.path().filename().c_str());
    if (tid == 0) continue;
    const Fd comm(::open((entry.path() / "comm").c_str(), O_RDONLY | O_CLOEXEC));
    if (!comm || !ReadOn(comm.get(), 0).starts_with(name)) continue;
    char program[8];  // a kernel thread has none
    if (::readlink((entry.path() / "exe").c_str(), program, sizeof program) < 0) return tid;
  }
  return 0;
}

}  // namespace corral

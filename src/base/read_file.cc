#include "base/read_file.h"

#include <unistd.h>

#include <cerrno>

#include "base/errors.h"
#include "base/fd.h"

namespace corral {

Result<std::string> ReadFile(const std::string& path, int directory) {
  constexpr std::size_t kPiece = 4096;
  const Fd file(::openat(directory, path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) return FailErrno("cannot open {}", path);
  std::string text;
  char piece[kPiece];
  for (;;) {
    const ssize_t size = ::read(file.get(), piece, sizeof piece);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0 && text.empty()) return FailErrno("cannot read {}", path);
    if (size <= 0) return text;
    text.append(piece, static_cast<std::size_t>(size));
  }
}

std::string ReadFileOrNothing(const std::string& path) {
  return ReadFile(path).value_or(std::string());
}

}  // namespace corral

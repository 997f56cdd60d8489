#include "base/proc.h"

#include <dirent.h>

#include <cstdlib>
#include <memory>

namespace corral {

std::vector<std::uint32_t> NumbersIn(const std::string& path) {
  std::vector<std::uint32_t> numbers;
  const std::unique_ptr<DIR, int (*)(DIR*)> directory(::opendir(path.c_str()), ::closedir);
  if (!directory) return numbers;
  while (const dirent* entry = ::readdir(directory.get())) {
    char* end = nullptr;
    const unsigned long number = std::strtoul(entry->d_name, &end, 10);
    if (number != 0 && *end == '\0') numbers.push_back(static_cast<std::uint32_t>(number));
  }
  return numbers;
}

void ForEachTaskInProc(const std::function<bool(std::uint32_t, std::uint32_t)>& fn) {
  for (const std::uint32_t tgid : NumbersIn("/proc")) {
    for (const std::uint32_t tid : NumbersIn("/proc/" + std::to_string(tgid) + "/task")) {
      if (fn(tgid, tid)) return;
    }
  }
}

}  // namespace corral

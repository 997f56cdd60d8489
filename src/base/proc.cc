#include "base/proc.h"

#include <dirent.h>

#include <algorithm>
#include <cstdlib>
#include <memory>

#include "base/number.h"
#include "base/read_file.h"

namespace corral {

std::vector<std::uint32_t> NumbersIn(const std::string& path) {
  std::vector<std::uint32_t> numbers;
  const std::unique_ptr<DIR, int (*)(DIR*)> directory(::opendir(path.c_str()), ::closedir);
  if (!directory) return numbers;
  while (const dirent* entry = ::readdir(directory.get())) {
    char* end = nullptr;
    const unsigned long number = std::strtoul(entry->d_name, &end, 10);
    if (end != entry->d_name && *end == '\0') numbers.push_back(static_cast<std::uint32_t>(number));
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

// "TID (NAME) STATE PARENT ...": the last bracket ends the name. Fields have proc(5)'s numbers.
std::optional<ProcStat> ParseProcStat(std::string_view text) {
  constexpr int kState = 3, kParent = 4, kFlags = 9, kStarted = 22;
  const std::size_t begin = text.find('(');
  const std::size_t end = text.rfind(')');
  if (begin == std::string_view::npos || end == std::string_view::npos || end < begin) {
    return std::nullopt;
  }
  ProcStat stat{.name = std::string(text.substr(begin + 1, end - begin - 1))};
  text.remove_prefix(end + 1);
  for (int field = kState; field <= kStarted; ++field) {
    const std::string_view word = TakeWord(text);
    if (word.empty()) return std::nullopt;
    if (field == kState) stat.state = word.front();
    if (field == kParent) stat.parent = static_cast<std::uint32_t>(LeadingNumber(word));
    if (field == kFlags) stat.flags = static_cast<std::uint32_t>(LeadingNumber(word));
    if (field == kStarted) stat.started = LeadingNumber(word);
  }
  return stat;
}

std::optional<ProcStat> StatOfTask(std::uint32_t tid) {
  return ParseProcStat(ReadFileOrNothing("/proc/" + std::to_string(tid) + "/stat"));
}

std::string_view StatusValue(std::string_view status, std::string_view key) {
  while (!status.empty()) {
    const std::string_view line = status.substr(0, status.find('\n'));
    if (line.starts_with(key) && line.substr(key.size()).starts_with(':')) {
      return Trim(line.substr(key.size() + 1));
    }
    status.remove_prefix(std::min(line.size() + 1, status.size()));
  }
  return {};
}

std::vector<std::uint64_t> StatusNumbers(std::string_view status, std::string_view key, int base) {
  std::string_view value = StatusValue(status, key);
  std::vector<std::uint64_t> numbers;
  for (std::string_view word; !(word = TakeWord(value)).empty();) {
    numbers.push_back(LeadingNumber(word, base));
  }
  return numbers;
}

}  // namespace corral

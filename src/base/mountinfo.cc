#include "base/mountinfo.h"

#include <sys/sysmacros.h>

#include <algorithm>
#include <charconv>

#include "base/number.h"
#include "base/read_file.h"

namespace corral {
namespace {

// Split at single blanks, as the file is written: a source may be empty.
std::vector<std::string_view> FieldsOf(std::string_view line) {
  std::vector<std::string_view> fields;
  for (;;) {
    const std::size_t end = line.find(' ');
    fields.push_back(line.substr(0, end));
    if (end == std::string_view::npos) return fields;
    line.remove_prefix(end + 1);
  }
}

dev_t DeviceOf(std::string_view numbers) {
  const std::size_t colon = numbers.find(':');
  if (colon == std::string_view::npos) return 0;
  return ::makedev(LeadingNumber(numbers), LeadingNumber(numbers.substr(colon + 1)));
}

}  // namespace

std::vector<MountLine> ParseMountinfo(std::string_view text) {
  constexpr std::size_t kId = 0, kDevice = 2, kRoot = 3, kPoint = 4, kTags = 6;
  std::vector<MountLine> mounts;
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    const std::vector<std::string_view> fields = FieldsOf(line);
    const std::size_t before = std::min(kTags, fields.size());
    const auto dash =
        std::find(fields.begin() + static_cast<std::ptrdiff_t>(before), fields.end(), "-");
    if (fields.end() - dash < 2) continue;
    const auto behind = [&](std::ptrdiff_t n) { return n < fields.end() - dash ? dash[n] : ""; };
    mounts.push_back({.id = LeadingNumber(fields[kId]),
                      .device = DeviceOf(fields[kDevice]),
                      .root = WithoutOctal(fields[kRoot]),
                      .point = WithoutOctal(fields[kPoint]),
                      .type = std::string(behind(1)),
                      .source = WithoutOctal(behind(2)),
                      .super_options = std::string(behind(3))});
  }
  return mounts;
}

std::vector<MountLine> MountsOf(const std::string& process) {
  return ParseMountinfo(ReadFileOrNothing("/proc/" + process + "/mountinfo"));
}

std::string WithoutOctal(std::string_view text) {
  std::string plain;
  for (std::size_t i = 0; i < text.size(); ++i) {
    int code = 0;
    if (text[i] == '\\' && i + 3 < text.size() &&
        std::from_chars(&text[i + 1], &text[i + 1] + 3, code, 8).ptr == &text[i + 1] + 3) {
      plain += static_cast<char>(code);
      i += 3;
    } else {
      plain += text[i];
    }
  }
  return plain;
}

}  // namespace corral

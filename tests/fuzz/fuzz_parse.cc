// Numbers, flags and names, against what the C library makes of the same bytes.
#include <cerrno>
#include <climits>
#include <cstdlib>
#include <string>

#include "base/check.h"
#include "control/parse.h"

namespace corral {
namespace {

// Spec 6.3, scanf-like: white space, a sign, digits; the rest is ignored.
int ScanfError(const std::string& text, long* value) {
  char* end = nullptr;
  errno = 0;
  *value = std::strtol(text.c_str(), &end, 10);
  if (end == text.c_str()) return EIO;
  return errno == ERANGE || *value < 0 || *value > INT_MAX ? ESRCH : 0;
}

void CheckPid(const std::string& text) {
  long value = 0;
  const int error = ScanfError(text, &value);
  const auto pid = ParsePid(text);
  CORRAL_CHECK(pid ? error == 0 : error == pid.error().code);
  if (pid) CORRAL_CHECK(*pid == static_cast<std::uint32_t>(value));
}

// Spec 9.2, strtoul-like, but nothing is skipped before the digits.
void CheckFlag(const std::string& text) {
  const bool digit_first = !text.empty() && text[0] >= '0' && text[0] <= '9';
  const bool expected = digit_first && std::strtoul(text.c_str(), nullptr, 10) != 0;
  CORRAL_CHECK(ParseFlag(text) == expected);
}

void CheckNameRules(const std::string& name) {
  for (const Dialect& dialect : Dialects()) {
    const auto valid = CheckName(name, dialect);
    if (!valid) {
      CORRAL_CHECK(valid.error().code == EINVAL || valid.error().code == ENAMETOOLONG);
      continue;
    }
    CORRAL_CHECK(!name.empty() && name != "." && name != "..");
    CORRAL_CHECK(name.find('/') == name.npos && name.find('\0') == name.npos);
    CORRAL_CHECK(dialect.newline_in_names || name.find('\n') == name.npos);
  }
}

void CheckTrim(const std::string& text) {
  const std::string_view trimmed = Trim(text);
  CORRAL_CHECK(Trim(trimmed) == trimmed);
  CORRAL_CHECK(text.find(trimmed) != text.npos);
}

}  // namespace
}  // namespace corral

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  corral::CheckPid(text);
  corral::CheckFlag(text);
  corral::CheckNameRules(text);
  corral::CheckTrim(text);
  return 0;
}

// Numbers, flags and names, against what the C library makes of the same bytes.
#include <cerrno>
#include <climits>
#include <cstdlib>
#include <string>

#include "base/check.h"
#include "base/number.h"
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

// The whole of it a number whose base its beginning tells (spec 6.3 and 9.2, strict); 0 or an
// errno.
int StrictError(const std::string& text, unsigned long long* value) {
  char* end = nullptr;
  errno = 0;
  *value = std::strtoull(text.c_str(), &end, 0);
  const bool digit = !text.empty() && text[0] >= '0' && text[0] <= '9';
  return !digit ? EINVAL : errno == 0 && *end != '\0' ? EINVAL : errno;
}

int StrictPidError(std::string text, long* pid) {
  text = std::string(Trim(text));
  const bool minus = text.starts_with('-');
  if (minus || text.starts_with('+')) text.erase(0, 1);
  unsigned long long value = 0;
  if (StrictError(text, &value) != 0 || value > INT_MAX || (minus && value != 0)) return EINVAL;
  *pid = static_cast<long>(value);
  return 0;
}

void CheckPid(const std::string& all) {
  const std::string text = all.c_str();  // a NUL ends it
  for (const Numbers numbers : {Numbers::kLoose, Numbers::kStrict}) {
    long value = 0;
    const int error =
        numbers == Numbers::kLoose ? ScanfError(text, &value) : StrictPidError(text, &value);
    const auto pid = ParsePid(all, numbers);
    CORRAL_CHECK(pid ? error == 0 : error == pid.error().code);
    if (pid) CORRAL_CHECK(*pid == static_cast<std::uint32_t>(value));
  }
}

// Spec 9.2, strtoul-like, but nothing is skipped before the digits; and strict.
void CheckFlag(const std::string& all) {
  std::string text = all.c_str();
  const bool digit_first = !text.empty() && text[0] >= '0' && text[0] <= '9';
  const bool expected = digit_first && std::strtoul(text.c_str(), nullptr, 10) != 0;
  CORRAL_CHECK(*ParseFlag(all, Numbers::kLoose) == expected);

  if (text.ends_with('\n')) text.pop_back();
  if (text.starts_with('+')) text.erase(0, 1);
  unsigned long long value = 0;
  const int error = StrictError(text, &value);
  const auto flag = ParseFlag(all, Numbers::kStrict);
  CORRAL_CHECK(flag ? error == 0 : error == flag.error().code);
  if (flag) CORRAL_CHECK(*flag == (value != 0));
}

// Spec 10.5: never longer than a path, never with a NUL; one that is read back is the same.
void CheckAgent(const std::string& text) {
  for (const AgentText form : {AgentText::kLineCounted, AgentText::kLine, AgentText::kTrimmed}) {
    const auto agent = ParseAgent(text, form);
    if (!agent) {
      CORRAL_CHECK(agent.error().code == (form == AgentText::kTrimmed ? E2BIG : ENOSPC));
      continue;
    }
    CORRAL_CHECK(agent->size() <= kMaxPath && agent->find('\0') == agent->npos);
    const auto again = ParseAgent(*agent + "\n", AgentText::kLine);
    CORRAL_CHECK(again && *again == *agent);
  }
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
  corral::CheckAgent(text);
  corral::CheckNameRules(text);
  corral::CheckTrim(text);
  return 0;
}

// What users write, spec 6.3, 9.2 and 5.1.
#include <gtest/gtest.h>

#include <cerrno>
#include <string>

#include "control/parse.h"

namespace corral {
namespace {

bool LooseFlag(std::string_view text) { return ParseFlag(text, Numbers::kLoose).value(); }

using namespace std::string_literals;
using namespace std::string_view_literals;

struct PidCase {
  std::string_view text;
  int error;
  std::uint32_t pid;
};

TEST(ParsePid, ReadsLikeScanf) {
  const PidCase cases[] = {
      {"0", 0, 0},
      {"1", 0, 1},
      {"12\n", 0, 12},
      {" \t\n\v\f\r12", 0, 12},
      {"+12", 0, 12},
      {"-0", 0, 0},
      {"000012", 0, 12},
      {"12abc", 0, 12},
      {"12 34", 0, 12},
      {"12\n34\n", 0, 12},
      {"0x10", 0, 0},
      {"1.5", 0, 1},
      {"12\0 34"sv, 0, 12},
      {"2147483647", 0, 2147483647},
      {"2147483648", ESRCH, 0},
      {"4294967297", ESRCH, 0},
      {"99999999999999999999999999", ESRCH, 0},
      {"-1", ESRCH, 0},
      {"-99999999999999999999999999", ESRCH, 0},
      {"", EIO, 0},
      {" ", EIO, 0},
      {"\n", EIO, 0},
      {"abc", EIO, 0},
      {"+", EIO, 0},
      {"-", EIO, 0},
      {"--1", EIO, 0},
      {"+ 1", EIO, 0},
      {"\0"
       "1"sv,
       EIO, 0},
      {"\xa0"
       "1",
       EIO, 0},
  };
  for (const auto& [text, error, pid] : cases) {
    const auto parsed = ParsePid(text, Numbers::kLoose);
    EXPECT_EQ(parsed ? 0 : parsed.error().code, error) << "'" << text << "'";
    if (parsed) {
      EXPECT_EQ(*parsed, pid) << "'" << text << "'";
    }
  }
}

TEST(ParsePid, StrictTakesANumberAndNothingElse) {
  const PidCase cases[] = {
      {"0", 0, 0},
      {" \t12\n ", 0, 12},
      {"+12", 0, 12},
      {"-0", 0, 0},
      {"0x1f", 0, 31},
      {"0X1F", 0, 31},
      {"010", 0, 8},
      {"12\0rest"sv, 0, 12},
      {"2147483647", 0, 2147483647},
      {"2147483648", EINVAL, 0},
      {"99999999999999999999999999", EINVAL, 0},
      {"-1", EINVAL, 0},
      {"", EINVAL, 0},
      {"\n", EINVAL, 0},
      {"12abc", EINVAL, 0},
      {"12 34", EINVAL, 0},
      {"08", EINVAL, 0},
      {"0x", EINVAL, 0},
      {"0xg", EINVAL, 0},
      {"1.5", EINVAL, 0},
      {"--1", EINVAL, 0},
      {"+ 1", EINVAL, 0},
  };
  for (const auto& [text, error, pid] : cases) {
    const auto parsed = ParsePid(text, Numbers::kStrict);
    EXPECT_EQ(parsed ? 0 : parsed.error().code, error) << "'" << text << "'";
    if (parsed) {
      EXPECT_EQ(*parsed, pid) << "'" << text << "'";
    }
  }
}

TEST(ParseFlag, StrictTakesANumberAndNothingElse) {
  const PidCase cases[] = {
      {"0", 0, 0},
      {"1\n", 0, 1},
      {"+2", 0, 1},
      {"0x0", 0, 0},
      {"00", 0, 0},
      {"017", 0, 1},
      {"1\0x"sv, 0, 1},
      {"18446744073709551615", 0, 1},
      {"18446744073709551616", ERANGE, 0},
      {"0x10000000000000000", ERANGE, 0},
      {"", EINVAL, 0},
      {"\n", EINVAL, 0},
      {"1\n\n", EINVAL, 0},
      {" 1", EINVAL, 0},
      {"1 ", EINVAL, 0},
      {"-1", EINVAL, 0},
      {"-0", EINVAL, 0},
      {"1x", EINVAL, 0},
      {"99999999999999999999x", ERANGE, 0},
  };
  for (const auto& [text, error, on] : cases) {
    const auto parsed = ParseFlag(text, Numbers::kStrict);
    EXPECT_EQ(parsed ? 0 : parsed.error().code, error) << "'" << text << "'";
    if (parsed) {
      EXPECT_EQ(*parsed, on != 0) << "'" << text << "'";
    }
  }
}

TEST(ParseAgent, HasALengthAndAnEndThatAreTheDialects) {
  const std::string longest(4095, 'a');
  struct Case {
    AgentText form;
    std::string text;
    int error;
    std::string agent;
  };
  const Case cases[] = {
      {AgentText::kLine, longest + "\n", 0, longest},
      {AgentText::kLine, longest + "a", ENOSPC, ""},
      {AgentText::kLineCounted, longest.substr(1) + "\n", 0, longest.substr(1)},
      {AgentText::kLineCounted, longest + "\n", ENOSPC, ""},
      {AgentText::kLineCounted, longest, 0, longest},
      {AgentText::kTrimmed, " /bin/x \t\n", 0, "/bin/x"},
      {AgentText::kTrimmed, longest, 0, longest},
      {AgentText::kTrimmed, longest + "\n", E2BIG, ""},
      {AgentText::kTrimmed, longest + "a", E2BIG, ""},
      {AgentText::kLine, " /bin/x \n\n", 0, " /bin/x \n"},
      {AgentText::kLine, "/bin/x\0y"s, 0, "/bin/x"},
      {AgentText::kLine, "\n", 0, ""},
  };
  for (const auto& [form, text, error, agent] : cases) {
    const auto parsed = ParseAgent(text, form);
    EXPECT_EQ(parsed ? 0 : parsed.error().code, error) << text.substr(0, 20);
    if (parsed) {
      EXPECT_EQ(*parsed, agent);
    }
  }
}

TEST(ParseFlag, ReadsLikeStrtoulAndNeverFails) {
  const std::pair<std::string_view, bool> cases[] = {
      {"0", false},   {"1", true},          {"2\n", true},
      {"00", false},  {"010", true},        {"", false},
      {" 1", false},  {"+1", false},        {"-1", false},
      {"abc", false}, {"1abc", true},       {"0abc", false},
      {"0x1", false}, {"\n", false},        {"1 0", true},
      {"0 1", false}, {"4294967296", true}, {"18446744073709551616", true},
  };
  for (const auto& [text, flag] : cases) EXPECT_EQ(LooseFlag(text), flag) << "'" << text << "'";
}

TEST(CheckName, AllowsAnyBytesButThreeUpTo255OfThem) {
  const std::string long_name(255, 'x');
  const std::pair<std::string_view, int> cases[] = {
      {"job", 0},      {"a b", 0},       {"\xff\x01", 0},    {"...", 0},
      {".hidden", 0},  {"", EINVAL},     {".", EINVAL},      {"..", EINVAL},
      {"a/b", EINVAL}, {"a\nb", EINVAL}, {"a\0b"sv, EINVAL}, {long_name, 0},
  };
  for (const auto& [name, error] : cases) {
    const auto checked = CheckName(name, DefaultDialect());
    EXPECT_EQ(checked ? 0 : checked.error().code, error) << "'" << name << "'";
  }
  EXPECT_EQ(CheckName(long_name + "x", DefaultDialect()).error().code, ENAMETOOLONG);
}

}  // namespace
}  // namespace corral

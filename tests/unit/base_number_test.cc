// Numbers as the kernel reads them (lib/kstrtox.c).
#include "base/number.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <cstdint>

#include "support/matchers.h"

namespace corral {
namespace {

using namespace std::string_view_literals;

TEST(ParseUnsigned, TakesANumberAndNothingElse) {
  EXPECT_THAT(ParseUnsigned("0"), IsOkAndHolds(0u));
  EXPECT_THAT(ParseUnsigned("+12\n"), IsOkAndHolds(12u));
  EXPECT_THAT(ParseUnsigned("0x1F"), IsOkAndHolds(31u));
  EXPECT_THAT(ParseUnsigned("0X1f"), IsOkAndHolds(31u));
  EXPECT_THAT(ParseUnsigned("017"), IsOkAndHolds(15u));
  EXPECT_THAT(ParseUnsigned("18446744073709551615"), IsOkAndHolds(UINT64_MAX));
  for (const auto text :
       {"", "\n", "+", "-1", "-0", "++1", " 1", "1 ", "1\n\n", "1x", "08", "0x", "0xg", "1.5"}) {
    EXPECT_THAT(ParseUnsigned(text), FailsWith(EINVAL)) << text;
  }
  EXPECT_THAT(ParseUnsigned("1\0"sv), FailsWith(EINVAL));
}

TEST(ParseUnsigned, NoticesTooManyDigitsBeforeWhatFollowsThem) {
  for (const auto text : {"18446744073709551616", "0x10000000000000000", "02000000000000000000000",
                          "99999999999999999999999", "99999999999999999999x",
                          "0x100000000000000000000000000000000"}) {
    EXPECT_THAT(ParseUnsigned(text), FailsWith(ERANGE)) << text;
  }
}

TEST(ParseSigned, TakesOneSign) {
  EXPECT_THAT(ParseSigned("-0x10"), IsOkAndHolds(-16));
  EXPECT_THAT(ParseSigned("-0"), IsOkAndHolds(0));
  EXPECT_THAT(ParseSigned("+7\n"), IsOkAndHolds(7));
  EXPECT_THAT(ParseSigned("9223372036854775807"), IsOkAndHolds(INT64_MAX));
  EXPECT_THAT(ParseSigned("-9223372036854775808"), IsOkAndHolds(INT64_MIN));
  EXPECT_THAT(ParseSigned("9223372036854775808"), FailsWith(ERANGE));
  EXPECT_THAT(ParseSigned("-9223372036854775809"), FailsWith(ERANGE));
  for (const auto text : {"", "-", "--1", "+-1", "-+1", "- 1", "-1x"}) {
    EXPECT_THAT(ParseSigned(text), FailsWith(EINVAL)) << text;
  }
}

TEST(LeadingNumber, EndsWhereTheDigitsDo) {
  EXPECT_EQ(LeadingNumber("12 rest"), 12u);
  EXPECT_EQ(LeadingNumber("ff,", 16), 255u);
  EXPECT_EQ(LeadingNumber("") + LeadingNumber("x1") + LeadingNumber(" 1"), 0u);
}

TEST(Trim, CutsWhiteSpaceAtBothEnds) {
  EXPECT_EQ(Trim(" \t\n\v\f\r\xa0"
                 "a b\xa0\n"),
            "a b");
  EXPECT_EQ(Trim(""), "");
  EXPECT_EQ(Trim(" \n"), "");
  EXPECT_EQ(UpToNul("12\0 34"sv), "12");
  EXPECT_EQ(UpToNul("12"), "12");
}

TEST(TakeWord, TakesOneAfterTheOther) {
  std::string_view text = " a\tbc,d\n";
  EXPECT_EQ(TakeWord(text), "a");
  EXPECT_EQ(text, "\tbc,d\n");
  EXPECT_EQ(TakeWord(text, "\t,"), "bc");
  EXPECT_EQ(TakeWord(text, ","), "d\n");
  EXPECT_EQ(TakeWord(text), "");
  text = " \t\n";
  EXPECT_EQ(TakeWord(text), "");
  EXPECT_EQ(text, "");
}

}  // namespace
}  // namespace corral

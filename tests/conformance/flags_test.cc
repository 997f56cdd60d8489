// Spec 9: notify_on_release and releasable. Spec 2.5.
#include <csignal>

#include "conformance/conformance.h"

namespace corral {
namespace {

class Flags : public Conformance {
 protected:
  void Prepare() override {
    group_ = Group("g");
    flag_ = group_ + "/notify_on_release";
  }
  // Writes it over the other value; the errno, and what reads back.
  std::pair<int, std::string> Set(const std::string& bytes, const char* over) {
    EXPECT_EQ(Write(flag_, over), 0);
    const int error = Write(flag_, bytes);
    return {error, Read(flag_)};
  }
  std::string Releasable() const { return Read(group_ + "/releasable"); }
  bool HasReleasable() const { return Is("v11") || Is("corral"); }

  std::string group_, flag_;
};
CORRAL_IN_EVERY_DIALECT(Flags);

TEST_P(Flags, TheTopHasItClear) {
  Spec("9.1");
  EXPECT_EQ(Read(mnt() + "/notify_on_release"), "0\n");
  EXPECT_EQ(Read(flag_), "0\n");
  ASSERT_EQ(Write(flag_, "1"), 0);
  EXPECT_EQ(Read(flag_), "1\n");
}

TEST_P(Flags, AreReadAsStrtoulDoesAndNeverFail) {
  Spec("2.5 9.2");
  if (Is("linux")) NOT_APPLICABLE("flags are strict");
  const std::pair<int, std::string> set{0, "1\n"}, clear{0, "0\n"};
  for (const char* text : {"1", "1\n", "5", "10x", "007", "1 rest", "4294967296"}) {
    EXPECT_EQ(Set(text, "0"), set) << text;
  }
  for (const char* text : {"0", "0\n", "00", "x", "x1", " 1", "\n1", "-1", "+1", "0x1", "0 1"}) {
    EXPECT_EQ(Set(text, "1"), clear) << text;
  }
}

TEST_P(Flags, AreStrictInLinux) {
  Spec("2.5 9.2");
  if (!Is("linux")) NOT_APPLICABLE("flags are read as strtoul does");
  const std::pair<int, std::string> set{0, "1\n"}, clear{0, "0\n"};
  for (const char* text :
       {"1", "1\n", "+1", "5", "0x10", "010", "4294967296", "18446744073709551615"}) {
    EXPECT_EQ(Set(text, "0"), set) << text;
  }
  for (const char* text : {"0", "0\n", "00", "+0", "0x0"}) EXPECT_EQ(Set(text, "1"), clear) << text;
  for (const char* text : {"x", " 1", "1 ", "1\n\n", "\n", "1x", "-1", "0xg", "09", "+", "1\t\n"}) {
    EXPECT_EQ(Set(text, "0"), std::pair(EINVAL, std::string("0\n"))) << text;
    EXPECT_EQ(Set(text, "1"), std::pair(EINVAL, std::string("1\n"))) << text;
  }
  EXPECT_EQ(Set("18446744073709551616", "0"), std::pair(ERANGE, std::string("0\n")));
}

// ---- releasable

TEST_P(Flags, ReleasableStartsClearAndIsNotWritten) {
  Spec("9.3");
  if (!HasReleasable()) NOT_APPLICABLE("no such file");
  EXPECT_EQ(Releasable(), "0\n");
  EXPECT_EQ(Write(group_ + "/releasable", "1"), EINVAL);
  EXPECT_EQ(Write(group_ + "/releasable", "0"), EINVAL);
  EXPECT_EQ(Releasable(), "0\n");
}

TEST_P(Flags, ReleasableIsSetByTheLastExitWhileNotifyIsSet) {
  Spec("9.3");
  if (!HasReleasable()) NOT_APPLICABLE("no such file");
  EmptyByExit(group_);
  EXPECT_EQ(Releasable(), "0\n") << "notify is clear";
  Notify(group_);
  const pid_t one = SleeperIn(group_), last = SleeperIn(group_);
  End(one);
  EXPECT_EQ(Releasable(), "0\n") << "not the last";
  End(last);
  EXPECT_TRUE(Eventually([&] { return Releasable() == "1\n"; }));
}

TEST_P(Flags, ReleasableIsSetByAnyTaskMovedOut) {
  Spec("9.3");
  if (!HasReleasable()) NOT_APPLICABLE("no such file");
  SleeperIn(group_);
  const pid_t leaving = SleeperIn(group_);
  EXPECT_EQ(Releasable(), "0\n");
  ASSERT_EQ(Write(mnt() + "/tasks", std::to_string(leaving)), 0);
  EXPECT_EQ(Releasable(), "1\n") << "others remain, and notify is clear";
}

TEST_P(Flags, ReleasableIsSetByARemovedChild) {
  Spec("9.3");
  if (!HasReleasable()) NOT_APPLICABLE("no such file");
  const std::string child = Group("g/child");
  EXPECT_EQ(Releasable(), "0\n");
  ASSERT_EQ(Rmdir(child), 0);
  EXPECT_EQ(Releasable(), "1\n");
}

TEST_P(Flags, ReleasableIsClearedByAWriteToNotifyAndByNothingElse) {
  Spec("9.3");
  if (!HasReleasable()) NOT_APPLICABLE("no such file");
  for (const char* value : {"1", "0", "rubbish"}) {
    const pid_t task = SleeperIn(group_);
    ASSERT_EQ(Write(mnt() + "/tasks", std::to_string(task)), 0);
    ASSERT_EQ(Releasable(), "1\n");
    ASSERT_EQ(Write(group_ + "/tasks", std::to_string(task)), 0);
    EXPECT_EQ(Releasable(), "1\n") << "a task that comes does not clear it";
    ASSERT_EQ(Write(flag_, value), 0);
    EXPECT_EQ(Releasable(), "0\n") << value;
    End(task);
    ASSERT_EQ(Write(flag_, "0"), 0);
  }
}

}  // namespace
}  // namespace corral

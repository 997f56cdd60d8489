// The text after -o (spec 3.2 to 3.5).
#include "daemon/mount_options.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <string>

namespace corral {
namespace {

MountOptions Good(const std::string& text) {
  const auto options = ParseMountOptions(text);
  EXPECT_TRUE(options) << text << ": " << options.error().message;
  return options.value_or(MountOptions{});
}

TEST(MountOptions, AreReadInAnyOrderAndEmptyTokensMeanNothing) {
  const MountOptions options = Good(",ro,,name=a.b-C_1,none,release_agent=/bin/x,compat=linux,");
  EXPECT_TRUE(options.read_only);
  EXPECT_TRUE(options.none);
  EXPECT_EQ(options.name, "a.b-C_1");
  EXPECT_EQ(options.release_agent, "/bin/x");
  EXPECT_EQ(options.dialect, FindDialect("linux"));
  EXPECT_FALSE(Good("").name);
  EXPECT_FALSE(Good("ro,rw").read_only);
}

TEST(MountOptions, ThatCannotBeAreRefused) {
  for (const std::string text : {"bogus",
                                 "bogus=1",
                                 "none",
                                 "none,all",
                                 "none,all,name=x",
                                 "noprefix",
                                 "noprefix,ro",
                                 "name=",
                                 "name",
                                 "name=a b",
                                 "name=a/b",
                                 "none,name=x,name=x",
                                 "release_agent=",
                                 "release_agent=/a,release_agent=/a",
                                 "compat=",
                                 "compat=v7",
                                 "compat=v6,compat=linux",
                                 "none,name=v6",
                                 "agent_user=",
                                 "none=1,name=x",
                                 "agent_user=a,agent_user=b"}) {
    const auto options = ParseMountOptions(text);
    ASSERT_FALSE(options) << text;
    EXPECT_EQ(options.error().code, EINVAL) << text;
    EXPECT_FALSE(options.error().message.empty());
  }
  EXPECT_TRUE(ParseMountOptions("none,name=" + std::string(63, 'x')));
  EXPECT_FALSE(ParseMountOptions("none,name=" + std::string(64, 'x')));
  EXPECT_FALSE(ParseMountOptions("release_agent=/" + std::string(4095, 'x')));
}

TEST(MountOptions, TakeAnEmptyAgentAsTheDialectSays) {
  EXPECT_FALSE(Good("compat=v6,release_agent=").release_agent);
  EXPECT_EQ(Good("release_agent=,compat=v11").release_agent, "");
  EXPECT_FALSE(ParseMountOptions("compat=corral,release_agent="));
  EXPECT_FALSE(ParseMountOptions("compat=linux,release_agent="));
}

TEST(MountOptions, OfV6HaveNoNamesAndNoSubsystems) {
  const MountOptions options = Good("compat=v6,name=x,none");
  EXPECT_FALSE(options.name);
  EXPECT_FALSE(options.none);
  EXPECT_FALSE(Good("name=,name=a/b,compat=v6").name);
}

TEST(MountOptions, ThatMount8HandsOnAreTaken) {
  Good(
      "rw,relatime,user_id=0,group_id=0,default_permissions,allow_other,remount,x-systemd."
      "automount");
}

TEST(MountOptions, NameSubsystemsThatAreKnown) {
  const std::vector<std::string> known{"cpuset", "colour"};
  const auto both = ParseMountOptions("colour,cpuset,colour", known);
  ASSERT_TRUE(both);
  EXPECT_EQ(both->subsystems, (std::vector<std::string>{"colour", "cpuset"}));
  for (const char* wrong : {"taste", "colour,all", "colour,none,name=x"}) {
    const auto refused = ParseMountOptions(wrong, known);
    ASSERT_FALSE(refused) << wrong;
    EXPECT_EQ(refused.error().code, EINVAL) << wrong;
  }
  EXPECT_TRUE(ParseMountOptions("colour,compat=v6", known)->subsystems.empty());
}

TEST(MountOptions, NoprefixIsForCpusetAloneInLinux) {
  const std::vector<std::string> known{"cpuset", "colour"};
  EXPECT_TRUE(ParseMountOptions("cpuset,noprefix,compat=linux", known));
  EXPECT_FALSE(ParseMountOptions("cpuset,colour,noprefix,compat=linux", known));
  EXPECT_TRUE(ParseMountOptions("cpuset,colour,noprefix", known));
}

}  // namespace
}  // namespace corral

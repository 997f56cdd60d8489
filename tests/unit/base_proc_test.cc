// What is read of /proc: texts as the kernel writes them, and this very process.
#include "base/proc.h"

#include <gtest/gtest.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <string>

#include "base/mountinfo.h"
#include "base/namespaces.h"
#include "base/read_file.h"
#include "support/matchers.h"

namespace corral {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(ReadFile, ReadsAllOfItOrSaysWhyNot) {
  const std::string path = ::testing::TempDir() + "/read_file";
  const std::string long_text(10'000, 'x');
  std::ofstream(path) << long_text;
  EXPECT_THAT(ReadFile(path), IsOkAndHolds(long_text));
  std::ofstream(path, std::ios::trunc).flush();
  EXPECT_THAT(ReadFile(path), IsOkAndHolds(""));
  ::unlink(path.c_str());
  EXPECT_THAT(ReadFile(path), FailsWith(ENOENT));
  EXPECT_THAT(ReadFile("/"), FailsWith(EISDIR));
  EXPECT_EQ(ReadFileOrNothing(path), "");
}

TEST(ProcStat, TakesANameWithBracketsAndBlanksInIt) {
  const auto stat = ParseProcStat(
      "12 (a) S 1 (b\n) T 7 12 12 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 4711 1000 50\n");
  ASSERT_TRUE(stat);
  EXPECT_EQ(stat->name, "a) S 1 (b\n");
  EXPECT_EQ(stat->state, 'T');
  EXPECT_EQ(stat->parent, 7u);
  EXPECT_EQ(stat->flags, 4194560u);
  EXPECT_EQ(stat->started, 4711u);
  EXPECT_TRUE(stat->IsStopped());
  EXPECT_FALSE(stat->HasEnded());
}

TEST(ProcStat, IsNothingWhereTheTextIsCutOff) {
  for (const auto text : {"", "12", "12 (a", "12 (a)", "12 (a) S 1 2 3", ")(", "12 )a( S"}) {
    EXPECT_FALSE(ParseProcStat(text)) << text;
  }
}

TEST(ProcStat, OfThisProcess) {
  char before[16];
  ::prctl(PR_GET_NAME, before);
  ::prctl(PR_SET_NAME, ") R 0 (");
  const std::string text = ReadFile("/proc/thread-self/stat").value();
  ::prctl(PR_SET_NAME, before);
  const auto stat = ParseProcStat(text);
  ASSERT_TRUE(stat);
  EXPECT_EQ(stat->name, ") R 0 (");
  EXPECT_EQ(stat->state, 'R');
  EXPECT_EQ(stat->parent, static_cast<std::uint32_t>(::getppid()));
  EXPECT_EQ(stat->flags & (ProcStat::kKernelThread | ProcStat::kExiting), 0u);
  EXPECT_GT(stat->started, 0u);
}

TEST(Status, IsReadByLine) {
  const std::string text =
      "Name:\tcat\nUid:\t1\t2\t3\t4\nGroups:\t \nShdPnd:\t0000000000040000\nX:\n";
  EXPECT_EQ(StatusValue(text, "Name"), "cat");
  EXPECT_EQ(StatusValue(text, "Uid"), "1\t2\t3\t4");
  EXPECT_EQ(StatusValue(text, "Ui"), "");
  EXPECT_EQ(StatusValue(text, "X"), "");
  EXPECT_EQ(StatusValue("", "Name"), "");
  EXPECT_THAT(StatusNumbers(text, "Uid"), ElementsAre(1, 2, 3, 4));
  EXPECT_THAT(StatusNumbers(text, "ShdPnd", 16), ElementsAre(0x40000));
  EXPECT_THAT(StatusNumbers(text, "Groups"), IsEmpty());
  EXPECT_THAT(StatusNumbers(text, "Gid"), IsEmpty());
}

TEST(Mountinfo, IsReadWithTagsAndEscapes) {
  const auto mounts = ParseMountinfo(
      "36 35 98:0 /mnt1 /mnt\\0402\\134 rw,noatime master:1 shared:2 - ext3 /dev/root rw,errors\n"
      "no line of a mount\n"
      "37 36 0:300 / /empty rw -  \n"
      "38 36 0:41 / /a rw - fuse.container c\\0401 rw,user_id=0");
  ASSERT_EQ(mounts.size(), 3u);
  EXPECT_EQ(mounts[0].id, 36u);
  EXPECT_EQ(mounts[0].device, ::makedev(98, 0));
  EXPECT_EQ(mounts[0].root, "/mnt1");
  EXPECT_EQ(mounts[0].point, "/mnt 2\\");
  EXPECT_EQ(mounts[0].type, "ext3");
  EXPECT_EQ(mounts[0].source, "/dev/root");
  EXPECT_EQ(mounts[0].super_options, "rw,errors");
  EXPECT_EQ(mounts[1].device, ::makedev(0, 300));
  EXPECT_EQ(mounts[1].source, "");
  EXPECT_EQ(mounts[2].type, "fuse.container");
  EXPECT_EQ(mounts[2].source, "c 1");
  EXPECT_EQ(mounts[2].super_options, "rw,user_id=0");
}

TEST(Mountinfo, OfThisProcessHasItsProc) {
  struct stat proc;
  ASSERT_EQ(::stat("/proc", &proc), 0);
  std::string type;
  for (const MountLine& mount : MountsOf("self")) {
    if (mount.point == "/proc" && mount.device == proc.st_dev) type = mount.type;
  }
  EXPECT_EQ(type, "proc");
  EXPECT_THAT(MountsOf("0"), IsEmpty());
}

TEST(WithoutOctal, LeavesWhatIsNoEscape) {
  EXPECT_EQ(WithoutOctal("a\\040b\\011\\134"), "a b\t\\");
  EXPECT_EQ(WithoutOctal("\\04"), "\\04");
  EXPECT_EQ(WithoutOctal("\\089\\"), "\\089\\");
}

TEST(Namespaces, OfThisProcess) {
  EXPECT_TRUE(NamespaceOf("self", "pid"));
  EXPECT_EQ(NamespaceOf("self", "pid"), NamespaceOf(std::to_string(::getpid()), "pid"));
  EXPECT_NE(NamespaceOf("self", "pid"), NamespaceOf("self", "mnt"));
  EXPECT_FALSE(NamespaceOf("self", "none"));
  EXPECT_FALSE(NamespaceOf("0", "pid"));
  EXPECT_FALSE(NamespaceOf(-1));
  const auto pids = PidsIn(static_cast<std::uint32_t>(::getpid()));
  ASSERT_FALSE(pids.empty());
  EXPECT_EQ(pids.front(), static_cast<std::uint32_t>(::getpid()));
  EXPECT_THAT(PidsIn(0), IsEmpty());
}

}  // namespace
}  // namespace corral

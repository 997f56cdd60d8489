// Spec 14: what a user-space file system cannot hide.
#include <fcntl.h>
#include <sys/fsuid.h>
#include <sys/resource.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <csignal>

#include "conformance/conformance.h"

namespace corral {
namespace {

class Limits : public Conformance {};
CORRAL_IN_EVERY_DIALECT(Limits);

TEST_P(Limits, StatfsShowsFuse) {
  Spec("14.1");
  struct statfs fs {};
  ASSERT_EQ(Code(::statfs(mnt().c_str(), &fs)), 0);
  EXPECT_EQ(fs.f_type, 0x65735546);
}

TEST_P(Limits, ProcMountsShowsTheTypeWithFuseBefore) {
  Spec("14.2 3.1");
  EXPECT_EQ(Sh("grep \" $MNT \" /proc/mounts | cut -d' ' -f3").out, "fuse.container\n");
}

TEST_P(Limits, TheKernelsOwnFileStaysTheKernels) {
  Spec("14.3");
  const std::string before = Read("/proc/self/cgroup");
  const pid_t task = SleeperIn(Group("only-here"));
  EXPECT_EQ(Read("/proc/" + std::to_string(task) + "/cgroup"), before);
}

// The effective uid is root's, the file system's is a user's.
TEST_P(Limits, CredentialsAreThoseForTheFileSystem) {
  Spec("14.7 8.2");
  const std::string g = Group("g"), task = std::to_string(Sleeper());
  ASSERT_EQ(Code(::chown((g + "/tasks").c_str(), 1234, 1234)), 0);
  EXPECT_EQ(As(0, 0,
               [&] {
                 ::setfsuid(1234);
                 return Write(g + "/tasks", task);
               }),
            EACCES);
  EXPECT_EQ(As(0, 0, [&] { return Write(g + "/tasks", task); }), 0);
}

TEST_P(Limits, AFileSizeLimitAppliesToWrites) {
  Spec("14.10");
  const std::string flag = Group("g") + "/notify_on_release";
  EXPECT_EQ(As(0, 0,
               [&] {
                 const rlimit none = {0, 0};
                 ::signal(SIGXFSZ, SIG_IGN);
                 return ::setrlimit(RLIMIT_FSIZE, &none) != 0 ? 200 : Write(flag, "1");
               }),
            EFBIG);
  EXPECT_EQ(Read(flag), "0\n");
}

}  // namespace
}  // namespace corral

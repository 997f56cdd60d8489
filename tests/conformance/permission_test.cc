// Spec 8: who may. Spec 2.9, 2.10.
#include <fcntl.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "conformance/conformance.h"

namespace corral {
namespace {

constexpr uid_t kUser = 1234, kOther = 4321;

class Permission : public Conformance {
 protected:
  void Prepare() override {
    group_ = Group("users");  // the user's own
    tasks_ = group_ + "/tasks";
    for (const char* name : {"", "/tasks", "/notify_on_release"}) {
      ASSERT_EQ(Code(::chown((group_ + name).c_str(), kUser, kUser)), 0);
    }
  }
  // A process with these uids.
  std::string TaskOf(uid_t real, uid_t effective, uid_t saved) {
    int ready[2];
    EXPECT_EQ(Code(::pipe2(ready, O_CLOEXEC)), 0);
    const pid_t task = Child([&] {
      if (::setresuid(real, effective, saved) != 0 || ::write(ready[1], "r", 1) != 1) ::_exit(1);
      for (;;) ::pause();
    });
    ::close(ready[1]);
    char byte;
    EXPECT_EQ(::read(ready[0], &byte, 1), 1);
    ::close(ready[0]);
    return std::to_string(task);
  }
  // In a child of root.
  int InChild(const std::function<int()>& act) { return As(0, 0, act); }
  static int WriteTo(const Fd& fd, const std::string& text) {
    return Code(::write(fd.get(), text.data(), text.size()));
  }
  std::string group_, tasks_;
};
CORRAL_IN_EVERY_DIALECT(Permission);

TEST_P(Permission, ModesAndOwnersDecideWhoOpensAndMakes) {
  Spec("8.1");
  const std::string roots = Group("roots");
  Group("roots/child");
  EXPECT_EQ(As(kUser, kUser, [&] { return OpenError(roots + "/tasks", O_WRONLY); }), EACCES);
  EXPECT_EQ(As(kUser, kUser, [&] { return OpenError(roots + "/tasks", O_RDONLY); }), 0);
  EXPECT_EQ(As(kUser, kUser, [&] { return Mkdir(roots + "/new"); }), EACCES);
  EXPECT_EQ(As(kUser, kUser, [&] { return Rmdir(roots + "/child"); }), EACCES);
  EXPECT_EQ(As(kUser, kUser, [&] { return Rename(roots + "/child", roots + "/x"); }), EACCES);
  ASSERT_EQ(Code(::chmod((roots + "/tasks").c_str(), 0600)), 0);
  EXPECT_EQ(As(kUser, kUser, [&] { return OpenError(roots + "/tasks", O_RDONLY); }), EACCES);
}

TEST_P(Permission, DelegationByChownWorks) {
  Spec("8.1");
  EXPECT_EQ(As(kUser, kUser, [&] { return Mkdir(group_ + "/a"); }), 0);
  EXPECT_EQ(As(kUser, kUser, [&] { return Rename(group_ + "/a", group_ + "/b"); }), 0);
  EXPECT_EQ(As(kUser, kUser, [&] { return Write(group_ + "/b/notify_on_release", "1"); }), 0);
  EXPECT_EQ(As(kUser, kUser, [&] { return Write(group_ + "/b/tasks", "0"); }), 0);
  EXPECT_EQ(As(kUser, kUser, [&] { return Rmdir(group_ + "/b"); }), 0);
  EXPECT_EQ(As(kOther, kOther, [&] { return Mkdir(group_ + "/c"); }), EACCES);
}

TEST_P(Permission, AttachingNeedsTheTasksRealOrSavedUid) {
  Spec("8.2");
  const auto attach = [&](const std::string& task) {
    return As(kUser, kUser, [&] { return Write(tasks_, task); });
  };
  EXPECT_EQ(attach(TaskOf(kUser, kUser, kUser)), 0);
  EXPECT_EQ(attach(TaskOf(kUser, 0, 0)), 0) << "the real one";
  EXPECT_EQ(attach(TaskOf(0, 0, kUser)), 0) << "the saved one";
  EXPECT_EQ(attach(TaskOf(0, kUser, 0)), EACCES) << "the effective one is none of them";
  EXPECT_EQ(attach(TaskOf(kOther, kOther, kOther)), EACCES);
  EXPECT_EQ(attach("1"), EACCES);
  EXPECT_EQ(Write(tasks_, TaskOf(kOther, kOther, kOther)), 0) << "root moves all";
}

TEST_P(Permission, AZeroMovesWhoeverMayOpen) {
  Spec("8.2");
  EXPECT_EQ(As(kUser, kUser, [&] { return Write(tasks_, "0"); }), 0);
}

// Opened by root and written by a user; opened as a user and written by root.
TEST_P(Permission, WhoseCredentialsAttachIsTheDialectsMatter) {
  Spec("2.9 8.3");
  const std::string roots = TaskOf(0, 0, 0);
  EXPECT_EQ(InChild([&] {
              const Fd fd = Open(tasks_, O_WRONLY);
              if (::setresuid(kUser, kUser, kUser) != 0) return 200;
              return WriteTo(fd, roots);
            }),
            ByDialect(EACCES, EACCES, 0, 0));
  ASSERT_EQ(Write(mnt() + "/tasks", roots), 0);
  EXPECT_EQ(InChild([&] {
              if (::seteuid(kUser) != 0) return 200;
              const Fd fd = Open(tasks_, O_WRONLY);
              if (::seteuid(0) != 0) return 201;
              return WriteTo(fd, roots);
            }),
            EACCES);
}

// With the user's file as its standard error, where it says what the user has chosen: `echo` set
// to run as root; and `su`, whose messages begin with the name it was called by.
TEST_P(Permission, ASetUserIdProgramsMessageMovesNobody) {
  Spec("8.3");
  const std::string echo = work() + "/echo", roots = TaskOf(0, 0, 0);
  ASSERT_EQ(Sh("cp /bin/echo " + echo + " && chmod 4755 " + echo).status, 0);
  const auto say = [&](uid_t uid, const std::string& number) {
    return As(uid, uid, [&] {
      const Fd fd = Open(tasks_, O_WRONLY);
      if (!fd || ::dup2(fd.get(), 1) != 1 || ::dup2(fd.get(), 2) != 2) return 200;
      ::execl(echo.c_str(), "echo", number.c_str(), nullptr);
      return 201;
    });
  };
  EXPECT_EQ(say(0, roots), 0);
  ASSERT_EQ(Read(tasks_), roots + "\n") << "it does write there";
  ASSERT_EQ(Write(mnt() + "/tasks", roots), 0);
  for (const std::string& number : {roots, std::string("1")}) {
    EXPECT_EQ(say(kUser, number), 1) << number;
    EXPECT_EQ(As(kUser, kUser,
                 [&] {
                   const Fd fd = Open(tasks_, O_WRONLY);
                   if (!fd || ::dup2(fd.get(), 2) != 2) return 200;
                   ::execl("/bin/su", number.c_str(), "--no-such-option", nullptr);
                   return 201;
                 }),
              1);
    EXPECT_EQ(Read(tasks_), "") << number;
  }
}

// A descriptor that is opened again counts as opened by whoever does.
TEST_P(Permission, OpeningADescriptorAgainIsAnOpen) {
  Spec("8.3");
  const std::string roots = TaskOf(0, 0, 0);
  EXPECT_EQ(InChild([&] {
              const Fd given = Open(tasks_, O_WRONLY);
              if (::setresuid(kUser, kUser, kUser) != 0) return 200;
              const Fd again = Open("/proc/self/fd/" + std::to_string(given.get()), O_RDWR);
              return again ? WriteTo(again, roots) : errno;
            }),
            EACCES);
}

TEST_P(Permission, AZeroThroughAForeignDescriptorIsTheDialectsMatter) {
  Spec("2.10 8.2");
  EXPECT_EQ(InChild([&] {
              if (::seteuid(kUser) != 0) return 200;
              const Fd fd = Open(tasks_, O_WRONLY);
              if (::seteuid(0) != 0 || ::setresuid(kOther, kOther, kOther) != 0) return 201;
              return WriteTo(fd, "0");
            }),
            ByDialect(0, 0, EACCES, EACCES));
}

TEST_P(Permission, OnlyAnAdministratorSetsTheAgent) {
  Spec("8.4");
  if (v6()) NOT_APPLICABLE("no such file");
  const std::string file = mnt() + "/release_agent", agent = WriteAgent("true");
  ASSERT_EQ(Code(::chmod(file.c_str(), 0666)), 0);
  EXPECT_EQ(As(kUser, kUser, [&] { return Write(file, agent); }), EPERM);
  const std::string write = "sh -c '/bin/echo " + agent + " > $MNT/release_agent'";
  const Outcome without = Sh("setpriv --bounding-set=-sys_admin " + write);
  EXPECT_NE(without.out.find("not permitted"), std::string::npos) << without.out;
  const Outcome inner = Sh("unshare -Ur " + write);
  EXPECT_NE(inner.out.find("not permitted"), std::string::npos)
      << "another user namespace" << inner.out;
  EXPECT_EQ(Read(file), "\n");
  EXPECT_EQ(Write(file, agent), 0);
}

}  // namespace
}  // namespace corral

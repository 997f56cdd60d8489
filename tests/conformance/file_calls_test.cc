// Spec 4.5: what each system call does to a control file.
#include <fcntl.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cstdio>

#include "conformance/conformance.h"

namespace corral {
namespace {

class FileCalls : public Conformance {
 protected:
  void Prepare() override {
    group_ = Group("g");
    flag_ = group_ + "/notify_on_release";
  }
  std::string group_, flag_;
};
CORRAL_IN_EVERY_DIALECT(FileCalls);

TEST_P(FileCalls, AWriteOfNothingSucceeds) {
  Spec("4.5 14.4");
  ASSERT_EQ(Write(flag_, "1"), 0);
  EXPECT_EQ(Write(flag_, ""), 0);
  EXPECT_EQ(Read(flag_), "1\n");
  EXPECT_EQ(Write(group_ + "/tasks", ""), 0);
  EXPECT_EQ(Read(group_ + "/tasks"), "");
}

TEST_P(FileCalls, TruncatingAndOpenFlagsHaveNoEffect) {
  Spec("4.5");
  ASSERT_EQ(Write(flag_, "1"), 0);
  EXPECT_EQ(Code(::truncate(flag_.c_str(), 0)), 0);
  EXPECT_EQ(Code(::truncate(flag_.c_str(), 9999)), 0);
  EXPECT_EQ(OpenError(flag_, O_WRONLY | O_TRUNC), 0);
  EXPECT_EQ(OpenError(flag_, O_WRONLY | O_CREAT), 0);
  EXPECT_EQ(Read(flag_), "1\n");
  const Fd appending = Open(flag_, O_WRONLY | O_APPEND | O_CREAT | O_TRUNC);
  EXPECT_EQ(Code(::ftruncate(appending.get(), 1)), 0);
  EXPECT_EQ(::write(appending.get(), "0", 1), 1);
  EXPECT_EQ(Read(flag_), "0\n");
}

TEST_P(FileCalls, ExclusiveCreationFindsItThere) {
  Spec("4.5");
  EXPECT_EQ(OpenError(flag_, O_WRONLY | O_CREAT | O_EXCL), EEXIST);
}

TEST_P(FileCalls, MappingIoctlAndFallocateAreRefused) {
  Spec("4.5 14.5");
  const Fd fd = Open(flag_, O_RDWR);
  EXPECT_EQ(::mmap(nullptr, 4096, PROT_READ, MAP_SHARED, fd.get(), 0), MAP_FAILED);
  EXPECT_EQ(errno, ENODEV);
  void* const copy = ::mmap(nullptr, 4096, PROT_READ, MAP_PRIVATE, fd.get(), 0);
  EXPECT_NE(copy, MAP_FAILED) << "as FUSE has it (spec 14)";
  if (copy != MAP_FAILED) ::munmap(copy, 4096);
  int number = 0;
  EXPECT_EQ(Code(::ioctl(fd.get(), _IOR('z', 1, int), &number)), ENOTTY);
  EXPECT_NE(Code(::fallocate(fd.get(), 0, 0, 4096)), 0);
}

TEST_P(FileCalls, ExecutingIsRefused) {
  Spec("4.5");
  char* const arguments[] = {const_cast<char*>("x"), nullptr};
  EXPECT_EQ(Code(::execv(flag_.c_str(), arguments)), EACCES);
}

TEST_P(FileCalls, SyncingAndLockingWork) {
  Spec("4.5");
  const Fd fd = Open(flag_, O_RDWR), other = Open(flag_, O_RDWR);
  EXPECT_EQ(Code(::fsync(fd.get())), 0);
  EXPECT_EQ(Code(::fdatasync(fd.get())), 0);
  EXPECT_EQ(Code(::flock(fd.get(), LOCK_EX | LOCK_NB)), 0);
  EXPECT_EQ(Code(::flock(other.get(), LOCK_EX | LOCK_NB)), EWOULDBLOCK);
}

TEST_P(FileCalls, SendfileAndSpliceCopyTheWholeContent) {
  Spec("4.5 4.1");
  const Fd list = Open(mnt() + "/tasks", O_RDONLY), spliced = Open(mnt() + "/tasks", O_RDONLY);
  const Fd copy = Open(work() + "/copy", O_RDWR | O_CREAT);
  while (::sendfile(copy.get(), list.get(), nullptr, 1 << 20) > 0) {
  }
  // The list of this descriptor, but in linux, where another look may find it renewed.
  const std::string sent = ReadOn(copy.get(), 0);
  EXPECT_TRUE(sent.ends_with("\n"));
  EXPECT_NE(sent.find("\n" + std::to_string(::getpid()) + "\n"), std::string::npos);
  if (!Is("linux")) {
    EXPECT_EQ(sent, ReadOn(list.get(), 0));
  }
  int pipe_fds[2];
  ASSERT_EQ(Code(::pipe2(pipe_fds, O_CLOEXEC)), 0);
  const Fd out(pipe_fds[0]), in(pipe_fds[1]);
  std::string through;
  for (ssize_t n; (n = ::splice(spliced.get(), nullptr, in.get(), nullptr, 4096, 0)) > 0;) {
    std::string piece(static_cast<std::size_t>(n), '\0');
    ASSERT_EQ(::read(out.get(), piece.data(), piece.size()), n);
    through += piece;
  }
  EXPECT_TRUE(through.starts_with("1\n"));
  EXPECT_NE(through.find("\n" + std::to_string(::getpid()) + "\n"), std::string::npos);
  const Fd flag = Open(flag_, O_RDONLY), small = Open(work() + "/small", O_RDWR | O_CREAT);
  EXPECT_EQ(::sendfile(small.get(), flag.get(), nullptr, 4096), 2);
}

TEST_P(FileCalls, ThereAreNoExtendedAttributes) {
  Spec("4.5");
  char value[8];
  EXPECT_EQ(Code(::getxattr(flag_.c_str(), "user.x", value, sizeof value)), EOPNOTSUPP);
  EXPECT_EQ(Code(::setxattr(flag_.c_str(), "user.x", "1", 1, 0)), EOPNOTSUPP);
  EXPECT_EQ(Code(::setxattr(group_.c_str(), "trusted.x", "1", 1, 0)), EOPNOTSUPP);
  EXPECT_EQ(Code(::removexattr(group_.c_str(), "user.x")), EOPNOTSUPP);
}

TEST_P(FileCalls, RenameKnowsNoFlagButNoreplace) {
  Spec("4.5");
  const std::string other = Group("other"), free = mnt() + "/free";
  const auto rename = [&](const std::string& to, unsigned flags) {
    return Code(::renameat2(AT_FDCWD, group_.c_str(), AT_FDCWD, to.c_str(), flags));
  };
  EXPECT_EQ(rename(other, RENAME_EXCHANGE), EINVAL);
  EXPECT_EQ(rename(free, RENAME_WHITEOUT), EINVAL);
  EXPECT_EQ(rename(other, RENAME_NOREPLACE), EEXIST);
  // Today's kernel knows not even that one.
  EXPECT_EQ(rename(free, RENAME_NOREPLACE), Is("linux") ? EINVAL : 0);
}

}  // namespace
}  // namespace corral

// Operations on control files that have nothing to do with what they say (spec 4.5).
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/fs.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/xattr.h>
#include <termios.h>

#include "differential/scenarios.h"

namespace corral::differential {
namespace {

Fd Open(const std::string& path, int flags) { return Fd(::open(path.c_str(), flags | O_CLOEXEC)); }

std::string Mapped(int fd, int protection, int flags) {
  void* at = ::mmap(nullptr, 4096, protection, flags, fd, 0);
  if (at == MAP_FAILED) return ErrnoName(errno);
  ::munmap(at, 4096);
  return "ok";
}

std::string PollOf(int fd, short events) {
  pollfd wait = {fd, events, 0};
  const int ready = ::poll(&wait, 1, 0);
  return fmt::format("{} {:#x}", ready, wait.revents);
}

}  // namespace

void OpenFlags(Stage& stage) {
  stage.Mount();
  stage.Mkdir("a");
  const std::string flag = stage.At("a/notify_on_release");
  const struct {
    const char* name;
    int flags;
  } kFlags[] = {{"O_RDONLY", O_RDONLY},
                {"O_WRONLY", O_WRONLY},
                {"O_RDWR", O_RDWR},
                {"access mode 3", 3},
                {"O_TRUNC", O_WRONLY | O_TRUNC},
                {"O_TRUNC to read", O_RDONLY | O_TRUNC},
                {"O_APPEND", O_WRONLY | O_APPEND},
                {"O_CREAT", O_RDWR | O_CREAT},
                {"O_CREAT O_EXCL", O_RDWR | O_CREAT | O_EXCL},
                {"O_CREAT O_TRUNC", O_WRONLY | O_CREAT | O_TRUNC},
                {"O_DIRECT", O_RDONLY | O_DIRECT},
                {"O_DIRECTORY", O_RDONLY | O_DIRECTORY},
                {"O_NOFOLLOW", O_RDONLY | O_NOFOLLOW},
                {"O_PATH", O_PATH},
                {"O_NOATIME", O_RDONLY | O_NOATIME},
                {"O_SYNC", O_RDWR | O_SYNC},
                {"O_NONBLOCK", O_RDWR | O_NONBLOCK},
                {"O_TMPFILE", O_RDWR | O_TMPFILE}};
  for (const auto& [name, flags] : kFlags) {
    for (const char* path : {"a/notify_on_release", "a/new", "a", "cgroup.sane_behavior"}) {
      stage.Note(fmt::format("{} of {}", name, path),
                 Opened(::open(stage.At(path).c_str(), flags, 0644)));
    }
  }
  stage.Note("write after O_TRUNC", Write(flag, "1", O_WRONLY | O_TRUNC) + " " + Read(flag));
  stage.Note("write with O_APPEND", Write(flag, "0", O_WRONLY | O_APPEND) + " " + Read(flag));
  stage.Note("write with O_CREAT", Write(flag, "1", O_WRONLY | O_CREAT) + " " + Read(flag));
  const Fd reader = Open(flag, O_RDONLY), writer = Open(flag, O_WRONLY);
  stage.Note("write to one that reads", Outcome(::write(reader.get(), "1", 1)));
  stage.Note("read of one that writes", ReadFd(writer.get()));
  for (const std::string& name : Entries(stage.top())) {
    if (name.starts_with('.') || name == "a") continue;
    stage.Note("empty write to " + name, Write(stage.At(name), ""));
    if (name == "tasks" || name == "cgroup.procs") continue;
    stage.Note("contents of " + name, Read(stage.At(name)));
  }
}

void Positions(Stage& stage) {
  stage.Mount();
  stage.Mkdir("a");
  const std::string path = stage.At("a/notify_on_release");
  const Fd file = Open(path, O_RDWR);
  const int fd = file.get();
  auto seek = [&](off_t to, int whence) { return Outcome(::lseek(fd, to, whence)); };
  stage.Note("seek to 1", seek(1, SEEK_SET));
  stage.Note("read from there", ReadFd(fd));
  stage.Note("read at the end", ReadFd(fd));
  stage.Note("position at the end", seek(0, SEEK_CUR));
  stage.Note("seek back by 1", seek(-1, SEEK_CUR));
  stage.Note("seek before the start", seek(-1, SEEK_SET));
  stage.Note("seek to the end", seek(0, SEEK_END));
  stage.Note("seek for data", seek(0, SEEK_DATA));
  stage.Note("seek for a hole", seek(0, SEEK_HOLE));
  stage.Note("seek by an unknown way", seek(0, 17));
  stage.Note("seek far beyond", seek(off_t{1} << 40, SEEK_SET));
  for (const off_t offset : {0, 1, 2, 3, 100}) {
    stage.Note(fmt::format("pread at {}", offset), PreadFd(fd, offset));
  }
  stage.Note("pread before the start", PreadFd(fd, -1));
  stage.Note("pread of one byte", PreadFd(fd, 0, 1));
  seek(0, SEEK_SET);
  stage.Note("read of nothing", ReadFd(fd, 0));
  stage.Note("pwrite at 100", Outcome(::pwrite(fd, "1", 1, 100)) + " " + Read(path));
  stage.Note("position after pwrite", seek(0, SEEK_CUR));
  stage.Note("write", Outcome(::write(fd, "0\n", 2)) + " " + Read(path));
  stage.Note("position after write", seek(0, SEEK_CUR));
  stage.Note("read after write", ReadFd(fd));
  iovec two[] = {{const_cast<char*>("x"), 1}, {const_cast<char*>("1"), 1}};
  stage.Note("writev of x and 1", Outcome(::writev(fd, two, 2)));
  two[0].iov_base = const_cast<char*>("0");
  stage.Note("writev of 0 and 1", Outcome(::writev(fd, two, 2)) + " " + Read(path));
  char first[1], rest[8];
  iovec parts[] = {{first, 1}, {rest, 8}};
  stage.Note("readv in parts", Outcome(::preadv(fd, parts, 2, 0)));
  seek(0, SEEK_SET);
  stage.Note("the first byte", ReadFd(fd, 1));
  Write(path, "0");
  stage.Note("the rest after a change", ReadFd(fd));
  stage.Note("pread after a change", PreadFd(fd, 0));
  stage.Note("from the start after a change", seek(0, SEEK_SET) + " " + ReadFd(fd));
  stage.Note("poll", PollOf(fd, POLLIN | POLLOUT | POLLPRI));
  stage.Note("poll of a list",
             PollOf(Open(stage.At("a/tasks"), O_RDWR).get(), POLLIN | POLLOUT | POLLPRI));
  const Fd epoll(::epoll_create1(EPOLL_CLOEXEC));
  epoll_event event = {.events = EPOLLIN, .data = {}};
  stage.Note("epoll", Outcome(::epoll_ctl(epoll.get(), EPOLL_CTL_ADD, fd, &event)));
}

void Mapping(Stage& stage) {
  stage.Mount();
  const Fd file = Open(stage.At("notify_on_release"), O_RDWR);
  const Fd directory = Open(stage.top(), O_RDONLY);
  const int fd = file.get();
  stage.Note("mmap shared", Mapped(fd, PROT_READ | PROT_WRITE, MAP_SHARED));
  stage.Note("mmap shared to read", Mapped(fd, PROT_READ, MAP_SHARED));
  stage.Note("mmap private", Mapped(fd, PROT_READ, MAP_PRIVATE));
  char buffer[256];
  stage.Note("ioctl TCGETS", Outcome(::ioctl(fd, TCGETS, buffer)));
  stage.Note("ioctl FIGETBSZ", Outcome(::ioctl(fd, FIGETBSZ, buffer)));
  stage.Note("ioctl FS_IOC_GETFLAGS", Outcome(::ioctl(fd, FS_IOC_GETFLAGS, buffer)));
  stage.Note("ioctl unknown", Outcome(::ioctl(fd, 0x1234, buffer)));
  stage.Note("ioctl of a directory", Outcome(::ioctl(directory.get(), 0x1234, buffer)));
  stage.Note("fallocate", Outcome(::fallocate(fd, 0, 0, 10)));
  stage.Note("fallocate to punch",
             Outcome(::fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 10)));
  struct stat st;
  for (const off_t size : {0, 5, 4096}) {
    stage.Note(fmt::format("ftruncate to {}", size),
               Outcome(::ftruncate(fd, size)) + " " + Read(stage.At("notify_on_release")));
    stage.Note(fmt::format("truncate to {}", size),
               Outcome(::truncate(stage.At("tasks").c_str(), size)));
  }
  ::fstat(fd, &st);
  stage.Note("size", std::to_string(st.st_size));
  stage.Note("ftruncate below 0", Outcome(::ftruncate(fd, -1)));
  stage.Note("ftruncate of one that reads",
             Outcome(::ftruncate(Open(stage.At("tasks"), O_RDONLY).get(), 0)));
  stage.Note("truncate a directory", Outcome(::truncate(stage.top().c_str(), 0)));
  stage.Note("truncate a read-only file",
             Outcome(::truncate(stage.At("cgroup.sane_behavior").c_str(), 0)));
  stage.Note("execute", stage.Child([&] {
    ::execl(stage.At("tasks").c_str(), "x", nullptr);
    return ErrnoName(errno);
  }));
  ::chmod(stage.At("tasks").c_str(), 0755);
  stage.Note("execute with 0755", stage.Child([&] {
    ::execl(stage.At("tasks").c_str(), "x", nullptr);
    return ErrnoName(errno);
  }));
  stage.Note("access to execute", Outcome(::access(stage.At("notify_on_release").c_str(), X_OK)));
}

void Copying(Stage& stage) {
  stage.Mount();
  stage.Mkdir("a");
  const std::string flag = stage.At("a/notify_on_release");
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) return;
  const Fd out(ends[0]), in(ends[1]);
  stage.Note("splice out",
             Outcome(::splice(Open(flag, O_RDONLY).get(), nullptr, in.get(), nullptr, 4096, 0)) +
                 " " + ReadFd(out.get()));
  stage.Note("splice in",
             Outcome(::write(in.get(), "1\n", 2)) + " " +
                 Outcome(::splice(out.get(), nullptr, Open(flag, O_WRONLY).get(), nullptr, 2, 0)) +
                 " " + Read(flag));
  stage.Note("tee", Outcome(::tee(Open(flag, O_RDONLY).get(), in.get(), 10, 0)));
  const Fd copy(::open(stage.Work("copy").c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0644));
  stage.Note("sendfile out",
             Outcome(::sendfile(copy.get(), Open(flag, O_RDONLY).get(), nullptr, 4096)) + " " +
                 PreadFd(copy.get(), 0));
  off_t start = 1;
  stage.Note("sendfile from 1",
             Outcome(::sendfile(copy.get(), Open(flag, O_RDONLY).get(), &start, 4096)));
  start = 0;
  Write(flag, "0");
  stage.Note("sendfile in", Outcome(::sendfile(Open(flag, O_WRONLY).get(), copy.get(), &start, 1)) +
                                " " + Read(flag));
  stage.Note("copy_file_range out", Outcome(::copy_file_range(Open(flag, O_RDONLY).get(), nullptr,
                                                              copy.get(), nullptr, 10, 0)));
  start = 0;
  stage.Note(
      "copy_file_range in",
      Outcome(::copy_file_range(copy.get(), &start, Open(flag, O_WRONLY).get(), nullptr, 1, 0)));
  stage.Note("copy_file_range inside",
             Outcome(::copy_file_range(Open(flag, O_RDONLY).get(), nullptr,
                                       Open(stage.At("notify_on_release"), O_WRONLY).get(), nullptr,
                                       2, 0)));
  stage.Note("clone", Outcome(::ioctl(copy.get(), FICLONE, Open(flag, O_RDONLY).get())));
}

void LocksAndSyncs(Stage& stage) {
  stage.Mount();
  const Fd file = Open(stage.At("notify_on_release"), O_RDWR),
           other = Open(stage.At("notify_on_release"), O_RDWR);
  const Fd directory = Open(stage.top(), O_RDONLY);
  stage.Note("fsync", Outcome(::fsync(file.get())));
  stage.Note("fdatasync", Outcome(::fdatasync(file.get())));
  stage.Note("fsync of a directory", Outcome(::fsync(directory.get())));
  stage.Note("syncfs", Outcome(::syncfs(file.get())));
  stage.Note("flock", Outcome(::flock(file.get(), LOCK_EX | LOCK_NB)));
  stage.Note("flock by a second", Outcome(::flock(other.get(), LOCK_EX | LOCK_NB)));
  stage.Note("flock given up", Outcome(::flock(file.get(), LOCK_UN)));
  stage.Note("flock by a second then", Outcome(::flock(other.get(), LOCK_SH | LOCK_NB)));
  stage.Note("flock of a directory", Outcome(::flock(directory.get(), LOCK_EX | LOCK_NB)));
  struct flock range = {
      .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 0, .l_pid = 0};
  stage.Note("record lock", Outcome(::fcntl(file.get(), F_SETLK, &range)));
  stage.Note("record lock by another process",
             stage.Child([&] { return Outcome(::fcntl(other.get(), F_SETLK, &range)); }));
  stage.Note("fadvise", ErrnoName(::posix_fadvise(file.get(), 0, 0, POSIX_FADV_WILLNEED)));
  stage.Note("sync_file_range", Outcome(::sync_file_range(file.get(), 0, 10, 0)));
}

void ExtendedAttributes(Stage& stage) {
  stage.Mount();
  stage.Mkdir("a");
  for (const char* entry : {"a", "a/tasks"}) {
    const std::string path = stage.At(entry);
    char value[16];
    for (const char* name :
         {"user.x", "trusted.x", "security.x", "system.posix_acl_access", "foo.x", "x"}) {
      std::string seen = "get " + Outcome(::getxattr(path.c_str(), name, value, sizeof value));
      seen += ", set " + Outcome(::setxattr(path.c_str(), name, "1", 1, 0));
      seen += ", get " + Outcome(::getxattr(path.c_str(), name, value, sizeof value));
      seen += ", remove " + Outcome(::removexattr(path.c_str(), name));
      stage.Note(fmt::format("{} of {}", name, entry), seen);
    }
    stage.Note(fmt::format("list of {}", entry), Outcome(::listxattr(path.c_str(), nullptr, 0)));
  }
}

}  // namespace corral::differential

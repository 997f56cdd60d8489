// How scenarios look at things: each call does one thing and returns what came of it as text,
// an errno by its name.
//
//   Outcome(::rmdir(path))           "ok", "EBUSY"
//   Outcome(::write(fd, "0", 1))     "1", "ENODEV"
//   Write(path, "0\n")               open, one write, close: "2", "EINVAL", "open EACCES"
//   Read(path)                       "0\n", "open ENOENT", "read ENODEV"
#ifndef CORRAL_TESTS_DIFFERENTIAL_LOOK_H_
#define CORRAL_TESTS_DIFFERENTIAL_LOOK_H_

#include <fcntl.h>
#include <sys/types.h>

#include <string>
#include <vector>

namespace corral::differential {

std::string ErrnoName(int error);

// Of a call that returns 0 or a count, or -1 with errno set.
std::string Outcome(long result);

// Of a call that returns a descriptor, which is closed: "ok" or the errno.
std::string Opened(int fd);

std::string Write(const std::string& path, const std::string& bytes, int flags = O_WRONLY);
std::string Read(const std::string& path);
// The bytes of one read of at most `most`, or the errno.
std::string ReadFd(int fd, std::size_t most = 4096);
std::string PreadFd(int fd, off_t offset, std::size_t most = 4096);

// "drwxr-xr-x 2 0:0": type and mode, links, owner.
std::string Mode(const std::string& path);
ino_t Inode(const std::string& path);  // 0 where there is none

// Names in it, sorted.
std::vector<std::string> Entries(const std::string& path);

// The words of a list of tids, one a line.
std::vector<pid_t> Tids(const std::string& list);

}  // namespace corral::differential

#endif  // CORRAL_TESTS_DIFFERENTIAL_LOOK_H_

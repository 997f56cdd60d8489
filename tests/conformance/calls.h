// System calls as tests want them: the errno as the result, or the thing itself and a failure of
// the test if it is not to be had.
#ifndef CORRAL_TESTS_CONFORMANCE_CALLS_H_
#define CORRAL_TESTS_CONFORMANCE_CALLS_H_

#include <sys/stat.h>
#include <sys/types.h>

#include <cerrno>
#include <string>
#include <vector>

#include "base/fd.h"

namespace corral {

using Lines = std::vector<std::string>;
Lines SplitLines(const std::string& text);

// errno of a system call that failed, 0 of one that succeeded.
inline int Code(long result) { return result < 0 ? errno : 0; }
int Mkdir(const std::string& path, mode_t mode = 0755);
int Rmdir(const std::string& path);
int Rename(const std::string& from, const std::string& to);
int OpenError(const std::string& path, int flags);
Fd Open(const std::string& path, int flags);
// errno of one read.
int ReadError(int fd, off_t at = 0);
// All from there on, so many bytes at a time.
std::string ReadOn(int fd, off_t at, std::size_t piece = 65536);
bool Lists(const std::string& tasks, pid_t task);
struct stat StatOf(const std::string& path);
// The tid of a kernel thread whose name starts so; 0: there is none.
pid_t KernelThread(const std::string& name);

}  // namespace corral

#endif  // CORRAL_TESTS_CONFORMANCE_CALLS_H_

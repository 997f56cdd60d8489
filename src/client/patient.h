// Looks at paths that a user gives, without waiting for ever: a path may lead into a mount whose
// daemon hangs, and no system call about it then returns, nor does a process end that is in one.
// So another process looks, which is left behind with one that hangs.
//
// By programs with one thread.
#ifndef CORRAL_CLIENT_PATIENT_H_
#define CORRAL_CLIENT_PATIENT_H_

#include <corral/result.h>
#include <sys/stat.h>

#include <string>

namespace corral {

// stat(2), with its errors. ETIMEDOUT: no answer for 5 s; the sentence says which mount hangs.
Result<struct stat> StatPatiently(const std::string& path);

// realpath(3), the same way. It asks no file system about the last name but whether it is a link,
// so it answers for a mount point whose mount hangs.
Result<std::string> RealPathPatiently(const std::string& path);

// What is mounted where, as this process sees it.
struct MountedOn {
  std::string point;  // bytes; empty: none that /proc/self/mountinfo shows
  std::string type;
};
// The topmost mount that `path` (as of realpath) is in, by name alone.
MountedOn MountOf(const std::string& path);

}  // namespace corral

#endif  // CORRAL_CLIENT_PATIENT_H_

// Directories and files that must be our user's (root's) alone: made with exactly the mode that is
// asked for, whatever the umask, and refused by name where somebody else could have put something
// in them. Any thread.
//
//   auto directory = OpenOwnDirectory("/run/corral", 0755);   // made if it was missing
//   if (!directory) return Fail(directory.error());           // EPERM: another's, a link, ...
#ifndef CORRAL_BASE_OWN_PATH_H_
#define CORRAL_BASE_OWN_PATH_H_

#include <corral/result.h>
#include <sys/types.h>

#include <string>

#include "base/fd.h"

namespace corral {

// A directory, made if it is missing; its mode is `mode` afterwards. EPERM, with what to do: it is
// a symbolic link or no directory, belongs to another user, or others may write to it (the mode is
// not simply taken away from them: what they put there would stay). Else the errno of what failed.
Result<Fd> OpenOwnDirectory(const std::string& path, mode_t mode);

// A regular file, likewise; made if `flags` has O_CREAT. ENOENT: there is none.
Result<Fd> OpenOwnFile(const std::string& path, int flags, mode_t mode);

// Whether `path` still names what `fd` is open on: nobody has removed it, or put another there.
bool StillNamed(int fd, const std::string& path);

}  // namespace corral

#endif  // CORRAL_BASE_OWN_PATH_H_

// Who can change what root runs: spec 10.11. One answer for release agents, their interpreters,
// plug-ins, and lists of files that were remembered.
//
// A file is trusted if it and every directory that its path leads through, with links resolved,
//   - belongs to root, or to one user more that is named, and
//   - can be written by nobody else: neither group nor world. A sticky directory of root's may be
//     (/tmp), if what is looked up in it belongs to root or that user, who alone can then rename
//     it.
// The directories that links lie in are looked at like all others: who can replace a link changes
// what its name means. A POSIX ACL that lets somebody else write shows as the group's w, which is
// the mask then. On FUSE, whoever serves the file system says what its files are: it must have been
// mounted by root or that user.
//
// The walk goes from descriptor to descriptor, so what was looked at is what the result holds open.
// What only the machine that serves a network file system knows (its own ACLs) is not seen.
//
//   auto agent = OpenTrusted("/usr/local/sbin/reap");
//   if (!agent) return Fail(agent.error());   // EPERM: names who could change what, and the remedy
#ifndef CORRAL_BASE_TRUSTED_FILE_H_
#define CORRAL_BASE_TRUSTED_FILE_H_

#include <corral/result.h>
#include <sys/stat.h>
#include <sys/types.h>

#include <string>

#include "base/fd.h"

namespace corral {

struct TrustedFile {
  Fd file;           // O_PATH, close-on-exec
  Fd directory;      // O_PATH: where the file is, links resolved
  std::string path;  // the file's, links resolved
  struct stat status;
};

// `path` is taken from `/` if it does not begin there. May wait for ever on a file system that
// hangs. EPERM: it is not trusted. ENOENT, ENOTDIR, ELOOP, ...: as open(2) says.
Result<TrustedFile> OpenTrusted(const std::string& path, uid_t besides_root = 0);

// The bytes of the file, `most` at most, from its descriptor. EINVAL: no regular file.
Result<std::string> ReadTrusted(const TrustedFile& file, std::size_t most);

}  // namespace corral

#endif  // CORRAL_BASE_TRUSTED_FILE_H_

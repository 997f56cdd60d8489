// The file of a release agent, and what the kernel starts together with it (spec 10.11): the
// interpreter after `#!` (and that one's, if it is a script, too), the program of `#!/usr/bin/env
// PROGRAM` as the agent's PATH finds it, the loader that a binary names. All must be trusted files
// (base/trusted_file.h). What a program opens or starts by itself is its author's affair.
#ifndef CORRAL_AGENT_AGENT_FILE_H_
#define CORRAL_AGENT_AGENT_FILE_H_

#include <corral/result.h>
#include <sys/types.h>

#include <string>

#include "base/fd.h"

namespace corral {

// The agent's environment is this and HOME=/ (spec 10.4).
inline constexpr char kAgentPath[] = "/sbin:/bin:/usr/sbin:/usr/bin";

// The agent opened with O_PATH, close-on-exec. `user`: whom files may belong to beside root.
// EPERM: somebody else could change what runs; ENOENT and others: no such file, or no interpreter.
Result<Fd> OpenAgentFile(const std::string& agent, uid_t user);

}  // namespace corral

#endif  // CORRAL_AGENT_AGENT_FILE_H_

// Facts about the machine that more than one command asks for.
#ifndef CORRAL_CLI_HOST_H_
#define CORRAL_CLI_HOST_H_

namespace corral::cli {

// Whether task numbers here are the host's: the hooks know no others.
bool InHostPidNamespace();

}  // namespace corral::cli

#endif  // CORRAL_CLI_HOST_H_

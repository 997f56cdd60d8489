// Which processes have files of mounted hierarchies open, or a working directory in one.
//
// Found in /proc, without asking a file system anything: a mount whose daemon hangs, or a dead
// network server, must not keep us. Processes are looked at, not single threads with tables of
// their own.
#ifndef CORRAL_CLI_OPEN_FILES_H_
#define CORRAL_CLI_OPEN_FILES_H_

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

namespace corral::cli {

struct OpenFile {
  pid_t pid;
  std::string what;      // "working directory", "root directory", "descriptor 3"
  std::uint64_t device;  // as stat(2) tells of the mount
  std::uint64_t inode;
};

// Of every process of the machine but this one.
std::vector<OpenFile> OpenFilesOfHierarchies();

}  // namespace corral::cli

#endif  // CORRAL_CLI_OPEN_FILES_H_

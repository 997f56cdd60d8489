// /proc/PID/mountinfo: what is mounted where, as a process sees it.
//
//   for (const MountLine& mount : MountsOf("self")) {
//     if (mount.point == "/proc") ...     // the last one at a point is the one on top
//   }
#ifndef CORRAL_BASE_MOUNTINFO_H_
#define CORRAL_BASE_MOUNTINFO_H_

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace corral {

// "ID PARENT MAJOR:MINOR ROOT POINT OPTIONS [TAGS...] - TYPE SOURCE SUPER_OPTIONS"
struct MountLine {
  std::uint64_t id = 0;  // statx(2)'s stx_mnt_id
  dev_t device = 0;
  std::string root;  // of the file system: what is mounted of it
  std::string point;
  std::string type;
  std::string source;
  std::string super_options;  // of the file system; escaped as they are there
};

// In the file's order. A line that is none is left out.
std::vector<MountLine> ParseMountinfo(std::string_view text);

// Of the process of this number, or "self"; none where it cannot be read.
std::vector<MountLine> MountsOf(const std::string& process);

// A word of that file as it was: \ooo are bytes there.
std::string WithoutOctal(std::string_view text);

}  // namespace corral

#endif  // CORRAL_BASE_MOUNTINFO_H_

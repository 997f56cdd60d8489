// Inode numbers are the address: cgroup id << 8 | slot, slot 0 the directory, slot n+1 row
// n of ControlFiles(). No table of inodes, no reference counts, and the same numbers in
// every mount of a hierarchy (spec 3.7) and after a restart.
#ifndef CORRAL_CONTROL_INODE_H_
#define CORRAL_CONTROL_INODE_H_

#include <corral/ids.h>

#include <cstdint>

namespace corral {

struct Inode {
  std::uint64_t number = 0;
  static Inode Directory(CgroupId cgroup) { return {cgroup.value << 8}; }
  static Inode File(CgroupId cgroup, unsigned row) { return {cgroup.value << 8 | (row + 1)}; }
  CgroupId cgroup() const { return CgroupId{number >> 8}; }
  bool is_directory() const { return slot() == 0; }
  unsigned slot() const { return static_cast<unsigned>(number & 0xff); }
  // REQUIRES: not a directory.
  unsigned row() const { return slot() - 1; }
  bool operator==(const Inode&) const = default;
};

}  // namespace corral

#endif  // CORRAL_CONTROL_INODE_H_

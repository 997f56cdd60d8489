// Which namespaces a task is in, and its numbers there.
//
//   NamespaceOf("self", "mnt") == NamespaceOf("1", "mnt")   // do we see what init sees?
//   PidsIn(tid)   // {4711, 12}: 4711 here, 12 in the pid namespace below ours that it is in
#ifndef CORRAL_BASE_NAMESPACES_H_
#define CORRAL_BASE_NAMESPACES_H_

#include <corral/result.h>
#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace corral {

// Tells namespaces of all kinds apart, as long as they are there.
struct NamespaceId {
  dev_t device = 0;
  ino_t inode = 0;
  bool operator==(const NamespaceId&) const = default;
};

// Of a task's number, or "self"; `kind` is a name of /proc/TID/ns. Nothing: it is gone, cannot be
// asked, or this kernel has none of these.
std::optional<NamespaceId> NamespaceOf(const std::string& task, const std::string& kind);

// Of a namespace's open file.
std::optional<NamespaceId> NamespaceOf(int fd);

// Whether we are in the pid namespace whose numbers the kernel itself uses. ENOENT: no /proc.
Result<bool> InInitialPidNamespace();

// A task's number in each pid namespace, from that of our /proc down to its own; none: it is gone.
std::vector<std::uint32_t> PidsIn(std::uint32_t tid);

}  // namespace corral

#endif  // CORRAL_BASE_NAMESPACES_H_

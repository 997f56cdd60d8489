// Control files are rows of a table: name, mode, scope, read, write. Adding a file is
// adding a row to control_files.cc; nothing else knows their names. Subsystems add rows of their
// own (spec 13.4).
#ifndef CORRAL_CONTROL_CONTROL_FILE_H_
#define CORRAL_CONTROL_CONTROL_FILE_H_

#include <corral/ids.h>
#include <corral/result.h>
#include <sys/types.h>

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "control/dialect.h"
#include "control/machine.h"
#include "core/foreign_calls.h"
#include "core/registry.h"

namespace corral {

// Who asks, as the file system tells it.
struct Caller {
  Tid tid;  // the calling thread, in the initial pid namespace
  uid_t uid = 0;
  gid_t gid = 0;
  mode_t umask = 022;
};

// One open file's surroundings.
struct ControlContext {
  Registry& registry;
  const Machine& machine;
  const Dialect& dialect;
  CgroupId cgroup;
  Caller opener = {};
  bool opener_may = false;  // write to a row that is not for whoever may open it (ControlFile::For)
  const SubsystemFile* file = nullptr;  // of a row that a subsystem added ...
  FileUse* use = nullptr;               // ... and this descriptor's use of it
};

using Scope = SubsystemFile::Where;

using TaskNumbers = std::vector<std::uint32_t>;  // ascending

struct ControlFile {
  std::string_view name;  // with its subsystem's prefix
  Scope scope = Scope::kEverywhere;
  bool pollable = false;  // POLLPRI|POLLERR after each change
  // Missing handlers: read gives EINVAL, write gives EINVAL (spec 9.3, 13.4).
  // At most a page of state, made anew by every read from offset 0.
  Result<std::string> (*read)(const ControlContext&) = nullptr;
  // Instead of `read`: tasks, as the reader's pid namespace numbers them (null: as we do). When
  // the list is made is the dialect's (spec 7.3).
  Result<TaskNumbers> (*list)(const ControlContext&, const PidView* view) = nullptr;
  Result<void> (*write)(const ControlContext&, const Caller&, std::string_view bytes) = nullptr;
  unsigned dialects = kEveryDialect;  // that have it
  // Who may write to it, whatever its owner and mode say.
  enum class For {
    kOpeners,
    kAdmins,   // with CAP_SYS_ADMIN (spec 8.4)
    kParents,  // who may write in the parent directory, whose owner it has (spec 4.6)
  } writers = For::kOpeners;
  mode_t mode = 0;  // 0: 0644 with a write handler, the dialect's read-only mode without
};

// All rows: those of every cgroup, then those of each registered subsystem. Slot n+1 of a
// cgroup's inode numbers is row n; slot 0 is the directory. An inode number keeps its meaning as
// long as the table lives: fixed rows are only ever added at the end.
class ControlFiles {
 public:
  explicit ControlFiles(const Registry& registry);
  ControlFiles(const ControlFiles&) = delete;
  ControlFiles& operator=(const ControlFiles&) = delete;

  struct Row {
    ControlFile file;
    std::optional<std::size_t> subsystem;  // that added it
    SubsystemFile added;                   // what it said
    std::string prefixed;                  // storage of file.name
  };
  const std::deque<Row>& rows() const { return rows_; }
  // Null: no such slot.
  const Row* at(unsigned row) const { return row < rows_.size() ? &rows_[row] : nullptr; }

  // The row a directory shows under this name.
  std::optional<unsigned> Find(std::string_view name, const CgroupFacts& facts) const;

 private:
  std::deque<Row> rows_;  // never moved: open files point at them
};

bool InScope(const ControlFiles::Row& row, const CgroupFacts& facts);
std::string_view NameOf(const ControlFiles::Row& row, bool noprefix);
mode_t ModeOf(const ControlFile& file, const Dialect& dialect);

// A handler of a file that a subsystem added: an exception is EIO, with what it says.
template <typename Fn>
auto HandleAdded(const ControlContext& context, const Fn& fn) {
  return CallForeign([&] { return fmt::format("'{}'", context.file->name); }, fn);
}

}  // namespace corral

#endif  // CORRAL_CONTROL_CONTROL_FILE_H_

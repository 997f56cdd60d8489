// The dialect table (spec 2): every difference between the forms of the interface that
// scripts expect, one column each. A hierarchy keeps the dialect it was created with.
#ifndef CORRAL_CONTROL_DIALECT_H_
#define CORRAL_CONTROL_DIALECT_H_

#include <corral/result.h>
#include <sys/types.h>

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "core/cgroup.h"

namespace corral {

// Sets of dialects: which of them have a control file.
enum DialectSet : unsigned { kV6 = 1, kV11 = 2, kCorral = 4, kLinux = 8, kEveryDialect = 15 };

enum class Numbers {
  kLoose,   // scanf-like pids, strtoul-like flags
  kStrict,  // nothing but a number, its base detected
};

// What a write to `release_agent` makes of its bytes.
enum class AgentText {
  kNone,         // there is no such file
  kLineCounted,  // one final newline dropped; 4095 bytes with it, else ENOSPC
  kLine,         // the same, 4095 bytes without it
  kTrimmed,      // white space dropped at both ends; 4095 bytes with it, else E2BIG
};

// release_agent= at mount, without a value.
enum class EmptyAgent { kIgnored, kNoAgent, kRefused };

// A path over 4095 bytes, where an agent is to get it.
enum class LongPath { kNoAgent, kWhole, kCut };

struct Dialect {
  std::string_view name;
  DialectSet bit;                  // in ControlFile::dialects
  bool one_hierarchy;              // one per instance; subsystem and name options are ignored
  std::string_view default_agent;  // when none is set
  Numbers numbers;
  std::size_t max_write;          // longest write to a control file, else E2BIG ...
  std::size_t max_write_per_cpu;  // ... and so much more for each processor
  mode_t read_only_mode;          // of a file without a write handler
  bool serves_after_removal;      // reads of a removed cgroup's files; else ENODEV
  bool writer_fits_too;           // to move tasks and to set the agent, beside the opener
  bool zero_needs_right;          // `0` needs the right to the caller; else it always moves
  bool exiting_is_no_error;       // moving a zombie succeeds and does nothing; else ESRCH
  bool bound_kthreads_stay;       // kthreadd and threads of fixed affinity: EINVAL; else moved
  bool shared_lists;              // lists are made at the first read and shared by descriptors
  ReleaseRules releases;
  LongPath long_path;
  bool agent_loses_privileges;  // no_new_privs is set (spec 10.11)
  EmptyAgent empty_agent;
  AgentText agent_text;
  bool noprefix_for_all;    // else with cpuset alone
  bool css_inherit;         // a new cgroup starts with its parent's settings; else with none
  mode_t root_mode;         // of the top directory
  bool newline_in_names;    // allowed in a cgroup's name, else EINVAL
  std::size_t max_name;     // bytes of a cgroup's name, else ENAMETOOLONG
  bool set_group_id;        // a set-group-ID directory hands its group and bit on
  bool rename_takes_flags;  // RENAME_NOREPLACE; else EINVAL for any
  bool directories_sync;    // fsync of a directory; else EINVAL
  bool rename_looks_at_parent_first;  // another directory: EIO though the name exists there
};

std::span<const Dialect> Dialects();
const Dialect* FindDialect(std::string_view name);  // null: there is none
// The default one, `corral`.
const Dialect& DefaultDialect();
// Of a hierarchy; the default for one that the library made without.
inline const Dialect& DialectOf(const Dialect* dialect) {
  return dialect ? *dialect : DefaultDialect();
}

std::size_t MaxWrite(const Dialect& dialect);

inline constexpr std::size_t kMaxPath = 4095;  // of an agent, and of what one is told

// A cgroup's path as an agent gets it. Empty: it is too long for one.
std::optional<std::string> PathForAgent(std::string path, const Dialect& dialect);

// A cgroup's path as it is read in the proc view. ENAMETOOLONG: it is too long.
Result<std::string> PathForReader(std::string path, const Dialect& dialect);

}  // namespace corral

#endif  // CORRAL_CONTROL_DIALECT_H_

// The dialect table (spec 2): every difference between the forms of the interface that
// scripts expect, one column each. A mount of a hierarchy keeps its column for good.
#ifndef CORRAL_CONTROL_DIALECT_H_
#define CORRAL_CONTROL_DIALECT_H_

#include <sys/types.h>

#include <cstddef>
#include <span>
#include <string_view>

namespace corral {

struct Dialect {
  std::string_view name;
  std::size_t max_write;        // longest write to a control file, else E2BIG
  mode_t read_only_mode;        // of a file without a write handler
  mode_t root_mode;             // of the top directory
  bool newline_in_names;        // allowed in a cgroup's name, else EINVAL
  std::size_t max_agent;        // bytes of a release agent's path, else ENOSPC
};

std::span<const Dialect> Dialects();
// The default one.
const Dialect& DefaultDialect();

}  // namespace corral

#endif  // CORRAL_CONTROL_DIALECT_H_

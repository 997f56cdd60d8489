#include "control/dialect.h"

#include <unistd.h>

#include <cerrno>

namespace corral {
namespace {

constexpr Dialect kDialects[] = {
    {.name = "v6",
     .bit = kV6,
     .one_hierarchy = true,
     .default_agent = "/sbin/container_release_agent",
     .numbers = Numbers::kLoose,
     .max_write = 100,
     .max_write_per_cpu = 6,
     .read_only_mode = 0644,
     .serves_after_removal = true,
     .writer_fits_too = true,
     .zero_needs_right = false,
     .exiting_is_no_error = false,
     .bound_kthreads_stay = false,
     .shared_lists = false,
     .releases = {.per_emptying = true, .outlives_removal = true},
     .long_path = LongPath::kNoAgent,
     .agent_loses_privileges = true,
     .empty_agent = EmptyAgent::kIgnored,
     .agent_text = AgentText::kNone,
     .noprefix_for_all = false,
     .css_inherit = true,
     .root_mode = 0755,
     .newline_in_names = true,
     .max_name = 255,
     .set_group_id = false,
     .rename_takes_flags = true,
     .directories_sync = true,
     .rename_looks_at_parent_first = false},
    {.name = "v11",
     .bit = kV11,
     .one_hierarchy = false,
     .default_agent = "",
     .numbers = Numbers::kLoose,
     .max_write = 4096,
     .max_write_per_cpu = 0,
     .read_only_mode = 0644,
     .serves_after_removal = true,
     .writer_fits_too = true,
     .zero_needs_right = false,
     .exiting_is_no_error = false,
     .bound_kthreads_stay = false,
     .shared_lists = false,
     .releases = {.per_emptying = false, .outlives_removal = false},
     .long_path = LongPath::kNoAgent,
     .agent_loses_privileges = true,
     .empty_agent = EmptyAgent::kNoAgent,
     .agent_text = AgentText::kLineCounted,
     .noprefix_for_all = true,
     .css_inherit = true,
     .root_mode = 0755,
     .newline_in_names = true,
     .max_name = 255,
     .set_group_id = false,
     .rename_takes_flags = true,
     .directories_sync = true,
     .rename_looks_at_parent_first = false},
    {.name = "corral",
     .bit = kCorral,
     .one_hierarchy = false,
     .default_agent = "",
     .numbers = Numbers::kLoose,
     .max_write = 4096,
     .max_write_per_cpu = 0,
     .read_only_mode = 0444,
     .serves_after_removal = true,
     .writer_fits_too = false,
     .zero_needs_right = true,
     .exiting_is_no_error = false,
     .bound_kthreads_stay = false,
     .shared_lists = false,
     .releases = {.per_emptying = false, .outlives_removal = false},
     .long_path = LongPath::kWhole,
     .agent_loses_privileges = true,
     .empty_agent = EmptyAgent::kRefused,
     .agent_text = AgentText::kLine,
     .noprefix_for_all = true,
     .css_inherit = true,
     .root_mode = 0755,
     .newline_in_names = false,
     .max_name = 255,
     .set_group_id = false,
     .rename_takes_flags = true,
     .directories_sync = true,
     .rename_looks_at_parent_first = false},
    {.name = "linux",
     .bit = kLinux,
     .one_hierarchy = false,
     .default_agent = "",
     .numbers = Numbers::kStrict,
     .max_write = 4096,
     .max_write_per_cpu = 0,
     .read_only_mode = 0444,
     .serves_after_removal = false,
     .writer_fits_too = false,
     .zero_needs_right = true,
     .exiting_is_no_error = true,
     .bound_kthreads_stay = true,
     .shared_lists = true,
     .releases = {.per_emptying = false, .outlives_removal = true},
     .long_path = LongPath::kCut,
     .agent_loses_privileges = false,
     .empty_agent = EmptyAgent::kRefused,
     .agent_text = AgentText::kTrimmed,
     .noprefix_for_all = false,
     .css_inherit = false,
     .root_mode = 0555,
     .newline_in_names = false,
     .max_name = 1024,
     .set_group_id = true,
     .rename_takes_flags = false,
     .directories_sync = false,
     .rename_looks_at_parent_first = true},
};

}  // namespace

std::span<const Dialect> Dialects() { return kDialects; }

const Dialect* FindDialect(std::string_view name) {
  for (const Dialect& dialect : kDialects) {
    if (dialect.name == name) return &dialect;
  }
  return nullptr;
}

const Dialect& DefaultDialect() {
  static const Dialect& dialect = *FindDialect("corral");
  return dialect;
}

std::size_t MaxWrite(const Dialect& dialect) {
  if (dialect.max_write_per_cpu == 0) return dialect.max_write;
  static const long cpus = ::sysconf(_SC_NPROCESSORS_CONF);
  return dialect.max_write + dialect.max_write_per_cpu * static_cast<std::size_t>(cpus);
}

std::optional<std::string> PathForAgent(std::string path, const Dialect& dialect) {
  if (path.size() <= kMaxPath || dialect.long_path == LongPath::kWhole) return path;
  if (dialect.long_path == LongPath::kNoAgent) return std::nullopt;
  path.resize(kMaxPath);
  return path;
}

Result<std::string> PathForReader(std::string path, const Dialect& dialect) {
  if (path.size() <= kMaxPath) return path;
  if (dialect.long_path != LongPath::kCut) {
    return Fail(ENAMETOOLONG, "a path of {} bytes", path.size());
  }
  path.resize(kMaxPath);
  return path;
}

}  // namespace corral

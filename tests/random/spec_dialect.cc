#include "random/spec_dialect.h"

namespace corral::random {

std::vector<SpecDialect> SpecDialects(std::size_t cpus) {
  constexpr auto kTop = SpecFile::kTop;
  const SpecFile tasks{"tasks"}, notify{"notify_on_release"}, procs{"cgroup.procs"};
  const SpecFile agent{"release_agent", kTop};
  const SpecFile releasable{.name = "releasable", .writable = false};
  const SpecFile events{.name = "cgroup.events", .writable = false};
  const SpecFile kill{.name = "cgroup.kill", .where = SpecFile::kBelowTop};
  const auto quota = [](std::string_view name) {
    return SpecFile{.name = name, .where = SpecFile::kBelowTop, .quota = true};
  };
  const SpecFile depth = quota("cgroup.max.depth"), descendants = quota("cgroup.max.descendants");
  const SpecFile clone{"cgroup.clone_children"};
  const SpecFile sane{.name = "cgroup.sane_behavior", .where = kTop, .writable = false};

  SpecDialect v6{.name = "v6",
                 .files = {notify, tasks},
                 .longest_write = 100 + 6 * cpus,
                 .unwritable_mode = 0644,
                 .root_mode = 0755,
                 .one_hierarchy = true,
                 .strict_numbers = false,
                 .writer_fits_too = true,
                 .zombies_succeed = false,
                 .newline_in_names = true,
                 .longest_name = 255,
                 .setgid_inherited = false,
                 .settings_inherited = true,
                 .empty_agent_ignored = true,
                 .empty_agent_is_none = false,
                 .list_per_descriptor = true,
                 .served_after_removal = true,
                 .rename_onto_elsewhere = EEXIST};
  SpecDialect v11 = v6;
  v11.name = "v11";
  v11.files = {notify, tasks, releasable, agent};
  v11.longest_write = 4096;
  v11.one_hierarchy = false;
  v11.empty_agent_ignored = false;
  v11.empty_agent_is_none = true;

  SpecDialect corral = v11;
  corral.name = "corral";
  corral.files = {notify, tasks, releasable, agent, procs, events, kill, depth, descendants};
  corral.unwritable_mode = 0444;
  corral.writer_fits_too = false;
  corral.newline_in_names = false;
  corral.empty_agent_is_none = false;

  SpecDialect linux_v1 = corral;
  linux_v1.name = "linux";
  linux_v1.files = {tasks, procs, notify, clone, agent, sane};
  linux_v1.strict_numbers = true;
  linux_v1.zombies_succeed = true;
  linux_v1.root_mode = 0555;
  linux_v1.longest_name = 1024;  // what FUSE lets through
  linux_v1.setgid_inherited = true;
  linux_v1.settings_inherited = false;
  linux_v1.list_per_descriptor = false;
  linux_v1.served_after_removal = false;
  linux_v1.rename_onto_elsewhere = EIO;
  return {v6, v11, corral, linux_v1};
}

}  // namespace corral::random

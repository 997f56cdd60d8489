// The dialects as the model knows them: written from section 2 of the specification, sharing
// nothing with src/. A difference between two of them is a member here, and nowhere an `if`.
#ifndef CORRAL_TESTS_RANDOM_SPEC_DIALECT_H_
#define CORRAL_TESTS_RANDOM_SPEC_DIALECT_H_

#include <cerrno>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace corral::random {

struct SpecFile {
  std::string_view name;
  enum Where { kEverywhere, kTop, kBelowTop } where = kEverywhere;
  bool writable = true;
  bool quota = false;  // the parent's owner has it (spec 4.6)
};

struct SpecDialect {
  std::string_view name;
  std::vector<SpecFile> files;
  std::size_t longest_write;
  unsigned unwritable_mode;  // of a file without a write handler
  unsigned root_mode;
  bool one_hierarchy;  // per instance, names and subsystems are ignored
  bool strict_numbers;
  bool writer_fits_too;  // attaches and sets the agent beside the opener; then 0 always moves
  bool zombies_succeed;  // without effect; else ESRCH
  bool newline_in_names;
  std::size_t longest_name;
  bool setgid_inherited;
  bool settings_inherited;   // of subsystems, by a new group; else it starts with none
  bool empty_agent_ignored;  // release_agent= at a mount; else EINVAL (v11: no agent)
  bool empty_agent_is_none;
  bool list_per_descriptor;   // else shared, at the first read
  bool served_after_removal;  // else ENODEV
  int rename_onto_elsewhere;  // existing name in another directory
};

// `cpus`: the length of v6's longest write depends on them.
std::vector<SpecDialect> SpecDialects(std::size_t cpus);

}  // namespace corral::random

#endif  // CORRAL_TESTS_RANDOM_SPEC_DIALECT_H_

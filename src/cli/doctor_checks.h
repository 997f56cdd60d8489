// What corral needs of a machine, one row each: `corral doctor` prints the table.
#ifndef CORRAL_CLI_DOCTOR_CHECKS_H_
#define CORRAL_CLI_DOCTOR_CHECKS_H_

#include <optional>
#include <span>
#include <string>

#include "wire/messages.h"

namespace corral::cli {

// kUnknown: cannot be told from here, and nothing is broken for it.
enum class Health { kOk, kDegraded, kMissing, kUnknown };

struct Finding {
  Health health;
  std::string meaning;  // what it means and, where something is wrong, the remedy
};

// What was found out before: the daemon's status, if one runs.
struct Facts {
  std::optional<wire::Status::Answer> status;
  std::string instance;
  std::string no_status = "";  // why there is none
};

struct Check {
  const char* name;
  bool required;  // when it is missing, corral cannot work here
  Finding (*look)(const Facts&);
};

std::span<const Check> Checks();

}  // namespace corral::cli

#endif  // CORRAL_CLI_DOCTOR_CHECKS_H_

#include "control/dialect.h"

namespace corral {
namespace {

constexpr Dialect kDialects[] = {
    {.name = "corral",
     .max_write = 4096,
     .read_only_mode = 0444,
     .root_mode = 0755,
     .newline_in_names = false,
     .max_agent = 4095},
};

}  // namespace

std::span<const Dialect> Dialects() { return kDialects; }

const Dialect& DefaultDialect() { return kDialects[0]; }

}  // namespace corral

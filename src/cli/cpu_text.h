// CPU time as corral shows it.
#ifndef CORRAL_CLI_CPU_TEXT_H_
#define CORRAL_CLI_CPU_TEXT_H_

#include <fmt/format.h>

#include <cstdint>
#include <string>

#include "wire/messages.h"

namespace corral::cli {

// "0.002 s", "1.234 s", "75.1 s"
inline std::string SecondsText(std::uint64_t ns) {
  const double seconds = static_cast<double>(ns) / 1e9;
  return fmt::format("{:.{}f} s", seconds, seconds < 60 ? 3 : 1);
}

// "1.234 s (user 1.100 s, system 0.130 s)"
inline std::string CpuText(const wire::Cpu& cpu) {
  return fmt::format("{} (user {}, system {})", SecondsText(cpu.total_ns), SecondsText(cpu.user_ns),
                     SecondsText(cpu.system_ns));
}

}  // namespace corral::cli

#endif  // CORRAL_CLI_CPU_TEXT_H_

#include "base/security_modules.h"

#include <fmt/format.h>

#include <fstream>

namespace corral {

std::string SecurityModules() {
  std::ifstream file("/sys/kernel/security/lsm");
  std::string list;
  std::getline(file, list);
  return list;
}

bool ListsModule(std::string_view modules, std::string_view name) {
  return fmt::format(",{},", modules).find(fmt::format(",{},", name)) != std::string::npos;
}

}  // namespace corral

// corral: the command line.
#include <string_view>

#include "cli/command_line.h"
#include "cli/complete.h"
#include "cli/output.h"
#include "wire/instance.h"

namespace corral::cli {
namespace {

int Main(int argc, char** argv) {
  if (argc > 1 && std::string_view(argv[1]) == "__complete") {
    return Complete({argv + 2, argv + argc});
  }
  auto line = ReadCommandLine(argc, argv);
  if (!line) return line.error();
  std::string& instance = line->context.instance;
  if (instance.empty()) {
    auto found = InstanceFromEnvironment();
    if (!found) {
      Say("CORRAL_INSTANCE: " + found.error().message);
      return kUsage;
    }
    instance = *found;
  } else if (auto good = CheckInstanceName(instance); !good) {
    Say(good.error().message);
    return kUsage;
  }
  return line->run(line->context);
}

}  // namespace
}  // namespace corral::cli

int main(int argc, char** argv) { return corral::cli::Main(argc, argv); }

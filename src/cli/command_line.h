// Reads what the user typed, as the forms of the commands describe it (command.h).
//
//   auto line = ReadCommandLine(argc, argv);
//   if (!line) return line.error();
//   return line->run(line->context);
#ifndef CORRAL_CLI_COMMAND_LINE_H_
#define CORRAL_CLI_COMMAND_LINE_H_

#include <expected>

#include "cli/command.h"

namespace corral::cli {

struct CommandLine {
  Context context;  // its instance is empty where none is named
  Action run;
};

// Or the exit code, when all is said: the help, the version, or what is wrong with the words.
std::expected<CommandLine, int> ReadCommandLine(int argc, char** argv);

}  // namespace corral::cli

#endif  // CORRAL_CLI_COMMAND_LINE_H_

// The commands of `corral`: each adds its options to the parser and says what runs.
//
// A new command is a function in the file of its group and a line in the table.
#ifndef CORRAL_CLI_COMMAND_H_
#define CORRAL_CLI_COMMAND_H_

#include <CLI/CLI.hpp>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace corral::cli {

// What every command knows: lives as long as the program.
struct Context {
  std::string instance;
  bool json = false;
  // `run` only: what follows `--`, word for word. The parser never sees it.
  std::optional<std::vector<std::string>> after_dashes;
};

// Runs after parsing; returns the exit code.
using Action = std::function<int(const Context&)>;

struct Command {
  const char* name;
  const char* summary;
  Action (*set_up)(CLI::App& parser);
};

std::span<const Command> Commands();

// mount_commands.cc
Action SetUpMount(CLI::App& parser);
Action SetUpUmount(CLI::App& parser);
// run_command.cc
Action SetUpRun(CLI::App& parser);
// tree_commands.cc
Action SetUpTree(CLI::App& parser);
Action SetUpLs(CLI::App& parser);
// task_commands.cc
Action SetUpPs(CLI::App& parser);
Action SetUpWait(CLI::App& parser);
// daemon_commands.cc
Action SetUpStatus(CLI::App& parser);
Action SetUpAudit(CLI::App& parser);
Action SetUpShutdown(CLI::App& parser);
// doctor.cc
Action SetUpDoctor(CLI::App& parser);

}  // namespace corral::cli

#endif  // CORRAL_CLI_COMMAND_H_

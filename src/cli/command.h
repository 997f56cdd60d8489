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
  // `run` and `exec` only: what follows `--`, word for word. The parser never sees it.
  std::optional<std::vector<std::string>> after_dashes;
};

// How a user names a group (target.h).
inline constexpr char kPathHelp[] = "A directory inside a mount, or HIERARCHY:/path";

// Runs after parsing; returns the exit code.
using Action = std::function<int(const Context&)>;

struct Command {
  const char* name;
  const char* usage;  // what follows the name
  const char* summary;
  const char* example;  // lines: what is typed, and what it does
  Action (*set_up)(CLI::App& parser);
  bool takes_command = false;  // what follows its own words is a command line
};

// All of them, in the order of `corral --help`. commands.cc
std::span<const Command> Commands();

// The command line that follows a command's own words. REQUIRES: the parser is prefix_command().
std::vector<std::string> CommandWords(const CLI::App& parser, const Context& context);

// complete.cc: `corral __complete WORD...`, which the shells' completions call: what the last
// word may become. The first line says what else the shell may offer (none, dirs, files,
// commands), then a line for each candidate: the word, a tab, what it is.
int Complete(CLI::App& app, const std::vector<std::string>& words);

// attach_commands.cc
Action SetUpAttach(CLI::App& parser);
Action SetUpExec(CLI::App& parser);
// group_commands.cc
Action SetUpMkdir(CLI::App& parser);
Action SetUpKill(CLI::App& parser);
Action SetUpRm(CLI::App& parser);
// events_command.cc
Action SetUpEvents(CLI::App& parser);
// why_command.cc
Action SetUpWhy(CLI::App& parser);
// mount_commands.cc
Action SetUpMount(CLI::App& parser);
Action SetUpUmount(CLI::App& parser);
// run_command.cc
Action SetUpRun(CLI::App& parser);
// stat_command.cc
Action SetUpStat(CLI::App& parser);
// top_command.cc
Action SetUpTop(CLI::App& parser);
// tree_commands.cc
Action SetUpTree(CLI::App& parser);
Action SetUpLs(CLI::App& parser);
// task_commands.cc
Action SetUpPs(CLI::App& parser);
Action SetUpWait(CLI::App& parser);
// daemon_commands.cc
Action SetUpStart(CLI::App& parser);
Action SetUpStatus(CLI::App& parser);
Action SetUpAudit(CLI::App& parser);
Action SetUpShutdown(CLI::App& parser);
// doctor.cc
Action SetUpDoctor(CLI::App& parser);

}  // namespace corral::cli

#endif  // CORRAL_CLI_COMMAND_H_

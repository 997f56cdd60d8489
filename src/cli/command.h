// The commands of `corral`: each says what words it takes, and what runs.
//
// A new command is a function in the file of its group and a line in the table (commands.cc).
#ifndef CORRAL_CLI_COMMAND_H_
#define CORRAL_CLI_COMMAND_H_

#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cli/argument.h"

namespace corral::cli {

// What every command knows: lives as long as the program.
struct Context {
  std::string instance;
  bool json = false;
  std::vector<std::string> command;  // of `run` and `exec`: what follows their own words
};

// Returns the exit code.
using Action = std::function<int(const Context&)>;

// A command's words, and what runs once they are read. The action owns what the arguments name.
struct Form {
  std::vector<Argument> arguments;
  Action run;
};

struct Command {
  const char* name;
  const char* usage;  // what follows the name
  const char* summary;
  const char* example;  // lines: what is typed, and what it does
  Form (*form)();
  bool takes_command = false;  // what follows its own words is a command line
};

// All of them, in the order of `corral --help`. commands.cc
std::span<const Command> Commands();
// nullptr: there is none.
const Command* FindCommand(std::string_view name);

// What stands before a command's name.
std::vector<Argument> GlobalArguments(Context& context);
// A command's form, and in it what every command takes.
Form FormOf(const Command& command, Context& context);

// How a user names a group (target.h).
inline constexpr char kPathHelp[] = "A directory inside a mount, or HIERARCHY:/path";
// The same, of a command that takes all groups where none is named.
inline constexpr char kPathOrAllHelp[] =
    "This group and those below it: a directory inside a mount, or HIERARCHY:/path "
    "(default: every hierarchy)";

Argument PathArgument(std::string& path, const char* help = kPathHelp);
Argument OptionalPathArgument(std::string& path, const char* help = kPathHelp);
// Of a command that takes a group, and nothing else.
Form FormWithPath(int (*run)(const Context&, const std::string& path),
                  const char* help = kPathHelp);

// attach_commands.cc
Form AttachForm();
Form ExecForm();
// group_commands.cc
Form MkdirForm();
Form KillForm();
Form RmForm();
// events_command.cc
Form EventsForm();
// why_command.cc
Form WhyForm();
// mount_commands.cc
Form MountForm();
Form UmountForm();
// run_command.cc
Form RunForm();
// stat_command.cc
Form StatForm();
// top_command.cc
Form TopForm();
// tree_commands.cc
Form TreeForm();
Form LsForm();
// task_commands.cc
Form PsForm();
Form WaitForm();
// daemon_commands.cc
Form StartForm();
Form StatusForm();
Form AuditForm();
Form ShutdownForm();
// doctor.cc
Form DoctorForm();

}  // namespace corral::cli

#endif  // CORRAL_CLI_COMMAND_H_

// corral: the command line.
#include <algorithm>
#include <string_view>

#include "cli/command.h"
#include "cli/output.h"
#include "client/instance.h"

namespace corral::cli {
namespace {

constexpr Command kCommands[] = {
    {"run", "Run a command in a group and wait until the whole group is empty", SetUpRun},
    {"mount", "Mount a hierarchy on a directory", SetUpMount},
    {"umount", "Unmount a hierarchy from a directory", SetUpUmount},
    {"tree", "Show hierarchies and their groups", SetUpTree},
    {"ls", "List the groups directly inside a group", SetUpLs},
    {"ps", "List the tasks in a group", SetUpPs},
    {"wait", "Wait until a group and all groups below it are empty", SetUpWait},
    {"status", "Show the daemon's state", SetUpStatus},
    {"audit", "Compare the daemon's tables with the tasks of the machine", SetUpAudit},
    {"doctor", "Check whether this machine can run corral, and what is missing", SetUpDoctor},
    {"shutdown", "End the daemon", SetUpShutdown},
};

// The command's name: the first word that is neither an option nor an option's value.
std::string_view FirstWord(std::span<char*> words) {
  for (std::size_t i = 0; i < words.size(); ++i) {
    const std::string_view word = words[i];
    if (word == "-i" || word == "--instance") {
      ++i;
    } else if (!word.starts_with('-')) {
      return word;
    }
  }
  return {};
}

// Takes `--` and what follows away from the parser, which would sort it into options.
void CutCommand(int& argc, char** argv, Context& context) {
  if (FirstWord({argv + 1, argv + argc}) != "run") return;
  char** const end = argv + argc;
  char** const dashes = std::find(argv + 1, end, std::string_view("--"));
  if (dashes == end) return;
  context.after_dashes.emplace(dashes + 1, end);
  argc = static_cast<int>(dashes - argv);
}

int Main(int argc, char** argv) {
  CLI::App app("Process containers in user space.", "corral");
  app.set_version_flag("--version", "corral " CORRAL_VERSION);
  app.require_subcommand(1);
  Context context;
  CutCommand(argc, argv, context);
  std::string instance;
  app.add_option("-i,--instance", instance,
                 "Speak to this instance (default: $CORRAL_INSTANCE, or `default`)");

  // CLI11 reports what went wrong by throwing; it goes no further than this function.
  Action chosen;
  for (const Command& command : Commands()) {
    CLI::App* parser = app.add_subcommand(command.name, command.summary);
    parser->add_flag("--json", context.json, "Print JSON");
    Action action = command.set_up(*parser);
    parser->callback([&chosen, action] { chosen = action; });
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);  // help, version
    const std::string_view word = FirstWord({argv + 1, argv + argc});
    const bool known = std::ranges::any_of(
        Commands(), [&](const Command& command) { return command.name == word; });
    Say(word.empty() || known ? std::string(error.what()) + "; see corral --help"
                              : fmt::format("there is no command '{}'; see corral --help", word));
    return kUsage;
  }

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
  context.instance = instance;
  return chosen(context);
}

}  // namespace

std::span<const Command> Commands() { return kCommands; }

}  // namespace corral::cli

int main(int argc, char** argv) { return corral::cli::Main(argc, argv); }

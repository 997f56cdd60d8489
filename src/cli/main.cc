// corral: the command line.
#include <algorithm>
#include <memory>
#include <string_view>

#include "cli/command.h"
#include "cli/output.h"
#include "wire/instance.h"

namespace corral::cli {
namespace {

const Command* FindCommand(std::string_view name) {
  for (const Command& command : Commands()) {
    if (command.name == name) return &command;
  }
  return nullptr;
}

// CLI11 knows neither the order of words nor that a command line follows.
class UsageFormatter : public CLI::Formatter {
 public:
  std::string make_usage(const CLI::App* app, std::string) const override {
    const Command* command = FindCommand(app->get_name());
    if (!command) return "Usage: corral [-i INSTANCE] COMMAND [--json] [ARGUMENTS]\n";
    return fmt::format("Usage: corral {} {}\n", command->name, command->usage);
  }
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
  const Command* command = FindCommand(FirstWord({argv + 1, argv + argc}));
  if (!command || !command->takes_command) return;
  char** const end = argv + argc;
  char** const dashes = std::find(argv + 1, end, std::string_view("--"));
  if (dashes == end) return;
  context.after_dashes.emplace(dashes + 1, end);
  argc = static_cast<int>(dashes - argv);
}

constexpr char kFooter[] =
    "A group is named by a directory inside a mount, or as HIERARCHY:/path; `corral tree` shows\n"
    "them all. The hierarchy `corral` is always there. `corral COMMAND --help` shows options and "
    "an\n"
    "example of each command; corral(1) has the rest.\n\n"
    "Exit status: 0 done, 1 failed, 2 wrong usage, 3 no daemon runs for this instance.\n"
    "`run` and `exec` end with their command's status: 128+N signal N, 127 not found, 126 not\n"
    "executable; 125 corral itself failed before the command ran.";

void AddCommands(CLI::App& app, Context& context, Action& chosen) {
  for (const Command& command : Commands()) {
    CLI::App* parser = app.add_subcommand(command.name, command.summary);
    parser->add_flag("--json", context.json, "Print JSON");
    Action action = command.set_up(*parser);
    parser->callback([&chosen, action] { chosen = action; });
    parser->footer(fmt::format("Example:\n{}", command.example));
  }
}

int BadUsage(const CLI::ParseError& error, std::string_view word) {
  const Command* command = FindCommand(word);
  if (!word.empty() && !command) {
    Say(fmt::format("there is no command '{}'; see corral --help", word));
  } else {
    Say(fmt::format("{}; see corral {}--help", error.what(),
                    command ? std::string(command->name) + " " : ""));
  }
  return kUsage;
}

int Main(int argc, char** argv) {
  CLI::App app("Process containers in user space.", "corral");
  app.formatter(std::make_shared<UsageFormatter>());
  app.get_formatter()->column_width(28);
  app.set_version_flag("--version", "corral " CORRAL_VERSION);
  app.require_subcommand(1);
  app.footer(kFooter);
  Context context;
  std::string instance;
  app.add_option("-i,--instance", instance,
                 "Speak to this instance (default: $CORRAL_INSTANCE, or `default`)");
  Action chosen;
  AddCommands(app, context, chosen);
  if (argc > 1 && std::string_view(argv[1]) == "__complete") {
    return Complete(app, {argv + 2, argv + argc});
  }
  CutCommand(argc, argv, context);
  try {  // CLI11 reports what went wrong by throwing; it goes no further than this function
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);  // help, version
    return BadUsage(error, FirstWord({argv + 1, argv + argc}));
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
}  // namespace corral::cli

int main(int argc, char** argv) { return corral::cli::Main(argc, argv); }

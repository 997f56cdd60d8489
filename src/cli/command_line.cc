// The only source that knows the library which reads command lines, CLI11: it is heavy, and what
// commands say of their words (argument.h) does not depend on it.
#include "cli/command_line.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>
#include <optional>

#include "cli/output.h"

namespace corral::cli {
namespace {

// CLI11 knows neither the order of words nor that a command line follows.
class UsageFormatter : public CLI::Formatter {
 public:
  std::string make_usage(const CLI::App* app, std::string) const override {
    const Command* command = FindCommand(app->get_name());
    if (!command) return "Usage: corral [-i INSTANCE] COMMAND [--json] [ARGUMENTS]\n";
    return fmt::format("Usage: corral {} {}\n", command->name, command->usage);
  }
};

// Adds one argument, by what its value is.
struct Adder {
  CLI::App& parser;
  const Argument& argument;

  template <class Variable>
  CLI::Option* Option(Variable* into) {
    return parser.add_option(argument.name, *into, argument.help);
  }

  CLI::Option* operator()(ShowHelp) { return parser.set_help_flag(argument.name, argument.help); }
  CLI::Option* operator()(ShowVersion) {
    return parser.set_version_flag(argument.name, "corral " CORRAL_VERSION, argument.help);
  }
  CLI::Option* operator()(bool* into) {
    return parser.add_flag(argument.name, *into, argument.help);
  }
  CLI::Option* operator()(std::string* into) { return Option(into); }
  CLI::Option* operator()(std::vector<std::string>* into) {
    CLI::Option* option = Option(into);
    return argument.IsOption() ? option->allow_extra_args(false) : option;
  }
  CLI::Option* operator()(const OneOf& one) {
    return Option(one.into)->check(CLI::IsMember(one.words));
  }
  CLI::Option* operator()(AtLeastOne number) {
    return Option(number.into)->check(CLI::PositiveNumber);
  }
  CLI::Option* operator()(WholeNumber number) {
    return Option(number.into)->check(CLI::Range(number.least, number.most));
  }
  CLI::Option* operator()(Fraction number) {
    return Option(number.into)->check(CLI::Range(number.least, number.most));
  }
};

void Add(CLI::App& parser, const std::vector<Argument>& arguments) {
  std::vector<CLI::Option*> added;
  for (const Argument& argument : arguments) {
    added.push_back(std::visit(Adder{parser, argument}, argument.value));
    added.back()->required(argument.traits.required);
    if (argument.traits.shown_as) added.back()->type_name(argument.traits.shown_as);
  }
  // Only now: one may be named before it is added.
  for (std::size_t i = 0; i < added.size(); ++i) {
    for (const char* other : arguments[i].traits.excludes) {
      added[i]->excludes(parser.get_option(other));
    }
  }
}

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
std::optional<std::vector<std::string>> CutCommand(int& argc, char** argv) {
  const Command* command = FindCommand(FirstWord({argv + 1, argv + argc}));
  if (!command || !command->takes_command) return std::nullopt;
  char** const end = argv + argc;
  char** const dashes = std::find(argv + 1, end, std::string_view("--"));
  if (dashes == end) return std::nullopt;
  argc = static_cast<int>(dashes - argv);
  return std::vector<std::string>(dashes + 1, end);
}

// The command line that follows a command's own words.
std::vector<std::string> CommandWords(const CLI::App& parser,
                                      const std::optional<std::vector<std::string>>& after_dashes) {
  std::vector<std::string> words = parser.remaining();
  if (after_dashes) {
    // `run make -- all`: those dashes are make's.
    if (!words.empty()) words.push_back("--");
    words.insert(words.end(), after_dashes->begin(), after_dashes->end());
  }
  return words;
}

constexpr char kFooter[] =
    "A group is named by a directory inside a mount, or as HIERARCHY:/path; `corral tree` shows\n"
    "them all. The hierarchy `corral` is always there. `corral COMMAND --help` shows options and "
    "an\n"
    "example of each command; corral(1) has the rest.\n\n"
    "Exit status: 0 done, 1 failed, 2 wrong usage, 3 no daemon runs for this instance.\n"
    "`run` and `exec` end with their command's status: 128+N signal N, 127 not found, 126 not\n"
    "executable; 125 corral itself failed before the command ran.";

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

}  // namespace

std::expected<CommandLine, int> ReadCommandLine(int argc, char** argv) {
  CLI::App app("Process containers in user space.", "corral");
  app.formatter(std::make_shared<UsageFormatter>());
  app.get_formatter()->column_width(28);
  app.require_subcommand(1);
  app.footer(kFooter);
  CommandLine line;
  Add(app, GlobalArguments(line.context));
  for (const Command& command : Commands()) {
    CLI::App* parser = app.add_subcommand(command.name, command.summary);
    const Form form = FormOf(command, line.context);
    Add(*parser, form.arguments);
    if (command.takes_command) parser->prefix_command();
    parser->callback([&line, run = form.run] { line.run = run; });
    parser->footer(fmt::format("Example:\n{}", command.example));
  }
  const auto after_dashes = CutCommand(argc, argv);
  try {  // CLI11 reports what went wrong by throwing; it goes no further than this function
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return std::unexpected(app.exit(error));  // help, version
    return std::unexpected(BadUsage(error, FirstWord({argv + 1, argv + argc})));
  }
  line.context.command = CommandWords(*app.get_subcommands().front(), after_dashes);
  return line;
}

}  // namespace corral::cli

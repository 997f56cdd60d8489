// What the word under the cursor may become: from the parser itself, so that a new command or
// option is completed without anybody thinking of it.
#include <unistd.h>

#include <cstdio>
#include <filesystem>

#include "base/text.h"
#include "cli/command.h"
#include "cli/output.h"
#include "cli/target.h"
#include "client/client.h"
#include "wire/instance.h"

namespace corral::cli {
namespace {

// Offers only what begins with `word`, and what a line can hold.
class Candidates {
 public:
  explicit Candidates(std::string word) : word_(std::move(word)) {}

  void Offer(const std::string& text, const std::string& about = "") {
    // A name with control characters would act on the terminal when the shell shows what there is.
    if (!text.starts_with(word_) || Harmless(text) != text) return;
    lines_ += text + "\t" + Harmless(about) + "\n";
  }
  const std::string& word() const { return word_; }
  // What the shell adds: none, dirs, files, commands.
  void Also(const char* kind) { also_ = kind; }
  void Print() const { std::printf("%s\n%s", also_, lines_.c_str()); }

 private:
  const std::string word_;
  const char* also_ = "none";
  std::string lines_;
};

// The words before the one that is completed.
struct Before {
  std::string instance;
  CLI::App* command = nullptr;
  std::size_t positionals = 0;
  CLI::Option* wants_value = nullptr;  // the last word is an option whose value comes now
  bool in_command_line = false;        // of `run` or `exec`
  bool command_named = false;          // its first word is there
};

bool TakesCommand(const std::string& name) {
  for (const Command& command : Commands()) {
    if (command.name == name) return command.takes_command;
  }
  return false;
}

std::vector<CLI::Option*> PositionalsOf(CLI::App& parser) {
  return parser.get_options([](const CLI::Option* option) { return option->get_positional(); });
}

void ReadPositional(CLI::App& app, const std::string& word, Before& before) {
  if (!before.command) {
    for (CLI::App* one : app.get_subcommands([](const CLI::App*) { return true; })) {
      if (one->get_name() == word) before.command = one;
    }
    return;
  }
  const bool own = before.positionals < PositionalsOf(*before.command).size();
  if (TakesCommand(before.command->get_name()) && !own) {
    before.in_command_line = before.command_named = true;
  }
  ++before.positionals;
}

Before Read(CLI::App& app, const std::vector<std::string>& words) {
  Before before;
  for (std::size_t i = 0; i + 1 < words.size() && !before.in_command_line; ++i) {
    const std::string& word = words[i];
    if (before.wants_value) {
      if (!before.command) before.instance = word;
      before.wants_value = nullptr;
    } else if (word == "--") {
      before.in_command_line = before.command && TakesCommand(before.command->get_name());
      before.command_named = i + 2 < words.size();
    } else if (word.starts_with('-')) {
      const CLI::App& parser = before.command ? *before.command : app;
      auto* option = const_cast<CLI::Option*>(parser.get_option_no_throw(word));
      if (option && option->get_items_expected_max() > 0) before.wants_value = option;
    } else {
      ReadPositional(app, word, before);
    }
  }
  return before;
}

// ---- what values there are

// `HIERARCHY:/` for each, or the groups in the one that is being typed; and directories.
void OfferGroups(const std::string& instance, Candidates& candidates) {
  candidates.Also("dirs");
  auto client = Client::Connect(instance);
  if (!client) return;
  const auto typed = SplitHierarchyPath(candidates.word());
  if (!typed) {
    const auto status = client->Call(wire::Status());
    if (!status) return;
    for (const wire::Status::Hierarchy& one : status->hierarchies) {
      candidates.Offer(one.name + ":/", "hierarchy");
    }
    return;
  }
  const std::string parent = typed->path.substr(0, typed->path.rfind('/') + 1);
  candidates.Also("none");
  const wire::Tree children{.depth = 1};
  const auto answer = ListOn(*client, children, typed->hierarchy + ":" + parent);
  if (!answer) return;
  for (std::size_t i = 1; i < answer->listing.size(); ++i) {
    const Listing::Group& child = answer->listing[i];
    candidates.Offer(typed->hierarchy + ":" + parent + child.name,
                     Counted(child.tasks, "task", "tasks"));
  }
}

// The last of a list with commas.
void OfferMountOptions(Candidates& candidates) {
  const std::string& word = candidates.word();
  const std::string before = word.substr(0, word.rfind(',') + 1);
  for (const char* option :
       {"none", "all", "name=", "release_agent=", "agent_user=", "compat=corral", "compat=linux",
        "compat=v11", "compat=v6", "clone_children", "noprefix", "remount", "ro", "nosuid", "nodev",
        "noexec"}) {
    candidates.Offer(before + option);
  }
}

void OfferInstances(Candidates& candidates) {
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator("/run/corral", ignored)) {
    candidates.Offer(entry.path().filename().string(), "instance");
  }
}

void OfferValue(const CLI::Option& option, const std::string& instance, Candidates& candidates) {
  const std::string name = option.get_name();
  if (name == "PATH" || name == "--group") {
    OfferGroups(instance, candidates);
  } else if (name == "DIR") {
    candidates.Also("dirs");
  } else if (name == "--plugin") {
    candidates.Also("files");
  } else if (name == "--options") {
    OfferMountOptions(candidates);
  } else if (name == "--instance") {
    OfferInstances(candidates);
  }
}

void OfferOptions(const CLI::App& parser, Candidates& candidates) {
  for (const CLI::Option* option : parser.get_options()) {
    for (const std::string& name : option->get_lnames()) {
      candidates.Offer("--" + name, option->get_description());
    }
    for (const std::string& name : option->get_snames()) {
      candidates.Offer("-" + name, option->get_description());
    }
  }
}

std::string InstanceOf(const Before& before) {
  if (!before.instance.empty()) return before.instance;
  return InstanceFromEnvironment().value_or("default");
}

}  // namespace

int Complete(CLI::App& app, const std::vector<std::string>& words) {
  ::alarm(2);  // a daemon that does not answer must not hold the prompt
  Candidates candidates(words.empty() ? "" : words.back());
  const Before before = Read(app, words);
  if (before.wants_value) {
    OfferValue(*before.wants_value, InstanceOf(before), candidates);
  } else if (before.in_command_line) {
    candidates.Also(before.command_named ? "files" : "commands");
  } else if (candidates.word().starts_with('-')) {
    OfferOptions(before.command ? *before.command : app, candidates);
  } else if (!before.command) {
    for (const Command& command : Commands()) candidates.Offer(command.name, command.summary);
  } else {
    const auto positionals = PositionalsOf(*before.command);
    if (before.positionals < positionals.size()) {
      OfferValue(*positionals[before.positionals], InstanceOf(before), candidates);
    } else if (TakesCommand(before.command->get_name())) {
      candidates.Also("commands");
    }
  }
  candidates.Print();
  return kOk;
}

}  // namespace corral::cli

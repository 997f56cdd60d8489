// What the word under the cursor may become: from what the commands say of their words, so that
// a new command or option is completed without anybody thinking of it.
#include "cli/complete.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <utility>

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
  const Command* command = nullptr;
  std::vector<Argument> arguments;        // corral's, then the command's; nothing is read into them
  std::size_t operands = 0;               // how many of the command's are there
  const Argument* wants_value = nullptr;  // the last word is an option whose value comes now
  bool in_command_line = false;           // of `run` or `exec`
  bool command_named = false;             // its first word is there

  bool TakesCommand() const { return command && command->takes_command; }
  const Argument* OptionNamed(const std::string& word) const;
  // Whose turn it is; nullptr: all are there.
  const Argument* NextOperand() const;
};

// "-a,--all": `--all`, then `-a`.
std::vector<std::string> NamesOf(const Argument& option) {
  const std::string names = option.name;
  const std::size_t comma = names.find(',');
  if (comma == std::string::npos) return {names};
  return {names.substr(comma + 1), names.substr(0, comma)};
}

const Argument* Before::OptionNamed(const std::string& word) const {
  for (const Argument& argument : arguments) {
    if (argument.IsOption() && std::ranges::count(NamesOf(argument), word)) return &argument;
  }
  return nullptr;
}

const Argument* Before::NextOperand() const {
  std::size_t skip = operands;
  for (const Argument& argument : arguments) {
    if (!argument.IsOption() && skip-- == 0) return &argument;
  }
  return nullptr;
}

// A word that is neither an option nor its value.
void ReadPlainWord(const std::string& word, Context& context, Before& before) {
  if (!before.command) {
    before.command = FindCommand(word);
    if (before.command) before.arguments = FormOf(*before.command, context).arguments;
    return;
  }
  if (before.TakesCommand() && !before.NextOperand()) {
    before.in_command_line = before.command_named = true;
  }
  ++before.operands;
}

Before Read(const std::vector<std::string>& words, Context& context) {
  Before before{.arguments = GlobalArguments(context)};
  for (std::size_t i = 0; i + 1 < words.size() && !before.in_command_line; ++i) {
    const std::string& word = words[i];
    if (before.wants_value) {
      if (!before.command) before.instance = word;
      before.wants_value = nullptr;
    } else if (word == "--") {
      before.in_command_line = before.TakesCommand();
      before.command_named = i + 2 < words.size();
    } else if (word.starts_with('-')) {
      const Argument* option = before.OptionNamed(word);
      if (option && !option->IsFlag()) before.wants_value = option;
    } else {
      ReadPlainWord(word, context, before);
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

void OfferValue(const Argument& argument, const std::string& instance, Candidates& candidates) {
  switch (argument.traits.offer) {
    case Offer::kNothing: break;
    case Offer::kGroups: OfferGroups(instance, candidates); break;
    case Offer::kDirectories: candidates.Also("dirs"); break;
    case Offer::kFiles: candidates.Also("files"); break;
    case Offer::kMountOptions: OfferMountOptions(candidates); break;
    case Offer::kInstances: OfferInstances(candidates); break;
  }
}

void OfferOptions(const std::vector<Argument>& arguments, Candidates& candidates) {
  for (const Argument& argument : arguments) {
    if (!argument.IsOption()) continue;
    for (const std::string& name : NamesOf(argument)) candidates.Offer(name, argument.help);
  }
}

std::string InstanceOf(const Before& before) {
  if (!before.instance.empty()) return before.instance;
  return InstanceFromEnvironment().value_or("default");
}

}  // namespace

int Complete(const std::vector<std::string>& words) {
  ::alarm(2);  // a daemon that does not answer must not hold the prompt
  Candidates candidates(words.empty() ? "" : words.back());
  Context context;
  const Before before = Read(words, context);
  if (before.wants_value) {
    OfferValue(*before.wants_value, InstanceOf(before), candidates);
  } else if (before.in_command_line) {
    candidates.Also(before.command_named ? "files" : "commands");
  } else if (candidates.word().starts_with('-')) {
    OfferOptions(before.arguments, candidates);
  } else if (!before.command) {
    for (const Command& command : Commands()) candidates.Offer(command.name, command.summary);
  } else if (const Argument* operand = before.NextOperand()) {
    OfferValue(*operand, InstanceOf(before), candidates);
  } else if (before.TakesCommand()) {
    candidates.Also("commands");
  }
  candidates.Print();
  return kOk;
}

}  // namespace corral::cli

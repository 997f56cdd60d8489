// What a command's own words mean, as data: command lines are read, `--help` is written and
// shells complete from the same rows.
//
//   auto options = std::make_shared<Options>();
//   std::vector<Argument> arguments = {
//       {"-a,--all", &options->all, "Show all of them"},
//       {"DIR", &options->dir, "Where to look", {.required = true, .offer = Offer::kDirectories}}};
//
// ReadCommandLine() (command_line.h) sets the variables. Who completes a word only reads the rows.
#ifndef CORRAL_CLI_ARGUMENT_H_
#define CORRAL_CLI_ARGUMENT_H_

#include <cstddef>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace corral::cli {

// Ends the program with the help, or with the version.
struct ShowHelp {};
struct ShowVersion {};

struct OneOf {
  std::string* into;
  std::vector<std::string> words;
};

struct AtLeastOne {
  std::size_t* into;
};

struct WholeNumber {
  std::optional<unsigned>* into;
  unsigned least, most;
};

struct Fraction {
  double* into;
  double least, most;
};

// Where what the user wrote goes to, which says also what he may write. A list is an option that
// may be repeated, or an operand that takes all words that are left.
using Value = std::variant<ShowHelp, ShowVersion, bool*, std::string*, std::vector<std::string>*,
                           OneOf, AtLeastOne, WholeNumber, Fraction>;

// What a shell offers for a value (complete.cc).
enum class Offer { kNothing, kGroups, kDirectories, kFiles, kMountOptions, kInstances };

struct Argument {
  const char* name;  // "-a,--all" of an option, "DIR" of an operand
  Value value;
  const char* help;

  struct Traits {
    bool required = false;
    Offer offer = Offer::kNothing;
    const char* shown_as = nullptr;          // the value, in the help; nullptr: as its type says
    std::vector<const char*> excludes = {};  // options, each by one name
  } traits = {};

  bool IsOption() const { return name[0] == '-'; }
  bool IsFlag() const {
    return std::holds_alternative<bool*>(value) || std::holds_alternative<ShowHelp>(value) ||
           std::holds_alternative<ShowVersion>(value);
  }
};

}  // namespace corral::cli

#endif  // CORRAL_CLI_ARGUMENT_H_

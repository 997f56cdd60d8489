// Step: one line of a script, for people and for the driver alike.
//
//   mount m1 none,name=jobs,compat=corral
//   mkdir m1 /a 755 22
//   as 1000 write m1 /a/tasks "%t3\n"
//   fork t3 t4
//
// Words are separated by blanks; one with a blank, a quote, a backslash, a control character or
// a byte beyond ASCII is quoted, with \n, \\, \" and \xNN. An empty line and what follows a #
// are nothing. Which verbs there are: verbs.h.
#ifndef CORRAL_TESTS_RANDOM_STEP_H_
#define CORRAL_TESTS_RANDOM_STEP_H_

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace corral::random {

struct Step {
  std::string verb;
  std::vector<std::string> args;
  unsigned uid = 0;  // who does it

  const std::string& arg(std::size_t n) const { return args.at(n); }
  bool operator==(const Step&) const = default;
};

using Script = std::vector<Step>;

std::string Format(const Step& step);
std::string Format(const Script& script);
// Empty for a line that says nothing. Ends the program on a line that is none, and says why.
std::optional<Step> ParseLine(std::string_view line);
Script ParseScript(std::string_view text);

// %NAME in a text that is to be written becomes what `lookup` says of NAME; where it says
// nothing, the text stays. NAME is letters and digits.
std::string Substitute(std::string_view text,
                       const std::function<std::optional<std::string>(const std::string&)>& lookup);

}  // namespace corral::random

#endif  // CORRAL_TESTS_RANDOM_STEP_H_

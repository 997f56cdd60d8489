// `corral __complete WORD...`, which the shells' completions call.
#ifndef CORRAL_CLI_COMPLETE_H_
#define CORRAL_CLI_COMPLETE_H_

#include <string>
#include <vector>

namespace corral::cli {

// Prints what the last word may become. The first line says what else the shell may offer (none,
// dirs, files, commands), then a line for each candidate: the word, a tab, what it is. Returns the
// exit code.
int Complete(const std::vector<std::string>& words);

}  // namespace corral::cli

#endif  // CORRAL_CLI_COMPLETE_H_

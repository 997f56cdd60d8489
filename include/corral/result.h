// Result<T>: a value, or an Error that carries an errno and one sentence.
//
// The errno is what the user of a control file sees; the sentence is what the log
// and the command line say. Nothing in corral throws across its own interfaces.
//
//   Result<Tid> tid = ParseTid(text);
//   if (!tid) return Fail(tid.error());
//   if (*tid < 0) return Fail(ESRCH, "no task {}", *tid);
#ifndef CORRAL_RESULT_H_
#define CORRAL_RESULT_H_

#include <fmt/format.h>

#include <expected>
#include <string>
#include <utility>

namespace corral {

struct Error {
  int code = 0;         // errno, never 0
  std::string message;  // one sentence: what was wrong and, where known, the remedy
};

template <typename T>
using Result = std::expected<T, Error>;

template <typename... Args>
std::unexpected<Error> Fail(int code, fmt::format_string<Args...> format, Args&&... args) {
  return std::unexpected(Error{code, fmt::format(format, std::forward<Args>(args)...)});
}

inline std::unexpected<Error> Fail(Error error) { return std::unexpected(std::move(error)); }

}  // namespace corral

#endif  // CORRAL_RESULT_H_

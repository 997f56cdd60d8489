// What most functions that can fail need: pass an error on, make one of errno.
//
//   const Tid tid = TRY(ParseTid(text));           // or return its error
//   TRY(registry.Attach(group, tid, {}));          // nothing to keep
//   if (fd < 0) return FailErrno("cannot open {}", path);  // "...: No such file or directory"
#ifndef CORRAL_BASE_ERRORS_H_
#define CORRAL_BASE_ERRORS_H_

#include <corral/result.h>

#include <cerrno>
#include <cstring>
#include <string>
#include <type_traits>
#include <utility>

namespace corral {

// The error of a system call that failed with `error`: the sentence, a colon, what errno means.
template <typename... Args>
std::unexpected<Error> FailErrno(int error, fmt::format_string<Args...> format, Args&&... args) {
  std::string message = fmt::format(format, std::forward<Args>(args)...);
  message.append(": ").append(std::strerror(error));
  return std::unexpected(Error{error, std::move(message)});
}

// The same of errno as it is.
template <typename... Args>
std::unexpected<Error> FailErrno(fmt::format_string<Args...> format, Args&&... args) {
  return FailErrno(errno, format, std::forward<Args>(args)...);
}

namespace detail {

template <typename T>
T ValueOf(Result<T>&& result) {
  if constexpr (!std::is_void_v<T>) return *std::move(result);
}

}  // namespace detail
}  // namespace corral

// The value of a Result; if it has none, returns its error from the function this stands in.
// One that is named is moved from.
#define TRY(...) CORRAL_TRY_AS(CORRAL_TRY_NAME(__COUNTER__), __VA_ARGS__)
#define CORRAL_TRY_NAME(number) CORRAL_TRY_JOIN(number)
#define CORRAL_TRY_JOIN(number) corral_tried_##number
#define CORRAL_TRY_AS(tried, ...)                                \
  __extension__({                                                \
    auto&& tried = (__VA_ARGS__);                                \
    if (!tried) return ::corral::Fail(std::move(tried).error()); \
    ::corral::detail::ValueOf(std::move(tried));                 \
  })

#endif  // CORRAL_BASE_ERRORS_H_

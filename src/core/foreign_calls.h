// Calls of code that is not ours: a plug-in, a function of an embedding program. It is not trusted:
// an exception that leaves it becomes an error, or a line of the log where nobody can be answered.
#ifndef CORRAL_CORE_FOREIGN_CALLS_H_
#define CORRAL_CORE_FOREIGN_CALLS_H_

#include <corral/subsystem.h>

#include <cerrno>
#include <exception>
#include <functional>
#include <string_view>
#include <type_traits>
#include <vector>

namespace corral {

// `fn`'s answer, a Result; void is one without a value. An exception becomes EIO, with what it
// says. `who` names what was called, for that message only.
template <typename Who, typename Fn>
auto CallForeign(const Who& who, const Fn& fn) {
  using Answer = decltype(fn());
  if constexpr (std::is_void_v<Answer>) {
    return CallForeign(who, [&]() -> Result<void> {
      fn();
      return {};
    });
  } else {
    try {
      return fn();
    } catch (const std::exception& thrown) {
      return Answer(Fail(EIO, "{} failed: {}", who(), thrown.what()));
    } catch (...) {
      return Answer(Fail(EIO, "{} failed", who()));
    }
  }
}

template <typename Fn>
auto Guarded(const Subsystem& subsystem, std::string_view what, const Fn& fn) {
  return CallForeign([&] { return fmt::format("subsystem {}: {}", subsystem.name(), what); }, fn);
}

// The same where nobody can be answered: it is logged. False: it threw.
bool GuardedTell(const Subsystem& subsystem, std::string_view what,
                 const std::function<void()>& fn);

// Its files; none where Files() throws, which is logged.
std::vector<SubsystemFile> FilesOf(Subsystem& subsystem);

}  // namespace corral

#endif  // CORRAL_CORE_FOREIGN_CALLS_H_

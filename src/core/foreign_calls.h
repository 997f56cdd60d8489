// Calls of code that is not ours: a plug-in, a function of an embedding program. It is not trusted:
// an exception that leaves it becomes an error, or a line of the log where nobody can be answered.
#ifndef CORRAL_CORE_FOREIGN_CALLS_H_
#define CORRAL_CORE_FOREIGN_CALLS_H_

#include <corral/subsystem.h>

#include <cerrno>
#include <exception>
#include <functional>
#include <string_view>
#include <vector>

namespace corral {

// `fn`'s answer; an exception becomes EIO, with what it says. `who` names what was called, for
// that message only.
template <typename Who, typename Fn>
auto CallForeign(Who who, Fn fn) -> decltype(fn()) {
  try {
    return fn();
  } catch (const std::exception& thrown) {
    return Fail(EIO, "{} failed: {}", who(), thrown.what());
  } catch (...) {
    return Fail(EIO, "{} failed", who());
  }
}

template <typename Fn>
auto Guarded(const Subsystem& subsystem, std::string_view what, Fn fn) -> decltype(fn()) {
  return CallForeign([&] { return fmt::format("subsystem {}: {}", subsystem.name(), what); }, fn);
}

// The same where nobody can be answered: it is logged. False: it threw.
bool GuardedTell(const Subsystem& subsystem, std::string_view what,
                 const std::function<void()>& fn);

// Its files; none where Files() throws, which is logged.
std::vector<SubsystemFile> FilesOf(Subsystem& subsystem);

}  // namespace corral

#endif  // CORRAL_CORE_FOREIGN_CALLS_H_

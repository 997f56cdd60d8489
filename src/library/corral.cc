// corral.h over GroupCalls: negative errno for Result, nothing thrown.
#include <corral/corral.h>

#include <cerrno>
#include <exception>
#include <memory>
#include <new>
#include <type_traits>

#include "library/group_calls.h"

struct corral_instance {
  explicit corral_instance(std::string name) : calls(std::move(name)) {}
  ::corral::GroupCalls calls;
};

namespace {

using ::corral::Error;
using ::corral::Result;

std::string& LastError() {
  thread_local std::string text;
  return text;
}

int Failed(const Error& error) {
  LastError() = error.message;
  return -error.code;
}

// `fn`'s value as a number of the C interface.
template <typename Number, typename Fn>
Number Answer(Fn fn) {
  try {
    const auto result = fn();
    if (!result) return Failed(result.error());
    if constexpr (std::is_void_v<typename decltype(fn())::value_type>) {
      return 0;
    } else {
      return static_cast<Number>(*result);
    }
  } catch (const std::bad_alloc&) {
    LastError().clear();
    return -ENOMEM;
  } catch (const std::exception& thrown) {
    return Failed({EIO, thrown.what()});
  }
}

template <typename Number, typename Fn>
Number OnGroup(corral_t* corral, const char* group, Fn fn) {
  if (corral == nullptr || group == nullptr) return Failed({EINVAL, "a pointer is NULL"});
  return Answer<Number>([&] { return fn(corral->calls, std::string(group)); });
}

Result<std::size_t> CountOf(const Result<std::vector<pid_t>>& pids) {
  if (!pids) return ::corral::Fail(pids.error());
  return pids->size();
}

}  // namespace

int corral_open(const char* instance, corral_t** opened) {
  if (opened == nullptr) return Failed({EINVAL, "a pointer is NULL"});
  *opened = nullptr;
  return Answer<int>([&]() -> Result<void> {
    auto name = ::corral::GroupCalls::InstanceNamed(instance != nullptr ? instance : "");
    if (!name) return ::corral::Fail(name.error());
    auto made = std::make_unique<corral_t>(std::move(*name));
    if (auto runs = made->calls.Ping(); !runs) return runs;
    *opened = made.release();
    return {};
  });
}

void corral_close(corral_t* corral) { delete corral; }

int corral_create(corral_t* corral, const char* group) {
  return OnGroup<int>(corral, group,
                      [](auto& calls, const std::string& path) { return calls.Create(path); });
}

int corral_enter(corral_t* corral, const char* group, pid_t process) {
  return OnGroup<int>(corral, group, [&](auto& calls, const std::string& path) {
    return calls.Enter(path, process);
  });
}

pid_t corral_spawn(corral_t* corral, const char* group, char* const argv[]) {
  if (argv == nullptr) return Failed({EINVAL, "a pointer is NULL"});
  return OnGroup<pid_t>(corral, group, [&](auto& calls, const std::string& path) {
    std::vector<std::string> command;
    for (char* const* word = argv; *word != nullptr; ++word) command.emplace_back(*word);
    return calls.Spawn(path, command);
  });
}

int corral_wait_empty(corral_t* corral, const char* group, int timeout_ms) {
  using std::chrono::milliseconds;
  const auto timeout = timeout_ms < 0 ? milliseconds::max() : milliseconds(timeout_ms);
  return OnGroup<int>(corral, group, [&](auto& calls, const std::string& path) {
    return calls.WaitEmpty(path, timeout);
  });
}

ssize_t corral_list(corral_t* corral, const char* group, pid_t* processes, size_t room) {
  if (processes == nullptr && room != 0) return Failed({EINVAL, "a pointer is NULL"});
  return OnGroup<ssize_t>(corral, group, [&](auto& calls, const std::string& path) {
    const auto pids = calls.List(path);
    for (std::size_t i = 0; pids && i < pids->size() && i < room; ++i) processes[i] = (*pids)[i];
    return CountOf(pids);
  });
}

int corral_kill(corral_t* corral, const char* group) {
  return OnGroup<int>(corral, group, [](auto& calls, const std::string& path) {
    return CountOf(calls.Kill(path));
  });
}

int corral_remove(corral_t* corral, const char* group) {
  return OnGroup<int>(corral, group,
                      [](auto& calls, const std::string& path) { return calls.Remove(path); });
}

const char* corral_error_text(void) { return LastError().c_str(); }

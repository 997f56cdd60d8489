// Threads that may not come to be, and what may fly out of their work. A program that serves others
// answers who asked with an error and goes on; so nothing leaves a thread's function.
#ifndef CORRAL_BASE_THREAD_H_
#define CORRAL_BASE_THREAD_H_

#include <corral/result.h>
#include <signal.h>

#include <cerrno>
#include <exception>
#include <new>
#include <system_error>
#include <thread>
#include <utility>

namespace corral {

// The exception under way, as what is told to who asked. Where memory is short the sentence is
// short as well: it must not need any. REQUIRES: called within a catch block.
inline Error CaughtError() {
  try {
    throw;
  } catch (const std::bad_alloc&) {
    return {ENOMEM, "out of memory"};
  } catch (const std::system_error& e) {
    return {e.code().value() > 0 ? e.code().value() : EIO, e.what()};
  } catch (const std::exception& e) {
    return {EIO, e.what()};
  } catch (...) {
    return {EIO, "failed"};
  }
}

// The errno alone, for where nothing more may fail.
inline int CaughtErrno() noexcept {
  try {
    return CaughtError().code;
  } catch (...) {
    return ENOMEM;
  }
}

// EAGAIN: no more threads are to be had.
template <typename Work>
Result<std::thread> StartThread(Work&& work) {
  try {
    return std::thread(std::forward<Work>(work));
  } catch (...) {
    const Error error = CaughtError();
    return Fail(error.code, "no thread can be started: {}", error.message);
  }
}

// The same for a thread that no signal of the process comes to: those are for who reads signalfds.
template <typename Work>
Result<std::thread> StartThreadWithoutSignals(Work&& work) {
  sigset_t all, before;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_BLOCK, &all, &before);
  auto thread = StartThread(std::forward<Work>(work));
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return thread;
}

}  // namespace corral

#endif  // CORRAL_BASE_THREAD_H_

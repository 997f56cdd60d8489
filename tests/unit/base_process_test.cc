// Handles of processes, standard files, poll and threads as base makes them.
#include "base/process.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <cerrno>
#include <csignal>
#include <thread>

#include "base/poll.h"
#include "base/thread.h"
#include "support/matchers.h"

namespace corral {
namespace {

// What the child's exit status says, or -1.
int StatusOfChild(int (*run)()) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(run());
  int status = 0;
  return ::waitpid(child, &status, 0) == child && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TEST(Pidfd, IsReadableAtTheEndAndReachesNobodyElse) {
  const pid_t child = ::fork();
  if (child == 0) {
    for (;;) ::pause();
  }
  auto pidfd = OpenPidfd(child);
  ASSERT_THAT(pidfd, IsOk());
  EXPECT_EQ(::fcntl(pidfd->get(), F_GETFD), FD_CLOEXEC);
  EXPECT_THAT(SendSignal(*pidfd, SIGKILL), IsOk());
  pollfd end{.fd = pidfd->get(), .events = POLLIN, .revents = 0};
  EXPECT_EQ(PollAll({&end, 1}, 10'000), 1);
  ASSERT_EQ(::waitpid(child, nullptr, 0), child);
  EXPECT_THAT(SendSignal(*pidfd, SIGKILL), FailsWith(ESRCH));
  EXPECT_THAT(OpenPidfd(child), FailsWith(ESRCH));
}

TEST(Pidfd, OfAThreadIsOfNoProcess) {
  std::thread([] { EXPECT_THAT(OpenPidfd(::gettid()), FailsWith(ESRCH)); }).join();
}

TEST(StandardFiles, LeadNowhereAlsoWhereTheyWereClosed) {
  const auto all_are_null = [] {
    if (!StandardFilesToNull()) return 1;
    for (int fd = 0; fd <= 2; ++fd) {
      char byte = 0;
      if (::fcntl(fd, F_GETFD) != 0) return 2;  // there after an exec as well
      if (::read(fd, &byte, 1) != 0 || ::write(fd, &byte, 1) != 1) return 3;
    }
    return ::fcntl(3, F_GETFD) == -1 ? 0 : 4;
  };
  static const auto check = +all_are_null;
  EXPECT_EQ(StatusOfChild([] {
              ::close_range(3, ~0U, 0);
              return check();
            }),
            0);
  EXPECT_EQ(StatusOfChild([] {
              ::close_range(0, ~0U, 0);
              return check();
            }),
            0);
}

TEST(PollAll, AsksEachWhereFewerMayBeOpen) {
  EXPECT_EQ(StatusOfChild([] {
              int ends[2];
              if (::pipe(ends) != 0 || ::write(ends[1], "x", 1) != 1) return 1;
              const rlimit one{1, 1};
              if (::setrlimit(RLIMIT_NOFILE, &one) != 0) return 2;
              pollfd both[] = {{.fd = ends[1], .events = 0, .revents = 0},
                               {.fd = ends[0], .events = POLLIN, .revents = 0}};
              if (::poll(both, 2, 0) != -1 || errno != EINVAL) return 3;
              if (PollAll(both, -1) != 1) return 4;
              return both[0].revents == 0 && both[1].revents == POLLIN ? 0 : 5;
            }),
            0);
}

TEST(Thread, WithoutSignalsLeavesOursAsTheyWere) {
  sigset_t before, after, inside;
  ::pthread_sigmask(SIG_SETMASK, nullptr, &before);
  auto thread =
      StartThreadWithoutSignals([&] { ::pthread_sigmask(SIG_SETMASK, nullptr, &inside); });
  ASSERT_THAT(thread, IsOk());
  thread->join();
  ::pthread_sigmask(SIG_SETMASK, nullptr, &after);
  EXPECT_EQ(::sigismember(&inside, SIGTERM) + ::sigismember(&inside, SIGINT), 2);
  EXPECT_EQ(::sigismember(&after, SIGTERM), ::sigismember(&before, SIGTERM));
}

}  // namespace
}  // namespace corral

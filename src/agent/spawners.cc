#include "agent/spawners.h"

#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "base/log.h"

namespace corral {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// One that lived so long had no trouble; one that did not is replaced ever more slowly.
constexpr seconds kGoodLife{60};
constexpr milliseconds kFirstPause{100};
constexpr milliseconds kLongestPause{30000};
constexpr seconds kPauseAfterFailure{1};
constexpr unsigned kDeathsToTell = 3;

}  // namespace

Spawners::Spawners(Fd program, SpawnerProcess first)
    : program_(std::move(program)), pid_(first.pid) {
  all_.push_back({.number = 1, .process = std::move(first), .began = Clock::now()});
}

Spawners::~Spawners() {
  for (const One& spawner : all_) {
    if (spawner.dead) continue;
    ::kill(spawner.process.pid, SIGKILL);
    ::waitpid(spawner.process.pid, nullptr, 0);
  }
}

pid_t Spawners::pid() const {
  MutexLock lock(spawner_mu_);
  return pid_;
}

std::uint64_t Spawners::deaths() const {
  MutexLock lock(spawner_mu_);
  return deaths_;
}

Spawners::Clock::time_point Spawners::next_try() const {
  MutexLock lock(spawner_mu_);
  return next_try_;
}

std::string Spawners::trouble() const {
  MutexLock lock(spawner_mu_);
  if (pid_ == 0 && !no_spawner_.empty()) return fmt::format("release agents wait: {}", no_spawner_);
  const bool again = in_a_row_ >= kDeathsToTell && Clock::now() - last_death_ < kGoodLife;
  if (!again && (pid_ != 0 || in_a_row_ <= 1)) return "";
  return fmt::format("the agent spawner died {} times one after the other{}", in_a_row_,
                     pid_ == 0 ? "; release agents wait until the next one starts" : "");
}

Spawners::One* Spawners::Current() {
  if (all_.empty() || all_.back().dead || !all_.back().process.socket) return nullptr;
  return &all_.back();
}

void Spawners::KeepOne() {
  {
    MutexLock lock(spawner_mu_);
    if (pid_ != 0 || Clock::now() < next_try_) return;
  }
  auto made = StartSpawner(program_.get());
  MutexLock lock(spawner_mu_);
  no_spawner_ = made ? "" : made.error().message;
  if (!made) {
    next_try_ = Clock::now() + kPauseAfterFailure;
    static log::Limit limit(1);
    log::ErrorAtMost(limit, "release agents wait: {}", no_spawner_);
    return;
  }
  pid_ = made->pid;
  socket_full_ = false;
  all_.push_back({.number = deaths_ + 1, .process = std::move(*made), .began = Clock::now()});
}

Result<bool> Spawners::Send(const std::string& message) {
  const int socket = Current()->process.socket.get();
  ssize_t sent;
  do {
    sent = ::send(socket, message.data(), message.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  } while (sent < 0 && errno == EINTR);
  if (sent < 0 && errno == EMSGSIZE) return Fail(errno, "names are too long for the socket");
  socket_full_ = sent < 0;
  return sent >= 0;
}

std::optional<int> Spawners::Reap(One& spawner) {
  int status = 0;
  if (::waitpid(spawner.process.pid, &status, WNOHANG) == 0) return std::nullopt;  // it lives
  spawner.dead = true;
  return status;
}

void Spawners::NoteDeath(const One& spawner, int status) {
  milliseconds pause(0);
  {
    MutexLock lock(spawner_mu_);
    pid_ = 0;
    ++deaths_;
    in_a_row_ = Clock::now() - spawner.began >= kGoodLife ? 1 : in_a_row_ + 1;
    if (in_a_row_ > 1) {
      pause = std::min(kLongestPause, kFirstPause * (1 << std::min(in_a_row_ - 2, 10u)));
    }
    last_death_ = Clock::now();
    next_try_ = last_death_ + pause;
  }
  log::Warn("the agent spawner (pid {}) died ({} {}); another one is started{}",
            spawner.process.pid, WIFSIGNALED(status) ? "signal" : "status",
            WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status),
            pause.count() == 0 ? std::string() : fmt::format(" in {} ms", pause.count()));
}

void Spawners::NoteDeathAtTheEnd() {
  MutexLock lock(spawner_mu_);
  pid_ = 0;
}

void Spawners::DropFinished() {
  std::erase_if(all_, [](const One& one) { return one.dead && !one.process.socket; });
}

}  // namespace corral

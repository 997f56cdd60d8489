#include "library/group_calls.h"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/errors.h"
#include "base/text.h"
#include "client/forked_command.h"
#include "wire/instance.h"

namespace corral {

using wire::GroupName;

namespace {

std::vector<pid_t> PidsOf(const std::vector<std::uint64_t>& numbers) {
  return {numbers.begin(), numbers.end()};
}

}  // namespace

Result<std::string> GroupCalls::InstanceNamed(const std::string& instance) {
  if (instance.empty()) return InstanceFromEnvironment();
  TRY(CheckInstanceName(instance));
  return instance;
}

// What a lost connection means: no daemon (ECONNREFUSED), another one than before, or one that
// hangs, as it says itself.
Error GroupCalls::Gone(const Error& lost) const {
  if (lost.code == ETIMEDOUT) return lost;
  auto again = Client::Connect(instance_);
  if (!again) return again.error();
  return {ECONNRESET, fmt::format("the daemon went away while it was asked: {}", lost.message)};
}

template <typename Fn>
auto GroupCalls::Over(Fn call) -> decltype(call(std::declval<Client&>())) {
  MutexLock lock(client_mu_);
  // A daemon that ended since the last call closed the connection: nothing was asked of it yet.
  if (client_) {
    pollfd ended{.fd = client_->socket(), .events = POLLIN | POLLRDHUP, .revents = 0};
    if (::poll(&ended, 1, 0) != 0) client_.reset();
  }
  if (!client_) client_ = TRY(Client::Connect(instance_));
  auto answer = call(*client_);
  if (answer || !IsConnectionLost(answer.error())) return answer;
  client_.reset();
  return Fail(Gone(answer.error()));
}

template <Operation Ask>
Result<typename Ask::Answer> GroupCalls::Call(const Ask& ask) {
  return Over([&](Client& client) { return client.Call(ask); });
}

Result<void> GroupCalls::Ping() {
  TRY(Call(wire::Ping()));
  return {};
}

Result<bool> GroupCalls::Create(const std::string& path) {
  const std::size_t colon = path.find(":/");
  if (colon == std::string::npos || colon == 0) {
    return Fail(EINVAL, "'{}' is not of the form HIERARCHY:/path", Printable(path));
  }
  const wire::Mkdir ask{.group = GroupName::Path(path.substr(0, colon + 2)),
                        .name = path.substr(colon + 2)};
  return TRY(Call(ask)).created;
}

Result<void> GroupCalls::Enter(const std::string& path, pid_t process) {
  if (process < 0) return Fail(ESRCH, "no process {}", process);
  TRY(Call(wire::Attach{.group = GroupName::Path(path),
                        .tid = static_cast<std::uint32_t>(process == 0 ? ::getpid() : process),
                        .process = true}));
  return {};
}

Result<pid_t> GroupCalls::Spawn(const std::string& path, const std::vector<std::string>& command) {
  if (command.empty() || command[0].empty()) return Fail(EINVAL, "no command to run");
  auto child = TRY(ForkedCommand::Fork(command, {}));
  if (auto entered = Enter(path, child.pid()); !entered) {
    child.Abandon();
    return Fail(entered.error());
  }
  if (const int error = child.Release(); error != 0) {
    return FailErrno(error, "cannot run {}", Printable(command[0]));
  }
  return child.pid();
}

Result<void> GroupCalls::WaitEmpty(const std::string& path, std::chrono::milliseconds timeout) {
  using Clock = std::chrono::steady_clock;
  using std::chrono::milliseconds;
  auto client = TRY(Client::Connect(instance_));
  auto sent = client.Send(wire::Wait{.group = GroupName::Path(path)});
  if (!sent) return Fail(Gone(sent.error()));

  const bool for_ever = timeout == milliseconds::max();
  const auto end = Clock::now() + (for_ever ? milliseconds{} : timeout);
  pollfd answered{.fd = client.socket(), .events = POLLIN, .revents = 0};
  for (;;) {
    constexpr std::int64_t kSlice = milliseconds(Client::kSilence).count();
    const std::int64_t left =
        std::max<std::int64_t>(std::chrono::ceil<milliseconds>(end - Clock::now()).count(), 0);
    const int ready =
        ::poll(&answered, 1, static_cast<int>(for_ever ? kSlice : std::min(left, kSlice)));
    if (ready > 0) break;
    if (ready < 0) continue;
    if (!for_ever && left == 0) return Fail(ETIMEDOUT, "{} was not empty in time", Printable(path));
    // Who set a limit is back in time anyhow, and asking takes its own.
    if (!for_ever) continue;
    TRY(client.CheckAlive());
  }
  auto answer = client.Answer<wire::Wait>();
  if (answer) return {};
  return Fail(IsConnectionLost(answer.error()) ? Gone(answer.error()) : answer.error());
}

Result<std::vector<pid_t>> GroupCalls::List(const std::string& path) {
  const wire::Tasks ask{.group = GroupName::Path(path), .subtree = true};
  const auto found = TRY(Over([&](Client& client) { return client.List(ask); }));
  std::vector<pid_t> pids;
  for (const Listing::Task& task : found.listing.tasks())
    pids.push_back(static_cast<pid_t>(task.tgid));
  std::sort(pids.begin(), pids.end());
  pids.erase(std::unique(pids.begin(), pids.end()), pids.end());
  return pids;
}

Result<std::vector<pid_t>> GroupCalls::Kill(const std::string& path) {
  return PidsOf(TRY(Call(wire::Kill{.group = GroupName::Path(path)})).killed);
}

Result<void> GroupCalls::Remove(const std::string& path) {
  TRY(Call(wire::Rmdir{.group = GroupName::Path(path)}));
  return {};
}

}  // namespace corral

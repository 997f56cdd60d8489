#include "library/group_calls.h"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/errors.h"
#include "client/forked_command.h"
#include "wire/bytes.h"
#include "wire/instance.h"
#include "wire/listing.h"

namespace corral {
namespace {

using nlohmann::json;

// A daemon of another version may answer with other types.
template <typename Fn>
auto Understood(Fn fn) -> decltype(fn()) {
  try {
    return fn();
  } catch (const json::exception&) {
    return Fail(EPROTO, "the daemon's answer is not in the protocol of this version");
  }
}

Result<std::vector<pid_t>> Pids(const json& list) {
  return Understood([&]() -> Result<std::vector<pid_t>> {
    std::vector<pid_t> pids;
    for (const json& one : list) pids.push_back(one.get<pid_t>());
    return pids;
  });
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

Result<json> GroupCalls::Call(const json& request) {
  MutexLock lock(client_mu_);
  // A daemon that ended since the last call closed the connection: nothing was asked of it yet.
  if (client_) {
    pollfd ended{.fd = client_->socket(), .events = POLLIN | POLLRDHUP, .revents = 0};
    if (::poll(&ended, 1, 0) != 0) client_.reset();
  }
  if (!client_) {
    auto client = TRY(Client::Connect(instance_));
    client_ = std::move(client);
  }
  auto answer = client_->Call(request);
  if (answer || !IsConnectionLost(answer.error())) return answer;
  client_.reset();
  return Fail(Gone(answer.error()));
}

Result<void> GroupCalls::Ping() {
  TRY(Call({{"op", "ping"}}));
  return {};
}

Result<bool> GroupCalls::Create(const std::string& path) {
  const std::size_t colon = path.find(":/");
  if (colon == std::string::npos || colon == 0) {
    return Fail(EINVAL, "'{}' is not of the form HIERARCHY:/path", Printable(path));
  }
  auto made = TRY(Call({{"op", "mkdir"},
                        {"path", ToJsonText(path.substr(0, colon + 2))},
                        {"name", ToJsonText(path.substr(colon + 2))}}));
  return Understood([&]() -> Result<bool> { return made.at("created").get<bool>(); });
}

Result<void> GroupCalls::Enter(const std::string& path, pid_t process) {
  if (process < 0) return Fail(ESRCH, "no process {}", process);
  TRY(Call({{"op", "attach"},
            {"path", ToJsonText(path)},
            {"tid", static_cast<std::uint32_t>(process == 0 ? ::getpid() : process)},
            {"process", true}}));
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
    return Fail(error, "cannot run {}: {}", Printable(command[0]), std::strerror(error));
  }
  return child.pid();
}

Result<void> GroupCalls::WaitEmpty(const std::string& path, std::chrono::milliseconds timeout) {
  using Clock = std::chrono::steady_clock;
  using std::chrono::milliseconds;
  auto client = TRY(Client::Connect(instance_));
  auto sent = client.Send({{"op", "wait"}, {"path", ToJsonText(path)}});
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
    if (auto alive = client.CheckAlive(); !alive) return alive;
  }
  auto answer = client.Answer();
  if (answer) return {};
  return Fail(IsConnectionLost(answer.error()) ? Gone(answer.error()) : answer.error());
}

Result<std::vector<pid_t>> GroupCalls::List(const std::string& path) {
  auto answer = TRY(Call({{"op", "tasks"}, {"path", ToJsonText(path)}, {"subtree", true}}));
  Listing listing;
  TRY(listing.Add(answer));
  std::vector<pid_t> pids;
  for (const Listing::Task& task : listing.tasks()) pids.push_back(static_cast<pid_t>(task.tgid));
  std::sort(pids.begin(), pids.end());
  pids.erase(std::unique(pids.begin(), pids.end()), pids.end());
  return pids;
}

Result<std::vector<pid_t>> GroupCalls::Kill(const std::string& path) {
  auto answer = TRY(Call({{"op", "kill"}, {"path", ToJsonText(path)}}));
  return Pids((answer)["killed"]);
}

Result<void> GroupCalls::Remove(const std::string& path) {
  TRY(Call({{"op", "rmdir"}, {"path", ToJsonText(path)}}));
  return {};
}

}  // namespace corral

#include "client/neighbours.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "client/client.h"
#include "wire/codec.h"
#include "wire/frame.h"
#include "wire/messages.h"

namespace corral {
namespace {

using Clock = std::chrono::steady_clock;

// More than it takes: a daemon at its busiest answers in some tens of milliseconds.
constexpr auto kTogether = std::chrono::seconds(2);

struct Neighbour {
  std::string instance;
  Fd socket;
};

std::string NotLeft(const std::string& instance, const std::string& why) {
  return fmt::format(
      "this daemon may still be in groups of instance {}, whose owner may wait for it "
      "or kill it: {}",
      instance, why);
}

// Empty: done.
std::string AnswerOf(const Neighbour& neighbour, Clock::time_point end) {
  for (;;) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(end - Clock::now());
    pollfd ready = {.fd = neighbour.socket.get(), .events = POLLIN, .revents = 0};
    const int polled = ::poll(&ready, 1, std::max<int>(static_cast<int>(left.count()), 0));
    if (polled < 0 && errno == EINTR) continue;
    if (polled > 0) break;
    return DaemonText(neighbour.instance, PidOfPeer(neighbour.socket.get())) +
           " did not answer in time";
  }
  const timeval rest = {.tv_sec = kTogether.count(), .tv_usec = 0};
  (void)::setsockopt(neighbour.socket.get(), SOL_SOCKET, SO_RCVTIMEO, &rest, sizeof rest);
  auto frame = RecvFrame(neighbour.socket.get());
  // It ended, in order or not, as those have that nobody can connect to.
  if (!frame && frame.error().code == ECONNRESET) return "";
  if (!frame) return frame.error().message;
  if (!*frame) return "";
  auto answer = wire::ParseAnswer((*frame)->payload);
  return answer ? "" : answer.error().message;
}

}  // namespace

std::vector<std::string> LeaveGroupsOfOtherInstances(const std::string& own) {
  const auto end = Clock::now() + kTogether;
  const wire::Leave ask{.tid = static_cast<std::uint64_t>(::getpid())};
  const std::string request = wire::RequestText(wire::Leave::kOp, ask);
  std::vector<std::string> not_left;
  std::vector<Neighbour> asked;
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator("/run/corral", ignored)) {
    const std::string instance = entry.path().filename();
    if (instance == own) continue;
    auto socket = ConnectUntil(instance, Clock::now());  // once: the next one waits behind it
    if (!socket) {
      if (socket.error().code == ETIMEDOUT) {
        not_left.push_back(NotLeft(instance, socket.error().message));
      }
      continue;
    }
    // So short that it goes without waiting.
    if (SendFrame(socket->get(), request)) asked.push_back({instance, *std::move(socket)});
  }
  for (const Neighbour& neighbour : asked) {
    const std::string why = AnswerOf(neighbour, end);
    if (!why.empty()) not_left.push_back(NotLeft(neighbour.instance, why));
  }
  return not_left;
}

}  // namespace corral

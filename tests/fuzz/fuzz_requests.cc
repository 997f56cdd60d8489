// Requests of the socket protocol, one a line, over an instance without a kernel (fuzz_instance.h).
#include <sys/socket.h>

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "base/check.h"
#include "daemon/operations.h"
#include "fuzz/fuzz_instance.h"

namespace corral {
namespace {

using Json = nlohmann::json;

constexpr std::string_view kReplaced = "\xEF\xBF\xBD";  // U+FFFD

// One whose peer has gone: a request that waits ends at once.
Fd AbandonedConnection() {
  int fds[2];
  CORRAL_CHECK(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0);
  const Fd peer(fds[1]);
  return Fd(fds[0]);
}

void Ask(FuzzInstance& instance, World& world, Session& session, int connection,
         std::string_view asked) {
  Request request{
      .instance = instance, .session = session, .connection = connection, .descriptor = Fd()};
  const std::string text = Answer(request, asked);
  // Stands where a string was not UTF-8 and had to be mended.
  CORRAL_CHECK(!text.contains(kReplaced) || asked.contains(kReplaced) || asked.contains("\\u"));
  const Json answer = Json::parse(text, nullptr, /*exceptions=*/false);
  CORRAL_CHECK(answer.is_object() && answer.at("ok").is_boolean());
  if (!answer.at("ok").get<bool>()) {
    CORRAL_CHECK(answer.at("errno").get<int>() > 0);
    CORRAL_CHECK(!answer.at("error").get<std::string>().empty());
  }
  world.Look();
  instance.feed().Collect();
  CORRAL_CHECK(world.tracker.Audit().differences.empty());
}

}  // namespace
}  // namespace corral

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  corral::World world({.name = "fuzz"});
  corral::FuzzInstance instance(world);
  // Its subscriber goes before the feed. The peer is one that may mount.
  corral::Session session{.peer = corral::Tid{1}, .subscriber = {}};
  const corral::Fd connection = corral::AbandonedConnection();
  std::string_view rest(reinterpret_cast<const char*>(data), size);
  for (int requests = 0; requests < 16 && !rest.empty(); ++requests) {
    const std::size_t end = std::min(rest.find('\n'), rest.size());
    corral::Ask(instance, world, session, connection.get(), rest.substr(0, end));
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return 0;
}

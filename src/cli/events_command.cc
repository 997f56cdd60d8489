// corral events: what happens to groups, as it happens.
#include <cerrno>
#include <chrono>
#include <ctime>
#include <memory>

#include "cli/command.h"
#include "cli/hang_watch.h"
#include "cli/output.h"
#include "cli/target.h"
#include "client/client.h"
#include "wire/bytes.h"

namespace corral::cli {
namespace {

using nlohmann::json;

struct EventsOptions {
  std::string path;
  std::size_t count = 0;  // 0: without end
};

std::int64_t NowUs() {
  using namespace std::chrono;
  return duration_cast<microseconds>(system_clock::now().time_since_epoch()).count();
}

// RFC 3339 in UTC for programs, local time of day for people.
std::string TimeText(std::int64_t us, bool for_people) {
  const std::time_t seconds = us / 1'000'000;
  std::tm parts{};
  for_people ? ::localtime_r(&seconds, &parts) : ::gmtime_r(&seconds, &parts);
  char text[64];
  std::strftime(text, sizeof text, for_people ? "%T" : "%FT%T", &parts);
  return fmt::format("{}.{:06}{}", text, us % 1'000'000, for_people ? "" : "Z");
}

std::string WordOf(const json& event) {
  const std::string kind = Text(event, "event");
  if (kind == "populated") return Flag(event, "populated") ? "populated" : "empty";
  return kind;
}

std::string About(const json& event) {
  if (event.contains("lost")) {
    return Counted(static_cast<std::size_t>(Number(event, "lost")), "event", "events") +
           " did not fit: they came faster than they were read";
  }
  std::string about = event.contains("group") && !event["group"].is_null()
                          ? Shown(event, "group")
                          : fmt::format("group {} of {}, whose path is too long to be told",
                                        Number(event, "id"), Shown(event, "hierarchy"));
  const std::string agent = Shown(event, "agent");
  return agent.empty() ? about : about + "  agent " + agent;
}

void PrintEvent(const Context& context, json event) {
  const std::int64_t us = Number(event, "time_us");
  if (event.contains("path")) {
    event["group"] = event["path"].is_string()
                         ? json(event.value("hierarchy", "") + ":" + event.value("path", ""))
                         : json(nullptr);
  }
  if (!context.json) {
    Print(fmt::format("{}  {:<10}  {}", TimeText(us, true), WordOf(event), About(event)));
    std::fflush(stdout);
    return;
  }
  event.erase("time_us");
  event["time"] = TimeText(us, false);
  PrintJsonLine(stdout, event);
}

// The first line: nothing that happens from here on is missed.
void PrintSubscribed(const Context& context, const json& answer) {
  json first = {{"event", "subscribed"}, {"time_us", NowUs()}};
  first["group"] = answer.contains("path") ? answer["path"] : json("all hierarchies");
  PrintEvent(context, std::move(first));
}

int Follow(const Context& context, const EventsOptions& options, Client& client, std::int64_t top) {
  for (std::size_t told = 0;;) {
    auto sent = client.Send({{"op", "events"}});
    auto answer = sent ? AwaitAnswer(client) : Result<json>(Fail(sent.error()));
    if (!answer && (IsConnectionLost(answer.error()) || answer.error().code == ESHUTDOWN)) {
      Say("the daemon has ended");
      return kNoDaemon;
    }
    if (!answer) return Complain(answer.error());
    for (const json& event : List(*answer, "events")) {
      PrintEvent(context, event);
      // Nothing can happen any more to a group that is gone.
      if (WordOf(event) == "removed" && Number(event, "id") == top) return kOk;
      if (!event.contains("lost") && ++told == options.count) return kOk;
    }
  }
}

int Events(const Context& context, const EventsOptions& options) {
  auto client = Client::ConnectOrRecover(context.instance);
  if (!client) return Complain(client.error());
  const json request = {{"op", "subscribe"}};
  auto subscribed =
      options.path.empty() ? client->Call(request) : CallOn(*client, request, options.path);
  if (!subscribed) return Complain(subscribed.error());
  PrintSubscribed(context, *subscribed);
  return Follow(context, options, *client, subscribed->value("id", std::int64_t{-1}));
}

}  // namespace

Action SetUpEvents(CLI::App& parser) {
  auto options = std::make_shared<EventsOptions>();
  parser.add_option("-n,--count", options->count, "End after so many events")
      ->check(CLI::PositiveNumber);
  parser.add_option("PATH", options->path,
                    "This group and those below it: a directory inside a mount, or "
                    "HIERARCHY:/path (default: every hierarchy)");
  return [options](const Context& context) { return Events(context, *options); };
}

}  // namespace corral::cli

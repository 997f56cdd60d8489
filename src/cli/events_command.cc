// corral events: what happens to groups, as it happens.
#include <cerrno>
#include <chrono>
#include <ctime>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/text.h"
#include "cli/command.h"
#include "cli/hang_watch.h"
#include "cli/output.h"
#include "cli/target.h"
#include "client/client.h"

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

std::string WordOf(const wire::Event& event) {
  return event.event == "populated" && !event.populated.value_or(false) ? "empty" : event.event;
}

// HIERARCHY:/path. Nothing: it is too long to be told.
std::optional<std::string> GroupOf(const wire::Event& event) {
  if (!event.path) return std::nullopt;
  return event.hierarchy + ":" + *event.path;
}

std::string About(const wire::Event& event) {
  if (event.lost) {
    return Counted(*event.lost, "event", "events") +
           " did not fit: they came faster than they were read";
  }
  const auto group = GroupOf(event);
  const std::string about = group ? Printable(*group)
                                  : fmt::format("group {} of {}, whose path is too long to be told",
                                                event.id, Printable(event.hierarchy));
  return event.agent ? about + "  agent " + Printable(*event.agent) : about;
}

void PrintLine(std::int64_t time_us, const std::string& word, const std::string& about) {
  Print(fmt::format("{}  {:<10}  {}", TimeText(time_us, true), word, about));
  std::fflush(stdout);
}

void PrintEvent(const Context& context, const wire::Event& event) {
  if (!context.json) return PrintLine(event.time_us, WordOf(event), About(event));
  json line = JsonOf(event);
  line.erase("time_us");
  line["time"] = TimeText(event.time_us, false);
  if (!event.lost) line["group"] = JsonOf(GroupOf(event));
  PrintJsonLine(stdout, line);
}

// The first line: nothing that happens from here on is missed.
void PrintSubscribed(const Context& context, const wire::Subscribe::Answer& answer) {
  const std::int64_t now = NowUs();
  const std::string group = answer.path.value_or("all hierarchies");
  if (!context.json) return PrintLine(now, "subscribed", Printable(group));
  PrintJsonLine(
      stdout, {{"event", "subscribed"}, {"time", TimeText(now, false)}, {"group", JsonOf(group)}});
}

int Follow(const Context& context, const EventsOptions& options, Client& client,
           std::optional<std::uint64_t> top) {
  for (std::size_t told = 0;;) {
    auto answer = CallAndWait(client, wire::Events());
    if (!answer && (IsConnectionLost(answer.error()) || answer.error().code == ESHUTDOWN)) {
      Say("the daemon has ended");
      return kNoDaemon;
    }
    if (!answer) return Complain(answer.error());
    for (const wire::Event& event : answer->events) {
      PrintEvent(context, event);
      // Nothing can happen any more to a group that is gone.
      if (event.event == "removed" && event.id == top) return kOk;
      if (!event.lost && ++told == options.count) return kOk;
    }
  }
}

int Events(const Context& context, const EventsOptions& options) {
  auto client = Client::ConnectOrRecover(context.instance);
  if (!client) return Complain(client.error());
  const wire::Subscribe ask;
  auto subscribed = options.path.empty() ? client->Call(ask) : CallOn(*client, ask, options.path);
  if (!subscribed) return Complain(subscribed.error());
  PrintSubscribed(context, *subscribed);
  return Follow(context, options, *client, subscribed->id);
}

}  // namespace

Form EventsForm() {
  auto options = std::make_shared<EventsOptions>();
  return {{{"-n,--count", AtLeastOne{&options->count}, "End after so many events"},
           OptionalPathArgument(options->path, kPathOrAllHelp)},
          [options](const Context& context) { return Events(context, *options); }};
}

}  // namespace corral::cli

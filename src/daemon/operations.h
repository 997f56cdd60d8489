// The operations of the socket protocol (docs/protocol.md), from the text of a request to the text
// of its answer. A table has the handler of each name (operations.cc); the handlers are in the
// *_operations.cc of their subject (handlers.h).
#ifndef CORRAL_DAEMON_OPERATIONS_H_
#define CORRAL_DAEMON_OPERATIONS_H_

#include <corral/result.h>

#include <functional>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include "base/fd.h"
#include "daemon/billing.h"
#include "daemon/event_feed.h"
#include "daemon/instance.h"

namespace corral {

// What a connection keeps between its requests.
struct Session {
  Tid peer;  // who connected, in our pid namespace; 0: not visible from here
  std::unique_ptr<EventFeed::Subscriber> subscriber;
  std::unique_ptr<Billing::Bill> bill;
  std::unique_ptr<Billing::Metering> metering;
};

// One request while it is answered, by one thread.
struct Request {
  Instance& instance;
  Session& session;
  int connection;  // readable or hung up: the peer does not wait any more
  Fd descriptor;   // a handler may put one here; it travels with the answer
  // Sends a piece of a long answer before the rest; false: the peer is gone. May be empty: then the
  // answer is one piece.
  std::function<bool(const std::string&)> send_piece = {};
  // What of a long answer is not sent yet (pieces.h).
  nlohmann::json* rest = nullptr;
};

// The answer to one request; never throws. ECANCELED: the peer went away while it waited.
std::string Answer(Request& request, std::string_view text);

// An answer that says what went wrong.
std::string AnswerText(const Error& error);

}  // namespace corral

#endif  // CORRAL_DAEMON_OPERATIONS_H_

// The operations of the socket protocol (docs/protocol.md): a table from name to handler.
#ifndef CORRAL_DAEMON_OPERATIONS_H_
#define CORRAL_DAEMON_OPERATIONS_H_

#include <corral/result.h>

#include <functional>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/fd.h"
#include "daemon/billing.h"
#include "daemon/daemon.h"
#include "daemon/event_feed.h"

namespace corral {

// What a connection keeps between its requests.
struct Session {
  Tid peer;  // who connected, in our pid namespace; 0: not visible from here
  std::unique_ptr<EventFeed::Subscriber> subscriber;
  std::unique_ptr<Billing::Bill> bill;
  std::unique_ptr<Billing::Metering> metering;
};

struct Request {
  Daemon& daemon;
  Session& session;
  const nlohmann::json& json;
  int connection;  // readable or hung up: the peer does not wait any more
  Fd descriptor;   // a handler may put one here; it travels with the answer
  // Sends a piece of a long answer before the rest; false: the peer is gone. May be empty: then the
  // answer is one piece.
  std::function<bool(const nlohmann::json&)> send_piece = {};
};

// The answer to one request; never throws. ECANCELED: the peer went away while it waited.
nlohmann::json Answer(Request& request);

}  // namespace corral

#endif  // CORRAL_DAEMON_OPERATIONS_H_

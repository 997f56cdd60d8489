#include "client/client.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "client/bytes.h"
#include "client/frame.h"
#include "client/instance.h"
#include "client/lock_holder.h"
#include "client/start_daemon.h"

namespace corral {
namespace {

// There is no socket, or nobody listens. A daemon that has locked the instance's tables lives all
// the same, and is found by that lock.
Error NobodyAnswers(const std::string& instance) {
  const auto holder = LockHolder(PinDir(instance));
  if (!holder) {
    return {ECONNREFUSED,
            fmt::format("no daemon runs for instance {0}; start one with: corrald --instance {0}",
                        instance)};
  }
  if (LockHolder(LockPath(instance)) == holder) {
    return {ECONNREFUSED, fmt::format("the daemon of instance {} (pid {}) does not answer: it starts or "
                                      "ends, or its socket {} was removed",
                                      instance, *holder, SocketPath(instance))};
  }
  return {ECONNREFUSED,
          fmt::format("a daemon of instance {} runs (pid {}), but {} was removed while it did: nobody "
                      "can reach it. End it with kill {}, and start again; its groups cannot be kept",
                      instance, *holder, RuntimeDir(instance), *holder)};
}

}  // namespace

Result<Client> Client::Connect(const std::string& instance) {
  if (auto good = CheckInstanceName(instance); !good) return Fail(good.error());
  const std::string path = SocketPath(instance);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof address.sun_path - 1);  // at most 82 bytes

  Fd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!socket) return Fail(errno, "cannot make a socket: {}", std::strerror(errno));
  if (::connect(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0) {
    return Client(std::move(socket));
  }
  if (errno == ENOENT || errno == ECONNREFUSED) return Fail(NobodyAnswers(instance));
  if (errno == EACCES || errno == EPERM) {
    return Fail(errno, "only root may speak to the daemon of instance {}", instance);
  }
  return Fail(errno, "cannot connect to {}: {}", path, std::strerror(errno));
}

// A daemon that is being killed, or ends in order, may take a connection and never look at it: whoever
// can start another one does not fail for that.
Result<Client> Client::ConnectToLiving(const std::string& instance) {
  constexpr int kTries = 500;
  for (int i = 0;; ++i) {
    auto client = Connect(instance);
    if (!client) return client;
    auto pong = client->Call({{"op", "ping"}});
    if (pong) return client;
    if (!IsConnectionLost(pong.error()) || i == kTries) return Fail(pong.error());  // refused
    ::usleep(10'000);
  }
}

Result<Client> Client::ConnectOrStart(const std::string& instance) {
  auto client = ConnectToLiving(instance);
  if (client || client.error().code != ECONNREFUSED) return client;
  if (::geteuid() != 0) {
    return Fail(EPERM, "no daemon runs for instance {}, and only root may start one", instance);
  }
  auto started = StartDaemon(instance);
  constexpr int kLooks = 100;  // another one may start it, and not be ready yet
  client = ConnectToLiving(instance);
  for (int i = 0; i < kLooks && started && !client; ++i) {
    ::usleep(10'000);
    client = ConnectToLiving(instance);
  }
  // Another one may have been quicker: then ours has failed and there is a daemon all the same.
  if (!client && !started) return Fail(started.error());
  if (!client && client.error().code == ECONNREFUSED) {
    return Fail(EXDEV,
                "the daemon of instance {} runs, but {} is not here: it is in init's mount namespace, "
                "and this one has another /run. Try: nsenter --target 1 --mount",
                instance, SocketPath(instance));
  }
  if (started && !started->empty()) {
    std::fprintf(stderr, "corral: %s\n", Printable(*started).c_str());
  }
  return client;
}

Result<Client> Client::ConnectOrRecover(const std::string& instance) {
  auto client = ConnectToLiving(instance);
  const bool left = !client && client.error().code == ECONNREFUSED &&
                    ::access(StoreDir(instance).c_str(), F_OK) == 0;
  return left ? ConnectOrStart(instance) : std::move(client);
}

Result<void> Client::Send(const nlohmann::json& request) {
  using nlohmann::json;
  // `replace` cannot lose a name: they went through ToJsonText.
  return SendFrame(socket_.get(), request.dump(-1, ' ', false, json::error_handler_t::replace));
}

Result<nlohmann::json> Client::Answer(Fd* fd) {
  auto frame = RecvFrame(socket_.get());
  if (!frame) return Fail(frame.error());
  if (!*frame) return Fail(ECONNRESET, "the daemon closed the connection");
  nlohmann::json answer = nlohmann::json::parse((*frame)->payload, nullptr, false);
  if (!answer.is_object() || !answer.contains("ok") || !answer["ok"].is_boolean()) {
    return Fail(EPROTO, "the daemon's answer is not in the protocol of this version");
  }
  if (!answer["ok"].get<bool>()) {
    const auto code = answer.find("errno");
    const auto text = answer.find("error");
    Error error{EIO, "the daemon refused without a reason"};
    if (code != answer.end() && code->is_number_integer()) error.code = code->get<int>();
    if (text != answer.end() && text->is_string()) error.message = text->get<std::string>();
    return Fail(std::move(error));
  }
  if (fd != nullptr) *fd = std::move((*frame)->fd);
  return answer;
}

Result<nlohmann::json> Client::Call(const nlohmann::json& request, Fd* fd) {
  // A daemon that answers and closes at once (not root: EPERM) may break our sending, but
  // its answer is there to read.
  auto sent = Send(request);
  auto answer = Answer(fd);
  if (!answer && !sent && IsConnectionLost(answer.error())) return Fail(sent.error());
  return answer;
}

void Client::WaitForClose() {
  for (;;) {
    auto frame = RecvFrame(socket_.get());
    if (!frame || !*frame) return;
  }
}

bool IsConnectionLost(const Error& error) {
  return error.code == EPIPE || error.code == ECONNRESET || error.code == EPROTO;
}

}  // namespace corral

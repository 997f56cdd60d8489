#include "client/client.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "client/frame.h"
#include "client/instance.h"
#include "client/start_daemon.h"

namespace corral {

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
  if (errno == ENOENT || errno == ECONNREFUSED) {
    return Fail(ECONNREFUSED,
                "no daemon runs for instance {0}; start one with: corrald --instance {0}",
                instance);
  }
  if (errno == EACCES || errno == EPERM) {
    return Fail(errno, "only root may speak to the daemon of instance {}", instance);
  }
  return Fail(errno, "cannot connect to {}: {}", path, std::strerror(errno));
}

Result<Client> Client::ConnectOrStart(const std::string& instance) {
  auto client = Connect(instance);
  if (client || client.error().code != ECONNREFUSED) return client;
  if (::geteuid() != 0) {
    return Fail(EPERM, "no daemon runs for instance {}, and only root may start one", instance);
  }
  auto started = StartDaemon(instance);
  client = Connect(instance);
  // Another one may have been quicker: then ours has failed and there is a daemon all the same.
  if (!client && !started) return Fail(started.error());
  return client;
}

Result<Client> Client::ConnectOrRecover(const std::string& instance) {
  auto client = Connect(instance);
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

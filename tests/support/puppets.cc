#include "support/puppets.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <cerrno>
#include <cstddef>
#include <cstring>
#include <fstream>
#include <sstream>
#include <thread>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/process.h"

extern char** environ;

namespace corral {
namespace {

using puppet::Command;
using puppet::Message;
using puppet::Op;

constexpr int kPatienceMs = 60000;  // then the test is broken and says so

std::string UniqueName() {
  static int number = 0;
  return fmt::format("corral-test-{}-{}", ::getpid(), ++number);
}

// 'Z' for a zombie, 'X' when there is no such task.
char StateOf(Tgid process, Tid task) {
  std::ifstream stat(fmt::format("/proc/{}/task/{}/stat", process.value, task.value));
  std::string line;
  if (!std::getline(stat, line)) return 'X';
  const std::size_t name_end = line.rfind(')');
  return name_end == std::string::npos ? 'X' : line.at(name_end + 2);
}

std::vector<pid_t> ChildrenOf(pid_t process) {
  std::vector<pid_t> children;
  std::ifstream file(fmt::format("/proc/{}/task/{}/children", process, process));
  for (pid_t child; file >> child;) children.push_back(child);
  return children;
}

}  // namespace

Puppets::Puppets() : socket_name_(UniqueName()), offer_path_("/dev/shm/" + socket_name_) {
  CORRAL_CHECK(::prctl(PR_SET_CHILD_SUBREAPER, 1) == 0);
  listener_.reset(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path + 1, socket_name_.data(), socket_name_.size());
  CORRAL_CHECK(::bind(listener_.get(), reinterpret_cast<sockaddr*>(&address),
                      offsetof(sockaddr_un, sun_path) + 1 + socket_name_.size()) == 0);
  CORRAL_CHECK(::listen(listener_.get(), 4096) == 0);
}

// Puppets that lose their parent become our children: kill and reap until there are none.
Puppets::~Puppets() {
  for (const auto& [tid, puppet] : tasks_) ::kill(static_cast<pid_t>(puppet.tgid.value), SIGKILL);
  tasks_.clear();
  hellos_.clear();
  listener_.reset();
  for (;;) {
    for (const auto& entry : ChildrenOf(::getpid())) ::kill(entry, SIGKILL);
    if (::waitpid(-1, nullptr, __WALL) < 0 && errno == ECHILD) break;
  }
  // Whoever is started between two of us (a daemon) is not ours to kill.
  ::prctl(PR_SET_CHILD_SUBREAPER, 0);
  ::unlink(offer_path_.c_str());
}

void Puppets::Send(Tid to, Op op, std::uint32_t cookie, std::uint64_t number, puppet::Storm storm,
                   std::string_view path) {
  Command command = {.op = op, .cookie = cookie, .number = number, .storm = storm, .path = {}};
  CORRAL_CHECK(path.size() < sizeof command.path);
  if (!path.empty()) {
    std::memcpy(command.path, path.data(), path.size());
  } else if (::access(offer_path_.c_str(), F_OK) == 0) {
    std::strncpy(command.path, offer_path_.c_str(), sizeof command.path - 1);
  }
  CORRAL_CHECK(::send(tasks_.at(to).connection.get(), &command, sizeof command, MSG_NOSIGNAL) ==
               sizeof command);
}

Message Puppets::AwaitHello(std::uint32_t cookie, int longer_ms) {
  for (;;) {
    if (const auto at = hellos_.find(cookie); at != hellos_.end()) {
      const Message hello = at->second.first;
      tasks_[Tid{static_cast<std::uint32_t>(hello.tid)}] = {
          .tgid = Tgid{static_cast<std::uint32_t>(hello.tgid)},
          .connection = std::move(at->second.second)};
      hellos_.erase(at);
      return hello;
    }
    pollfd wait = {listener_.get(), POLLIN, 0};
    CORRAL_CHECK(::poll(&wait, 1, kPatienceMs + longer_ms) == 1);
    Fd connection(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    Message hello;
    if (::recv(connection.get(), &hello, sizeof hello, 0) != sizeof hello) continue;
    hellos_[hello.cookie] = {hello, std::move(connection)};
  }
}

std::int64_t Puppets::AwaitReply(Tid from) {
  Puppet& puppet = tasks_.at(from);
  const Fd& connection = puppet.connection;
  pollfd wait = {connection.get(), POLLIN, 0};
  CORRAL_CHECK(::poll(&wait, 1, kPatienceMs + std::exchange(puppet.storm_ms, 0)) == 1);
  Message reply;
  CORRAL_CHECK(::recv(connection.get(), &reply, sizeof reply, 0) == sizeof reply);
  return reply.value;
}

Tid Puppets::Start() {
  const std::string cookie = std::to_string(next_cookie_);
  const char* argv[] = {
      "corral-puppet", socket_name_.c_str(), "perform", cookie.c_str(), "0", "0", "", nullptr};
  pid_t pid = 0;
  CORRAL_CHECK(::posix_spawn(&pid, CORRAL_PUPPET, nullptr, nullptr, const_cast<char* const*>(argv),
                             environ) == 0);
  AwaitHello(next_cookie_++);
  return Tid{static_cast<std::uint32_t>(pid)};
}

Tid Puppets::Make(Tid by, Op op) {
  Send(by, op, next_cookie_);
  return Tid{static_cast<std::uint32_t>(AwaitHello(next_cookie_++).tid)};
}

Tid Puppets::Fork(Tid by) { return Make(by, Op::kFork); }
Tid Puppets::ForkSibling(Tid by) { return Make(by, Op::kForkSibling); }
Tid Puppets::VforkExec(Tid by) { return Make(by, Op::kVforkExec); }
Tid Puppets::Daemonize(Tid by) { return Make(by, Op::kDaemonize); }
Tid Puppets::Thread(Tid by) { return Make(by, Op::kThread); }

Result<Tid> Puppets::ForkAs(Tid by, Tid wanted) {
  const std::uint32_t cookie = next_cookie_++;
  Send(by, Op::kForkAs, cookie, wanted.value);
  if (const std::int64_t error = AwaitReply(by); error != 0) {
    return Fail(static_cast<int>(-error), "cannot fork as {}", wanted.value);
  }
  return Tid{static_cast<std::uint32_t>(AwaitHello(cookie).tid)};
}

// Its other threads are ended by the kernel; what is left says hello as the leader.
Tid Puppets::Exec(Tid by) {
  const Tgid process = ProcessOf(by);
  Send(by, Op::kExec, next_cookie_);
  const Tid leader{static_cast<std::uint32_t>(AwaitHello(next_cookie_++).tid)};
  std::erase_if(tasks_, [&](const auto& entry) {
    return entry.second.tgid == process && entry.first != leader;
  });
  return leader;
}

void Puppets::Forget(Tgid process) {
  std::erase_if(tasks_, [&](const auto& entry) { return entry.second.tgid == process; });
}

void Puppets::AwaitEnd(Tgid process, Tid task) const {
  for (int i = 0; i < kPatienceMs * 10; ++i) {
    const char state = StateOf(process, task);
    if (state == 'Z' || state == 'X') return;
    std::this_thread::sleep_for(std::chrono::microseconds(100));
  }
  CORRAL_CHECK(!"a puppet does not end");
}

void Puppets::ExitThread(Tid task) {
  const Tgid process = ProcessOf(task);
  Send(task, Op::kExitThread, 0);
  AwaitEnd(process, task);
  tasks_.erase(task);
}

void Puppets::ExitProcess(Tid task) {
  const Tgid process = ProcessOf(task);
  Send(task, Op::kExitProcess, 0);
  AwaitEnd(process, Tid{process.value});
  // The leader may have been a zombie before; the caller itself is the last to end.
  AwaitEnd(process, task);
  Forget(process);
}

void Puppets::Kill(Tgid process) {
  BeginKill(process);
  EndKill(process);
}

void Puppets::BeginKill(Tgid process) { ::kill(static_cast<pid_t>(process.value), SIGKILL); }

void Puppets::EndKill(Tgid process) {
  const Fd pidfd = OpenPidfd(static_cast<pid_t>(process.value)).value_or(Fd());
  pollfd wait = {pidfd.get(), POLLIN, 0};
  if (pidfd) CORRAL_CHECK(::poll(&wait, 1, kPatienceMs) == 1);
  Forget(process);
}

void Puppets::Grow(Tid task, std::uint64_t mebibytes) {
  Send(task, Op::kGrow, 0, mebibytes);
  CORRAL_CHECK(AwaitReply(task) == 0);
}

void Puppets::SetIds(Tid task, std::uint16_t real, std::uint16_t effective, std::uint16_t saved) {
  Send(task, Op::kSetIds, 0, real | std::uint64_t{effective} << 16 | std::uint64_t{saved} << 32);
  CORRAL_CHECK(AwaitReply(task) == 0);
}

void Puppets::Reap(Tid parent, Tid child) {
  Send(parent, Op::kReap, 0, child.value);
  CORRAL_CHECK(AwaitReply(parent) == 0);
}

void Puppets::ReapOwn(Tid child) {
  CORRAL_CHECK(::waitpid(static_cast<pid_t>(child.value), nullptr, __WALL) ==
               static_cast<pid_t>(child.value));
}

bool Puppets::IsZombie(Tid task) const { return StateOf(Tgid{task.value}, task) == 'Z'; }

std::map<Tid, Tgid> Puppets::tasks() const {
  std::map<Tid, Tgid> tasks;
  for (const auto& [tid, puppet] : tasks_) tasks.emplace(tid, puppet.tgid);
  return tasks;
}

void Puppets::BeginStorm(Tid by, puppet::Storm storm, std::chrono::milliseconds time) {
  tasks_.at(by).storm_ms = static_cast<int>(time.count());
  Send(by, Op::kStorm, 0, static_cast<std::uint64_t>(time.count()), storm);
}

std::uint64_t Puppets::EndStorm(Tid by) { return static_cast<std::uint64_t>(AwaitReply(by)); }

void Puppets::BeginExecStorm(Tid leader, std::chrono::milliseconds time) {
  Puppet& puppet = tasks_.at(leader);
  puppet.cookie = next_cookie_++;
  puppet.storm_ms = static_cast<int>(time.count());
  Send(leader, Op::kExecStorm, puppet.cookie, static_cast<std::uint64_t>(time.count()));
}

std::uint64_t Puppets::EndExecStorm(Tid leader) {
  const Puppet& puppet = tasks_.at(leader);
  return static_cast<std::uint64_t>(AwaitHello(puppet.cookie, puppet.storm_ms).value);
}

void Puppets::OfferTid(Tid tid) {
  const Fd offer(::open(offer_path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  CORRAL_CHECK(offer && ::ftruncate(offer.get(), 4096) == 0);
  CORRAL_CHECK(::pwrite(offer.get(), &tid.value, sizeof tid.value, 0) == sizeof tid.value);
}

void Puppets::BeginTakeTidStorm(Tid by, std::chrono::milliseconds time) {
  OfferTid();
  tasks_.at(by).storm_ms = static_cast<int>(time.count());
  Send(by, Op::kTakeTidStorm, 0, static_cast<std::uint64_t>(time.count()));
}

int Puppets::WriteZero(Tid by, const std::string& path) {
  Send(by, Op::kWriteZero, 0, 0, {}, path);
  return static_cast<int>(-AwaitReply(by));
}

int Puppets::SetUid(Tid by, unsigned uid) {
  Send(by, Op::kSetUid, 0, uid);
  return static_cast<int>(-AwaitReply(by));
}

bool Puppets::HoldUring(Tid by) {
  Send(by, Op::kHoldUring, 0);
  return AwaitReply(by) == 0;
}

void Puppets::DropUring(Tid by) {
  Send(by, Op::kDropUring, 0);
  CORRAL_CHECK(AwaitReply(by) == 0);
}

}  // namespace corral

// corral-puppet SOCKET COOKIE [VALUE]: a task that does what a test tells it (puppets.h).
//
// Every task it makes connects on its own. A puppet whose test is gone reads the end of its
// connection and exits, so nothing outlives a test that crashed.
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "puppet_wire.h"

namespace {

using corral::puppet::Command;
using corral::puppet::Message;
using corral::puppet::Op;

const char* g_socket;

pid_t Tid() { return static_cast<pid_t>(syscall(SYS_gettid)); }

int64_t NowMs() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int Connect() {
  const int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  const size_t length = strlen(g_socket);
  memcpy(address.sun_path + 1, g_socket, length);
  if (connect(fd, reinterpret_cast<sockaddr*>(&address),
              offsetof(sockaddr_un, sun_path) + 1 + length) != 0) {
    _exit(99);
  }
  return fd;
}

void Say(int fd, Message::Kind kind, uint32_t cookie, int64_t value) {
  const Message message = {kind, cookie, getpid(), Tid(), value};
  if (send(fd, &message, sizeof message, MSG_NOSIGNAL) != sizeof message) _exit(98);
}

[[noreturn]] void Perform(uint32_t cookie, int64_t value);

[[noreturn]] void PerformAsChild(uint32_t cookie) {
  close_range(3, ~0u, 0);  // the parent's connections
  Perform(cookie, 0);
}

void* PerformAsThread(void* cookie) {
  Perform(static_cast<uint32_t>(reinterpret_cast<uintptr_t>(cookie)), 0);
}

int StartThread(void* (*run)(void*), void* argument, pthread_t* thread, bool detached) {
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, 128 * 1024);
  if (detached) pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  const int error = pthread_create(thread, &attributes, run, argument);
  pthread_attr_destroy(&attributes);
  return error;
}

// Executes this program again; never comes back unless that fails.
void ExecSelf(const char* mode, uint32_t cookie, int64_t a, int64_t b, const char* path) {
  char texts[3][32];
  snprintf(texts[0], sizeof texts[0], "%u", cookie);
  snprintf(texts[1], sizeof texts[1], "%lld", static_cast<long long>(a));
  snprintf(texts[2], sizeof texts[2], "%lld", static_cast<long long>(b));
  // thread-self: the leader may be dead, and has no program then.
  execl("/proc/thread-self/exe", "corral-puppet", g_socket, mode, texts[0], texts[1], texts[2], path,
        static_cast<char*>(nullptr));
}

pid_t Clone3(uint64_t flags, pid_t wanted) {
  clone_args args = {};
  args.flags = flags;
  args.exit_signal = flags & CLONE_PARENT ? 0 : SIGCHLD;  // CLONE_PARENT: the parent's own
  if (wanted != 0) {
    args.set_tid = reinterpret_cast<uintptr_t>(&wanted);
    args.set_tid_size = 1;
  }
  const long pid = syscall(SYS_clone3, &args, sizeof args);
  return pid < 0 ? -errno : static_cast<pid_t>(pid);
}

// ---- storms

int64_t ForkStorm(int64_t ms) {
  int64_t born = 0;
  for (const int64_t end = NowMs() + ms; NowMs() < end;) {
    const pid_t child = Clone3(0, 0);
    if (child == 0) _exit(0);
    if (child < 0) continue;
    ++born;
    while (waitpid(child, nullptr, 0) < 0 && errno == EINTR) {
    }
  }
  return born;
}

int64_t ThreadStorm(int64_t ms) {
  int64_t born = 0;
  for (const int64_t end = NowMs() + ms; NowMs() < end;) {
    pthread_t thread;
    if (StartThread([](void*) -> void* { return nullptr; }, nullptr, &thread, false) != 0) continue;
    ++born;
    pthread_join(thread, nullptr);
  }
  return born;
}

// The page an exec storm and a taker share: the tid about to be given up.
struct Offer {
  volatile int tid;
};

Offer* MapOffer(const char* path) {
  const int fd = open(path, O_RDWR | O_CLOEXEC);
  void* at = mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  close(fd);
  return at == MAP_FAILED ? nullptr : static_cast<Offer*>(at);
}

struct ExecStorm {
  uint32_t cookie;
  int64_t end;
  int64_t execs;
  const char* path;
};

void* ExecFromThread(void* argument) {
  auto* storm = static_cast<ExecStorm*>(argument);
  if (storm->path[0] != '\0') {
    if (Offer* offer = MapOffer(storm->path)) offer->tid = Tid();
  }
  ExecSelf("storm", storm->cookie, storm->end, storm->execs + 1, storm->path);
  _exit(97);
}

[[noreturn]] void RunExecStorm(ExecStorm storm) {
  if (NowMs() >= storm.end) Perform(storm.cookie, storm.execs);
  pthread_t thread;
  if (StartThread(ExecFromThread, &storm, &thread, false) != 0) _exit(96);
  for (;;) pause();
}

int64_t TakeTidStorm(int64_t ms, const char* path) {
  Offer* offer = MapOffer(path);
  if (!offer) return -1;
  int64_t taken = 0;
  for (const int64_t end = NowMs() + ms; NowMs() < end;) {
    const int wanted = offer->tid;
    if (wanted == 0) continue;
    const pid_t child = Clone3(0, wanted);
    if (child == 0) _exit(0);
    if (child < 0) continue;  // EEXIST: not given up yet
    ++taken;
    __sync_bool_compare_and_swap(&offer->tid, wanted, 0);
    waitpid(child, nullptr, 0);
  }
  return taken;
}

// ---- one command

void Carry(int fd, const Command& command) {
  switch (command.op) {
    case Op::kFork:
      if (fork() == 0) PerformAsChild(command.cookie);
      break;
    case Op::kForkSibling:
      if (Clone3(CLONE_PARENT, 0) == 0) PerformAsChild(command.cookie);
      break;
    case Op::kVforkExec:
      if (vfork() == 0) {
        ExecSelf("perform", command.cookie, 0, 0, "");
        _exit(95);
      }
      break;
    case Op::kDaemonize: {
      const pid_t child = fork();
      if (child == 0) {
        setsid();
        if (fork() == 0) PerformAsChild(command.cookie);
        _exit(0);
      }
      waitpid(child, nullptr, 0);
      break;
    }
    case Op::kForkAs: {
      const pid_t child = Clone3(0, static_cast<pid_t>(command.number));
      if (child == 0) PerformAsChild(command.cookie);
      Say(fd, Message::Kind::kReply, command.cookie, child < 0 ? child : 0);
      break;
    }
    case Op::kThread: {
      pthread_t thread;
      StartThread(PerformAsThread, reinterpret_cast<void*>(uintptr_t{command.cookie}), &thread, true);
      break;
    }
    case Op::kExec: ExecSelf("perform", command.cookie, 0, 0, ""); break;
    case Op::kExitThread: syscall(SYS_exit, 0); break;
    case Op::kExitProcess: _exit(0); break;
    case Op::kReap: {
      const pid_t got = waitpid(static_cast<pid_t>(command.number), nullptr, 0);
      Say(fd, Message::Kind::kReply, command.cookie, got < 0 ? -errno : 0);
      break;
    }
    case Op::kGrow: {
      const int file = memfd_create("grown", MFD_CLOEXEC);
      const int failed = fallocate(file, 0, 0, static_cast<off_t>(command.number) << 20);
      Say(fd, Message::Kind::kReply, command.cookie, failed ? -errno : 0);
      break;
    }
    case Op::kForkStorm:
      Say(fd, Message::Kind::kReply, command.cookie, ForkStorm(command.number));
      break;
    case Op::kThreadStorm:
      Say(fd, Message::Kind::kReply, command.cookie, ThreadStorm(command.number));
      break;
    case Op::kExecStorm:
      RunExecStorm({command.cookie, NowMs() + static_cast<int64_t>(command.number), 0, command.path});
    case Op::kTakeTidStorm:
      Say(fd, Message::Kind::kReply, command.cookie, TakeTidStorm(command.number, command.path));
      break;
  }
}

void Perform(uint32_t cookie, int64_t value) {
  const int fd = Connect();
  Say(fd, Message::Kind::kHello, cookie, value);
  for (;;) {
    Command command;
    const ssize_t n = recv(fd, &command, sizeof command, 0);
    if (n < 0 && errno == EINTR) continue;
    if (n != sizeof command) _exit(0);
    Carry(fd, command);
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 7) {
    fprintf(stderr, "usage: corral-puppet SOCKET perform|storm COOKIE A B PATH (for tests)\n");
    return 2;
  }
  g_socket = argv[1];
  const uint32_t cookie = static_cast<uint32_t>(strtoul(argv[3], nullptr, 10));
  if (strcmp(argv[2], "storm") == 0) {
    RunExecStorm({cookie, strtoll(argv[4], nullptr, 10), strtoll(argv[5], nullptr, 10), argv[6]});
  }
  Perform(cookie, 0);
}

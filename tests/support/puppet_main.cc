// corral-puppet SOCKET COOKIE [VALUE]: a task that does what a test tells it (puppets.h).
//
// Every task it makes connects on its own. A puppet whose test is gone reads the end of its
// connection and exits, so nothing outlives a test that crashed.
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <linux/sched.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
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
using corral::puppet::Storm;

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
  execl("/proc/thread-self/exe", "corral-puppet", g_socket, mode, texts[0], texts[1], texts[2],
        path, static_cast<char*>(nullptr));
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

// The page that storms share: a tid that one of them is about to give up.
struct Offer {
  volatile int tid;
};

Offer* MapOffer(const char* path) {
  const int fd = open(path, O_RDWR | O_CLOEXEC);
  void* at = mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  close(fd);
  return at == MAP_FAILED ? nullptr : static_cast<Offer*>(at);
}

Offer* g_offer;  // null where no other storm wants it

void Await(pid_t child) {
  while (waitpid(child, nullptr, __WALL) < 0 && errno == EINTR) {
  }
}

// Each makes what its name says, waits for the end of it, and returns how many were born.

int64_t BearProcess() {
  const pid_t child = Clone3(0, 0);
  if (child == 0) _exit(0);
  if (child < 0) return 0;
  Await(child);
  return 1;
}

int64_t BearThread() {
  pthread_t thread;
  if (StartThread([](void*) -> void* { return nullptr; }, nullptr, &thread, false) != 0) return 0;
  pthread_join(thread, nullptr);
  return 1;
}

int64_t BearVforked() {
  const pid_t child = vfork();
  if (child == 0) _exit(0);
  if (child < 0) return 0;
  Await(child);
  return 1;
}

int64_t BearSibling() {
  const pid_t child = Clone3(0, 0);
  if (child == 0) {
    const pid_t sibling = Clone3(CLONE_PARENT, 0);
    _exit(sibling < 0 ? 1 : 0);
  }
  if (child < 0) return 0;
  int status = 1;
  int64_t born = 0;
  // Both are ours; the one that failed to make a sibling says so.
  for (bool failed = false; born < (failed ? 1 : 2); ++born) {
    const pid_t ended = waitpid(-1, &status, __WALL);
    if (ended < 0) break;
    failed = failed || status != 0;
  }
  return born;
}

void* ExitAfterLeader(void*) {
  sched_yield();
  syscall(SYS_exit, 0);
  return nullptr;
}

int64_t BearDeadLeader() {
  const pid_t child = Clone3(0, 0);
  if (child == 0) {
    pthread_t thread;
    if (StartThread(ExitAfterLeader, nullptr, &thread, true) != 0) _exit(1);
    syscall(SYS_exit, 0);
  }
  if (child < 0) return 0;
  int status = 0;
  waitpid(child, &status, 0);
  return status == 0 ? 2 : 1;
}

// The new image does not fit: the kernel has ended the leader and given its tid to this
// thread by then, and kills it.
void* FailToExec(void*) {
  const rlimit little = {8192, 8192};
  const rlimit none = {0, 0};
  if (g_offer) g_offer->tid = Tid();
  setrlimit(RLIMIT_CORE, &none);
  setrlimit(RLIMIT_AS, &little);
  ExecSelf("perform", 0, 0, 0, "");
  _exit(94);
}

int64_t BearFailedExec() {
  const pid_t child = Clone3(0, 0);
  if (child == 0) {
    pthread_t thread;
    if (StartThread(FailToExec, nullptr, &thread, true) != 0) _exit(0);
    for (;;) pause();
  }
  if (child < 0) return 0;
  int status = 0;
  waitpid(child, &status, 0);
  return WIFSIGNALED(status) ? 2 : 1;
}

// The tid is asked for by several storms at once: whoever is late gets EEXIST.
int64_t BearSameTid() {
  const pid_t child = Clone3(0, g_offer->tid);
  if (child == 0) _exit(0);
  if (child < 0) return 0;
  Await(child);
  return 1;
}

// A read of a pipe that the kernel gives to a worker thread of its own.
int ReadByWorker(io_uring* ring, const int pipe_fds[2], char* byte) {
  if (const int error = io_uring_queue_init(4, ring, 0); error != 0) return error;
  io_uring_sqe* read_one = io_uring_get_sqe(ring);
  io_uring_prep_read(read_one, pipe_fds[0], byte, 1, 0);
  io_uring_sqe_set_flags(read_one, IOSQE_ASYNC);
  const int submitted = io_uring_submit(ring);
  return submitted < 0 ? submitted : 0;
}

int64_t BearUringWorkers() {
  int pipe_fds[2];
  io_uring ring;
  char byte = 0;
  if (pipe2(pipe_fds, O_CLOEXEC) != 0) return 0;
  const int error = ReadByWorker(&ring, pipe_fds, &byte);
  if (error == 0) {
    io_uring_cqe* done = nullptr;
    if (write(pipe_fds[1], "x", 1) == 1) io_uring_wait_cqe(&ring, &done);
    io_uring_queue_exit(&ring);
  }
  close(pipe_fds[0]);
  close(pipe_fds[1]);
  return error == 0 ? 1 : 0;
}

constexpr int64_t (*kBear[])() = {
    // in the order of enum class Storm
    BearProcess,    BearThread,     BearVforked, BearSibling,
    BearDeadLeader, BearFailedExec, BearSameTid, BearUringWorkers,
};

int64_t RunStorm(Storm storm, int64_t ms, const char* path) {
  g_offer = path[0] != '\0' ? MapOffer(path) : nullptr;
  if (storm == Storm::kSameTid && !g_offer) return 0;
  int64_t born = 0;
  for (const int64_t end = NowMs() + ms; NowMs() < end;) {
    born += kBear[static_cast<size_t>(storm)]();
  }
  return born;
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

// ---- files and owners

int WriteZero(const char* path) {
  const int fd = open(path, O_WRONLY | O_CLOEXEC);
  if (fd < 0) return -errno;
  const int result = write(fd, "0", 1) == 1 ? 0 : -errno;
  close(fd);
  return result;
}

int SetUid(uint64_t id) {
  // The system calls: libc's functions would change every thread.
  if (syscall(SYS_setresgid, id, id, id) != 0) return -errno;
  return syscall(SYS_setresuid, id, id, id) != 0 ? -errno : 0;
}

// ---- one command

io_uring g_ring;
int g_pipe[2];
char g_byte;

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
      StartThread(PerformAsThread, reinterpret_cast<void*>(uintptr_t{command.cookie}), &thread,
                  true);
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
    case Op::kStorm:
      Say(fd, Message::Kind::kReply, command.cookie,
          RunStorm(command.storm, static_cast<int64_t>(command.number), command.path));
      break;
    case Op::kHoldUring:
      if (pipe2(g_pipe, O_CLOEXEC) != 0) _exit(93);
      Say(fd, Message::Kind::kReply, command.cookie, ReadByWorker(&g_ring, g_pipe, &g_byte));
      break;
    case Op::kDropUring:
      io_uring_queue_exit(&g_ring);
      Say(fd, Message::Kind::kReply, command.cookie, 0);
      break;
    case Op::kWriteZero:
      Say(fd, Message::Kind::kReply, command.cookie, WriteZero(command.path));
      break;
    case Op::kSetUid: Say(fd, Message::Kind::kReply, command.cookie, SetUid(command.number)); break;
    case Op::kSetIds: {
      // The system call, not the library's: that one changes every thread.
      const long done = syscall(SYS_setresuid, command.number & 0xffff,
                                command.number >> 16 & 0xffff, command.number >> 32 & 0xffff);
      Say(fd, Message::Kind::kReply, command.cookie, done < 0 ? -errno : 0);
      break;
    }
    case Op::kExecStorm:
      RunExecStorm(
          {command.cookie, NowMs() + static_cast<int64_t>(command.number), 0, command.path});
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

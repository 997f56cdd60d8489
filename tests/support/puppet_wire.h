// What a test and its puppets say to each other; see puppets.h.
#ifndef CORRAL_TESTS_SUPPORT_PUPPET_WIRE_H_
#define CORRAL_TESTS_SUPPORT_PUPPET_WIRE_H_

#include <cstdint>

namespace corral::puppet {

enum class Op : std::uint32_t {
  kFork,         // plain; the child says hello
  kForkSibling,  // CLONE_PARENT
  kVforkExec,    // vfork, and exec in the child
  kDaemonize,    // fork, setsid, fork again; the grandchild says hello
  kForkAs,       // clone3 with set_tid = number; replies 0 or -errno, then the child says hello
  kThread,       // the thread says hello
  kExec,         // this thread executes the puppet again; what is left says hello
  kExitThread,
  kExitProcess,
  kReap,          // waitpid(number); replies
  kGrow,          // holds a file of `number` MiB in memory, so that its end takes a while; replies
  kStorm,         // for `number` ms: births of one kind; replies how many tasks were born
  kExecStorm,     // for `number` ms: exec by a thread, again and again; says hello with how many
  kTakeTidStorm,  // for `number` ms: fork with the tid that an exec storm gives up; replies how
                  // many
  kHoldUring,     // an io_uring whose worker thread waits for a pipe; replies 0 or -errno
  kDropUring,     // and its end; replies
  kWriteZero,     // writes `0` to the file `path`; replies 0 or -errno
  kSetUid,        // all of this thread's uids and gids become `number`; replies 0 or -errno
  kSetIds,        // setresuid of this thread alone: 16 bits each in `number`; replies 0 or -errno
};

// What a storm makes, each time anew, and waits for.
enum class Storm : std::uint32_t {
  kFork,        // a process that exits at once
  kThread,      // a thread that exits at once
  kVfork,       // a process that shares memory and exits at once
  kSibling,     // a process, and by CLONE_PARENT a second one that is its sibling
  kDeadLeader,  // a process whose leader exits before its thread
  kFailedExec,  // a process whose thread execs and is killed past the point of no return
  kSameTid,     // a process with the tid on the page that storms share, if it is free
  kUring,       // io_uring workers, an unknown number (replies how many rings)
};

struct Command {
  Op op;
  std::uint32_t cookie;  // whoever is made says it in its hello
  std::uint64_t number;
  Storm storm;    // kStorm
  char path[96];  // the page that storms share; kWriteZero: the file
};

struct Message {
  enum class Kind : std::uint32_t { kHello, kReply } kind;
  std::uint32_t cookie;
  std::int32_t tgid;
  std::int32_t tid;
  std::int64_t value;
};

}  // namespace corral::puppet

#endif  // CORRAL_TESTS_SUPPORT_PUPPET_WIRE_H_

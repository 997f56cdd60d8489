// What a test and its puppets say to each other; see puppets.h.
#ifndef CORRAL_TESTS_SUPPORT_PUPPET_WIRE_H_
#define CORRAL_TESTS_SUPPORT_PUPPET_WIRE_H_

#include <cstdint>

namespace corral::puppet {

enum class Op : std::uint32_t {
  kFork,          // plain; the child says hello
  kForkSibling,   // CLONE_PARENT
  kVforkExec,     // vfork, and exec in the child
  kDaemonize,     // fork, setsid, fork again; the grandchild says hello
  kForkAs,        // clone3 with set_tid = number; replies 0 or -errno, then the child says hello
  kThread,        // the thread says hello
  kExec,          // this thread executes the puppet again; what is left says hello
  kExitThread,
  kExitProcess,
  kReap,          // waitpid(number); replies
  kGrow,          // holds a file of `number` MiB in memory, so that its end takes a while; replies
  kForkStorm,     // for `number` ms: children that exit at once; replies how many
  kThreadStorm,   // for `number` ms: threads that exit at once; replies how many
  kExecStorm,     // for `number` ms: exec by a thread, again and again; says hello with how many
  kTakeTidStorm,  // for `number` ms: fork with the tid that an exec storm gives up; replies how many
};

struct Command {
  Op op;
  std::uint32_t cookie;  // whoever is made says it in its hello
  std::uint64_t number;
  char path[96];         // kExecStorm, kTakeTidStorm: the file both map
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

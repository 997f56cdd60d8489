// The verbs of scripts. T, N: tasks (t1, ...; `me` is the driver); M: mount points (m1, ...);
// F: descriptors (f1, ...); modes are octal. A step whose names are unknown, or taken, is passed
// over by model and machine alike: that is what lets a script be shortened.
#ifndef CORRAL_TESTS_RANDOM_VERBS_H_
#define CORRAL_TESTS_RANDOM_VERBS_H_

#include <cstddef>
#include <string_view>

namespace corral::random {

struct Verb {
  std::string_view name;
  std::size_t args;
  std::string_view usage;
};

inline constexpr Verb kVerbs[] = {
    // tasks
    {"start", 1, "start N: a process, child of the driver"},
    {"fork", 2, "fork T N"},
    {"sibling", 2, "sibling T N: with CLONE_PARENT"},
    {"vfork", 2, "vfork T N: and exec"},
    {"daemon", 2, "daemon T N: setsid, two forks"},
    {"thread", 2, "thread T N"},
    {"exec", 1, "exec T: its process's other threads end, it becomes the leader"},
    {"exit", 1, "exit T: this thread alone"},
    {"exitall", 1, "exitall T: its process"},
    {"kill", 1, "kill T: SIGKILL to its process"},
    {"reap", 1, "reap T: the zombie's number is free afterwards"},
    {"setuid", 2, "setuid T UID: real, effective and saved"},
    // directories
    {"mkdir", 4, "mkdir M PATH MODE UMASK"},
    {"rmdir", 2, "rmdir M PATH"},
    {"rename", 3, "rename M PATH PATH"},
    {"unlink", 2, "unlink M PATH"},
    {"create", 2, "create M PATH: open with O_CREAT|O_EXCL"},
    {"mkfifo", 2, "mkfifo M PATH"},
    {"symlink", 2, "symlink M PATH"},
    {"chmod", 3, "chmod M PATH MODE"},
    {"chown", 4, "chown M PATH UID GID"},
    // files; %t1 in TEXT is that task's number, %xt1 the same with base 16, %a1 the path of a
    // release agent
    {"write", 4, "write M PATH TEXT OPENER: opened by that uid, written by `as`"},
    {"self", 3, "self T M PATH: T writes `0`"},
    {"read", 2, "read M PATH"},
    {"open", 3, "open F M PATH: for reading and writing"},
    {"pread", 1, "pread F: from the start"},
    {"pwrite", 2, "pwrite F TEXT"},
    {"close", 1, "close F"},
    // mounts
    {"mount", 2, "mount M OPTIONS"},
    {"umount", 1, "umount M"},
    {"remount", 2, "remount M OPTIONS"},
};

inline const Verb* FindVerb(std::string_view name) {
  for (const Verb& verb : kVerbs) {
    if (verb.name == name) return &verb;
  }
  return nullptr;
}

}  // namespace corral::random

#endif  // CORRAL_TESTS_RANDOM_VERBS_H_

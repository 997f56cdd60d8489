// Readers and writers in pid and user namespaces of their own (spec 7.5, 3.14, 8.4).
#include <fcntl.h>
#include <fmt/format.h>
#include <sched.h>
#include <sys/stat.h>

#include <fstream>

#include "differential/scenarios.h"

namespace corral::differential {
namespace {

void Put(const std::string& file, const std::string& text) { std::ofstream(file) << text; }

// Maps `outside` to root in a user namespace of the caller's own.
bool NewUserNamespace(uid_t outside, int more = 0) {
  if (::unshare(CLONE_NEWUSER | more) != 0) return false;
  Put("/proc/self/setgroups", "deny");
  Put("/proc/self/uid_map", fmt::format("0 {} 1", outside));
  return true;
}

std::string Moved(const std::string& file, const std::string& text) {
  const std::string seen = Write(file, text);
  return seen.find_first_not_of("0123456789") == seen.npos ? "moved" : seen;
}

}  // namespace

void PidNamespaces(Stage& stage) {
  stage.Mount();
  stage.Mkdir("a");
  const std::string tasks = stage.At("a/tasks");
  const Tid outside = stage.Start("outside");
  Write(tasks, Text(outside));
  const auto inside = [&](const std::function<std::string()>& look) {
    return stage.Child([&] {
      if (::unshare(CLONE_NEWPID) != 0) return ErrnoName(errno);
      return stage.Child(look);
    });
  };
  stage.Note("the list from inside", inside([&] { return Read(tasks); }));
  stage.Note("the list of the top from inside", inside([&] { return Read(stage.At("tasks")); }));
  stage.Note("its own pid", inside([&] {
               return Moved(tasks, "1") + " " + Read(tasks) + Read(stage.At("a/cgroup.procs"));
             }));
  stage.Note("0", inside([&] { return Moved(tasks, "0") + " " + Read(tasks); }));
  stage.Note("a child", inside([&] {
               return Moved(tasks, "1") + " " +
                      stage.Child([&] { return Read(tasks) + stage.OwnPlace(); });
             }));
  stage.Note("a pid from outside", inside([&] { return Moved(stage.At("tasks"), Text(outside)); }));
  stage.Note("it is where it was", stage.Place(outside));
  stage.Note("a namespace in it", inside([&] {
               Moved(tasks, "0");
               return stage.Child([&] {
                 if (::unshare(CLONE_NEWPID) != 0) return ErrnoName(errno);
                 return stage.Child([&] { return Read(tasks) + Moved(tasks, "1"); }) + " " +
                        Read(tasks);
               });
             }));
  const auto opened_outside = [&](bool read_before) {
    return stage.Child([&] {
      const Fd fd(::open(tasks.c_str(), O_RDWR | O_CLOEXEC));
      if (read_before) PreadFd(fd.get(), 0, 1);
      if (::unshare(CLONE_NEWPID) != 0) return ErrnoName(errno);
      return stage.Child([&] {
        const std::string before = PreadFd(fd.get(), 0);
        const std::string moved = Outcome(::write(fd.get(), "1", 1));
        return fmt::format("{}, write {}, {}, fresh {}", before, moved, PreadFd(fd.get(), 0),
                           Read(tasks));
      });
    });
  };
  stage.Note("opened outside, used inside", opened_outside(false));
  stage.Note("opened and read outside, used inside", opened_outside(true));
  stage.Note("the outer view", stage.Names(Read(tasks)));
}

void UserNamespaces(Stage& stage) {
  stage.Mount();
  stage.Mkdir("a");
  for (const char* file : {"tasks", "a/tasks", "release_agent"})
    ::chmod(stage.At(file).c_str(), 0666);
  const Tid own = stage.Start("own", User(1000)), roots = stage.Start("root's");
  for (const uid_t uid : {0u, 1000u}) {
    const auto inside = [&](const std::string& step, const std::function<std::string()>& look,
                            int more = 0) {
      stage.Note(fmt::format("{} by uid {}", step, uid), stage.Child([&] {
        ::setresgid(uid, uid, uid);
        // The namespace is root's to map; the effective id is what files see.
        if (uid != 0) {
          ::setresuid(uid, uid, uid);
          Put("/dev/null", "");
        }
        if (!NewUserNamespace(uid, more)) return "no namespace: " + ErrnoName(errno);
        return look();
      }));
    };
    inside("its own pid", [&] { return Moved(stage.At("a/tasks"), std::to_string(::getpid())); });
    inside("0", [&] { return Moved(stage.At("a/tasks"), "0") + " to " + stage.OwnPlace(); });
    inside("a task of uid 1000", [&] { return Moved(stage.At("a/tasks"), Text(own)); });
    inside("a task of root's", [&] { return Moved(stage.At("a/tasks"), Text(roots)); });
    inside("the agent", [&] { return Write(stage.At("release_agent"), "/x"); });
    inside("mkdir", [&] {
      const std::string made = Outcome(::mkdir(stage.At("made").c_str(), 0755));
      ::rmdir(stage.At("made").c_str());
      return made;
    });
    inside("the owner of the top", [&] { return Mode(stage.top()); });
    Write(stage.At("tasks"), Text(own));
    Write(stage.At("tasks"), Text(roots));
  }
  stage.Note("agent", Read(stage.At("release_agent")));
}

}  // namespace corral::differential

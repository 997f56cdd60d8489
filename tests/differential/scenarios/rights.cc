// Who may move whom (spec 8), and delegation.
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "differential/scenarios.h"

namespace corral::differential {
namespace {

constexpr Ids kOwners[] = {{1000, 1000, 1000}, {1000, 2, 2}, {2, 1000, 2}, {2, 2, 1000},
                           {2, 2, 2},          {0, 0, 0},    {0, 1000, 0}, {1000, 0, 0}};
constexpr Ids kWriters[] = {{1000, 1000, 1000}, {2, 1000, 2},    {1000, 2, 2}, {2, 2, 1000},
                            {0, 1000, 0},       {1000, 0, 1000}, {0, 0, 0}};

std::string Shown(Ids ids) { return fmt::format("{}/{}/{}", ids.real, ids.effective, ids.saved); }

// The files may be opened by everyone; what is asked here is who may move.
void OpenToAll(Stage& stage) {
  stage.Mount();
  stage.Mkdir("a");
  for (const char* file : {"tasks", "a/tasks", "a/cgroup.procs", "release_agent"})
    ::chmod(stage.At(file).c_str(), 0666);
}

std::string Moved(Stage& stage, const std::string& file, const std::string& text) {
  const std::string seen = Write(stage.At(file), text);
  return seen.find_first_not_of("0123456789") == seen.npos ? "moved" : seen;
}

std::string MovedBy(const Fd& fd, const std::string& text) {
  const std::string seen = Outcome(::write(fd.get(), text.data(), text.size()));
  return seen.find_first_not_of("0123456789") == seen.npos ? "moved" : seen;
}

void SetIds(Ids ids) { ::syscall(SYS_setresuid, ids.real, ids.effective, ids.saved); }

bool SetCapabilities(std::uint32_t low, std::uint32_t high) {
  __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[2] = {{low, low, 0}, {high, high, 0}};
  return ::syscall(SYS_capset, &header, data) == 0;
}

}  // namespace

void RightsOverTasks(Stage& stage) {
  OpenToAll(stage);
  for (const Ids& target_ids : kOwners) {
    const Tid target = stage.Start("target", target_ids);
    for (const Ids& writer : kWriters) {
      const std::string step = fmt::format("{} moves {}", Shown(writer), Shown(target_ids));
      stage.Note(step, stage.As(writer, [&] { return Moved(stage, "a/tasks", Text(target)); }));
      stage.Note(step + " as a process",
                 stage.As(writer, [&] { return Moved(stage, "a/cgroup.procs", Text(target)); }));
      Write(stage.At("tasks"), Text(target));
    }
    stage.End(target);
  }
  for (const Ids& writer : {Ids{1000, 1000, 1000}, Ids{1000, 1000, 0}, Ids{1000, 2, 2},
                            Ids{1000, 2, 1000}, Ids{1000, 2, 3}, Ids{2, 2, 1000}, Ids{0, 2, 0}}) {
    const std::string step = Shown(writer);
    stage.Note(step + " writes 0", stage.As(writer, [&] { return Moved(stage, "a/tasks", "0"); }));
    stage.Note(step + " writes 0 as a process",
               stage.As(writer, [&] { return Moved(stage, "a/cgroup.procs", "0"); }));
    stage.Note(step + " writes its own pid", stage.As(writer, [&] {
      return Moved(stage, "a/tasks", std::to_string(::getpid()));
    }));
    stage.Note(step + " writes junk",
               stage.As(writer, [&] { return Moved(stage, "a/tasks", "x"); }));
    stage.Note(step + " writes no task",
               stage.As(writer, [&] { return Moved(stage, "a/tasks", "99999999"); }));
    stage.Note(step + " writes too much",
               stage.As(writer, [&] { return Moved(stage, "a/tasks", std::string(5000, ' ')); }));
    stage.Note(step + " writes kthreadd",
               stage.As(writer, [&] { return Moved(stage, "a/tasks", "2"); }));
  }
}

void OpenerAndWriter(Stage& stage) {
  OpenToAll(stage);
  const Tid own = stage.Start("own", User(1000)), roots = stage.Start("root's");
  const Ids root = {}, user = User(1000), acting = {0, 1000, 0};
  const struct {
    const char* name;
    Ids opener, writer;
  } kPairs[] = {{"root opens, a user writes", root, user},
                {"root opens as a user, root writes", acting, root},
                {"root opens as a user, a third writes", acting, User(2)},
                {"root opens, root writes as a user", root, acting},
                {"root opens as a user and writes as one", acting, acting}};
  for (const auto& pair : kPairs) {
    const auto with = [&](const std::string& text) {
      return stage.Child([&] {
        SetIds(pair.opener);
        const Fd fd(::open(stage.At("a/tasks").c_str(), O_WRONLY));
        SetIds({0, 0, 0});  // goes where the saved id is root's
        SetIds(pair.writer);
        return MovedBy(fd, text);
      });
    };
    const std::string step = std::string(pair.name) + ", ";
    stage.Note(step + "the user's task", with(Text(own)));
    stage.Note(step + "root's task", with(Text(roots)));
    stage.Note(step + "0", with("0"));
    stage.Note(step + "no task", with("99999999"));
    stage.Note(step + "junk", with("x"));
    Write(stage.At("tasks"), Text(own));
    Write(stage.At("tasks"), Text(roots));
  }
  stage.Note("0 by a descriptor that was inherited", stage.Child([&] {
    const Fd fd(::open(stage.At("a/tasks").c_str(), O_WRONLY));
    return stage.As(User(1000), [&] { return MovedBy(fd, "0") + " to " + stage.OwnPlace(); }) +
           ", the opener in " + stage.OwnPlace();
  }));
}

void Capabilities(Stage& stage) {
  OpenToAll(stage);
  const Tid own = stage.Start("own", User(1000)), roots = stage.Start("root's");
  stage.Note("root without capabilities moves a user's task", stage.Child([&] {
    return SetCapabilities(0, 0) ? Moved(stage, "a/tasks", Text(own)) : "capset failed";
  }));
  stage.Note("root without capabilities sets the agent", stage.Child([&] {
    return SetCapabilities(0, 0) ? Write(stage.At("release_agent"), "/x") : "capset failed";
  }));
  const auto capable = [&](const std::function<std::string()>& look) {
    return stage.Child([&] {
      ::prctl(PR_SET_KEEPCAPS, 1);
      ::setresuid(1000, 1000, 1000);
      const std::uint32_t admin = 1u << CAP_SYS_ADMIN;
      return SetCapabilities(admin, 0) ? look() : "capset failed";
    });
  };
  stage.Note("a user with CAP_SYS_ADMIN moves root's task",
             capable([&] { return Moved(stage, "a/tasks", Text(roots)); }));
  stage.Note("a user with CAP_SYS_ADMIN sets the agent",
             capable([&] { return Write(stage.At("release_agent"), "/x"); }));
  stage.Note("agent", Read(stage.At("release_agent")));
}

void Delegation(Stage& stage) {
  stage.Mount();
  stage.Mkdir("d");
  stage.Mkdir("closed");
  const Tid own = stage.Start("own", User(1000)), roots = stage.Start("root's");
  for (const char* path : {"d", "d/tasks", "d/cgroup.procs"})
    ::chown(stage.At(path).c_str(), 1000, 1000);
  const auto as = [&](const std::string& step, const std::function<std::string()>& look) {
    stage.Note(step, stage.As(User(1000), look));
  };
  as("mkdir inside", [&] { return Outcome(::mkdir(stage.At("d/sub").c_str(), 0755)); });
  stage.Note("it is the user's",
             Mode(stage.At("d/sub")) + ", tasks " + Mode(stage.At("d/sub/tasks")));
  as("mkdir outside", [&] { return Outcome(::mkdir(stage.At("sub").c_str(), 0755)); });
  as("0 inside", [&] { return Moved(stage, "d/sub/tasks", "0") + " to " + stage.OwnPlace(); });
  as("0 into the delegated one", [&] { return Moved(stage, "d/tasks", "0"); });
  as("0 outside", [&] { return Moved(stage, "closed/tasks", "0"); });
  as("0 back to the top", [&] { return Moved(stage, "tasks", "0"); });
  as("its own task", [&] { return Moved(stage, "d/sub/tasks", Text(own)); });
  as("its own process", [&] { return Moved(stage, "d/cgroup.procs", Text(own)); });
  as("root's task", [&] { return Moved(stage, "d/sub/tasks", Text(roots)); });
  as("a flag that was not delegated", [&] { return Write(stage.At("d/notify_on_release"), "1"); });
  as("its own flag", [&] { return Write(stage.At("d/sub/notify_on_release"), "1"); });
  as("rename",
     [&] { return Outcome(::rename(stage.At("d/sub").c_str(), stage.At("d/sub2").c_str())); });
  as("chmod", [&] { return Outcome(::chmod(stage.At("d/sub2/tasks").c_str(), 0600)); });
  as("rmdir inside", [&] { return Outcome(::rmdir(stage.At("d/sub2").c_str())); });
  as("rmdir of the delegated one", [&] { return Outcome(::rmdir(stage.At("d").c_str())); });
  as("chown back", [&] { return Outcome(::chown(stage.At("d/tasks").c_str(), 0, 0)); });
  // The right over the source is not asked for.
  Write(stage.At("closed/tasks"), Text(own));
  ::chmod(stage.At("closed").c_str(), 0700);
  as("out of a closed one", [&] { return Moved(stage, "d/tasks", Text(own)); });
}

}  // namespace corral::differential

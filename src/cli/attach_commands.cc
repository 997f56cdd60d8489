// corral attach, corral exec: tasks that run already, and a command to be started, in a group
// that is there.
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/text.h"
#include "cli/command.h"
#include "cli/output.h"
#include "cli/pid_namespace.h"
#include "cli/target.h"
#include "client/client.h"

namespace corral::cli {
namespace {

using nlohmann::json;

// ---- attach

struct AttachOptions {
  std::string path;
  std::vector<std::string> tids;
  bool process = false;
};

Result<std::vector<pid_t>> ParseTids(const std::vector<std::string>& words) {
  std::vector<pid_t> tids;
  for (const std::string& word : words) {
    pid_t tid = 0;
    const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), tid);
    if (error != std::errc() || end != word.data() + word.size() || tid <= 0) {
      return Fail(EINVAL, "attach: {} is not the number of a task (1 to {})",
                  word.empty() ? "''" : Printable(word), std::numeric_limits<pid_t>::max());
    }
    tids.push_back(tid);
  }
  return tids;
}

int Attach(const Context& context, const AttachOptions& options) {
  auto tids = ParseTids(options.tids);
  if (!tids) {
    Say(tids.error().message);
    return kUsage;
  }
  if (auto host = CheckPidNamespace("attach"); !host) return Complain(host.error());
  auto client = Client::ConnectOrRecover(context.instance);
  if (!client) return Complain(client.error());
  auto group = CallOn(*client, wire::Info(), options.path);
  if (!group) return Complain(group.error());

  json attached = json::array();
  json failed = json::array();
  for (const pid_t tid : *tids) {
    auto done = client->Call(wire::Attach{.group = wire::GroupName::Id(group->id),
                                          .tid = static_cast<std::uint64_t>(tid),
                                          .process = options.process});
    if (!done && IsConnectionLost(done.error())) return Complain(done.error());
    if (done) {
      attached.push_back(tid);
      continue;
    }
    Say(fmt::format("{} {} is not in {}: {}", options.process ? "process" : "task", tid,
                    Printable(group->path), done.error().message));
    failed.push_back({{"tid", tid}, {"errno", done.error().code}, {"error", done.error().message}});
  }
  if (context.json) {
    PrintJson({{"path", JsonOf(group->path)}, {"attached", attached}, {"failed", failed}});
  }
  return failed.empty() ? kOk : kFailed;
}

// ---- exec

// 0, or the errno exec would fail with. Asked before anybody is moved: a mistyped command must not
// look like a task that came and went, which releases the group.
int LookForCommand(const std::string& name) {
  const auto look = [](const std::string& file) {
    struct stat st;
    if (::stat(file.c_str(), &st) != 0) return errno == ENOTDIR ? ENOENT : errno;
    if (!S_ISREG(st.st_mode)) return EACCES;
    return ::eaccess(file.c_str(), X_OK) == 0 ? 0 : errno;
  };
  if (name.empty()) return ENOENT;
  if (name.contains('/')) return look(name);
  const char* path = std::getenv("PATH");
  std::string_view rest = path ? path : "/bin:/usr/bin";
  int error = ENOENT;
  for (;;) {
    const std::string_view dir = rest.substr(0, rest.find(':'));
    const int found = look(std::string(dir.empty() ? "." : dir) + "/" + name);
    if (found == 0) return 0;
    if (found != ENOENT) error = found;
    if (dir.size() == rest.size()) return error;
    rest.remove_prefix(dir.size() + 1);
  }
}

int CannotExec(const std::string& name, int error) {
  Say(fmt::format("{}: {}", Printable(name),
                  error == ENOENT ? "command not found" : std::strerror(error)));
  return error == ENOENT ? kNotFound : kNotExecutable;
}

// Moves this very process and becomes the command: same pid, same parent, same terminal.
int Exec(const Context& context, const std::string& path) {
  const std::vector<std::string>& command = context.command;
  if (command.empty()) {
    Say("exec: no command; usage: corral exec PATH -- COMMAND [ARGUMENT...]");
    return kUsage;
  }
  const auto refuse = [](const Error& error) {
    Say(error.message);
    return kRunFailed;
  };
  if (auto host = CheckPidNamespace("exec"); !host) return refuse(host.error());
  if (const int error = LookForCommand(command[0])) return CannotExec(command[0], error);
  auto client = Client::ConnectOrRecover(context.instance);
  if (!client) return refuse(client.error());
  const wire::Attach ask{.tid = static_cast<std::uint64_t>(::getpid()), .process = true};
  auto moved = CallOn(*client, ask, path);
  if (!moved) return refuse(moved.error());

  std::vector<char*> argv;
  for (const std::string& word : command) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  ::execvp(argv[0], argv.data());
  return CannotExec(command[0], errno);
}

}  // namespace

Form AttachForm() {
  auto options = std::make_shared<AttachOptions>();
  return {{{"-p,--process", &options->process, "All threads of the process a TID belongs to"},
           PathArgument(options->path),
           {"TID", &options->tids, "Numbers of tasks (threads)", {.required = true}}},
          [options](const Context& context) { return Attach(context, *options); }};
}

Form ExecForm() { return FormWithPath(Exec); }

}  // namespace corral::cli

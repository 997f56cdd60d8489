// corral run: a command in a group, from before its first instruction until the whole group
// is empty.
#include <poll.h>
#include <sys/wait.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/text.h"
#include "cli/command.h"
#include "cli/cpu_text.h"
#include "cli/hang_watch.h"
#include "cli/output.h"
#include "cli/pid_namespace.h"
#include "cli/run_group.h"
#include "cli/run_signals.h"
#include "client/client.h"
#include "client/forked_command.h"

namespace corral::cli {
namespace {

using nlohmann::json;

struct RunOptions {
  std::string group;
  bool wait = false;  // what is done anyhow
  bool kill = false;
  bool detach = false;
  bool bill = false;
  std::vector<std::string> command;
};

// What --json tells at the end, on standard error: standard output is the command's.
void PrintSummary(const Context& context, const json& summary) {
  if (context.json) PrintJsonLine(stderr, summary);
}

class Run {
 public:
  Run(const Context& context, const RunOptions& options, Client client, RunGroup group)
      : context_(context), options_(options), client_(std::move(client)), group_(std::move(group)) {
    summary_["group"] = JsonOf(group_.name());
  }

  int Execute();

 private:
  Result<ForkedCommand> StartInGroup(int& exit_code);
  int Detached(const ForkedCommand& child);
  int WaitForCommand(ForkedCommand& child);
  void KillRest();
  // 0, or the signal that ended the waiting.
  int WaitForRest();
  void RemoveGroup();
  void Unkept(const std::string& what, const Error& error);
  bool WantsBill() const { return (options_.bill || context_.json) && !options_.detach; }
  void OpenBill();
  void PresentBill();

  const Context& context_;
  const RunOptions& options_;
  Client client_;
  const RunGroup group_;
  // Blocked only where they are looked at: a daemon that does not answer can be left with Ctrl-C.
  std::optional<RunSignals> signals_;
  bool billed_ = false;
  bool unkept_ = false;  // something that was promised; or whether it was kept is not known
  json summary_ = json::object();
};

// Forks, attaches, lets go. On failure nothing is left: no process, no group.
Result<ForkedCommand> Run::StartInGroup(int& exit_code) {
  exit_code = kRunFailed;
  struct sigaction action;
  ::sigaction(SIGCHLD, nullptr, &action);
  const ChildSetup setup{.ignore_sigchld = action.sa_handler == SIG_IGN, .detach = options_.detach};
  ::signal(SIGCHLD, SIG_DFL);  // ignored, it would take the exit status away
  auto child = ForkedCommand::Fork(options_.command, setup);
  if (!child) return child;
  if (auto attached = group_.Attach(client_, child->pid()); !attached) {
    child->Abandon();
    return Fail(attached.error());
  }
  // Not before: a signal that ends us up to here ends the waiting child as well.
  signals_.emplace();
  if (const int error = child->Release(); error != 0) {
    exit_code = error == ENOENT ? kNotFound : kNotExecutable;
    return Fail(error, "{}: {}", Printable(options_.command[0]),
                error == ENOENT ? "command not found" : std::strerror(error));
  }
  return child;
}

int Run::Detached(const ForkedCommand& child) {
  Print(Printable(group_.name()));
  summary_["pid"] = child.pid();
  PrintSummary(context_, summary_);
  return kOk;
}

int Run::WaitForCommand(ForkedCommand& child) {
  bool ended = false;
  while (!ended) {
    pollfd ready[] = {{child.pidfd().get(), POLLIN, 0}, {signals_->fd(), POLLIN, 0}};
    if (::poll(ready, 2, -1) < 0) continue;
    ended = ready[0].revents != 0;
    // Also after the end: a Ctrl-C that ended the command is not one that ends our waiting.
    while (auto signal = signals_->Next()) {
      if (!ended) PassOn(*signal, child.pid(), child.pidfd());
    }
  }
  const siginfo_t end = child.Reap();
  if (end.si_code == CLD_EXITED) return end.si_status;
  summary_["signal"] = end.si_status;
  return 128 + end.si_status;
}

// Something that belongs to a run was not done, or perhaps not.
void Run::Unkept(const std::string& what, const Error& error) {
  unkept_ = true;
  Say(fmt::format("{} {}: {}", what, Printable(group_.name()), error.message));
}

void Run::KillRest() {
  auto killed = group_.Kill(client_);
  if (!killed) return Unkept("cannot kill what is left in", killed.error());
  summary_["killed"] = json::array();
  for (const Victim& victim : *killed) {
    summary_["killed"].push_back({{"pid", victim.pid}, {"command", victim.command}});
  }
  if (killed->empty()) return;
  Say(fmt::format("killed {} left in {}: {}", Counted(killed->size(), "process", "processes"),
                  Printable(group_.name()), NamesOf(*killed)));
}

int Run::WaitForRest() {
  if (auto sent = group_.SendWait(client_); !sent) {
    Unkept("cannot wait for", sent.error());
    return 0;
  }
  HangWatch watch(client_);
  for (;;) {
    pollfd ready[] = {{client_.socket(), POLLIN, 0}, {signals_->fd(), POLLIN, 0}};
    const int polled = ::poll(ready, 2, static_cast<int>(HangWatch::kPause.count()));
    if (polled == 0) watch.Look();
    if (polled <= 0) continue;
    if (ready[0].revents != 0) {
      auto answer = client_.Answer<wire::Wait>();
      if (!answer && answer.error().code != ENOENT && answer.error().code != ENODEV) {
        Unkept("no longer waiting for", answer.error());
      }
      return 0;
    }
    while (auto signal = signals_->Next()) {
      const auto number = static_cast<int>(signal->ssi_signo);
      if (number != SIGUSR1 && number != SIGUSR2) return number;
    }
  }
}

void Run::RemoveGroup() {
  auto removed = group_.Remove(client_);
  if (removed || (IsConnectionLost(removed.error()) && removed.error().code != ETIMEDOUT)) return;
  Unkept("cannot remove the group", removed.error());
}

// The command is run all the same: what it uses is no reason not to.
void Run::OpenBill() {
  auto opened = group_.OpenBill(client_);
  billed_ = opened.has_value();
  if (!opened && options_.bill) Say(fmt::format("no CPU bill: {}", opened.error().message));
}

// Once every dead task is charged in full.
void Run::PresentBill() {
  if (!billed_) return;
  auto bill = client_.Call(wire::Bill{.settle = true});
  if (!bill) {
    if (options_.bill) Say(fmt::format("no CPU bill: {}", bill.error().message));
    return;
  }
  const wire::Cpu& cpu = bill->cpu;
  summary_["cpu"] = JsonOf(cpu);
  summary_["cpu"]["complete"] = bill->uncharged_tasks == 0;
  if (!options_.bill) return;
  std::string line =
      fmt::format("job used {} of CPU (user {}, system {}), {}", SecondsText(cpu.total_ns),
                  SecondsText(cpu.user_ns), SecondsText(cpu.system_ns),
                  Counted(cpu.ended_tasks, "task", "tasks"));
  if (bill->uncharged_tasks != 0) {
    line += fmt::format("; {} not charged in full", bill->uncharged_tasks);
  }
  Say(line);
}

int Run::Execute() {
  if (WantsBill()) OpenBill();
  int exit_code = 0;
  auto child = StartInGroup(exit_code);
  if (!child) {
    signals_.reset();
    RemoveGroup();
    Say(child.error().message);
    return exit_code;
  }
  if (options_.detach) return Detached(*child);

  exit_code = WaitForCommand(*child);
  if (options_.kill) {
    signals_.reset();
    KillRest();
    signals_.emplace();
  }
  if (const int signal = WaitForRest(); signal != 0) {
    Say(fmt::format(
        "no longer waiting; group {0} still lives: `corral ps -r {0}` shows what is in it",
        Printable(group_.name())));
    summary_["left_by_signal"] = signal;
    exit_code = 128 + signal;
  } else {
    signals_.reset();
    PresentBill();
    RemoveGroup();
  }
  if (unkept_ && exit_code == 0) exit_code = kRunFailed;
  summary_["exit_status"] = exit_code;
  PrintSummary(context_, summary_);
  return exit_code;
}

// What would make the run pointless or dangerous, said before anything is started.
Result<void> CheckGroup(const RunGroup& group, const RunOptions& options) {
  if (options.detach) return {};
  if (group.is_root()) {
    return Fail(EINVAL, "{} is the root of a hierarchy and never gets empty; name a group below it",
                Printable(group.name()));
  }
  if (options.kill && group.was_populated()) {
    return Fail(EBUSY,
                "group {} holds tasks already, and --kill would end those, too; name another group",
                Printable(group.name()));
  }
  return {};
}

int SetOut(const Context& context, const RunOptions& options) {
  if (options.command.empty()) {
    Say("run: no command; usage: corral run [OPTIONS] -- COMMAND...");
    return kUsage;
  }
  if (auto host = CheckPidNamespace("run"); !host) {
    Say(host.error().message);
    return kRunFailed;
  }
  auto client = Client::ConnectOrStart(context.instance);
  if (!client) {
    Say(client.error().message);
    return kRunFailed;
  }
  auto group = options.group.empty() ? RunGroup::MakeFresh(*client, options.command[0])
                                     : RunGroup::FindOrMake(*client, options.group);
  if (!group) {
    Say(group.error().message);
    return kRunFailed;
  }
  if (auto good = CheckGroup(*group, options); !good) {
    Say(good.error().message);
    return kRunFailed;
  }
  return Run(context, options, *std::move(client), *std::move(group)).Execute();
}

}  // namespace

// The first word that is no option of ours begins the command.
Form RunForm() {
  auto options = std::make_shared<RunOptions>();
  return {{{"-g,--group",
            &options->group,
            "Run in this group, made if missing: a directory inside a mount, or HIERARCHY:/path",
            {.offer = Offer::kGroups}},
           {"--wait",
            &options->wait,
            "Wait until the whole group is empty (the default)",
            {.excludes = {"--kill", "--detach"}}},
           {"--kill",
            &options->kill,
            "When the command ends, kill what is left in the group",
            {.excludes = {"--detach"}}},
           {"--detach",
            &options->detach,
            "Start it away from the terminal, print the group and return",
            {.excludes = {"--bill"}}},
           {"--bill", &options->bill, "At the end, say what CPU time the whole group has used"}},
          [options](const Context& context) {
            options->command = context.command;
            const char* const always = std::getenv("CORRAL_BILL");
            if (always && *always != '\0' && std::string_view(always) != "0") options->bill = true;
            return SetOut(context, *options);
          }};
}

}  // namespace corral::cli

// The table of corral's commands, and the words that all of them take.
#include "cli/command.h"

#include <memory>

namespace corral::cli {
namespace {

constexpr Command kCommands[] = {
    {"run", "[-g PATH] [--wait|--kill|--detach] [--bill] [--] COMMAND [ARGUMENT...]",
     "Run a command in a group and wait until the whole group is empty",
     "  corral run --kill -- make -j8\n"
     "  Builds, ends what the build left behind, and has make's exit status.",
     RunForm, true},
    {"exec", "PATH [--] COMMAND [ARGUMENT...]", "Become a command inside a group that is there",
     "  corral exec jobs:/build -- gdb -p 4711\n"
     "  Starts gdb in jobs:/build, with the process number and the terminal of corral itself.",
     ExecForm, true},
    {"attach", "[-p] PATH TID...", "Move running tasks into a group",
     "  corral attach -p jobs:/build $(pidof httpd)\n"
     "  Moves all threads of these processes; children they have already stay where they are.",
     AttachForm},
    {"mkdir", "HIERARCHY:/PATH", "Make a group without a mount",
     "  corral mkdir corral:/night/backup\n"
     "  Makes the group, and corral:/night if it is missing.",
     MkdirForm},
    {"rm", "[-r] PATH", "Remove a group that is empty",
     "  corral rm -r jobs:/night\n"
     "  Removes the group and those below it, unless one of them holds a task.",
     RmForm},
    {"kill", "PATH", "Kill every process in a group and below it",
     "  corral kill jobs:/build && corral wait jobs:/build\n"
     "  Sends SIGKILL, says to whom, and waits until all of them have ended.",
     KillForm},
    {"wait", "PATH", "Wait until a group and all groups below it are empty",
     "  corral wait jobs:/build && umount /scratch\n"
     "  Nothing of the group holds files there any more.",
     WaitForm},
    {"why", "[-a] PATH", "Tell why a group is not empty",
     "  corral why jobs:/build\n"
     "  Tasks with their parents, state and age, groups below, and who has a file of it open.",
     WhyForm},
    {"events", "[-n N] [PATH]", "Tell what happens to groups, as it happens",
     "  corral events jobs:/build --json | jq -r 'select(.event == \"released\").path'\n"
     "  Prints the path of each group that is released, until interrupted.",
     EventsForm},
    {"tree", "[PATH]", "Show hierarchies and their groups",
     "  corral tree jobs:/night\n"
     "  Shows this group and all below it.",
     TreeForm},
    {"ls", "[PATH]", "List the groups directly inside a group",
     "  corral ls jobs:/\n"
     "  Without a path: the hierarchies.",
     LsForm},
    {"ps", "[-r] PATH", "List the tasks in a group",
     "  corral ps -r jobs:/night\n"
     "  Also those of the groups below.",
     PsForm},
    {"stat", "PATH", "Show what a group holds and has used",
     "  corral stat jobs:/night --json | jq .subtree.cpu.total_ns\n"
     "  The CPU time of the group and all below it, where that is metered.",
     StatForm},
    {"top", "[--once] [--sort KEY] [--interval SECONDS] [PATH]", "Watch what groups use",
     "  corral top --sort cpu jobs:/\n"
     "  Tasks and CPU time of each group, every second, until q is pressed.",
     TopForm},
    {"mount", "[-o OPTIONS] SOURCE DIR", "Mount a hierarchy on a directory",
     "  corral mount -o none,name=jobs none /mnt/jobs\n"
     "  Makes the hierarchy `jobs` if there is none, and shows it in /mnt/jobs.",
     MountForm},
    {"umount", "[-l] DIR", "Unmount a hierarchy from a directory",
     "  corral umount /mnt/jobs\n"
     "  The hierarchy lives on if it has groups.",
     UmountForm},
    {"start", "[--plugin FILE]...", "Start the daemon, with subsystems of one's own",
     "  corral start --plugin /usr/lib/corral/tags.so\n"
     "  Refused, and nothing is started, when the file is no plug-in for this version.",
     StartForm},
    {"status", "", "Show the daemon's state",
     "  corral status --json | jq .agents\n"
     "  How many release agents started, failed, were refused.",
     StatusForm},
    {"audit", "", "Compare the daemon's tables with the tasks of the machine",
     "  corral audit\n"
     "  Ends with status 1 if there is a difference.",
     AuditForm},
    {"doctor", "", "Check whether this machine can run corral, and what is missing",
     "  corral doctor\n"
     "  Needs no daemon.",
     DoctorForm},
    {"shutdown", "[--force]", "End the daemon",
     "  corral shutdown\n"
     "  Refused while there are mounts or groups; --force ends them as well.",
     ShutdownForm},
};

Argument Help() { return {"-h,--help", ShowHelp(), "Print this help message and exit"}; }

}  // namespace

std::span<const Command> Commands() { return kCommands; }

const Command* FindCommand(std::string_view name) {
  for (const Command& command : kCommands) {
    if (command.name == name) return &command;
  }
  return nullptr;
}

std::vector<Argument> GlobalArguments(Context& context) {
  return {Help(),
          {"--version", ShowVersion(), "Display program version information and exit"},
          {"-i,--instance",
           &context.instance,
           "Speak to this instance (default: $CORRAL_INSTANCE, or `default`)",
           {.offer = Offer::kInstances}}};
}

Form FormOf(const Command& command, Context& context) {
  Form form = command.form();
  const Argument json = {"--json", &context.json, "Print JSON"};
  form.arguments.insert(form.arguments.begin(), {Help(), json});
  return form;
}

Argument PathArgument(std::string& path, const char* help) {
  return {"PATH", &path, help, {.required = true, .offer = Offer::kGroups}};
}

Argument OptionalPathArgument(std::string& path, const char* help) {
  return {"PATH", &path, help, {.offer = Offer::kGroups}};
}

Form FormWithPath(int (*run)(const Context&, const std::string&), const char* help) {
  auto path = std::make_shared<std::string>();
  return {{PathArgument(*path, help)},
          [path, run](const Context& context) { return run(context, *path); }};
}

}  // namespace corral::cli

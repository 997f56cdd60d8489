// corral_scale: how corral's figures grow. Lays out one size, measures it, prints a column of
// `name TAB value`; scripts/scale runs the sizes and makes the table of docs/scale.md.
//
//   corral_scale tasks --processes 1000 --threads 100 --groups 1000 --first-tid 40000 DIR
//   corral_scale groups --count 100000 DIR
//
// DIR is a mount of an instance (CORRAL_INSTANCE) or, with --kernel, of a cgroup v1 hierarchy:
// then what both have is measured. Needs root. Exit status 1: something was wrong, not slow.
#include <dirent.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <CLI/CLI.hpp>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>
#include <thread>

#include "client/client.h"
#include "core/registry.h"
#include "scale/crowd.h"
#include "scale/files.h"
#include "scale/measure.h"
#include "trackers/bpf/bpf_tracker.h"

namespace corral {
namespace {

struct Options {
  std::string dir;
  bool kernel = false;  // DIR is the kernel's own
  std::string log;      // where the release agent writes
  CrowdPlan crowd;
  unsigned groups = 1;
  unsigned depth = 0;
  bool visited = false;
  bool shut_down = false;
};

int failures = 0;

void Expect(bool good, const std::string& what) {
  if (good) return;
  std::fprintf(stderr, "corral_scale: WRONG: %s\n", what.c_str());
  ++failures;
}

std::string Group(const Options& o, unsigned i) { return o.dir + "/g" + std::to_string(i); }

std::set<pid_t> Listed(const std::string& path, std::size_t* lines) {
  std::istringstream text(ReadFile(path));
  std::set<pid_t> tids;
  *lines = 0;
  for (pid_t tid; text >> tid; ++*lines) tids.insert(tid);
  return tids;
}

std::size_t LogLines(const Options& o) {
  const std::string text = ReadFile(o.log);
  return static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n'));
}

// ---- the daemon

double DaemonMemory() {
  auto client = Client::Connect(std::getenv("CORRAL_INSTANCE"));
  if (!client) return 0;
  auto status = client->Call({{"op", "status"}});
  if (!status) return 0;
  const std::string path =
      "/proc/" + std::to_string((*status)["daemon_pid"].get<int>()) + "/status";
  std::istringstream lines(ReadFile(path));
  double kb = 0;
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("VmRSS:")) kb = std::atof(line.c_str() + 6);
  }
  return kb / 1024;
}

void MeasureCommands(const Options& o) {
  SayTime("corral ps -r", MedianOf([&] { Run("corral ps -r " + o.dir); }));
  SayTime("corral tree", MedianOf([&] { Run("corral tree " + o.dir); }));
  SayTime("corral ps of one group", MedianOf([&] { Run("corral ps " + Group(o, 0)); }));
  bool clean = true;
  SayTime("corral audit", MedianOf([&] { clean = Run("corral audit") && clean; }));
  Expect(clean, "corral audit found a difference");
  SayCount("memory of the daemon, MB", DaemonMemory());
}

// What the kernel's own meter says of a birth and a death in a counted css_set, less what it says
// of empty programs in their place. The least of a few rounds each: whatever else the machine
// does only adds to them.
void MeasureHooks() {
  constexpr int kRounds = 4;
  double hooks = 1e9, empty = 1e9;
  for (int i = 0; i < kRounds; ++i) {
    FILE* pipe = ::popen("corral_hook_cost 300", "re");
    char line[512];
    while (pipe && std::fgets(line, sizeof line, pipe)) {
      double birth, death, empty_birth, empty_death;
      if (std::sscanf(line, "counted css_set birth %lf ns (empty %lf) death %lf ns (empty %lf)",
                      &birth, &empty_birth, &death, &empty_death) == 4) {
        hooks = std::min(hooks, birth + death);
        empty = std::min(empty, empty_birth + empty_death);
      }
    }
    if (pipe) ::pclose(pipe);
  }
  SayTime("hooks: a birth and a death", (hooks - empty) / 1e6);
}

// ---- one verdict

// From the last exit of a group to what its waiters see.
void MeasureVerdict(const Options& o) {
  const std::string group = o.dir + "/verdict";
  Expect(::mkdir(group.c_str(), 0755) == 0, "mkdir verdict");
  Expect(WriteFile(group + "/notify_on_release", "1\n"), "notify verdict");
  std::vector<double> woken, called;
  for (int i = 0; i < 21; ++i) {
    int gate[2], left[2];
    (void)!::pipe(gate);
    (void)!::pipe(left);
    const pid_t child = ::fork();
    if (child == 0) {
      ::close(gate[1]);
      const bool in = WriteFile(group + "/tasks", "0");
      (void)!::write(left[1], in ? "y" : "n", 1);
      char c;
      (void)!::read(gate[0], &c, 1);
      ::_exit(0);
    }
    char in = 'n';
    (void)!::read(left[0], &in, 1);
    Expect(in == 'y', "a task enters the group");
    const std::size_t lines = LogLines(o);
    const int events = o.kernel ? -1 : ::open((group + "/cgroup.events").c_str(), O_RDONLY);
    if (events >= 0) (void)ReadFd(events);
    ::close(gate[0]);
    const auto begin = Clock::now();
    ::close(gate[1]);
    if (events >= 0) {
      pollfd fd{.fd = events, .events = POLLPRI, .revents = 0};
      for (;;) {
        ::poll(&fd, 1, 5000);
        char text[64] = {};
        (void)!::pread(events, text, sizeof text - 1, 0);
        if (std::string(text).starts_with("populated 0")) break;
        if (MillisecondsSince(begin) > 5000) {
          Expect(false, "a verdict within 5 s");
          break;
        }
      }
      woken.push_back(MillisecondsSince(begin));
      ::close(events);
    }
    while (LogLines(o) == lines && MillisecondsSince(begin) < 5000) ::usleep(100);
    called.push_back(MillisecondsSince(begin));
    ::waitpid(child, nullptr, 0);
    for (const int fd : {left[0], left[1]}) ::close(fd);
  }
  const auto median = [](std::vector<double>& times) {
    std::nth_element(times.begin(), times.begin() + times.size() / 2, times.end());
    return times[times.size() / 2];
  };
  if (!woken.empty()) SayTime("last exit, poller sees populated 0", median(woken));
  SayTime("last exit, agent has run", median(called));
  Expect(::rmdir(group.c_str()) == 0, "rmdir verdict");
}

// ---- the same tasks in a registry of our own: no daemon, no file system

void MeasureLibrary(const Options& o, const Crowd& crowd) {
  std::unique_ptr<BpfTracker> tracker;
  SayTime("start: load hooks, find all tasks", TimeOf([&] {
            auto created = BpfTracker::Create();
            if (created) tracker = std::move(*created);
          }));
  if (!tracker) return Expect(false, "a tracker of our own");
  Registry registry(*tracker, [] {});
  const CgroupId root = *registry.Root(*registry.CreateHierarchy({.name = "scale"}));
  std::vector<CgroupId> groups;
  for (unsigned i = 0; i < o.groups; ++i) {
    groups.push_back(*registry.Mkdir(root, std::to_string(i), {}));
  }
  std::vector<double> moves;
  for (std::size_t i = 0; i < crowd.processes().size(); ++i) {
    const Tid leader{static_cast<std::uint32_t>(crowd.processes()[i])};
    moves.push_back(TimeOf([&] {
      Expect(registry.AttachProcess(groups[i % o.groups], leader, {}).has_value(), "a move");
    }));
  }
  std::nth_element(moves.begin(), moves.begin() + moves.size() / 2, moves.end());
  SayTime("library: move a process", moves[moves.size() / 2]);
  SayTime("library: list a group", MedianOf([&] { (void)registry.Tasks(groups[0]); }));
  SayTime("library: list the root", MedianOf([&] { (void)registry.Tasks(root); }));
  SayTime("library: walk for leavers", MedianOf([&] { (void)tracker->Leavers(); }));
  SayTime("library: judge all", MedianOf([&] { registry.JudgeAll(); }));
}

// ---- everything empties at once

void MeasureEmptying(const Options& o, Crowd& crowd) {
  std::vector<pollfd> waiting;
  if (!o.kernel) {
    for (unsigned i = 0; i < o.groups; ++i) {
      const int fd = ::open((Group(o, i) + "/cgroup.events").c_str(), O_RDONLY | O_CLOEXEC);
      (void)ReadFd(fd);
      waiting.push_back({.fd = fd, .events = POLLPRI, .revents = 0});
    }
  }
  const std::size_t lines = LogLines(o);
  const auto begin = Clock::now();
  std::thread killer([&] {
    crowd.Kill();
    SayTime("emptying: all tasks reaped", MillisecondsSince(begin));
  });
  std::vector<unsigned> populated(waiting.size(), 1);
  std::size_t left = waiting.size();
  while (left != 0 && MillisecondsSince(begin) < 120'000) {
    ::poll(waiting.data(), waiting.size(), 1000);
    for (std::size_t i = 0; i < waiting.size(); ++i) {
      if (!waiting[i].revents || !populated[i]) continue;
      char text[64] = {};
      (void)!::pread(waiting[i].fd, text, sizeof text - 1, 0);
      if (!std::string(text).starts_with("populated 0")) continue;
      populated[i] = 0;
      --left;
      ::close(waiting[i].fd);
      waiting[i].fd = -1;
    }
  }
  killer.join();
  Expect(left == 0, std::to_string(left) + " groups never said that they are empty");
  if (!o.kernel) SayTime("emptying: all pollers told", MillisecondsSince(begin));
  while (LogLines(o) < lines + o.groups && MillisecondsSince(begin) < 180'000) ::usleep(1000);
  SayTime("emptying: all agents have run", MillisecondsSince(begin));
  ::usleep(500'000);  // one too many would come now
  std::map<std::string, int> told;
  std::istringstream log(ReadFile(o.log));
  std::string path;
  for (std::size_t i = 0; std::getline(log, path); ++i) {
    if (i >= lines) ++told[path];
  }
  std::size_t once = 0;
  for (const auto& [name, times] : told) once += times == 1;
  Expect(once == o.groups && told.size() == o.groups,
         std::to_string(once) + " groups told once, of " + std::to_string(told.size()));
  SayCount("emptying: groups told exactly once", static_cast<double>(once));
}

// ---- the two layouts

int Tasks(const Options& o) {
  for (unsigned i = 0; i < o.groups; ++i) {
    if (::mkdir(Group(o, i).c_str(), 0755) != 0) {
      Expect(false, "mkdir " + Group(o, i));
      return 1;
    }
    Expect(WriteFile(Group(o, i) + "/notify_on_release", "1\n"), "notify_on_release");
  }
  Crowd crowd;
  const auto enter = [&](unsigned i) { return WriteFile(Group(o, i % o.groups) + "/tasks", "0"); };
  SayTime("start the crowd", TimeOf([&] { Expect(crowd.Start(o.crowd, enter), "the crowd"); }));
  if (failures) return 1;

  std::size_t total = 0;
  std::set<pid_t> all;
  for (unsigned i = 0; i < o.groups; ++i) {
    std::size_t lines = 0;
    const std::set<pid_t> own = Listed(Group(o, i) + "/tasks", &lines);
    Expect(own.size() == lines, "a task listed twice in one group");
    total += lines;
    all.insert(own.begin(), own.end());
  }
  const std::size_t wanted = std::size_t{o.crowd.processes} * o.crowd.threads_each;
  Expect(total == wanted && all.size() == wanted,
         "listed " + std::to_string(total) + " tasks, wanted " + std::to_string(wanted));
  SayCount("tasks in groups, each listed once", static_cast<double>(all.size()));
  SayCount("tasks of a group", static_cast<double>(wanted) / o.groups);

  SayTime("cat tasks of a group", MedianOf([&] { (void)ReadFile(Group(o, 0) + "/tasks"); }));
  SayTime("cat tasks of the root", MedianOf([&] { (void)ReadFile(o.dir + "/tasks"); }));
  MeasureVerdict(o);
  if (!o.kernel) {
    MeasureCommands(o);
    MeasureLibrary(o, crowd);
    MeasureHooks();
  }
  MeasureEmptying(o, crowd);
  if (!o.kernel) Expect(Run("corral audit"), "corral audit after all ended");
  for (unsigned i = 0; i < o.groups; ++i) {
    Expect(::rmdir(Group(o, i).c_str()) == 0, "rmdir " + Group(o, i));
  }
  return failures != 0;
}

int Groups(const Options& o) {
  SayTime("mkdir of all", TimeOf([&] {
            for (unsigned i = 0; i < o.groups; ++i) {
              if (::mkdir(Group(o, i).c_str(), 0755) != 0) Expect(false, "mkdir");
            }
          }));
  if (o.visited) {
    SayTime("one task visits all", TimeOf([&] {
              for (unsigned i = 0; i < o.groups; ++i) {
                if (!WriteFile(Group(o, i) + "/tasks", "0")) Expect(false, "visit");
              }
              Expect(WriteFile(o.dir + "/tasks", "0"), "leave");
            }));
    const auto begin = Clock::now();
    const std::string last = Group(o, o.groups - 1) + "/cgroup.events";
    while (!o.kernel && !ReadFile(last).starts_with("populated 0") &&
           MillisecondsSince(begin) < 60'000) {
      ::usleep(1000);
    }
    if (!o.kernel) SayTime("until the last says it is empty", MillisecondsSince(begin));
  }
  std::size_t names = 0;
  SayTime("ls (names only)", MedianOf([&] {
            names = 0;
            DIR* directory = ::opendir(o.dir.c_str());
            while (const dirent* entry = ::readdir(directory)) names += entry->d_name[0] == 'g';
            ::closedir(directory);
          }));
  Expect(names == o.groups, "ls shows " + std::to_string(names));
  struct stat status;
  SayTime("stat of one", MedianOf([&] { ::stat(Group(o, o.groups / 2).c_str(), &status); }));
  SayTime("cat tasks of a group", MedianOf([&] { (void)ReadFile(Group(o, 0) + "/tasks"); }));
  SayTime("cat tasks of the root", MedianOf([&] { (void)ReadFile(o.dir + "/tasks"); }));
  MeasureVerdict(o);
  if (!o.kernel) MeasureCommands(o);

  if (o.depth != 0) {
    std::string path = o.dir;
    SayTime("a chain of " + std::to_string(o.depth), TimeOf([&] {
              for (unsigned i = 0; i < o.depth; ++i) {
                path += "/d";
                if (::mkdir(path.c_str(), 0755) != 0) Expect(false, "mkdir deep");
              }
            }));
    SayTime("cat tasks at its end", MedianOf([&] { (void)ReadFile(path + "/tasks"); }));
    for (unsigned i = 0; i < o.depth; ++i, path.resize(path.size() - 2)) {
      if (::rmdir(path.c_str()) != 0) Expect(false, "rmdir deep");
    }
  }
  if (!o.kernel) {
    const std::string second = o.dir + ".second";
    ::mkdir(second.c_str(), 0755);
    SayTime("corral mount, a second one",
            TimeOf([&] { Expect(Run("corral mount -o name=scale none " + second), "mount"); }));
    SayTime("corral umount of it",
            TimeOf([&] { Expect(Run("corral umount " + second), "umount"); }));
  }
  if (o.shut_down && !o.kernel) {
    SayTime("corral shutdown --force",
            TimeOf([&] { Expect(Run("corral shutdown --force"), "end"); }));
    return failures != 0;
  }
  SayTime("rmdir of all", TimeOf([&] {
            for (unsigned i = 0; i < o.groups; ++i) {
              if (::rmdir(Group(o, i).c_str()) != 0) Expect(false, "rmdir");
            }
          }));
  if (!o.kernel) SayCount("memory of the daemon afterwards, MB", DaemonMemory());
  return failures != 0;
}

int Main(int argc, char** argv) {
  Options o;
  CLI::App app{"Measures corral at one size"};
  app.require_subcommand(1);
  const auto common = [&](CLI::App* mode) {
    mode->add_option("DIR", o.dir)->required();
    mode->add_option("--log", o.log, "What the release agent appends to");
    mode->add_flag("--kernel", o.kernel, "DIR is a cgroup v1 hierarchy");
  };
  auto* tasks = app.add_subcommand("tasks", "Many tasks");
  common(tasks);
  tasks->add_option("--processes", o.crowd.processes);
  tasks->add_option("--threads", o.crowd.threads_each, "Of each process, the leader included");
  tasks->add_option("--groups", o.groups);
  tasks->add_option("--first-tid", o.crowd.first_tid);
  tasks->add_option("--step", o.crowd.step, "From each tid to the next");
  auto* groups = app.add_subcommand("groups", "Many groups");
  common(groups);
  groups->add_option("--count", o.groups);
  groups->add_option("--depth", o.depth, "Also a chain this deep");
  groups->add_flag("--visited", o.visited, "A task was in each");
  groups->add_flag("--shut-down", o.shut_down, "End the daemon with all groups there");
  CLI11_PARSE(app, argc, argv);

  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
  return tasks->parsed() ? Tasks(o) : Groups(o);
}

}  // namespace
}  // namespace corral

int main(int argc, char** argv) { return corral::Main(argc, argv); }

#include "random/generator.h"

#include <fmt/format.h>

#include <iterator>

namespace corral::random {
namespace {

constexpr std::size_t kMostTasks = 16;
constexpr std::size_t kMostZombies = 6;
constexpr std::size_t kMostGroups = 6;  // in one mount
constexpr std::size_t kMostOpen = 4;

const std::vector<std::string> kUids{"0", "0", "0", "1000", "1001"};

template <typename Map>
std::vector<std::string> Keys(const Map& map) {
  std::vector<std::string> keys;
  for (const auto& [key, value] : map) keys.push_back(key);
  return keys;
}

}  // namespace

Generator::Generator(std::uint64_t seed, std::vector<std::string> dialects)
    : random_(seed), dialects_(std::move(dialects)) {}

const std::vector<Generator::Choice> Generator::kChoices{
    {16, &Generator::Birth},     {10, &Generator::End},       {6, &Generator::Reap},
    {1, &Generator::SetUid},     {24, &Generator::Move},      {6, &Generator::MoveSelf},
    {10, &Generator::WriteFlag}, {3, &Generator::WriteOther}, {14, &Generator::Mkdir},
    {12, &Generator::Rmdir},     {6, &Generator::Rename},     {2, &Generator::Odd},
    {2, &Generator::Chmod},      {2, &Generator::Chown},      {3, &Generator::Read},
    {6, &Generator::Held},       {3, &Generator::Mount},      {2, &Generator::Umount},
    {1, &Generator::Remount},
};

Step Generator::Next(const Model& model) {
  int all = 0;
  for (const Choice& choice : kChoices) all += choice.weight;
  for (;;) {
    int at = Below(all);
    Maker make = nullptr;
    for (const Choice& choice : kChoices) {
      make = choice.make;
      if ((at -= choice.weight) < 0) break;
    }
    if (model.mounts().empty()) make = &Generator::Mount;
    const Step step = (this->*make)(model);
    if (!step.verb.empty() && model.Applicable(step)) return step;
  }
}

// ---- names

std::string Generator::Task(const Model& model) { return Pick(Keys(model.tasks())); }
std::string Generator::MountPoint(const Model& model) { return Pick(Keys(model.mounts())); }
std::string Generator::Group(const Model& model, const std::string& mount) {
  return Pick(model.PathsIn(mount));
}

std::string Generator::ChildOf(const std::string& path, const std::string& name) {
  return (path == "/" ? "" : path) + "/" + name;
}

std::string Generator::Name() {
  if (!OneIn(12)) return std::string(1, "abcd"[Below(4)]);
  static const std::vector<std::string> kOdd{
      "with blank", "\xc3\xa9",    "not\xffutf8",         "new\nline",          "...",
      "tasks",      "cgroup.kill", std::string(255, 'l'), std::string(256, 'm')};
  return Pick(kOdd);
}

std::string Generator::File(const Model& model, const std::string& mount, const std::string& path) {
  return ChildOf(path, Pick(Keys(model.GroupAt(mount, path)->files)));
}

unsigned Generator::Uid() { return static_cast<unsigned>(std::stoul(Pick(kUids))); }

// ---- tasks

Step Generator::Birth(const Model& model) {
  if (model.tasks().size() >= kMostTasks) return {};
  const std::string made = fmt::format("t{}", next_task_++);
  if (model.tasks().size() < 3 || OneIn(6)) return {"start", {made}};
  static const std::vector<std::string> kWays{"fork",   "fork",   "sibling", "vfork",
                                              "daemon", "thread", "thread",  "thread"};
  return {Pick(kWays), {Task(model), made}};
}

Step Generator::End(const Model& model) {
  static const std::vector<std::string> kWays{"exit", "exit", "exit", "exitall",
                                              "kill", "exec", "exec"};
  if (model.zombies().size() > kMostZombies) return {};
  const std::string way = Pick(kWays);
  // An exec is of interest where it is not the leader's.
  if (way == "exec" && !OneIn(4)) return {way, {ThreadOf(model)}};
  return {way, {Task(model)}};
}

// Of those that are not leaders, if there are any.
std::string Generator::ThreadOf(const Model& model) {
  std::vector<std::string> threads;
  for (const auto& [name, task] : model.tasks()) {
    if (task.tid != task.tgid) threads.push_back(name);
  }
  return threads.empty() ? Task(model) : Pick(threads);
}

Step Generator::Reap(const Model& model) {
  if (model.zombies().empty()) return {};
  return {"reap", {Pick(Keys(model.zombies()))}};
}

Step Generator::SetUid(const Model& model) {
  return {"setuid", {Task(model), OneIn(2) ? "1000" : "1001"}};
}

// A number as people and programs write it, and as they should not.
std::string Generator::Spelling(const std::string& number) {
  if (!OneIn(4)) return number + "\n";
  static const std::vector<std::string> kWays{
      "{}",          " {}",       "\t{} \n", "+{}",
      "{} and more", "{}\n%t2\n", "0x{}",    "{}.",
      "-{}",         "--{}",      "",        " ",
      "x",           "4194999",   "-1",      "99999999999999999999",
      "4294967297",  "0",         "-0",      "+0"};
  const std::string way = Pick(kWays);
  const std::size_t hole = way.find("{}");
  // The digits of another base could be the number of a task that is not ours.
  if (way == "0x{}") return "0x%x" + number.substr(1);
  return hole == way.npos ? way : way.substr(0, hole) + number + way.substr(hole + 2);
}

Step Generator::Move(const Model& model) {
  const std::string mount = MountPoint(model);
  const std::string path = Group(model, mount);
  const bool zombie = !model.zombies().empty() && OneIn(8);
  const std::string task = zombie     ? Pick(Keys(model.zombies()))
                           : OneIn(3) ? ThreadOf(model)
                                      : Task(model);
  const std::string opener = OneIn(8) ? Pick(kUids) : "0";
  const unsigned writer = OneIn(3) ? Uid() : static_cast<unsigned>(std::stoul(opener));
  return {"write",
          {mount, ChildOf(path, OneIn(2) ? "tasks" : "cgroup.procs"), Spelling("%" + task), opener},
          writer};
}

Step Generator::MoveSelf(const Model& model) {
  const std::string mount = MountPoint(model);
  const std::string path = Group(model, mount);
  if (path.size() > 40) return {};  // a puppet takes no longer one
  return {"self", {Task(model), mount, ChildOf(path, OneIn(3) ? "cgroup.procs" : "tasks")}};
}

// ---- other files

std::string Generator::FlagText() {
  if (!OneIn(4)) return OneIn(3) ? "0\n" : "1\n";
  static const std::vector<std::string> kTexts{"1",
                                               "0",
                                               "",
                                               "2\n",
                                               " 1",
                                               "x",
                                               "1x",
                                               "00\n",
                                               "010",
                                               "0x1",
                                               "+1",
                                               "-1",
                                               "\n",
                                               "1\n\n",
                                               "18446744073709551616",
                                               "18446744073709551615\n"};
  return Pick(kTexts);
}

Step Generator::WriteFlag(const Model& model) {
  const std::string mount = MountPoint(model);
  const std::string file = OneIn(10) ? "cgroup.clone_children" : "notify_on_release";
  const unsigned uid = OneIn(6) ? Uid() : 0;
  return {
      "write", {mount, ChildOf(Group(model, mount), file), FlagText(), std::to_string(uid)}, uid};
}

Step Generator::WriteOther(const Model& model) {
  const std::string mount = MountPoint(model);
  const std::string path = Group(model, mount);
  switch (Below(7)) {
    case 0: return {"write", {mount, ChildOf(path, "cgroup.kill"), OneIn(4) ? "0" : "1\n", "0"}};
    case 3: return WriteQuota(mount, path);
    case 1: return {"write", {mount, ChildOf(path, "releasable"), "1", "0"}};
    case 2: return {"write", {mount, ChildOf(path, "tasks"), std::string(5000, '1'), "0"}};
    default: break;
  }
  static const std::vector<std::string> kAgents{"%a1", "%a1\n", "%a2\n", "\n",
                                                "/nonexistent/agent\n"};
  const unsigned uid = OneIn(6) ? 1000 : 0;
  return {"write", {mount, "/release_agent", Pick(kAgents), std::to_string(uid)}, uid};
}

Step Generator::WriteQuota(const std::string& mount, const std::string& path) {
  static const std::vector<std::string> kTexts{"max\n", "max", "1",  "2\n",
                                               "3",     "0x4", "-1", "many"};
  const std::string file = OneIn(2) ? "cgroup.max.depth" : "cgroup.max.descendants";
  const unsigned opener = OneIn(3) ? Uid() : 0;
  return {"write", {mount, ChildOf(path, file), Pick(kTexts), std::to_string(opener)}, opener};
}

Step Generator::Read(const Model& model) {
  const std::string mount = MountPoint(model);
  return {"read", {mount, File(model, mount, Group(model, mount))}, Uid()};
}

Step Generator::Held(const Model& model) {
  const std::string name = fmt::format("f{}", 1 + Below(kMostOpen));
  if (!model.open_files().contains(name)) {
    const std::string mount = MountPoint(model);
    static const std::vector<std::string> kFiles{"tasks", "cgroup.procs", "notify_on_release",
                                                 "releasable"};
    return {"open", {name, mount, ChildOf(Group(model, mount), Pick(kFiles))}};
  }
  switch (Below(4)) {
    case 0: return {"close", {name}};
    case 1: return {"pread", {name}};
    default: break;
  }
  const bool list = model.open_files().at(name).file != "notify_on_release";
  return {"pwrite", {name, list ? Spelling("%" + Task(model)) : FlagText()}};
}

// ---- directories

Step Generator::Mkdir(const Model& model) {
  const std::string mount = MountPoint(model);
  const auto paths = model.PathsIn(mount);
  if (paths.size() >= kMostGroups) return {};
  static const std::vector<std::string> kModes{"755", "755", "777", "700", "1777", "2775", "7777"};
  static const std::vector<std::string> kMasks{"22", "22", "0", "77"};
  const std::string parent = OneIn(20) ? "/missing" : Pick(paths);
  return {"mkdir", {mount, ChildOf(parent, Name()), Pick(kModes), Pick(kMasks)}, Uid()};
}

Step Generator::Rmdir(const Model& model) {
  const std::string mount = MountPoint(model);
  const std::string path = OneIn(20) ? ChildOf(Group(model, mount), Name()) : Group(model, mount);
  return {"rmdir", {mount, path}, OneIn(5) ? Uid() : 0};
}

Step Generator::Rename(const Model& model) {
  const std::string mount = MountPoint(model);
  const std::string from =
      OneIn(12) ? ChildOf(Group(model, mount), OneIn(2) ? "tasks" : Name()) : Group(model, mount);
  const std::string up = from.substr(0, from.rfind('/'));
  const std::string to = OneIn(4) ? ChildOf(Group(model, mount), Name()) : ChildOf(up, Name());
  return {"rename", {mount, from, to}, OneIn(5) ? Uid() : 0};
}

Step Generator::Odd(const Model& model) {
  const std::string mount = MountPoint(model);
  static const std::vector<std::string> kWays{"unlink", "create", "mkfifo", "symlink"};
  const std::string path = Group(model, mount);
  const std::string name = OneIn(2) ? "tasks" : std::string(1, "abcd"[Below(4)]);
  return {Pick(kWays), {mount, ChildOf(path, name)}};
}

Step Generator::Chmod(const Model& model) {
  const std::string mount = MountPoint(model);
  const std::string path = Group(model, mount);
  static const std::vector<std::string> kFileModes{"644", "666", "600", "0", "444", "620"};
  if (OneIn(2)) return {"chmod", {mount, File(model, mount, path), Pick(kFileModes)}, Uid()};
  static const std::vector<std::string> kModes{"755", "777", "700", "1777", "711", "775"};
  const bool root = OneIn(2);
  return {"chmod", {mount, path, root && OneIn(6) ? "2775" : Pick(kModes)}, root ? 0 : Uid()};
}

Step Generator::Chown(const Model& model) {
  const std::string mount = MountPoint(model);
  const std::string path = Group(model, mount);
  const std::string at = OneIn(2) ? path : File(model, mount, path);
  return {"chown", {mount, at, Pick(kUids), Pick(kUids)}};
}

// ---- mounts

std::string Generator::Options() {
  static const std::vector<std::string> kWrong{"none",
                                               "none,all",
                                               "name=",
                                               "name=a,name=b",
                                               "bogus",
                                               "compat=v7",
                                               "none,name=bad/name",
                                               "name=never",
                                               "none,name=x,release_agent=%a1,release_agent=%a2",
                                               "none,name=x,agent=1"};
  if (OneIn(8)) return Pick(kWrong);
  static const std::vector<std::string> kWho{
      "none,name=h1", "none,name=h2", "none,name=h3", "none,name=h1", "name=corral", "all", ""};
  std::string options = Pick(kWho);
  const std::string dialect = Pick(dialects_);
  if (dialect != "corral" || OneIn(3)) options += ",compat=" + dialect;
  if (!OneIn(4)) options += OneIn(2) ? ",release_agent=%a1" : ",release_agent=%a2";
  if (OneIn(8)) options += ",ro";
  if (OneIn(10)) options += ",,nosuid";
  return options;
}

Step Generator::Mount(const Model& model) {
  // Mostly one or two at a time; what is mounted costs time after every step.
  if (model.mounts().size() >= 2 && !OneIn(6)) return {};
  return {"mount", {fmt::format("m{}", 1 + Below(3)), Options()}};
}

Step Generator::Remount(const Model& model) {
  const std::string mount = MountPoint(model);
  const ModelHierarchy& hierarchy = *model.mounts().at(mount).hierarchy;
  std::string options = hierarchy.name.empty() ? "all" : "none,name=" + hierarchy.name;
  if (OneIn(6)) options = Options();
  if (OneIn(2)) options += ",release_agent=%a2";
  if (OneIn(4)) options += ",compat=" + std::string(hierarchy.dialect->name);
  return {"remount", {mount, options}};
}

Step Generator::Umount(const Model& model) { return {"umount", {MountPoint(model)}}; }

}  // namespace corral::random

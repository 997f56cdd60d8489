#include "random/machine.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <grp.h>
#include <poll.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "base/check.h"
#include "base/process.h"
#include "client/place_mount.h"
#include "wire/bytes.h"

namespace corral::random {
namespace {

constexpr int kMountPoints = 4;
constexpr int kPatienceMs = 20000;

std::string UniqueName() {
  static int serial = 0;
  return fmt::format("random-{}-{}", ::getpid(), serial++);
}

Tid TidOf(int tid) { return Tid{static_cast<std::uint32_t>(tid)}; }

// This thread as another user, with the group of the same number, while it lives.
class As {
 public:
  explicit As(unsigned uid) : uid_(uid) {
    if (uid_ == 0) return;
    CORRAL_CHECK(::syscall(SYS_setresgid, -1, uid_, -1) == 0);
    CORRAL_CHECK(::syscall(SYS_setresuid, -1, uid_, -1) == 0);
  }
  ~As() {
    if (uid_ == 0) return;
    CORRAL_CHECK(::syscall(SYS_setresuid, -1, 0, -1) == 0);
    CORRAL_CHECK(::syscall(SYS_setresgid, -1, 0, -1) == 0);
  }

 private:
  const unsigned uid_;
};

Machine::Done Outcome(int result) { return {.error = result < 0 ? errno : 0}; }

unsigned Number(const std::string& text, int base = 10) {
  return static_cast<unsigned>(std::stoul(text, nullptr, base));
}

}  // namespace

Machine::Machine() : instance_(UniqueName()), work_("/tmp/corral-" + instance_) {
  CORRAL_CHECK(::setgroups(0, nullptr) == 0);
  CORRAL_CHECK(::mkdir(work_.c_str(), 0755) == 0 && ::chmod(work_.c_str(), 0755) == 0);
  for (int i = 1; i <= kMountPoints; ++i) ::mkdir(fmt::format("{}/m{}", work_, i).c_str(), 0755);
  for (const auto& [name, path] : agents()) {
    std::ofstream(path) << "#!/bin/sh\nprintf '%s\\0' \"$1\" >> \"$0.log\"\n";
    CORRAL_CHECK(::chmod(path.c_str(), 0755) == 0);
  }
  auto client = Client::ConnectOrStart(instance_);
  if (!client) {
    fmt::print(stderr, "cannot start corrald: {}\n", client.error().message);
    std::exit(1);
  }
  client_.emplace(std::move(*client));
}

Machine::~Machine() {
  open_.clear();
  for (int i = 1; i <= kMountPoints; ++i) {
    ::umount2(fmt::format("{}/m{}", work_, i).c_str(), MNT_DETACH);
  }
  if (client_->Call({{"op", "shutdown"}, {"force", true}})) client_->WaitForClose();
  std::error_code ignored;
  std::filesystem::remove_all(work_, ignored);
}

std::map<std::string, std::string> Machine::agents() const {
  return {{"a1", work_ + "/a1"}, {"a2", work_ + "/a2"}};
}

std::size_t Machine::cpus() { return static_cast<std::size_t>(::sysconf(_SC_NPROCESSORS_CONF)); }

std::string Machine::Under(const std::string& mount, const std::string& path) const {
  return work_ + "/" + mount + path;
}

Machine::Done Machine::Perform(const Step& step, const Model& names) {
  const std::string& verb = step.verb;
  if (verb == "mount") return Mount(step, names, "");
  if (verb == "remount") return Mount(step, names, "remount,");
  if (verb == "umount") return Outcome(::umount2(Under(step.arg(0), "").c_str(), 0));
  for (const char* file_verb : {"write", "self", "read", "open", "pread", "pwrite", "close"}) {
    if (verb == file_verb) return PerformOnFiles(step, names);
  }
  for (const char* tree_verb :
       {"mkdir", "rmdir", "rename", "unlink", "create", "mkfifo", "symlink", "chmod", "chown"}) {
    if (verb == tree_verb) return PerformOnTree(step);
  }
  return PerformOnTasks(step, names);
}

Machine::Done Machine::Mount(const Step& step, const Model& names, const std::string& more) {
  auto mounted = MountOn(*client_, {.source = "none",
                                    .dir = Under(step.arg(0), ""),
                                    .options = more + names.Expand(step.arg(1))});
  if (!mounted) return {.error = mounted.error().code};
  used_for_good_ = used_for_good_ || *mounted == "corral" || *mounted == "v6";
  return {};
}

// ---- tasks

Machine::Done Machine::PerformOnTasks(const Step& step, const Model& names) {
  const std::string& verb = step.verb;
  const auto made = [&](Tid tid) {
    return Done{.tid = static_cast<int>(tid.value),
                .tgid = static_cast<int>(puppets_.ProcessOf(tid).value)};
  };
  if (verb == "start") return made(puppets_.Start());
  if (verb == "reap") {
    const int child = names.zombies().at(step.arg(0)).tid;
    if (::waitpid(child, nullptr, WNOHANG) == child) return {};
    std::ifstream stat(fmt::format("/proc/{}/stat", child));
    std::string line;
    std::getline(stat, line);
    int parent = 0;
    std::istringstream(line.substr(line.rfind(')') + 3)) >> parent;
    for (const auto& [tid, tgid] : puppets_.tasks()) {
      if (tgid.value != static_cast<unsigned>(parent)) continue;
      puppets_.Reap(tid, TidOf(child));
      return {};
    }
    // Given to us a moment ago, by the end of its parent.
    return Outcome(::waitpid(child, nullptr, 0));
  }
  const ModelTask& task = names.tasks().at(step.arg(0));
  const Tid tid = TidOf(task.tid);
  if (verb == "fork") return made(puppets_.Fork(tid));
  if (verb == "sibling") return made(puppets_.ForkSibling(tid));
  if (verb == "vfork") return made(puppets_.VforkExec(tid));
  if (verb == "daemon") return made(puppets_.Daemonize(tid));
  if (verb == "thread") return made(puppets_.Thread(tid));
  if (verb == "exec") return made(puppets_.Exec(tid));
  if (verb == "setuid") return {.error = puppets_.SetUid(tid, Number(step.arg(1)))};
  if (verb == "exit") puppets_.ExitThread(tid);
  if (verb == "exitall") puppets_.ExitProcess(tid);
  if (verb == "kill") puppets_.BeginKill(Tgid{static_cast<std::uint32_t>(task.tgid)});
  return {};
}

bool Machine::AwaitEnd(int process) {
  const Fd pidfd = OpenPidfd(process).value_or(Fd());
  pollfd end = {pidfd.get(), POLLIN, 0};
  if (pidfd && ::poll(&end, 1, kPatienceMs) != 1) return false;
  puppets_.EndKill(Tgid{static_cast<std::uint32_t>(process)});
  return true;
}

// ---- directories

Machine::Done Machine::PerformOnTree(const Step& step) {
  const std::string& verb = step.verb;
  const std::string path = Under(step.arg(0), step.arg(1));
  const As as(step.uid);
  if (verb == "mkdir") {
    const mode_t old = ::umask(Number(step.arg(3), 8));
    const Done done = Outcome(::mkdir(path.c_str(), Number(step.arg(2), 8)));
    ::umask(old);
    return done;
  }
  if (verb == "rmdir") return Outcome(::rmdir(path.c_str()));
  if (verb == "rename") {
    return Outcome(::rename(path.c_str(), Under(step.arg(0), step.arg(2)).c_str()));
  }
  if (verb == "unlink") return Outcome(::unlink(path.c_str()));
  if (verb == "mkfifo") return Outcome(::mkfifo(path.c_str(), 0600));
  if (verb == "symlink") return Outcome(::symlink("x", path.c_str()));
  if (verb == "chmod") return Outcome(::chmod(path.c_str(), Number(step.arg(2), 8)));
  if (verb == "chown") {
    return Outcome(::chown(path.c_str(), Number(step.arg(2)), Number(step.arg(3))));
  }
  const Fd made(::open(path.c_str(), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600));
  return Outcome(made.get());
}

// ---- files

Machine::Done Machine::PerformOnFiles(const Step& step, const Model& names) {
  const std::string& verb = step.verb;
  if (verb == "write") return Write(step, names);
  if (verb == "self") {
    const std::string path = Under(step.arg(1), step.arg(2));
    return {.error = puppets_.WriteZero(TidOf(names.tasks().at(step.arg(0)).tid), path)};
  }
  if (verb == "read") {
    const As as(step.uid);
    const Fd fd(::open(Under(step.arg(0), step.arg(1)).c_str(), O_RDONLY | O_CLOEXEC));
    return fd ? ReadFrom(fd.get(), step.arg(1), names.NamesByTid()) : Done{.error = errno};
  }
  if (verb == "open") return Open(step, names);
  const Held& held = open_.at(step.arg(0));
  const Fd& fd = held.fd;
  if (verb == "pread") return ReadFrom(fd.get(), held.path, held.names);
  if (verb == "pwrite") {
    const std::string text = names.Expand(step.arg(1));
    return Outcome(static_cast<int>(::write(fd.get(), text.data(), text.size())));
  }
  open_.erase(step.arg(0));
  return {};
}

Machine::Done Machine::Write(const Step& step, const Model& names) {
  Fd fd;
  {
    const As opener(Number(step.arg(3)));
    fd.reset(::open(Under(step.arg(0), step.arg(1)).c_str(), O_WRONLY | O_CLOEXEC));
    if (!fd) return {.error = errno};
  }
  const std::string text = names.Expand(step.arg(2));
  const As writer(step.uid);
  const ssize_t written = ::write(fd.get(), text.data(), text.size());
  if (written >= 0) CORRAL_CHECK(static_cast<std::size_t>(written) == text.size());
  return Outcome(static_cast<int>(written));
}

Machine::Done Machine::Open(const Step& step, const Model& names) {
  const As as(step.uid);
  Fd fd(::open(Under(step.arg(1), step.arg(2)).c_str(), O_RDWR | O_CLOEXEC));
  if (!fd) return {.error = errno};
  open_[step.arg(0)] = {std::move(fd), step.arg(2), names.NamesByTid()};
  return {};
}

Machine::Done Machine::ReadFrom(int fd, const std::string& path, const Names& names) {
  std::string text;
  char part[16384];
  for (;;) {
    const ssize_t n = ::pread(fd, part, sizeof part, static_cast<off_t>(text.size()));
    if (n < 0) return {.error = errno};
    if (n == 0) break;
    text.append(part, static_cast<std::size_t>(n));
    if (static_cast<std::size_t>(n) < sizeof part) break;
  }
  const std::string name = path.substr(path.rfind('/') + 1);
  if (name == "tasks" || name == "cgroup.procs") {
    text = Named(text, path.rfind('/') == 0, names);
  }
  return {.text = text};
}

std::string Machine::Named(const std::string& list, bool root, const Names& names) {
  std::set<std::string> known;
  std::string strange;
  int last = 0;
  const char* const end = list.data() + list.size();
  for (const char* at = list.data(); at < end;) {
    int tid = 0;
    at = std::from_chars(at, end, tid).ptr;
    if (at == end || *at++ != '\n') return "not a list: " + list;
    if (tid <= last) strange += fmt::format("{} after {}\n", tid, last);
    last = tid;
    const auto name = names.find(tid);
    if (name != names.end()) known.insert(name->second);
    if (name == names.end() && !root) strange += fmt::format("?{}\n", tid);
  }
  std::string text;
  for (const std::string& name : known) text += name + "\n";
  return text + strange;
}

// ---- what agents heard, and the books

std::vector<Call> Machine::TakeCalls() {
  std::vector<Call> calls;
  for (const auto& [name, path] : agents()) {
    std::ifstream log(path + ".log", std::ios::binary);
    log.seekg(static_cast<std::streamoff>(heard_[path]));
    for (std::string told; std::getline(log, told, '\0') && !log.eof();) {
      heard_[path] += told.size() + 1;
      calls.push_back({path, told});
    }
  }
  return calls;
}

std::string Machine::Audit() {
  const auto audit = client_->Call({{"op", "audit"}});
  if (!audit) return audit.error().message;
  return audit->at("differences").empty() ? "" : audit->at("differences").dump();
}

}  // namespace corral::random

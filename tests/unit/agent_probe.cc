// A release agent for tests: writes how it was started to ARGV0.out, one "name=value" each,
// separated by NUL; the file appears whole (renamed into place).
#include <dirent.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <set>
#include <string>

extern char** environ;

namespace {

std::string Link(const std::string& path) {
  char target[4096];
  const ssize_t size = readlink(path.c_str(), target, sizeof target);
  return size < 0 ? "?" : std::string(target, size);
}

std::string Descriptors() {
  std::set<int> fds;
  DIR* dir = opendir("/proc/self/fd");
  while (const dirent* entry = readdir(dir)) {
    if (entry->d_name[0] != '.' && atoi(entry->d_name) != dirfd(dir))
      fds.insert(atoi(entry->d_name));
  }
  closedir(dir);
  std::string text;
  for (int fd : fds)
    text += std::to_string(fd) + ":" + Link("/proc/self/fd/" + std::to_string(fd)) + " ";
  return text;
}

std::string Signals() {
  sigset_t blocked;
  sigprocmask(SIG_SETMASK, nullptr, &blocked);
  int unusual = 0;
  for (int signal = 1; signal < 32; ++signal) {
    struct sigaction action;
    sigaction(signal, nullptr, &action);
    if (sigismember(&blocked, signal) || action.sa_handler != SIG_DFL) ++unusual;
  }
  return std::to_string(unusual);
}

}  // namespace

int main(int argc, char** argv) {
  const std::string fds = Descriptors();
  const mode_t mask = umask(0);
  umask(mask);
  const std::string out = std::string(argv[0]) + ".out";
  {
    std::ofstream file(out + ".new", std::ios::binary);
    auto tell = [&file](const std::string& name, const std::string& value) {
      file << name << '=' << value << '\0';
    };
    for (int i = 0; i < argc; ++i) tell("arg" + std::to_string(i), argv[i]);
    std::string environment;
    for (char** entry = environ; *entry != nullptr; ++entry)
      environment += std::string(*entry) + "\n";
    tell("env", environment);
    tell("cwd", Link("/proc/self/cwd"));
    tell("umask", std::to_string(mask));
    tell("fds", fds);
    tell("session", getsid(0) == getpid() ? "own" : "shared");
    tell("unusual_signals", Signals());
    tell("no_new_privs", std::to_string(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0)));
    tell("ids", std::to_string(getuid()) + ":" + std::to_string(geteuid()) + ":" +
                    std::to_string(getgid()) + ":" + std::to_string(getgroups(0, nullptr)));
  }
  return rename((out + ".new").c_str(), out.c_str()) == 0 ? 0 : 1;
}

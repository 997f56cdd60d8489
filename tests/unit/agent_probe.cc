// A release agent for tests: writes how it was started to ARGV0.out, one "name=value" each,
// separated by NUL; the file appears whole (renamed into place).
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <string>

#include "support/agent_facts.h"

extern char** environ;

using corral::agent_facts::Descriptors;
using corral::agent_facts::Link;
using corral::agent_facts::UnusualSignals;

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
    tell("unusual_signals", std::to_string(UnusualSignals()));
    tell("nice", std::to_string(getpriority(PRIO_PROCESS, 0)));
    std::string score;
    std::ifstream("/proc/self/oom_score_adj") >> score;
    tell("oom_score_adj", score);
    rlimit descriptors{};
    getrlimit(RLIMIT_NOFILE, &descriptors);
    tell("soft_nofile", std::to_string(descriptors.rlim_cur));
    tell("no_new_privs", std::to_string(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0)));
    tell("ids", std::to_string(getuid()) + ":" + std::to_string(geteuid()) + ":" +
                    std::to_string(getgid()) + ":" + std::to_string(getgroups(0, nullptr)));
  }
  return rename((out + ".new").c_str(), out.c_str()) == 0 ? 0 : 1;
}

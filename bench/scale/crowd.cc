#include "scale/crowd.h"

#include <linux/sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

namespace corral {
namespace {

constexpr std::size_t kStack = 4096;

// Like fork() for args without a stack. A thread never comes back: it sleeps for good without
// touching the stack it shares with all the others.
long Clone(clone_args* args) {
#if defined(__x86_64__)
  if (args->flags & CLONE_THREAD) {
    long result;
    asm volatile(
        "syscall\n\t"
        "test %%rax, %%rax\n\t"
        "jnz 1f\n"
        "2:\n\t"
        "mov %[pause], %%eax\n\t"
        "syscall\n\t"
        "jmp 2b\n"
        "1:\n"
        : "=a"(result)
        : "a"(SYS_clone3), "D"(args), "S"(sizeof *args), [pause] "i"(SYS_pause)
        : "rcx", "r11", "memory");
    if (result < 0) errno = static_cast<int>(-result);
    return result < 0 ? -1 : result;
  }
#else
  if (args->flags & CLONE_THREAD) {
    errno = ENOSYS;  // a few lines of assembly are missing
    return -1;
  }
#endif
  return ::syscall(SYS_clone3, args, sizeof *args);
}

// With the tid that is due, or the next free one.
long CloneAt(clone_args args, std::uint32_t* next_tid, std::uint32_t step) {
  for (;;) {
    pid_t tid = static_cast<pid_t>(*next_tid);
    if (tid != 0) {
      args.set_tid = reinterpret_cast<std::uint64_t>(&tid);
      args.set_tid_size = 1;
      *next_tid += step;
    }
    const long made = Clone(&args);
    if (made >= 0 || errno != EEXIST || tid == 0) return made;
  }
}

bool MakeThreads(const CrowdPlan& plan, std::uint32_t next_tid) {
  void* stack = ::mmap(nullptr, kStack, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  clone_args args{};
  args.flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM;
  args.stack = reinterpret_cast<std::uint64_t>(stack);
  args.stack_size = kStack;
  for (unsigned i = 1; i < plan.threads_each; ++i) {
    if (CloneAt(args, &next_tid, plan.step) < 0) return false;
  }
  return true;
}

}  // namespace

Crowd::~Crowd() { Kill(); }

bool Crowd::Start(const CrowdPlan& plan, const std::function<bool(unsigned)>& enter) {
  int ready[2];
  if (::pipe(ready) != 0) return false;
  const pid_t maker = ::getpid();
  for (unsigned i = 0; i < plan.processes; ++i) {
    std::uint32_t next_tid =
        plan.first_tid ? plan.first_tid + i * plan.threads_each * plan.step : 0;
    clone_args args{};
    args.exit_signal = SIGCHLD;
    const long child = CloneAt(args, &next_tid, plan.step);
    if (child == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      if (::getppid() != maker) ::_exit(1);
      ::close(ready[0]);
      char done = enter(i) && MakeThreads(plan, next_tid) ? 'y' : 'n';
      if (done == 'n') std::perror("corral_scale: a process of the crowd");
      (void)!::write(ready[1], &done, 1);
      ::close(ready[1]);
      for (;;) ::pause();
    }
    char done = 'n';
    if (child > 0) {
      processes_.push_back(static_cast<pid_t>(child));
      (void)!::read(ready[0], &done, 1);
    }
    if (done != 'y') {
      std::fprintf(stderr, "corral_scale: process %u of the crowd: %s\n", i, std::strerror(errno));
      return false;
    }
  }
  ::close(ready[0]);
  ::close(ready[1]);
  return true;
}

void Crowd::Kill() {
  for (const pid_t process : processes_) ::kill(process, SIGKILL);
  for (const pid_t process : processes_) ::waitpid(process, nullptr, 0);
  processes_.clear();
}

}  // namespace corral

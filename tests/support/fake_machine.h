// FakeMachine: one in memory. Tasks and processes are what the test says; kills go
// to a function of the test's.
//
//   FakeMachine machine;
//   machine.owners[Tid{7}] = {.real_uid = 1000, .saved_uid = 1000};
//   machine.on_kill = [&](Tgid tgid) { tracker.Death(Tid{tgid.value}); };
#ifndef CORRAL_TESTS_SUPPORT_FAKE_MACHINE_H_
#define CORRAL_TESTS_SUPPORT_FAKE_MACHINE_H_

#include <cerrno>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>

#include "control/machine.h"

namespace corral {

class FakeMachine final : public Machine {
 public:
  std::map<Tid, TaskHandle::Owner> owners;  // tasks the machine knows; others give ESRCH
  std::map<Tid, Tgid> processes;            // of tasks that lead none
  std::set<Tid> recycled;                   // tids whose task is another one once a handle is open
  std::set<Tid> bound_kthreads;             // kernel threads that have their place for good
  std::map<Tid, std::map<Tid, std::uint32_t>> views;  // by caller: the numbers it sees
  std::set<Tid> admins;                               // with CAP_SYS_ADMIN
  std::map<Tid, std::vector<gid_t>> groups;           // of callers
  ProcHiding hiding;                                  // of /proc
  std::set<std::string> bad_agents;                   // somebody beside root could change them
  std::set<std::pair<std::string, std::string>> agents_of;  // bad for others than this user
  Tgid own{1};
  std::uint64_t tasks = 100;
  std::function<void(Tgid)> on_open_process = [](Tgid) {};
  std::function<void(Tgid)> on_kill = [](Tgid) {};
  mutable std::set<Tgid> killed;

  Result<std::unique_ptr<TaskHandle>> OpenTask(Tid tid) const override {
    if (!owners.contains(tid)) return Fail(ESRCH, "no task {}", tid.value);
    return std::make_unique<Task>(*this, tid);
  }
  Result<std::unique_ptr<ProcessHandle>> OpenProcess(Tgid tgid) const override {
    on_open_process(tgid);
    return std::make_unique<Process>(*this, tgid);
  }
  bool IsSysAdmin(Tid tid) const override { return admins.contains(tid); }
  Credentials CredentialsOf(Tid tid, uid_t uid, gid_t gid) const override {
    const auto of = groups.find(tid);
    return {.uid = uid,
            .gid = gid,
            .groups = of == groups.end() ? std::vector<gid_t>() : of->second,
            .capabilities =
                uid != 0
                    ? 0
                    : ~(admins.contains(tid) ? 0 : std::uint64_t{1} << Credentials::kSysAdmin)};
  }
  ProcHiding HidingOfProc() const override { return hiding; }
  Result<void> CheckAgent(const std::string& agent, const std::string& user) const override {
    if (!bad_agents.contains(agent) || agents_of.contains({agent, user})) return {};
    return Fail(EPERM, "others could change {}", agent);
  }
  std::unique_ptr<PidView> PidViewOf(Tid caller) const override {
    const auto view = views.find(caller);
    if (view == views.end()) return nullptr;
    return std::make_unique<View>(view->second);
  }
  Tgid OwnProcess() const override { return own; }
  std::uint64_t TaskCount() const override { return tasks; }

 private:
  class View final : public PidView {
   public:
    explicit View(const std::map<Tid, std::uint32_t>& seen) : seen_(seen) {}
    std::optional<std::uint32_t> Seen(Tid tid) const override {
      const auto at = seen_.find(tid);
      if (at == seen_.end()) return std::nullopt;
      return at->second;
    }
    Result<Tid> HostTid(std::uint32_t seen) const override {
      for (const auto& [tid, number] : seen_) {
        if (number == seen) return tid;
      }
      return Fail(ESRCH, "no task {} there", seen);
    }

   private:
    const std::map<Tid, std::uint32_t>& seen_;
  };
  class Task final : public TaskHandle {
   public:
    Task(const FakeMachine& machine, Tid tid) : machine_(machine), tid_(tid) {}
    Result<Owner> owner() const override {
      Owner owner = machine_.owners.at(tid_);
      const auto of = machine_.processes.find(tid_);
      owner.process = of == machine_.processes.end() ? Tgid{tid_.value} : of->second;
      return owner;
    }
    Result<std::uint64_t> started() const override { return 1; }
    bool MayBeTracedBy(const Credentials& who) const override {
      const auto& owner = machine_.owners.at(tid_);
      return who.Has(Credentials::kSysPtrace) ||
             (who.uid == owner.real_uid && who.uid == owner.saved_uid);
    }
    bool is_bound_kthread() const override { return machine_.bound_kthreads.contains(tid_); }
    Result<void> StillThere() const override {
      if (machine_.recycled.contains(tid_)) return Fail(ESRCH, "task {} is gone", tid_.value);
      return {};
    }

   private:
    const FakeMachine& machine_;
    const Tid tid_;
  };
  class Process final : public ProcessHandle {
   public:
    Process(const FakeMachine& machine, Tgid tgid) : machine_(machine), tgid_(tgid) {}
    Result<void> Kill() const override {
      machine_.killed.insert(tgid_);
      machine_.on_kill(tgid_);
      return {};
    }

   private:
    const FakeMachine& machine_;
    const Tgid tgid_;
  };
};

}  // namespace corral

#endif  // CORRAL_TESTS_SUPPORT_FAKE_MACHINE_H_

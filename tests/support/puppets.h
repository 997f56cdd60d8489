// Puppets: real tasks that do what a test tells them.
//
// Each puppet is one thread of a small program (corral-puppet) with a connection of its own
// to the test; every task it makes connects too. So a call that makes a task returns when
// that task runs user code. Used by one thread of the test. When a Puppets object goes, every
// process it ever started, directly or not, is killed and reaped; when the test crashes, the
// puppets read the end of their connections and exit.
//
//   Puppets puppets;
//   Tid shell = puppets.Start();
//   Tid child = puppets.Fork(shell);
//   Tid thread = puppets.Thread(child);
//   child = puppets.Exec(thread);     // the tid of the leader now
//   puppets.ExitProcess(child);       // returns when its parent could know
#ifndef CORRAL_TESTS_SUPPORT_PUPPETS_H_
#define CORRAL_TESTS_SUPPORT_PUPPETS_H_

#include <corral/ids.h>
#include <corral/result.h>

#include <chrono>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "base/fd.h"
#include "support/puppet_wire.h"

namespace corral {

class Puppets {
 public:
  Puppets();  // becomes the child subreaper of whatever puppets leave behind
  ~Puppets();
  Puppets(const Puppets&) = delete;
  Puppets& operator=(const Puppets&) = delete;

  Tid Start();  // a process, child of the test
  Tid Fork(Tid by);
  Tid ForkSibling(Tid by);  // CLONE_PARENT
  Tid VforkExec(Tid by);
  Tid Daemonize(Tid by);                   // the grandchild of a setsid and double fork
  Result<Tid> ForkAs(Tid by, Tid wanted);  // EEXIST: that tid is in use
  Tid Thread(Tid by);
  Tid Exec(Tid by);

  void ExitThread(Tid task);         // returns when it is a zombie or gone
  void ExitProcess(Tid task);        // the same, for its whole process
  void Kill(Tgid process);           // SIGKILL, and the same
  void Reap(Tid parent, Tid child);  // the zombie's tid is free afterwards
  void ReapOwn(Tid child);           // of a process that Start() made
  bool IsZombie(Tid task) const;
  void Grow(Tid task, std::uint64_t mebibytes);  // its end will take a while
  // Real, effective and saved user id, of this thread; a puppet that is not root cannot go back.
  void SetIds(Tid task, std::uint16_t real, std::uint16_t effective, std::uint16_t saved);
  void BeginKill(Tgid process);  // SIGKILL, and do not wait
  void EndKill(Tgid process);

  // 0 or an errno. The path has fewer than 96 bytes.
  int WriteZero(Tid by, const std::string& path);
  int SetUid(Tid by, unsigned uid);  // this thread's, real, effective and saved; and its gids

  Tgid ProcessOf(Tid task) const { return tasks_.at(task).tgid; }
  std::map<Tid, Tgid> tasks() const;  // all that were met and have not been told to end

  // Storms go on while the test does other things; End...() waits and tells how many.
  void BeginStorm(Tid by, puppet::Storm storm, std::chrono::milliseconds time);
  std::uint64_t EndStorm(Tid by);
  // From now on storms share a page: what an exec storm gives up, kSameTid asks for.
  void OfferTid(Tid tid = {});
  // Exec by a thread that is not the leader, again and again. `leader` stays its tid.
  void BeginExecStorm(Tid leader, std::chrono::milliseconds time);
  std::uint64_t EndExecStorm(Tid leader);
  // Forks with the tids that the exec storm gives up, before its exec is through.
  void BeginTakeTidStorm(Tid by, std::chrono::milliseconds time);

  // An io_uring of `by` that keeps worker threads of the kernel busy. False: there is none here.
  bool HoldUring(Tid by);
  void DropUring(Tid by);

 private:
  struct Puppet {
    Tgid tgid;
    Fd connection;
    std::uint32_t cookie = 0;  // of the storm under way
    int storm_ms = 0;          // how long that goes on
  };

  void Send(Tid to, puppet::Op op, std::uint32_t cookie, std::uint64_t number = 0,
            puppet::Storm storm = {}, std::string_view path = {});
  puppet::Message AwaitHello(std::uint32_t cookie, int longer_ms = 0);
  std::int64_t AwaitReply(Tid from);
  Tid Make(Tid by, puppet::Op op);
  void Forget(Tgid process);
  void AwaitEnd(Tgid process, Tid task) const;

  const std::string socket_name_;
  const std::string offer_path_;
  Fd listener_;
  std::uint32_t next_cookie_ = 1;
  std::map<Tid, Puppet> tasks_;
  std::map<std::uint32_t, std::pair<puppet::Message, Fd>> hellos_;
};

}  // namespace corral

#endif  // CORRAL_TESTS_SUPPORT_PUPPETS_H_

#include "control/sight.h"

namespace corral {

const Credentials& Sight::who() const {
  if (!who_) who_ = machine_.CredentialsOf(caller_.tid, caller_.uid, caller_.gid);
  return *who_;
}

bool Sight::Owns(Tid task) const {
  if (task == caller_.tid) return true;
  const auto his = registry_.ProcessOfLive(caller_.tid);
  const auto its = registry_.ProcessOfLive(task);
  if (his && (its ? *its == *his : task.value == his->value)) return true;
  const auto held = machine_.OpenTask(task);
  return held && (*held)->MayBeTracedBy(who());
}

bool Sight::MayFollow(Tid task) const {
  const auto held = machine_.OpenTask(task);
  const auto owner = held ? (*held)->owner() : Fail(held.error());
  const uid_t uid = caller_.uid;
  return (owner && (uid == owner->real_uid || uid == owner->saved_uid)) || Owns(task);
}

Sight::What Sight::Of(Tid task) const {
  if (hiding_.level == ProcHiding::kNothing) return kAll;
  if (hiding_.level != ProcHiding::kNotTraceable && who().InGroup(hiding_.gid)) return kAll;
  if (Owns(task)) return kAll;
  return hiding_.level == ProcHiding::kContents ? kName : kNothing;
}

}  // namespace corral

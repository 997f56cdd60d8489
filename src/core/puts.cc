#include "core/puts.h"

#include <cerrno>
#include <utility>

#include "core/core.h"

namespace corral {

Puts::Puts(Core& core) : tree_(core.tree), persistence_(core.persistence), wake_(core.wake) {}

Puts::~Puts() {
  for (Note* note = notes_.exchange(nullptr); note;) delete std::exchange(note, note->next);
}

void Puts::LastPut(CgroupId cgroup) {
  auto* const note = new Note{cgroup, notes_.load()};
  while (!notes_.compare_exchange_weak(note->next, note)) {
  }
  wake_();
}

void Puts::TakeNotes() {
  if (notes_.load() == nullptr) return;
  for (Note* note = notes_.exchange(nullptr); note;) {
    if (auto cgroup = tree_.Find(note->cgroup, ENODEV); cgroup && (*cgroup)->parent) {
      (*cgroup)->release.unjudged = true;
      persistence_.Mark(**cgroup);
      to_judge_.push_back(note->cgroup);
    }
    delete std::exchange(note, note->next);
  }
}

std::vector<CgroupId> Puts::TakeToJudge() {
  TakeNotes();
  return std::exchange(to_judge_, {});
}

}  // namespace corral

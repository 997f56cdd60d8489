#include "core/attributes.h"

#include <algorithm>
#include <chrono>

namespace corral {
namespace {

// Those that are set, over what is there.
template <typename To>
void Assign(To& to, const AttrChange& change) {
  if (change.mode) to.mode = *change.mode & 07777;
  if (change.uid) to.uid = *change.uid;
  if (change.gid) to.gid = *change.gid;
  if (change.atime) to.atime = *change.atime;
  if (change.mtime) to.mtime = *change.mtime;
  if (change.ctime) to.ctime = *change.ctime;
}

}  // namespace

timespec TimeNow() {
  using std::chrono::nanoseconds, std::chrono::seconds;
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  const auto whole = std::chrono::floor<seconds>(now);
  return {static_cast<time_t>(whole.count()), static_cast<long>(nanoseconds(now - whole).count())};
}

void NodeAttr::Apply(const AttrChange& change) { Assign(*this, change); }

const AttrChange* Attributes::ChangesOf(unsigned slot) const {
  const auto at = std::ranges::find(changed_, slot, &Changed::slot);
  return at == changed_.end() ? nullptr : &at->to;
}

NodeAttr Attributes::Of(unsigned slot) const {
  NodeAttr attr = AsMade();
  if (const AttrChange* const changes = ChangesOf(slot)) attr.Apply(*changes);
  return attr;
}

void Attributes::Change(unsigned slot, const AttrChange& change) {
  auto at = std::ranges::find(changed_, slot, &Changed::slot);
  if (at == changed_.end()) at = changed_.insert(at, {slot, {}});
  Assign(at->to, change);
  if (!change.ctime) at->to.ctime = TimeNow();
}

void Attributes::TouchEntries() {
  const timespec now = TimeNow();
  Change(kDirectory, {.mtime = now, .ctime = now});
}

}  // namespace corral

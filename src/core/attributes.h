// Attributes: the owner, modes and times of one cgroup's directory and files.
//
// Each Cgroup has its own, guarded as it is, so they come and go with it: renames change nothing
// (spec 4.4), and they are kept as one row of the journal. The core knows no files: a *slot* is a
// number that `control` gives to each of them, 0 is the directory.
//
//   cgroup.attributes.uid = 1000;                       // of the directory and of every file
//   cgroup.attributes.Change(3, {.mode = 0600});        // of one of them
//   NodeAttr now = cgroup.attributes.Of(3);
#ifndef CORRAL_CORE_ATTRIBUTES_H_
#define CORRAL_CORE_ATTRIBUTES_H_

#include <sys/types.h>
#include <time.h>

#include <optional>
#include <vector>

namespace corral {

// What chmod, chown and utimes may change; unset members stay.
struct AttrChange {
  std::optional<mode_t> mode;
  std::optional<uid_t> uid;
  std::optional<gid_t> gid;
  std::optional<timespec> atime;
  std::optional<timespec> mtime;
  std::optional<timespec> ctime;
};

struct NodeAttr {
  std::optional<mode_t> mode;  // permission bits; unset: nobody changed what `control` gave it
  uid_t uid = 0;
  gid_t gid = 0;
  timespec atime{}, mtime{}, ctime{};

  void Apply(const AttrChange& change);
};

timespec TimeNow();

struct Attributes {
  static constexpr unsigned kDirectory = 0;

  // With these each of them began.
  uid_t uid = 0;
  gid_t gid = 0;
  timespec made = TimeNow();

  NodeAttr AsMade() const { return {{}, uid, gid, made, made, made}; }
  NodeAttr Of(unsigned slot) const;
  // What was changed of it; null: nothing.
  const AttrChange* ChangesOf(unsigned slot) const;

  // Its change time is now, unless that is given.
  void Change(unsigned slot, const AttrChange& change);
  // The directory's entries changed.
  void TouchEntries();

  // Its row, written and read (rows.h).
  template <typename IO>
  static void Fields(IO& io, auto& attributes) {
    AttrChange made{.mode = 0,
                    .uid = attributes.uid,
                    .gid = attributes.gid,
                    .atime = attributes.made,
                    .mtime = attributes.made,
                    .ctime = attributes.made};
    ChangeFields(io, made);
    if constexpr (IO::kReads) {
      attributes.uid = made.uid.value_or(0);
      attributes.gid = made.gid.value_or(0);
      attributes.made = made.ctime.value_or(attributes.made);
    }
    io.List(attributes.changed_, [&](auto& changed) {
      io.Number(changed.slot);
      ChangeFields(io, changed.to);
    });
  }

 private:
  template <typename IO>
  static void ChangeFields(IO& io, auto& change) {
    io.Optional(change.mode);
    io.Optional(change.uid);
    io.Optional(change.gid);
    io.Optional(change.atime);
    io.Optional(change.mtime);
    io.Optional(change.ctime);
  }

  struct Changed {
    unsigned slot;
    AttrChange to;
  };
  std::vector<Changed> changed_;  // few: most files stay as they were made
};

}  // namespace corral

#endif  // CORRAL_CORE_ATTRIBUTES_H_

// The messages of the socket protocol (docs/protocol.md): what is asked, with the answer it gets as
// its Answer. The daemon, the command line and the library share them, so that a field is neither
// written under one name and read under another, nor read unchecked. The names are in messages.cc
// (Visit).
//
//   auto made = TRY(client.Call(wire::Mkdir{.group = GroupName::Path("jobs:/"), .name = "a"}));
//   if (made.created) ...
//
// Listings are not here: their rows go one by one (listing.h, daemon/pieces.h).
#ifndef CORRAL_WIRE_MESSAGES_H_
#define CORRAL_WIRE_MESSAGES_H_

#include <cerrno>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "wire/fields.h"

namespace corral::wire {

// How a request names a group: by a path, by dev and ino together, or by an id; the first that is
// there counts.
struct GroupName {
  std::optional<std::string> path;   // HIERARCHY:/a/b
  std::optional<std::uint64_t> dev;  // with `ino`: what stat(2) says of its directory
  std::optional<std::uint64_t> ino;
  std::optional<std::uint64_t> id;  // of an earlier answer

  static GroupName Path(std::string path) { return {.path = std::move(path)}; }
  static GroupName Id(std::uint64_t id) { return {.id = id}; }
  bool empty() const { return !path && !dev && !id; }
  void Visit(Fields& f);
};

// An answer that says no more than that it was done.
struct Done {
  void Visit(Fields&) {}
};

// What went wrong.
struct Refusal {
  std::int64_t code = EIO;
  std::string text = "the daemon refused without a reason";
  void Visit(Fields& f);
};

struct Cpu {
  std::uint64_t total_ns = 0;
  std::uint64_t user_ns = 0;
  std::uint64_t system_ns = 0;
  std::uint64_t ended_tasks = 0;
  void Visit(Fields& f);
};

// ---- the instance

struct Ping {
  static constexpr char kOp[] = "ping";
  void Visit(Fields&) {}
  struct Answer {
    std::string instance;
    std::int64_t daemon_pid = 0;
    std::string version;
    void Visit(Fields& f);
  };
};

struct Status {
  static constexpr char kOp[] = "status";
  void Visit(Fields&) {}

  struct Health {
    std::string name;
    std::string text;
    std::optional<std::int64_t> since;  // seconds since 1970: it happened once
    void Visit(Fields& f);
  };
  struct Surrounding {
    std::string name;
    std::string text;
    bool harms = false;
    void Visit(Fields& f);
  };
  struct Hierarchy {
    std::uint64_t id = 0;
    std::string name;
    std::string label;
    std::string subsystems;
    std::string options;
    bool built_in = false;
    std::uint64_t cgroups = 0;
    std::uint64_t mounts = 0;
    std::string release_agent;
    void Visit(Fields& f);
  };
  struct Plugin {
    std::string file;
    std::string subsystem;
    void Visit(Fields& f);
  };
  struct Agents {
    std::uint64_t started = 0, refused = 0, not_started = 0, succeeded = 0, failed = 0, unseen = 0,
                  spawner_deaths = 0;
    std::uint64_t running = 0, waiting = 0, limit = 0;  // now
    void Visit(Fields& f);
  };
  struct Misses {
    std::uint64_t bells = 0, out_of_table = 0, unknown_deaths = 0, adopted = 0, displaced = 0,
                  retries = 0, recursion = 0, hidden = 0;
    void Visit(Fields& f);
  };
  struct BirthsBeyondLimits {
    std::string are;  // refused, killed, allowed
    std::uint64_t let_through = 0;
    void Visit(Fields& f);
  };
  struct Answer {
    std::string instance;
    std::int64_t daemon_pid = 0;
    std::string version;
    std::vector<Health> health;
    std::vector<Surrounding> surroundings;
    std::string tracker;
    std::uint64_t tid_capacity = 0;
    std::vector<std::uint64_t> hidden_processes;
    BirthsBeyondLimits births_beyond_limits;
    std::string not_kept;  // why nothing outlives the daemon; empty: it does
    std::uint64_t css_sets = 0;
    std::vector<Hierarchy> hierarchies;
    std::vector<Plugin> plugins;
    std::uint64_t pending_notifications = 0;
    Agents agents;
    Misses misses;
    void Visit(Fields& f);
  };
};

// What happened once (Health::since) is known, and not told any more.
struct Acknowledge {
  static constexpr char kOp[] = "acknowledge";
  void Visit(Fields&) {}
  using Answer = Done;
};

// A descriptor of the mount comes with the answer.
struct Mount {
  static constexpr char kOp[] = "mount";
  std::string source = "none";
  std::string options;
  void Visit(Fields& f);
  struct Answer {
    std::string hierarchy;
    void Visit(Fields& f);
  };
};

struct Remount {
  static constexpr char kOp[] = "remount";
  std::uint64_t dev = 0;
  std::string options;
  void Visit(Fields& f);
  struct Answer {
    bool read_only = false;
    bool nosuid = false;
    bool nodev = false;
    void Visit(Fields& f);
  };
};

struct Audit {
  static constexpr char kOp[] = "audit";
  void Visit(Fields&) {}
  struct Answer {
    std::uint64_t tasks = 0;
    std::uint64_t tracked = 0;
    std::uint64_t unsettled = 0;
    std::uint64_t cgroups_checked = 0;
    std::vector<std::string> differences;
    void Visit(Fields& f);
  };
};

struct Shutdown {
  static constexpr char kOp[] = "shutdown";
  bool force = false;
  void Visit(Fields& f);
  using Answer = Done;
};

// ---- groups, and what is in them

struct Mkdir {
  static constexpr char kOp[] = "mkdir";
  GroupName group;     // the one it is made in
  std::string name;    // may be a/b
  bool fresh = false;  // the name, or the first of name-2, name-3, ... that is free
  bool auto_remove = false;
  void Visit(Fields& f);
  struct Answer {
    std::uint64_t id = 0;
    std::string path;  // HIERARCHY:/path, as in all answers
    bool created = false;
    void Visit(Fields& f);
  };
};

struct Rmdir {
  static constexpr char kOp[] = "rmdir";
  GroupName group;
  void Visit(Fields& f);
  using Answer = Done;
};

struct Attach {
  static constexpr char kOp[] = "attach";
  GroupName group;
  std::uint64_t tid = 0;
  bool process = false;
  void Visit(Fields& f);
  using Answer = Done;
};

// The whole process of `tid` goes to the root of each hierarchy.
struct Leave {
  static constexpr char kOp[] = "leave";
  std::uint64_t tid = 0;
  void Visit(Fields& f);
  using Answer = Done;
};

struct Kill {
  static constexpr char kOp[] = "kill";
  GroupName group;
  void Visit(Fields& f);
  struct Answer {
    std::vector<std::uint64_t> killed;
    void Visit(Fields& f);
  };
};

// ---- questions about a group

struct Info {
  static constexpr char kOp[] = "info";
  GroupName group;
  void Visit(Fields& f);
  struct Answer {
    std::uint64_t id = 0;
    std::string hierarchy;
    std::string path;
    std::uint64_t children = 0;
    bool notify_on_release = false;
    bool populated = false;
    std::uint64_t releases = 0;
    std::uint64_t tasks = 0;
    void Visit(Fields& f);
  };
};

struct Wait {
  static constexpr char kOp[] = "wait";
  GroupName group;
  void Visit(Fields& f);
  struct Answer {
    std::string path;
    bool existed = false;
    void Visit(Fields& f);
  };
};

// A listing comes before the answer, as of Tree, Top and Why.
struct Tasks {
  static constexpr char kOp[] = "tasks";
  GroupName group;
  bool subtree = false;
  void Visit(Fields& f);
  struct Answer {
    std::string path;
    void Visit(Fields& f);
  };
};

struct Tree {
  static constexpr char kOp[] = "tree";
  GroupName group;  // none: every hierarchy
  std::optional<std::uint64_t> depth;
  void Visit(Fields& f);
  using Answer = Done;
};

struct Why {
  static constexpr char kOp[] = "why";
  GroupName group;
  void Visit(Fields& f);

  // A task that has ended, and that the group's release waits for.
  struct Awaited {
    std::uint64_t tid = 0;
    std::optional<std::uint64_t> row;  // of its group; none: of a group that was removed
    void Visit(Fields& f) { f.Row(tid, row); }
  };
  struct Answer {
    std::uint64_t id = 0;
    std::string path;
    bool root = false;
    bool populated = false;
    bool notify_on_release = false;
    std::uint64_t releases = 0;
    std::optional<std::vector<Awaited>> awaited;  // but of a root
    void Visit(Fields& f);
  };
};

struct Locate {
  static constexpr char kOp[] = "locate";
  struct File {
    std::uint64_t dev = 0;
    std::uint64_t ino = 0;
    void Visit(Fields& f);
  };
  std::vector<File> files;
  void Visit(Fields& f);
  struct Answer {
    std::vector<std::optional<std::uint64_t>> groups;
    void Visit(Fields& f);
  };
};

// ---- CPU time

struct OpenBill {
  static constexpr char kOp[] = "open_bill";
  GroupName group;
  void Visit(Fields& f);
  struct Answer {
    std::string path;
    void Visit(Fields& f);
  };
};

struct Bill {
  static constexpr char kOp[] = "bill";
  bool settle = false;
  void Visit(Fields& f);
  struct Answer {
    Cpu cpu;
    std::uint64_t uncharged_tasks = 0;
    void Visit(Fields& f);
  };
};

struct Stat {
  static constexpr char kOp[] = "stat";
  GroupName group;
  void Visit(Fields& f);

  struct Subtree {
    std::uint64_t tasks = 0;
    std::uint64_t processes = 0;
    std::optional<Cpu> cpu;
    void Visit(Fields& f);
  };
  struct File {  // of a subsystem
    std::string name;
    std::optional<std::string> content;
    std::optional<std::string> error;  // instead
    void Visit(Fields& f);
  };
  struct Answer {
    std::uint64_t id = 0;
    std::string path;
    bool populated = false;
    std::uint64_t groups = 0;
    std::uint64_t tasks = 0;
    std::uint64_t processes = 0;
    std::optional<Cpu> cpu;  // none: not metered
    Subtree subtree;
    std::vector<File> files;
    void Visit(Fields& f);
  };
};

struct Top {
  static constexpr char kOp[] = "top";
  GroupName group;  // none: every hierarchy
  void Visit(Fields& f);
  struct Answer {
    std::int64_t time_ns = 0;
    void Visit(Fields& f);
  };
};

// ---- what happens

struct Subscribe {
  static constexpr char kOp[] = "subscribe";
  GroupName group;  // none: every hierarchy
  void Visit(Fields& f);
  struct Answer {
    std::optional<std::uint64_t> id;  // if a group was named
    std::optional<std::string> path;
    void Visit(Fields& f);
  };
};

struct Event {
  std::string event;
  std::int64_t time_us = 0;
  std::optional<std::uint64_t> lost;  // then it has none of those below
  std::uint64_t id = 0;
  std::string hierarchy;
  std::optional<std::string> path;  // none: too long to be told
  std::optional<bool> populated;
  std::optional<std::string> agent;
  void Visit(Fields& f);
};

struct Events {
  static constexpr char kOp[] = "events";
  void Visit(Fields&) {}
  struct Answer {
    std::vector<Event> events;
    void Visit(Fields& f);
  };
};

}  // namespace corral::wire

#endif  // CORRAL_WIRE_MESSAGES_H_

#include "wire/messages.h"

namespace corral::wire {

void GroupName::Visit(Fields& f) {
  f.Maybe("path", path);
  f.Maybe("dev", dev);
  if (dev) f.Maybe("ino", ino);
  f.Maybe("id", id);
}

void Refusal::Visit(Fields& f) {
  f.Maybe("errno", code);
  f.Maybe("error", text);
}

void Cpu::Visit(Fields& f) {
  f("total_ns", total_ns);
  f("user_ns", user_ns);
  f("system_ns", system_ns);
  f("ended_tasks", ended_tasks);
}

// ---- the instance

void Ping::Answer::Visit(Fields& f) {
  f("instance", instance);
  f("daemon_pid", daemon_pid);
  f("version", version);
}

void Status::Health::Visit(Fields& f) {
  f("name", name);
  f("text", text);
  f.Maybe("since", since);
}

void Status::Surrounding::Visit(Fields& f) {
  f("name", name);
  f("text", text);
  f("harms", harms);
}

void Status::Hierarchy::Visit(Fields& f) {
  f("id", id);
  f("name", name);
  f("label", label);
  f("subsystems", subsystems);
  f("options", options);
  f("built_in", built_in);
  f("cgroups", cgroups);
  f("mounts", mounts);
  f("release_agent", release_agent);
}

void Status::Plugin::Visit(Fields& f) {
  f("file", file);
  f("subsystem", subsystem);
}

void Status::Agents::Visit(Fields& f) {
  f("started", started);
  f("refused", refused);
  f("not_started", not_started);
  f("succeeded", succeeded);
  f("failed", failed);
  f("unseen", unseen);
  f("spawner_deaths", spawner_deaths);
  f("running", running);
  f("waiting", waiting);
  f("limit", limit);
}

void Status::Misses::Visit(Fields& f) {
  f("bells", bells);
  f("out_of_table", out_of_table);
  f("unknown_deaths", unknown_deaths);
  f("adopted", adopted);
  f("displaced", displaced);
  f("retries", retries);
  f("recursion", recursion);
  f("hidden", hidden);
}

void Status::BirthsBeyondLimits::Visit(Fields& f) {
  f("are", are);
  f("let_through", let_through);
}

void Status::Answer::Visit(Fields& f) {
  f("instance", instance);
  f("daemon_pid", daemon_pid);
  f("version", version);
  f("health", health);
  f("surroundings", surroundings);
  f("tracker", tracker);
  f("tid_capacity", tid_capacity);
  f("hidden_processes", hidden_processes);
  f("births_beyond_limits", births_beyond_limits);
  f("not_kept", not_kept);
  f("css_sets", css_sets);
  f("hierarchies", hierarchies);
  f("plugins", plugins);
  f("pending_notifications", pending_notifications);
  f("agents", agents);
  f("misses", misses);
}

void Mount::Visit(Fields& f) {
  f.Maybe("source", source);
  f.Maybe("options", options);
}

void Mount::Answer::Visit(Fields& f) { f("hierarchy", hierarchy); }

void Remount::Visit(Fields& f) {
  f("dev", dev);
  f.Maybe("options", options);
}

void Remount::Answer::Visit(Fields& f) {
  f("read_only", read_only);
  f("nosuid", nosuid);
  f("nodev", nodev);
}

void Audit::Answer::Visit(Fields& f) {
  f("tasks", tasks);
  f("tracked", tracked);
  f("unsettled", unsettled);
  f("cgroups_checked", cgroups_checked);
  f("differences", differences);
}

void Shutdown::Visit(Fields& f) { f.Maybe("force", force); }

// ---- groups, and what is in them

void Mkdir::Visit(Fields& f) {
  group.Visit(f);
  f("name", name);
  f.Maybe("fresh", fresh);
  f.Maybe("auto_remove", auto_remove);
}

void Mkdir::Answer::Visit(Fields& f) {
  f("id", id);
  f("path", path);
  f("created", created);
}

void Rmdir::Visit(Fields& f) { group.Visit(f); }

void Attach::Visit(Fields& f) {
  group.Visit(f);
  f("tid", tid);
  f.Maybe("process", process);
}

void Leave::Visit(Fields& f) { f("tid", tid); }

void Kill::Visit(Fields& f) { group.Visit(f); }

void Kill::Answer::Visit(Fields& f) { f("killed", killed); }

// ---- questions about a group

void Info::Visit(Fields& f) { group.Visit(f); }

void Info::Answer::Visit(Fields& f) {
  f("id", id);
  f("hierarchy", hierarchy);
  f("path", path);
  f("children", children);
  f("notify_on_release", notify_on_release);
  f("populated", populated);
  f("releases", releases);
  f("tasks", tasks);
}

void Wait::Visit(Fields& f) { group.Visit(f); }

void Wait::Answer::Visit(Fields& f) {
  f("path", path);
  f("existed", existed);
}

void Tasks::Visit(Fields& f) {
  group.Visit(f);
  f.Maybe("subtree", subtree);
}

void Tasks::Answer::Visit(Fields& f) { f("path", path); }

void Tree::Visit(Fields& f) {
  group.Visit(f);
  f.Maybe("depth", depth);
}

void Why::Visit(Fields& f) { group.Visit(f); }

void Why::Answer::Visit(Fields& f) {
  f("id", id);
  f("path", path);
  f("root", root);
  f("populated", populated);
  f("notify_on_release", notify_on_release);
  f("releases", releases);
  f.Maybe("awaited", awaited);
}

void Locate::File::Visit(Fields& f) {
  f("dev", dev);
  f("ino", ino);
}

void Locate::Visit(Fields& f) { f("files", files); }

void Locate::Answer::Visit(Fields& f) { f("groups", groups); }

// ---- CPU time

void OpenBill::Visit(Fields& f) { group.Visit(f); }

void OpenBill::Answer::Visit(Fields& f) { f("path", path); }

void Bill::Visit(Fields& f) { f.Maybe("settle", settle); }

void Bill::Answer::Visit(Fields& f) {
  f("cpu", cpu);
  f("uncharged_tasks", uncharged_tasks);
}

void Stat::Visit(Fields& f) { group.Visit(f); }

void Stat::Subtree::Visit(Fields& f) {
  f("tasks", tasks);
  f("processes", processes);
  f.Maybe("cpu", cpu);
}

void Stat::File::Visit(Fields& f) {
  f("name", name);
  f.Maybe("content", content);
  f.Maybe("error", error);
}

void Stat::Answer::Visit(Fields& f) {
  f("id", id);
  f("path", path);
  f("populated", populated);
  f("groups", groups);
  f("tasks", tasks);
  f("processes", processes);
  f("cpu", cpu);
  f("subtree", subtree);
  f("files", files);
}

void Top::Visit(Fields& f) { group.Visit(f); }

void Top::Answer::Visit(Fields& f) { f("time_ns", time_ns); }

// ---- what happens

void Subscribe::Visit(Fields& f) { group.Visit(f); }

void Subscribe::Answer::Visit(Fields& f) {
  f.Maybe("id", id);
  f.Maybe("path", path);
}

void Event::Visit(Fields& f) {
  f("event", event);
  f("time_us", time_us);
  f.Maybe("lost", lost);
  if (lost) return;
  f("id", id);
  f("hierarchy", hierarchy);
  f("path", path);
  f.Maybe("populated", populated);
  f.Maybe("agent", agent);
}

void Events::Answer::Visit(Fields& f) { f("events", events); }

}  // namespace corral::wire

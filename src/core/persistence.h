// Persistence: what outlives the process (spec 10.9): rows written at the end of each operation,
// and a tree built from them again. Which state a crash may leave between two of them:
// docs/concurrency.md, 15. What a row consists of: rows.h.
//
// Parts mark what they change; the rows are written as they are when the operation ends, before
// the tree is unlocked, all in one transaction. So nobody can be told what is not kept. What can
// be derived is not kept: which sets are in use, how many children are populated.
//
//   cgroup.releasable = true;
//   persistence.Mark(cgroup);      // nothing, where nothing is kept
#ifndef CORRAL_CORE_PERSISTENCE_H_
#define CORRAL_CORE_PERSISTENCE_H_

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/cgroup.h"
#include "core/journal.h"
#include "core/rows.h"
#include "core/tree_lock.h"
#include "core/types.h"

namespace corral {

struct Core;

class Persistence {
 public:
  explicit Persistence(Core& core) : core_(core) {}

  bool keeps() const REQUIRES(the_tree) { return journal_ != nullptr; }

  // ---- it changed, came or went
  void Mark(const Hierarchy& hierarchy) REQUIRES(the_tree) {
    Add(marked_.hierarchies, hierarchy.id);
  }
  void Mark(const Cgroup& cgroup) REQUIRES(the_tree) { Add(marked_.cgroups, cgroup.id); }
  void Mark(CssSetId set) REQUIRES(the_tree) { Add(marked_.sets, set); }
  void MarkNotification(std::uint64_t number) REQUIRES(the_tree) {
    Add(marked_.notifications, number);
  }
  void MarkLastPath(CgroupId id) REQUIRES(the_tree) { Add(marked_.last_paths, id); }
  void MarkAttributes(const Cgroup& cgroup) REQUIRES(the_tree) {
    Add(marked_.attributes, cgroup.id);
  }

  // ---- writing
  // All that is marked, now: where it is to be kept before somebody relies on it. On an error all
  // of it stays marked.
  Result<void> Commit() REQUIRES(the_tree);
  // At the end of an operation. A change that cannot be kept cannot be taken back either: it stays
  // marked, and the next operation tries again. The journal knows that it is behind.
  void End() REQUIRES(the_tree);

  // ---- taking over (take_over.cc); Registry::Keep
  Result<void> TakeOver(Journal& journal, DialectNames dialects) REQUIRES(the_tree);

 private:
  // What is to be written, as it is then.
  struct Marked {
    std::vector<HierarchyId> hierarchies;
    std::vector<CgroupId> cgroups;
    std::vector<CssSetId> sets;
    std::vector<std::uint64_t> notifications;
    std::vector<CgroupId> last_paths;
    std::vector<CgroupId> attributes;
    bool empty() const {
      return hierarchies.empty() && cgroups.empty() && sets.empty() && notifications.empty() &&
             last_paths.empty() && attributes.empty();
    }
  };
  // A row's bytes; nothing: it goes.
  using Row = std::optional<std::string>;

  template <typename T>
  void Add(std::vector<T>& to, T id) REQUIRES(the_tree) {
    if (journal_) to.push_back(id);
  }
  std::string RowOfMeta() const REQUIRES(the_tree);
  Row RowOf(HierarchyId id) const REQUIRES(the_tree);
  Row RowOf(CgroupId id) const REQUIRES(the_tree);
  Row RowOf(CssSetId set) const REQUIRES(the_tree);
  Row RowOfNotification(std::uint64_t number) const REQUIRES(the_tree);
  Row RowOfLastPath(CgroupId id) const REQUIRES(the_tree);
  Row RowOfAttributes(CgroupId id) const REQUIRES(the_tree);

  Result<void> TakeRow(std::string_view key, std::string_view value) REQUIRES(the_tree);
  Result<void> TakeMeta(RowReader& row) REQUIRES(the_tree);
  Result<void> TakeHierarchy(HierarchyId id, RowReader& row) REQUIRES(the_tree);
  Result<SubsystemSet> FindSubsystems(const std::string& names, const Hierarchy& of)
      REQUIRES(the_tree);
  Result<void> TakeCgroup(CgroupId id, RowReader& row) REQUIRES(the_tree);
  Result<void> TakeChild(std::unique_ptr<Cgroup> cgroup, CgroupId parent) REQUIRES(the_tree);
  Result<void> TakeSet(CssSetId set, RowReader& row) REQUIRES(the_tree);
  Result<void> TakeAttributes(CgroupId id, RowReader& row) REQUIRES(the_tree);
  Result<void> TakeNotification(std::uint64_t number, RowReader& row) REQUIRES(the_tree);
  void TakeStock() REQUIRES(the_tree);

  Core& core_;  // reads every part, and fills them again

  Journal* journal_ GUARDED_BY(the_tree) = nullptr;  // null: nothing is kept
  DialectNames dialects_ GUARDED_BY(the_tree);
  Marked marked_ GUARDED_BY(the_tree);
  std::string kept_meta_ GUARDED_BY(the_tree);
  bool behind_ GUARDED_BY(the_tree) = false;  // the last transaction failed
};

}  // namespace corral

#endif  // CORRAL_CORE_PERSISTENCE_H_

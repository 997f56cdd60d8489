// Store: the registry's journal in LMDB, in the instance's runtime directory (tmpfs).
//
// Kept for a crash of the process, not of the machine: nothing is synced. One daemon at a time,
// which the instance's lock sees to; calls are serialised by the registry's tree lock.
//
// A store that could not take a change is *behind*, and says so in its directory until it has
// caught up: Open() refuses such a one, for what it has would be silently wrong.
//
//   auto store = Store::Create("/run/corral/default/store", generation);
//   (*store)->Commit({{"key", "value"}});
//   ... the process dies ...
//   auto again = Store::Open("/run/corral/default/store", generation);
#ifndef CORRAL_STORE_STORE_H_
#define CORRAL_STORE_STORE_H_

#include <cstdint>
#include <memory>
#include <string>

#include "core/journal.h"

struct MDB_env;

namespace corral {

class Store final : public Journal {
 public:
  // A new, empty one; an older one in its place goes. `generation` pairs it with the pinned tables.
  static Result<std::unique_ptr<Store>> Create(const std::string& directory,
                                               std::uint64_t generation);
  // The one that is there. ENOENT: none is, or it is of another generation. EBADMSG: it is damaged
  // or behind.
  static Result<std::unique_ptr<Store>> Open(const std::string& directory,
                                             std::uint64_t generation);
  static void Remove(const std::string& directory);
  static bool Exists(const std::string& directory);
  ~Store() override;

  // Empty, or a sentence: the store in the directory is not this one any more, or it is behind. Any
  // thread.
  std::string Trouble() const;

  Result<void> Commit(const std::vector<Change>& changes) override;
  Result<void> ForEach(const Row& row) const override;

 private:
  explicit Store(std::string directory) : directory_(std::move(directory)) {}
  Result<void> Start(unsigned flags);
  int Reserve(std::size_t size);
  Result<void> ReadAll(const Row& row) const;
  int Write(const std::vector<Change>& changes);

  const std::string directory_;
  MDB_env* env_ = nullptr;
  unsigned table_ = 0;  // MDB_dbi
  bool behind_ = false;
};

}  // namespace corral

#endif  // CORRAL_STORE_STORE_H_

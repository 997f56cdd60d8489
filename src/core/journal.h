// Journal: where the registry keeps what must outlive the process (spec 10.9).
//
// Rows of bytes under keys of bytes; what they mean is the registry's business (rows.h). Each
// Commit() is one transaction: after a crash all of it is there, or none. Called with the
// registry's tree lock held, so it is never called twice at once, and it must not call back.
//
// The daemon's is src/store; tests have one in memory; without one nothing is kept.
//
//   journal.Commit({{"key", "value"}, {"old key", std::nullopt}});
#ifndef CORRAL_CORE_JOURNAL_H_
#define CORRAL_CORE_JOURNAL_H_

#include <corral/result.h>

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace corral {

class Journal {
 public:
  struct Change {
    std::string key;
    std::optional<std::string> value;  // nothing: the row goes
  };
  using Row = std::function<Result<void>(std::string_view key, std::string_view value)>;

  virtual ~Journal() = default;

  // All of the changes, or none. ENOSPC: it is full; EIO: what holds it failed.
  virtual Result<void> Commit(const std::vector<Change>& changes) = 0;

  // Every row, keys ascending as bytes. Stops at the first error, its own or `row`'s.
  virtual Result<void> ForEach(const Row& row) const = 0;
};

}  // namespace corral

#endif  // CORRAL_CORE_JOURNAL_H_

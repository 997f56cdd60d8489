// OpenFile: one open control file, its snapshot and what its poller has seen.
//
// Owned by whoever opened it (a FUSE descriptor, a test); any thread, one call at a time.
// Outlives its cgroup: writes give ENODEV then, and so do reads where the dialect does not let
// the snapshot be served on (spec 5.6).
//
//   auto file = tree.Open(caller, inode, /*readable=*/true);
//   (*file)->Read(caller.tid, 4096, 0);   // "17\n23\n"
//   (*file)->Write(caller, "42");   // moves task 42
#ifndef CORRAL_CONTROL_OPEN_FILE_H_
#define CORRAL_CONTROL_OPEN_FILE_H_

#include <corral/result.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/mutex.h"
#include "control/control_file.h"
#include "control/inode.h"
#include "control/open_budget.h"
#include "control/task_list.h"

namespace corral {

class OpenFile {
 public:
  // `row` is that of an inode in context.cgroup; `css` its subsystem's, when one added it.
  OpenFile(const ControlContext& context, const ControlFiles::Row& row, std::shared_ptr<Css> css,
           SharedLists& lists, OpenBudget::Charge charge);
  ~OpenFile();
  OpenFile(const OpenFile&) = delete;
  OpenFile& operator=(const OpenFile&) = delete;

  // First of all: what a subsystem wants to do when its file is opened. Its error; EMFILE: the user
  // has too many.
  Result<void> Begin();

  CgroupId cgroup() const { return context_.cgroup; }
  bool pollable() const { return row_.pollable; }
  bool removed() const;  // its cgroup is gone

  // Bytes of a snapshot that stays as it is until the descriptor is closed.
  std::optional<std::size_t> kept_size() const EXCLUDES(file_mu_);

  // Takes the snapshot now (descriptors that can read), unless the dialect's come with the
  // first read. EMFILE, as of Read: OpenBudget.
  Result<void> Load() EXCLUDES(file_mu_);
  // Up to `size` bytes from `offset` of the snapshot; short only at its end. EINVAL: the
  // file has no read handler. ENODEV, of a removed cgroup: a pollable file, so that a poller
  // does not read "populated 1" for ever; any file in some dialects.
  Result<std::string> Read(Tid reader, std::size_t size, std::uint64_t offset) EXCLUDES(file_mu_);
  // One write, offset ignored (spec 6.1); success means all of it. Errors: spec 6.5.
  Result<void> Write(const Caller& caller, std::string_view bytes);
  // True when the content changed since this descriptor was opened or read from its
  // start. EINVAL: not a pollable file. A removed cgroup counts as changed.
  Result<bool> Changed() EXCLUDES(file_mu_);

 private:
  bool readable() const { return row_.read || row_.list; }
  bool shares_list() const { return row_.list && context_.dialect.shared_lists; }
  Result<void> LoadLocked() REQUIRES(file_mu_);
  Result<std::string> MakeLocked() REQUIRES(file_mu_);
  Result<void> PrepareLocked(Tid reader, std::uint64_t offset, std::uint64_t end)
      REQUIRES(file_mu_);
  Result<void> ExtendLocked(Tid reader, std::uint64_t wanted) REQUIRES(file_mu_);

  ControlContext context_;
  const ControlFile& row_;
  FileUse use_;
  bool begun_ = false;
  SharedLists& lists_;
  mutable Mutex file_mu_;                           // before the registry's locks
  OpenBudget::Charge charge_ GUARDED_BY(file_mu_);  // for the snapshot
  std::string snapshot_ GUARDED_BY(file_mu_);
  std::uint64_t next_offset_ GUARDED_BY(file_mu_) = 0;  // where a reader in order goes on
  bool was_read_ GUARDED_BY(file_mu_) = false;
  std::uint32_t last_listed_ GUARDED_BY(file_mu_) = 0;  // in snapshot_, of a shared list
  std::uint64_t seen_serial_ GUARDED_BY(file_mu_) = 0;
};

}  // namespace corral

#endif  // CORRAL_CONTROL_OPEN_FILE_H_

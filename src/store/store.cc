#include "store/store.h"

#include <fcntl.h>
#include <lmdb.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <utility>

#include "base/errors.h"
#include "base/fd.h"
#include "base/own_path.h"

namespace corral {
namespace {

constexpr std::size_t kFirstSize = std::size_t{4} << 20;    // doubled when it is full
constexpr std::string_view kGenerationKey = "!generation";  // ours; no journal row begins so

// Not synced: it is for our crash, not the machine's. No lock file: we are alone. Written through
// the mapping, which takes 3 us for a transaction where write(2) takes 15; so every page is there
// before it is mapped (Reserve), or a full file system would be a SIGBUS.
constexpr unsigned kFlags = MDB_NOSYNC | MDB_WRITEMAP | MDB_NOLOCK | MDB_NOTLS;

// LMDB's own codes are negative.
int ErrnoOf(int error) {
  if (error > 0) return error;
  return error == MDB_MAP_FULL ? ENOSPC : EBADMSG;
}

MDB_val ValueOf(std::string_view bytes) {
  return {.mv_size = bytes.size(), .mv_data = const_cast<char*>(bytes.data())};
}

std::string_view BytesOf(const MDB_val& value) {
  return {static_cast<const char*>(value.mv_data), value.mv_size};
}

std::string BehindMark(const std::string& directory) { return directory + "/behind"; }

}  // namespace

Result<std::unique_ptr<Store>> Store::Create(const std::string& directory,
                                             std::uint64_t generation) {
  Remove(directory);
  TRY(OpenOwnDirectory(directory, 0700));
  std::unique_ptr<Store> store(new Store(directory));
  TRY(store->Start(MDB_CREATE));
  TRY(store->Commit({{std::string(kGenerationKey), std::to_string(generation)}}));
  return store;
}

Result<std::unique_ptr<Store>> Store::Open(const std::string& directory, std::uint64_t generation) {
  const std::string data = directory + "/data.mdb";
  if (!Exists(directory)) return Fail(ENOENT, "there is no {}", directory);
  TRY(OpenOwnDirectory(directory, 0700));
  TRY(OpenOwnFile(data, O_RDWR, 0600));
  if (::access(BehindMark(directory).c_str(), F_OK) == 0) {
    return Fail(EBADMSG, "{} lacks changes that did not fit into it", directory);
  }
  std::unique_ptr<Store> store(new Store(directory));
  TRY(store->Start(0));
  std::string found;
  TRY(store->ReadAll([&](std::string_view key, std::string_view value) -> Result<void> {
    if (key == kGenerationKey) found = value;
    return {};
  }));
  if (found.empty()) return Fail(EBADMSG, "{} is damaged: it has no generation", directory);
  if (found != std::to_string(generation)) {
    return Fail(ENOENT, "{} belongs to other tables", directory);
  }
  return store;
}

void Store::Remove(const std::string& directory) {
  std::error_code ignored;
  std::filesystem::remove_all(directory, ignored);
}

bool Store::Exists(const std::string& directory) {
  return ::access((directory + "/data.mdb").c_str(), F_OK) == 0;
}

std::string Store::Trouble() const {
  const std::string data = directory_ + "/data.mdb";
  int fd = -1;
  (void)::mdb_env_get_fd(env_, &fd);
  if (!StillNamed(fd, data)) {
    return fmt::format("{} was removed: groups do not survive an end of the daemon any more", data);
  }
  if (::access(BehindMark(directory_).c_str(), F_OK) != 0) return "";
  return fmt::format(
      "changes do not fit into {}: groups do not survive an end of the daemon until "
      "there is room",
      directory_);
}

Store::~Store() {
  if (env_) ::mdb_env_close(env_);
}

Result<void> Store::Start(unsigned flags) {
  const auto fail = [&](int error) {
    return Fail(ErrnoOf(error), "cannot open the store {}: {}", directory_, ::mdb_strerror(error));
  };
  if (const int error = ::mdb_env_create(&env_)) return fail(error);
  struct stat file = {};
  (void)::stat((directory_ + "/data.mdb").c_str(), &file);
  const std::size_t had = static_cast<std::size_t>(file.st_size);
  const std::size_t size = std::max(kFirstSize, had);
  (void)::mdb_env_set_mapsize(env_, size);
  if (const int error = ::mdb_env_open(env_, directory_.c_str(), kFlags, 0600)) {
    return fail(error);
  }
  MDB_envinfo info;
  MDB_stat tree;
  (void)::mdb_env_info(env_, &info);
  (void)::mdb_env_stat(env_, &tree);
  if (had != 0 && had < (info.me_last_pgno + 1) * tree.ms_psize) return fail(MDB_CORRUPTED);
  if (const int error = Reserve(size)) return fail(error);
  MDB_txn* txn = nullptr;
  if (const int error = ::mdb_txn_begin(env_, nullptr, 0, &txn)) return fail(error);
  MDB_dbi table = 0;
  if (const int error = ::mdb_dbi_open(txn, nullptr, flags, &table)) {
    ::mdb_txn_abort(txn);
    return fail(error);
  }
  if (const int error = ::mdb_txn_commit(txn)) return fail(error);
  table_ = table;
  return {};
}

int Store::Reserve(std::size_t size) {
  int fd = -1;
  (void)::mdb_env_get_fd(env_, &fd);
  return ::posix_fallocate(fd, 0, static_cast<off_t>(size));
}

int Store::Write(const std::vector<Change>& changes) {
  MDB_txn* txn = nullptr;
  if (const int error = ::mdb_txn_begin(env_, nullptr, 0, &txn)) return error;
  for (const Change& change : changes) {
    MDB_val key = ValueOf(change.key);
    int error;
    if (change.value) {
      MDB_val value = ValueOf(*change.value);
      error = ::mdb_put(txn, table_, &key, &value, 0);
    } else {
      error = ::mdb_del(txn, table_, &key, nullptr);
      if (error == MDB_NOTFOUND) error = 0;
    }
    if (error != 0) {
      ::mdb_txn_abort(txn);
      return error;
    }
  }
  return ::mdb_txn_commit(txn);
}

Result<void> Store::Commit(const std::vector<Change>& changes) {
  int error = Write(changes);
  while (error == MDB_MAP_FULL) {
    MDB_envinfo info;
    (void)::mdb_env_info(env_, &info);
    const std::size_t size = 2 * info.me_mapsize;
    error = Reserve(size);
    if (error == 0) error = ::mdb_env_set_mapsize(env_, size);
    if (error == 0) error = Write(changes);
  }
  if (error != 0) {
    // An empty file: a directory entry, which a full tmpfs still has room for in its page.
    if (!std::exchange(behind_, true)) {
      const Fd mark(::open(BehindMark(directory_).c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
      if (!mark) ::unlink((directory_ + "/data.mdb").c_str());
    }
    return Fail(ErrnoOf(error), "cannot write to the store {}: {}", directory_,
                ::mdb_strerror(error));
  }
  if (std::exchange(behind_, false)) ::unlink(BehindMark(directory_).c_str());
  return {};
}

Result<void> Store::ForEach(const Row& row) const {
  return ReadAll([&](std::string_view key, std::string_view value) {
    return key == kGenerationKey ? Result<void>() : row(key, value);
  });
}

Result<void> Store::ReadAll(const Row& row) const {
  const auto fail = [&](int error) {
    return Fail(ErrnoOf(error), "cannot read the store {}: {}", directory_, ::mdb_strerror(error));
  };
  MDB_txn* txn = nullptr;
  if (const int error = ::mdb_txn_begin(env_, nullptr, MDB_RDONLY, &txn)) return fail(error);
  MDB_cursor* cursor = nullptr;
  int error = ::mdb_cursor_open(txn, table_, &cursor);
  Result<void> done;
  MDB_val key, value;
  while (error == 0 && done) {
    error = ::mdb_cursor_get(cursor, &key, &value, MDB_NEXT);
    if (error == 0) done = row(BytesOf(key), BytesOf(value));
  }
  if (cursor) ::mdb_cursor_close(cursor);
  ::mdb_txn_abort(txn);
  if (error != 0 && error != MDB_NOTFOUND) return fail(error);
  return done;
}

}  // namespace corral

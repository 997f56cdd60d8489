#include "support/slow_close.h"

#include <sys/stat.h>

#include <cerrno>
#include <chrono>
#include <cstring>

#include "base/check.h"
#include "fuse/fuse_api.h"

namespace corral {

struct SlowCloseOperations {
  static constexpr fuse_ino_t kFile = 2;

  static struct stat StatOf(fuse_ino_t inode) {
    struct stat stat = {};
    stat.st_ino = inode;
    stat.st_mode = inode == kFile ? S_IFREG | 0666 : S_IFDIR | 0755;
    stat.st_nlink = 1;
    return stat;
  }
  static void Lookup(fuse_req_t request, fuse_ino_t, const char* name) {
    if (std::strcmp(name, "held") != 0) {
      fuse_reply_err(request, ENOENT);
      return;
    }
    fuse_entry_param entry = {};
    entry.ino = kFile;
    entry.attr = StatOf(kFile);
    fuse_reply_entry(request, &entry);
  }
  static void GetAttr(fuse_req_t request, fuse_ino_t inode, fuse_file_info*) {
    const struct stat stat = StatOf(inode);
    fuse_reply_attr(request, &stat, 0);
  }
  static void Open(fuse_req_t request, fuse_ino_t, fuse_file_info* info) {
    fuse_reply_open(request, info);
  }
  static void Flush(fuse_req_t request, fuse_ino_t, fuse_file_info*) { SlowClose::Flush(request); }

  static fuse_lowlevel_ops Table() {
    fuse_lowlevel_ops table = {};
    table.lookup = Lookup;
    table.getattr = GetAttr;
    table.open = Open;
    table.flush = Flush;
    return table;
  }
};

// The answer waits; the thread that serves does not.
void SlowClose::Flush(fuse_req* request) {
  auto* self = static_cast<SlowClose*>(fuse_req_userdata(request));
  const std::lock_guard lock(self->mu_);
  self->closers_.push_back(request);
  self->changed_.notify_all();
}

SlowClose::SlowClose(const std::string& directory) : directory_(directory) {
  CORRAL_CHECK(::mkdir(directory_.c_str(), 0755) == 0);
  char name[] = "slow_close";
  char option[] = "-oallow_other";
  char* argv[] = {name, option, nullptr};
  fuse_args args = FUSE_ARGS_INIT(2, argv);
  const fuse_lowlevel_ops table = SlowCloseOperations::Table();
  session_ = fuse_session_new(&args, &table, sizeof table, this);
  CORRAL_CHECK(session_ && fuse_session_mount(session_, directory_.c_str()) == 0);
  fuse_opt_free_args(&args);
  server_ = std::thread([this] { fuse_session_loop(session_); });
}

SlowClose::~SlowClose() {
  LetGo();
  fuse_session_unmount(session_);
  server_.join();
  fuse_session_destroy(session_);
}

bool SlowClose::AwaitClosers(std::size_t count) {
  std::unique_lock lock(mu_);
  return changed_.wait_for(lock, std::chrono::seconds(10),
                           [&] { return closers_.size() >= count; });
}

void SlowClose::LetGo() {
  const std::lock_guard lock(mu_);
  for (fuse_req* request : closers_) fuse_reply_err(request, 0);
  closers_.clear();
}

}  // namespace corral

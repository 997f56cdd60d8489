#include "fuse/proc_operations.h"

#include "control/proc_view.h"
#include "fuse/entries.h"
#include "fuse/request.h"
#include "fuse/survives.h"

namespace corral {
namespace {

const ProcView& View(fuse_req_t req) {
  return *static_cast<const ProcView*>(fuse_req_userdata(req));
}

void Lookup(fuse_req_t req, fuse_ino_t parent, const char* name) {
  const auto node = View(req).Lookup(ProcNode::Of(parent), name, CallerOf(req));
  const auto attr = node ? View(req).GetAttr(*node) : Result<struct stat>(Fail(node.error()));
  if (!attr) {
    fuse_reply_err(req, attr.error().code);
    return;
  }
  fuse_entry_param entry{};  // nothing is cached: tasks come and go
  entry.ino = attr->st_ino;
  entry.generation = 1;
  entry.attr = *attr;
  fuse_reply_entry(req, &entry);
}

void GetAttr(fuse_req_t req, fuse_ino_t number, fuse_file_info*) {
  const auto attr = View(req).GetAttr(ProcNode::Of(number));
  if (attr) {
    fuse_reply_attr(req, &*attr, 0);
  } else {
    fuse_reply_err(req, attr.error().code);
  }
}

void ReadLink(fuse_req_t req, fuse_ino_t number) {
  const auto target = View(req).ReadLink(ProcNode::Of(number), CallerOf(req).tid);
  if (target) {
    fuse_reply_readlink(req, target->c_str());
  } else {
    fuse_reply_err(req, target.error().code);
  }
}

// ---- files

void Open(fuse_req_t req, fuse_ino_t number, fuse_file_info* info) {
  auto file = View(req).Open(ProcNode::Of(number), CallerOf(req));
  if (!file) {
    fuse_reply_err(req, file.error().code);
    return;
  }
  info->direct_io = 1;
  info->noflush = 1;
  info->fh = reinterpret_cast<std::uint64_t>(file->get());
  if (fuse_reply_open(req, info) != 0) return;
  (void)file->release();  // Release() takes it back
}

void Release(fuse_req_t req, fuse_ino_t, fuse_file_info* info) {
  delete reinterpret_cast<ProcFile*>(info->fh);
  fuse_reply_err(req, 0);
}

void Read(fuse_req_t req, fuse_ino_t, std::size_t size, off_t offset, fuse_file_info* info) {
  const auto bytes =
      reinterpret_cast<ProcFile*>(info->fh)->Read(size, static_cast<std::uint64_t>(offset));
  if (bytes) {
    fuse_reply_buf(req, bytes->data(), bytes->size());
  } else {
    fuse_reply_err(req, bytes.error().code);
  }
}

void ReadDir(fuse_req_t req, fuse_ino_t number, std::size_t size, off_t offset, fuse_file_info*) {
  ReplyEntries(req, size, offset, [&](std::uint64_t from, std::size_t most) {
    return View(req).ReadDir(ProcNode::Of(number), CallerOf(req), from, most);
  });
}

fuse_lowlevel_ops MakeOperations() {
  fuse_lowlevel_ops operations{};
  operations.lookup = Survives<Lookup>;
  operations.forget = Forget;
  operations.forget_multi = ForgetMulti;
  operations.getattr = Survives<GetAttr>;
  operations.readlink = Survives<ReadLink>;
  operations.open = Survives<Open>;
  operations.release = Survives<Release>;
  operations.read = Survives<Read>;
  operations.opendir = Survives<OpenEntries>;
  operations.releasedir = Survives<ReleaseEntries>;
  operations.readdir = Survives<ReadDir>;
  return operations;
}

}  // namespace

const fuse_lowlevel_ops& ProcOperations() {
  static const fuse_lowlevel_ops kOperations = MakeOperations();
  return kOperations;
}

}  // namespace corral

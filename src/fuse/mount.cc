#include "fuse/mount.h"

#include "base/errors.h"
#include "fuse/operations.h"
#include "fuse/proc_operations.h"
#include "fuse/server.h"

namespace corral {
namespace {

class TreeMount final : public FuseMount {
 public:
  TreeMount(Tree& tree, CgroupId root) : mounted_{tree, root, {}, {}} {}
  Result<void> Start(const FuseMountOptions& options) {
    return server_.Start(Operations(), &mounted_, options);
  }
  Fd TakeMountFd() override { return server_.TakeMountFd(); }
  dev_t device() const override { return server_.device(); }
  bool Ended() const override { return server_.Ended(); }
  void NotifyChanged(CgroupId cgroup) override { mounted_.waiters.Wake(cgroup); }

 private:
  MountedTree mounted_;
  FuseServer server_;  // ends first
};

class ProcMount final : public FuseMount {
 public:
  explicit ProcMount(const ProcView& view) : view_(view) {}
  Result<void> Start(const FuseMountOptions& options) {
    return server_.Start(ProcOperations(), const_cast<ProcView*>(&view_), options);
  }
  Fd TakeMountFd() override { return server_.TakeMountFd(); }
  dev_t device() const override { return server_.device(); }
  bool Ended() const override { return server_.Ended(); }
  void NotifyChanged(CgroupId) override {}

 private:
  const ProcView& view_;
  FuseServer server_;
};

template <typename Mount>
Result<std::unique_ptr<FuseMount>> Started(std::unique_ptr<Mount> mount,
                                           const FuseMountOptions& options) {
  TRY(mount->Start(options));
  return mount;
}

}  // namespace

Result<std::unique_ptr<FuseMount>> FuseMount::Create(Tree& tree, CgroupId root,
                                                     const FuseMountOptions& options) {
  return Started(std::make_unique<TreeMount>(tree, root), options);
}

Result<std::unique_ptr<FuseMount>> FuseMount::Create(const ProcView& view,
                                                     const FuseMountOptions& options) {
  return Started(std::make_unique<ProcMount>(view), options);
}

}  // namespace corral

#include "trackers/bpf/pins.h"

#include <bpf/bpf.h>
#include <dirent.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>

#include "base/errors.h"
#include "base/own_path.h"

namespace corral {
namespace {

constexpr const char* kBpfFs = "/sys/fs/bpf";
constexpr const char* kStamp = "stamp";

bool IsBpfFs() {
  struct statfs fs;
  return ::statfs(kBpfFs, &fs) == 0 && fs.f_type == BPF_FS_MAGIC;
}

}  // namespace

Result<Pins> Pins::Open(std::string directory) {
  constexpr unsigned long kFlags = MS_NOSUID | MS_NODEV | MS_NOEXEC;
  if (!IsBpfFs() && ::mount("bpf", kBpfFs, "bpf", kFlags, "mode=0700") != 0) {
    return Fail(ENOTSUP, "no BPF file system at {}, and it cannot be mounted: {}", kBpfFs,
                std::strerror(errno));
  }
  const std::string parent = directory.substr(0, directory.rfind('/'));
  TRY(OpenOwnDirectory(parent, 0700));
  auto lock = TRY(OpenOwnDirectory(directory, 0700));
  if (::flock(lock.get(), LOCK_EX | LOCK_NB) != 0) {
    return Fail(EBUSY, "another process holds the tables in {}", directory);
  }
  return Pins(std::move(directory), std::move(lock));
}

std::string Pins::Trouble() const {
  const bool there = StillNamed(lock_.get(), directory_);
  if (there && ::access(PathOf(kStamp).c_str(), F_OK) == 0) return "";
  return fmt::format("{} was removed: groups do not survive an end of the daemon any more",
                     there ? PathOf(kStamp) : directory_);
}

std::string Pins::PathOf(std::string_view name) const {
  return fmt::format("{}/{}", directory_, name);
}

std::optional<Stamp> Pins::ReadStamp() const {
  const Fd map(bpf_obj_get(PathOf(kStamp).c_str()));
  bpf_map_info info = {};
  std::uint32_t size = sizeof info;
  if (!map || bpf_obj_get_info_by_fd(map.get(), &info, &size) != 0) return std::nullopt;
  if (info.value_size != sizeof(Stamp)) return std::nullopt;
  Stamp stamp;
  const std::uint32_t key = 0;
  if (bpf_map_lookup_elem(map.get(), &key, &stamp) != 0) return std::nullopt;
  return stamp;
}

Result<void> Pins::WriteStamp(const Stamp& stamp) const {
  const Fd map(
      bpf_map_create(BPF_MAP_TYPE_ARRAY, kStamp, sizeof(std::uint32_t), sizeof(Stamp), 1, nullptr));
  const std::uint32_t key = 0;
  if (!map || bpf_map_update_elem(map.get(), &key, &stamp, BPF_ANY) != 0 ||
      bpf_obj_pin(map.get(), PathOf(kStamp).c_str()) != 0) {
    return FailErrno("cannot pin {}", PathOf(kStamp));
  }
  return {};
}

void Pins::Clear() const {
  ::unlink(PathOf(kStamp).c_str());
  const std::unique_ptr<DIR, int (*)(DIR*)> all(::opendir(directory_.c_str()), ::closedir);
  while (const dirent* entry = all ? ::readdir(all.get()) : nullptr) {
    if (entry->d_name[0] != '.') ::unlink(PathOf(entry->d_name).c_str());
  }
}

void Pins::Remove() const {
  Clear();
  ::rmdir(directory_.c_str());
}

}  // namespace corral

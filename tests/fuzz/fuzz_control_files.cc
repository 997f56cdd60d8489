// Writes to every control file in every dialect.
//
// An input is a byte for the dialect, then writes separated by 0xff: a selector (bits 0 to 3
// the file, 4 and 5 the group, 6 who writes, 7 a descriptor of a removed group), then the bytes.
#include <cerrno>
#include <string>
#include <string_view>
#include <vector>

#include "control/dialect.h"
#include "fuzz/world.h"

namespace corral {
namespace {

class ControlFuzz : public World {
 public:
  explicit ControlFuzz(const Dialect& dialect) : World(OptionsFor(dialect)), dialect_(dialect) {
    Inode top = Inode::Directory(root);
    const Inode gone{tree.Mkdir(kRoot, top, "gone", 0755).value().st_ino};
    for (const ControlFiles::Row& row : files_.rows()) {
      const auto at = tree.Lookup(gone, row.file.name);
      if (at) held_.push_back(tree.Open(kRoot, Inode{at->st_ino}, false).value());
    }
    CORRAL_CHECK(tree.Rmdir(top, "gone").has_value());
  }

  void Write(std::string_view record) {
    if (record.empty()) return;
    const auto selector = static_cast<unsigned char>(record.front());
    const std::string_view bytes = record.substr(1);
    const Caller& caller = selector & 0x40 ? kUser : kRoot;
    if (selector & 0x80) {
      CheckGone(*held_[(selector & 15u) % held_.size()], caller, bytes);
      return;
    }
    const ControlFile& file = files_.rows()[(selector & 15u) % files_.rows().size()].file;
    WriteTo(groups[selector >> 4 & 3u], file, caller, bytes);
  }

 private:
  static constexpr Caller kRoot{.tid = Tid{1}};
  static constexpr Caller kUser{.tid = Tid{5}, .uid = 1000, .gid = 1000};

  static HierarchyOptions OptionsFor(const Dialect& dialect) {
    return {.name = "fuzz", .dialect = &dialect};
  }

  void CheckGone(OpenFile& file, const Caller& caller, std::string_view bytes) {
    const std::string before = Everything();
    const auto written = file.Write(caller, bytes);
    const int expected = bytes.size() > MaxWrite(dialect_) ? E2BIG : ENODEV;  // spec 6.5
    CORRAL_CHECK(!written && written.error().code == expected);
    CORRAL_CHECK(Everything() == before);
  }

  void WriteTo(CgroupId group, const ControlFile& file, const Caller& caller,
               std::string_view bytes) {
    const auto at = tree.Lookup(Inode::Directory(group), file.name);
    if (!at) return;  // not in this group, or not in this dialect
    const auto open = tree.Open(caller, Inode{at->st_ino}, false);
    const std::string before = Everything();
    const auto written = (*open)->Write(caller, bytes);
    Look();
    CheckWhole();
    if (bytes.size() > MaxWrite(dialect_)) CORRAL_CHECK(!written && written.error().code == E2BIG);
    if (!written) {
      CORRAL_CHECK(IsDocumented(written.error().code));
      CORRAL_CHECK(Everything() == before);  // a refused write changes nothing
    } else if (file.name == "notify_on_release") {
      CORRAL_CHECK(registry.Releasable(group).value() == false);  // spec 9.3
    }
  }

  static bool IsDocumented(int error) {
    for (const int known : {E2BIG, ENODEV, EIO, ESRCH, EACCES, EINVAL, ENOSPC, EPERM, ERANGE}) {
      if (error == known) return true;
    }
    return false;
  }

  // What every file of every group says.
  std::string Everything() {
    std::string all;
    for (const CgroupId group : groups) {
      const auto entries = tree.ReadDir(Inode::Directory(group)).value();
      for (const DirEntry& entry : entries) {
        all += entry.name + '\n';
        if (entry.is_directory) continue;
        auto file = tree.Open(kRoot, Inode{entry.ino}, true);
        if (auto text = (*file)->Read(kRoot.tid, 1 << 16, 0)) all += *text;
      }
    }
    return all;
  }

  const Dialect& dialect_;
  const ControlFiles files_{registry};  // the same rows as the tree's
  std::vector<std::unique_ptr<OpenFile>> held_;
};

}  // namespace
}  // namespace corral

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const auto dialects = corral::Dialects();
  corral::ControlFuzz fuzz(dialects[data[0] % dialects.size()]);
  std::string_view rest(reinterpret_cast<const char*>(data) + 1, size - 1);
  for (int writes = 0; writes < 16 && !rest.empty(); ++writes) {
    const std::size_t end = std::min(rest.find('\xff'), rest.size());
    fuzz.Write(rest.substr(0, end));
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return 0;
}

// Files that subsystems add (spec 13.4), as whoever opens them sees them.
#include <corral/subsystem.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>
#include <stdexcept>

#include "control/tree.h"
#include "support/fake_machine.h"
#include "trackers/inproc/inproc_tracker.h"

namespace corral {
namespace {

// colour.shade is what was written last; the others show what a missing handler does.
class Colour final : public Subsystem {
 public:
  struct State final : Css {
    std::string shade = "grey\n";
    int open = 0;
  };
  static State& Of(const FileUse& use) { return static_cast<State&>(*use.css); }

  std::string_view name() const override { return "colour"; }
  Result<std::unique_ptr<Css>> Create(const NewCss&) override { return std::make_unique<State>(); }
  std::vector<SubsystemFile> Files() override {
    std::vector<SubsystemFile> files;
    files.push_back({.name = "shade",
                     .open = [](FileUse& use) -> Result<void> {
                       if (Of(use).shade == "closed") return Fail(EBUSY, "closed");
                       ++Of(use).open;
                       return {};
                     },
                     .read = [](FileUse& use) -> Result<std::string> { return Of(use).shade; },
                     .write = [](FileUse& use, std::string_view bytes) -> Result<void> {
                       if (bytes == "bad") return Fail(ERANGE, "no such shade");
                       if (bytes == "throw") throw std::runtime_error("out of paint");
                       Of(use).shade = bytes;
                       return {};
                     },
                     .release = [](FileUse& use) { --Of(use).open; }});
    files.push_back({.name = "open", .number = [](FileUse& use) -> Result<std::uint64_t> {
                       return static_cast<std::uint64_t>(Of(use).open);
                     }});
    files.push_back({.name = "sink",
                     .where = SubsystemFile::Where::kNotTop,
                     .write = [](FileUse&, std::string_view) -> Result<void> { return {}; }});
    files.push_back({.name = "palette",
                     .where = SubsystemFile::Where::kTopOnly,
                     .mode = 0400,
                     .read = [](FileUse&) -> Result<std::string> { return "all\n"; }});
    return files;
  }
};

class SubsystemFiles : public ::testing::TestWithParam<bool> {
 protected:
  SubsystemFiles() : registry_(tracker_, [] {}) {
    EXPECT_TRUE(registry_.Register(std::make_shared<Colour>()));
    const auto hierarchy =
        registry_.CreateHierarchy({.name = "h", .subsystems = 1, .noprefix = GetParam()});
    top_ = Inode::Directory(registry_.Root(*hierarchy).value());
    tree_ = std::make_unique<Tree>(registry_, machine_);
    group_ = Inode{tree_->Mkdir({.tid = Tid{1}}, top_, "g", 0755).value().st_ino};
  }

  std::string Name(const std::string& file) { return GetParam() ? file : "colour." + file; }
  bool Has(Inode directory, const std::string& file) {
    const auto entries = tree_->ReadDir(directory).value();
    const bool listed = std::ranges::any_of(
        entries, [&](const DirEntry& entry) { return entry.name == Name(file); });
    EXPECT_EQ(listed, tree_->Lookup(directory, Name(file)).has_value());
    return listed;
  }
  struct stat StatOf(Inode directory, const std::string& file) {
    return tree_->Lookup(directory, Name(file)).value();
  }
  Result<std::unique_ptr<OpenFile>> Open(const std::string& file, bool readable) {
    return tree_->Open({.tid = Tid{1}}, Inode{StatOf(group_, file).st_ino}, readable);
  }
  std::string Read(const std::string& file) {
    return Open(file, true).value()->Read(Tid{1}, 4096, 0).value();
  }
  int Write(const std::string& file, std::string_view bytes) {
    const auto written = Open(file, false).value()->Write({.tid = Tid{1}}, bytes);
    return written ? 0 : written.error().code;
  }

  InprocTracker tracker_;
  Registry registry_;
  FakeMachine machine_;
  std::unique_ptr<Tree> tree_;
  Inode top_, group_;
};

TEST_P(SubsystemFiles, AreWhereTheirSubsystemWantsThem) {
  EXPECT_TRUE(Has(top_, "shade") && Has(group_, "shade"));
  EXPECT_TRUE(!Has(top_, "sink") && Has(group_, "sink"));
  EXPECT_TRUE(Has(top_, "palette") && !Has(group_, "palette"));
  EXPECT_FALSE(tree_->Lookup(group_, GetParam() ? "colour.shade" : "shade"));
}

TEST_P(SubsystemFiles, AreNotInAHierarchyWithoutIt) {
  const auto other = registry_.CreateHierarchy({.name = "other"});
  EXPECT_TRUE(Has(top_, "shade"));
  EXPECT_FALSE(Has(Inode::Directory(registry_.Root(*other).value()), "shade"));
}

TEST_P(SubsystemFiles, HaveTheModeTheirHandlersGive) {
  EXPECT_EQ(StatOf(group_, "shade").st_mode & 07777, 0644u);
  EXPECT_EQ(StatOf(group_, "open").st_mode & 07777, 0444u);
  EXPECT_EQ(StatOf(top_, "palette").st_mode & 07777, 0400u);
}

TEST_P(SubsystemFiles, AreReadAndWrittenByTheirHandlers) {
  EXPECT_EQ(Read("shade"), "grey\n");
  EXPECT_EQ(Write("shade", "blue\n"), 0);
  EXPECT_EQ(Read("shade"), "blue\n");
  EXPECT_EQ(Read("open"), "0\n");
  const auto held = Open("shade", true);
  EXPECT_EQ(Read("open"), "1\n");
}

TEST_P(SubsystemFiles, GiveTheErrorsOfTheirHandlers) {
  EXPECT_EQ(Write("shade", "bad"), ERANGE);
  EXPECT_EQ(Write("shade", "throw"), EIO);
  EXPECT_EQ(Write("shade", std::string(4097, 'x')), E2BIG);
  EXPECT_EQ(Read("shade"), "grey\n");
  EXPECT_EQ(Write("shade", "closed"), 0);
  const auto refused = Open("shade", true);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, EBUSY);
}

TEST_P(SubsystemFiles, AMissingHandlerGivesEinval) {
  EXPECT_EQ(Write("open", "1"), EINVAL);
  const auto unreadable = Open("sink", true).value()->Read(Tid{1}, 10, 0);
  ASSERT_FALSE(unreadable);
  EXPECT_EQ(unreadable.error().code, EINVAL);
}

TEST_P(SubsystemFiles, OfARemovedCgroupGiveEnodev) {
  const auto file = Open("shade", true).value();
  ASSERT_TRUE(tree_->Rmdir(top_, "g"));
  const auto written = file->Write({.tid = Tid{1}}, "x");
  ASSERT_FALSE(written);
  EXPECT_EQ(written.error().code, ENODEV);
}

INSTANTIATE_TEST_SUITE_P(Noprefix, SubsystemFiles, ::testing::Bool());

}  // namespace
}  // namespace corral

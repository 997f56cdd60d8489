// Directories and files that must be ours alone: made as asked, and refused where they are not.
#include "base/own_path.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cerrno>
#include <filesystem>
#include <fstream>

#include "base/thread.h"
#include "support/matchers.h"

namespace corral {
namespace {

class OwnPath : public ::testing::Test {
 protected:
  OwnPath() {
    char name[] = "/tmp/corral-own-XXXXXX";
    work_ = ::mkdtemp(name);
  }
  ~OwnPath() override {
    ::umask(022);
    std::filesystem::remove_all(work_);
  }
  std::string At(const std::string& name) const { return work_ + "/" + name; }
  mode_t Mode(const std::string& name) const {
    struct stat st = {};
    EXPECT_EQ(::lstat(At(name).c_str(), &st), 0) << name;
    return st.st_mode & 07777;
  }

  std::string work_;
};

TEST_F(OwnPath, IsMadeWithItsModeWhateverTheUmask) {
  for (const mode_t umask : {0000u, 0022u, 0077u, 0777u}) {
    ::umask(umask);
    const std::string name = std::to_string(umask);
    EXPECT_THAT(OpenOwnDirectory(At(name), 0755), IsOk());
    EXPECT_THAT(OpenOwnFile(At(name) + "/f", O_CREAT | O_RDWR, 0600), IsOk());
    EXPECT_EQ(Mode(name), 0755u) << umask;
    EXPECT_EQ(Mode(name + "/f"), 0600u) << umask;
  }
}

TEST_F(OwnPath, ThatIsThereGetsItsMode) {
  ASSERT_EQ(::mkdir(At("d").c_str(), 0700), 0);
  EXPECT_THAT(OpenOwnDirectory(At("d"), 0755), IsOk());
  EXPECT_EQ(Mode("d"), 0755u);
}

TEST_F(OwnPath, IsRefusedWhereOthersCouldDecideWhatIsInIt) {
  std::filesystem::create_symlink("/tmp", At("link"));
  EXPECT_THAT(OpenOwnDirectory(At("link"), 0755), FailsWith(EPERM));
  EXPECT_THAT(OpenOwnFile(At("link"), O_RDWR, 0600), FailsWith(EPERM));
  ASSERT_EQ(::mkdir(At("open").c_str(), 0755), 0);
  ASSERT_EQ(::chmod(At("open").c_str(), 0775), 0);
  EXPECT_THAT(OpenOwnDirectory(At("open"), 0755), FailsWith(EPERM));
  EXPECT_EQ(Mode("open"), 0775u) << "not simply mended";
  std::ofstream(At("file")) << "x";
  EXPECT_THAT(OpenOwnDirectory(At("file"), 0755), FailsWith(EPERM));
  ASSERT_EQ(::link(At("file").c_str(), At("second").c_str()), 0);
  EXPECT_THAT(OpenOwnFile(At("file"), O_RDWR, 0600), FailsWith(EPERM));
  ASSERT_EQ(::mkfifo(At("pipe").c_str(), 0600), 0);
  for (const int how : {O_RDONLY, O_WRONLY, O_RDWR}) {
    EXPECT_THAT(OpenOwnFile(At("pipe"), how, 0600), FailsWith(EPERM)) << "and waits for nobody";
  }
  EXPECT_THAT(OpenOwnFile(At("none"), O_RDWR, 0600), FailsWith(ENOENT));
  EXPECT_THAT(OpenOwnDirectory(At("none/none"), 0755), FailsWith(ENOENT));
}

TEST_F(OwnPath, IsStillNamedUntilItIsRemovedOrAnotherIsPutThere) {
  const Fd file = OpenOwnFile(At("f"), O_CREAT | O_RDWR, 0600).value();
  EXPECT_TRUE(StillNamed(file.get(), At("f")));
  std::filesystem::rename(At("f"), At("away"));
  EXPECT_FALSE(StillNamed(file.get(), At("f")));
  std::ofstream(At("f")) << "x";
  EXPECT_FALSE(StillNamed(file.get(), At("f")));
  std::filesystem::rename(At("away"), At("f"));
  EXPECT_TRUE(StillNamed(file.get(), At("f")));
}

TEST(Caught, ExceptionsAreErrorsForWhoAsked) {
  const auto caught = [](auto thrown) {
    try {
      throw thrown;
    } catch (...) {
      return CaughtError().code;
    }
  };
  EXPECT_EQ(caught(std::bad_alloc()), ENOMEM);
  EXPECT_EQ(caught(std::system_error(EAGAIN, std::generic_category())), EAGAIN);
  EXPECT_EQ(caught(std::runtime_error("x")), EIO);
  EXPECT_EQ(caught(7), EIO);
}

}  // namespace
}  // namespace corral

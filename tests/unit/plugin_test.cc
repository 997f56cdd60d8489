// What root loads: a plug-in that somebody else could change, and the list of those that were
// remembered (spec 10.11's rule). Needs root.
#include "daemon/plugin.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "daemon/remembered.h"

namespace corral {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

class Loading : public ::testing::Test {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "needs root to make files of others";
    char name[] = "/tmp/corral-plugin-XXXXXX";
    dir_ = ::mkdtemp(name);
    ::chmod(dir_.c_str(), 0755);
    ::setenv("CORRAL_TEST_MARK", (dir_ + "/mark").c_str(), 1);
  }
  void TearDown() override {
    if (!dir_.empty()) fs::remove_all(dir_);
  }
  // Its own copy each time: an object that is loaded stays so.
  std::string Plugin(const std::string& name) const {
    const std::string file = dir_ + "/" + name;
    fs::create_directories(fs::path(file).parent_path());
    fs::copy_file(CORRAL_MARKING_PLUGIN, file);
    ::chmod(file.c_str(), 0755);
    return file;
  }
  bool Ran() const { return fs::exists(dir_ + "/mark"); }

  std::string dir_;
};

TEST_F(Loading, RunsTheCodeOfAPluginOfRoots) {
  const std::string file = Plugin("d/plugin.so");
  fs::create_symlink("d/plugin.so", dir_ + "/link.so");
  const auto loaded = LoadPlugin(dir_ + "/link.so");
  ASSERT_TRUE(loaded) << loaded.error().message;
  EXPECT_EQ((*loaded)->name(), "marking");
  EXPECT_TRUE(Ran());
}

TEST_F(Loading, RefusesWhatSomebodyElseCouldChangeBeforeItsCodeRuns) {
  const std::string theirs = Plugin("theirs.so");
  ASSERT_EQ(::chown(theirs.c_str(), 1000, 1000), 0);
  const std::string open = Plugin("open.so");
  ASSERT_EQ(::chmod(open.c_str(), 0666), 0);
  const std::string below = Plugin("u/d/plugin.so");
  ASSERT_EQ(::chown((dir_ + "/u").c_str(), 1000, 1000), 0);
  fs::create_symlink(below, dir_ + "/link.so");
  for (const std::string& file : {theirs, open, below, dir_ + "/link.so"}) {
    const auto loaded = LoadPlugin(file);
    ASSERT_FALSE(loaded) << file;
    EXPECT_EQ(loaded.error().code, EPERM) << file;
    EXPECT_THAT(loaded.error().message, HasSubstr("cannot load plug-in " + file));
  }
  EXPECT_FALSE(Ran());
}

TEST_F(Loading, ErrorsOfTheLoaderNameTheFile) {
  std::ofstream(dir_ + "/text.so") << "no object";
  const auto loaded = LoadPlugin(dir_ + "/text.so");
  ASSERT_FALSE(loaded);
  EXPECT_EQ(loaded.error().code, ENOENT);
  EXPECT_THAT(loaded.error().message, HasSubstr(": " + dir_ + "/text.so: "));
  EXPECT_THAT(loaded.error().message, ::testing::Not(HasSubstr("/proc/self")));
}

TEST_F(Loading, WhatIsRememberedIsForRootAloneWhateverTheUmask) {
  const Remembered what{.plugins = {"/a b/c.so", "/d\n.so"}, .max_agents = 7};
  for (const mode_t mask : {0000, 0777}) {
    const mode_t old = ::umask(mask);
    const auto kept = Remember(dir_, what);
    ::umask(old);
    ASSERT_TRUE(kept) << kept.error().message;
    for (const auto& entry : fs::directory_iterator(dir_)) {
      struct stat st {};
      ::stat(entry.path().c_str(), &st);
      EXPECT_EQ(st.st_mode & 07777, 0600u) << entry.path();
    }
    const auto recalled = Recall(dir_);
    ASSERT_TRUE(recalled) << recalled.error().message;
    EXPECT_EQ(recalled->plugins, what.plugins);
    EXPECT_EQ(recalled->max_agents, what.max_agents);
  }
  Forget(dir_);
  EXPECT_TRUE(fs::is_empty(dir_));
  EXPECT_TRUE(Recall(dir_)->plugins.empty());
}

TEST_F(Loading, AListThatSomebodyElseCouldHaveWrittenIsRefused) {
  ASSERT_TRUE(Remember(dir_, {.plugins = {"/a.so"}}));
  const std::string list = dir_ + "/plugins";
  ASSERT_EQ(::chmod(list.c_str(), 0666), 0);
  EXPECT_EQ(Recall(dir_).error().code, EPERM);
  EXPECT_THAT(Recall(dir_).error().message, HasSubstr("remove it"));
  ASSERT_EQ(::chmod(list.c_str(), 0600), 0);
  ASSERT_TRUE(Recall(dir_));
  ASSERT_EQ(::chown(list.c_str(), 1000, 1000), 0);
  EXPECT_EQ(Recall(dir_).error().code, EPERM);
  fs::remove(list);
  std::ofstream(dir_ + "/other") << "/a.so";
  ASSERT_EQ(::chown((dir_ + "/other").c_str(), 1000, 1000), 0);
  fs::create_symlink("other", list);
  EXPECT_EQ(Recall(dir_).error().code, EPERM);
}

}  // namespace
}  // namespace corral

// The journal in LMDB: what is committed is there again, and what cannot be believed is refused.
#include "store/store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <filesystem>
#include <map>

#include "support/matchers.h"

namespace corral {
namespace {

using Rows = std::map<std::string, std::string>;
constexpr std::uint64_t kGeneration = 7;

class StoreTest : public ::testing::Test {
 protected:
  StoreTest() {
    char name[] = "/tmp/corral-store-XXXXXX";
    work_ = ::mkdtemp(name);
  }
  ~StoreTest() override { std::filesystem::remove_all(work_); }
  std::string directory() const { return work_ + "/store"; }
  static Rows All(const Store& store) {
    Rows rows;
    EXPECT_THAT(store.ForEach([&](std::string_view key, std::string_view value) -> Result<void> {
      rows.emplace(key, value);
      return {};
    }),
                IsOk());
    return rows;
  }

  std::string work_;
};

TEST_F(StoreTest, HasWhatWasCommittedAlsoAfterAKill) {
  const pid_t child = ::fork();
  if (child == 0) {
    auto store = Store::Create(directory(), kGeneration);
    (void)(*store)->Commit({{"a", "1"}, {"b", std::string("\0x", 2)}, {"c", ""}});
    (void)(*store)->Commit({{"a", std::nullopt}, {"c", "3"}, {"never", std::nullopt}});
    ::raise(SIGKILL);
  }
  ::waitpid(child, nullptr, 0);
  auto store = Store::Open(directory(), kGeneration);
  ASSERT_THAT(store, IsOk());
  EXPECT_EQ(All(**store), (Rows{{"b", std::string("\0x", 2)}, {"c", "3"}}));
}

TEST_F(StoreTest, GrowsAndIsStillOneTransaction) {
  auto store = Store::Create(directory(), kGeneration);
  std::vector<Journal::Change> many;
  for (int i = 0; i < 20'000; ++i) many.push_back({std::to_string(i), std::string(1000, 'x')});
  ASSERT_THAT((*store)->Commit(many), IsOk());
  store->reset();
  store = Store::Open(directory(), kGeneration);
  ASSERT_THAT(store, IsOk());
  EXPECT_EQ(All(**store).size(), many.size());
}

TEST_F(StoreTest, OfAnotherGenerationOrMissingIsNotOpened) {
  EXPECT_THAT(Store::Open(directory(), kGeneration), FailsWith(ENOENT));
  ASSERT_THAT(Store::Create(directory(), kGeneration), IsOk());
  EXPECT_THAT(Store::Open(directory(), kGeneration + 1), FailsWith(ENOENT));
  ASSERT_THAT(Store::Open(directory(), kGeneration), IsOk());
}

TEST_F(StoreTest, ThatIsCutIsDamaged) {
  {
    auto store = Store::Create(directory(), kGeneration);
    ASSERT_THAT((*store)->Commit({{"a", std::string(1'000'000, 'x')}}), IsOk());
  }
  for (const off_t size : {500'000, 9'000, 4'096, 100, 0}) {
    ASSERT_EQ(::truncate((directory() + "/data.mdb").c_str(), size), 0);
    EXPECT_THAT(Store::Open(directory(), kGeneration), FailsWith(EBADMSG)) << size;
  }
}

TEST_F(StoreTest, ThatIsFullSaysSoAndIsBehindUntilItHasCaughtUp) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root, for a small file system";
  const std::string mount = work_ + "/mnt";
  ASSERT_EQ(::mkdir(mount.c_str(), 0700), 0);
  ASSERT_EQ(::mount("none", mount.c_str(), "tmpfs", 0, "size=6m"), 0);
  {
    const std::string full = mount + "/store";
    auto store = Store::Create(full, kGeneration);
    ASSERT_THAT(store, IsOk());
    ASSERT_THAT((*store)->Commit({{"a", "1"}}), IsOk());
    EXPECT_THAT((*store)->Commit({{"b", std::string(5'000'000, 'x')}}), FailsWith(ENOSPC));
    EXPECT_EQ(All(**store), (Rows{{"a", "1"}}));
    EXPECT_THAT(Store::Open(full, kGeneration), FailsWith(EBADMSG));
    ASSERT_THAT((*store)->Commit({{"b", "2"}}), IsOk());
    store->reset();
    store = Store::Open(full, kGeneration);
    ASSERT_THAT(store, IsOk());
    EXPECT_EQ(All(**store), (Rows{{"a", "1"}, {"b", "2"}}));
  }
  ::umount2(mount.c_str(), MNT_DETACH);
}

}  // namespace
}  // namespace corral

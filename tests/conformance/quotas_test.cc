// Spec 4.6: quotas for delegated trees.
#include <fcntl.h>
#include <unistd.h>

#include "conformance/conformance.h"

namespace corral {
namespace {

constexpr uid_t kUser = 1234;

class Quotas : public Conformance {
 protected:
  void Prepare() override {
    Spec("4.6");
    if (!Is("corral")) NOT_APPLICABLE("an extension of the default dialect");
    // Given away as people do it.
    ASSERT_EQ(Sh("mkdir $MNT/his && chown -R 1234:1234 $MNT/his").status, 0);
    his_ = mnt() + "/his";
  }
  int AsUser(const std::function<int()>& act) { return As(kUser, kUser, act); }
  std::string his_;
};
CORRAL_IN_EVERY_DIALECT(Quotas);

TEST_P(Quotas, BeginWithADepthBelowTheTopAndReadBackWhatWasWritten) {
  EXPECT_EQ(Read(his_ + "/cgroup.max.depth"), "512\n");
  EXPECT_EQ(Read(his_ + "/cgroup.max.descendants"), "max\n");
  ASSERT_EQ(Mkdir(his_ + "/deeper"), 0);
  EXPECT_EQ(Read(his_ + "/deeper/cgroup.max.depth"), "max\n") << "bounded by those above";
  for (const std::string file : {"/cgroup.max.depth", "/cgroup.max.descendants"}) {
    EXPECT_EQ(Write(his_ + file, "12\n"), 0);
    EXPECT_EQ(Read(his_ + file), "12\n");
    EXPECT_EQ(Write(his_ + file, "max"), 0);
    EXPECT_EQ(Read(his_ + file), "max\n");
    EXPECT_EQ(Write(his_ + file, "twelve"), EINVAL);
    EXPECT_EQ(Write(his_ + file, "-1"), ERANGE);
    EXPECT_EQ(OpenError(mnt() + file, O_RDONLY), ENOENT) << "not in the root";
  }
}

TEST_P(Quotas, AMkdirBeyondGivesEagainAndWhatIsThereStays) {
  ASSERT_EQ(Write(his_ + "/cgroup.max.depth", "2"), 0);
  EXPECT_EQ(AsUser([&] { return Mkdir(his_ + "/1"); }), 0);
  EXPECT_EQ(AsUser([&] { return Mkdir(his_ + "/1/2"); }), 0);
  EXPECT_EQ(AsUser([&] { return Mkdir(his_ + "/1/2/3"); }), EAGAIN);
  EXPECT_EQ(Mkdir(his_ + "/1/2/3"), EAGAIN) << "root is no exception";
  ASSERT_EQ(Write(his_ + "/cgroup.max.depth", "0"), 0);
  EXPECT_EQ(AsUser([&] { return Mkdir(his_ + "/other"); }), EAGAIN);
  EXPECT_EQ(OpenError(his_ + "/1/2/tasks", O_RDONLY), 0);
  ASSERT_EQ(Write(his_ + "/cgroup.max.depth", "max"), 0);
  ASSERT_EQ(Write(his_ + "/cgroup.max.descendants", "3"), 0);
  EXPECT_EQ(AsUser([&] { return Mkdir(his_ + "/1/2/3"); }), 0);
  EXPECT_EQ(AsUser([&] { return Mkdir(his_ + "/4"); }), EAGAIN);
  EXPECT_EQ(AsUser([&] { return Rename(his_ + "/1", his_ + "/one"); }), 0);
  EXPECT_EQ(AsUser([&] { return Rmdir(his_ + "/one/2/3"); }), 0);
  EXPECT_EQ(AsUser([&] { return Mkdir(his_ + "/4"); }), 0);
}

TEST_P(Quotas, AreSetByWhoMayWriteTheParentsFiles) {
  for (const std::string file : {"/cgroup.max.depth", "/cgroup.max.descendants"}) {
    EXPECT_EQ(StatOf(his_ + file).st_uid, kUser) << "chown was told so, and it is of no use";
    const std::string before = Read(his_ + file);
    EXPECT_EQ(AsUser([&] { return Write(his_ + file, "7"); }), EACCES);
    EXPECT_EQ(Read(his_ + file), before);
    ASSERT_EQ(AsUser([&] { return Code(::mkdir((his_ + "/own").c_str(), 0755)); }), 0);
    EXPECT_EQ(StatOf(his_ + "/own" + file).st_uid, kUser);
    EXPECT_EQ(AsUser([&] { return Write(his_ + "/own" + file, "7"); }), 0);
    EXPECT_EQ(As(4321, 4321, [&] { return OpenError(his_ + "/own" + file, O_WRONLY); }), EACCES);
    ASSERT_EQ(Rmdir(his_ + "/own"), 0);
    // Who opened it counts, not who writes: a program of root's lends nobody its rights.
    EXPECT_EQ(As(0, 0,
                 [&] {
                   if (::seteuid(kUser) != 0) return 200;
                   const Fd fd = Open(his_ + file, O_WRONLY);
                   if (::seteuid(0) != 0) return 201;
                   return Code(::write(fd.get(), "9", 1));
                 }),
              EACCES);
  }
  Group("plain");
  EXPECT_EQ(StatOf(mnt() + "/plain/cgroup.max.depth").st_uid, 0u);
}

}  // namespace
}  // namespace corral

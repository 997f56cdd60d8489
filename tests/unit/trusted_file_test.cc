// Who can change what root runs (spec 10.11), on real files with real owners. Needs root.
#include "base/trusted_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/fuse.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <string>
#include <thread>

#include "base/fd.h"

namespace corral {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

constexpr uid_t kUser = 1000;
constexpr uid_t kOther = 1001;

// dir_ is root's, below /tmp, which is sticky and everybody's.
class Trusted : public ::testing::Test {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "needs root to make files of others";
    char name[] = "/tmp/corral-trusted-XXXXXX";
    dir_ = ::mkdtemp(name);
    ::chmod(dir_.c_str(), 0755);
  }
  void TearDown() override {
    if (!dir_.empty()) fs::remove_all(dir_);
  }

  std::string At(const std::string& name) const { return dir_ + "/" + name; }
  void Dir(const std::string& name, uid_t owner = 0, mode_t mode = 0755) const {
    fs::create_directory(At(name));
    Own(name, owner, mode);
  }
  void File(const std::string& name, uid_t owner = 0, mode_t mode = 0755) const {
    std::ofstream(At(name)) << "#!/bin/sh\n";
    Own(name, owner, mode);
  }
  void Link(const std::string& name, const std::string& target, uid_t owner = 0) const {
    fs::create_symlink(target, At(name));
    EXPECT_EQ(::lchown(At(name).c_str(), owner, owner), 0);
  }
  void Own(const std::string& name, uid_t owner, mode_t mode) const {
    EXPECT_EQ(::chown(At(name).c_str(), owner, owner), 0);
    EXPECT_EQ(::chmod(At(name).c_str(), mode), 0);
  }
  int Code(const std::string& name, uid_t user = 0) const {
    const auto opened = OpenTrusted(At(name), user);
    return opened ? 0 : opened.error().code;
  }

  std::string dir_;
};

struct Case {
  const char* what;
  std::function<void(class TrustedTable&)> make;
  const char* path;
  uid_t user;
  int code;
};

class TrustedTable : public Trusted, public ::testing::WithParamInterface<Case> {
 public:
  using Trusted::At;
  using Trusted::Dir;
  using Trusted::File;
  using Trusted::Link;
};

TEST_P(TrustedTable, IsAsTheTableSays) {
  GetParam().make(*this);
  const auto opened = OpenTrusted(At(GetParam().path), GetParam().user);
  EXPECT_EQ(opened ? 0 : opened.error().code, GetParam().code)
      << (opened ? opened->path : opened.error().message);
}

using T = TrustedTable;
const Case kCases[] = {
    {"RootsFileInRootsDirectoryBelowTmp", [](T& t) { t.File("a"); }, "a", 0, 0},
    {"AFileOfAUser", [](T& t) { t.File("a", kUser); }, "a", 0, EPERM},
    {"AFileOfAUserNobodyElseMayRead", [](T& t) { t.File("a", kUser, 0500); }, "a", 0, EPERM},
    {"AFileOfTheAgentsUser", [](T& t) { t.File("a", kUser); }, "a", kUser, 0},
    {"AFileOfAnotherThanTheAgentsUser", [](T& t) { t.File("a", kOther); }, "a", kUser, EPERM},
    {"WrittenByItsGroup", [](T& t) { t.File("a", 0, 0775); }, "a", 0, EPERM},
    {"WrittenByTheWorld", [](T& t) { t.File("a", 0, 0757); }, "a", 0, EPERM},
    {"WrittenByTheGroupOfTheAgentsUser", [](T& t) { t.File("a", kUser, 0770); }, "a", kUser, EPERM},
    {"BelowADirectoryOfAUser",
     [](T& t) {
       t.Dir("u", kUser);
       t.Dir("u/d");
       t.Dir("u/d/e");
       t.File("u/d/e/a");
     },
     "u/d/e/a", 0, EPERM},
    {"BelowADirectoryOfTheAgentsUser",
     [](T& t) {
       t.Dir("u", kUser, 0700);
       t.File("u/a", kUser);
     },
     "u/a", kUser, 0},
    {"ThreeBelowADirectoryOfAll",
     [](T& t) {
       t.Dir("w", 0, 0777);
       t.Dir("w/d");
       t.Dir("w/d/e");
       t.File("w/d/e/a");
     },
     "w/d/e/a", 0, EPERM},
    {"BelowADirectoryOfAGroup",
     [](T& t) {
       t.Dir("g", 0, 0775);
       t.Dir("g/d");
       t.File("g/d/a");
     },
     "g/d/a", 0, EPERM},
    {"RootsFileInAStickyDirectory",
     [](T& t) {
       t.Dir("s", 0, 01777);
       t.File("s/a");
     },
     "s/a", 0, 0},
    {"AUsersFileInAStickyDirectory",
     [](T& t) {
       t.Dir("s", 0, 01777);
       t.File("s/a", kUser);
     },
     "s/a", 0, EPERM},
    {"TheAgentsUsersFileInAStickyDirectory",
     [](T& t) {
       t.Dir("s", 0, 01777);
       t.File("s/a", kUser);
     },
     "s/a", kUser, 0},
    {"RootsDirectoryInAStickyDirectory",
     [](T& t) {
       t.Dir("s", 0, 01777);
       t.Dir("s/d");
       t.File("s/d/a");
     },
     "s/d/a", 0, 0},
    {"AStickyDirectoryOfAUser",
     [](T& t) {
       t.Dir("s", kUser, 01777);
       t.File("s/a");
     },
     "s/a", 0, EPERM},
    {"AStickyDirectoryOfTheAgentsUser",
     [](T& t) {
       t.Dir("s", kUser, 01777);
       t.File("s/a");
     },
     "s/a", kUser, EPERM},
    {"RootsLinkInAStickyDirectory",
     [](T& t) {
       t.Dir("s", 0, 01777);
       t.File("a");
       t.Link("s/l", t.At("a"));
     },
     "s/l", 0, 0},
    {"AUsersLinkInAStickyDirectory",
     [](T& t) {
       t.Dir("s", 0, 01777);
       t.File("a");
       t.Link("s/l", t.At("a"), kUser);
     },
     "s/l", 0, EPERM},
    {"ALinkInADirectoryOfAUser",
     [](T& t) {
       t.Dir("u", kUser);
       t.File("a");
       t.Link("u/l", t.At("a"));
     },
     "u/l", 0, EPERM},
    {"ALinkOfAUserInADirectoryOfRoot",  // he cannot replace it, nor change where it leads
     [](T& t) {
       t.File("a");
       t.Link("l", "a", kUser);
     },
     "l", 0, 0},
    {"ALinkIntoADirectoryOfAUser",
     [](T& t) {
       t.Dir("u", kUser);
       t.File("u/a");
       t.Link("l", "u/a");
     },
     "l", 0, EPERM},
    {"LinksThroughADirectoryOfAUserAndBack",
     [](T& t) {
       t.Dir("u", kUser);
       t.File("a");
       t.Link("u/back", "../a");
       t.Link("l", "u/back");
     },
     "l", 0, EPERM},
    {"ALinkedDirectory",
     [](T& t) {
       t.Dir("d");
       t.Dir("d/e");
       t.File("d/e/a");
       t.Link("l", "d/e/");
     },
     "l/a", 0, 0},
    {"ALinkedDirectoryThatAUserMayReplace",
     [](T& t) {
       t.Dir("u", kUser);
       t.Dir("d");
       t.File("d/a");
       t.Link("u/l", "../d");
     },
     "u/l/a", 0, EPERM},
    {"DotDotOutOfADirectoryOfAUser",  // who may rename it: then `..` leads elsewhere
     [](T& t) {
       t.Dir("u", kUser);
       t.Dir("u/d");
       t.File("a");
     },
     "u/d/../../a", 0, EPERM},
    {"DotDotWithinRootsDirectories",
     [](T& t) {
       t.Dir("d");
       t.Dir("d/e");
       t.File("d/a");
     },
     "./d//e/../a", 0, 0},
    {"DotDotAfterALink",  // leads above where the link leads, not above the link
     [](T& t) {
       t.Dir("d");
       t.Dir("d/e");
       t.File("d/a");
       t.Link("l", "d/e");
     },
     "l/../a", 0, 0},
    {"AMissingFile", [](T&) {}, "a", 0, ENOENT},
    {"AMissingFileInADirectoryOfAUser", [](T& t) { t.Dir("u", kUser); }, "u/a", 0, EPERM},
    {"AMissingFileInADirectoryOfAll", [](T& t) { t.Dir("w", 0, 0777); }, "w/a", 0, EPERM},
    {"AMissingFileInAStickyDirectory", [](T& t) { t.Dir("s", 0, 01777); }, "s/a", 0, ENOENT},
    {"ALinkThatLeadsNowhere", [](T& t) { t.Link("l", "nowhere"); }, "l", 0, ENOENT},
    {"ALoop",
     [](T& t) {
       t.Link("l", "m");
       t.Link("m", "l");
     },
     "l", 0, ELOOP},
    {"AFileForADirectory", [](T& t) { t.File("a"); }, "a/b", 0, ENOTDIR},
};
INSTANTIATE_TEST_SUITE_P(Rules, TrustedTable, ::testing::ValuesIn(kCases),
                         [](const auto& one) { return std::string(one.param.what); });

TEST_F(Trusted, WhoMayWriteByAnAclIsSeen) {
  File("a");
  ASSERT_EQ(Code("a"), 0);
  if (std::system(("setfacl -m u:1000:rw " + At("a")).c_str()) != 0) {
    GTEST_SKIP() << "no ACLs here";
  }
  EXPECT_EQ(Code("a"), EPERM);
  Dir("d");
  File("d/a");
  ASSERT_EQ(Code("d/a"), 0);
  ASSERT_EQ(std::system(("setfacl -m u:1000:rwx " + At("d")).c_str()), 0);
  EXPECT_EQ(Code("d/a"), EPERM);
}

// What counts is who can change where the path leads, and it leads to the mount.
TEST_F(Trusted, ABindMountIsJudgedByWhatIsMounted) {
  Dir("u", kUser);
  Dir("u/theirs", kUser);
  File("u/theirs/a");
  Dir("u/roots");
  File("u/roots/a");
  for (const char* name : {"theirs", "roots"}) {
    Dir(name);
    ASSERT_EQ(
        ::mount(At(std::string("u/") + name).c_str(), At(name).c_str(), nullptr, MS_BIND, nullptr),
        0);
  }
  EXPECT_EQ(Code("theirs/a"), EPERM);
  EXPECT_EQ(Code("roots/a"), 0);
  EXPECT_EQ(Code("theirs/../roots/a"), EPERM);
  for (const char* name : {"theirs", "roots"}) ::umount2(At(name).c_str(), MNT_DETACH);
}

TEST_F(Trusted, HoldsWhatWasLookedAtWhateverTheNameIsNow) {
  File("a");
  Link("l", "a");
  const auto opened = OpenTrusted(At("l"));
  ASSERT_TRUE(opened);
  EXPECT_EQ(opened->path, At("a"));
  struct stat before {
  }, now{}, in{};
  ::stat(At("a").c_str(), &before);
  fs::rename(At("a"), At("b"));
  File("a", kUser);
  ::fstat(opened->file.get(), &now);
  EXPECT_EQ(now.st_ino, before.st_ino);
  EXPECT_EQ(::fstatat(opened->directory.get(), "b", &in, 0), 0);
  EXPECT_EQ(ReadTrusted(*opened, 4).value(), "#!/b");
}

// A name there means what a process is just now.
TEST_F(Trusted, NothingBelowProcIs) {
  for (const char* path : {"/proc/self/exe", "/proc/1/root/bin/true", "/proc/self/root/bin/true"}) {
    const auto opened = OpenTrusted(path);
    ASSERT_FALSE(opened) << path;
    EXPECT_EQ(opened.error().code, EPERM) << path;
  }
}

TEST_F(Trusted, RefusalsNameTheDirectoryItsOwnerAndTheRemedy) {
  Dir("u", kUser);
  File("u/a");
  EXPECT_THAT(OpenTrusted(At("u/a")).error().message,
              ::testing::AllOf(HasSubstr(At("u") + " belongs to uid 1000"), HasSubstr("root")));
  Dir("w", 0, 0777);
  File("w/a");
  EXPECT_THAT(
      OpenTrusted(At("w/a")).error().message,
      ::testing::AllOf(HasSubstr(At("w") + " may be written by anybody"), HasSubstr("chmod go-w")));
}

// A file system whose every file belongs to root, or so its server says.
class Liar {
 public:
  Liar(const std::string& where, uid_t user) : device_(::open("/dev/fuse", O_RDWR | O_CLOEXEC)) {
    const std::string options =
        fmt::format("fd={},rootmode=40755,user_id={},group_id=0,allow_other", device_.get(), user);
    mounted_ = device_ && ::mount("liar", where.c_str(), "fuse", MS_NOSUID, options.c_str()) == 0;
    where_ = where;
    if (mounted_) server_ = std::thread([this] { Serve(); });
  }
  ~Liar() {
    if (!mounted_) return;
    ::umount2(where_.c_str(), MNT_FORCE | MNT_DETACH);
    server_.join();
  }
  bool mounted() const { return mounted_; }

 private:
  void Answer(std::uint64_t unique, int error, const void* bytes, std::size_t size) {
    const fuse_out_header header{static_cast<std::uint32_t>(sizeof header + size), error, unique};
    const iovec parts[] = {{const_cast<fuse_out_header*>(&header), sizeof header},
                           {const_cast<void*>(bytes), size}};
    (void)!::writev(device_.get(), parts, 2);
  }
  void Serve() {
    std::string buffer(1 << 16, '\0');
    for (;;) {
      const ssize_t size = ::read(device_.get(), buffer.data(), buffer.size());
      if (size < 0 && errno == EINTR) continue;
      if (size <= 0) return;
      fuse_in_header in;
      std::memcpy(&in, buffer.data(), sizeof in);
      fuse_attr attr{.ino = 1, .mode = S_IFDIR | 0755, .nlink = 1};
      if (in.opcode == FUSE_INIT) {
        const fuse_init_out out{.major = 7, .minor = 31, .max_write = 4096};
        Answer(in.unique, 0, &out, sizeof out);
      } else if (in.opcode == FUSE_GETATTR) {
        if (in.nodeid != 1) attr.mode = S_IFREG | 0755;
        const fuse_attr_out out{.attr = attr};
        Answer(in.unique, 0, &out, sizeof out);
      } else if (in.opcode == FUSE_LOOKUP) {
        attr.mode = S_IFREG | 0755;
        const fuse_entry_out out{.nodeid = 2, .attr = attr};
        Answer(in.unique, 0, &out, sizeof out);
      } else if (in.opcode == FUSE_STATFS) {
        const fuse_statfs_out out{};
        Answer(in.unique, 0, &out, sizeof out);
      } else {
        Answer(in.unique, -ENOSYS, nullptr, 0);
      }
    }
  }

  const Fd device_;
  bool mounted_ = false;
  std::string where_;
  std::thread server_;
};

// He mounts over a directory of his own in /tmp; what he shows there says that it is root's.
TEST_F(Trusted, OnFuseWhoMountedItIsAskedFor) {
  Dir("s", 0, 01777);
  for (const uid_t user : {kUser, uid_t{0}}) {
    const std::string name = "s/" + std::to_string(user);
    Dir(name, user);
    const Liar liar(At(name), user);
    if (!liar.mounted()) GTEST_SKIP() << "no FUSE here";
    EXPECT_EQ(Code(name + "/a"), user == 0 ? 0 : EPERM);
    EXPECT_EQ(Code(name + "/a", user), 0);
  }
}

// A pipe has nobody at its other end: opening it to read would wait for ever.
TEST_F(Trusted, NothingButAFileIsRead) {
  ASSERT_EQ(::mkfifo(At("p").c_str(), 0700), 0);
  const auto opened = OpenTrusted(At("p"));
  ASSERT_TRUE(opened);
  EXPECT_EQ(ReadTrusted(*opened, 1).error().code, EINVAL);
}

}  // namespace
}  // namespace corral

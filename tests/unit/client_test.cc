// Frames, names in JSON, instance names: what both ends of the socket rely on.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <random>
#include <thread>

#include "client/bytes.h"
#include "client/frame.h"
#include "client/instance.h"

namespace corral {
namespace {

struct Pair {
  Pair() {
    int ends[2];
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    a.reset(ends[0]);
    b.reset(ends[1]);
  }
  Fd a, b;
};

TEST(Frame, CarriesAnySizeWhole) {
  Pair pair;
  for (const std::size_t size : {0ul, 1ul, 4096ul, 5'000'000ul}) {
    const std::string sent(size, 'x');
    std::thread sender([&] { EXPECT_TRUE(SendFrame(pair.a.get(), sent)); });
    auto got = RecvFrame(pair.b.get());
    sender.join();
    ASSERT_TRUE(got && *got);
    EXPECT_TRUE((*got)->payload == sent);
    EXPECT_FALSE((*got)->fd.valid());
  }
}

TEST(Frame, CarriesADescriptorWithItsOwnMessageOnly) {
  Pair pair;
  int pipe_ends[2];
  ASSERT_EQ(::pipe(pipe_ends), 0);
  Fd reading(pipe_ends[0]);
  Fd writing(pipe_ends[1]);
  ASSERT_TRUE(SendFrame(pair.a.get(), "without"));
  ASSERT_TRUE(SendFrame(pair.a.get(), "with", writing.get()));
  ASSERT_TRUE(SendFrame(pair.a.get(), "after"));
  EXPECT_FALSE((*RecvFrame(pair.b.get()))->fd.valid());
  auto with = RecvFrame(pair.b.get());
  ASSERT_TRUE((*with)->fd.valid());
  EXPECT_NE(::fcntl((*with)->fd.get(), F_GETFD) & FD_CLOEXEC, 0);
  ASSERT_EQ(::write((*with)->fd.get(), "!", 1), 1);
  char byte = 0;
  EXPECT_EQ(::read(reading.get(), &byte, 1), 1);
  EXPECT_FALSE((*RecvFrame(pair.b.get()))->fd.valid());
}

TEST(Frame, TellsACleanEndFromABrokenOne) {
  Pair clean;
  clean.a.reset();
  auto end = RecvFrame(clean.b.get());
  ASSERT_TRUE(end);
  EXPECT_FALSE(*end);

  Pair broken;
  ASSERT_EQ(::write(broken.a.get(), "\x05\x00\x00\x00xy", 6), 6);
  broken.a.reset();
  EXPECT_EQ(RecvFrame(broken.b.get()).error().code, EPROTO);
}

TEST(Frame, RefusesALengthBeyondTheLimit) {
  Pair pair;
  ASSERT_EQ(::write(pair.a.get(), "\xff\xff\xff\xff", 4), 4);
  EXPECT_EQ(RecvFrame(pair.b.get()).error().code, EMSGSIZE);
}

TEST(Frame, ToAPeerThatIsGoneIsAnErrorNotASignal) {
  Pair pair;
  pair.b.reset();
  EXPECT_EQ(SendFrame(pair.a.get(), "x").error().code, EPIPE);
}

TEST(JsonText, LeavesUtf8AsItIs) {
  EXPECT_EQ(ToJsonText("/a b/\xc3\xa4\xe2\x82\xac\xf0\x9f\x90\x8e"),
            "/a b/\xc3\xa4\xe2\x82\xac\xf0\x9f\x90\x8e");
}

TEST(JsonText, BringsEveryNameBackByteForByte) {
  std::mt19937 random(1);
  // Bytes that make and break sequences, those of the marks themselves among them.
  constexpr unsigned char kBytes[] = {'a',  '/',  0x80, 0xBF, 0xC0, 0xC3, 0xE0, 0xED, 0xEE,
                                      0xEF, 0xBE, 0xF0, 0xF4, 0xFF, 0xA0, 0x90, 0xBC};
  for (int i = 0; i < 200000; ++i) {
    std::string name;
    for (std::size_t n = random() % 9; n > 0; --n) {
      name += static_cast<char>(kBytes[random() % sizeof kBytes]);
    }
    const std::string text = ToJsonText(name);
    ASSERT_EQ(FromJsonText(text), name);
    // Nothing in the text is itself in need of marks but the marks.
    ASSERT_EQ(FromJsonText(ToJsonText(text)), text);
  }
}

TEST(Printable, QuotesWhatCouldDriveATerminal) {
  EXPECT_EQ(Printable("plain name"), "plain name");
  EXPECT_EQ(Printable("a\x1b[2Jb"), "\"a\\x1b[2Jb\"");
  EXPECT_EQ(Printable("a\nb"), "\"a\\nb\"");
  EXPECT_EQ(Printable("cut off \xc6"), "\"cut off \\xc6\"");  // ended a debug build
  EXPECT_EQ(Printable("\xe2\x82"), "\"\\xe2\\x82\"");
  EXPECT_EQ(Printable("\xff \xe2\x82\xac"), "\"\\xff \xe2\x82\xac\"");
}

TEST(Instance, NamesAreShortAndPlain) {
  for (const char* good : {"default", "a", "test-1_2.x"}) EXPECT_TRUE(CheckInstanceName(good));
  for (const std::string& bad : {std::string(), std::string("a/b"), std::string("."),
                                 std::string(".."), std::string(64, 'x'), std::string("a b")}) {
    EXPECT_FALSE(CheckInstanceName(bad)) << bad;
  }
  EXPECT_EQ(SocketPath("x"), "/run/corral/x/socket");
}

}  // namespace
}  // namespace corral

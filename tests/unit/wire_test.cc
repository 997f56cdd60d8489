// Frames, names in JSON, messages, instance names: what both ends of the socket rely on.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <nlohmann/json.hpp>
#include <random>
#include <thread>

#include "base/text.h"
#include "wire/bytes.h"
#include "wire/codec.h"
#include "wire/frame.h"
#include "wire/instance.h"
#include "wire/listing.h"
#include "wire/messages.h"

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

TEST(Printable, QuotesWhatIsNotSeenOrLooksLikeSomethingElse) {
  EXPECT_EQ(Printable("\x7f"), "\"\\x7f\"");
  EXPECT_EQ(Printable("\xc2\x9b"
                      "2J"),
            "\"\\u009b2J\"")
      << "C1 as a character";
  EXPECT_EQ(Printable("\x9b"
                      "2J"),
            "\"\\x9b2J\"")
      << "and as a byte: another name";
  EXPECT_EQ(Printable("a\xe2\x80\xae"
                      "b"),
            "\"a\\u202eb\"")
      << "right to left";
  EXPECT_EQ(Printable("\xe2\x81\xa6"), "\"\\u2066\"");
  EXPECT_EQ(Printable("\xd8\x9c"), "\"\\u061c\"");
  EXPECT_EQ(Printable("\xe2\x80\x8f"), "\"\\u200f\"");
  EXPECT_EQ(Printable("\xe2\x80\xa8"), "\"\\u2028\"") << "a line separator";
  EXPECT_EQ(Printable("\xef\xbb\xbf"), "\"\\ufeff\"");
  EXPECT_EQ(Printable("\xe2\x80\x8b"), "\"\\u200b\"") << "of no width";
  EXPECT_EQ(Printable("\xc2\xa0"), "\"\\u00a0\"") << "looks like a blank";
  EXPECT_EQ(Printable("\xf3\xa0\x80\x81"), "\"\\U000e0001\"");
  EXPECT_EQ(Printable("a\\x9b"), "\"a\\\\x9b\"") << "a backslash that is in the name";
  EXPECT_EQ(Printable("\"a\""), "\"\\\"a\\\"\"");
  EXPECT_EQ(Printable("gr\xc3\xbc\xc3\x9f \xe6\xbc\xa2"), "gr\xc3\xbc\xc3\x9f \xe6\xbc\xa2");
}

TEST(Printable, IsReadBackByteForByte) {
  std::string every;
  for (int byte = 1; byte < 256; ++byte) every += static_cast<char>(byte);
  for (const std::string& name :
       {every, std::string("plain"), std::string("a \"b\" \\ c"), std::string("\xc2\x9b\x9b"),
        std::string("\xe2\x80\xae\xf3\xa0\x80\x81\xef\xbe\x9b"), std::string("\"")}) {
    EXPECT_EQ(FromPrintable(Printable(name)), name);
    EXPECT_EQ(Harmless(Printable(name)), Printable(name)) << "once is enough";
    EXPECT_EQ(FromJsonText(ToJsonText(name)), name);
  }
  EXPECT_EQ(FromPrintable("C:\\x"), "C:\\x") << "without quotes nothing is read";
  for (const char* bad :
       {"\"\\\"", "\"\\x1\"", "\"\\q\"", "\"a\"b\"", "\"\\ud800\"", "\"\\u0041\""}) {
    EXPECT_FALSE(FromPrintable(bad)) << bad;
  }
}

TEST(Harmless, LeavesTextAsItIsAndItsLinesOne) {
  EXPECT_EQ(Harmless("a \"b\" C:\\ \xc3\xbc"), "a \"b\" C:\\ \xc3\xbc");
  EXPECT_EQ(Harmless("one\ntwo\x1b[2J\xc2\x9b\xff"), "one\\ntwo\\x1b[2J\\u009b\\xff");
}

TEST(Listing, PutsPathsTogetherWhereTheyAreShown) {
  Listing listing;
  nlohmann::json first = {
      {"groups", {{nullptr, 1, "jobs:/", 5, 1, true, false}, {0, 2, "a", 0, 2, false, true}}},
      {"more", true}};
  nlohmann::json second = {
      {"groups", {{1, 3, "b", 1, 0, true, false}, {nullptr, 9, "x:/p/q", 0, 0, false, false}}},
      {"tasks", {{7, 6, 2}}}};
  ASSERT_TRUE(listing.Add(first));
  ASSERT_TRUE(listing.Add(second));
  ASSERT_EQ(listing.size(), 4u);
  EXPECT_EQ(listing.PathOf(0), "/");
  EXPECT_EQ(listing.PathOf(2), "/a/b");
  EXPECT_EQ(listing[2].depth, 2u);
  EXPECT_EQ(listing.ShownPath(2, true), "jobs:/a/b");
  EXPECT_EQ(listing.ShownPath(3, true), "x:/p/q");
  EXPECT_EQ(listing.tasks().at(0).group, 2u);
  for (nlohmann::json bad :
       {nlohmann::json{{7, 5, "c", 0, 0, false, false}},
        nlohmann::json{{4, 5, "c", 0, 0, false, false}},
        nlohmann::json{{0, 5, 6, 0, 0, false, false}}, nlohmann::json{{0, 5}}}) {
    nlohmann::json piece = {{"groups", std::move(bad)}};
    EXPECT_EQ(listing.Add(piece).error().code, EPROTO);
  }
}

TEST(Listing, OfALongPathShowsTheEndAndTellsProgramsNone) {
  Listing listing;
  nlohmann::json rows = {{nullptr, 1, "deep:/", 0, 1, false, false}};
  for (int i = 0; i < 50'000; ++i) rows.push_back({i, i + 2, "d", 0, 1, false, false});
  nlohmann::json piece = {{"groups", std::move(rows)}};
  ASSERT_TRUE(listing.Add(piece));
  EXPECT_FALSE(listing.PathOf(50'000));
  EXPECT_TRUE(listing.JsonPath(50'000).is_null());
  EXPECT_TRUE(listing.ShownPath(50'000).ends_with("/d/d (50000 levels down)"));
  EXPECT_LT(listing.ShownPath(50'000).size(), 300u);
}

// ---- messages

using nlohmann::json;

// Of one that cannot be read.
template <typename M>
std::string WrongIn(const json& object) {
  M message;
  const auto read = wire::Read(object, message);
  EXPECT_FALSE(read);
  if (read) return "";
  EXPECT_EQ(read.error().code, EPROTO);
  return read.error().message;
}

TEST(Message, IsReadAsItWasWritten) {
  const wire::Stat::Answer sent{
      .id = 7,
      .path = "jobs:/a\xff",
      .populated = true,
      .groups = 1,
      .tasks = UINT64_MAX,
      .processes = 2,
      .cpu = std::nullopt,
      .subtree = {.tasks = 3, .processes = 3, .cpu = wire::Cpu{.total_ns = 5}},
      .files = {{.name = "a", .content = "1\n", .error = {}},
                {.name = "b", .content = {}, .error = "no"}}};
  json object = json::object();
  wire::Write(sent, object);
  EXPECT_TRUE(object.at("cpu").is_null());  // not metered: said so
  EXPECT_FALSE(object.at("files")[0].contains("error"));
  wire::Stat::Answer got;
  ASSERT_TRUE(wire::Read(json::parse(object.dump()), got));
  EXPECT_EQ(got.path, sent.path);
  EXPECT_EQ(got.tasks, UINT64_MAX);
  EXPECT_FALSE(got.cpu);
  EXPECT_EQ(got.subtree.cpu->total_ns, 5u);
  ASSERT_EQ(got.files.size(), 2u);
  EXPECT_EQ(got.files[0].content, "1\n");
  EXPECT_EQ(got.files[1].error, "no");
}

TEST(Message, OfRowsAndNulls) {
  json object = json::object();
  wire::Write(wire::Why::Answer{.awaited = {{{.tid = 5, .row = 1}, {.tid = 6, .row = {}}}}},
              object);
  EXPECT_EQ(object.at("awaited").dump(), "[[5,1],[6,null]]");
  wire::Why::Answer got;
  ASSERT_TRUE(wire::Read(object, got));
  EXPECT_EQ((*got.awaited)[0].row, 1u);
  EXPECT_FALSE((*got.awaited)[1].row);
}

TEST(Message, ThatIsMalformedNamesTheField) {
  EXPECT_EQ(WrongIn<wire::Mkdir>({{"path", "a:/"}}), "'name' is missing");
  EXPECT_EQ(WrongIn<wire::Mkdir>({{"name", 1}}), "'name' is no text");
  EXPECT_EQ(WrongIn<wire::Mkdir>({{"name", "a"}, {"fresh", nullptr}}),
            "'fresh' is neither true nor false");
  EXPECT_EQ(WrongIn<wire::Locate>(json::parse(R"({"files": [{"dev": 1}]})")), "'ino' is missing");
  EXPECT_EQ(WrongIn<wire::Locate>({{"files", 1}}), "'files' is no list");
  EXPECT_EQ(WrongIn<wire::Mkdir>(json::array()), "'message' is no object");
}

TEST(Message, TakesWholeNumbersOnly) {
  for (const char* bad : {"-1", "1.0", "1e30", "18446744073709551616", "\"1\"", "null", "true"}) {
    json object = {{"tid", json::parse(bad)}};
    EXPECT_EQ(WrongIn<wire::Leave>(object), "'tid' is no whole number from 0 to 2^64-1") << bad;
  }
}

// A long list is sent in pieces; the last one is still there when the rest is written.
TEST(Message, GoesOnWithAListThatIsThere) {
  json object = {{"differences", {"a"}}};
  wire::Write(wire::Audit::Answer{}, object);
  EXPECT_EQ(object.at("differences"), json({"a"}));
  object = json::object();
  wire::Write(wire::Audit::Answer{}, object);
  EXPECT_EQ(object.at("differences"), json::array());
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

// The feed of events: order, paths, scopes, and what happens to a reader that does not read.
#include "daemon/event_feed.h"

#include <poll.h>

#include "support/core_fixture.h"

namespace corral {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class Feed : public CoreTest {
 protected:
  EventFeed::Scope ScopeOf(const std::string& path) {
    return {.cgroup = At(path), .hierarchy = jobs_, .is_root = path == "/", .path = path};
  }
  // How many events the looker was handed.
  std::size_t Look() {
    const std::size_t before = events_.size();
    looker_.Look();
    return events_.size() - before;
  }
  static std::vector<std::string> Lines(EventFeed::Subscriber& subscriber) {
    std::vector<std::string> lines;
    for (const FeedEntry& entry : subscriber.Take()) lines.push_back(Line(entry));
    return lines;
  }
  static std::string Line(const FeedEntry& entry) {
    switch (entry.kind) {
      case FeedEntry::Kind::kPopulated:
        return (entry.populated ? "populated " : "empty ") + entry.hierarchy + ":" + entry.path;
      case FeedEntry::Kind::kReleased: return "released " + entry.path;
      case FeedEntry::Kind::kNotified: return "notified " + entry.path + " " + entry.agent;
      case FeedEntry::Kind::kRemoved: return "removed " + entry.path;
      case FeedEntry::Kind::kLost: return "lost " + std::to_string(entry.lost);
    }
    return "?";
  }
  static bool IsReadable(const EventFeed::Subscriber& subscriber) {
    pollfd ready = {.fd = subscriber.fd(), .events = POLLIN, .revents = 0};
    return ::poll(&ready, 1, 0) == 1;
  }

  EventFeed feed_{registry_};

 private:
  std::vector<Event> Collect(Registry& /*registry*/) override { return feed_.Collect(); }
};

TEST_F(Feed, TellsALifeInOrder) {
  EventFeed::Subscriber all(feed_, std::nullopt);
  const CgroupId job = Mkdir("/job");
  const Tid task = StartIn(job);
  Exit(task);
  Look();
  ASSERT_THAT(registry_.Remove(job), IsOk());
  Look();
  EXPECT_THAT(Lines(all), ElementsAre("populated jobs:/job", "empty jobs:/job", "released /job",
                                      "removed /job"));
  EXPECT_FALSE(IsReadable(all));
  EXPECT_THAT(Lines(all), IsEmpty());
}

TEST_F(Feed, NamesAGroupThatIsGoneWhenItsChangeIsTold) {
  EventFeed::Subscriber all(feed_, std::nullopt);
  const CgroupId job = Mkdir("/job");
  const Tid task = StartIn(job);
  ASSERT_THAT(Attach(At("/"), task), IsOk());
  registry_.Settle();
  ASSERT_THAT(registry_.Remove(job), IsOk());  // before anybody looked
  Look();
  EXPECT_THAT(Lines(all), ElementsAre("populated jobs:/job", "empty jobs:/job", "released /job",
                                      "removed /job"));
}

TEST_F(Feed, TellsWhatHappenedBeforeTheSubscriptionToNobody) {
  StartIn(Mkdir("/job"));
  EventFeed::Subscriber late(feed_, std::nullopt);
  EXPECT_EQ(Look(), 1u) << "the looker still gets it";
  EXPECT_THAT(Lines(late), IsEmpty());
  StartIn(Mkdir("/next"));
  Look();
  EXPECT_THAT(Lines(late), ElementsAre("populated jobs:/next"));
}

TEST_F(Feed, KeepsToItsScopeAndFollowsARename) {
  Mkdir("/a");
  Mkdir("/a/b");
  Mkdir("/ab");
  EventFeed::Subscriber below(feed_, ScopeOf("/a"));
  EventFeed::Subscriber root(feed_, ScopeOf("/"));
  StartIn(At("/ab"));
  StartIn(Mkdir("/x", OtherHierarchy("other")));
  ASSERT_THAT(registry_.Rename(At("/"), "a", At("/"), "z"), IsOk());
  StartIn(At("/z/b"));
  Look();
  EXPECT_THAT(Lines(below), ElementsAre("populated jobs:/z/b", "populated jobs:/z"));
  EXPECT_THAT(Lines(root),
              ElementsAre("populated jobs:/ab", "populated jobs:/z/b", "populated jobs:/z"));
}

TEST_F(Feed, TellsAReleaseBeforeItsNotification) {
  EventFeed::Subscriber all(feed_, std::nullopt);
  Exit(StartIn(MkdirNotifying("/job")));
  registry_.JudgeAll();
  registry_.Settle();
  const auto next = registry_.queue().TryTake();
  ASSERT_TRUE(next);
  feed_.Notified(registry_.BeginNotification(*next).value());  // quicker than the looker
  EXPECT_EQ(Look(), 4u) << "nothing is kept from the looker";
  EXPECT_THAT(Lines(all), ElementsAre("populated jobs:/job", "empty jobs:/job", "released /job",
                                      "notified /job /bin/agent"));
}

TEST_F(Feed, CountsWhatDoesNotFitAndSaysSoInItsPlace) {
  EventFeed::Subscriber slow(feed_, std::nullopt, 3);
  EventFeed::Subscriber quick(feed_, std::nullopt);
  for (const char* path : {"/a", "/b", "/c", "/d", "/e"}) StartIn(Mkdir(path));
  Look();
  StartIn(Mkdir("/f"));
  Look();
  EXPECT_THAT(Lines(slow),
              ElementsAre("populated jobs:/a", "populated jobs:/b", "populated jobs:/c", "lost 3"));
  EXPECT_EQ(Lines(quick).size(), 6u);
  StartIn(Mkdir("/g"));
  Look();
  EXPECT_THAT(Lines(slow), ElementsAre("populated jobs:/g"));
}

TEST_F(Feed, PutsTheGapBeforeWhatFitsAgain) {
  EventFeed::Subscriber slow(feed_, std::nullopt, 2000);
  const Tid task = Start();
  const CgroupId job = Mkdir("/job");
  for (int i = 0; i < 1500; ++i) {  // three events each: populated, empty, released
    ASSERT_THAT(Attach(job, task), IsOk());
    ASSERT_THAT(Attach(At("/"), task), IsOk());
    Look();
  }
  EXPECT_EQ(slow.Take().size(), 1024u) << "at once";
  EXPECT_TRUE(IsReadable(slow));
  StartIn(Mkdir("/later"));
  Look();
  std::vector<std::string> rest = Lines(slow);
  ASSERT_EQ(rest.size(), 2000u - 1024u + 2u);
  EXPECT_EQ(rest[rest.size() - 2], "lost 2500");
  EXPECT_EQ(rest.back(), "populated jobs:/later");
}

// Its path cannot be told, and for who asked for a part of the hierarchy nor whether it is his.
TEST_F(Feed, APathThatIsTooLongIsLeftOutAndCountedAsLostWhereItDecides) {
  const std::string name(250, 'n');
  CgroupId at = Mkdir("/top");
  for (std::size_t size = 0; size <= kMostTold; size += name.size()) {
    at = registry_.Mkdir(at, name, {}).value();
  }
  EventFeed::Subscriber all(feed_, std::nullopt);
  EventFeed::Subscriber root(feed_, ScopeOf("/"));
  EventFeed::Subscriber part(feed_, ScopeOf("/top"));
  ASSERT_THAT(registry_.Remove(at), IsOk());
  Look();
  EXPECT_THAT(Lines(all), ElementsAre("removed ", "released ")) << "the last child of its parent";
  EXPECT_THAT(Lines(root), ElementsAre("removed ", "released "));
  EXPECT_THAT(Lines(part), ElementsAre("lost 2"));
}

TEST_F(Feed, ForgetsASubscriberThatIsGone) {
  { EventFeed::Subscriber gone(feed_, std::nullopt); }
  StartIn(Mkdir("/job"));
  EXPECT_EQ(Look(), 1u);
}

}  // namespace
}  // namespace corral

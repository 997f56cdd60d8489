// What the threads of the stress do that are not families.
#include <gmock/gmock.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <thread>

#include "contract/stress_fixture.h"
#include "support/matchers.h"

namespace corral {
namespace {

using namespace std::chrono_literals;
using ::testing::AnyOf;
using ::testing::Contains;

constexpr std::uint32_t kFreeTids = 64 + 2 * 64;  // the free families' tids begin here
constexpr std::uint32_t kTripTids = 64 + 4 * 64;  // and those of /trip
constexpr std::uint32_t kTripSize = 20;

std::string Name(char letter, std::uint64_t n) { return letter + std::to_string(n); }

}  // namespace

CgroupId Stress::RandomPlace(HierarchyId hierarchy, Random& random) {
  const CgroupId root = registry_.Root(hierarchy).value();
  if (random() % 8 == 0) return root;
  if (hierarchy == other_) return registry_.Child(root, Name('d', random() % 8)).value_or(root);
  return registry_.Child(free_, Name('j', random() % 4)).value_or(free_);
}

// A task or a process, known or not, to anywhere it may go; the guard refuses some.
void Stress::MoveSomebody(Random& random) {
  const HierarchyId hierarchy = random() % 3 == 0 ? jobs_ : other_;
  const std::uint32_t first = hierarchy == jobs_ ? kFreeTids : 64;
  const std::uint32_t last = hierarchy == jobs_ ? kTripTids : kTripTids + kTripSize;
  Tid tid{static_cast<std::uint32_t>(first + random() % (last - first))};
  const bool process = random() % 16 == 0;
  if (process && random() % 2 == 0) tid = family(hierarchy == jobs_ ? 2 : random() % 4).anchor();
  const bool refuse = random() % 8 == 0;
  const AttachGuard guard = [refuse]() -> Result<void> {
    if (refuse) return Fail(ESRCH, "refused");
    return {};
  };
  const CgroupId to = RandomPlace(hierarchy, random);
  ledger_.MayEnter(to);
  const auto done =
      process ? registry_.AttachProcess(to, tid, guard) : registry_.Attach(to, tid, guard);
  if (done) {
    if (!process) ledger_.DidEnter(to);
  } else {
    EXPECT_THAT(done.error().code, AnyOf(ESRCH, ENODEV, ENOSPC));
    if (done.error().code == ENOSPC) ++full_;
  }
  if (done) ++moves_;
  ++ops_;
  std::this_thread::yield();
}

void Stress::ChangeDirectories(Random& random) {
  const bool jobs = random() % 2 == 0;
  const CgroupId parent = jobs ? free_ : registry_.Root(other_).value();
  const auto name = [&] { return Name(jobs ? 'j' : 'd', random() % (jobs ? 4 : 8)); };
  switch (random() % 6) {
    case 0:
    case 1: (void)registry_.Mkdir(parent, name(), {}); break;
    case 2:
    case 3:
      ledger_.MayLoseChild(parent);
      if (registry_.Rmdir(parent, name())) ++removed_;
      break;
    case 4: (void)registry_.Rename(parent, name(), parent, name()); break;
    case 5:
      if (const auto child = registry_.Child(parent, name())) {
        EXPECT_THAT(registry_.SetNotifyOnRelease(*child, random() % 2 == 0), IsOk());
        EXPECT_THAT(registry_.Releasable(*child), IsOk());
      }
      break;
  }
  ++ops_;
}

void Stress::List(Random& random) {
  const std::size_t n = random() % homes_.size();
  const Tid anchor = family(n).anchor();
  const auto tasks = registry_.Tasks(homes_[n]).value();
  EXPECT_THAT(tasks, Contains(anchor).Times(1));
  EXPECT_TRUE(std::ranges::is_sorted(tasks, std::less_equal<>())) << "a tid twice";
  EXPECT_THAT(registry_.Processes(homes_[n]).value(), Contains(Tgid{anchor.value}).Times(1));

  // The anchor is there, so its home was never released.
  const EventsInfo home = registry_.Events(homes_[n]).value();
  EXPECT_TRUE(home.populated);
  EXPECT_EQ(home.releases, 0u) << "a release was invented";

  if (random() % 4 == 0) {
    const auto all = registry_.SubtreeTasks(registry_.Root(jobs_).value()).value();
    for (std::size_t i = 0; i < kFamilies; ++i) {
      EXPECT_EQ(std::ranges::count(all, family(i).anchor(), &TaskMember::tid), 1);
    }
  }
  const CgroupId place = RandomPlace(random() % 2 ? jobs_ : other_, random);
  if (const auto info = registry_.Info(place); info && !registry_.IsRoot(place)) {
    ledger_.CheckNoneInvented(place, info->releases);
  }
  ++ops_;
  std::this_thread::yield();
}

// In, more of them, some moved out, all die at once or slowly: one release, after the last.
void Stress::MakeTrip(Random& random) {
  const Tid shell{kTripTids};
  const auto tid = [](std::uint32_t n) { return Tid{kTripTids + 1 + n}; };
  const std::uint32_t size = 1 + random() % (kTripSize - 1);
  machine_.Birth(shell, tid(0), Tgid{tid(0).value});
  ledger_.MayEnter(trip_);
  if (const auto in = registry_.Attach(trip_, tid(0), {}); !in) {
    EXPECT_EQ(in.error().code, ENOSPC);
    machine_.Death(tid(0));
    return;
  }
  ledger_.DidEnter(trip_);
  for (std::uint32_t n = 1; n < size; ++n) {
    machine_.Birth(tid(n - 1), tid(n), Tgid{n % 2 ? tid(0).value : tid(n).value});
  }
  const EventsInfo inside = registry_.Events(trip_).value();
  EXPECT_TRUE(inside.populated);
  EXPECT_EQ(inside.releases, rounds_) << "a release of /trip was invented";

  std::vector<Tid> slow;
  for (std::uint32_t n = 0; n < size; ++n) {
    if (random() % 8 == 0) (void)registry_.Attach(registry_.Root(jobs_).value(), tid(n), {});
    if (random() % 2 == 0) {
      machine_.Death(tid(n));
    } else {
      machine_.BeginDeath(tid(n));
      slow.push_back(tid(n));
    }
  }
  std::this_thread::yield();
  for (const Tid last : slow) machine_.EndDeath(last);
  ++rounds_;
  const auto give_up = std::chrono::steady_clock::now() + 60s;
  while (ledger_.told(trip_) < rounds_ && !HasFailure()) {
    std::this_thread::yield();
    if (std::chrono::steady_clock::now() > give_up) {
      ADD_FAILURE() << "release " << rounds_ << " of /trip was lost";
    }
  }
  if (HasFailure()) return;
  EXPECT_EQ(ledger_.told(trip_), rounds_);
  EXPECT_EQ(registry_.Info(trip_)->releases, rounds_);
  ops_ += 2 * size + 2;
}

bool Stress::Resync(Registry& /*registry*/) {
  resync_wanted_ = true;  // the resyncer's
  return true;
}

void Stress::Dispatch(const Event& event) {
  ledger_.Heard(event);
  ++ops_;
}

// The daemon's looker and its agents.
void Stress::Look() {
  looker_.Look();
  while (const auto next = registry_.queue().TryTake()) {
    if (registry_.BeginNotification(*next)) ledger_.Told(next->cgroup);
  }
  for (const auto& family : families_) LookAtAnchor(*family);
  std::this_thread::yield();  // the tree lock is not fair
}

// I2 at every instant: a task that was just seen in a set is counted, or has left it.
void Stress::LookAtAnchor(const StressFamily& family) {
  const auto place = tracker().Describe(family.anchor());
  if (!place || place->set == kInitialSet) return;
  const SetCount before = tracker().Count(place->set);
  if (const auto again = tracker().Describe(family.anchor()); !again || *again != *place) return;
  const SetCount after = tracker().Count(place->set);
  if (after.count == 0) {
    EXPECT_NE(after.leaves, before.leaves);  // it left meanwhile
  }
  EXPECT_LT(after.count, 2 * kStressTids);
}

}  // namespace corral

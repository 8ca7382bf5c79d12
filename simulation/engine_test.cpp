#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

#include "simulation/probe.h"
#include "simulation/random_stream.h"
#include "simulation/timeline.h"
#include "simulation/trace.h"

namespace penstock::simulation {
namespace {

using domain::Duration;

TEST(RandomStream, TheSameSeedAndNameGiveTheSameBits) {
  RandomStream first(7, "gateway");
  RandomStream second(7, "gateway");
  for (int draw = 0; draw < 100; ++draw) EXPECT_EQ(first.next(), second.next());
}

TEST(RandomStream, StreamsOfOneSeedDifferByName) {
  std::set<std::uint64_t> seen;
  for (const char* name : {"gateway", "clients", "store", "gatewaz", ""}) {
    RandomStream stream(7, name);
    for (int draw = 0; draw < 100; ++draw) seen.insert(stream.next());
  }
  EXPECT_EQ(seen.size(), 500U);
}

TEST(RandomStream, DrawsStayInTheirBoundsAndReachBothEnds) {
  RandomStream stream(3, "x");
  std::map<std::int64_t, int> seen;
  for (int draw = 0; draw < 3'000; ++draw) seen[stream.between(-1, 1)] += 1;
  ASSERT_EQ(seen.size(), 3U);
  for (const auto& [value, count] : seen) EXPECT_NEAR(count, 1'000, 150) << value;
}

TEST(RandomStream, AChanceComesAsOftenAsItSays) {
  RandomStream stream(3, "x");
  int yes = 0;
  for (int draw = 0; draw < 10'000; ++draw) yes += stream.chance(0.25) ? 1 : 0;
  EXPECT_NEAR(yes, 2'500, 200);
  EXPECT_FALSE(stream.chance(0));
  EXPECT_TRUE(stream.chance(1));
}

TEST(Timeline, RunsByTimeAndThenByTheOrderOfScheduling) {
  Timeline timeline;
  std::string ran;
  timeline.after(Duration::seconds(2), [&] { ran += 'c'; });
  timeline.after(Duration::seconds(1), [&] {
    ran += 'a';
    timeline.at(kWorldStart, [&] { ran += 'x'; });
  });
  timeline.after(Duration::seconds(1), [&] { ran += 'b'; });
  while (timeline.run_next()) {
  }
  EXPECT_EQ(ran, "abxc");
  EXPECT_EQ(timeline.elapsed(), Duration::seconds(2));
  EXPECT_EQ(timeline.steps(), 4U);
}

TEST(Timeline, WhatIsCancelledDoesNotRunAndMovesNoTime) {
  Timeline timeline;
  int ran = 0;
  timeline.after(Duration::seconds(1), [&] { ran += 1; });
  const auto ticket = timeline.after(Duration::seconds(5), [&] { ran += 10; });
  timeline.cancel(ticket);
  while (timeline.run_next()) {
  }
  EXPECT_EQ(ran, 1);
  EXPECT_EQ(timeline.elapsed(), Duration::seconds(1));
}

TEST(ProcessClock, AWallClockThatIsSetBackGoesOnAtHalfSpeedUntilTheProcessStartsAgain) {
  Timeline timeline;
  ProcessClock clock(timeline);
  const auto before = clock.now();
  clock.jump(Duration::seconds(-10));
  timeline.after(Duration::seconds(1), [] {});
  timeline.run_next();
  EXPECT_EQ(clock.now().wall, before.wall);
  EXPECT_EQ(clock.true_time_of(before.wall + Duration::seconds(1)),
            timeline.now() + Duration::seconds(2));
  timeline.after(Duration::seconds(2), [] {});
  timeline.run_next();
  EXPECT_EQ(clock.now().wall, before.wall + Duration::seconds(1));
  EXPECT_EQ(clock.now().monotonic.ns, before.monotonic.ns + 3'000'000'000);
  clock.process_started();
  EXPECT_EQ(clock.now().wall, before.wall - Duration::seconds(7));
}

TEST(ProcessClock, AnotherBootMayBeginBehindOrAheadOfTheLastOne) {
  Timeline timeline;
  ProcessClock clock(timeline);
  timeline.after(Duration::seconds(10), [] {});
  timeline.run_next();
  const auto first = clock.now();
  clock.machine_started();
  EXPECT_EQ(clock.boots(), 2U);
  const auto second = clock.now();
  EXPECT_GT(second.monotonic, first.monotonic);
  clock.machine_started();
  EXPECT_EQ(clock.boots(), 3U);
  EXPECT_LT(clock.now().monotonic, first.monotonic);
  EXPECT_EQ(clock.now().wall, first.wall) << "no time passed";
}

/// Counts how many of its kind are alive.
struct Counted {
  explicit Counted(int& counter) : alive(&counter) { counter += 1; }
  Counted(const Counted& other) : alive(other.alive) { *alive += 1; }
  Counted& operator=(const Counted&) = delete;
  ~Counted() { *alive -= 1; }
  int* alive;
};

TEST(Timeline, AnActionOfAnySizeRunsOnceAndIsGone) {
  Timeline timeline;
  int alive = 0;
  std::uint64_t sum = 0;
  const std::array<std::uint64_t, 100> large{1, 2, 3};
  for (int round = 0; round < 500; ++round) {
    timeline.after(Duration{1}, [&, counted = Counted(alive)] { sum += 1; });
    timeline.after(Duration{1}, [&, large, counted = Counted(alive)] { sum += large[1]; });
  }
  EXPECT_EQ(alive, 1'000);
  while (timeline.run_next()) {
  }
  EXPECT_EQ(sum, 1'500U);
  EXPECT_EQ(alive, 0);
}

TEST(Timeline, AnActionThatThrowsIsGoneAndTheRestGoesOn) {
  Timeline timeline;
  int alive = 0;
  bool ran = false;
  timeline.after(Duration{1}, [counted = Counted(alive)] { throw 1; });
  timeline.after(Duration{2}, [&ran] { ran = true; });
  EXPECT_THROW(timeline.run_next(), int);
  EXPECT_EQ(alive, 0);
  EXPECT_TRUE(timeline.run_next());
  EXPECT_TRUE(ran);
}

TEST(Timeline, AnActionMayRunOthersAndTakeMoreInMeanwhile) {
  Timeline timeline;
  std::string ran;
  timeline.after(Duration{1}, [&, end = std::string(40, 'z')] {
    for (int more = 0; more < 300; ++more) timeline.after(Duration{1}, [&ran] { ran += 'b'; });
    while (timeline.run_next()) {
    }
    ran += end;
  });
  timeline.after(Duration{2}, [&ran] { ran += 'a'; });
  EXPECT_TRUE(timeline.run_next());
  EXPECT_EQ(ran, "a" + std::string(300, 'b') + std::string(40, 'z'));
}

TEST(Timeline, WhatNeverRanIsDroppedWithIt) {
  int alive = 0;
  {
    Timeline timeline;
    timeline.after(Duration{1}, [counted = Counted(alive)] {});
    const auto ticket = timeline.after(Duration{2}, [counted = Counted(alive)] {});
    timeline.cancel(ticket);
    EXPECT_EQ(alive, 2);
  }
  EXPECT_EQ(alive, 0);
}

TEST(Trace, ALineIsWrittenOutAsItWasNoted) {
  Timeline timeline;
  timeline.after(Duration{70}, [] {});
  timeline.run_next();
  Trace trace(timeline);
  const domain::OrderId order = domain::OrderId::make(kWorldStart, 1, 2);
  trace.note("{} {} {} of {}, then {}", order, -3, 18'446'744'073'709'551'615U, "tenant-0",
             std::string_view("x"));
  trace.note("none: {}", std::optional<domain::OrderId>());
  const std::vector<std::string> kept = trace.last_lines();
  ASSERT_EQ(kept.size(), 2U);
  EXPECT_EQ(kept[0],
            "          70 " + order.str() + " -3 18446744073709551615 of tenant-0, then x");
  EXPECT_EQ(kept[1], "          70 none: ");
}

TEST(Trace, EveryPartOfALineIsInItsDigest) {
  Timeline timeline;
  const auto digest_of = [&timeline](const auto&... values) {
    Trace trace(timeline);
    trace.note("{} {}", values...);
    return trace.digest();
  };
  const domain::OrderId order = domain::OrderId::make(kWorldStart, 1, 2);
  const domain::OrderId other = domain::OrderId::make(kWorldStart, 1, 3);
  std::set<std::uint64_t> digests{digest_of("ab", "c"),  digest_of("a", "bc"),
                                  digest_of("ab", "cd"), digest_of(1, 2),
                                  digest_of(2, 1),       digest_of(order, 1),
                                  digest_of(other, 1),   digest_of("", "abcdefghij")};
  for (std::size_t size = 1; size < 20; ++size) {
    digests.insert(digest_of(std::string(size, 'q'), 0));
    digests.insert(digest_of(std::string(size - 1, 'q') + "r", 0));
  }
  EXPECT_EQ(digests.size(), 8U + 38U);
}

TEST(Trace, TheDigestTellsAnyTwoTracesApartThatDifferInOneLine) {
  Timeline timeline;
  Trace first(timeline);
  Trace second(timeline);
  Trace third(timeline);
  first.note("order {} placed", 1);
  second.note("order {} placed", 1);
  third.note("order {} placed", 2);
  EXPECT_EQ(first.digest(), second.digest());
  EXPECT_NE(first.digest(), third.digest());
}

TEST(Trace, KeepsTheLastLinesInTheirOrder) {
  Timeline timeline;
  Trace trace(timeline);
  for (int line = 0; line < 100; ++line) trace.note("line {}", line);
  const std::vector<std::string> kept = trace.last_lines();
  ASSERT_EQ(kept.size(), Trace::kKept);
  EXPECT_TRUE(kept.front().ends_with("line 36"));
  EXPECT_TRUE(kept.back().ends_with("line 99"));
}

TEST(Probe, EveryNameIsReadBackAsItsProbe) {
  for (std::size_t index = 0; index < kProbes; ++index) {
    const auto probe = static_cast<Probe>(index);
    EXPECT_EQ(parse_probe(to_string(probe)), probe);
    EXPECT_TRUE(belongs_to(probe, World::single) || belongs_to(probe, World::distributed));
  }
  EXPECT_EQ(parse_probe("no-such-probe"), std::nullopt);
}

TEST(ProbeCounts, AddUpWhenTheyAreMerged) {
  ProbeCounts first;
  first.hit(Probe::dead_letter);
  ProbeCounts second;
  second.hit(Probe::dead_letter);
  second.hit(Probe::redriven);
  first.merge(second);
  EXPECT_EQ(first.of(Probe::dead_letter), 2U);
  EXPECT_EQ(first.of(Probe::redriven), 1U);
}

}  // namespace
}  // namespace penstock::simulation

#include <map>
#include <set>
#include <string>
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

#include "domain/monotone_wall.h"

#include <cstdint>

#include <gtest/gtest.h>

namespace penstock::domain {
namespace {

MonotonicTime at_us(std::int64_t us) {
  return {us * 1'000};
}

TEST(MonotoneWall, FollowsAClockThatGoesForward) {
  MonotoneWall wall;
  EXPECT_EQ(wall.read({1'000}, at_us(0)), Instant{1'000});
  EXPECT_EQ(wall.read({1'010}, at_us(10)), Instant{1'010});
  EXPECT_EQ(wall.read({900'000}, at_us(20)), Instant{900'000}) << "set forward";
}

TEST(MonotoneWall, GoesOnAtHalfSpeedWhileItIsSetBackAndThenFollowsAgain) {
  MonotoneWall wall;
  wall.read({1'000}, at_us(0));
  EXPECT_EQ(wall.read({910}, at_us(10)), Instant{1'000});
  EXPECT_EQ(wall.read({950}, at_us(50)), Instant{1'020});
  EXPECT_EQ(wall.read({1'030}, at_us(130)), Instant{1'030}) << "caught up";
  EXPECT_EQ(wall.read({1'090}, at_us(190)), Instant{1'090});
  EXPECT_EQ(wall.read({1'100}, at_us(200)), Instant{1'100});
}

TEST(MonotoneWall, AClockThatShowsTheSameTwiceIsFollowed) {
  MonotoneWall wall;
  wall.read({1'000}, at_us(0));
  wall.read({500}, at_us(0));
  EXPECT_EQ(wall.read({1'400}, at_us(1'000)), Instant{1'400});
  EXPECT_EQ(wall.read({1'400}, at_us(1'010)), Instant{1'400});
}

TEST(MonotoneWall, NeverGoesBackWhateverIsReadHoweverOften) {
  MonotoneWall wall;
  Instant last = wall.read({5'000}, at_us(0));
  for (std::int64_t step = 1; step < 2'000; ++step) {
    const Instant now = wall.read({5'000 + (step * 7'919) % 600 - 300}, {step * 100});
    EXPECT_GE(now, last);
    last = now;
  }
  EXPECT_LE(last, Instant{5'000 + 300 + 100});
}

TEST(MonotoneWall, GoesOnHoweverCloselyItIsRead) {
  MonotoneWall wall;
  wall.read({5'000}, at_us(0));
  wall.read({1'000}, at_us(0));
  for (std::int64_t us = 1; us < 200; ++us) wall.read({1'000 + us}, at_us(us));
  EXPECT_EQ(wall.read({1'200}, at_us(200)), Instant{5'100});
}

TEST(MonotoneWall, ASecondStepBackBeginsFromWhatIsShown) {
  MonotoneWall wall;
  wall.read({1'000}, at_us(0));
  wall.read({500}, at_us(0));
  EXPECT_EQ(wall.read({700}, at_us(200)), Instant{1'100}) << "half of what passed";
  EXPECT_EQ(wall.read({2'000}, at_us(1'500)), Instant{2'000});
  EXPECT_EQ(wall.read({1'000}, at_us(1'500)), Instant{2'000});
  EXPECT_EQ(wall.read({1'100}, at_us(1'600)), Instant{2'050});
}

TEST(MonotoneWall, GoesOnFromWhatAnotherProcessStored) {
  MonotoneWall wall;
  const Instant stored{10'000'000'000};
  wall.not_before(stored);
  EXPECT_EQ(wall.read({1'000'000}, {5'000}), stored);
  EXPECT_EQ(wall.read({2'000'000}, {2'000'005'000}), stored + Duration::seconds(1)) << "half speed";
  EXPECT_EQ(wall.read({20'000'000'000}, {3'000'005'000}), Instant{20'000'000'000});
  wall.not_before(stored);
  EXPECT_EQ(wall.shown(), Instant{20'000'000'000}) << "it takes nothing back";
}

}  // namespace
}  // namespace penstock::domain

#include "adapters/postgres/store_clock.h"

#include <gtest/gtest.h>

namespace penstock::postgres_store {
namespace {

using domain::Instant;
using domain::MonotonicTime;

TEST(StoreClock, IsTheServersWhateverThisProcessTakesForTheTime) {
  StoreClock clock;
  EXPECT_FALSE(clock.at(MonotonicTime{5}).has_value());
  clock.learn(Instant{9'000'000}, MonotonicTime{1'000'000}, MonotonicTime{3'000'000});
  EXPECT_EQ(clock.at(MonotonicTime{3'000'000}), Instant{9'000'000});
  EXPECT_EQ(clock.at(MonotonicTime{1'003'000'000}), Instant{10'000'000});
}

TEST(StoreClock, AnAnswerThatProvesNothingWrongMovesNothing) {
  StoreClock clock;
  clock.learn(Instant{9'000'000}, MonotonicTime{1'000'000}, MonotonicTime{3'000'000});
  // A second later, by an answer that took half a second.
  clock.learn(Instant{9'700'000}, MonotonicTime{503'000'000}, MonotonicTime{1'003'000'000});
  EXPECT_EQ(clock.at(MonotonicTime{1'003'000'000}), Instant{10'000'000});
}

TEST(StoreClock, FollowsAServerWhoseClockWasSet) {
  StoreClock clock;
  clock.learn(Instant{9'000'000}, MonotonicTime{1'000'000}, MonotonicTime{1'000'000});
  clock.learn(Instant{99'000'000}, MonotonicTime{2'000'000}, MonotonicTime{2'000'000});
  EXPECT_EQ(clock.at(MonotonicTime{2'000'000}), Instant{99'000'000});
  clock.learn(Instant{5'000'000}, MonotonicTime{3'000'000}, MonotonicTime{3'000'000});
  EXPECT_EQ(clock.at(MonotonicTime{3'000'000}), Instant{5'000'000});
}

}  // namespace
}  // namespace penstock::postgres_store

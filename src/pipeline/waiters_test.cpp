#include "pipeline/waiters.h"

#include <vector>

#include <gtest/gtest.h>

namespace penstock::pipeline {
namespace {

using domain::Duration;
using domain::Instant;

const domain::OrderId kFirst = domain::OrderId::make({1'000'000}, 0, 1);
const domain::OrderId kSecond = domain::OrderId::make({1'000'000}, 0, 2);

class WaitersTest : public ::testing::Test {
 protected:
  void wait(const domain::OrderId& order, std::int64_t until_us, int name) {
    waiters.add({order, Instant{until_us}, [this, name](auto) { answered.push_back(name); }});
  }
  Waiters waiters;
  std::vector<int> answered;
};

TEST_F(WaitersTest, AreAnsweredWhenTheirOrderEnds) {
  wait(kFirst, 100, 1);
  wait(kFirst, 200, 2);
  wait(kSecond, 300, 3);
  waiters.ended(kFirst, nullptr);
  EXPECT_EQ(answered, (std::vector{1, 2}));
  waiters.ended(kFirst, nullptr);
  EXPECT_EQ(answered.size(), 2U);
  EXPECT_EQ(waiters.next_due(), Instant{300});
}

TEST_F(WaitersTest, AreAnsweredAtTheirTimeAndNotBefore) {
  wait(kFirst, 100, 1);
  wait(kFirst, 200, 2);
  wait(kSecond, 100, 3);
  waiters.expire(Instant{99});
  EXPECT_TRUE(answered.empty());
  waiters.expire(Instant{100});
  EXPECT_EQ(answered, (std::vector{1, 3}));
  waiters.ended(kFirst, nullptr);
  EXPECT_EQ(answered, (std::vector{1, 3, 2}));
  EXPECT_FALSE(waiters.next_due());
}

TEST_F(WaitersTest, TakeNoMemoryOnceAnswered) {
  for (int round = 0; round < 10; ++round) {
    wait(kFirst, 1'000'000 + round, round);
    waiters.ended(kFirst, nullptr);
    EXPECT_EQ(waiters.size(), 0U);
    EXPECT_FALSE(waiters.next_due());
  }
  EXPECT_EQ(answered.size(), 10U);
}

TEST_F(WaitersTest, AreBoundedAndThoseBeyondAreAnsweredAtOnce) {
  for (std::size_t waiter = 0; waiter < domain::limits::kMaxWaiters; ++waiter) {
    wait(kFirst, 100, 1);
  }
  EXPECT_TRUE(answered.empty());
  wait(kSecond, 100, 2);
  EXPECT_EQ(answered, std::vector{2});
  waiters.ended(kFirst, nullptr);
  EXPECT_EQ(answered.size(), domain::limits::kMaxWaiters + 1);
  wait(kSecond, 100, 3);
  EXPECT_EQ(waiters.size(), 1U);
}

TEST_F(WaitersTest, CanAllBeAnswered) {
  wait(kFirst, 100, 1);
  wait(kSecond, 100, 2);
  waiters.end_all();
  EXPECT_EQ(answered.size(), 2U);
  EXPECT_EQ(waiters.size(), 0U);
}

TEST_F(WaitersTest, AreGoneRoundOverEvenWhereTheyAreMoreThanOneLook) {
  EXPECT_TRUE(waiters.next_of_round(2).empty());
  const domain::OrderId third = domain::OrderId::make({1'000'000}, 0, 3);
  wait(kFirst, 100, 1);
  wait(kFirst, 100, 2);
  wait(kSecond, 100, 3);
  wait(third, 100, 4);
  EXPECT_EQ(waiters.next_of_round(2), (std::vector{kFirst, kSecond}));
  EXPECT_EQ(waiters.next_of_round(2), (std::vector{third, kFirst}));
  EXPECT_EQ(waiters.next_of_round(9), (std::vector{kSecond, third, kFirst}));
  waiters.ended(kSecond, nullptr);
  EXPECT_EQ(waiters.next_of_round(9), (std::vector{third, kFirst}));
}

}  // namespace
}  // namespace penstock::pipeline

#include "pipeline/redrive_queue.h"

#include <vector>

#include <gtest/gtest.h>

namespace penstock::pipeline {
namespace {

domain::Now at(std::int64_t milliseconds) {
  return {{milliseconds * 1'000}, {milliseconds * 1'000'000}};
}

std::vector<domain::OrderId> ids(std::uint64_t count) {
  std::vector<domain::OrderId> result;
  for (std::uint64_t number = 1; number <= count; ++number) {
    result.push_back(domain::OrderId::make({0}, 0, number));
  }
  return result;
}

TEST(RedriveQueue, WithoutARateTakesUpToTheLimitInOrder) {
  RedriveQueue queue;
  queue.add(ids(5), std::nullopt, at(0));
  EXPECT_EQ(queue.size(), 5U);
  const auto first = queue.take(3, at(0));
  EXPECT_EQ(first, (std::vector{ids(5)[0], ids(5)[1], ids(5)[2]}));
  EXPECT_EQ(queue.next_due(), at(0).wall) << "more is ready now";
  EXPECT_EQ(queue.take(3, at(0)).size(), 2U);
  EXPECT_FALSE(queue.next_due());
  EXPECT_EQ(queue.size(), 0U);
}

TEST(RedriveQueue, KeepsToItsRateAndSaysWhenItGoesOn) {
  RedriveQueue queue;
  queue.add(ids(3), domain::TokenRate{.micro_tokens = 10'000'000}, at(0));
  EXPECT_EQ(queue.take(100, at(0)).size(), 1U);
  ASSERT_TRUE(queue.next_due());
  EXPECT_EQ(*queue.next_due(), at(100).wall);
  EXPECT_TRUE(queue.take(100, at(99)).empty());
  EXPECT_EQ(queue.take(100, at(100)).size(), 1U);
  EXPECT_EQ(queue.take(100, at(5'000)).size(), 1U) << "idleness saves up nothing";
}

TEST(RedriveQueue, AFastRedriveDoesNotWaitBehindASlowOne) {
  RedriveQueue queue;
  queue.add(ids(3), domain::TokenRate{.micro_tokens = 1'000'000}, at(0));
  queue.add(ids(4), std::nullopt, at(0));
  EXPECT_EQ(queue.take(100, at(0)).size(), 5U);
}

}  // namespace
}  // namespace penstock::pipeline

#include "adapters/postgres/held_orders.h"

#include <gtest/gtest.h>

#include "tests/contract/order_builder.h"

namespace penstock::postgres_store {
namespace {

using namespace std::chrono_literals;
using domain::Order;
using domain::Stage;
using Clock = HeldOrders::Clock;

class HeldOrdersTest : public ::testing::Test {
 protected:
  /// An order that waits for inventory.
  Order placed() { return store_contract::OrderBuilder(++numbers_).placed({}); }
  Order add(Clock::time_point at) {
    Order order = placed();
    held.add(order, at);
    return order;
  }

  HeldOrders held;
  const Clock::time_point start = Clock::now();

 private:
  std::uint64_t numbers_ = 0;
};

TEST_F(HeldOrdersTest, AreTakenInTheOrderInWhichTheyCame) {
  const Order first = add(start);
  const Order second = add(start);
  const Order third = add(start);
  EXPECT_EQ(held.take(Stage::inventory, 2), (std::vector{first, second}));
  EXPECT_EQ(held.take(Stage::inventory, 2), std::vector{third});
  EXPECT_EQ(held.size(), 0U);
}

TEST_F(HeldOrdersTest, AnotherStageIsNotGivenThem) {
  add(start);
  EXPECT_TRUE(held.take(Stage::payment, 10).empty());
  EXPECT_EQ(held.size(), 1U);
}

TEST_F(HeldOrdersTest, EachTakesOneOfTheRoomThatAClaimLeft) {
  EXPECT_EQ(held.room(Stage::inventory), 0U);
  held.wanted(Stage::inventory, 2);
  add(start);
  EXPECT_EQ(held.room(Stage::inventory), 1U);
  add(start);
  add(start);
  EXPECT_EQ(held.room(Stage::inventory), 0U);
}

TEST_F(HeldOrdersTest, OneThatACommitChangedIsNotHandedOut) {
  const Order changed = add(start);
  const Order other = add(start);
  const std::vector<ports::Command> commands{ports::Commit{
      .next = changed, .read = changed.version, .stock = domain::StockMove::none, .receipt = {}}};
  held.drop_changed(commands);
  EXPECT_EQ(held.take(Stage::inventory, 10), std::vector{other});
}

TEST_F(HeldOrdersTest, WhatNobodyWantedForLongIsGivenUpAndTheRestIsKept) {
  const Order old = add(start);
  const Order fresh = add(start + 2s);
  EXPECT_EQ(held.take_older_than(start + 1s), std::vector{old});
  EXPECT_EQ(held.take(Stage::inventory, 10), std::vector{fresh});
}

TEST_F(HeldOrdersTest, OneIsTakenOutOfTurn) {
  const Order first = add(start);
  const Order second = add(start);
  EXPECT_EQ(held.take_one(second.id), second);
  EXPECT_EQ(held.take_one(second.id), std::nullopt);
  EXPECT_EQ(held.take(Stage::inventory, 10), std::vector{first});
}

}  // namespace
}  // namespace penstock::postgres_store

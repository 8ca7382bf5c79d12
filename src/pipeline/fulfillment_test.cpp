#include <algorithm>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "pipeline/testing/world.h"
#include "tests/contract/order_builder.h"

namespace penstock::pipeline::testing {
namespace {

using domain::Duration;
using domain::EffectKind;
using domain::Reason;
using domain::Status;
using store_contract::OrderBuilder;

class Fulfillment : public ::testing::Test {
 protected:
  Fulfillment() : world({.fulfiller = true}) { world.stock("PROD-1", 100); }

  domain::OrderId place(std::int64_t price = 1'000) {
    return world.place(OrderBuilder(1).item("PROD-1", 1, price).placed(world.wall));
  }
  std::size_t asked(EffectKind kind) const {
    return static_cast<std::size_t>(std::ranges::count(world.fulfiller.requests, kind));
  }
  void expect_sound() { EXPECT_EQ(broken_invariants(world), std::vector<std::string>{}); }

  World world;
};

TEST_F(Fulfillment, AnAcceptedOrderIsFulfilled) {
  const auto id = place();
  world.settle();
  EXPECT_EQ(world.status(id), Status::fulfilled);
  EXPECT_EQ(world.order(id).handover, domain::Handover::accepted);
  EXPECT_EQ(world.fulfiller.accepted, 1U);
  expect_sound();
}

TEST_F(Fulfillment, TheHookIsAskedOnlyAfterTheCaptureIsSynced) {
  world.gateway.latency = Duration::milliseconds(5);
  const auto id = place();
  world.wall = world.wall + Duration::milliseconds(5);
  world.disk->fail_next_write(ports::StoreError::stopped, FailedWrite::lost);
  world.pipeline->poll(world.now());
  EXPECT_TRUE(world.fulfiller.requests.empty());
  world.restart();
  world.run_for(Duration::seconds(5));
  EXPECT_EQ(world.status(id), Status::fulfilled);
  EXPECT_EQ(world.fulfiller.accepted, 1U);
}

TEST_F(Fulfillment, ARefusalIsRefunded) {
  world.fulfiller.scripts[EffectKind::fulfill] = {{Act::refuse}, true};
  const auto id = place();
  world.settle();
  EXPECT_EQ(world.status(id), Status::cancelled);
  EXPECT_EQ(world.order(id).reason, Reason::fulfillment_refused);
  EXPECT_EQ(world.order(id).charge, domain::Charge::refunded);
  EXPECT_FALSE(world.order(id).dead_letter);
  EXPECT_EQ(world.stock_of("PROD-1").on_hand(), 100);
  expect_sound();
}

TEST_F(Fulfillment, ARefusalOfAFreeOrderNeedsNoRefund) {
  world.fulfiller.scripts[EffectKind::fulfill] = {{Act::refuse}, true};
  const auto id = place(0);
  world.settle();
  EXPECT_EQ(world.status(id), Status::cancelled);
  EXPECT_TRUE(world.gateway.requests.empty());
  expect_sound();
}

TEST_F(Fulfillment, ALostReplyIsFound) {
  world.fulfiller.scripts[EffectKind::fulfill] = {{Act::lose_reply}};
  const auto id = place();
  world.settle();
  EXPECT_EQ(world.status(id), Status::fulfilled);
  EXPECT_EQ(asked(EffectKind::fulfill), 1U);
  EXPECT_EQ(asked(EffectKind::find_fulfillment), 1U);
}

TEST_F(Fulfillment, ALostRequestIsSentAgain) {
  world.fulfiller.scripts[EffectKind::fulfill] = {{Act::lose_request}};
  const auto id = place();
  world.run_for(Duration::seconds(30));
  EXPECT_EQ(world.status(id), Status::fulfilled);
  EXPECT_EQ(world.order(id).attempts, 0);
  EXPECT_EQ(asked(EffectKind::fulfill), 2U);
  EXPECT_EQ(world.fulfiller.accepted, 1U);
}

TEST_F(Fulfillment, ThreeFailuresAreRefundedAndTheDeadLetterStaysAsTheRecord) {
  world.fulfiller.scripts[EffectKind::fulfill] = {{Act::transient}, true};
  const auto id = place();
  world.run_for(Duration::seconds(60));
  EXPECT_EQ(world.status(id), Status::cancelled);
  EXPECT_EQ(asked(EffectKind::fulfill), 3U);
  EXPECT_EQ(asked(EffectKind::close_fulfillment), 1U);
  ASSERT_TRUE(world.order(id).dead_letter);
  EXPECT_EQ(world.order(id).dead_letter->state, domain::DeadLetterState::compensated);
  EXPECT_EQ(world.order(id).dead_letter->last_error, Reason::fulfillment_unavailable);
  EXPECT_EQ(world.order(id).charge, domain::Charge::refunded);
  EXPECT_EQ(world.statistics().dead_lettered, 1U);
  EXPECT_EQ(world.redrive({.orders = {id}}), 0U);
  expect_sound();
}

TEST_F(Fulfillment, ACloseThatFindsItAcceptedFulfills) {
  world.fulfiller.scripts[EffectKind::fulfill] = {{Act::lose_reply, Act::transient}, true};
  world.fulfiller.scripts[EffectKind::find_fulfillment] = {{Act::lose_request}, true};
  const auto id = place();
  world.run_for(Duration::seconds(120));
  EXPECT_EQ(world.status(id), Status::fulfilled);
  EXPECT_EQ(asked(EffectKind::close_fulfillment), 1U);
  expect_sound();
}

TEST_F(Fulfillment, APermanentErrorIsRefundedAtOnce) {
  world.fulfiller.scripts[EffectKind::fulfill] = {{Act::permanent}};
  const auto id = place();
  world.settle();
  EXPECT_EQ(world.status(id), Status::cancelled);
  ASSERT_TRUE(world.order(id).dead_letter);
  EXPECT_EQ(asked(EffectKind::fulfill), 1U);
  expect_sound();
}

TEST_F(Fulfillment, AHookThatIsAwayPausesTheStageAndCountsForNoOrder) {
  world.fulfiller.scripts[EffectKind::fulfill] = {
      {Act::unavailable, Act::unavailable, Act::unavailable, Act::unavailable}};
  const auto id = place();
  world.run_for(Duration::seconds(60));
  EXPECT_EQ(world.status(id), Status::fulfilled);
  EXPECT_EQ(world.order(id).version.number, 4U);
  EXPECT_EQ(asked(EffectKind::fulfill), 5U);
}

TEST_F(Fulfillment, OrdersOfAHookThatWasTakenAwayWaitUntilItIsBack) {
  world.fulfiller.silent = true;
  const auto id = place();
  world.settle();
  ASSERT_EQ(world.status(id), Status::charged);
  world.options.fulfiller = false;
  world.restart();
  world.run_for(Duration::seconds(10));
  EXPECT_EQ(world.status(id), Status::charged);
  world.fulfiller.silent = false;
  world.options.fulfiller = true;
  world.restart();
  world.run_for(Duration::seconds(10));
  EXPECT_EQ(world.status(id), Status::fulfilled);
  EXPECT_EQ(world.fulfiller.accepted, 1U) << "keyed: asked twice, accepted once";
}

}  // namespace
}  // namespace penstock::pipeline::testing

#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "pipeline/testing/world.h"
#include "tests/contract/order_builder.h"

namespace penstock::pipeline::testing {
namespace {

using domain::Charge;
using domain::Duration;
using domain::EffectKind;
using domain::Reason;
using domain::Status;
using store_contract::OrderBuilder;

class Cancel : public ::testing::Test {
 protected:
  Cancel() { world.stock("PROD-1", 100); }

  domain::OrderId place(const std::string& method = "pm_ok") {
    return world.place(OrderBuilder(1).payment_method(method).placed(world.wall));
  }
  void expect_cancelled(const domain::OrderId& id) {
    EXPECT_EQ(world.status(id), Status::cancelled);
    EXPECT_EQ(world.stock_of("PROD-1").on_hand(), 100);
    EXPECT_EQ(broken_invariants(world), std::vector<std::string>{});
    EXPECT_TRUE(world.unresolved().empty());
  }

  World world;
};

TEST_F(Cancel, OfAnUnknownOrderIsNotFound) {
  EXPECT_EQ(world.cancel(domain::OrderId{}).error(), Refusal::not_found);
}

TEST_F(Cancel, OfAPlacedOrderEndsIt) {
  world.options.pipeline.stages = {.inventory = false};
  world.restart();
  const auto id = place();
  EXPECT_EQ(world.cancel(id)->status, Status::cancelled);
  expect_cancelled(id);
}

TEST_F(Cancel, IsAnsweredWithTheOrderAsItIsThenStored) {
  world.gateway.latency = Duration::seconds(1);
  const auto id = place();
  const auto answer = world.cancel(id);
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->status, Status::cancelling);
  EXPECT_EQ(world.stock_of("PROD-1").on_hand(), 100) << "in the same commit";
}

TEST_F(Cancel, DuringAChargeThatCapturesIsRefunded) {
  world.gateway.latency = Duration::seconds(1);
  const auto id = place();
  ASSERT_TRUE(world.cancel(id));
  world.run_for(Duration::seconds(30));
  expect_cancelled(id);
  EXPECT_EQ(world.order(id).charge, Charge::refunded);
  EXPECT_EQ(world.gateway.ledger.size(), 2U);
  EXPECT_GE(world.statistics().stale_commits, 1U) << "the charge's own commit came too late";
}

TEST_F(Cancel, TheOutcomeOfAChargeWhoseCommitCameTooLateIsKept) {
  // Nobody answers a close, so only the charge's own late reply can tell.
  world.gateway.latency = Duration::seconds(1);
  world.gateway.script("pm_x", EffectKind::close_charge, {{Act::lose_request}, true});
  const auto id = place("pm_x");
  ASSERT_TRUE(world.cancel(id));
  world.run_for(Duration::seconds(30));
  expect_cancelled(id);
  EXPECT_EQ(world.order(id).charge, Charge::refunded);
}

TEST_F(Cancel, DuringAChargeThatIsDeclinedEnds) {
  world.gateway.latency = Duration::seconds(1);
  world.gateway.script("pm_no", EffectKind::charge, {{Act::refuse}});
  const auto id = place("pm_no");
  ASSERT_TRUE(world.cancel(id));
  world.run_for(Duration::seconds(30));
  expect_cancelled(id);
  EXPECT_TRUE(world.gateway.ledger.empty());
}

TEST_F(Cancel, DuringAnUnansweredChargeClosesItsKeySoThatItCannotActLater) {
  world.gateway.script("pm_late", EffectKind::charge, {{Act::act_late}});
  world.gateway.script("pm_late", EffectKind::find_charge, {{Act::lose_request}, true});
  const auto id = place("pm_late");
  world.settle();
  ASSERT_TRUE(world.cancel(id));
  world.run_for(Duration::seconds(60));
  expect_cancelled(id);
  EXPECT_EQ(world.order(id).charge, Charge::closed);
  EXPECT_TRUE(world.gateway.ledger.empty());
}

TEST_F(Cancel, AnAnswerThatSaysNothingAfterTheOrderEndedIsForgotten) {
  // The charge is out for long and then lost; meanwhile the cancel closed its key and is done.
  world.gateway.latency = Duration::seconds(10);
  world.gateway.script("pm_lost", EffectKind::charge, {{Act::lose_request}});
  world.gateway.script("pm_lost", EffectKind::find_charge, {{Act::lose_request}, true});
  const auto id = place("pm_lost");
  world.gateway.latency = Duration::milliseconds(10);
  ASSERT_TRUE(world.cancel(id));
  world.run_for(Duration::seconds(1));
  EXPECT_EQ(world.status(id), Status::cancelled);
  world.run_for(Duration::seconds(30));
  expect_cancelled(id);
  EXPECT_EQ(world.gateway.count(EffectKind::find_charge), 0U);
  EXPECT_EQ(world.statistics().unresolved, 0U);
}

TEST_F(Cancel, OfAnUnresolvableChargeWaitsUntilItIsKnown) {
  world.gateway.script("pm_x", EffectKind::charge, {{Act::lose_reply}});
  world.gateway.script("pm_x", EffectKind::find_charge, {{Act::lose_request}, true});
  world.gateway.script("pm_x", EffectKind::close_charge,
                       {{Act::lose_request, Act::transient, Act::permanent, Act::unavailable}});
  const auto id = place("pm_x");
  ASSERT_TRUE(world.cancel(id));
  world.settle();
  EXPECT_EQ(world.status(id), Status::cancelling);
  world.run_for(Duration::seconds(600));
  expect_cancelled(id);
  EXPECT_EQ(world.order(id).charge, Charge::refunded);
}

TEST_F(Cancel, OfAnOrderThatWaitsForItsRetryEndsIt) {
  world.gateway.script("pm_down", EffectKind::charge, {{Act::transient, Act::transient}});
  const auto id = place("pm_down");
  world.pipeline->poll(world.now());
  ASSERT_EQ(world.order(id).attempts, 1);
  ASSERT_TRUE(world.cancel(id));
  world.run_for(Duration::seconds(30));
  expect_cancelled(id);
}

TEST_F(Cancel, OfADeadLetterCompensatesIt) {
  world.gateway.script("pm_down", EffectKind::charge, {{Act::transient}, true});
  const auto id = place("pm_down");
  world.run_for(Duration::seconds(60));
  ASSERT_TRUE(is_open_dead_letter(world.order(id)));
  ASSERT_TRUE(world.cancel(id));
  world.settle();
  expect_cancelled(id);
  EXPECT_EQ(world.order(id).dead_letter->state, domain::DeadLetterState::compensated);
  EXPECT_EQ(world.order(id).reason, Reason::cancelled_by_request);
}

TEST_F(Cancel, OfAChargedOrderRefundsIt) {
  world.options.fulfiller = true;
  world.restart();
  world.fulfiller.silent = true;
  const auto id = place();
  world.settle();
  ASSERT_EQ(world.status(id), Status::charged);
  ASSERT_TRUE(world.cancel(id));
  world.fulfiller.silent = false;
  world.run_for(Duration::seconds(5));
  expect_cancelled(id);
  EXPECT_EQ(world.order(id).charge, Charge::refunded);
  EXPECT_EQ(world.order(id).handover, domain::Handover::accepted) << "the outcome is kept";
}

TEST_F(Cancel, OfAFulfilledOrRejectedOrderIsRefused) {
  const auto fulfilled = place();
  const auto rejected = world.place(OrderBuilder(1).item("NONE").placed(world.wall));
  world.settle();
  EXPECT_EQ(world.cancel(fulfilled).error(), Refusal::already_terminal);
  EXPECT_EQ(world.cancel(rejected).error(), Refusal::already_terminal);
  EXPECT_EQ(world.status(fulfilled), Status::fulfilled);
}

TEST_F(Cancel, TwiceIsTheSameAsOnce) {
  world.gateway.latency = Duration::seconds(1);
  const auto id = place();
  ASSERT_TRUE(world.cancel(id));
  const auto version = world.order(id).version;
  const auto again = world.cancel(id);
  ASSERT_TRUE(again);
  EXPECT_EQ(again->version, version);
  world.run_for(Duration::seconds(30));
  EXPECT_TRUE(world.cancel(id)) << "of a cancelled order too";
  expect_cancelled(id);
}

TEST_F(Cancel, ThatLosesTheRaceIsDecidedOnWhatIsThereNow) {
  // The reply and the cancel are decided in one poll; the reply commits first.
  world.gateway.latency = Duration::milliseconds(10);
  const auto id = place();
  world.wall = world.wall + Duration::milliseconds(10);
  EXPECT_EQ(world.cancel(id).error(), Refusal::already_terminal);
  EXPECT_EQ(world.status(id), Status::fulfilled);
}

}  // namespace
}  // namespace penstock::pipeline::testing

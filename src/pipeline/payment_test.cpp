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

class Payment : public ::testing::Test {
 protected:
  Payment() { world.stock("PROD-1", 100); }

  domain::OrderId place(const std::string& method = "pm_ok") {
    return world.place(OrderBuilder(1).payment_method(method).placed(world.wall));
  }
  void expect_sound() { EXPECT_EQ(broken_invariants(world), std::vector<std::string>{}); }

  World world;
};

TEST_F(Payment, AClaimThatTookAllAsksForNoPollBeforeTheAnswer) {
  world.gateway.latency = Duration::seconds(3);
  place();
  ASSERT_EQ(world.gateway.requests.size(), 1U);
  EXPECT_EQ(world.pipeline->next_due(world.now()), world.wall + Duration::seconds(3));
}

TEST_F(Payment, ADeclineCompensatesAndStockIsBack) {
  world.gateway.script("pm_no", EffectKind::charge, {{Act::refuse}});
  const auto id = place("pm_no");
  world.settle();
  EXPECT_EQ(world.status(id), Status::cancelled);
  EXPECT_EQ(world.order(id).reason, Reason::payment_declined);
  EXPECT_EQ(world.stock_of("PROD-1").on_hand(), 100);
  EXPECT_EQ(world.gateway.requests.size(), 1U);
  const Statistics statistics = world.statistics();
  EXPECT_EQ(statistics.stages[static_cast<std::size_t>(domain::Stage::payment)].failed, 1U);
  expect_sound();
}

TEST_F(Payment, TransientFailuresAreRetriedWithTheSameKeyAndParameters) {
  world.gateway.script("pm_two", EffectKind::charge, {{Act::transient, Act::transient}});
  const auto id = place("pm_two");
  world.run_for(Duration::seconds(10));
  EXPECT_EQ(world.status(id), Status::fulfilled);
  const std::string key = id.str() + "/charge";
  EXPECT_EQ(world.gateway.keys(EffectKind::charge), (std::vector{key, key, key}));
  expect_sound();
}

TEST_F(Payment, AGatewayThatSaysEveryKeyIsClosedIsAskedThreeTimesAndNoMore) {
  world.gateway.script("pm_shut", EffectKind::charge, {{Act::closed}, true});
  const auto id = place("pm_shut");
  world.run_for(Duration::hours(1));
  EXPECT_TRUE(is_open_dead_letter(world.order(id)));
  EXPECT_EQ(world.order(id).dead_letter->last_error, Reason::charge_key_closed);
  EXPECT_EQ(world.gateway.keys(EffectKind::charge),
            (std::vector{id.str() + "/charge", id.str() + "/charge.1", id.str() + "/charge.2"}));
  EXPECT_LT(world.order(id).timeline.size(), 10U);
  world.run_for(Duration::hours(24));
  EXPECT_EQ(world.status(id), Status::cancelled);
  EXPECT_EQ(world.stock_of("PROD-1").on_hand(), 100);
  expect_sound();
}

TEST_F(Payment, ThreeTransientFailuresDeadLetterWithTheKeyClosedBeforeTheMark) {
  world.gateway.script("pm_down", EffectKind::charge, {{Act::transient}, true});
  const auto id = place("pm_down");
  world.gateway.on_request = [&](const ports::GatewayRequest& request) {
    if (request.kind == EffectKind::close_charge) {
      EXPECT_FALSE(world.order(id).dead_letter);
    }
  };
  world.run_for(Duration::hours(1));
  EXPECT_EQ(world.gateway.count(EffectKind::charge), 3U) << "three tries, not four";
  EXPECT_EQ(world.gateway.count(EffectKind::close_charge), 1U);
  ASSERT_TRUE(is_open_dead_letter(world.order(id)));
  EXPECT_EQ(world.stock_of("PROD-1").reserved, 1) << "held while it waits";
  EXPECT_EQ(world.log.count("order dead-lettered"), 1U);
  EXPECT_EQ(world.statistics().dead_lettered, 1U);
  EXPECT_EQ(world.statistics().open_dead_letters, 1U);
  expect_sound();
}

TEST_F(Payment, APermanentErrorIsOneTry) {
  world.gateway.script("pm_bad", EffectKind::charge, {{Act::permanent}});
  const auto id = place("pm_bad");
  world.run_for(Duration::seconds(300));
  EXPECT_EQ(world.gateway.count(EffectKind::charge), 1U);
  ASSERT_TRUE(is_open_dead_letter(world.order(id)));
  EXPECT_EQ(world.order(id).dead_letter->last_error, Reason::gateway_rejected);
}

TEST_F(Payment, ALostReplyIsFoundAndNotChargedAgain) {
  world.gateway.script("pm_drop", EffectKind::charge, {{Act::lose_reply}});
  const auto id = place("pm_drop");
  world.settle();
  EXPECT_EQ(world.status(id), Status::fulfilled);
  EXPECT_EQ(world.gateway.count(EffectKind::charge), 1U);
  EXPECT_EQ(world.gateway.count(EffectKind::find_charge), 1U);
  EXPECT_EQ(world.order(id).version.number, 4U) << "an unknown outcome is no event";
  expect_sound();
}

TEST_F(Payment, ALostRequestIsAskedForAndSentAgainUnderTheSameKey) {
  world.gateway.script("pm_lost", EffectKind::charge, {{Act::lose_request, Act::lose_request}});
  const auto id = place("pm_lost");
  world.settle();
  EXPECT_EQ(world.statistics().unresolved, 1U);
  const auto unresolved = world.unresolved();
  ASSERT_EQ(unresolved.size(), 1U);
  EXPECT_EQ(unresolved[0].order, id);
  EXPECT_EQ(unresolved[0].since, kWorldStart);
  std::optional<Progress> progress;
  world.pipeline->submit(AskProgress{id, [&](Progress asked) { progress = asked; }});
  world.settle();
  EXPECT_EQ(progress->unanswered, 2U);
  EXPECT_TRUE(progress->next_try);
  world.run_for(Duration::seconds(60));
  EXPECT_EQ(world.status(id), Status::fulfilled);
  const std::string key = id.str() + "/charge";
  EXPECT_EQ(world.gateway.keys(EffectKind::charge), (std::vector{key, key, key}));
  EXPECT_EQ(world.order(id).attempts, 0) << "what is unknown is no attempt";
  EXPECT_TRUE(world.unresolved().empty());
  expect_sound();
}

TEST_F(Payment, ALateChargeStillCapturesOnce) {
  world.gateway.script("pm_late", EffectKind::charge, {{Act::act_late}});
  world.gateway.script("pm_late", EffectKind::find_charge, {{Act::lose_request}});
  const auto id = place("pm_late");
  world.run_for(Duration::seconds(60));
  EXPECT_EQ(world.status(id), Status::fulfilled);
  EXPECT_EQ(world.gateway.ledger.size(), 1U);
  expect_sound();
}

TEST_F(Payment, AFailedFindLeavesTheOrderListedAsUnresolved) {
  world.gateway.script("pm_x", EffectKind::charge, {{Act::lose_request}});
  world.gateway.script("pm_x", EffectKind::find_charge, {{Act::transient}, true});
  place("pm_x");
  world.settle();
  EXPECT_EQ(world.unresolved().size(), 1U);
}

TEST_F(Payment, AnUnresolvedChargeIsNeverDeadLettered) {
  world.gateway.script("pm_mute", EffectKind::charge, {{Act::lose_request}, true});
  world.gateway.script("pm_mute", EffectKind::find_charge, {{Act::lose_request}, true});
  world.gateway.script("pm_mute", EffectKind::close_charge, {{Act::lose_request}, true});
  const auto id = place("pm_mute");
  world.run_for(Duration::hours(30));
  EXPECT_EQ(world.status(id), Status::reserved);
  EXPECT_FALSE(world.order(id).dead_letter);
  EXPECT_EQ(world.order(id).version.number, 2U) << "the timeline does not grow";
  ASSERT_EQ(world.unresolved().size(), 1U);
  EXPECT_EQ(world.unresolved()[0].since, kWorldStart);
}

TEST_F(Payment, AKeyTooOldIsClosedAndReplacedAndNeverSentAgain) {
  world.gateway.away = true;
  const auto id = place("pm_ok");
  world.run_for(Duration::seconds(10));
  world.wall = world.wall + Duration::hours(25);
  world.run_for(Duration::seconds(10));
  world.gateway.away = false;
  world.gateway.requests.clear();
  world.run_for(Duration::seconds(120));
  EXPECT_EQ(world.status(id), Status::fulfilled);
  EXPECT_EQ(world.gateway.keys(EffectKind::close_charge), std::vector{id.str() + "/charge"});
  EXPECT_EQ(world.gateway.keys(EffectKind::charge), std::vector{id.str() + "/charge.1"});
  expect_sound();
}

TEST_F(Payment, AGatewayThatIsAwayPausesTheStageAndCountsForNoOrder) {
  world.gateway.away = true;
  std::vector<domain::OrderId> ids;
  for (int order = 0; order < 50; ++order) ids.push_back(place());
  world.settle();
  const auto payment = static_cast<std::size_t>(domain::Stage::payment);
  EXPECT_TRUE(world.statistics().stages[payment].paused);
  world.gateway.requests.clear();
  world.run_for(Duration::seconds(60));
  EXPECT_LE(world.gateway.requests.size(), 16U * 20) << "a few orders probe it";
  for (const auto& id : ids) {
    EXPECT_EQ(world.order(id).version.number, 2U);
    EXPECT_EQ(world.order(id).attempts, 0);
  }
  world.gateway.away = false;
  world.run_for(Duration::seconds(30));
  for (const auto& id : ids) EXPECT_EQ(world.status(id), Status::fulfilled);
  EXPECT_FALSE(world.statistics().stages[payment].paused);
  expect_sound();
}

TEST_F(Payment, APausedStageDoesNotAskToBePolledWithoutEnd) {
  world.gateway.away = true;
  for (int order = 0; order < 30; ++order) place();
  int polls = 0;
  const domain::Instant end = world.wall + Duration::seconds(10);
  while (world.wall < end) {
    world.pipeline->poll(world.now());
    polls += 1;
    const auto due = world.pipeline->next_due(world.now());
    ASSERT_TRUE(due);
    world.wall = std::max(world.wall + Duration{1}, *due);
  }
  EXPECT_LT(polls, 1'000) << "a look now and then, not a spin";
}

TEST_F(Payment, InFlightChargesAreBounded) {
  world.options.pipeline.max_payments_in_flight = 5;
  world.restart();
  world.gateway.latency = Duration::seconds(1);
  for (int order = 0; order < 20; ++order) place();
  world.settle();
  EXPECT_EQ(world.gateway.count(EffectKind::charge), 5U);
  const auto payment = static_cast<std::size_t>(domain::Stage::payment);
  EXPECT_EQ(world.statistics().stages[payment].in_flight, 5U);
  world.run_for(Duration::seconds(30));
  EXPECT_EQ(world.stock_of("PROD-1").sold, 20);
}

TEST_F(Payment, ARefundThatFailsIsOwedListedAndTriedWithoutEndOrTimelineGrowth) {
  world.options.fulfiller = true;
  world.fulfiller.scripts[EffectKind::fulfill] = {{Act::refuse}, true};
  world.restart();
  world.gateway.script("pm_owed", EffectKind::refund,
                       {{Act::transient, Act::refuse, Act::refuse, Act::lose_request, Act::refuse,
                         Act::permanent, Act::transient, Act::transient, Act::transient,
                         Act::transient, Act::transient, Act::transient, Act::transient}});
  const auto id = place("pm_owed");
  world.settle();
  EXPECT_EQ(world.status(id), Status::cancelling);
  EXPECT_EQ(world.stock_of("PROD-1").on_hand(), 100) << "only money waits";
  EXPECT_EQ(world.statistics().owed_refunds, 1U);
  world.run_for(Duration::hours(1));
  EXPECT_EQ(world.status(id), Status::cancelled);
  EXPECT_EQ(world.gateway.count(EffectKind::refund), 14U);
  std::size_t recorded = 0;
  for (const auto& event : world.order(id).timeline) {
    recorded += event.reason == Reason::refund_refused ? 1 : 0;
  }
  EXPECT_EQ(recorded, 1U) << "recorded once";
  EXPECT_FALSE(world.order(id).dead_letter) << "compensation never gives up";
  expect_sound();
}

TEST_F(Payment, ARefundThatKeepsFailingBacksOff) {
  world.options.fulfiller = true;
  world.fulfiller.scripts[EffectKind::fulfill] = {{Act::refuse}, true};
  world.restart();
  world.gateway.script("pm_owed", EffectKind::refund, {{Act::refuse}, true});
  place("pm_owed");
  world.run_for(Duration::hours(1));
  EXPECT_GT(world.gateway.count(EffectKind::refund), 50U);
  EXPECT_LT(world.gateway.count(EffectKind::refund), 300U) << "about two a minute at the cap";
  EXPECT_TRUE(world.unresolved().empty()) << "it was answered, if badly";
}

TEST_F(Payment, AReplyAboutAnOldKeySaysNothingOfTheNewOne) {
  // Another process closed the key and took a new one into use while this one's charge was out.
  world.gateway.latency = Duration::seconds(1);
  world.gateway.script("pm_old", EffectKind::charge, {{Act::refuse, Act::ok}});
  const auto id = place("pm_old");
  const domain::Order read = world.order(id);
  const auto replaced = domain::after_effect(
      read, EffectKind::close_charge, {domain::OutcomeKind::closed, {}}, {}, {world.wall, 0}, 1);
  ports::Command command = ports::Commit{
      .next = std::get<domain::Advance>(replaced).next, .read = read.version, .receipt = {}};
  ASSERT_TRUE(world.disk->store().apply({&command, 1}, world.now()));
  ASSERT_EQ(world.order(id).key_generation, 1);
  world.gateway.latency = Duration::seconds(3);  // the new key's answer comes after the old one's
  world.run_for(Duration::seconds(10));
  EXPECT_EQ(world.status(id), Status::fulfilled) << "the decline was the old key's";
  expect_sound();
}

}  // namespace
}  // namespace penstock::pipeline::testing

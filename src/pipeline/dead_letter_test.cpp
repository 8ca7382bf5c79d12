#include <functional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "domain/limits.h"
#include "pipeline/testing/world.h"
#include "tests/contract/order_builder.h"

namespace penstock::pipeline::testing {
namespace {

using domain::DeadLetterState;
using domain::Duration;
using domain::EffectKind;
using domain::Reason;
using domain::Status;
using store_contract::OrderBuilder;

class DeadLetters : public ::testing::Test {
 protected:
  DeadLetters() {
    world.stock("PROD-1", 100);
    world.gateway.script("pm_down", EffectKind::charge,
                         {{Act::transient, Act::transient, Act::transient}});
    world.gateway.script("pm_bad", EffectKind::charge, {{Act::permanent}});
  }

  domain::OrderId make(const std::string& method = "pm_down") {
    const auto id = world.place(OrderBuilder(1).payment_method(method).placed(world.wall));
    world.run_for(Duration::seconds(20));
    EXPECT_TRUE(is_open_dead_letter(world.order(id)));
    return id;
  }
  void expect_sound() { EXPECT_EQ(broken_invariants(world), std::vector<std::string>{}); }

  World world;
};

TEST_F(DeadLetters, ARedriveByOrderUsesANewKeyAndKeepsTheId) {
  const auto id = make();
  EXPECT_EQ(world.redrive({.orders = {id, id}}), 1U);
  world.run_for(Duration::seconds(5));
  EXPECT_EQ(world.status(id), Status::fulfilled);
  EXPECT_EQ(world.order(id).redrives, 1);
  EXPECT_EQ(world.gateway.keys(EffectKind::charge).back(), id.str() + "/charge.1");
  EXPECT_FALSE(world.order(id).dead_letter);
  expect_sound();
}

TEST(SmallBatches, ARedriveIsCarriedOutHoweverSmallABatchIs) {
  World world({.pipeline = {.max_batch = 2}});
  world.stock("PROD-1", 100);
  world.gateway.script("pm_bad", EffectKind::charge, {{Act::permanent}});
  const auto id = world.place(OrderBuilder(1).payment_method("pm_bad").placed(world.wall));
  world.run_for(Duration::seconds(5));
  ASSERT_TRUE(is_open_dead_letter(world.order(id)));
  EXPECT_EQ(world.redrive({.orders = {id}}), 1U);
  world.run_for(Duration::seconds(5));
  EXPECT_EQ(world.status(id), Status::fulfilled);
}

TEST_F(DeadLetters, ARedriveByFilterGoesOnBehindItsFirstPage) {
  constexpr std::size_t kOrders = domain::limits::kMaxPage + 10;
  world.stock("PROD-1", kOrders);
  for (std::size_t order = 0; order < kOrders; ++order) {
    world.submit(OrderBuilder(1).payment_method("pm_bad").placed(world.wall));
  }
  world.run_for(Duration::seconds(5));
  EXPECT_EQ(world.redrive({}), kOrders);
}

TEST_F(DeadLetters, OfTwoDiscardsAtOnceOneIsAcknowledged) {
  const auto id = make();
  std::vector<bool> answers;
  for (int request = 0; request < 2; ++request) {
    world.pipeline->submit(
        Discard{id, [&](const auto& result) { answers.push_back(result.has_value()); }});
  }
  world.settle();
  EXPECT_EQ(answers, (std::vector{true, false}));
}

TEST_F(DeadLetters, ARedriveByFilterTakesWhatMatches) {
  const auto down = make("pm_down");
  const auto bad = make("pm_bad");
  EXPECT_EQ(world.redrive({.filter = {.tenant = domain::TenantId::unchecked("other")}}), 0U);
  EXPECT_EQ(world.redrive({.filter = {.stage = domain::Stage::fulfillment}}), 0U);
  EXPECT_EQ(world.redrive({.filter = {.tenant = domain::TenantId::unchecked("acme"),
                                      .stage = domain::Stage::payment,
                                      .error = Reason::gateway_rejected}}),
            1U);
  world.run_for(Duration::seconds(5));
  EXPECT_EQ(world.status(bad), Status::fulfilled);
  EXPECT_TRUE(is_open_dead_letter(world.order(down)));
  EXPECT_EQ(world.redrive({}), 1U);
  world.run_for(Duration::seconds(5));
  EXPECT_EQ(world.status(down), Status::fulfilled);
}

TEST_F(DeadLetters, ARedriveKeepsToItsRate) {
  std::vector<domain::OrderId> ids;
  for (int letter = 0; letter < 6; ++letter) ids.push_back(make("pm_bad"));
  EXPECT_EQ(world.redrive({.rate = domain::TokenRate{.micro_tokens = 2'000'000}}), 6U);
  const auto redriven = [&] {
    std::size_t count = 0;
    for (const auto& id : ids) count += world.order(id).redrives > 0 ? 1U : 0U;
    return count;
  };
  world.settle();
  EXPECT_EQ(redriven(), 1U);
  world.run_for(Duration::milliseconds(1'000));
  EXPECT_EQ(redriven(), 3U) << "two a second";
  world.run_for(Duration::milliseconds(1'500));
  EXPECT_EQ(redriven(), 6U);
  expect_sound();
}

TEST_F(DeadLetters, ARedriveOfWhatCompletedHasNoEffect) {
  const auto id = world.place(OrderBuilder(1).placed(world.wall));
  world.settle();
  const auto version = world.order(id).version;
  EXPECT_EQ(world.redrive({.orders = {id, domain::OrderId{}}}), 0U);
  world.run_for(Duration::seconds(5));
  EXPECT_EQ(world.order(id).version, version);
}

TEST_F(DeadLetters, ARedriveOfACompensatedOneHasNoEffect) {
  const auto id = make();
  ASSERT_TRUE(world.discard(id));
  world.settle();
  ASSERT_EQ(world.status(id), Status::cancelled);
  EXPECT_EQ(world.redrive({.orders = {id}}), 0U);
  EXPECT_EQ(world.redrive({}), 0U);
}

TEST_F(DeadLetters, ADiscardCompensatesAndASecondOneIsRefused) {
  const auto id = make();
  const auto answer = world.discard(id);
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->dead_letter->state, DeadLetterState::discarded);
  world.settle();
  EXPECT_EQ(world.status(id), Status::cancelled);
  EXPECT_EQ(world.stock_of("PROD-1").on_hand(), 100);
  EXPECT_EQ(world.discard(id).error(), Refusal::not_a_dead_letter);
  EXPECT_EQ(world.discard(domain::OrderId{}).error(), Refusal::not_found);
  expect_sound();
}

TEST_F(DeadLetters, WhatNobodyRedroveIsCompensatedAtTheEndOfItsHold) {
  const auto id = make();
  const auto marked = world.order(id).dead_letter->at;
  world.run_for(marked + Duration::hours(24) - (world.wall + Duration{1}));
  EXPECT_TRUE(is_open_dead_letter(world.order(id)));
  world.run_for(Duration::seconds(1));
  EXPECT_EQ(world.status(id), Status::cancelled);
  EXPECT_EQ(world.order(id).dead_letter->state, DeadLetterState::compensated);
  EXPECT_EQ(world.order(id).reason, Reason::dead_letter_expired);
  EXPECT_EQ(world.stock_of("PROD-1").on_hand(), 100);
  EXPECT_EQ(world.statistics().open_dead_letters, 0U);
  expect_sound();
}

TEST_F(DeadLetters, SurviveARestartWithTheirHold) {
  const auto id = make();
  world.restart();
  world.run_for(Duration::hours(23));
  EXPECT_TRUE(is_open_dead_letter(world.order(id)));
  world.run_for(Duration::hours(2));
  EXPECT_EQ(world.status(id), Status::cancelled);
}

TEST_F(DeadLetters, ARedriveThatFailsAgainIsMarkedAgain) {
  world.gateway.script("pm_never", EffectKind::charge, {{Act::transient}, true});
  const auto id = make("pm_never");
  EXPECT_EQ(world.redrive({.orders = {id}}), 1U);
  world.run_for(Duration::seconds(30));
  EXPECT_TRUE(is_open_dead_letter(world.order(id)));
  EXPECT_EQ(world.gateway.count(EffectKind::charge), 6U);
  EXPECT_EQ(world.statistics().dead_lettered, 2U);
  EXPECT_EQ(world.log.count("order dead-lettered"), 2U);
  expect_sound();
}

TEST_F(DeadLetters, AtTheirBoundNothingIsChargedAndMoneyStillGoesBack) {
  world.gateway.latency = Duration::milliseconds(50);
  for (const auto& fill : std::vector<std::function<void(ports::StoreDepth&)>>{
           [](auto& depth) { depth.open_dead_letters = domain::limits::kMaxDeadLetters; },
           [](auto& depth) { depth.owed_refunds = domain::limits::kMaxOwedRefunds; }}) {
    world.gateway.script("pm_owed", EffectKind::refund, {{Act::transient}});
    const auto owed = world.place(OrderBuilder(1).payment_method("pm_owed").placed(world.wall));
    world.run_for(Duration::milliseconds(10));
    ASSERT_TRUE(world.cancel(owed));
    world.store->adjust_depth = fill;
    world.run_for(Duration::seconds(2));
    const auto charges = world.gateway.keys(EffectKind::charge).size();
    const auto waiting = world.place(OrderBuilder(1).placed(world.wall));
    world.run_for(Duration::seconds(120));
    EXPECT_EQ(world.gateway.keys(EffectKind::charge).size(), charges);
    EXPECT_EQ(world.status(waiting), Status::reserved);
    EXPECT_EQ(world.status(owed), Status::cancelled) << "the way back stays open";
    world.store->adjust_depth = {};
    world.run_for(Duration::seconds(20));
    EXPECT_EQ(world.status(waiting), Status::fulfilled);
  }
  expect_sound();
}

}  // namespace
}  // namespace penstock::pipeline::testing

#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "pipeline/testing/world.h"
#include "tests/contract/order_builder.h"

namespace penstock::pipeline::testing {
namespace {

using domain::Duration;
using domain::EffectKind;
using domain::Status;
using ports::StoreError;
using store_contract::OrderBuilder;

domain::Order draft() {
  return OrderBuilder(1).placed(kWorldStart);
}

TEST(StoreTrouble, AfterAFailedSyncNothingIsAcknowledgedAndNoEffectLeaves) {
  for (const FailedWrite write : {FailedWrite::lost, FailedWrite::landed}) {
    World world;
    world.stock("PROD-1", 10);
    const auto before = world.place(draft());
    const std::size_t charges = world.gateway.requests.size();
    const auto placed = world.submit(draft());
    bool waiter_answered = false;
    world.pipeline->submit(WaitForEnd{before, world.wall + Duration::seconds(30),
                                      [&](auto) { waiter_answered = true; }});
    world.disk->fail_next_write(StoreError::stopped, write);
    world.settle();
    EXPECT_EQ((*placed)->outcome, PlaceOutcome::abandoned) << "neither 202 nor 503";
    EXPECT_EQ(world.pipeline->failure(), StoreError::stopped);
    EXPECT_TRUE(waiter_answered);
    const auto late = world.submit(draft());
    std::optional<std::expected<domain::Order, Refusal>> cancelled;
    world.pipeline->submit(CancelOrder{before, [&](auto result) { cancelled = result; }});
    world.run_for(Duration::seconds(60));
    EXPECT_EQ((*late)->outcome, PlaceOutcome::abandoned);
    EXPECT_EQ(cancelled->error(), Refusal::abandoned);
    EXPECT_EQ(world.gateway.requests.size(), charges);
    EXPECT_FALSE(world.pipeline->next_due(world.now()));

    world.restart();
    world.run_for(Duration::seconds(10));
    EXPECT_EQ(world.status(before), Status::fulfilled);
    const bool landed = write == FailedWrite::landed;
    EXPECT_EQ(world.disk->orders().size(), landed ? 2U : 1U);
    EXPECT_EQ(world.gateway.ledger.size(), landed ? 2U : 1U);
    EXPECT_EQ(broken_invariants(world), std::vector<std::string>{});
  }
}

TEST(StoreTrouble, WhatAReplyAskedForDoesNotLeaveOnceTheStoreHasFailed) {
  World world;
  world.stock("PROD-1", 10);
  world.gateway.latency = Duration::milliseconds(5);
  world.gateway.script("pm_lost", EffectKind::charge, {{Act::lose_request}});
  world.place(OrderBuilder(1).payment_method("pm_lost").placed(world.wall));
  world.wall = world.wall + Duration::milliseconds(5);
  world.disk->fail_next_write(StoreError::stopped, FailedWrite::lost);
  world.submit(draft());
  world.settle();
  ASSERT_TRUE(world.pipeline->failure());
  EXPECT_EQ(world.gateway.count(EffectKind::find_charge), 0U);
}

TEST(StoreTrouble, AnUnavailableStoreRefusesOrdersAndLosesNoOutcome) {
  World world;
  world.stock("PROD-1", 10);
  world.gateway.latency = Duration::milliseconds(5);
  const auto id = world.place(draft());
  world.store->away = true;
  const auto refused = world.submit(draft());
  world.run_for(Duration::seconds(1));
  EXPECT_EQ((*refused)->outcome, PlaceOutcome::reduced_capacity);
  EXPECT_FALSE(world.pipeline->failure());
  EXPECT_EQ(world.status(id), Status::reserved);
  EXPECT_FALSE(world.pipeline->idle()) << "an outcome waits for its commit";
  world.store->away = false;
  world.run_for(Duration::seconds(1));
  EXPECT_EQ(world.status(id), Status::fulfilled);
  EXPECT_EQ(world.gateway.count(EffectKind::charge), 1U) << "it was not asked for again";
  EXPECT_EQ(world.statistics().accepts[static_cast<std::size_t>(PlaceOutcome::reduced_capacity)],
            1U);
}

TEST(StoreTrouble, RequestsBehindAFullBatchAreNotPolledForWhileTheStoreIsAway) {
  World world({.pipeline = {.max_batch = 1}});
  world.stock("PROD-1", 10);
  world.gateway.latency = Duration::seconds(1);
  world.place(draft());
  world.store->away = true;
  world.wall = world.wall + Duration::seconds(1);
  world.pipeline->poll(world.now());
  world.stock("PROD-1", 20);
  const auto due = world.pipeline->next_due(world.now());
  ASSERT_TRUE(due);
  EXPECT_EQ(*due, world.wall + Duration::milliseconds(100));
  world.store->away = false;
  world.run_for(Duration::seconds(1));
  EXPECT_EQ(world.stock_of("PROD-1").on_hand(), 20);
}

TEST(StoreTrouble, ACancelWaitsForAStoreThatIsAway) {
  World world;
  world.stock("PROD-1", 10);
  world.gateway.latency = Duration::seconds(1);
  const auto id = world.place(draft());
  world.store->away = true;
  std::optional<std::expected<domain::Order, Refusal>> answer;
  world.pipeline->submit(CancelOrder{id, [&](auto result) { answer = std::move(result); }});
  world.run_for(Duration::milliseconds(500));
  EXPECT_FALSE(answer);
  world.store->away = false;
  world.run_for(Duration::seconds(10));
  ASSERT_TRUE(answer && *answer);
  EXPECT_EQ((*answer)->status, Status::cancelling);
  EXPECT_EQ(world.status(id), Status::cancelled);
}

TEST(StoreTrouble, WhatWasNotSyncedIsNotAcknowledged) {
  for (const FailedWrite write : {FailedWrite::lost, FailedWrite::landed}) {
    World world;
    world.stock("PROD-1", 10);
    world.gateway.latency = Duration::seconds(1);
    const auto flying = world.place(draft());
    world.run_for(Duration::milliseconds(900));
    world.disk->fail_next_write(StoreError::stopped, write);
    std::optional<std::expected<domain::Order, Refusal>> cancelled;
    std::optional<std::expected<domain::Stock, Refusal>> set;
    world.pipeline->submit(CancelOrder{flying, [&](auto result) { cancelled = result; }});
    world.pipeline->submit(SetStock{domain::TenantId::unchecked("acme"),
                                    domain::ProductId::unchecked("PROD-1"), 7,
                                    [&](auto result) { set = result; }});
    world.settle();
    ASSERT_TRUE(cancelled && set);
    EXPECT_EQ(cancelled->error(), Refusal::abandoned);
    EXPECT_EQ(set->error(), Refusal::abandoned);
  }
}

TEST(StoreTrouble, AFullDiskIsToldApart) {
  World world;
  world.disk->fail_next_write(StoreError::full_disk, FailedWrite::lost);
  world.stock("PROD-1", 10);
  EXPECT_EQ(world.pipeline->failure(), StoreError::full_disk);
}

TEST(StoreTrouble, EveryKindOfRequestIsAnsweredExactlyOnceWhateverHappens) {
  World world;
  world.stock("PROD-1", 10);
  const auto id = world.place(draft());
  world.disk->fail_next_write(StoreError::stopped, FailedWrite::lost);
  int answers = 0;
  const auto count = [&](const auto&) { answers += 1; };
  const auto tenant = domain::TenantId::unchecked("acme");
  const auto product = domain::ProductId::unchecked("PROD-1");
  for (int round = 0; round < 2; ++round) {
    world.pipeline->submit(PlaceOrder{draft(), std::nullopt, count});
    world.pipeline->submit(PeekRateLimit{tenant, count});
    world.pipeline->submit(CancelOrder{id, count});
    world.pipeline->submit(WaitForEnd{id, world.wall + Duration::seconds(9), count});
    world.pipeline->submit(SetStock{tenant, product, 1, count});
    world.pipeline->submit(Restock{tenant, product, 1, count});
    world.pipeline->submit(PutContract{tenant, world.options.disk.contract, count});
    world.pipeline->submit(Redrive{{}, {}, std::nullopt, count});
    world.pipeline->submit(Discard{id, count});
    world.pipeline->submit(AskProgress{id, count});
    world.pipeline->submit(ListUnresolved{5, count});
    world.pipeline->submit(AskStatistics{count});
    world.pipeline->poll(world.now());
    EXPECT_EQ(answers, 12 * (round + 1));
  }
}

}  // namespace
}  // namespace penstock::pipeline::testing

#include <algorithm>

#include <gmock/gmock.h>

#include "tests/contract/order_store_contract.h"

// Claims: who is next, what a lease keeps others from, and the depths that tell of it.
namespace penstock::store_contract {
namespace {

using domain::Duration;
using domain::Order;
using domain::OrderId;
using domain::Stage;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST_P(OrderStoreContract, ClaimsAreFirstInFirstOutInsideATenant) {
  std::vector<OrderId> accepted;
  for (int number = 0; number < 20; ++number) {
    accepted.push_back(store_placed(order()).id);
    if (number % 3 == 0) pass(Duration::milliseconds(1));
  }
  std::vector<OrderId> claimed = claim(Stage::inventory, 7);
  EXPECT_EQ(claimed.size(), 7U);
  for (const OrderId& id : claim(Stage::inventory, 100)) claimed.push_back(id);
  EXPECT_EQ(claimed, accepted);
}

TEST_P(OrderStoreContract, AClaimAnswersTheWholeOrder) {
  const Order stored = store_placed(order().metadata("a", "b"));
  EXPECT_THAT(claim_orders(Stage::inventory), ElementsAre(stored));
}

TEST_P(OrderStoreContract, AStageClaimsOnlyItsOwnOrders) {
  const Order waiting = store_placed(order());
  const Order reserved = store_reserved(order());
  const Order charged = store_charged(order());
  const Order owing = store_owing(order());
  store_fulfilled(order());
  EXPECT_THAT(claim(Stage::inventory), ElementsAre(waiting.id));
  EXPECT_THAT(claim(Stage::payment), ElementsAre(reserved.id, owing.id));
  EXPECT_THAT(claim(Stage::fulfillment), ElementsAre(charged.id));
}

TEST_P(OrderStoreContract, ALeasedOrderIsNotClaimedAgain) {
  const Order reserved = store_reserved(order());
  EXPECT_THAT(claim(Stage::payment), ElementsAre(reserved.id));
  EXPECT_THAT(claim(Stage::payment), IsEmpty());
  EXPECT_FALSE(claim_one(reserved).has_value());
  pass(Duration::hours(1));
  EXPECT_EQ(depth_of(Stage::payment).leased, 1U);
}

TEST_P(OrderStoreContract, ACommitEndsTheLeaseAndQueuesTheNextStage) {
  const Order reserved = store_reserved(order());
  ASSERT_THAT(claim(Stage::payment), ElementsAre(reserved.id));
  const Order charged = commit_step(reserved, steps::capture(reserved, now.wall));
  EXPECT_THAT(claim(Stage::payment), IsEmpty());
  EXPECT_THAT(claim_orders(Stage::fulfillment), ElementsAre(charged));
  commit_step(charged, steps::next(charged, now.wall));
  EXPECT_THAT(claim(Stage::fulfillment), IsEmpty());
}

TEST_P(OrderStoreContract, AnOrderThatMovedOnTakesANewPlaceInItsQueue) {
  const Order first = store_reserved(order());
  const Order second = store_reserved(order());
  pass(Duration::milliseconds(1));
  commit_step(first, steps::cancel(first, now.wall));
  EXPECT_THAT(claim(Stage::payment), ElementsAre(second.id, first.id));
  EXPECT_THAT(claim(Stage::payment), IsEmpty());
}

TEST_P(OrderStoreContract, TenantsTakeTurnsByTheirWeights) {
  domain::Contract heavy = options.default_contract;
  heavy.weight = 3;
  put_contract("heavy", heavy);
  for (int number = 0; number < 40; ++number) store_placed(order().tenant("heavy"));
  for (int number = 0; number < 40; ++number) store_placed(order().tenant("light"));
  // Whole rounds of four: in every one, three of one tenant and one of the other.
  for (int round = 0; round < 10; ++round) {
    const auto claimed = claim_orders(Stage::inventory, 4);
    ASSERT_EQ(claimed.size(), 4U);
    EXPECT_EQ(std::ranges::count_if(claimed,
                                    [](const Order& each) { return each.tenant.str() == "heavy"; }),
              3)
        << "round " << round;
  }
  EXPECT_EQ(claim(Stage::inventory, 100).size(), 40U);
}

TEST_P(OrderStoreContract, AFloodOfOneTenantDoesNotHoldUpAnother) {
  for (int number = 0; number < 100; ++number) store_placed(order().tenant("flood"));
  const Order lonely = store_placed(order().tenant("lonely"));
  const auto claimed = claim(Stage::inventory, 3);
  EXPECT_THAT(claimed, ::testing::Contains(lonely.id));
}

TEST_P(OrderStoreContract, AChangedWeightCountsForWhatIsQueuedAlready) {
  for (int number = 0; number < 20; ++number) store_placed(order().tenant("a"));
  for (int number = 0; number < 20; ++number) store_placed(order().tenant("b"));
  domain::Contract contract = options.default_contract;
  contract.weight = 4;
  put_contract("b", contract);
  const auto claimed = claim_orders(Stage::inventory, 20);
  EXPECT_EQ(
      std::ranges::count_if(claimed, [](const Order& each) { return each.tenant.str() == "b"; }),
      16);
}

TEST_P(OrderStoreContract, AReleasedOrderIsClaimedWhenItIsDueAndNotBefore) {
  const Order reserved = store_reserved(order());
  ASSERT_THAT(claim(Stage::payment), ElementsAre(reserved.id));
  store().release(reserved.id, now.wall + Duration::seconds(2));
  EXPECT_EQ(depth_of(Stage::payment).leased, 0U);
  EXPECT_EQ(store().next_due(), now.wall + Duration::seconds(2));
  pass(Duration{Duration::seconds(2).us - 1});
  EXPECT_THAT(claim(Stage::payment), IsEmpty());
  pass(Duration{1});
  EXPECT_THAT(claim_orders(Stage::payment), ElementsAre(reserved));
}

TEST_P(OrderStoreContract, ARetryIsClaimedWhenItIsDueAndNotBefore) {
  const Order reserved = store_reserved(order());
  ASSERT_THAT(claim(Stage::payment), ElementsAre(reserved.id));
  const Order failed = commit_step(reserved, steps::fail(reserved, now.wall));
  const Duration pause = failed.due - now.wall;
  ASSERT_GT(pause, Duration{});
  EXPECT_THAT(claim(Stage::payment), IsEmpty());
  EXPECT_EQ(store().next_due(), failed.due);
  pass(Duration{pause.us - 1});
  EXPECT_THAT(claim(Stage::payment), IsEmpty());
  pass(Duration{1});
  EXPECT_THAT(claim_orders(Stage::payment), ElementsAre(failed));
}

TEST_P(OrderStoreContract, DueRetriesGoBeforeFirstClaims) {
  const Order early = store_reserved(order());
  const Order first = commit_step(early, steps::fail(early, now.wall));
  pass(Duration::seconds(1));
  const Order fresh = store_reserved(order());
  pass(Duration::seconds(60));
  EXPECT_THAT(claim(Stage::payment), ElementsAre(first.id, fresh.id));
}

TEST_P(OrderStoreContract, DueRetriesOfOneTenantLeaveRoomInAClaimForAnother) {
  for (int number = 0; number < 40; ++number) store_placed(order().tenant("flood"));
  for (const OrderId& id : claim(Stage::inventory)) {
    store().release(id, now.wall + Duration::seconds(1));
  }
  pass(Duration::seconds(1));
  const Order lonely = store_placed(order().tenant("lonely"));
  EXPECT_THAT(claim(Stage::inventory, 4), ::testing::Contains(lonely.id));
  EXPECT_EQ(claim(Stage::inventory).size(), 37U);
}

TEST_P(OrderStoreContract, TenantsWithoutAContractShareOneTurn) {
  put_contract("good", options.default_contract);
  for (int name = 0; name < 20; ++name) {
    for (int number = 0; number < 3; ++number) {
      store_placed(order().tenant("name-" + std::to_string(name)));
    }
  }
  for (int number = 0; number < 10; ++number) store_placed(order().tenant("good"));
  const auto claimed = claim_orders(Stage::inventory, 20);
  EXPECT_EQ(
      std::ranges::count_if(claimed, [](const Order& each) { return each.tenant.str() == "good"; }),
      10);
}

/// Claims within the places until nothing more is leased.
std::vector<Order> claim_all_within(ports::OrderStore& store, ports::ClaimPlaces& places,
                                    domain::Now now) {
  std::vector<Order> all;
  const std::size_t before = places.taken().size();
  for (;;) {
    const auto claimed = store.claim_within(Stage::inventory, 100, &places, now).value();
    if (claimed.empty()) break;
    all.insert(all.end(), claimed.begin(), claimed.end());
  }
  EXPECT_EQ(places.taken().size(), before + all.size()) << "a place an order";
  return all;
}

std::vector<OrderId> of_tenant(const std::vector<Order>& orders, const std::string& tenant) {
  std::vector<OrderId> ids;
  for (const Order& each : orders) {
    if (each.tenant.str() == tenant) ids.push_back(each.id);
  }
  return ids;
}

TEST_P(OrderStoreContract, ATenantAtItsShareOfThePlacesIsLeftOutAndKeepsItsLine) {
  for (const char* tenant : {"greedy", "good", "late"}) {
    put_contract(tenant, options.default_contract);
  }
  std::vector<OrderId> greedy;
  for (int number = 0; number < 30; ++number) {
    greedy.push_back(store_placed(order().tenant("greedy")).id);
  }
  for (int number = 0; number < 3; ++number) store_placed(order().tenant("good"));
  ports::ClaimPlaces::Room room(20);
  ports::ClaimPlaces places(room);
  const auto first = claim_all_within(store(), places, now);
  EXPECT_EQ(of_tenant(first, "good").size(), 3U);
  const std::size_t share = of_tenant(first, "greedy").size();
  EXPECT_GE(share, 10U);
  EXPECT_GE(room.room().free(), 1U);
  EXPECT_EQ(depth_of(Stage::inventory).ready, 30 - share);

  const Order late = store_placed(order().tenant("late"));
  ports::ClaimPlaces more(room);
  EXPECT_THAT(claim_all_within(store(), more, now), ElementsAre(late));

  while (!places.taken().empty()) places.undo();
  ports::ClaimPlaces rest(room);
  auto in_line = of_tenant(first, "greedy");
  for (const OrderId& id : of_tenant(claim_all_within(store(), rest, now), "greedy")) {
    in_line.push_back(id);
  }
  while (!rest.taken().empty()) rest.undo();
  for (const OrderId& id : of_tenant(claim_all_within(store(), rest, now), "greedy")) {
    in_line.push_back(id);
  }
  EXPECT_EQ(in_line, greedy);
}

TEST_P(OrderStoreContract, InventedNamesTakeNoPlaceFromATenantWithAContract) {
  put_contract("good", options.default_contract);
  for (int name = 0; name < 60; ++name) {
    store_placed(order().tenant("name-" + std::to_string(name)));
  }
  ports::ClaimPlaces::Room room(20);
  ports::ClaimPlaces places(room);
  EXPECT_LE(claim_all_within(store(), places, now).size(), 17U);
  const Order good = store_placed(order().tenant("good"));
  EXPECT_THAT(claim_all_within(store(), places, now), ElementsAre(good));
}

TEST_P(OrderStoreContract, ARetryOfATenantAtItsShareWaitsAndIsNotLost) {
  put_contract("greedy", options.default_contract);
  put_contract("good", options.default_contract);
  for (int number = 0; number < 30; ++number) store_placed(order().tenant("greedy"));
  for (const OrderId& id : claim(Stage::inventory)) {
    store().release(id, now.wall + Duration::seconds(1));
  }
  pass(Duration::seconds(1));
  ports::ClaimPlaces::Room room(20);
  ports::ClaimPlaces places(room);
  std::size_t claimed = claim_all_within(store(), places, now).size();
  EXPECT_LE(claimed, 17U);
  const Order good = store_placed(order().tenant("good"));
  EXPECT_THAT(claim_all_within(store(), places, now), ElementsAre(good));
  for (int round = 0; round < 3; ++round) {
    while (!places.taken().empty()) places.undo();
    claimed += claim_all_within(store(), places, now).size();
  }
  EXPECT_EQ(claimed, 30U);
}

TEST_P(OrderStoreContract, AnOrderIsLeasedOutOfTurn) {
  const Order first = store_reserved(order());
  const Order second = store_reserved(order());
  EXPECT_EQ(claim_one(second), second);
  EXPECT_FALSE(claim_one(second).has_value());
  EXPECT_THAT(claim(Stage::payment), ElementsAre(first.id));
  EXPECT_EQ(depth_of(Stage::payment).leased, 2U);
}

TEST_P(OrderStoreContract, AnOrderIsLeasedOutOfTurnBeforeItIsDue) {
  const Order dead_letter = store_dead_letter(order());
  EXPECT_EQ(claim_one(dead_letter), dead_letter);
  const Order reserved = store_reserved(order());
  const Order failed = commit_step(reserved, steps::fail(reserved, now.wall));
  EXPECT_EQ(claim_one(failed), failed);
}

TEST_P(OrderStoreContract, WhatIsMissingOrTerminalIsNotLeased) {
  EXPECT_FALSE(claim_one(placed(order())).has_value());
  EXPECT_FALSE(claim_one(store_fulfilled(order())).has_value());
}

TEST_P(OrderStoreContract, AnOlderQueueEntryDoesNotBringAReleasedOrderForward) {
  const Order reserved = store_reserved(order());
  ASSERT_TRUE(claim_one(reserved).has_value());
  store().release(reserved.id, now.wall + Duration::seconds(5));
  EXPECT_THAT(claim(Stage::payment), IsEmpty());
  pass(Duration::seconds(5));
  EXPECT_THAT(claim(Stage::payment), ElementsAre(reserved.id));
  EXPECT_THAT(claim(Stage::payment), IsEmpty());
}

TEST_P(OrderStoreContract, AnOrderThatWasLeasedTwiceIsQueuedOnce) {
  const Order reserved = store_reserved(order());
  for (int again = 0; again < 3; ++again) {
    ASSERT_TRUE(claim_one(reserved).has_value());
    store().release(reserved.id, now.wall);
  }
  EXPECT_THAT(claim(Stage::payment), ElementsAre(reserved.id));
  EXPECT_EQ(depth_of(Stage::payment).leased, 1U);
}

TEST_P(OrderStoreContract, ReleasingWhatIsNotLeasedHasNoEffect) {
  const Order reserved = store_reserved(order());
  store().release(reserved.id, now.wall + Duration::hours(1));
  EXPECT_THAT(claim(Stage::payment), ElementsAre(reserved.id));
  const Order fulfilled = store_fulfilled(order());
  store().release(fulfilled.id, now.wall);
  store().release(placed(order()).id, now.wall);
  EXPECT_THAT(claim(Stage::fulfillment), IsEmpty());
  EXPECT_EQ(depth_of(Stage::payment).leased, 1U);
}

TEST_P(OrderStoreContract, AnOpenDeadLetterWaitsUntilItsHoldEnds) {
  const Order dead_letter = store_dead_letter(order());
  ASSERT_EQ(dead_letter.due, now.wall + domain::limits::kDeadLetterHold);
  EXPECT_THAT(claim(Stage::payment), IsEmpty());
  pass(Duration{domain::limits::kDeadLetterHold.us - 1});
  EXPECT_THAT(claim(Stage::payment), IsEmpty());
  pass(Duration{1});
  EXPECT_THAT(claim_orders(Stage::payment), ElementsAre(dead_letter));
}

TEST_P(OrderStoreContract, ARedrivenDeadLetterIsClaimedAtOnceAndOnce) {
  const Order dead_letter = store_dead_letter(order());
  pass(Duration::seconds(60));
  ASSERT_TRUE(claim_one(dead_letter).has_value());
  const Order redriven = commit_step(dead_letter, domain::redrive(dead_letter, now.wall).value());
  EXPECT_THAT(claim_orders(Stage::payment), ElementsAre(redriven));
  pass(domain::limits::kDeadLetterHold);
  EXPECT_THAT(claim(Stage::payment), IsEmpty());
  EXPECT_EQ(store().depth().open_dead_letters, 0U);
}

TEST_P(OrderStoreContract, AClaimOfNothingLeasesNothing) {
  store_placed(order());
  EXPECT_THAT(claim(Stage::inventory, 0), IsEmpty());
  EXPECT_EQ(depth_of(Stage::inventory).ready, 1U);
  EXPECT_EQ(depth_of(Stage::inventory).leased, 0U);
}

TEST_P(OrderStoreContract, TheDepthsCountEveryActiveOrderOnce) {
  store_placed(order());
  store_placed(order());
  store_reserved(order());
  const Order retried = store_reserved(order());
  commit_step(retried, steps::fail(retried, now.wall));
  store_dead_letter(order());
  store_owing(order());
  store_charged(order());
  store_fulfilled(order());
  ASSERT_EQ(claim(Stage::inventory, 1).size(), 1U);

  const auto expect_depths = [this](std::size_t leased) {
    const auto depth = store().depth();
    EXPECT_EQ(depth_of(Stage::inventory).ready, 2U - leased);
    EXPECT_EQ(depth_of(Stage::inventory).leased, leased);
    EXPECT_EQ(depth_of(Stage::payment).ready, 3U);
    EXPECT_EQ(depth_of(Stage::payment).dead_letters, 1U);
    EXPECT_EQ(depth_of(Stage::fulfillment).ready, 1U);
    EXPECT_EQ(depth.active, 7U);
    EXPECT_EQ(depth.open_dead_letters, 1U);
    EXPECT_EQ(depth.owed_refunds, 1U);
    EXPECT_EQ(depth.terminal_batches, 1U);
    EXPECT_EQ(depth.deliveries, 0U);
  };
  expect_depths(1);
  crash();
  expect_depths(0);
  EXPECT_EQ(store().recovery().active, 7U);
}

TEST_P(OrderStoreContract, AnEmptyStoreHasNoDepthAndNothingDue) {
  const auto depth = store().depth();
  EXPECT_EQ(depth.active, 0U);
  for (const auto& stage : depth.stages) {
    EXPECT_EQ(stage.ready + stage.leased + stage.dead_letters, 0U);
    EXPECT_FALSE(stage.oldest.has_value());
  }
  EXPECT_FALSE(store().next_due().has_value());
}

TEST_P(OrderStoreContract, TheHeadOfAQueueTellsSinceWhenItWaits) {
  const domain::Instant begin = now.wall;
  store_placed(order().tenant("a"));
  pass(Duration::seconds(3));
  store_placed(order().tenant("b"));
  EXPECT_EQ(depth_of(Stage::inventory).oldest, begin);
  EXPECT_FALSE(depth_of(Stage::payment).oldest.has_value());
  ASSERT_EQ(claim(Stage::inventory, 1).size(), 1U);
  EXPECT_EQ(depth_of(Stage::inventory).oldest, now.wall);
  ASSERT_EQ(claim(Stage::inventory, 1).size(), 1U);
  EXPECT_FALSE(depth_of(Stage::inventory).oldest.has_value());
}

}  // namespace
}  // namespace penstock::store_contract

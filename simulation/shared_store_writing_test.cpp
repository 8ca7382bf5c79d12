#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>

#include "simulation/shared_store_fixture_test.h"

// Orders that a process holds, and batches that are divided over two connections.
namespace penstock::simulation {
namespace {

using domain::Duration;
using domain::Order;
using domain::Stage;
using ports::AcceptOutcome;
using ports::AcceptResult;
using ports::CommitOutcome;
using ports::StoreError;
using postgres_store::Holding;
using postgres_store::kMaxHeldFor;
using store_contract::OrderBuilder;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class SharedStoreWriting : public SharedStore {
 protected:
  static constexpr std::uint32_t kHolder = 3;
  static constexpr std::uint32_t kWide = 4;
  static constexpr std::size_t kRoom = 9;

  ports::Command accept_of(const OrderBuilder& builder) const {
    ports::Accept accept;
    accept.commit.next = builder.placed(now.wall);
    return accept;
  }
  static ports::Commit reserving(const Order& order) {
    domain::Advance advance = store_contract::steps::next(order, order.updated_at);
    return {.next = std::move(advance.next),
            .read = order.version,
            .stock = advance.stock,
            .receipt = {}};
  }
  /// An order that `holder` accepts, which had room for it.
  Order held(std::uint64_t number) {
    EXPECT_THAT(claimed(holder), IsEmpty());
    const auto results = apply(holder, accept_of(OrderBuilder(number)));
    EXPECT_EQ(holder.held(), 1U);
    return *std::get<AcceptResult>(results.value()[0]).order;
  }
  std::vector<Order> claimed(SharedStoreClient& client, std::size_t limit = kRoom) {
    return client.claim(Stage::inventory, limit, now).value();
  }
  /// An order of each tenant, in one batch.
  std::expected<std::vector<ports::CommandResult>, StoreError> apply_of(
      std::initializer_list<std::string> tenants) {
    commands.clear();
    std::uint64_t number = 0;
    for (const std::string& tenant : tenants) {
      commands.push_back(accept_of(OrderBuilder(++number).tenant(tenant)));
      sent.push_back(std::get<ports::Accept>(commands.back()).commit.next);
    }
    return wide.apply(commands, now);
  }
  std::vector<Order> kept() const {
    std::vector<Order> orders;
    for (const auto& each : commands) orders.push_back(std::get<ports::Accept>(each).commit.next);
    return orders;
  }
  std::vector<Order> accepted(std::span<const ports::CommandResult> results) {
    std::vector<Order> orders;
    for (const auto& each : results) orders.push_back(std::get<AcceptResult>(each).order.value());
    return orders;
  }
  std::size_t stored() const { return database.disk().orders.size(); }

  ProbeCounts probes;
  SharedStoreClient holder{
      database, database.start_run(kHolder), &road, {.holding = Holding::accepted}};
  SharedStoreClient wide{database,
                         database.start_run(kWide),
                         &road,
                         {.holding = Holding::accepted, .least_split_batch = 2}};
  std::vector<Order> sent;

  SharedStoreWriting() { database.set_probes(&probes); }
};

TEST_F(SharedStoreWriting, WhatIsHeldIsHandedOutWithoutAskingTheDatabase) {
  const Order order = held(1);
  road.passages.assign(9, Passage::refused);
  EXPECT_THAT(claimed(holder, 1), ElementsAre(order));
  EXPECT_EQ(road.passages.size(), 9U);
  EXPECT_EQ(holder.held(), 0U);
}

TEST_F(SharedStoreWriting, NobodyElseIsGivenWhatIsHeldUntilItsLeaseEnds) {
  const Order order = held(1);
  EXPECT_THAT(claimed(second), IsEmpty());
  EXPECT_FALSE(second.claim_one(order.id).value());
  pass(kLease);
  EXPECT_THAT(claimed(second), ElementsAre(order));
  EXPECT_EQ(probes.of(Probe::held_takeover), 1U);
}

TEST_F(SharedStoreWriting, WhoHeldAnOrderPastItsLeaseIsFenced) {
  const Order order = held(1);
  EXPECT_THAT(claimed(holder, 1), ElementsAre(order));
  pass(kLease);
  ASSERT_THAT(claimed(second), ElementsAre(order));
  ASSERT_TRUE(apply(second, ports::SetStock{order.tenant, order.items[0].product, 1}));
  EXPECT_EQ(outcome_of(apply(second, reserving(order))), CommitOutcome::committed);
  EXPECT_EQ(outcome_of(apply(holder, reserving(order))), CommitOutcome::stale);
  EXPECT_EQ(probes.of(Probe::held_too_long), 1U);
}

TEST_F(SharedStoreWriting, WhatNobodyClaimsForASecondIsGivenBack) {
  const Order order = held(1);
  pass(kMaxHeldFor);
  EXPECT_THAT(holder.claim(Stage::payment, kRoom, now).value(), IsEmpty());
  EXPECT_EQ(holder.held(), 1U);
  pass({1});
  EXPECT_THAT(holder.claim(Stage::payment, kRoom, now).value(), IsEmpty());
  EXPECT_EQ(holder.held(), 0U);
  EXPECT_THAT(claimed(second), ElementsAre(order));
}

TEST_F(SharedStoreWriting, AClaimThatFailsGivesBackWhatItHadInHand) {
  const Order order = held(1);
  pass(Duration::milliseconds(50));
  road.passages = {Passage::refused};
  EXPECT_EQ(holder.claim(Stage::inventory, kRoom, now).error(), StoreError::unavailable);
  EXPECT_THAT(claimed(second), IsEmpty()) << "it goes with the next call";
  ASSERT_TRUE(holder.settled());
  EXPECT_THAT(claimed(second), ElementsAre(order));
}

TEST_F(SharedStoreWriting, NoMoreIsHeldThanTheLastClaimHadRoomFor) {
  ASSERT_TRUE(apply(holder, accept_of(OrderBuilder(1))));
  EXPECT_EQ(holder.held(), 0U) << "nobody asked for it yet";
  EXPECT_THAT(claimed(holder, 3), SizeIs(1));
  for (std::uint64_t number = 2; number < 6; ++number) {
    ASSERT_TRUE(apply(holder, accept_of(OrderBuilder(number))));
  }
  EXPECT_EQ(holder.held(), 2U);
  EXPECT_THAT(claimed(second), SizeIs(2));
}

TEST_F(SharedStoreWriting, AnOrderWaitsBehindThoseOfItsTenantThatWaitAlready) {
  EXPECT_THAT(claimed(holder), IsEmpty());
  const Order before = placed(1);
  ASSERT_TRUE(apply(holder, accept_of(OrderBuilder(2))));
  EXPECT_EQ(holder.held(), 0U);
  ASSERT_TRUE(apply(holder, accept_of(OrderBuilder(3).tenant("globex"))));
  EXPECT_EQ(holder.held(), 1U);
  EXPECT_THAT(claimed(second), SizeIs(2));
  ASSERT_TRUE(apply(holder, accept_of(OrderBuilder(4))));
  EXPECT_EQ(holder.held(), 2U) << "those before it are worked on";
}

TEST_F(SharedStoreWriting, WhatACommitChangedIsNotHandedOut) {
  const Order order = held(1);
  EXPECT_EQ(outcome_of(apply(holder, cancelling(order))), CommitOutcome::committed);
  EXPECT_THAT(claimed(holder), IsEmpty());
}

TEST_F(SharedStoreWriting, WhatIsShortOfStockIsNotHeld) {
  EXPECT_THAT(holder.claim(Stage::payment, kRoom, now).value(), IsEmpty());
  ports::Commit reserved = reserving(OrderBuilder(1).placed(now.wall));
  reserved.read = {};
  ports::Accept accept{.commit = std::move(reserved), .idempotency = std::nullopt};
  const auto results = apply(holder, std::move(accept));
  EXPECT_EQ(std::get<AcceptResult>(results.value()[0]).order->status, domain::Status::rejected);
  EXPECT_EQ(holder.held(), 0U);
  EXPECT_EQ(database.leases(), 0U);
}

TEST_F(SharedStoreWriting, WhatACommitWithoutAnAnswerLeasedIsGivenBack) {
  EXPECT_THAT(claimed(holder), IsEmpty());
  road.passages = {Passage::answer_lost};
  EXPECT_EQ(apply(holder, accept_of(OrderBuilder(1))).error(), StoreError::unknown_outcome);
  EXPECT_EQ(holder.held(), 0U);
  EXPECT_EQ(database.leases(), 1U);
  EXPECT_THAT(claimed(second), IsEmpty());
  ASSERT_TRUE(holder.settled());
  EXPECT_THAT(claimed(second), SizeIs(1));
}

TEST_F(SharedStoreWriting, WhatAProcessHeldIsFreeWhenItStartsAgain) {
  const Order order = held(1);
  database.start_run(kHolder);
  EXPECT_THAT(claimed(second), ElementsAre(order));
}

TEST_F(SharedStoreWriting, AReleaseWaitsForABatchThatSucceedsAndIsLostWithAnythingElse) {
  const Order order = placed(1);
  ASSERT_TRUE(first.claim_one(order.id).value());
  first.release(order.id, now.wall);
  road.passages = {Passage::refused};
  EXPECT_FALSE(apply(first, accept_of(OrderBuilder(2))));
  ASSERT_TRUE(apply(first, accept_of(OrderBuilder(3))));
  road.passages = {Passage::through, Passage::refused};
  EXPECT_TRUE(first.settled()) << "nothing is left to send before it";
  road.passages.clear();
  ASSERT_TRUE(second.claim_one(order.id).value());
  second.release(order.id, now.wall);
  ASSERT_TRUE(second.settled());
  ASSERT_TRUE(first.claim_one(order.id).value());
  first.release(order.id, now.wall);
  road.passages = {Passage::refused};
  EXPECT_FALSE(first.settled());
  ASSERT_TRUE(first.settled());
  EXPECT_FALSE(second.claim_one(order.id).value());
}

TEST_F(SharedStoreWriting, ABatchOfSeveralTenantsIsTwoCommitsAndOneAnswer) {
  const auto results = apply_of({"a", "b", "a", "c", "a"});
  ASSERT_TRUE(results);
  EXPECT_EQ(accepted(*results), sent);
  EXPECT_EQ(database.commits(), 2U);
  EXPECT_EQ(probes.of(Probe::batch_divided), 1U);
}

TEST_F(SharedStoreWriting, WhatEndsInTwoPartsIsTwoTerminalBatches) {
  ASSERT_TRUE(apply_of({"a", "b"}));
  const std::vector<Order> orders = sent;
  commands = {};
  for (const Order& order : orders) commands.emplace_back(cancelling(order));
  ASSERT_TRUE(wide.apply(commands, now));
  EXPECT_THAT(wide.take_terminal_batches(9).value(), SizeIs(2));
}

TEST_F(SharedStoreWriting, OneTenantIsOnePart) {
  ASSERT_TRUE(apply_of({"a", "a", "a"}));
  EXPECT_EQ(database.commits(), 1U);
}

TEST_F(SharedStoreWriting, EachPartHoldsItsShareOfTheRoom) {
  EXPECT_THAT(claimed(wide, 3), IsEmpty());
  ASSERT_TRUE(apply_of({"a", "b", "a", "b"}));
  EXPECT_EQ(wide.held(), 2U);
}

TEST_F(SharedStoreWriting, ABatchOfWhichNothingWasDoneIsUnavailableAndWhole) {
  road.passages = {Passage::refused, Passage::refused};
  EXPECT_EQ(apply_of({"a", "b", "a"}).error(), StoreError::unavailable);
  EXPECT_EQ(kept(), sent);
  EXPECT_EQ(stored(), 0U);
}

TEST_F(SharedStoreWriting, APartThatWasLeftOutIsDoneAgain) {
  road.passages = {Passage::refused, Passage::through, Passage::through};
  const auto results = apply_of({"a", "b", "a"});
  ASSERT_TRUE(results);
  EXPECT_EQ(accepted(*results), sent);
  EXPECT_EQ(probes.of(Probe::part_done_again), 1U);
}

// Told as not done, its accepts would be answered as refused.
TEST_F(SharedStoreWriting, ABatchOfWhichOnePartLandedHasAnUnknownOutcome) {
  for (const Passage passage : {Passage::refused, Passage::request_lost}) {
    const std::size_t before = stored();
    sent.clear();
    pass(Duration::seconds(1));
    road.passages = {Passage::through, passage, passage};
    EXPECT_EQ(apply_of({"a", "b", "a"}).error(), StoreError::unknown_outcome);
    EXPECT_EQ(kept(), sent);
    EXPECT_EQ(stored(), before + 2);
    road.passages.clear();
  }
  EXPECT_EQ(probes.of(Probe::part_landed_alone), 2U);
}

TEST_F(SharedStoreWriting, WhatIsAppliedAgainTellsWhichPartHadLanded) {
  ASSERT_TRUE(apply_of({"a", "b"}));
  const std::vector<Order> orders = sent;
  commands = {};
  for (const Order& order : orders) commands.emplace_back(cancelling(order));
  road.passages = {Passage::through, Passage::request_lost};
  ASSERT_EQ(wide.apply(commands, now).error(), StoreError::unknown_outcome);
  const auto again = wide.apply(commands, now).value();
  std::vector<CommitOutcome> outcomes;
  for (const auto& each : again) outcomes.push_back(std::get<ports::CommitResult>(each).outcome);
  EXPECT_THAT(outcomes,
              ::testing::UnorderedElementsAre(CommitOutcome::committed, CommitOutcome::stale));
  EXPECT_EQ(database.depth().active, 0U);
}

TEST_F(SharedStoreWriting, WhatThePartThatLandedLeasedIsGivenBack) {
  EXPECT_THAT(claimed(wide), IsEmpty());
  road.passages = {Passage::through, Passage::request_lost};
  EXPECT_EQ(apply_of({"a", "b"}).error(), StoreError::unknown_outcome);
  EXPECT_EQ(database.leases(), 1U);
  ASSERT_TRUE(wide.settled());
  EXPECT_EQ(database.leases(), 0U);
}

}  // namespace
}  // namespace penstock::simulation

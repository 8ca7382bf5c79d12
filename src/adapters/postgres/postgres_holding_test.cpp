#include <algorithm>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gmock/gmock.h>

#include "adapters/postgres/postgres_fixture_test.h"

// What `penstock serve` asks of the store beyond the contract: accepted orders that it holds, and
// batches that are spread over several connections.
namespace penstock::postgres_store {
namespace {

using domain::Order;
using domain::Stage;
using ports::AcceptOutcome;
using ports::AcceptResult;
using ports::CommitOutcome;
using ports::CommitResult;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class PostgresHolding : public PostgresTest {
 protected:
  static constexpr std::size_t kRoom = 10;

  std::unique_ptr<PostgresStore> open_holding(const std::string& node = "holder") {
    PostgresStoreOptions holding = options(node);
    holding.holding = Holding::accepted;
    return open(holding);
  }
  /// A claim that finds nothing and has room for what comes.
  static void want(PostgresStore& store, std::size_t room = kRoom) {
    EXPECT_THAT(store.claim(Stage::inventory, room, {}).value(), IsEmpty());
  }
  std::int64_t leased_rows() {
    return schema.number("SELECT count(*) FROM active_orders WHERE lease_until > store_now()");
  }
};

TEST_F(PostgresHolding, AnAcceptedOrderIsHandedOutWithoutBeingReadBack) {
  const auto store = open_holding();
  want(*store);
  const Order stored = store_placed(*store, order());
  EXPECT_EQ(leased_rows(), 1);
  const auto round_trips = store->round_trips();
  EXPECT_THAT(store->claim(Stage::inventory, 1, {}).value(), ElementsAre(stored));
  EXPECT_EQ(store->round_trips(), round_trips);
  EXPECT_THAT(store->claim(Stage::inventory, kRoom, {}).value(), IsEmpty());
}

TEST_F(PostgresHolding, NobodyElseIsGivenWhatIsHeld) {
  const auto store = open_holding();
  const auto other = open(options("other"));
  want(*store);
  const Order stored = store_placed(*store, order());
  EXPECT_THAT(other->claim(Stage::inventory, kRoom, {}).value(), IsEmpty());
  EXPECT_FALSE(other->claim_one(stored.id).value().has_value());
  EXPECT_EQ(store->claim_one(stored.id).value(), stored);
}

TEST_F(PostgresHolding, NoMoreIsHeldThanTheLastClaimHadRoomFor) {
  const auto store = open_holding();
  store_placed(*store, order());
  EXPECT_EQ(leased_rows(), 0) << "nobody asked for it yet";
  EXPECT_THAT(store->claim(Stage::inventory, 3, {}).value(), SizeIs(1));
  std::vector<ports::Command> commands;
  for (int number = 0; number < 3; ++number) {
    commands.emplace_back(accept_of(order().placed(now())));
  }
  ASSERT_TRUE(apply(*store, std::move(commands)).has_value());
  EXPECT_EQ(leased_rows(), 1 + 2);
  EXPECT_THAT(store->claim(Stage::inventory, kRoom, {}).value(), SizeIs(3));
}

TEST_F(PostgresHolding, AnOrderWaitsBehindThoseOfItsTenantThatWaitAlready) {
  const auto store = open_holding();
  const auto other = open(options("other"));
  want(*store);
  const Order first = store_placed(*other, order());
  const Order second = store_placed(*store, order());
  const Order of_another = store_placed(*store, order().tenant("globex"));
  EXPECT_EQ(leased_rows(), 1);
  EXPECT_THAT(other->claim(Stage::inventory, kRoom, {}).value(), ElementsAre(first, second));
  EXPECT_THAT(store->claim(Stage::inventory, kRoom, {}).value(), ElementsAre(of_another));
}

TEST_F(PostgresHolding, WhatIsLeasedToOthersIsNotWaitedFor) {
  const auto store = open_holding();
  const auto other = open(options("other"));
  store_placed(*other, order());
  ASSERT_THAT(other->claim(Stage::inventory, kRoom, {}).value(), SizeIs(1));
  want(*store);
  const Order mine = store_placed(*store, order());
  EXPECT_EQ(leased_rows(), 2);
  EXPECT_THAT(store->claim(Stage::inventory, kRoom, {}).value(), ElementsAre(mine));
}

TEST_F(PostgresHolding, WhatACommitChangedIsNotHandedOut) {
  const auto store = open_holding();
  want(*store);
  const Order stored = store_placed(*store, order());
  const auto cancelled = store_contract::steps::cancel(stored, now());
  ASSERT_EQ(apply_one<CommitResult>(*store, commit_of(stored, cancelled)).outcome,
            CommitOutcome::committed);
  EXPECT_THAT(store->claim(Stage::inventory, kRoom, {}).value(), IsEmpty());
}

TEST_F(PostgresHolding, ADeniedReplayedOrRejectedOrderIsNotHeld) {
  PostgresStoreOptions holding = options("holder");
  holding.holding = Holding::accepted;
  holding.default_contract.bucket.burst = 2;
  holding.default_contract.bucket.rate.micro_tokens = 1;
  const auto store = open(holding);
  want(*store);
  EXPECT_EQ(apply_one<AcceptResult>(*store, accept_of(order().placed(now()), "key")).outcome,
            AcceptOutcome::accepted);
  EXPECT_EQ(apply_one<AcceptResult>(*store, accept_of(order().placed(now()), "key")).outcome,
            AcceptOutcome::replayed);
  EXPECT_EQ(apply_one<AcceptResult>(*store, reserving(order().item("NEVER"))).outcome,
            AcceptOutcome::accepted);
  EXPECT_EQ(apply_one<AcceptResult>(*store, accept_of(order().placed(now()))).outcome,
            AcceptOutcome::denied);
  EXPECT_THAT(store->claim(Stage::inventory, kRoom, {}).value(), SizeIs(1));
  EXPECT_THAT(store->claim(Stage::payment, kRoom, {}).value(), IsEmpty());
}

TEST_F(PostgresHolding, ACleanEndGivesBackWhatIsHeld) {
  const auto store = open_holding();
  const auto other = open(options("other"));
  want(*store);
  const Order stored = store_placed(*store, order());
  ASSERT_TRUE(store->close().has_value());
  EXPECT_THAT(other->claim(Stage::inventory, kRoom, {}).value(), ElementsAre(stored));
}

TEST_F(PostgresHolding, WhatACrashedProcessHeldIsItsOwnAgainAtOnce) {
  auto store = open_holding();
  want(*store);
  const Order stored = store_placed(*store, order());
  store.reset();
  const auto next = open_holding();
  EXPECT_THAT(next->claim(Stage::inventory, kRoom, {}).value(), ElementsAre(stored));
}

class PostgresLanes : public PostgresTest {
 protected:
  static constexpr int kTenants = 4;
  static constexpr int kOrders = 16;  ///< of all tenants

  std::unique_ptr<PostgresStore> open_wide() {
    PostgresStoreOptions wide = options("wide");
    wide.writer_connections = 2;
    wide.least_split_batch = 2;
    return open(wide);
  }
  std::vector<ports::Command> accepts() {
    std::vector<ports::Command> commands;
    for (int number = 0; number < kOrders; ++number) {
      commands.emplace_back(
          accept_of(order().tenant(fmt::format("tenant-{}", number % kTenants)).placed(now())));
    }
    return commands;
  }
  static std::vector<Order> orders_of(const std::vector<ports::Command>& commands) {
    std::vector<Order> orders;
    for (const auto& each : commands) orders.push_back(std::get<ports::Accept>(each).commit.next);
    return orders;
  }
  static std::vector<Order> accepted(const Results& results) {
    std::vector<Order> orders;
    for (const auto& result : results.value()) {
      orders.push_back(std::get<AcceptResult>(result).order.value());
    }
    return orders;
  }
  std::int64_t stored() { return schema.number("SELECT count(*) FROM active_orders"); }
  std::int64_t transactions() {
    return schema.number("SELECT count(DISTINCT xmin::text) FROM active_orders");
  }
};

TEST_F(PostgresLanes, ABatchOfSeveralTenantsIsTwoTransactionsAndOneAnswer) {
  const auto store = open_wide();
  auto commands = accepts();
  const auto orders = orders_of(commands);
  EXPECT_EQ(accepted(apply(*store, std::move(commands))), orders);
  EXPECT_EQ(transactions(), 2);
  EXPECT_EQ(store->depth().active, static_cast<std::size_t>(kOrders));
}

TEST_F(PostgresLanes, WhatAFurtherConnectionCouldNotDoTheFirstOneDoes) {
  const auto store = open_wide();
  ASSERT_TRUE(apply(*store, accepts()).has_value());
  ASSERT_EQ(schema.number("SELECT count(pg_terminate_backend(pid, 20000)) FROM pg_stat_activity"
                          " WHERE application_name = 'penstock wide/2'"
                          " AND datname = current_database()"),
            1);
  auto commands = accepts();
  const auto orders = orders_of(commands);
  EXPECT_EQ(accepted(apply(*store, std::move(commands))), orders);
  EXPECT_EQ(stored(), 2 * kOrders);
}

TEST_F(PostgresLanes, WithoutTheFirstConnectionNothingIsDone) {
  const auto store = open_wide();
  ASSERT_TRUE(apply(*store, accepts()).has_value());
  ASSERT_EQ(schema.number(
                fmt::format("SELECT pg_terminate_backend({}, 20000)::int", store->backend_pid())),
            1);
  auto commands = accepts();
  const auto orders = orders_of(commands);
  // Either nothing was done and the commands are as they were, or all of it was.
  const auto results = store->apply(commands, {});
  if (results) {
    EXPECT_EQ(stored(), 2 * kOrders);
  } else {
    EXPECT_EQ(results.error(), ports::StoreError::unavailable);
    EXPECT_EQ(orders_of(commands), orders);
    EXPECT_EQ(stored(), kOrders);
  }
}

TEST_F(PostgresLanes, TheDepthBoundHoldsOverAllConnections) {
  PostgresStoreOptions bounded = options("wide");
  bounded.writer_connections = 2;
  bounded.least_split_batch = 2;
  bounded.max_active = kOrders + 3;
  const auto store = open(bounded);
  for (int tenant = 0; tenant < kTenants; ++tenant) {
    std::vector<ports::Command> put;
    put.emplace_back(
        ports::PutContract{.tenant = domain::TenantId::unchecked(fmt::format("tenant-{}", tenant)),
                           .contract = bounded.default_contract});
    ASSERT_TRUE(apply(*store, std::move(put)).has_value());
  }
  ASSERT_TRUE(apply(*store, accepts()).has_value());
  ASSERT_EQ(stored(), kOrders);
  const auto results = apply(*store, accepts());
  ASSERT_TRUE(results.has_value());
  EXPECT_EQ(std::ranges::count_if(*results,
                                  [](const ports::CommandResult& result) {
                                    return std::get<AcceptResult>(result).outcome ==
                                           AcceptOutcome::accepted;
                                  }),
            2)
      << "one place stays free for another party";
  EXPECT_EQ(stored(), kOrders + 2);
}

}  // namespace
}  // namespace penstock::postgres_store

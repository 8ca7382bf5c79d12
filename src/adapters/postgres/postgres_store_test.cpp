#include <atomic>
#include <random>
#include <set>
#include <thread>

#include <fmt/format.h>
#include <gmock/gmock.h>

#include "adapters/postgres/postgres_fixture_test.h"

// What several processes on one database ask of the store: leases that end with time, fences, races
// without deadlock, oversell or doubles, and one round trip a call.
namespace penstock::postgres_store {
namespace {

using domain::Duration;
using domain::Order;
using domain::Stage;
using ports::AcceptOutcome;
using ports::AcceptResult;
using ports::CommitOutcome;
using ports::CommitResult;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class PostgresStores : public PostgresTest {
 protected:
  /// A node whose leases are over as soon as they begin.
  std::unique_ptr<PostgresStore> open_hasty(const std::string& node) {
    PostgresStoreOptions hasty = options(node);
    hasty.lease = Duration{1};
    return open(hasty);
  }
};

TEST_F(PostgresStores, ALeaseKeepsOtherNodesOutUntilItEnds) {
  const auto careful = open(options("a"));
  const auto hasty = open_hasty("b");
  const Order stored = store_placed(*careful, order());
  ASSERT_THAT(hasty->claim(Stage::inventory, 10, {}).value(), SizeIs(1));
  ASSERT_THAT(careful->claim(Stage::inventory, 10, {}).value(), SizeIs(1));
  EXPECT_THAT(hasty->claim(Stage::inventory, 10, {}).value(), IsEmpty());
  EXPECT_FALSE(hasty->claim_one(stored.id).value().has_value());
  EXPECT_EQ(hasty->depth().stages.at(static_cast<std::size_t>(Stage::inventory)).leased, 1U);
}

TEST_F(PostgresStores, AZombiesReleaseAndCommitAreFenced) {
  const auto zombie = open_hasty("a");
  const auto owner = open(options("b"));
  store_placed(*owner, order());
  const Order claimed = zombie->claim(Stage::inventory, 1, {}).value().at(0);
  const Order taken_over = owner->claim(Stage::inventory, 1, {}).value().at(0);
  zombie->release(claimed.id, {});
  EXPECT_EQ(zombie->depth().stages.at(static_cast<std::size_t>(Stage::inventory)).leased, 1U);
  const auto cancelled = store_contract::steps::cancel(taken_over, now());
  ASSERT_EQ(apply_one<CommitResult>(*owner, commit_of(taken_over, cancelled)).outcome,
            CommitOutcome::committed);
  const auto late = apply_one<CommitResult>(
      *zombie, commit_of(claimed, store_contract::steps::cancel(claimed, now())));
  EXPECT_EQ(late.outcome, CommitOutcome::stale);
  EXPECT_EQ(late.current, cancelled.next);
}

TEST_F(PostgresStores, TwoProcessesOfOneNameAreRefused) {
  const auto first = open(options("same"));
  PostgresStoreOptions second = options("same");
  second.connect_timeout = Duration::seconds(1);
  const auto refused = PostgresStore::open(second);
  ASSERT_FALSE(refused.has_value());
  EXPECT_NE(refused.error().detail.find("another process runs as node"), std::string::npos);
  EXPECT_TRUE(first->settled().has_value());
}

TEST_F(PostgresStores, ARestartedNodeFreesItsOwnLeasesAndNoOthers) {
  auto restarted = open(options("a"));
  const auto other = open(options("b"));
  store_placed(*other, order());
  store_placed(*other, order());
  const Order own = restarted->claim(Stage::inventory, 1, {}).value().at(0);
  ASSERT_THAT(other->claim(Stage::inventory, 1, {}).value(), SizeIs(1));
  restarted.reset();
  restarted = open(options("a"));
  EXPECT_THAT(other->claim(Stage::inventory, 5, {}).value(), ::testing::ElementsAre(own));
  EXPECT_EQ(restarted->recovery().unclean_ends, 1);
  EXPECT_EQ(other->recovery().unclean_ends, 0);
}

TEST_F(PostgresStores, AnOrderThatAnotherNodeTookSinceWasNotInterrupted) {
  auto crashed = open_hasty("a");
  const auto other = open(options("b"));
  const Order running = store_placed(*other, order());
  const Order idle = store_placed(*other, order());
  ASSERT_THAT(crashed->claim(Stage::inventory, 2, {}).value(), SizeIs(2));
  ASSERT_TRUE(crashed->mark(std::vector{running.id, idle.id}).has_value());
  ASSERT_TRUE(other->claim_one(running.id).value().has_value());
  crashed.reset();
  EXPECT_EQ(open_hasty("a")->recovery().interrupted, std::vector{idle.id});
}

TEST_F(PostgresStores, EveryCallIsOneRoundTripWhateverItsSize) {
  const auto store = open(options());
  set_stock(*store, "PROD-1", 1'000'000);
  std::vector<ports::Command> commands;
  for (int number = 0; number < 300; ++number) {
    commands.emplace_back(reserving(order().tenant(fmt::format("t{}", number % 7))));
    commands.emplace_back(ports::PeekBucket{domain::TenantId::unchecked("acme")});
  }
  commands.emplace_back(ports::Restock{.tenant = domain::TenantId::unchecked("acme"),
                                       .product = domain::ProductId::unchecked("PROD-1"),
                                       .quantity = 1});
  commands.emplace_back(reserving(order()));
  const std::uint64_t before = store->round_trips();
  ASSERT_TRUE(store->apply(commands, {}).has_value());
  EXPECT_EQ(store->round_trips(), before + 1);
  ASSERT_TRUE(store->claim(Stage::payment, 1'000, {}).has_value());
  EXPECT_EQ(store->round_trips(), before + 2);
}

TEST_F(PostgresStores, ConsecutiveClaimsPassAllTenantsInTurn) {
  const auto store = open(options());
  for (int tenant = 0; tenant < 5; ++tenant) {
    for (int number = 0; number < 6; ++number) {
      store_placed(*store, order().tenant(fmt::format("t{}", tenant)));
    }
  }
  std::multiset<std::string> tenants;
  for (int claim = 0; claim < 5; ++claim) {
    const std::vector<Order> claimed = store->claim(Stage::inventory, 2, {}).value();
    for (const Order& each : claimed) tenants.insert(each.tenant.str());
  }
  for (int tenant = 0; tenant < 5; ++tenant) {
    EXPECT_EQ(tenants.count(fmt::format("t{}", tenant)), 2U) << tenant;
  }
}

TEST_F(PostgresStores, NodesShareOneBucket) {
  PostgresStoreOptions tight = options("a");
  tight.default_contract.bucket = {.rate = {.micro_tokens = 1, .period_ns = 1'000'000'000},
                                   .burst = 5};
  const auto first = open(tight);
  tight.node = "b";
  const auto second = open(tight);
  int admitted = 0;
  for (int number = 0; number < 20; ++number) {
    PostgresStore& store = number % 2 == 0 ? *first : *second;
    const auto result = apply_one<AcceptResult>(store, accept_of(order().placed(now())));
    admitted += result.outcome == AcceptOutcome::accepted ? 1 : 0;
  }
  EXPECT_EQ(admitted, 5);
}

TEST_F(PostgresStores, TheDepthBoundCountsTheOrdersOfAllNodes) {
  PostgresStoreOptions small = options("a");
  small.max_active = 3;
  const auto first = open(small);
  small.node = "b";
  const auto second = open(small);
  // Each a party of its own, so that all three places may be taken.
  for (const char* tenant : {"t1", "t2", "t3", "t4"}) {
    apply_one<ports::PutOutcome>(*first,
                                 ports::PutContract{.tenant = domain::TenantId::unchecked(tenant),
                                                    .contract = small.default_contract});
  }
  store_placed(*first, order().tenant("t1"));
  const Order moved = store_placed(*first, order().tenant("t2"));
  store_placed(*second, order().tenant("t3"));
  const auto accept = [this](PostgresStore& store) {
    return apply_one<AcceptResult>(store, accept_of(order().tenant("t4").placed(now()))).outcome;
  };
  EXPECT_EQ(accept(*second), AcceptOutcome::full);
  // It ends at another node than the one that accepted it.
  apply_one<CommitResult>(*second, commit_of(moved, store_contract::steps::cancel(moved, now())));
  EXPECT_EQ(first->depth().active, 2U);
  EXPECT_EQ(accept(*first), AcceptOutcome::accepted);
}

TEST_F(PostgresStores, AShareOfTheDepthCountsTheOrdersOfAllNodes) {
  PostgresStoreOptions small = options("a");
  small.max_active = 45;
  const auto first = open(small);
  small.node = "b";
  const auto second = open(small);
  const auto accept = [this](PostgresStore& store, const char* tenant) {
    return apply_one<AcceptResult>(store, accept_of(order().tenant(tenant).placed(now()))).outcome;
  };
  for (const char* tenant : {"greedy", "good"}) {
    apply_one<ports::PutOutcome>(*first,
                                 ports::PutContract{.tenant = domain::TenantId::unchecked(tenant),
                                                    .contract = small.default_contract});
  }
  int accepted = 0;
  for (int number = 0; number < 60; ++number) {
    PostgresStore& store = number % 2 == 0 ? *first : *second;
    accepted += accept(store, "greedy") == AcceptOutcome::accepted ? 1 : 0;
  }
  EXPECT_EQ(accepted, 40);
  EXPECT_EQ(accept(*second, "good"), AcceptOutcome::accepted);
}

TEST_F(PostgresStores, AGatewayOfAProcessIsNobodyElsesAndASharedOneIsForAll) {
  const auto holding = [this](const std::string& node, GatewayHold hold) {
    PostgresStoreOptions holder = options(node);
    holder.gateway = hold;
    holder.connect_timeout = Duration::milliseconds(100);
    return holder;
  };
  const auto nobody = open(holding("ingest", GatewayHold::none));
  auto sandbox = PostgresStore::open(holding("a", GatewayHold::alone)).value();
  for (const GatewayHold hold : {GatewayHold::alone, GatewayHold::shared}) {
    const auto refused = PostgresStore::open(holding("b", hold));
    ASSERT_FALSE(refused.has_value());
    EXPECT_EQ(refused.error().sql_state, "55006");
  }
  ASSERT_TRUE(sandbox->close().has_value());
  sandbox.reset();
  const auto first = open(holding("b", GatewayHold::shared));
  const auto second = open(holding("c", GatewayHold::shared));
  EXPECT_FALSE(PostgresStore::open(holding("a", GatewayHold::alone)).has_value());
}

TEST_F(PostgresStores, TheStagesThatOrdersWaitForAreToldOnceTheyAreStored) {
  std::vector<std::uint32_t> told;
  PostgresStoreOptions telling = options();
  telling.work_stored = [&](std::uint32_t stages) { told.push_back(stages); };
  const auto bit = [](domain::Stage stage) { return 1U << static_cast<unsigned>(stage); };
  const auto store = open(telling);
  set_stock(*store, "PROD-1", 10);
  EXPECT_TRUE(told.empty());
  const Order placed = store_placed(*store, order());
  apply_one<AcceptResult>(*store, reserving(order().item("PROD-1")));
  apply_one<CommitResult>(*store, commit_of(placed, store_contract::steps::cancel(placed, now())));
  EXPECT_EQ(told, (std::vector{bit(domain::Stage::inventory), bit(domain::Stage::payment),
                               bit(domain::Stage::notification)}));
}

TEST_F(PostgresStores, WhereThereWasNoWorkItIsAskedAgainOnNewsOrBehindThePause) {
  PostgresStoreOptions calm = options("calm");
  calm.empty_pause = Duration::hours(1);
  const auto store = open(calm);
  const auto other = open(options("other"));
  const auto claimed = [&] {
    return store->claim(domain::Stage::inventory, 10, {}).value().size();
  };
  EXPECT_EQ(claimed(), 0U);
  EXPECT_TRUE(store->take_terminal_batches(1).value().empty());
  store_placed(*other, order());
  const std::uint64_t before = store->round_trips();
  EXPECT_EQ(claimed(), 0U) << "nobody told of it, and the pause is long";
  EXPECT_EQ(store->round_trips(), before);
  store->expect_work();
  EXPECT_EQ(claimed(), 1U);
  const Order own = store_placed(*store, order());
  EXPECT_EQ(claimed(), 1U) << "its own work needs no news";
  apply_one<CommitResult>(*store, commit_of(own, store_contract::steps::cancel(own, now())));
  EXPECT_EQ(store->take_terminal_batches(1).value().size(), 1U);
  EXPECT_TRUE(store->take_terminal_batches(1).value().empty());
}

TEST_F(PostgresStores, TerminalBatchesThatAreTakenAheadAreHandedOutInTheirOrder) {
  PostgresStoreOptions calm = options("calm");
  calm.empty_pause = Duration::hours(1);
  const auto store = open(calm);
  std::vector<domain::OrderId> ended;
  for (int number = 0; number < 12; ++number) {
    const Order placed = store_placed(*store, order());
    apply_one<CommitResult>(*store,
                            commit_of(placed, store_contract::steps::cancel(placed, now())));
    ended.push_back(placed.id);
  }
  std::vector<domain::OrderId> told;
  for (int number = 0; number < 20; ++number) {
    const auto batches = store->take_terminal_batches(1).value();
    ASSERT_LE(batches.size(), 1U);
    for (const auto& batch : batches) told.push_back(batch.entries.at(0).order);
  }
  EXPECT_EQ(told, ended);
}

TEST_F(PostgresStores, TheReaderTellsWhichOrdersEnded) {
  const auto store = open(options());
  const Order open_one = store_placed(*store, order());
  const Order cancelled = store_placed(*store, order());
  apply_one<CommitResult>(*store,
                          commit_of(cancelled, store_contract::steps::cancel(cancelled, now())));
  const domain::OrderId stranger = domain::OrderId::make(now(), 0, 99);
  const std::vector<domain::OrderId> asked{open_one.id, cancelled.id, stranger};
  EXPECT_EQ(store->reader().ended(asked).value(), std::vector{cancelled.id});
  EXPECT_TRUE(store->reader().ended({}).value().empty());
}

TEST_F(PostgresStores, WhateverAClientSendsInMetadataComesBack) {
  const auto store = open(options());
  const Order stored = store_placed(
      *store, order().metadata("zero", std::string("\0", 1)).metadata("bytes", "\xff\xc0"));
  EXPECT_EQ(store->reader().find(stored.id).value().value().order, stored);
}

TEST_F(PostgresStores, OneKeyAtTwoNodesAtOnceMakesOneOrder) {
  constexpr int kKeys = 40;
  const auto first = open(options("a"));
  const auto second = open(options("b"));
  std::vector<ports::Command> of_first;
  std::vector<ports::Command> of_second;
  for (int key = 0; key < kKeys; ++key) {
    const std::string name = fmt::format("key-{}", key);
    of_first.emplace_back(accept_of(order().placed(now()), name));
    of_second.emplace_back(accept_of(order().placed(now()), name));
  }
  std::vector<std::pair<AcceptOutcome, domain::OrderId>> answers[2];
  const auto run = [](PostgresStore& store, std::vector<ports::Command> commands, auto& told) {
    // In batches of three, so that the two meet again and again.
    for (std::size_t begin = 0; begin < commands.size(); begin += 3) {
      const std::size_t count = std::min<std::size_t>(3, commands.size() - begin);
      auto results = store.apply(std::span(commands).subspan(begin, count), {});
      if (!results) return;
      for (const auto& result : *results) {
        const auto& accept = std::get<AcceptResult>(result);
        told.emplace_back(accept.outcome, accept.order.value_or(Order{}).id);
      }
    }
  };
  std::thread other([&] { run(*second, std::move(of_second), answers[1]); });
  run(*first, std::move(of_first), answers[0]);
  other.join();
  ASSERT_THAT(answers[0], SizeIs(kKeys));
  ASSERT_THAT(answers[1], SizeIs(kKeys));
  for (std::size_t key = 0; key < kKeys; ++key) {
    EXPECT_EQ(answers[0][key].second, answers[1][key].second) << key;
    EXPECT_NE(answers[0][key].first, answers[1][key].first) << key;
  }
  EXPECT_EQ(first->depth().active, static_cast<std::size_t>(kKeys));
}

TEST_F(PostgresStores, WritersThatMeetOnTheSameProductsNeitherDeadlockNorOversell) {
  constexpr int kProducts = 6;
  constexpr int kWriters = 3;
  constexpr int kBatches = 25;
  std::vector<std::unique_ptr<PostgresStore>> stores;
  for (int writer = 0; writer < kWriters; ++writer) {
    stores.push_back(open(options(fmt::format("w{}", writer))));
  }
  for (int product = 0; product < kProducts; ++product) {
    set_stock(*stores[0], fmt::format("P{}", product), 150);
  }
  std::atomic<int> failures = 0;
  std::atomic<int> rejected = 0;
  const auto work = [&](int writer) {
    std::mt19937 random(static_cast<unsigned>(writer));
    std::uint64_t number = static_cast<std::uint64_t>(writer + 1) * 1'000'000;
    std::vector<Order> held;
    for (int batch = 0; batch < kBatches; ++batch) {
      std::vector<ports::Command> commands;
      for (int each = 0; each < 8; ++each) {
        store_contract::OrderBuilder builder(++number);
        for (int line = 0; line < 3; ++line) builder.item(fmt::format("P{}", random() % kProducts));
        commands.emplace_back(reserving(builder));
      }
      for (const Order& each : held) {
        commands.emplace_back(commit_of(each, store_contract::steps::cancel(each, now())));
      }
      held.clear();
      auto results = stores[static_cast<std::size_t>(writer)]->apply(commands, {});
      if (!results) {
        ++failures;
        continue;
      }
      for (const auto& result : *results) {
        const auto* accept = std::get_if<AcceptResult>(&result);
        if (accept == nullptr) continue;
        const bool is_held = accept->order.value().status == domain::Status::reserved;
        rejected += is_held ? 0 : 1;
        if (is_held && random() % 3 == 0) held.push_back(*accept->order);
      }
    }
  };
  std::vector<std::thread> threads;
  for (int writer = 0; writer < kWriters; ++writer) threads.emplace_back(work, writer);
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(failures, 0);
  EXPECT_GT(rejected, 0);  // the stock was really fought for
  EXPECT_EQ(schema.number("SELECT count(*) FROM stock WHERE received <> 150"), 0);
  EXPECT_EQ(
      schema.number(
          "SELECT count(*) FROM stock s LEFT JOIN (SELECT i ->> 0 AS product_id,"
          " sum((i ->> 1)::bigint) AS pieces FROM active_orders, jsonb_array_elements(items) i"
          " WHERE holds_stock GROUP BY 1) a USING (product_id)"
          " WHERE s.reserved <> coalesce(a.pieces, 0)"),
      0);
  EXPECT_EQ(schema.number("SELECT sum(active)::bigint FROM active_counts"),
            schema.number("SELECT count(*) FROM active_orders"));
}

}  // namespace
}  // namespace penstock::postgres_store

#include <gmock/gmock.h>

#include "tests/contract/order_store_contract.h"

// Restarts: what was acknowledged is there, what was only known to the process is rebuilt or gone.
namespace penstock::store_contract {
namespace {

using domain::Duration;
using domain::Order;
using domain::OrderId;
using domain::Stage;
using ports::AcceptOutcome;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

TEST_P(OrderStoreContract, AFirstStartFindsNothing) {
  const auto recovery = store().recovery();
  EXPECT_EQ(recovery.unclean_ends, 0);
  EXPECT_EQ(recovery.active, 0U);
  EXPECT_THAT(recovery.interrupted, IsEmpty());
}

TEST_P(OrderStoreContract, ACrashKeepsExactlyWhatWasAcknowledged) {
  const std::vector<Order> orders{store_placed(order()),
                                  store_reserved(order()),
                                  store_charged(order()),
                                  store_fulfilled(order()),
                                  store_owing(order()),
                                  store_dead_letter(order()),
                                  submit(reserving(order().item("NEVER"))).order.value()};
  const Order failed = commit_step(orders[1], steps::fail(orders[1], now.wall));
  const auto expect_all = [&] {
    for (const Order& each : orders) {
      const Order& expected = each.id == failed.id ? failed : each;
      EXPECT_EQ(found(expected).order, expected);
      EXPECT_EQ(found(expected).receipt,
                expected.status == domain::Status::fulfilled ? kReceipt : "");
    }
    EXPECT_EQ(reader().list({.limit = 100}).value().orders.size(), orders.size());
    EXPECT_EQ(store().recovery().active, 5U);
    EXPECT_EQ(store().depth().active, 5U);
  };
  crash();
  expect_all();
  // A recovery of a recovery is the same (semantics 6.23).
  crash();
  expect_all();
  close(Boot::another);
  expect_all();
}

TEST_P(OrderStoreContract, ACrashTakesEveryLeaseAndKeepsTheOrderOfTheQueue) {
  std::vector<OrderId> accepted;
  for (int number = 0; number < 10; ++number) accepted.push_back(store_placed(order()).id);
  ASSERT_EQ(claim(Stage::inventory, 4).size(), 4U);
  crash();
  EXPECT_EQ(depth_of(Stage::inventory).leased, 0U);
  EXPECT_EQ(claim(Stage::inventory), accepted);
}

TEST_P(OrderStoreContract, EveryStageFindsItsOrdersAfterACrash) {
  const Order waiting = store_placed(order());
  const Order reserved = store_reserved(order());
  const Order charged = store_charged(order());
  const Order owing = store_owing(order());
  crash();
  EXPECT_THAT(claim_orders(Stage::inventory), ElementsAre(waiting));
  EXPECT_THAT(claim(Stage::payment), UnorderedElementsAre(reserved.id, owing.id));
  EXPECT_THAT(claim_orders(Stage::fulfillment), ElementsAre(charged));
}

TEST_P(OrderStoreContract, RetriesAndHoldsKeepTheirTimeOverACrash) {
  const Order reserved = store_reserved(order());
  const Order failed = commit_step(reserved, steps::fail(reserved, now.wall));
  const Order dead_letter = store_dead_letter(order());
  crash();
  EXPECT_THAT(claim(Stage::payment), IsEmpty());
  EXPECT_EQ(store().next_due(), failed.due);
  pass(Duration{failed.due.us - now.wall.us - 1});
  EXPECT_THAT(claim(Stage::payment), IsEmpty());
  pass(Duration{1});
  EXPECT_THAT(claim(Stage::payment), ElementsAre(failed.id));
  pass(Duration{dead_letter.due.us - now.wall.us - 1});
  EXPECT_THAT(claim(Stage::payment), IsEmpty());
  pass(Duration{1});
  EXPECT_THAT(claim(Stage::payment), ElementsAre(dead_letter.id));
}

TEST_P(OrderStoreContract, AReleaseIsNotDurable) {
  const Order reserved = store_reserved(order());
  ASSERT_EQ(claim(Stage::payment).size(), 1U);
  store().release(reserved.id, now.wall + Duration::hours(1));
  crash();
  EXPECT_THAT(claim_orders(Stage::payment), ElementsAre(reserved));
}

TEST_P(OrderStoreContract, WeightsHoldAfterACrash) {
  domain::Contract heavy = options.default_contract;
  heavy.weight = 4;
  put_contract("heavy", heavy);
  for (int number = 0; number < 20; ++number) store_placed(order().tenant("heavy"));
  for (int number = 0; number < 20; ++number) store_placed(order().tenant("light"));
  crash();
  int of_heavy = 0;
  for (const Order& each : claim_orders(Stage::inventory, 20)) {
    of_heavy += each.tenant.str() == "heavy" ? 1 : 0;
  }
  EXPECT_EQ(of_heavy, 16);
}

TEST_P(OrderStoreContract, KeysAreKnownAfterACrashUntilTheyExpire) {
  options.idempotency_retention = Duration::seconds(600);
  const auto first = submit(accept_of(placed(order()), "key", 1));
  pass(Duration::seconds(599));
  crash(Boot::another);
  const auto replay = submit(accept_of(placed(order()), "key", 1));
  EXPECT_EQ(replay.outcome, AcceptOutcome::replayed);
  EXPECT_EQ(replay.order, first.order);
  EXPECT_EQ(submit(accept_of(placed(order()), "key", 2)).outcome, AcceptOutcome::key_reused);
  pass(Duration::seconds(1));
  crash();
  EXPECT_EQ(submit(accept_of(placed(order()), "key", 2)).outcome, AcceptOutcome::accepted);
}

TEST_P(OrderStoreContract, TheDepthBoundHoldsAfterACrash) {
  options.max_active = 2;
  for (const char* tenant : {"a", "b", "c"}) put_contract(tenant, options.default_contract);
  const Order first = store_placed(order().tenant("a"));
  store_placed(order().tenant("b"));
  crash();
  EXPECT_EQ(submit(accept_of(placed(order().tenant("c")))).outcome, AcceptOutcome::full);
  commit_step(first, steps::cancel(first, now.wall));
  EXPECT_EQ(submit(accept_of(placed(order().tenant("c")))).outcome, AcceptOutcome::accepted);
}

TEST_P(OrderStoreContract, UncleanEndsAreCountedUntilTheyAreSettled) {
  store_placed(order());
  for (int ends = 1; ends <= 3; ++ends) {
    crash();
    EXPECT_EQ(store().recovery().unclean_ends, ends);
  }
  ASSERT_TRUE(store().settled().has_value());
  crash();
  EXPECT_EQ(store().recovery().unclean_ends, 1);
}

TEST_P(OrderStoreContract, ACleanEndStartsTheCountAgain) {
  store_placed(order());
  close();
  EXPECT_EQ(store().recovery().unclean_ends, 0);
  crash();
  crash();
  EXPECT_EQ(store().recovery().unclean_ends, 2);
  close();
  EXPECT_EQ(store().recovery().unclean_ends, 0);
  crash();
  EXPECT_EQ(store().recovery().unclean_ends, 1);
}

TEST_P(OrderStoreContract, MarkedOrdersComeBackAsInterrupted) {
  const Order running = store_reserved(order());
  const Order also_running = store_charged(order());
  const Order idle = store_reserved(order());
  ASSERT_TRUE(store().mark(std::vector{running.id, also_running.id}).has_value());
  crash();
  EXPECT_THAT(store().recovery().interrupted, UnorderedElementsAre(running.id, also_running.id));
  Order expected = running;
  expected.interruptions = 1;
  EXPECT_EQ(found(running).order, expected);  // no version, no event
  EXPECT_EQ(found(also_running).order.interruptions, 1);
  EXPECT_EQ(found(idle).order, idle);
  EXPECT_EQ(claim_one(running), expected);
}

TEST_P(OrderStoreContract, AnInterruptionIsCountedOnce) {
  const Order running = store_reserved(order());
  ASSERT_TRUE(store().mark(std::vector{running.id}).has_value());
  crash();
  ASSERT_EQ(store().recovery().interrupted.size(), 1U);
  crash();
  EXPECT_THAT(store().recovery().interrupted, IsEmpty());
  EXPECT_EQ(found(running).order.interruptions, 1);
}

TEST_P(OrderStoreContract, InterruptionsInARowAddUpAndACommitEndsTheRow) {
  const Order running = store_reserved(order());
  for (int interruptions = 1; interruptions <= 3; ++interruptions) {
    ASSERT_TRUE(store().mark(std::vector{running.id}).has_value());
    crash();
    ASSERT_THAT(store().recovery().interrupted, ElementsAre(running.id));
    EXPECT_EQ(found(running).order.interruptions, interruptions);
  }
  const Order interrupted = found(running).order;
  const Order charged = commit_step(interrupted, steps::capture(interrupted, now.wall));
  EXPECT_EQ(charged.interruptions, 0);
  EXPECT_EQ(found(running).order, charged);
}

TEST_P(OrderStoreContract, ANewSetOfMarksReplacesTheOldOne) {
  const Order first = store_reserved(order());
  const Order second = store_reserved(order());
  ASSERT_TRUE(store().mark(std::vector{first.id}).has_value());
  ASSERT_TRUE(store().mark(std::vector{second.id}).has_value());
  crash();
  EXPECT_THAT(store().recovery().interrupted, ElementsAre(second.id));
  EXPECT_EQ(found(first).order.interruptions, 0);
  ASSERT_TRUE(store().mark(std::vector{first.id}).has_value());
  ASSERT_TRUE(store().mark({}).has_value());
  crash();
  EXPECT_THAT(store().recovery().interrupted, IsEmpty());
}

TEST_P(OrderStoreContract, AMarkedOrderThatEndedWasNotInterrupted) {
  const Order charged = store_charged(order());
  ASSERT_TRUE(store().mark(std::vector{charged.id}).has_value());
  const Order fulfilled = commit_step(charged, steps::next(charged, now.wall));
  crash();
  EXPECT_THAT(store().recovery().interrupted, IsEmpty());
  EXPECT_EQ(found(charged).order, fulfilled);
}

TEST_P(OrderStoreContract, AStoreGoesOnAfterARestartAsIfNothingHadHappened) {
  set_stock(10);
  const Order reserved = store_reserved(order());
  crash();
  ASSERT_THAT(claim_orders(Stage::payment), ElementsAre(reserved));
  const Order charged = commit_step(reserved, steps::capture(reserved, now.wall));
  close();
  ASSERT_THAT(claim_orders(Stage::fulfillment), ElementsAre(charged));
  const Order fulfilled = commit_step(charged, steps::next(charged, now.wall));
  crash(Boot::another);
  EXPECT_EQ(found(fulfilled).order, fulfilled);
  EXPECT_EQ(find_stock(), (domain::Stock{.received = 10, .reserved = 0, .sold = 1}));
  EXPECT_EQ(take_batches().size(), 1U);
  EXPECT_EQ(store().depth().active, 0U);
}

}  // namespace
}  // namespace penstock::store_contract

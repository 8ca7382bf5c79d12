#include <string>

#include "tests/contract/order_store_contract.h"

// Commits: a version fence, the whole order, its stock and its receipt, all or nothing.
namespace penstock::store_contract {
namespace {

using domain::Duration;
using domain::Order;
using domain::Stage;
using domain::Status;
using domain::Stock;
using ports::CommitOutcome;

/// Semantics 6.21: versions 1..n without gaps, each from where the last one led to.
void expect_whole_timeline(const Order& order) {
  ASSERT_EQ(order.timeline.size(), order.version.number);
  std::optional<Status> status;
  for (std::size_t index = 0; index < order.timeline.size(); ++index) {
    EXPECT_EQ(order.timeline[index].version.number, index + 1);
    EXPECT_EQ(order.timeline[index].from, status);
    status = order.timeline[index].to;
  }
  EXPECT_EQ(status, order.status);
}

TEST_P(OrderStoreContract, EveryStepIsStoredWithItsWholeTimeline) {
  set_stock(10);
  Order current = store_placed(order());
  const auto step = [&](const domain::Advance& advance) {
    pass(Duration::milliseconds(3));
    const auto result = commit(current, advance);
    EXPECT_EQ(result.outcome, CommitOutcome::committed);
    EXPECT_FALSE(result.current.has_value());
    current = advance.next;
    EXPECT_EQ(found(current).order, current);
    expect_whole_timeline(found(current).order);
  };
  step(steps::next(current, now.wall));
  step(steps::fail(current, now.wall));
  step(steps::capture(current, now.wall));
  step(steps::next(current, now.wall));
  EXPECT_EQ(current.status, Status::fulfilled);
  EXPECT_EQ(current.version.number, 5U);
}

TEST_P(OrderStoreContract, ACommitMayCarrySeveralVersions) {
  set_stock(10);
  const Order start = store_placed(order().item(kProduct, 1, 0));
  const domain::Advance reserved = steps::next(start, now.wall);
  domain::Advance charged = steps::next(reserved.next, now.wall);
  charged.stock = reserved.stock;
  ASSERT_EQ(charged.next.version.number, 3U);
  EXPECT_EQ(commit(start, charged).outcome, CommitOutcome::committed);
  EXPECT_EQ(found(start).order, charged.next);
  EXPECT_EQ(find_stock()->reserved, 1);
  EXPECT_EQ(claim(Stage::fulfillment).size(), 1U);
}

TEST_P(OrderStoreContract, AStaleCommitReturnsTheCurrentOrderAndChangesNothing) {
  set_stock(10);
  const Order reserved = store_reserved(order().item(kProduct, 3));
  const Order charged = commit_step(reserved, steps::capture(reserved, now.wall));
  const auto stale = commit(reserved, steps::cancel(reserved, now.wall));
  EXPECT_EQ(stale.outcome, CommitOutcome::stale);
  EXPECT_EQ(stale.current, charged);
  EXPECT_EQ(found(charged).order, charged);
  EXPECT_EQ(find_stock(), (Stock{.received = 10, .reserved = 3}));
  EXPECT_TRUE(claim(Stage::payment).empty());
  EXPECT_EQ(claim(Stage::fulfillment), ids_of({charged}));
}

TEST_P(OrderStoreContract, ACommitFromALaterVersionThanTheStoredOneIsStale) {
  const Order reserved = store_reserved(order());
  const domain::Advance charged = steps::capture(reserved, now.wall);
  const auto result = commit(charged.next, steps::next(charged.next, now.wall));
  EXPECT_EQ(result.outcome, CommitOutcome::stale);
  EXPECT_EQ(result.current, reserved);
  EXPECT_EQ(found(reserved).receipt, "");
}

TEST_P(OrderStoreContract, AfterTheEndEveryCommitIsStale) {
  set_stock(10);
  const Order charged = store_charged(order());
  const Order fulfilled = commit_step(charged, steps::next(charged, now.wall));
  const auto late = commit(charged, steps::cancel(charged, now.wall));
  EXPECT_EQ(late.outcome, CommitOutcome::stale);
  EXPECT_EQ(late.current, fulfilled);
  EXPECT_EQ(found(fulfilled).receipt, kReceipt);
  EXPECT_EQ(find_stock(), (Stock{.received = 10, .reserved = 0, .sold = 1}));
  EXPECT_EQ(take_batches().size(), 1U);
}

TEST_P(OrderStoreContract, ACommitOfAnUnknownOrderIsMissing) {
  set_stock(10);
  const Order never = placed(order());
  const auto result = commit(never, steps::next(never, now.wall));
  EXPECT_EQ(result.outcome, CommitOutcome::missing);
  EXPECT_FALSE(result.current.has_value());
  EXPECT_FALSE(find(never).has_value());
  EXPECT_EQ(find_stock(), (Stock{.received = 10}));
}

TEST_P(OrderStoreContract, CommandsOfABatchSeeEachOther) {
  set_stock(10);
  const auto accept = reserving(order());
  const Order reserved = accept.commit.next;
  const domain::Advance charged = steps::capture(reserved, now.wall);
  const domain::Advance fulfilled = steps::next(charged.next, now.wall);
  const auto results = apply({accept, commit_of(reserved, charged),
                              commit_of(reserved, steps::cancel(reserved, now.wall)),
                              commit_of(charged.next, fulfilled, "receipt")});
  EXPECT_EQ(std::get<ports::CommitResult>(results[1]).outcome, CommitOutcome::committed);
  EXPECT_EQ(std::get<ports::CommitResult>(results[2]).outcome, CommitOutcome::stale);
  EXPECT_EQ(std::get<ports::CommitResult>(results[2]).current, charged.next);
  EXPECT_EQ(std::get<ports::CommitResult>(results[3]).outcome, CommitOutcome::committed);
  EXPECT_EQ(found(reserved).order, fulfilled.next);
  EXPECT_EQ(found(reserved).receipt, "receipt");
  EXPECT_EQ(find_stock(), (Stock{.received = 10, .reserved = 0, .sold = 1}));
  EXPECT_EQ(store().depth().active, 0U);
}

TEST_P(OrderStoreContract, AReceiptIsKeptByteForByte) {
  std::string bytes = "{\"total\":\"10.00\"}\r\n";
  for (int value = 0; value < 256; ++value) bytes.push_back(static_cast<char>(value));
  bytes.append(20'000, 'r');
  const Order charged = store_charged(order());
  const domain::Advance fulfilled = steps::next(charged, now.wall);
  ASSERT_EQ(commit(charged, fulfilled, bytes).outcome, CommitOutcome::committed);
  EXPECT_EQ(found(charged).receipt, bytes);
  crash();
  EXPECT_EQ(found(charged).receipt, bytes);
  EXPECT_EQ(found(charged).order, fulfilled.next);
}

TEST_P(OrderStoreContract, OnlyFulfilledOrdersHaveAReceipt) {
  EXPECT_EQ(found(store_placed(order())).receipt, "");
  EXPECT_EQ(found(store_charged(order())).receipt, "");
  EXPECT_EQ(found(store_owing(order())).receipt, "");
  EXPECT_EQ(found(store_fulfilled(order())).receipt, kReceipt);
}

TEST_P(OrderStoreContract, TheSagasFieldsComeBackAsTheyWere) {
  Order current = store_reserved(order());
  domain::Advance advance = steps::fail(current, now.wall);
  advance.next.key_generation = 65'535;
  advance.next.interruptions = 2;
  advance.next.redrives = 7;
  advance.next.handover = domain::Handover::closed;
  advance.next.capture_reference = std::string(300, 'c');
  advance.next.charge_since = {now.wall.us - 123'456'789};
  advance.next.due = {now.wall.us + 1};
  advance.next.dead_letter = domain::DeadLetter{.state = domain::DeadLetterState::discarded,
                                                .stage = Stage::fulfillment,
                                                .first_error = domain::Reason::outcome_unknown,
                                                .last_error = domain::Reason::endpoint_gone,
                                                .attempts = 3,
                                                .first_failed_at = {1},
                                                .at = {now.wall.us - 1}};
  current = commit_step(current, advance);
  EXPECT_EQ(found(current).order, current);
  crash();
  EXPECT_EQ(found(current).order, current);
  pass(Duration::seconds(1));
  EXPECT_EQ(claim_orders(Stage::payment), std::vector{current});
}

TEST_P(OrderStoreContract, AnOrderMayChangeUntilItsTimelineIsFull) {
  Order current = store_reserved(order());
  while (current.timeline.size() + 2 < domain::limits::kMaxTimelineEvents) {
    domain::Advance advance = steps::fail(current, now.wall);
    advance.next.attempts = 0;
    current = commit_step(current, advance);
  }
  current = commit_step(current, steps::capture(current, now.wall));
  current = commit_step(current, steps::next(current, now.wall));
  EXPECT_EQ(current.timeline.size(), domain::limits::kMaxTimelineEvents);
  EXPECT_EQ(found(current).order, current);
}

}  // namespace
}  // namespace penstock::store_contract

#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "simulation/shared_store_fixture_test.h"

// Leases that end, and roads on which calls and answers get lost.
namespace penstock::simulation {
namespace {

using domain::Duration;
using domain::Order;
using domain::Stage;
using ports::StoreError;

TEST_F(SharedStore, ALeaseKeepsOthersAwayUntilItsEnd) {
  placed(1);
  EXPECT_EQ(first.claim(Stage::inventory, 9, now).value().size(), 1U);
  EXPECT_EQ(second.claim(Stage::inventory, 9, now).value().size(), 0U);
  pass({kLease.us - 1});
  EXPECT_EQ(second.claim(Stage::inventory, 9, now).value().size(), 0U);
  pass({1});
  EXPECT_EQ(second.claim(Stage::inventory, 9, now).value().size(), 1U);
  EXPECT_EQ(first.claim(Stage::inventory, 9, now).value().size(), 0U);
}

TEST_F(SharedStore, WhoLostALeaseCannotGiveBackTheOneThatFollowed) {
  const Order order = placed(1);
  EXPECT_TRUE(first.claim_one(order.id).value());
  pass(kLease);
  EXPECT_TRUE(second.claim_one(order.id).value());
  first.release(order.id, now.wall);
  EXPECT_FALSE(first.claim_one(order.id).value());
  second.release(order.id, now.wall);
  EXPECT_FALSE(first.claim_one(order.id).value()) << "it goes with the next call";
  EXPECT_TRUE(second.settled());
  EXPECT_TRUE(first.claim_one(order.id).value());
}

TEST_F(SharedStore, TheCommitOfWhoLostItsLeaseCountsIfItIsTheFirst) {
  ProbeCounts probes;
  database.set_probes(&probes);
  const Order order = placed(1);
  ASSERT_TRUE(first.claim_one(order.id).value());
  pass(kLease);
  ASSERT_TRUE(second.claim_one(order.id).value());
  EXPECT_EQ(outcome_of(apply(first, cancelling(order))), ports::CommitOutcome::committed);
  EXPECT_EQ(outcome_of(apply(second, cancelling(order))), ports::CommitOutcome::stale);
  EXPECT_EQ(probes.of(Probe::lease_takeover), 1U);
  EXPECT_EQ(probes.of(Probe::zombie_commit), 1U);
}

TEST_F(SharedStore, ANodeThatStartsAgainHoldsNoLeaseOfItsLastRun) {
  const Order order = placed(1);
  ASSERT_TRUE(first.claim_one(order.id).value());
  database.start_run(1);
  EXPECT_TRUE(second.claim_one(order.id).value());
}

TEST_F(SharedStore, LeasesOutlastARestartOfTheDatabase) {
  const Order order = placed(1);
  ASSERT_TRUE(first.claim_one(order.id).value());
  database.restart(SharedDatabase::Boot::another);
  EXPECT_FALSE(second.claim_one(order.id).value());
  pass(kLease);
  EXPECT_TRUE(second.claim_one(order.id).value());
}

TEST_F(SharedStore, ABatchIsTakenOverAndEndsOnce) {
  const Order order = ended(1);
  const auto taken = first.take_terminal_batches(9).value();
  ASSERT_EQ(taken.size(), 1U);
  EXPECT_EQ(second.take_terminal_batches(9).value().size(), 0U);
  pass(kLease);
  ASSERT_EQ(second.take_terminal_batches(9).value().size(), 1U);
  const ports::FinishTerminalBatch finish{taken[0].sequence, {order.id}};
  EXPECT_TRUE(apply(second, finish));
  ASSERT_EQ(second.take_deliveries(9, now, {}).value().size(), 1U);
  EXPECT_TRUE(apply(second, ports::DeliveryAttempt{.order = order.id,
                                                   .attempt = 1,
                                                   .reason = domain::Reason::delivered,
                                                   .next_due = std::nullopt}));
  EXPECT_TRUE(apply(first, finish));
  EXPECT_EQ(database.depth().deliveries, 0U) << "no second delivery";
  EXPECT_EQ(database.depth().terminal_batches, 0U);
}

TEST_F(SharedStore, ALateAttemptOfALostDeliveryDisturbsNothing) {
  const Order order = ended(1);
  const auto batch = first.take_terminal_batches(1).value().at(0);
  ASSERT_TRUE(apply(first, ports::FinishTerminalBatch{batch.sequence, {order.id}}));
  ASSERT_EQ(first.take_deliveries(9, now, {}).value().size(), 1U);
  pass(kLease);
  ASSERT_EQ(second.take_deliveries(9, now, {}).value().size(), 1U);
  const ports::DeliveryAttempt failed{.order = order.id,
                                      .attempt = 1,
                                      .reason = domain::Reason::delivery_failed,
                                      .next_due = now.wall};
  ASSERT_TRUE(apply(second, failed));
  const auto again = second.take_deliveries(9, now, {}).value();
  ASSERT_EQ(again.size(), 1U);
  EXPECT_EQ(again[0].attempt, 2);
  ASSERT_TRUE(apply(first, failed));
  EXPECT_EQ(first.take_deliveries(9, now, {}).value().size(), 0U) << "the second attempt is leased";
  pass(kLease);
  EXPECT_EQ(first.take_deliveries(9, now, {}).value().at(0).attempt, 2);
}

TEST_F(SharedStore, WhatIsSentAgainAfterALostAnswerIsStillWhole) {
  const Order order = placed(1);
  for (const Passage passage : {Passage::refused, Passage::request_lost, Passage::answer_lost}) {
    road.passages = {passage};
    const auto results = apply(first, cancelling(order));
    ASSERT_FALSE(results);
    EXPECT_EQ(results.error(),
              passage == Passage::refused ? StoreError::unavailable : StoreError::unknown_outcome);
    const auto& kept = std::get<ports::Commit>(commands[0]);
    EXPECT_EQ(kept.next, cancelling(order).next);
    EXPECT_EQ(database.find(order.id).value()->order.version.number,
              passage == Passage::answer_lost ? 2U : 1U);
  }
  road.passages = {Passage::slow_answer};
  road.heard = Heard::no;
  const auto cut_off = apply(first, cancelling(order));
  ASSERT_FALSE(cut_off);
  EXPECT_EQ(cut_off.error(), StoreError::unknown_outcome);
  EXPECT_EQ(outcome_of(first.apply(commands, now)), ports::CommitOutcome::stale);
}

TEST_F(SharedStore, ACommitThatArrivesLateIsFencedByItsVersion) {
  const Order order = placed(1);
  road.passages = {Passage::late};
  EXPECT_EQ(apply(first, cancelling(order)).error(), StoreError::unknown_outcome);
  EXPECT_EQ(outcome_of(first.apply(commands, now)), ports::CommitOutcome::committed);
  ASSERT_EQ(road.under_way.size(), 1U);
  road.under_way[0]();
  EXPECT_EQ(database.find(order.id).value()->order.version.number, 2U);
  EXPECT_EQ(database.depth().terminal_batches, 1U);
}

TEST_F(SharedStore, AClaimWhoseAnswerWasLostIsFoundAgainWhenItsLeaseEnds) {
  placed(1);
  road.passages = {Passage::answer_lost};
  EXPECT_EQ(first.claim(Stage::inventory, 9, now).error(), StoreError::unavailable);
  EXPECT_EQ(second.claim(Stage::inventory, 9, now).value().size(), 0U);
  pass(kLease);
  EXPECT_EQ(second.claim(Stage::inventory, 9, now).value().size(), 1U);
}

TEST_F(SharedStore, ADatabaseOutOfReachIsUnavailableAndItsDepthsAreTheLastKnown) {
  const Order order = placed(1);
  EXPECT_EQ(first.depth().active, 1U);
  placed(2);
  road.passages.assign(9, Passage::refused);
  EXPECT_EQ(first.depth().active, 1U);
  EXPECT_EQ(first.find(order.id).error(), StoreError::unavailable);
  EXPECT_EQ(first.list({}).error(), StoreError::unavailable);
  EXPECT_EQ(first.contract(order.tenant).error(), StoreError::unavailable);
  EXPECT_EQ(first.mark({}).error(), StoreError::unavailable);
  EXPECT_EQ(first.settled().error(), StoreError::unavailable);
  EXPECT_EQ(first.take_deliveries(1, now, {}).error(), StoreError::unavailable);
  EXPECT_EQ(first.take_terminal_batches(1).error(), StoreError::unavailable);
  EXPECT_EQ(first.claim_one(order.id).error(), StoreError::unavailable);
  EXPECT_EQ(first.depth().active, 2U);
}

TEST_F(SharedStore, MarksAreOfOneNodeAlone) {
  const Order order = placed(1);
  ASSERT_TRUE(first.mark(std::vector{order.id}));
  EXPECT_EQ(database.recovery(database.start_run(2)).interrupted.size(), 0U);
  const auto recovery = database.recovery(database.start_run(1));
  EXPECT_EQ(recovery.interrupted, std::vector{order.id});
  EXPECT_EQ(recovery.unclean_ends, 1);
  EXPECT_EQ(database.find(order.id).value()->order.interruptions, 1);
}

}  // namespace
}  // namespace penstock::simulation

#include <gmock/gmock.h>

#include "tests/contract/order_store_contract.h"

// Notification: terminal batches until they are finished, then deliveries by their schedule.
namespace penstock::store_contract {
namespace {

using domain::Duration;
using domain::Order;
using domain::OrderId;
using domain::Reason;
using domain::Status;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

std::vector<OrderId> orders_of(const ports::TerminalBatch& batch) {
  std::vector<OrderId> ids;
  for (const auto& entry : batch.entries) ids.push_back(entry.order);
  return ids;
}

std::vector<OrderId> orders_of(const std::vector<ports::Delivery>& deliveries) {
  std::vector<OrderId> ids;
  for (const auto& delivery : deliveries) ids.push_back(delivery.order);
  return ids;
}

ports::FinishTerminalBatch finish(const ports::TerminalBatch& batch,
                                  std::vector<OrderId> deliveries = {}) {
  return {.sequence = batch.sequence, .deliveries = std::move(deliveries)};
}

TEST_P(OrderStoreContract, TheOrdersThatEndTogetherAreOneTerminalBatch) {
  set_stock(2);
  const Order charged = store_charged(order());
  const Order cancelled_before = store_placed(order().tenant("globex"));
  const auto short_order = reserving(order().item(kProduct, 9));
  apply({commit_of(charged, steps::next(charged, now.wall)), reserving(order()), short_order,
         commit_of(cancelled_before, steps::cancel(cancelled_before, now.wall))});
  const auto batches = take_batches();
  ASSERT_EQ(batches.size(), 1U);
  ASSERT_THAT(orders_of(batches[0]),
              ElementsAre(charged.id, short_order.commit.next.id, cancelled_before.id));
  EXPECT_EQ(batches[0].entries[0].status, Status::fulfilled);
  EXPECT_EQ(batches[0].entries[1].status, Status::rejected);
  EXPECT_EQ(batches[0].entries[2].status, Status::cancelled);
  EXPECT_EQ(batches[0].entries[0].tenant, tenant_named(kTenant));
  EXPECT_EQ(batches[0].entries[2].tenant, tenant_named("globex"));
}

TEST_P(OrderStoreContract, WithoutAnEndThereIsNoTerminalBatch) {
  store_owing(order());
  store_dead_letter(order());
  EXPECT_THAT(take_batches(), IsEmpty());
  EXPECT_EQ(store().depth().terminal_batches, 0U);
}

TEST_P(OrderStoreContract, TerminalBatchesAreTakenOldestFirstAndOnce) {
  const Order first = store_fulfilled(order());
  const Order second = store_fulfilled(order());
  const Order third = store_fulfilled(order());
  const auto early = take_batches(2);
  ASSERT_EQ(early.size(), 2U);
  EXPECT_THAT(orders_of(early[0]), ElementsAre(first.id));
  EXPECT_THAT(orders_of(early[1]), ElementsAre(second.id));
  EXPECT_LT(early[0].sequence, early[1].sequence);
  const auto late = take_batches(2);
  ASSERT_EQ(late.size(), 1U);
  EXPECT_THAT(orders_of(late[0]), ElementsAre(third.id));
  EXPECT_THAT(take_batches(), IsEmpty());
  EXPECT_EQ(store().depth().terminal_batches, 3U);
  apply({finish(early[1]), finish(early[0])});
  EXPECT_EQ(store().depth().terminal_batches, 1U);
}

TEST_P(OrderStoreContract, TerminalBatchesSurviveACrashUntilTheyAreFinished) {
  const Order first = store_fulfilled(order());
  const Order second = store_fulfilled(order());
  const auto taken = take_batches();
  ASSERT_EQ(taken.size(), 2U);
  apply({finish(taken[0])});
  crash();
  EXPECT_EQ(store().depth().terminal_batches, 1U);
  const auto again = take_batches();
  ASSERT_EQ(again.size(), 1U);
  EXPECT_EQ(again[0].sequence, taken[1].sequence);
  EXPECT_THAT(orders_of(again[0]), ElementsAre(second.id));
  EXPECT_EQ(again[0].entries[0].status, Status::fulfilled);
  EXPECT_EQ(again[0].entries[0].tenant, second.tenant);
  apply({finish(again[0])});
  close();
  EXPECT_THAT(take_batches(), IsEmpty());
  // A sequence is never given to two batches.
  store_fulfilled(order());
  EXPECT_GT(take_batches().at(0).sequence, taken[1].sequence);
  EXPECT_EQ(found(first).deliveries.size(), 1U);
}

TEST_P(OrderStoreContract, AFinishedBatchShowsAtItsOrdersWithoutAVersion) {
  const Order with = store_fulfilled(order());
  EXPECT_THAT(found(with).deliveries, IsEmpty());
  const auto batches = take_batches();
  pass(Duration::seconds(2));
  const domain::Instant finished_at = now.wall;
  apply({finish(batches.at(0))});
  pass(Duration::seconds(2));
  const auto stored = found(with);
  ASSERT_EQ(stored.deliveries.size(), 1U);
  EXPECT_EQ(stored.deliveries[0].at, finished_at);
  EXPECT_EQ(stored.deliveries[0].attempt, 1);
  EXPECT_EQ(stored.deliveries[0].reason, Reason::end_noted);
  EXPECT_EQ(stored.order, with);
  EXPECT_EQ(stored.receipt, kReceipt);
  EXPECT_EQ(store().depth().deliveries, 0U);
}

TEST_P(OrderStoreContract, FinishingABatchTwiceHasNoEffect) {
  const Order ended = store_fulfilled(order());
  const auto batch = take_batches().at(0);
  apply({finish(batch)});
  apply({finish(batch, {ended.id})});
  EXPECT_EQ(found(ended).deliveries.size(), 1U);
  EXPECT_EQ(store().depth().deliveries, 0U);
  EXPECT_THAT(take_deliveries(), IsEmpty());
}

TEST_P(OrderStoreContract, DeliveriesAreTakenOnceUntilTheirAttemptEnds) {
  const Order first = store_fulfilled(order());
  const Order second = store_fulfilled(order().tenant("globex"));
  const auto batches = take_batches();
  apply({finish(batches.at(0), {first.id}), finish(batches.at(1), {second.id})});
  EXPECT_EQ(store().depth().deliveries, 2U);
  const auto one = take_deliveries(1);
  ASSERT_EQ(one.size(), 1U);
  const auto other = take_deliveries(5);
  ASSERT_EQ(other.size(), 1U);
  EXPECT_NE(one[0].order, other[0].order);
  for (const auto& delivery : {one[0], other[0]}) {
    EXPECT_EQ(delivery.attempt, 1);
    EXPECT_EQ(delivery.tenant, delivery.order == first.id ? first.tenant : second.tenant);
  }
  EXPECT_THAT(take_deliveries(), IsEmpty());
  EXPECT_EQ(store().depth().deliveries, 2U);
}

TEST_P(OrderStoreContract, DeliveriesFollowTheirScheduleAndShowInOrder) {
  const Order ended = store_fulfilled(order());
  apply({finish(take_batches().at(0), {ended.id})});
  ASSERT_THAT(orders_of(take_deliveries()), ElementsAre(ended.id));
  pass(Duration::seconds(1));
  const domain::Instant due = now.wall + Duration::seconds(5);
  apply({ports::DeliveryAttempt{
      .order = ended.id, .attempt = 1, .reason = Reason::delivery_failed, .next_due = due}});
  EXPECT_EQ(store().next_due(), due);
  EXPECT_EQ(store().depth().deliveries, 1U);
  pass(Duration{Duration::seconds(5).us - 1});
  EXPECT_THAT(take_deliveries(), IsEmpty());
  pass(Duration{1});
  const auto second = take_deliveries();
  ASSERT_EQ(second.size(), 1U);
  EXPECT_EQ(second[0].attempt, 2);
  apply({ports::DeliveryAttempt{
      .order = ended.id, .attempt = 2, .reason = Reason::delivered, .next_due = std::nullopt}});
  EXPECT_EQ(store().depth().deliveries, 0U);
  EXPECT_FALSE(store().next_due().has_value());
  pass(Duration::hours(48));
  EXPECT_THAT(take_deliveries(), IsEmpty());

  const auto notes = found(ended).deliveries;
  ASSERT_EQ(notes.size(), 3U);  // the note of its end, then both attempts
  EXPECT_EQ(notes[0].reason, Reason::end_noted);
  EXPECT_EQ(notes[1].reason, Reason::delivery_failed);
  EXPECT_EQ(notes[1].attempt, 1);
  EXPECT_EQ(notes[1].at, due - Duration::seconds(5));
  EXPECT_EQ(notes[2].reason, Reason::delivered);
  EXPECT_EQ(notes[2].attempt, 2);
  EXPECT_EQ(notes[2].at, due);
  EXPECT_EQ(found(ended).order, ended);
}

TEST_P(OrderStoreContract, AnAttemptCountsOnceAndInItsTurn) {
  const Order ended = store_fulfilled(order());
  apply({finish(take_batches().at(0), {ended.id})});
  const domain::Instant due = now.wall + Duration::seconds(5);
  const ports::DeliveryAttempt first{
      .order = ended.id, .attempt = 1, .reason = Reason::delivery_failed, .next_due = due};
  const ports::DeliveryAttempt late{
      .order = ended.id, .attempt = 1, .reason = Reason::delivered, .next_due = std::nullopt};
  const ports::DeliveryAttempt early{
      .order = ended.id, .attempt = 3, .reason = Reason::delivered, .next_due = std::nullopt};
  apply({first, late, early});
  EXPECT_EQ(store().depth().deliveries, 1U);
  EXPECT_EQ(store().next_due(), due);
  EXPECT_EQ(found(ended).deliveries.size(), 2U);  // the note and the first attempt
}

TEST_P(OrderStoreContract, ManyAttemptsShowInTheirOrder) {
  const Order ended = store_fulfilled(order());
  apply({finish(take_batches().at(0), {ended.id})});
  for (int attempt = 1; attempt <= 10; ++attempt) {
    ASSERT_EQ(take_deliveries().at(0).attempt, attempt);
    std::optional<domain::Instant> next;
    if (attempt < 10) next = now.wall + Duration::seconds(300);
    apply({ports::DeliveryAttempt{
        .order = ended.id,
        .attempt = attempt,
        .reason = attempt < 10 ? Reason::delivery_failed : Reason::delivery_gave_up,
        .next_due = next}});
    pass(Duration::seconds(300));
  }
  const auto notes = found(ended).deliveries;
  ASSERT_EQ(notes.size(), 11U);
  for (int attempt = 1; attempt <= 10; ++attempt) EXPECT_EQ(notes[attempt].attempt, attempt);
  EXPECT_EQ(notes.back().reason, Reason::delivery_gave_up);
  EXPECT_THAT(take_deliveries(), IsEmpty());
}

TEST_P(OrderStoreContract, ADeliveryWhoseAttemptWasLostIsTakenAgainAfterACrash) {
  const Order ended = store_fulfilled(order());
  const Order waiting = store_fulfilled(order());
  const auto batches = take_batches();
  apply({finish(batches.at(0), {ended.id}), finish(batches.at(1), {waiting.id})});
  ASSERT_EQ(take_deliveries().size(), 2U);
  const domain::Instant due = now.wall + Duration::seconds(5);
  apply({ports::DeliveryAttempt{
      .order = waiting.id, .attempt = 1, .reason = Reason::delivery_failed, .next_due = due}});
  crash();
  EXPECT_EQ(store().depth().deliveries, 2U);
  const auto again = take_deliveries();
  ASSERT_THAT(orders_of(again), ElementsAre(ended.id));
  EXPECT_EQ(again[0].attempt, 1);
  EXPECT_EQ(again[0].tenant, ended.tenant);
  EXPECT_EQ(store().next_due(), due);
  pass(Duration::seconds(5));
  const auto retried = take_deliveries();
  ASSERT_THAT(orders_of(retried), ElementsAre(waiting.id));
  EXPECT_EQ(retried[0].attempt, 2);
  EXPECT_EQ(found(waiting).deliveries.size(), 2U);
}

TEST_P(OrderStoreContract, DeliveriesOfTenantsThatAreLeftOutHoldUpNobody) {
  std::vector<Order> busy;
  std::vector<ports::Command> finishes;
  for (int i = 0; i < 5; ++i) busy.push_back(store_fulfilled(order()));
  const Order other = store_fulfilled(order().tenant("globex"));
  for (const auto& batch : take_batches()) {
    std::vector<domain::OrderId> orders;
    for (const auto& entry : batch.entries) orders.push_back(entry.order);
    finishes.push_back(finish(batch, orders));
  }
  apply(std::move(finishes));
  pass(Duration::seconds(1));
  EXPECT_THAT(orders_of(take_deliveries(1, {busy[0].tenant})), ElementsAre(other.id));
  EXPECT_THAT(take_deliveries(9, {busy[0].tenant}), IsEmpty());
  EXPECT_THAT(take_deliveries(9, {busy[0].tenant, other.tenant}), IsEmpty());
  EXPECT_EQ(take_deliveries(9, {other.tenant}).size(), 5U);
}

TEST_P(OrderStoreContract, ABatchIsToldOfBeforeItsCopiesAreMade) {
  const Order ended = store_fulfilled(order());
  const auto batch = take_batches().at(0);
  ports::FinishTerminalBatch told = finish(batch, {ended.id});
  told.part = ports::BatchPart::deliveries;
  apply({told});
  EXPECT_EQ(found(ended).deliveries.size(), 1U);
  EXPECT_EQ(store().depth().terminal_batches, 1U);
  EXPECT_THAT(orders_of(take_deliveries()), ElementsAre(ended.id));
  apply({ports::DeliveryAttempt{.order = ended.id, .attempt = 1, .reason = Reason::delivered}});
  crash();
  const auto again = take_batches();
  ASSERT_EQ(again.size(), 1U) << "its copies are not made yet";
  EXPECT_EQ(again[0].sequence, batch.sequence);
  EXPECT_EQ(found(ended).deliveries.size(), 2U);
  ports::FinishTerminalBatch copied = finish(again[0]);
  copied.part = ports::BatchPart::copies;
  apply({copied, copied});
  EXPECT_EQ(store().depth().terminal_batches, 0U);
  EXPECT_EQ(found(ended).deliveries.size(), 2U);
  EXPECT_THAT(take_deliveries(), IsEmpty()) << "it was delivered";
}

}  // namespace
}  // namespace penstock::store_contract

#include <algorithm>
#include <deque>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "pipeline/testing/world.h"
#include "tests/contract/order_builder.h"

// A store that several processes share: an answer may be lost around a commit, a lease may end
// while its work goes on, and somebody else may be faster.
namespace penstock::pipeline::testing {
namespace {

using domain::Duration;
using domain::EffectKind;
using domain::Order;
using domain::OrderId;
using domain::Stage;
using domain::Status;
using store_contract::OrderBuilder;
namespace steps = store_contract::steps;

class SharedStore : public ::testing::Test {
 protected:
  explicit SharedStore(WorldOptions options = {}) : world(std::move(options)) {
    world.stock("PROD-1", 10);
    world.gateway.latency = Duration::milliseconds(5);
  }

  Order draft() const { return OrderBuilder(1).placed(world.wall); }
  OrderId place() { return world.place(draft()); }
  std::uint64_t ended(Status status) {
    return world.statistics().ended[static_cast<std::size_t>(status)];
  }

  /// Another process commits `advance`, the lease having ended or not.
  void commit_elsewhere(const Order& read, domain::Advance advance) {
    const bool fulfilled = advance.next.status == Status::fulfilled;
    std::vector<ports::Command> commands{ports::Commit{.next = std::move(advance.next),
                                                       .read = read.version,
                                                       .stock = advance.stock,
                                                       .receipt = fulfilled ? "{}" : ""}};
    const auto results = world.disk->store().apply(commands, world.now());
    ASSERT_EQ(std::get<ports::CommitResult>(results.value().at(0)).outcome,
              ports::CommitOutcome::committed);
  }

  World world;
};

TEST_F(SharedStore, ACommitWhoseAnswerWasLostCountsAsLandedAndNotAsStale) {
  const OrderId id = place();
  world.store->breaks = {Breaks::after};
  world.run_for(Duration::seconds(1));
  EXPECT_EQ(world.status(id), Status::fulfilled);
  EXPECT_FALSE(world.pipeline->failure());
  EXPECT_EQ(world.statistics().stale_commits, 0U);
  EXPECT_EQ(ended(Status::fulfilled), 1U);
  EXPECT_EQ(world.gateway.count(EffectKind::charge), 1U);
  EXPECT_EQ(broken_invariants(world), std::vector<std::string>{});
}

TEST_F(SharedStore, ACommitThatNeverArrivedIsAppliedAgainAsItWas) {
  const OrderId id = place();
  world.store->breaks = {Breaks::before, Breaks::before};
  world.run_for(Duration::seconds(1));
  EXPECT_EQ(world.status(id), Status::fulfilled);
  EXPECT_EQ(ended(Status::fulfilled), 1U);
  EXPECT_EQ(world.gateway.count(EffectKind::charge), 1U) << "the outcome was not asked for again";
  EXPECT_EQ(broken_invariants(world), std::vector<std::string>{});
}

TEST_F(SharedStore, ACommitThatLandedOnceStaysLandedWhateverHappensToLaterTries) {
  const OrderId id = place();
  world.store->breaks = {Breaks::after, Breaks::before, Breaks::after};
  world.run_for(Duration::milliseconds(50));
  world.store->away = true;
  world.run_for(Duration::milliseconds(200));
  world.store->away = false;
  world.run_for(Duration::seconds(1));
  EXPECT_EQ(world.status(id), Status::fulfilled);
  EXPECT_EQ(world.statistics().stale_commits, 0U);
  EXPECT_EQ(ended(Status::fulfilled), 1U);
}

TEST_F(SharedStore, ACommitThatLandedStaysLandedAlsoWhereTheStoreIsThenAway) {
  const OrderId id = place();
  world.store->breaks = {Breaks::after};
  world.run_for(Duration::milliseconds(50));
  world.store->away = true;
  world.run_for(Duration::milliseconds(200));
  world.store->away = false;
  world.run_for(Duration::seconds(1));
  EXPECT_EQ(world.status(id), Status::fulfilled);
  EXPECT_EQ(world.statistics().stale_commits, 0U);
  EXPECT_EQ(ended(Status::fulfilled), 1U);
}

TEST_F(SharedStore, ALandedCommitIsRecognizedAlsoWhereItsOrderMovedOnSince) {
  world.options.pipeline.stages.fulfillment = false;
  world.restart();
  const OrderId id = place();
  world.store->breaks = {Breaks::after};
  world.run_for(Duration::milliseconds(10));
  const Order charged = world.order(id);
  ASSERT_EQ(charged.status, Status::charged);
  commit_elsewhere(charged, steps::next(charged, world.wall));
  world.run_for(Duration::seconds(1));
  EXPECT_EQ(world.statistics().stale_commits, 0U);
  EXPECT_EQ(world.status(id), Status::fulfilled);
  EXPECT_EQ(broken_invariants(world), std::vector<std::string>{});
}

TEST_F(SharedStore, ACommitWithoutAnAnswerThatAnotherForestalledIsDecidedAgain) {
  const OrderId id = place();
  world.store->breaks = {Breaks::before};
  world.run_for(Duration::milliseconds(10));
  const Order reserved = world.order(id);
  ASSERT_EQ(reserved.status, Status::reserved) << "the capture is known here alone";
  commit_elsewhere(reserved, steps::cancel(reserved, world.wall));
  world.run_for(Duration::seconds(5));
  EXPECT_EQ(world.status(id), Status::cancelled);
  EXPECT_GE(world.statistics().stale_commits, 1U);
  EXPECT_EQ(world.gateway.count(EffectKind::refund), 1U);
  EXPECT_EQ(broken_invariants(world), std::vector<std::string>{});
}

TEST_F(SharedStore, AClientWithoutAnAnswerIsToldNothingAndItsRetryReplays) {
  for (const Breaks breaks : {Breaks::after, Breaks::before}) {
    const ports::IdempotencyClaim claim{
        domain::IdempotencyKey::unchecked(breaks == Breaks::after ? "after" : "before"), {}};
    world.store->breaks = {breaks};
    const auto first = world.submit(draft(), claim);
    world.run_for(Duration::seconds(1));
    EXPECT_EQ((*first)->outcome, PlaceOutcome::abandoned) << "neither 202 nor 503";
    EXPECT_FALSE(world.pipeline->failure());
    const auto again = world.submit(draft(), claim);
    world.run_for(Duration::seconds(1));
    EXPECT_EQ((*again)->outcome,
              breaks == Breaks::after ? PlaceOutcome::replayed : PlaceOutcome::accepted);
    EXPECT_EQ(world.status((*again)->order->id), Status::fulfilled);
  }
  EXPECT_EQ(world.disk->orders().size(), 2U);
  EXPECT_EQ(world.gateway.ledger.size(), 2U);
}

TEST_F(SharedStore, WhatHasNoFenceIsNeverAppliedTwice) {
  std::vector<Refusal> refusals;
  const auto note = [&](const auto& result) { refusals.push_back(result.error()); };
  const auto tenant = domain::TenantId::unchecked("acme");
  const auto product = domain::ProductId::unchecked("PROD-1");
  world.store->breaks = {Breaks::after};
  world.pipeline->submit(Restock{tenant, product, 5, note});
  world.pipeline->submit(SetStock{tenant, domain::ProductId::unchecked("PROD-2"), 5, note});
  world.pipeline->submit(PutContract{tenant, world.options.disk.contract, note});
  world.pipeline->submit(PeekRateLimit{tenant, note});
  world.run_for(Duration::seconds(1));
  EXPECT_EQ(refusals, std::vector<Refusal>(4, Refusal::abandoned));
  EXPECT_EQ(world.stock_of("PROD-1").on_hand(), 15);
}

TEST_F(SharedStore, ACancelWithoutAnAnswerIsAnsweredOnceItsCommitIsFound) {
  for (const Breaks breaks : {Breaks::after, Breaks::before}) {
    world.gateway.latency = Duration::seconds(1);
    const OrderId id = place();
    int answers = 0;
    std::optional<std::expected<Order, Refusal>> answer;
    world.store->breaks = {breaks};
    world.pipeline->submit(CancelOrder{id, [&](auto result) {
                                         answers += 1;
                                         answer = std::move(result);
                                       }});
    world.run_for(Duration::milliseconds(50));
    EXPECT_EQ(answers, 0);
    world.run_for(Duration::seconds(10));
    EXPECT_EQ(answers, 1);
    ASSERT_TRUE(answer && *answer);
    EXPECT_EQ((*answer)->status, Status::cancelling);
    EXPECT_EQ(world.status(id), Status::cancelled);
  }
  EXPECT_EQ(broken_invariants(world), std::vector<std::string>{});
}

TEST_F(SharedStore, ALandedReservationThatFoundAnItemShortIsARejection) {
  world.options.pipeline.stages.inventory = false;
  world.restart();
  const OrderId id = world.place(OrderBuilder(1).item("PROD-1", 11).placed(world.wall));
  world.options.pipeline.stages.inventory = true;
  world.restart();
  world.store->breaks = {Breaks::after};
  world.run_for(Duration::seconds(1));
  EXPECT_EQ(world.status(id), Status::rejected);
  EXPECT_EQ(world.statistics().stale_commits, 0U);
  EXPECT_EQ(ended(Status::rejected), 1U);
}

TEST_F(SharedStore, ClaimsThatFailStopNothing) {
  const OrderId in_flight = place();
  world.store->claims_away = true;
  world.run_for(Duration::seconds(1));
  EXPECT_EQ(world.status(in_flight), Status::fulfilled);
  const auto placed = world.submit(draft());
  world.run_for(Duration::seconds(1));
  EXPECT_EQ((*placed)->outcome, PlaceOutcome::accepted);
  EXPECT_EQ(world.status((*placed)->order->id), Status::reserved);
  world.store->claims_away = false;
  world.run_for(Duration::seconds(1));
  EXPECT_EQ(world.status((*placed)->order->id), Status::fulfilled);
}

TEST_F(SharedStore, TheLateCommitOfAWorkerThatLostItsLeaseIsDecidedAgain) {
  world.gateway.latency = Duration::seconds(30);
  const OrderId id = place();
  world.run_for(Duration::seconds(10));
  // The lease has ended, and another worker brought the order to its end.
  const Order reserved = world.order(id);
  commit_elsewhere(reserved, steps::capture(reserved, world.wall));
  const Order charged = world.order(id);
  commit_elsewhere(charged, steps::next(charged, world.wall));
  world.run_for(Duration::seconds(60));
  EXPECT_EQ(world.order(id).version.number, 4U);
  EXPECT_EQ(world.statistics().stale_commits, 1U);
  EXPECT_EQ(world.gateway.requests.size(), 1U) << "nothing was asked for on its account";
  EXPECT_EQ(broken_invariants(world), std::vector<std::string>{});
}

TEST_F(SharedStore, AnOrderTakenAgainByItsOwnWorkerIsChargedOnce) {
  world.gateway.latency = Duration::seconds(30);
  const OrderId id = place();
  world.run_for(Duration::seconds(10));
  world.disk->store().release(id, world.wall);  // the lease ended
  world.run_for(Duration::seconds(60));
  EXPECT_EQ(world.gateway.count(EffectKind::charge), 2U);
  EXPECT_EQ(world.gateway.ledger.size(), 1U) << "one key";
  EXPECT_EQ(world.status(id), Status::fulfilled);
  EXPECT_EQ(broken_invariants(world), std::vector<std::string>{});
}

TEST_F(SharedStore, WhatAnotherSettledIsNotListedAsUnresolvedForever) {
  world.gateway.script("pm_lost", EffectKind::charge, {{Act::lose_request}, true});
  world.gateway.script("pm_lost", EffectKind::find_charge, {{Act::lose_request}, true});
  const OrderId id = world.place(OrderBuilder(1).payment_method("pm_lost").placed(world.wall));
  world.run_for(Duration::milliseconds(50));
  ASSERT_EQ(world.unresolved().size(), 1U);
  const Order reserved = world.order(id);
  const auto lease = world.disk->store().claim_one(id);
  commit_elsewhere(reserved, steps::decline(reserved, world.wall));
  const Order cancelling = world.order(id);
  commit_elsewhere(cancelling, steps::next(cancelling, world.wall));
  world.run_for(Duration::seconds(150));
  EXPECT_EQ(world.unresolved().size(), 0U);
  EXPECT_EQ(world.statistics().unresolved, 0U);
}

class SharedNotification : public SharedStore {
 protected:
  SharedNotification() : SharedStore({.notifier = true, .receipts = true}) {
    domain::Contract contract = world.options.disk.contract;
    contract.webhook = domain::Webhook{"https://example.test/hook", "whsec_abc"};
    world.pipeline->submit(PutContract{domain::TenantId::unchecked("acme"), contract, [](auto) {}});
    world.settle();
  }
};

TEST_F(SharedNotification, AnEndWhoseStoreIsAwayIsToldOnceItIsBack) {
  const OrderId id = place();
  world.reader->away = true;
  world.run_for(Duration::seconds(5));
  EXPECT_EQ(world.notifier.requests.size(), 0U);
  EXPECT_FALSE(world.pipeline->idle());
  world.reader->away = false;
  world.run_for(Duration::seconds(1));
  EXPECT_EQ(world.notifier.requests.size(), 1U);
  EXPECT_EQ(world.receipts.copies.count(id), 1U);
  EXPECT_EQ(world.statistics().deliveries_waiting, 0U);
  EXPECT_TRUE(world.pipeline->idle());
}

TEST_F(SharedNotification, ADeliveryThatCannotBeReadIsSentLater) {
  place();
  world.store->before_apply = [this](std::span<const ports::Command> commands) {
    // The batch ends, and from then on nothing can be read.
    if (std::holds_alternative<ports::FinishTerminalBatch>(commands.front())) {
      world.reader->away = true;
    }
  };
  world.run_for(Duration::seconds(5));
  EXPECT_TRUE(world.reader->away);
  EXPECT_EQ(world.notifier.requests.size(), 0U);
  EXPECT_EQ(world.statistics().deliveries_waiting, 1U);
  world.reader->away = false;
  world.run_for(Duration::seconds(1));
  EXPECT_EQ(world.notifier.requests.size(), 1U);
  EXPECT_EQ(world.statistics().deliveries_waiting, 0U);
}

TEST_F(SharedNotification, AnswersThatAreLostLeadToNoSecondDelivery) {
  world.store->before_apply = [this](std::span<const ports::Command> commands) {
    const ports::Command& first = commands.front();
    if (std::holds_alternative<ports::FinishTerminalBatch>(first) ||
        std::holds_alternative<ports::DeliveryAttempt>(first)) {
      world.store->before_apply = nullptr;
      world.store->breaks = {Breaks::after, Breaks::before, Breaks::after};
    }
  };
  const OrderId id = place();
  world.run_for(Duration::seconds(5));
  EXPECT_EQ(world.notifier.requests.size(), 1U);
  EXPECT_EQ(world.stored(id).deliveries.size(), 2U) << "the end, and one attempt";
  EXPECT_EQ(world.statistics().deliveries_waiting, 0U);
  EXPECT_TRUE(world.pipeline->idle());
}

TEST_F(SharedNotification, ABatchThatIsHandedOutAgainIsWorkedOffOnce) {
  world.receipts.silent = true;
  place();
  world.run_for(Duration::seconds(1));
  ASSERT_EQ(world.receipts.attempts, 1U);
  world.store->hands_out_again = true;
  world.run_for(Duration::seconds(1));
  world.receipts.silent = false;
  world.run_for(Duration::seconds(1));
  EXPECT_EQ(world.receipts.attempts, 1U);
  EXPECT_EQ(world.notifier.requests.size(), 1U);
  EXPECT_TRUE(world.pipeline->idle());
}

/// Changes acme's contract from another process when the first contract is put.
class ContractChange : public SharedNotification {
 protected:
  ContractChange() {
    world.notifier.outcomes = {ports::NotificationOutcome::gone};
    changed = world.disk->reader().contract(acme).value();
    changed.weight = 7;
    world.store->before_apply = [this](std::span<const ports::Command> commands) {
      const bool puts = std::ranges::any_of(commands, [](const ports::Command& command) {
        return std::holds_alternative<ports::PutContract>(command);
      });
      if (!puts || std::exchange(asked, true)) return;
      std::vector<ports::Command> elsewhere{
          ports::PutContract{.tenant = acme, .contract = changed}};
      static_cast<void>(world.disk->store().apply(elsewhere, world.now()));
    };
  }
  domain::Contract in_force() { return world.disk->reader().contract(acme).value(); }

  domain::TenantId acme = domain::TenantId::unchecked("acme");
  domain::Contract changed;
  bool asked = false;
};

TEST_F(ContractChange, WhileAWebhookIsDisabledStays) {
  const OrderId id = place();
  world.run_for(Duration::seconds(1));
  ASSERT_TRUE(asked);
  changed.webhook->disabled = true;
  EXPECT_EQ(in_force(), changed);
  EXPECT_EQ(world.stored(id).deliveries.back().reason, domain::Reason::endpoint_gone);
  EXPECT_EQ(world.statistics().deliveries_waiting, 0U);
}

TEST_F(ContractChange, ToAnotherEndpointIsNotDisabledForTheOneBefore) {
  changed.webhook->url = "https://example.test/moved";
  const OrderId id = place();
  world.run_for(Duration::seconds(1));
  ASSERT_TRUE(asked);
  EXPECT_EQ(in_force(), changed);
  EXPECT_EQ(world.stored(id).deliveries.back().reason, domain::Reason::delivery_failed);
  world.run_for(Duration::seconds(10));
  EXPECT_EQ(world.notifier.requests.back().webhook.url, "https://example.test/moved");
  EXPECT_EQ(world.stored(id).deliveries.back().reason, domain::Reason::delivered);
}

TEST_F(SharedNotification, AnEndpointThatIsGoneIsDisabledAlsoThroughATroubledStore) {
  world.notifier.outcomes = {ports::NotificationOutcome::gone};
  const OrderId id = place();
  bool asked = false;
  world.store->before_apply = [&](std::span<const ports::Command> commands) {
    if (asked || !std::holds_alternative<ports::PutContract>(commands.front())) return;
    asked = true;
    world.store->breaks = {Breaks::before};
  };
  world.run_for(Duration::milliseconds(50));
  ASSERT_TRUE(asked);
  EXPECT_EQ(world.statistics().deliveries_waiting, 1U) << "not told, and not yet given up";
  world.reader->away = true;
  world.run_for(Duration::seconds(1));
  EXPECT_EQ(world.statistics().deliveries_waiting, 1U);
  world.reader->away = false;
  world.run_for(Duration::seconds(1));
  EXPECT_TRUE(
      world.disk->reader().contract(domain::TenantId::unchecked("acme")).value().webhook->disabled);
  EXPECT_EQ(world.stored(id).deliveries.back().reason, domain::Reason::endpoint_gone);
  EXPECT_EQ(world.statistics().deliveries_waiting, 0U);
  EXPECT_TRUE(world.pipeline->idle());
}

}  // namespace
}  // namespace penstock::pipeline::testing

#include <set>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "domain/limits.h"
#include "domain/retry.h"
#include "pipeline/testing/world.h"
#include "tests/contract/order_builder.h"

namespace penstock::pipeline::testing {
namespace {

using domain::Duration;
using domain::Reason;
using domain::Status;
using ports::NotificationOutcome;
using store_contract::OrderBuilder;

class Notification : public ::testing::Test {
 protected:
  Notification() : world({.notifier = true, .receipts = true}) {
    world.stock("PROD-1", 100);
    domain::Contract contract = world.options.disk.contract;
    contract.webhook = domain::Webhook{"https://example.test/hook", "whsec_abc"};
    world.pipeline->submit(PutContract{domain::TenantId::unchecked("acme"), contract, [](auto) {}});
    world.settle();
  }

  domain::OrderId place() { return world.place(OrderBuilder(1).placed(world.wall)); }
  std::vector<Reason> deliveries(const domain::OrderId& id) const {
    std::vector<Reason> reasons;
    for (const auto& delivered : world.stored(id).deliveries) reasons.push_back(delivered.reason);
    return reasons;
  }

  World world;
};

TEST_F(Notification, FollowsTheTerminalCommitAndNeverChangesTheOrder) {
  const auto id = place();
  world.settle();
  ASSERT_EQ(world.notifier.requests.size(), 1U);
  const auto& request = world.notifier.requests[0];
  EXPECT_EQ(request.order.id, id);
  EXPECT_EQ(request.order.status, Status::fulfilled);
  EXPECT_EQ(request.webhook.url, "https://example.test/hook");
  EXPECT_EQ(request.attempt, 1);
  EXPECT_EQ(deliveries(id), (std::vector{Reason::end_noted, Reason::delivered}));
  EXPECT_EQ(world.order(id).version.number, 4U);
  EXPECT_EQ(world.statistics().deliveries_done, 1U);
  EXPECT_EQ(world.statistics().deliveries_waiting, 0U);
  EXPECT_TRUE(world.pipeline->idle());
}

TEST_F(Notification, WhatAnAnswerBringsIsStoredByThePollThatTakesIt) {
  world.receipts.silent = true;
  world.notifier.silent = true;
  const auto id = place();
  world.settle();
  EXPECT_TRUE(deliveries(id).empty());
  world.receipts.silent = false;
  world.pipeline->poll(world.now());
  EXPECT_EQ(deliveries(id), (std::vector{Reason::end_noted}));
  EXPECT_EQ(world.notifier.requests.size(), 1U);
  world.notifier.silent = false;
  world.pipeline->poll(world.now());
  EXPECT_EQ(deliveries(id), (std::vector{Reason::end_noted, Reason::delivered}));
}

TEST_F(Notification, TellsRejectedAndCancelledOrdersToo) {
  world.gateway.script("pm_no", domain::EffectKind::charge, {{Act::refuse}});
  world.place(OrderBuilder(1).item("NONE").placed(world.wall));
  world.place(OrderBuilder(1).payment_method("pm_no").placed(world.wall));
  world.settle();
  EXPECT_EQ(world.notifier.requests.size(), 2U);
}

TEST_F(Notification, IsRetriedOnItsScheduleAndThenGivesUp) {
  world.notifier.outcomes.assign(20, NotificationOutcome::failed);
  const auto id = place();
  world.run_for(Duration::hours(200));
  ASSERT_EQ(world.notifier.requests.size(), 10U);
  domain::Instant last = world.notifier.requests[0].now;
  for (std::size_t attempt = 1; attempt < 10; ++attempt) {
    const auto& request = world.notifier.requests[attempt];
    EXPECT_EQ(request.attempt, static_cast<int>(attempt) + 1);
    const auto pause = *domain::webhook_pause(request.attempt);
    EXPECT_GE(request.now, last + pause);
    EXPECT_LT(request.now, last + pause + Duration::seconds(1));
    last = request.now;
  }
  EXPECT_EQ(deliveries(id).back(), Reason::delivery_gave_up);
  EXPECT_EQ(world.order(id).status, Status::fulfilled);
  EXPECT_FALSE(world.order(id).dead_letter);
  EXPECT_EQ(world.statistics().deliveries_failed, 10U);
  EXPECT_EQ(world.statistics().deliveries_waiting, 0U);
}

TEST_F(Notification, SucceedsAfterAFailure) {
  world.notifier.outcomes = {NotificationOutcome::failed};
  const auto id = place();
  world.run_for(Duration::seconds(10));
  EXPECT_EQ(deliveries(id),
            (std::vector{Reason::end_noted, Reason::delivery_failed, Reason::delivered}));
}

TEST_F(Notification, AnEndpointThatIsGoneIsDisabledAndAskedNoMore) {
  world.notifier.outcomes = {NotificationOutcome::gone};
  const auto id = place();
  world.settle();
  EXPECT_EQ(deliveries(id).back(), Reason::endpoint_gone);
  EXPECT_TRUE(
      world.disk->reader().contract(domain::TenantId::unchecked("acme")).value().webhook->disabled);
  EXPECT_EQ(world.log.count("webhook disabled: its endpoint answered 410"), 1U);
  EXPECT_EQ(world.statistics().deliveries_waiting, 0U);
  place();
  world.run_for(Duration::hours(1));
  EXPECT_EQ(world.notifier.requests.size(), 1U);
}

TEST_F(Notification, OfATenantWithoutAWebhookIsTheLogAlone) {
  world.stock("PROD-1", 5, "other");
  world.log.level = ports::LogLevel::debug;
  const auto id = world.place(OrderBuilder(1).tenant("other").placed(world.wall));
  world.settle();
  EXPECT_EQ(world.status(id), Status::fulfilled);
  EXPECT_TRUE(world.notifier.requests.empty());
  EXPECT_EQ(world.log.count("order ended"), 1U);
  EXPECT_EQ(deliveries(id), std::vector{Reason::end_noted});
}

TEST_F(Notification, EachTenantOfABatchHasItsOwnWebhookOrNone) {
  world.stock("PROD-1", 5, "other");
  for (const char* tenant : {"acme", "other", "acme"}) {
    world.submit(OrderBuilder(1).tenant(tenant).placed(world.wall));
  }
  world.settle();
  ASSERT_EQ(world.notifier.requests.size(), 2U);
  for (const auto& request : world.notifier.requests) EXPECT_EQ(request.order.tenant.str(), "acme");
  for (const auto& stored : world.disk->orders()) {
    EXPECT_EQ(stored.deliveries.size(), stored.order.tenant.str() == "acme" ? 2U : 1U);
  }
}

TEST_F(Notification, ACopyIsSentOnceUntilItIsAnswered) {
  world.receipts.failures = 1;
  place();
  world.settle();
  EXPECT_EQ(world.receipts.attempts, 1U);
  world.receipts.silent = true;
  for (int second = 0; second < 60; ++second) world.run_for(Duration::seconds(1));
  EXPECT_EQ(world.receipts.attempts, 2U);
}

TEST_F(Notification, ReceiptsAreCopiedByteForByteAndRetriedWithoutLimit) {
  world.receipts.failures = 12;
  const auto id = place();
  world.run_for(Duration::hours(1));
  EXPECT_EQ(world.receipts.attempts, 13U);
  EXPECT_EQ(world.receipts.copies.at(id), world.stored(id).receipt);
  EXPECT_EQ(world.status(id), Status::fulfilled) << "a copy is never a reason to refund";
  EXPECT_TRUE(world.pipeline->idle());
}

TEST_F(Notification, SurvivesACrashBeforeAndAfterItsWork) {
  world.notifier.outcomes = {NotificationOutcome::failed};
  world.receipts.failures = 1;
  const auto id = place();
  world.pipeline->poll(world.now());
  for (int crash = 0; crash < 5; ++crash) {
    world.restart();
    world.pipeline->poll(world.now());
    world.pipeline->poll(world.now());
  }
  world.run_for(Duration::seconds(30));
  EXPECT_EQ(deliveries(id).back(), Reason::delivered);
  EXPECT_EQ(world.receipts.copies.count(id), 1U);
  EXPECT_GE(world.notifier.requests.size(), 2U) << "at least once";
  EXPECT_EQ(world.statistics().deliveries_waiting, 0U);
}

TEST_F(Notification, ManyOrdersAreEachDeliveredOnce) {
  for (int order = 0; order < 600; ++order) world.submit(OrderBuilder(1).placed(world.wall));
  world.settle();
  std::set<domain::OrderId> told;
  for (const auto& request : world.notifier.requests) told.insert(request.order.id);
  EXPECT_EQ(told.size(), 600U);
  EXPECT_EQ(world.notifier.requests.size(), 600U);
  EXPECT_EQ(world.receipts.copies.size(), 100U) << "one for each that had stock";
}

TEST_F(Notification, DeliveriesInFlightAreBounded) {
  world.notifier.silent = true;
  const auto place_many = [this](int orders) {
    for (int order = 0; order < orders; ++order) world.submit(OrderBuilder(1).placed(world.wall));
    world.settle();
  };
  place_many(100);
  EXPECT_EQ(world.notifier.requests.size(), 100U);
  place_many(300);
  EXPECT_LE(world.notifier.requests.size(), domain::limits::kMaxDeliveriesInFlight);
  EXPECT_GT(world.notifier.requests.size(), domain::limits::kMaxDeliveriesInFlight * 3 / 4);
  world.notifier.silent = false;
  world.settle();
  EXPECT_EQ(world.notifier.requests.size(), 400U);
}

/// A tenant with a webhook and stock of its own.
void add_tenant(World& world, const std::string& name) {
  world.stock("PROD-1", 2000, name);
  domain::Contract contract = world.options.disk.contract;
  contract.webhook = domain::Webhook{"https://" + name + ".test/hook", "whsec_abc"};
  world.pipeline->submit(PutContract{domain::TenantId::unchecked(name), contract, [](auto) {}});
  world.settle();
}

TEST_F(Notification, ATenantWhoseEndpointHangsLeavesPlacesForTheOthers) {
  add_tenant(world, "good");
  add_tenant(world, "late");
  world.notifier.silent = true;
  for (int order = 0; order < 1000; ++order) world.submit(OrderBuilder(1).placed(world.wall));
  world.settle();
  const std::size_t before = world.notifier.requests.size();
  EXPECT_LT(before, domain::limits::kMaxDeliveriesInFlight);
  for (const char* tenant : {"good", "late"}) {
    const auto id = world.place(OrderBuilder(1).tenant(tenant).placed(world.wall));
    world.settle();
    EXPECT_EQ(world.notifier.requests.back().order.id, id) << "it is sent though others wait";
  }
  EXPECT_EQ(world.notifier.requests.size(), before + 2);
  world.notifier.silent = false;
  world.run_for(Duration::seconds(60));
  EXPECT_EQ(world.statistics().deliveries_waiting, 0U) << "what waited is sent by itself";
}

TEST_F(Notification, CopiesThatFailHoldUpNoDelivery) {
  world.receipts.failures = 1'000'000;
  const auto id = place();
  world.settle();
  ASSERT_EQ(world.notifier.requests.size(), 1U);
  EXPECT_EQ(deliveries(id), (std::vector{Reason::end_noted, Reason::delivered}));
  EXPECT_TRUE(world.pipeline->idle()) << "a drain does not wait for what keeps failing";
  EXPECT_EQ(world.statistics().receipt_copies_waiting, 1U);
  EXPECT_EQ(world.log.count("receipt copies fail: they are tried again, and made at the next "
                            "start if they cannot be before"),
            1U);
  for (int order = 0; order < 90; ++order) place();
  world.run_for(Duration::seconds(300));
  EXPECT_EQ(world.notifier.requests.size(), 91U);
  world.receipts.failures = 0;
  world.run_for(Duration::seconds(300));
  EXPECT_EQ(world.receipts.copies.size(), 91U);
  EXPECT_EQ(world.log.count("receipt copies are made again"), 1U);
  EXPECT_EQ(world.statistics().receipt_copies_waiting, 0U);
  EXPECT_EQ(world.notifier.requests.size(), 91U);
}

TEST_F(Notification, ACopyThatWasNotMadeIsMadeAtTheNextStartAndNobodyIsToldTwice) {
  world.receipts.failures = 1'000'000;
  const auto id = place();
  world.run_for(Duration::seconds(60));
  ASSERT_EQ(world.notifier.requests.size(), 1U);
  world.restart();
  world.receipts.failures = 0;
  world.run_for(Duration::seconds(60));
  EXPECT_EQ(world.receipts.copies.at(id), world.stored(id).receipt);
  EXPECT_EQ(world.notifier.requests.size(), 1U);
  EXPECT_EQ(deliveries(id), (std::vector{Reason::end_noted, Reason::delivered}));
  world.restart();
  world.run_for(Duration::seconds(60));
  EXPECT_EQ(world.receipts.copies.size(), 1U);
}

TEST_F(Notification, AnEndpointThatFailsIsToldOfOnceAndWhenItWorksAgain) {
  world.notifier.outcomes.assign(5, NotificationOutcome::failed);
  for (int order = 0; order < 5; ++order) place();
  world.settle();
  EXPECT_EQ(world.log.count("webhook deliveries fail"), 1U);
  EXPECT_EQ(world.statistics().endpoints_failing, 1U);
  world.run_for(Duration::seconds(60));
  EXPECT_EQ(world.log.count("webhook deliveries arrive again"), 1U);
  EXPECT_EQ(world.statistics().endpoints_failing, 0U);
}

TEST(NotificationBacklog, IsBoundedAndOnlyTenantsWhoseEndpointFailsAreLeftOut) {
  WorldOptions options{.notifier = true};
  options.pipeline.max_deliveries_waiting = 10;
  World world(options);
  domain::Contract contract = world.options.disk.contract;
  contract.webhook = domain::Webhook{"https://example.test/hook", "whsec_abc"};
  for (const std::string tenant : {"dead", "good"}) {
    world.stock("PROD-1", 1'000, tenant);
    world.pipeline->submit(PutContract{domain::TenantId::unchecked(tenant), contract, [](auto) {}});
  }
  const auto place = [&world](const std::string& tenant) {
    const auto id = world.place(OrderBuilder(1).tenant(tenant).placed(world.wall));
    world.run_for(Duration::milliseconds(200));
    EXPECT_EQ(world.status(id), Status::fulfilled);
    return id;
  };
  world.notifier.outcomes.assign(10'000, NotificationOutcome::failed);
  for (int order = 0; order < 30; ++order) place("dead");
  EXPECT_EQ(world.statistics().deliveries_waiting, 10U);
  EXPECT_EQ(world.log.count("too many webhook deliveries wait: orders of tenants whose endpoint "
                            "fails are not told of"),
            1U);
  world.notifier.outcomes.clear();
  const auto id = place("good");
  ASSERT_EQ(world.stored(id).deliveries.size(), 2U) << "others are told all the same";
  EXPECT_EQ(world.stored(id).deliveries.back().reason, Reason::delivered);
}

}  // namespace
}  // namespace penstock::pipeline::testing

#include "pipeline/meter.h"

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "domain/limits.h"
#include "tests/contract/order_builder.h"

namespace penstock::pipeline {
namespace {

namespace steps = store_contract::steps;
using domain::Duration;
using domain::EffectKind;
using domain::Instant;
using domain::OutcomeKind;
using domain::Stage;
using domain::Status;
using store_contract::OrderBuilder;

constexpr Instant kStart{1'800'000'000'000'000};

const StageStatistics& stage_of(const Statistics& statistics, Stage stage) {
  return statistics.stages[static_cast<std::size_t>(stage)];
}

TEST(Meter, AHistogramCountsInTheFirstBucketThatHoldsTheValue) {
  Histogram histogram;
  histogram.add({0});
  histogram.add({1'000});
  histogram.add({1'001});
  histogram.add(Duration::seconds(301));
  EXPECT_EQ(histogram.counts[0], 2U);
  EXPECT_EQ(histogram.counts[1], 1U);
  EXPECT_EQ(histogram.counts[16], 1U);
  EXPECT_EQ(histogram.count, 4U);
  EXPECT_EQ(histogram.sum_us, 301'002'001);
}

TEST(Meter, EachStageCountsWhatLeftItAndHowLongThatTook) {
  Meter meter;
  const domain::Order placed = OrderBuilder(1).placed(kStart);
  const domain::Order reserved = steps::next(placed, kStart).next;
  meter.landed(landing_of(reserved, {}, true));
  const Instant later = kStart + Duration::milliseconds(30);
  const domain::Order charged = steps::capture(reserved, later).next;
  const domain::Order fulfilled = steps::next(charged, later).next;
  meter.landed(landing_of(fulfilled, reserved.version, true));
  const Statistics statistics = meter.snapshot();
  for (const Stage stage : {Stage::ingest, Stage::inventory, Stage::payment, Stage::fulfillment}) {
    EXPECT_EQ(stage_of(statistics, stage).completed, 1U) << to_string(stage);
    EXPECT_EQ(stage_of(statistics, stage).failed, 0U) << to_string(stage);
  }
  EXPECT_EQ(stage_of(statistics, Stage::payment).latency.sum_us, 30'000);
  EXPECT_EQ(stage_of(statistics, Stage::fulfillment).latency.sum_us, 0);
  EXPECT_EQ(statistics.ended[static_cast<std::size_t>(Status::fulfilled)], 1U);
  EXPECT_EQ(statistics.end_to_end.sum_us, 30'000);
}

TEST(Meter, AStageLastsOverAllItsAttempts) {
  Meter meter;
  domain::Order order = steps::next(OrderBuilder(1).placed(kStart), kStart).next;
  domain::Order failed = steps::fail(order, kStart + Duration::seconds(1)).next;
  meter.landed(landing_of(failed, order.version, false));
  const domain::Order charged = steps::capture(failed, kStart + Duration::seconds(3)).next;
  meter.landed(landing_of(charged, failed.version, false));
  const Statistics statistics = meter.snapshot();
  EXPECT_EQ(stage_of(statistics, Stage::payment).failed, 1U);
  EXPECT_EQ(stage_of(statistics, Stage::payment).completed, 1U);
  EXPECT_EQ(stage_of(statistics, Stage::payment).latency.sum_us, 3'000'000);
}

/// An order on its way, each commit of which is told.
class Journey {
 public:
  explicit Journey(std::int64_t price_minor = 1'000)
      : order_(OrderBuilder(1).item("PROD-1", 1, price_minor).placed(kStart)) {
    meter_.landed(landing_of(order_, {}, false));
  }

  Journey& take(const domain::Advance& advance) {
    const domain::Version read = order_.version;
    order_ = advance.next;
    meter_.landed(landing_of(order_, read, false));
    return *this;
  }
  Journey& next() {
    return take(steps::advance_of(domain::next_step(order_, policy_, {order_.due, ~0ULL})));
  }
  Journey& reject() {
    return take(domain::reject(order_, domain::Reason::insufficient_stock, kStart));
  }
  Journey& cancel() { return take(steps::cancel(order_, kStart)); }
  Journey& redrive() { return take(*domain::redrive(order_, kStart)); }
  Journey& discard() { return take(*domain::discard(order_, kStart)); }
  Journey& interrupt() { return take(domain::dead_letter_interrupted(order_, policy_, kStart)); }
  Journey& answer(EffectKind kind, OutcomeKind outcome) {
    return take(steps::advance_of(domain::after_effect(
        order_, kind, {.kind = outcome, .reference = {}}, policy_, {order_.due, ~0ULL}, 1)));
  }
  Journey& charge(OutcomeKind outcome) { return answer(EffectKind::charge, outcome); }
  Journey& close_charge() { return answer(EffectKind::close_charge, OutcomeKind::closed); }
  Journey& refund(OutcomeKind outcome) { return answer(EffectKind::refund, outcome); }
  /// All attempts fail, and the order is a dead letter.
  Journey& fail_for_good() {
    for (int attempt = 0; attempt < policy_.max_attempts; ++attempt) charge(OutcomeKind::transient);
    return close_charge();
  }
  Journey& hook() {
    policy_.fulfillment = domain::FulfillmentMode::hook;
    return *this;
  }

  const domain::Order& order() const { return order_; }
  Statistics counted() const { return meter_.snapshot(); }

 private:
  Meter meter_;
  domain::Order order_;
  domain::SagaPolicy policy_;
};

/// The way of an order through the stages, and what each counter makes of it.
struct Way {
  const char* name;
  void (*go)(Journey&);
  std::array<std::uint64_t, 4> completed;  ///< ingest, inventory, payment, fulfillment
  std::array<std::uint64_t, 4> failed;
  std::uint64_t dead_lettered;
  Status end;
};

using enum OutcomeKind;
const std::vector<Way> kWays = {
    {"captured",
     [](Journey& it) { it.next().charge(done).next(); },
     {1, 1, 1, 1},
     {0, 0, 0, 0},
     0,
     Status::fulfilled},
    {"no stock", [](Journey& it) { it.reject(); }, {1, 1, 0, 0}, {0, 0, 0, 0}, 0, Status::rejected},
    {"declined",
     [](Journey& it) { it.next().charge(refused).next(); },
     {1, 1, 1, 0},
     {0, 0, 1, 0},
     0,
     Status::cancelled},
    {"retried, then captured",
     [](Journey& it) { it.next().charge(transient).charge(done).next(); },
     {1, 1, 1, 1},
     {0, 0, 1, 0},
     0,
     Status::fulfilled},
    {"retried, then declined",
     [](Journey& it) { it.next().charge(transient).charge(refused).next(); },
     {1, 1, 1, 0},
     {0, 0, 2, 0},
     0,
     Status::cancelled},
    {"dead-lettered",
     [](Journey& it) { it.next().fail_for_good(); },
     {1, 1, 0, 0},
     {0, 0, 3, 0},
     1,
     Status::reserved},
    {"dead-lettered at the first attempt",
     [](Journey& it) { it.next().charge(permanent).close_charge(); },
     {1, 1, 0, 0},
     {0, 0, 1, 0},
     1,
     Status::reserved},
    {"dead-lettered, and its hold ends",
     [](Journey& it) { it.next().fail_for_good().next().next(); },
     {1, 1, 1, 0},
     {0, 0, 3, 0},
     1,
     Status::cancelled},
    {"dead-lettered and discarded",
     [](Journey& it) { it.next().fail_for_good().discard().next(); },
     {1, 1, 1, 0},
     {0, 0, 3, 0},
     1,
     Status::cancelled},
    {"dead-lettered and cancelled",
     [](Journey& it) { it.next().fail_for_good().cancel().next(); },
     {1, 1, 1, 0},
     {0, 0, 3, 0},
     1,
     Status::cancelled},
    {"dead-lettered, redriven, captured",
     [](Journey& it) { it.next().fail_for_good().redrive().charge(done).next(); },
     {1, 1, 1, 1},
     {0, 0, 3, 0},
     1,
     Status::fulfilled},
    {"dead-lettered twice",
     [](Journey& it) { it.next().fail_for_good().redrive().fail_for_good(); },
     {1, 1, 0, 0},
     {0, 0, 6, 0},
     2,
     Status::reserved},
    {"all attempts fail, and the last was captured",
     [](Journey& it) {
       it.next().charge(transient).charge(transient).charge(transient);
       it.answer(EffectKind::close_charge, done).next();
     },
     {1, 1, 1, 1},
     {0, 0, 3, 0},
     0,
     Status::fulfilled},
    {"key expired",
     [](Journey& it) { it.next().close_charge().charge(done).next(); },
     {1, 1, 1, 1},
     {0, 0, 0, 0},
     0,
     Status::fulfilled},
    {"key closed by the gateway",
     [](Journey& it) { it.next().charge(closed).charge(done).next(); },
     {1, 1, 1, 1},
     {0, 0, 1, 0},
     0,
     Status::fulfilled},
    {"interrupted while it is placed",
     [](Journey& it) { it.interrupt(); },
     {1, 0, 0, 0},
     {0, 0, 0, 0},
     1,
     Status::placed},
    {"interrupted while it is placed, and discarded",
     [](Journey& it) { it.interrupt().discard(); },
     {1, 1, 0, 0},
     {0, 0, 0, 0},
     1,
     Status::cancelled},
    {"interrupted while it is charged",
     [](Journey& it) { it.next().interrupt().close_charge(); },
     {1, 1, 0, 0},
     {0, 0, 0, 0},
     1,
     Status::reserved},
    {"cancelled while it is placed",
     [](Journey& it) { it.cancel(); },
     {1, 1, 0, 0},
     {0, 0, 0, 0},
     0,
     Status::cancelled},
    {"cancel asked while it waits for payment",
     [](Journey& it) { it.next().cancel(); },
     {1, 1, 0, 0},
     {0, 0, 0, 0},
     0,
     Status::cancelling},
    {"cancelled while it waits for payment",
     [](Journey& it) { it.next().cancel().close_charge(); },
     {1, 1, 1, 0},
     {0, 0, 0, 0},
     0,
     Status::cancelled},
    {"cancelled between two attempts",
     [](Journey& it) { it.next().charge(transient).cancel().close_charge(); },
     {1, 1, 1, 0},
     {0, 0, 1, 0},
     0,
     Status::cancelled},
    {"cancelled, its charge turns out to be captured",
     [](Journey& it) { it.next().cancel().answer(EffectKind::close_charge, done).refund(done); },
     {1, 1, 1, 0},
     {0, 0, 0, 0},
     0,
     Status::cancelled},
    {"cancelled, its refund is refused at first",
     [](Journey& it) {
       it.next().cancel().answer(EffectKind::close_charge, done).refund(permanent).refund(done);
     },
     {1, 1, 1, 0},
     {0, 0, 1, 0},
     0,
     Status::cancelled},
    // It was through with payment, and came back to it.
    {"cancelled once it is charged",
     [](Journey& it) { it.next().charge(done).cancel().refund(done); },
     {1, 1, 2, 0},
     {0, 0, 0, 0},
     0,
     Status::cancelled},
    {"handed over",
     [](Journey& it) { it.hook().next().charge(done).answer(EffectKind::fulfill, done); },
     {1, 1, 1, 1},
     {0, 0, 0, 0},
     0,
     Status::fulfilled},
    {"refused by the fulfiller",
     [](Journey& it) {
       it.hook().next().charge(done).answer(EffectKind::fulfill, refused).refund(done);
     },
     {1, 1, 2, 0},
     {0, 0, 0, 1},
     0,
     Status::cancelled},
    {"an invalid request to the fulfiller",
     [](Journey& it) {
       it.hook().next().charge(done).answer(EffectKind::fulfill, permanent).refund(done);
     },
     {1, 1, 2, 0},
     {0, 0, 0, 1},
     1,
     Status::cancelled},
    {"given up by fulfillment",
     [](Journey& it) {
       it.hook().next().charge(done);
       for (int attempt = 0; attempt < 3; ++attempt) it.answer(EffectKind::fulfill, transient);
       it.answer(EffectKind::close_fulfillment, closed).refund(done);
     },
     {1, 1, 2, 0},
     {0, 0, 0, 3},
     1,
     Status::cancelled},
};

TEST(Meter, EachWayOfAnOrderIsCountedOnceInEachStage) {
  constexpr std::array kCounted{Stage::ingest, Stage::inventory, Stage::payment,
                                Stage::fulfillment};
  for (const Way& way : kWays) {
    SCOPED_TRACE(way.name);
    Journey journey;
    way.go(journey);
    ASSERT_EQ(journey.order().status, way.end);
    const Statistics counted = journey.counted();
    for (std::size_t index = 0; index < kCounted.size(); ++index) {
      const StageStatistics& stage = stage_of(counted, kCounted[index]);
      EXPECT_EQ(stage.completed, way.completed[index]) << to_string(kCounted[index]);
      EXPECT_EQ(stage.failed, way.failed[index]) << to_string(kCounted[index]);
    }
    EXPECT_EQ(counted.dead_lettered, way.dead_lettered);
    EXPECT_EQ(counted.ended[static_cast<std::size_t>(way.end)], is_terminal(way.end) ? 1U : 0U);
  }
}

TEST(Meter, AFreeOrderGoesThroughPaymentToo) {
  Journey journey(0);
  journey.next().next().next();
  ASSERT_EQ(journey.order().status, Status::fulfilled);
  for (const Stage stage : {Stage::ingest, Stage::inventory, Stage::payment, Stage::fulfillment}) {
    EXPECT_EQ(stage_of(journey.counted(), stage).completed, 1U) << to_string(stage);
    EXPECT_EQ(stage_of(journey.counted(), stage).failed, 0U) << to_string(stage);
  }
}

TEST(Meter, NotificationCountsTheOrdersToldOfAndTheFailedDeliveries) {
  Meter meter;
  meter.notified(3);
  meter.delivery(true);
  meter.delivery(false);
  meter.delivery_gave_up();
  const Statistics statistics = meter.snapshot();
  EXPECT_EQ(stage_of(statistics, Stage::notification).completed, 3U);
  EXPECT_EQ(stage_of(statistics, Stage::notification).failed, 1U);
}

TEST(Meter, ANewMarkIsToldOnceWithItsError) {
  domain::Order order = steps::next(OrderBuilder(1).placed(kStart), kStart).next;
  order = steps::refuse(order, kStart).next;
  const domain::Order marked = steps::close_charge(order, kStart + Duration::seconds(1)).next;
  const Landing landing = landing_of(marked, order.version, false);
  EXPECT_TRUE(landing.dead_lettered);
  EXPECT_EQ(landing.error, domain::Reason::gateway_rejected);
  EXPECT_EQ(landing.correlation, marked.correlation) << "it will be logged";
  const auto discarded = domain::discard(marked, kStart + Duration::seconds(1));
  EXPECT_FALSE(landing_of(discarded->next, marked.version, false).dead_lettered)
      << "nor in the same microsecond";
}

TEST(Meter, RatesAreThoseOfTheLastWholeSecond) {
  Meter meter;
  meter.tick(kStart);
  for (int order = 0; order < 10; ++order) {
    const domain::Order placed = OrderBuilder(1).placed(kStart);
    meter.landed(landing_of(steps::next(placed, kStart).next, {}, false));
  }
  meter.tick(kStart + Duration::milliseconds(999));
  EXPECT_EQ(stage_of(meter.snapshot(), Stage::inventory).completed_per_second, 0);
  meter.tick(kStart + Duration::seconds(2));
  EXPECT_DOUBLE_EQ(stage_of(meter.snapshot(), Stage::inventory).completed_per_second, 5);
  meter.tick(kStart + Duration::seconds(3));
  EXPECT_DOUBLE_EQ(stage_of(meter.snapshot(), Stage::inventory).completed_per_second, 0);
}

TEST(Meter, TheBusiestTenantsAreNamedAndTheOthersAddedUp) {
  Meter meter;
  for (int tenant = 0; tenant < 30; ++tenant) {
    const auto name = domain::TenantId::unchecked("t" + std::to_string(100 + tenant));
    for (int order = 0; order <= tenant; ++order) meter.placed(name, PlaceOutcome::accepted);
    meter.placed(name, PlaceOutcome::quota_exceeded);
  }
  const Statistics statistics = meter.snapshot();
  ASSERT_EQ(statistics.top_tenants.size(), kTopTenants);
  EXPECT_EQ(statistics.top_tenants[0].tenant.str(), "t129");
  EXPECT_EQ(statistics.top_tenants[0].accepted, 30U);
  EXPECT_EQ(statistics.top_tenants[0].denied, 1U);
  EXPECT_EQ(statistics.other_tenants.accepted, 55U);
  EXPECT_EQ(statistics.other_tenants.denied, 10U);
}

TEST(Meter, ANameThatWasOnlyEverRefusedTakesNoMemory) {
  Meter meter;
  for (int tenant = 0; tenant < 100; ++tenant) {
    meter.placed(domain::TenantId::unchecked("t" + std::to_string(tenant)),
                 PlaceOutcome::quota_exceeded);
  }
  EXPECT_TRUE(meter.snapshot().top_tenants.empty());
  EXPECT_EQ(meter.snapshot().other_tenants.denied, 100U);
}

}  // namespace
}  // namespace penstock::pipeline

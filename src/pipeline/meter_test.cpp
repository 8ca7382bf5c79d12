#include "pipeline/meter.h"

#include <string>

#include <gtest/gtest.h>

#include "domain/limits.h"
#include "tests/contract/order_builder.h"

namespace penstock::pipeline {
namespace {

namespace steps = store_contract::steps;
using domain::Duration;
using domain::Instant;
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

TEST(Meter, ACancellationIsNeitherCompletedNorFailed) {
  Meter meter;
  const domain::Order order = steps::next(OrderBuilder(1).placed(kStart), kStart).next;
  const domain::Order cancelling = steps::cancel(order, kStart).next;
  meter.landed(landing_of(cancelling, order.version, false));
  const Statistics statistics = meter.snapshot();
  EXPECT_EQ(stage_of(statistics, Stage::payment).completed, 0U);
  EXPECT_EQ(stage_of(statistics, Stage::payment).failed, 0U);
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

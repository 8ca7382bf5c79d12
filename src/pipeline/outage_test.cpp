#include <algorithm>
#include <string>
#include <utility>

#include <gtest/gtest.h>

#include "pipeline/line_sampler.h"
#include "pipeline/outage_log.h"
#include "pipeline/testing/world.h"
#include "tests/contract/order_builder.h"

// What an operator sees of a peer that is away, or of money that is owed.
namespace penstock::pipeline::testing {
namespace {

using domain::Duration;
using domain::EffectKind;
using domain::Instant;
using domain::Outcome;
using domain::OutcomeKind;
using domain::Reason;
using domain::Stage;
using domain::Status;
using domain::Trouble;
using store_contract::OrderBuilder;

class Outage : public ::testing::Test {
 protected:
  explicit Outage(WorldOptions options = {}) : world(std::move(options)) {
    world.stock("PROD-1", 10'000);
  }

  domain::OrderId place(const std::string& method = "pm_ok") {
    return world.place(OrderBuilder(++placed).payment_method(method).placed(world.wall));
  }
  std::size_t lines(const std::string& message) const {
    return static_cast<std::size_t>(std::ranges::count_if(world.log.lines, [&](const auto& line) {
      return line.message.find(message) != std::string::npos;
    }));
  }
  Progress progress_of(const domain::OrderId& id) {
    Progress progress;
    world.pipeline->submit(AskProgress{id, [&](Progress asked) { progress = asked; },
                                       stage_of(world.order(id).status)});
    world.settle();
    return progress;
  }
  const StageStatistics& payment() {
    statistics = world.statistics();
    return statistics.stages[static_cast<std::size_t>(Stage::payment)];
  }

  World world;
  Statistics statistics;
  int placed = 0;
};

TEST_F(Outage, BeginsAndEndsWithALineAndIsSeenMeanwhile) {
  const auto id = place();
  world.settle();
  EXPECT_EQ(lines("away"), 0U);
  world.gateway.away = true;
  const auto waiting = place();
  for (int order = 0; order < 50; ++order) place();
  world.run_for(Duration::seconds(40));
  EXPECT_EQ(lines("payment gateway away"), 1U);
  EXPECT_EQ(lines("answers again"), 0U);
  EXPECT_EQ(payment().trouble, Trouble::unreachable);
  EXPECT_GE(payment().oldest_age, Duration::seconds(39));
  const Progress progress = progress_of(waiting);
  EXPECT_TRUE(progress.peer_away_since);
  EXPECT_EQ(progress.trouble, Trouble::unreachable);
  EXPECT_EQ(progress.detail, "scripted");
  EXPECT_EQ(world.order(waiting).attempts, 0);
  world.gateway.away = false;
  world.run_for(Duration::seconds(30));
  EXPECT_EQ(world.status(waiting), Status::fulfilled);
  EXPECT_EQ(lines("payment gateway away"), 1U);
  EXPECT_EQ(lines("answers again"), 1U);
  EXPECT_EQ(payment().trouble, Trouble::none);
  EXPECT_EQ(payment().oldest_age, Duration{});
  EXPECT_FALSE(progress_of(id).peer_away_since);
}

TEST_F(Outage, OfOneTenantsMethodStopsNobodyElse) {
  world.gateway.script("pm_busy", EffectKind::charge, {{Act::busy}, true});
  for (int order = 0; order < 20; ++order) place("pm_busy");
  world.gateway.latency = Duration::milliseconds(10);
  for (int second = 0; second < 60; ++second) {
    const auto good = place();
    world.run_for(Duration::seconds(1));
    if (second > 1) {
      EXPECT_EQ(world.status(good), Status::fulfilled) << second;
      EXPECT_FALSE(payment().paused);
    }
  }
}

TEST_F(Outage, OfEverythingBacksOffAndAnOrderAsksLessAndLess) {
  world.gateway.script("pm_busy", EffectKind::charge, {{Act::busy}, true});
  const auto id = place("pm_busy");
  world.run_for(Duration::hours(1));
  EXPECT_LT(world.gateway.requests.size(), 1'000U);
  EXPECT_EQ(world.status(id), Status::reserved);
  EXPECT_EQ(world.order(id).attempts, 0);
  EXPECT_EQ(progress_of(id).trouble, Trouble::overloaded);
}

class OutageWithFulfiller : public Outage {
 protected:
  OutageWithFulfiller() : Outage({.fulfiller = true}) {}
};

TEST_F(OutageWithFulfiller, ARefundThatFailsForEverIsToldOfOnceAKind) {
  world.gateway.script("pm_keep", EffectKind::refund,
                       {{Act::transient, Act::permanent, Act::transient}, true});
  world.fulfiller.scripts[EffectKind::fulfill] = {{Act::refuse}};
  const auto id = place("pm_keep");
  world.run_for(Duration::hours(2));
  EXPECT_EQ(world.status(id), Status::cancelling);
  EXPECT_EQ(lines("refund failed"), 2U);
  EXPECT_LT(world.order(id).timeline.size(), 12U);
  EXPECT_GT(progress_of(id).failures, 10U);
}

TEST(OutageLog, RemindsEachMinuteAndTellsSeldomOfAPeerThatComesAndGoes) {
  KeptLog log;
  OutageLog outages(log);
  StagePause pause;
  const Outcome away{OutcomeKind::unavailable, {}, Trouble::unreachable, "refused"};
  Instant now{1'000'000};
  for (int second = 0; second < 300; ++second, now = now + Duration::seconds(1)) {
    pause.heard(away, now);
    outages.look(Stage::payment, pause, now);
  }
  EXPECT_EQ(log.lines.size(), 5U);
  log.lines.clear();
  for (int second = 0; second < 300; ++second, now = now + Duration::milliseconds(500)) {
    pause.heard({OutcomeKind::done, "ref"}, now);
    outages.look(Stage::payment, pause, now);
    pause.heard(away, now);
    outages.look(Stage::payment, pause, now);
  }
  EXPECT_LE(log.lines.size(), 2U * 16U);
}

TEST(LineSampler, LetsSomeThroughAndCountsTheRest) {
  LineSampler sampler;
  int admitted = 0;
  for (int line = 0; line < 100; ++line) admitted += sampler.admits({1'000'000}) ? 1 : 0;
  EXPECT_EQ(admitted, 10);
  EXPECT_EQ(sampler.take_left_out(), 90U);
  EXPECT_EQ(sampler.take_left_out(), 0U);
  EXPECT_TRUE(sampler.admits(Instant{1'000'000} + LineSampler::kWindow));
}

}  // namespace
}  // namespace penstock::pipeline::testing

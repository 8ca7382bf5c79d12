#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "domain/limits.h"
#include "pipeline/testing/world.h"
#include "tests/contract/order_builder.h"

namespace penstock::pipeline::testing {
namespace {

using domain::Duration;
using domain::EffectKind;
using domain::Reason;
using domain::Status;
using store_contract::OrderBuilder;

domain::Order draft(const std::string& method = "pm_ok") {
  return OrderBuilder(1).payment_method(method).placed(kWorldStart);
}

/// Runs for `span`, starting again after each crash; gives how often it crashed.
int run_through_crashes(World& world, Duration span, int most = 60) {
  int crashes = 0;
  const domain::Instant end = world.wall + span;
  while (world.wall < end && crashes < most) {
    try {
      world.run_for(end - world.wall);
    } catch (const Crash&) {
      crashes += 1;
      world.wall = world.wall + Duration::milliseconds(200);
      world.restart();
    }
  }
  return crashes;
}

class Interruption : public ::testing::Test {
 protected:
  Interruption() {
    world.gateway.latency = Duration::milliseconds(20);
    world.stock("PROD-1", 1'000);
  }

  void place_healthy(int count) {
    for (int order = 0; order < count; ++order) {
      healthy.push_back(world.submit(draft()));
    }
    try {
      world.pipeline->poll(world.now());
    } catch (const Crash&) {
      world.restart();
    }
  }
  void expect_healthy_are_fulfilled() {
    std::size_t acknowledged = 0;
    for (const auto& answer : healthy) {
      if (!answer->has_value()) continue;  // the process ended before it could answer
      acknowledged += 1;
      const auto& id = (*answer)->order.value().id;
      EXPECT_EQ(world.status(id), Status::fulfilled);
      EXPECT_FALSE(world.order(id).dead_letter);
    }
    EXPECT_GE(acknowledged, 20U);
    EXPECT_EQ(broken_invariants(world), std::vector<std::string>{});
  }

  World world;
  std::vector<std::shared_ptr<std::optional<PlaceResult>>> healthy;
};

TEST_F(Interruption, AnOrderThatEndsTheProcessWhenItIsSentIsDeadLetteredAndOthersFinish) {
  world.gateway.on_request = [](const ports::GatewayRequest& request) {
    if (request.method == "pm_poison" && request.kind == EffectKind::charge) throw Crash{};
  };
  place_healthy(40);
  const auto poison = world.submit(draft("pm_poison"));
  place_healthy(40);
  const int crashes = run_through_crashes(world, Duration::seconds(60));
  const auto order = world.order((*poison)->order->id);
  ASSERT_TRUE(is_open_dead_letter(order)) << crashes << " crashes";
  EXPECT_EQ(order.dead_letter->last_error, Reason::interrupted);
  EXPECT_GE(crashes, 6) << "three in a row, and three alone";
  EXPECT_LE(crashes, 12);
  expect_healthy_are_fulfilled();
}

TEST_F(Interruption, AnOrderThatEndsTheProcessWhenItIsCommittedIsCompensated) {
  std::optional<domain::OrderId> poison;
  world.prepare = [&poison](RecordingStore& store) {
    store.before_apply = [&poison](std::span<const ports::Command> commands) {
      for (const auto& command : commands) {
        const auto* commit = std::get_if<ports::Commit>(&command);
        if (commit == nullptr || commit->next.id != poison) continue;
        if (commit->next.status == Status::fulfilled) throw Crash{};
      }
    };
  };
  world.restart();
  place_healthy(20);
  poison = world.place(draft());
  place_healthy(20);
  const int crashes = run_through_crashes(world, Duration::seconds(120));
  const auto order = world.order(*poison);
  EXPECT_EQ(order.status, Status::cancelled) << crashes << " crashes";
  ASSERT_TRUE(order.dead_letter);
  EXPECT_EQ(order.dead_letter->last_error, Reason::interrupted);
  EXPECT_EQ(order.charge, domain::Charge::refunded);
  expect_healthy_are_fulfilled();
}

TEST_F(Interruption, AFreeOrderThatEndsTheProcessWhenItIsCommittedIsCaughtToo) {
  std::optional<domain::OrderId> poison;
  world.prepare = [&poison](RecordingStore& store) {
    store.before_apply = [&poison](std::span<const ports::Command> commands) {
      for (const auto& command : commands) {
        const auto* commit = std::get_if<ports::Commit>(&command);
        if (commit == nullptr || commit->next.id != poison) continue;
        if (commit->next.status == Status::fulfilled) throw Crash{};
      }
    };
  };
  world.restart();
  place_healthy(20);
  poison = world.place(OrderBuilder(1).item("PROD-1", 1, 0).placed(kWorldStart));
  place_healthy(20);
  const int crashes = run_through_crashes(world, Duration::seconds(120));
  ASSERT_TRUE(is_open_dead_letter(world.order(*poison))) << crashes << " crashes";
  expect_healthy_are_fulfilled();
}

TEST_F(Interruption, AnOrderThatRunsAloneHasNoCompany) {
  std::optional<domain::OrderId> poison;
  bool is_alone = false;
  int lonely_runs = 0;
  int company = 0;
  world.prepare = [&](RecordingStore& store) {
    is_alone = false;
    store.before_apply = [&](std::span<const ports::Command> commands) {
      for (const auto& command : commands) {
        const auto* commit = std::get_if<ports::Commit>(&command);
        if (commit == nullptr || commit->next.id != poison) continue;
        if (commit->next.status == Status::fulfilled) throw Crash{};
      }
    };
  };
  world.gateway.on_request = [&](const ports::GatewayRequest& request) {
    if (request.order != poison) {
      company += is_alone ? 1 : 0;
    } else if (world.order(*poison).interruptions >= domain::limits::kUncleanEndsBeforeMarks) {
      is_alone = true;
      lonely_runs += 1;
    }
  };
  world.restart();
  poison = world.place(draft());
  for (int step = 0; step < 500 && !world.order(*poison).dead_letter; ++step) {
    try {
      world.submit(draft());
      world.run_for(Duration::milliseconds(5));
    } catch (const Crash&) {
      world.restart();
    }
  }
  EXPECT_TRUE(world.order(*poison).dead_letter);
  EXPECT_GE(lonely_runs, domain::limits::kMaxInterruptionsAlone);
  EXPECT_EQ(company, 0);
}

TEST_F(Interruption, AServerThatIsMerelyKilledDeadLettersNobody) {
  SeededRandom random(7);
  for (int kill = 0; kill < 25; ++kill) {
    place_healthy(30);
    world.run_for(Duration::milliseconds(static_cast<std::int64_t>(random.next() % 30)));
    world.restart();
  }
  world.run_for(Duration::seconds(60));
  expect_healthy_are_fulfilled();
}

TEST_F(Interruption, BelowThreeUncleanEndsNothingIsMarked) {
  int marks = 0;
  world.prepare = [&marks](RecordingStore& store) { store.before_mark = [&marks] { ++marks; }; };
  for (int kill = 0; kill < 2; ++kill) {
    world.restart();
    place_healthy(10);
  }
  EXPECT_EQ(marks, 0);
  world.restart();
  place_healthy(10);
  EXPECT_GT(marks, 0) << "the third in a row is careful";
  world.run_for(Duration::seconds(10));
  const int settled = marks;
  place_healthy(10);
  world.run_for(Duration::seconds(10));
  EXPECT_EQ(marks, settled) << "once all that was there has been stepped";
  EXPECT_EQ(world.disk->store().recovery().unclean_ends, 3);
  world.restart();
  EXPECT_EQ(world.disk->store().recovery().unclean_ends, 1) << "the count began again";
}

TEST_F(Interruption, NoOrderRunsWhoseMarkTheStoreDidNotTake) {
  for (int kill = 0; kill < 3; ++kill) world.restart();
  place_healthy(1);
  world.restart();
  world.gateway.requests.clear();
  world.disk->fail_next_write(ports::StoreError::stopped, FailedWrite::lost);
  world.pipeline->poll(world.now());
  EXPECT_TRUE(world.gateway.requests.empty());
}

}  // namespace
}  // namespace penstock::pipeline::testing

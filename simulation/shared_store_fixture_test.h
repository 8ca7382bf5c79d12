#pragma once

#include <deque>
#include <expected>
#include <functional>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "simulation/shared_store.h"
#include "tests/contract/order_builder.h"

/// A shared database with clients of it, and a road on which calls and answers get lost.
namespace penstock::simulation {

/// Does to the next calls what it was told, and keeps what is under way.
class ScriptedRoad final : public DatabaseRoad {
 public:
  explicit ScriptedRoad(const domain::Now& clock) : clock_(clock) {}

  std::deque<Passage> passages;
  Heard heard = Heard::yes;
  std::vector<std::move_only_function<void()>> under_way;

  Passage leave(CallKind) override {
    if (passages.empty()) return Passage::through;
    const Passage next = passages.front();
    passages.pop_front();
    return next;
  }
  Heard arrived(CallKind, Passage passage) override {
    return passage == Passage::slow_answer ? heard : Heard::yes;
  }
  void carry_late(std::move_only_function<void()> call) override {
    under_way.push_back(std::move(call));
  }
  domain::MonotonicTime uptime() override { return clock_.monotonic; }
  domain::Instant shown_at(domain::Instant time) override { return time; }
  domain::Instant database_time_of(domain::Instant time) override { return time; }

 private:
  const domain::Now& clock_;
};

class SharedStore : public ::testing::Test {
 protected:
  static constexpr domain::Duration kLease = domain::Duration::seconds(5);

  SharedStore()
      : database({.lease = kLease}, [this] { return now; }),
        first(database, database.start_run(1), &road),
        second(database, database.start_run(2)) {}

  void pass(domain::Duration span) {
    now.wall = now.wall + span;
    now.monotonic.ns += span.us * 1'000;
  }
  std::expected<std::vector<ports::CommandResult>, ports::StoreError> apply(
      SharedStoreClient& client, ports::Command command) {
    commands.clear();
    commands.push_back(std::move(command));
    return client.apply(commands, now);
  }
  domain::Order placed(std::uint64_t number) {
    ports::Accept accept;
    accept.commit.next = store_contract::OrderBuilder(number).placed(now.wall);
    const auto results = apply(second, std::move(accept));
    return *std::get<ports::AcceptResult>(results.value()[0]).order;
  }
  ports::Commit cancelling(const domain::Order& order) {
    domain::Advance advance = store_contract::steps::cancel(order, now.wall);
    return {.next = std::move(advance.next),
            .read = order.version,
            .stock = advance.stock,
            .receipt = {}};
  }
  ports::CommitOutcome outcome_of(
      const std::expected<std::vector<ports::CommandResult>, ports::StoreError>& results) {
    return std::get<ports::CommitResult>(results.value()[0]).outcome;
  }
  /// An order that ended, whose terminal batch waits.
  domain::Order ended(std::uint64_t number) {
    const domain::Order order = placed(number);
    EXPECT_EQ(outcome_of(apply(second, cancelling(order))), ports::CommitOutcome::committed);
    return order;
  }

  domain::Now now{.wall = {1'800'000'000'000'000}, .monotonic = {1'000'000'000}};
  SharedDatabase database;
  ScriptedRoad road{now};
  SharedStoreClient first;
  SharedStoreClient second;
  std::vector<ports::Command> commands;
};

}  // namespace penstock::simulation

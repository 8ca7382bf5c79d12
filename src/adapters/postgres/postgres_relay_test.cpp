#include <chrono>
#include <thread>

#include <fmt/format.h>

#include "adapters/postgres/postgres_fixture_test.h"
#include "tests/postgres/relay.h"

// Answers that are lost on the way: the one outcome that nobody can be told.
namespace penstock::postgres_store {
namespace {

using domain::Order;
using ports::CommitOutcome;
using ports::CommitResult;
using ports::StoreError;

constexpr auto kPause = std::chrono::milliseconds(10);

class PostgresRelayed : public PostgresTest {
 protected:
  PostgresStoreOptions relayed_options() {
    PostgresStoreOptions relayed = options();
    relayed.url =
        "host=" + relay.directory() + " port=5432 user=penstock dbname=postgres sslmode=disable";
    return relayed;
  }
  std::unique_ptr<PostgresStore> open_relayed() { return open(relayed_options()); }
  bool is_at_version(const Order& order) {
    return schema.number(fmt::format(
               "SELECT (SELECT count(*) FROM active_orders WHERE order_id = '{0}' AND version = "
               "{1})"
               " + (SELECT count(*) FROM orders WHERE order_id = '{0}' AND version = {1})",
               order.id.str(), order.version.number)) == 1;
  }
  /// Applies `command` while its answer is lost, until the server has committed `result`.
  Results apply_unheard(PostgresStore& store, std::vector<ports::Command>& commands,
                        const Order& result) {
    relay.lose_answers();
    Results results;
    std::thread caller([&] { results = store.apply(commands, {}); });
    while (!is_at_version(result)) std::this_thread::sleep_for(kPause);
    relay.cut();
    caller.join();
    return results;
  }
  /// Through the next connection, once its pause is over.
  Results apply_again(PostgresStore& store, std::vector<ports::Command>& commands) {
    for (;;) {
      auto results = store.apply(commands, {});
      if (results || results.error() != StoreError::unavailable) return results;
      std::this_thread::sleep_for(kPause);
    }
  }

  postgres_testing::Relay relay{postgres_testing::shared_server().directory()};
};

TEST_F(PostgresRelayed, ACommitWhoseAnswerWasLostIsUnknownAndItsCommandsAreAsTheyWere) {
  const auto store = open_relayed();
  const Order stored = store_placed(*store, order());
  const auto cancelled = store_contract::steps::cancel(stored, now());
  std::vector<ports::Command> commands;
  commands.emplace_back(commit_of(stored, cancelled));
  const auto unheard = apply_unheard(*store, commands, cancelled.next);
  ASSERT_FALSE(unheard.has_value());
  EXPECT_EQ(unheard.error(), StoreError::unknown_outcome);
  EXPECT_EQ(std::get<ports::Commit>(commands[0]).next, cancelled.next);
  // Applied again as it is, the fence tells that it had landed.
  const auto again = apply_again(*store, commands);
  ASSERT_TRUE(again.has_value());
  const auto& result = std::get<CommitResult>(again->at(0));
  EXPECT_EQ(result.outcome, CommitOutcome::stale);
  EXPECT_EQ(result.current, cancelled.next);
}

TEST_F(PostgresRelayed, AnAcceptWhoseAnswerWasLostIsThereAndItsKeyReplaysIt) {
  const auto store = open_relayed();
  const Order first = order().placed(now());
  std::vector<ports::Command> commands;
  commands.emplace_back(accept_of(first, "key"));
  const auto unheard = apply_unheard(*store, commands, first);
  ASSERT_FALSE(unheard.has_value());
  EXPECT_EQ(unheard.error(), StoreError::unknown_outcome);
  std::vector<ports::Command> retry;
  retry.emplace_back(accept_of(order().placed(now()), "key"));
  const auto again = apply_again(*store, retry);
  ASSERT_TRUE(again.has_value());
  const auto& result = std::get<ports::AcceptResult>(again->at(0));
  EXPECT_EQ(result.outcome, ports::AcceptOutcome::replayed);
  EXPECT_EQ(result.order, first);
}

// As a proxy that holds connections open and says nothing: every call ends at its deadline, and so
// does the store.
TEST_F(PostgresRelayed, ASilentServerIsGivenUpAndWorkedWithAgainOnceItSpeaks) {
  PostgresStoreOptions relayed = relayed_options();
  relayed.timeout = domain::Duration::seconds(5);
  relayed.connect_timeout = domain::Duration::seconds(5);
  const auto store = open(relayed);
  const Order first = store_placed(*store, order());
  relay.lose_answers();
  std::vector<ports::Command> commands;
  commands.emplace_back(commit_of(first, store_contract::steps::cancel(first, now())));
  const auto unheard = store->apply(commands, {});
  ASSERT_FALSE(unheard.has_value());
  EXPECT_EQ(unheard.error(), StoreError::unknown_outcome);
  EXPECT_FALSE(store->is_reachable());
  const auto claimed = store->claim(domain::Stage::payment, 10, {});
  ASSERT_FALSE(claimed.has_value());
  EXPECT_EQ(claimed.error(), StoreError::unavailable);
  EXPECT_EQ(store->reader().find(first.id).error(), StoreError::unavailable);
  relay.cut();
  const auto again = apply_again(*store, commands);
  ASSERT_TRUE(again.has_value());
  EXPECT_EQ(std::get<CommitResult>(again->at(0)).outcome, CommitOutcome::stale);
  EXPECT_TRUE(store->is_reachable());
  relay.lose_answers();
  store->end_by(LastCall::Clock::now());
  EXPECT_FALSE(store->close().has_value());
}

// After a write that failed libpq expects nothing more, and yet calls the connection good.
TEST_F(PostgresRelayed, ACallIntoAServerThatGoesDownEnds) {
  const auto store = open_relayed();
  std::vector<ports::Command> commands;
  commands.emplace_back(accept_of(order().placed(now())));
  relay.break_off();
  const auto broken = store->apply(commands, {});
  ASSERT_FALSE(broken.has_value());
  EXPECT_EQ(broken.error(), StoreError::unknown_outcome) << "how far the write came is not known";
  const auto again = apply_again(*store, commands);
  ASSERT_TRUE(again.has_value());
  EXPECT_EQ(std::get<ports::AcceptResult>(again->at(0)).outcome, ports::AcceptOutcome::accepted);
}

}  // namespace
}  // namespace penstock::postgres_store

#include <atomic>
#include <chrono>
#include <functional>
#include <thread>

#include <fmt/format.h>

#include "adapters/postgres/postgres_fixture_test.h"

// Connections that break: before the COMMIT nothing was done, behind it everything was, and the
// store tells which.
namespace penstock::postgres_store {
namespace {

using domain::Order;
using ports::AcceptOutcome;
using ports::AcceptResult;
using ports::StoreError;

constexpr auto kPause = std::chrono::milliseconds(10);

class PostgresFailures : public PostgresTest {
 protected:
  void terminate(int pid) {
    ASSERT_EQ(schema.number(fmt::format("SELECT pg_terminate_backend({}, 20000)::int", pid)), 1);
  }
  /// Waits until the server's process waits for `event`; a test that waits for ever is stopped by
  /// its runner.
  void await_event(int pid, const std::string& event) {
    const std::string sql = fmt::format(
        "SELECT count(*) FROM pg_stat_activity WHERE pid = {} AND wait_event = '{}'", pid, event);
    while (schema.number(sql) == 0) std::this_thread::sleep_for(kPause);
  }
  bool is_stored(PostgresStore& store, const Order& each) {
    return store.reader().find(each.id).value().has_value();
  }
  /// The first answer that is not `unavailable`: the next try may have to wait for its pause.
  static Results apply_at_last(PostgresStore& store, std::vector<ports::Command> commands) {
    for (;;) {
      auto results = store.apply(commands, {});
      if (results || results.error() != StoreError::unavailable) return results;
      std::this_thread::sleep_for(kPause);
    }
  }
  static AcceptOutcome outcome_of(const Results& results) {
    return std::get<AcceptResult>(results.value().at(0)).outcome;
  }
  /// Applies an accept of `first` on another thread, lets `meanwhile` run once the server's process
  /// waits for `event`, and gives the answer.
  Results apply_while(PostgresStore& store, const Order& first, const std::string& event,
                      const std::function<void(int)>& meanwhile) {
    const int pid = store.backend_pid();
    Results results;
    std::vector<ports::Command> commands;
    commands.emplace_back(accept_of(first));
    std::thread caller([&] {
      results = store.apply(commands, {});
      is_over = true;
    });
    await_event(pid, event);
    meanwhile(pid);
    caller.join();
    // What is unavailable is as it was.
    if (!results && results.error() == StoreError::unavailable) {
      EXPECT_EQ(std::get<ports::Accept>(commands[0]).commit.next, first);
    }
    return results;
  }

  std::atomic<bool> is_over = false;  ///< the call of apply_while
};

TEST_F(PostgresFailures, AConnectionThatBrokeWhileIdleIsOpenedAgain) {
  const auto store = open(options());
  const Order first = order().placed(now());
  terminate(store->backend_pid());
  std::vector<ports::Command> commands;
  commands.emplace_back(accept_of(first));
  const auto broken = store->apply(commands, {});
  ASSERT_FALSE(broken.has_value());
  EXPECT_EQ(broken.error(), StoreError::unavailable);
  EXPECT_FALSE(is_stored(*store, first));
  EXPECT_EQ(outcome_of(apply_at_last(*store, std::move(commands))), AcceptOutcome::accepted);
  EXPECT_TRUE(is_stored(*store, first));
}

TEST_F(PostgresFailures, ABatchThatDoesNotFitIntoABrokenConnectionEnds) {
  const auto store = open(options());
  terminate(store->backend_pid());
  std::vector<ports::Command> commands;
  for (int i = 0; i < 2'000; ++i) commands.emplace_back(accept_of(order().placed(now())));
  const auto broken = store->apply(commands, {});
  ASSERT_FALSE(broken.has_value());
  EXPECT_EQ(broken.error(), StoreError::unavailable);
  EXPECT_EQ(schema.number("SELECT count(*) FROM active_orders"), 0);
  EXPECT_EQ(apply_at_last(*store, std::move(commands)).value().size(), 2'000U);
}

TEST_F(PostgresFailures, ReadersGetAFreshConnectionWhereTheirsBroke) {
  const auto store = open(options());
  const Order first = store_placed(*store, order());
  ASSERT_TRUE(is_stored(*store, first));
  ASSERT_GT(schema.number("SELECT count(*) FILTER (WHERE pg_terminate_backend(pid, 20000))"
                          " FROM pg_stat_activity WHERE application_name LIKE 'penstock reader%'"),
            0);
  EXPECT_TRUE(is_stored(*store, first));
}

TEST_F(PostgresFailures, WhatWasKilledBeforeItsCommitIsUnavailableAndDidNothing) {
  const auto store = open(options());
  store_placed(*store, order());  // the tenant's bucket exists
  const Order first = order().placed(now());
  schema.execute("BEGIN; SELECT * FROM buckets FOR UPDATE");
  const auto results =
      apply_while(*store, first, "transactionid", [this](int pid) { terminate(pid); });
  schema.execute("ROLLBACK");
  ASSERT_FALSE(results.has_value());
  EXPECT_EQ(results.error(), StoreError::unavailable);
  EXPECT_FALSE(is_stored(*store, first));
  std::vector<ports::Command> again;
  again.emplace_back(accept_of(first));
  EXPECT_EQ(outcome_of(apply_at_last(*store, std::move(again))), AcceptOutcome::accepted);
}

TEST_F(PostgresFailures, WhatWasKilledInsideItsCommitBeforeItCountedIsUnavailable) {
  const auto store = open(options());
  schema.execute(
      "CREATE FUNCTION dawdle() RETURNS trigger LANGUAGE plpgsql AS"
      " 'BEGIN PERFORM pg_sleep(600); RETURN NULL; END';"
      "CREATE CONSTRAINT TRIGGER dawdle AFTER INSERT ON active_orders DEFERRABLE INITIALLY DEFERRED"
      " FOR EACH ROW EXECUTE FUNCTION dawdle()");
  const Order first = order().placed(now());
  const auto results = apply_while(*store, first, "PgSleep", [this](int pid) { terminate(pid); });
  schema.execute("DROP TRIGGER dawdle ON active_orders");
  ASSERT_FALSE(results.has_value());
  EXPECT_EQ(results.error(), StoreError::unavailable);
  EXPECT_FALSE(is_stored(*store, first));
}

/// A commit that is on disk and waits for a standby that does not exist: killing it there loses the
/// answer alone.
class PostgresUnheardCommits : public PostgresFailures {
 protected:
  ~PostgresUnheardCommits() override { set_standby(""); }

  void set_standby(const std::string& name) {
    schema.execute("SET synchronous_commit = local");
    schema.execute("ALTER SYSTEM SET synchronous_standby_names = '" + name + "'");
    schema.execute("SELECT pg_reload_conf()");
    while (schema.number("SELECT (current_setting('synchronous_standby_names') = '" + name +
                         "')::int") == 0) {
      std::this_thread::sleep_for(kPause);
    }
  }
};

TEST_F(PostgresUnheardCommits, AreAsCommittedAsIfTheyHadAnAnswerOnceTheirStandbyHasThem) {
  const auto store = open(options());
  const Order first = order().placed(now());
  set_standby("nobody");
  bool looked_up_while_away = false;
  const auto results = apply_while(*store, first, "SyncRep", [&](int pid) {
    terminate(pid);
    while (schema.number("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'") ==
               0 &&
           !is_over) {
      std::this_thread::sleep_for(kPause);
    }
    looked_up_while_away = !is_over;
    set_standby("");
  });
  EXPECT_TRUE(looked_up_while_away) << "told before a standby has it";
  EXPECT_EQ(outcome_of(results), AcceptOutcome::accepted);
  EXPECT_EQ(std::get<AcceptResult>(results->at(0)).order, first);
  EXPECT_TRUE(is_stored(*store, first));
  EXPECT_EQ(store->depth().active, 1U);
}

// A server that recovered may have given the transaction's id to another one.
TEST_F(PostgresUnheardCommits, AreOfUnknownOutcomeWhereTheServerRecoveredSince) {
  const auto store = open(options());
  const Order first = order().placed(now());
  set_standby("nobody");
  const auto results = apply_while(*store, first, "SyncRep", [&](int pid) {
    // What a recovery does, as far as can be seen.
    schema.execute("SELECT pg_stat_reset_shared('bgwriter')");
    terminate(pid);
    set_standby("");
  });
  ASSERT_FALSE(results.has_value());
  EXPECT_EQ(results.error(), StoreError::unknown_outcome);
  EXPECT_TRUE(is_stored(*store, first));
}

TEST_F(PostgresFailures, AServerThatTakesNoWritesIsPassedBy) {
  ConnectionOptions connection = schema.connection_options();
  connection.url += " options='-c default_transaction_read_only=on'";
  const auto opened = Connection::open(connection, {});
  ASSERT_FALSE(opened.has_value());
  EXPECT_NE(opened.error().detail.find("read-only"), std::string::npos) << opened.error().detail;
}

TEST_F(PostgresFailures, ACommitWaitsForTheDiskWhereTheServersDefaultIsNotTo) {
  const auto setting_under = [&](const std::string& given) {
    ConnectionOptions connection = schema.connection_options();
    connection.url += " options='-c synchronous_commit=" + given + "'";
    const auto opened = Connection::open(connection, {});
    const auto rows = (*opened)->query("SELECT current_setting('synchronous_commit')");
    return std::string(rows->bytes(0, 0));
  };
  EXPECT_EQ(setting_under("off"), "on");
  EXPECT_EQ(setting_under("remote_apply"), "remote_apply");
  EXPECT_EQ(setting_under("local"), "local") << "a choice of the operator's";
}

TEST_F(PostgresFailures, AConflictIsTriedAgain) {
  const auto store = open(options());
  schema.execute(
      "CREATE TABLE failures (n integer); INSERT INTO failures VALUES (0);"
      "CREATE SEQUENCE tries;"
      "CREATE FUNCTION fail_twice() RETURNS trigger LANGUAGE plpgsql AS"
      " 'BEGIN IF nextval(''tries'') <= 2 THEN RAISE EXCEPTION ''lost'' USING ERRCODE ="
      " ''40P01''; END IF; RETURN NULL; END';"
      "CREATE TRIGGER fail_twice AFTER INSERT ON active_orders FOR EACH STATEMENT"
      " EXECUTE FUNCTION fail_twice()");
  EXPECT_EQ(store_placed(*store, order()).version.number, 1U);
  EXPECT_GE(schema.number("SELECT last_value FROM tries"), 3);
}

// A DBA's mistake is not the store's: it is waited for until somebody mends it.
TEST_F(PostgresFailures, ARightThatIsMissingIsWaitedFor) {
  const auto store = open(options());
  schema.execute(
      "CREATE FUNCTION deny() RETURNS trigger LANGUAGE plpgsql AS"
      " 'BEGIN RAISE EXCEPTION ''permission denied'' USING ERRCODE = ''42501''; END';"
      "CREATE TRIGGER deny BEFORE INSERT ON active_orders FOR EACH ROW EXECUTE FUNCTION deny()");
  std::vector<ports::Command> commands;
  const Order first = order().placed(now());
  commands.emplace_back(accept_of(first));
  commands.emplace_back(accept_of(order().placed(now())));
  const auto refused = store->apply(commands, {});
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error(), StoreError::unavailable);
  EXPECT_NE(store->last_failure().find("42501"), std::string::npos) << store->last_failure();
  EXPECT_EQ(std::get<ports::Accept>(commands[0]).commit.next, first);
  EXPECT_FALSE(store->is_reachable());
  schema.execute("DROP TRIGGER deny ON active_orders");
  EXPECT_EQ(outcome_of(apply_at_last(*store, std::move(commands))), AcceptOutcome::accepted);
  EXPECT_TRUE(store->is_reachable());
}

// Somebody's trigger refuses one customer's orders, with each of the classes that say so.
TEST_F(PostgresFailures, ACommandThatTheDatabaseRefusesIsRefusedAlone) {
  std::vector<std::string> told;
  PostgresStoreOptions watched = options();
  watched.command_refused = [&](const ports::Command& command, const Failure& failure) {
    told.push_back(std::get<ports::Accept>(command).commit.next.customer.str() + " " +
                   failure.sql_state);
  };
  const auto store = open(watched);
  for (const std::string state : {"22021", "23514", "P0001", "42501"}) {
    told.clear();
    schema.execute(fmt::format(
        "CREATE OR REPLACE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS "
        "'BEGIN IF NEW.customer_id = ''refused'' THEN RAISE EXCEPTION ''no'' USING ERRCODE = "
        "''{}''; END IF; RETURN NEW; END';"
        "CREATE OR REPLACE TRIGGER refuse BEFORE INSERT ON active_orders FOR EACH ROW"
        " EXECUTE FUNCTION refuse()",
        state));
    std::vector<ports::Command> commands;
    for (int at = 0; at < 20; ++at) {
      Order each = order().placed(now());
      if (at == 7) each.customer = domain::CustomerId::unchecked("refused");
      commands.emplace_back(accept_of(std::move(each)));
    }
    const Order refused = std::get<ports::Accept>(commands[7]).commit.next;
    const auto results = store->apply(commands, {});
    ASSERT_TRUE(results.has_value()) << store->last_failure();
    for (std::size_t at = 0; at < results->size(); ++at) {
      if (at == 7) {
        EXPECT_TRUE(std::holds_alternative<ports::CommandNotDone>(results->at(at)));
      } else {
        ASSERT_TRUE(std::holds_alternative<AcceptResult>(results->at(at))) << at;
        EXPECT_EQ(std::get<AcceptResult>(results->at(at)).outcome, AcceptOutcome::accepted);
      }
    }
    EXPECT_EQ(std::get<ports::Accept>(commands[7]).commit.next, refused) << "it is as it was";
    EXPECT_EQ(told, std::vector<std::string>{"refused " + state});
    EXPECT_FALSE(is_stored(*store, refused));
    EXPECT_TRUE(store->is_reachable());
  }
}

TEST_F(PostgresFailures, ASchemaThatWasMigratedMeanwhileStopsTheStoreAtItsNextConnection) {
  const auto store = open(options());
  schema.execute("INSERT INTO schema_versions (version, name) VALUES (99, 'of tomorrow')");
  EXPECT_TRUE(store->mark({}).has_value());
  terminate(store->backend_pid());
  std::vector<ports::Command> commands;
  commands.emplace_back(accept_of(order().placed(now())));
  EXPECT_EQ(apply_at_last(*store, commands).error(), StoreError::corrupt);
  EXPECT_NE(store->last_failure().find("version 99"), std::string::npos);
}

}  // namespace
}  // namespace penstock::postgres_store

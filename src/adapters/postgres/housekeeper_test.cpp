#include "adapters/postgres/housekeeper.h"

#include <algorithm>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "adapters/postgres/postgres_fixture_test.h"

namespace penstock::postgres_store {
namespace {

using domain::Duration;

constexpr auto kPause = std::chrono::milliseconds(5);

class KeptLog final : public ports::Log {
 public:
  bool enabled(ports::LogLevel) const override { return true; }
  void write(ports::LogLevel level, std::string_view message,
             std::initializer_list<ports::LogField>) override {
    const std::lock_guard lock(mutex_);
    if (level == ports::LogLevel::warning) warnings_.emplace_back(message);
  }
  std::vector<std::string> warnings() const {
    const std::lock_guard lock(mutex_);
    return warnings_;
  }

 private:
  mutable std::mutex mutex_;
  std::vector<std::string> warnings_;
};

class Housekeepers : public PostgresTest {
 protected:
  std::unique_ptr<Housekeeper> keeper(const std::string& node, std::int32_t history_months = 0,
                                      Duration round = Duration::milliseconds(20)) {
    ConnectionOptions connection = schema.connection_options();
    connection.name = "housekeeper " + node;
    return std::make_unique<Housekeeper>(HousekeeperOptions{.connection = connection,
                                                            .node = node,
                                                            .history_months = history_months,
                                                            .look = Duration::milliseconds(10),
                                                            .round = round},
                                         log);
  }
  /// A test that waits for ever is stopped by its runner.
  template <typename Condition>
  static void await(Condition condition) {
    while (!condition()) std::this_thread::sleep_for(kPause);
  }
  void await_number(const std::string& sql, std::int64_t wanted) {
    await([&] { return schema.number(sql) == wanted; });
  }

  /// Until the keeper has looked at the house from here on, and heard the answer: what it asks
  /// first, and whatever it asks next.
  void await_look(const std::string& node) {
    const auto asked = [&](const std::string& what) {
      return schema.number(
          "SELECT coalesce(max((extract(epoch FROM query_start) * 1000000)::bigint), 0)"
          " FROM pg_stat_activity WHERE application_name = 'housekeeper " +
          node + "' AND (" + what + ")");
    };
    const std::int64_t begun =
        schema.number("SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint");
    std::int64_t first = 0;
    await([&] {
      first = asked(
          "query LIKE '%penstock housekeeper%' OR query = 'SELECT 1'"
          " OR query LIKE '%pg_stat_user_tables%'");
      return first > begun;
    });
    await([&] { return asked("true") > first; });
  }

  KeptLog log;
};

TEST_F(Housekeepers, OneOfSeveralKeepsHouseAndAnotherTakesOverWhenItEnds) {
  auto first = keeper("a");
  await([&] { return first->keeps_house(); });
  const auto second = keeper("b");
  const auto third = keeper("c");
  await_look("b");
  await_look("c");
  EXPECT_FALSE(second->keeps_house() || third->keeps_house());
  first.reset();
  await([&] { return second->keeps_house() || third->keeps_house(); });
  await_look("b");
  await_look("c");
  EXPECT_NE(second->keeps_house(), third->keeps_house());
}

TEST_F(Housekeepers, OneThatLostItsConnectionIsFollowedByOneThatHasOne) {
  const auto only = keeper("a");
  await([&] { return only->keeps_house(); });
  schema.execute(
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
      " WHERE application_name = 'housekeeper a'");
  // A round that was interrupted is told of as well.
  await([&] {
    return std::ranges::count(log.warnings(), "this process no longer keeps the database's house") >
           0;
  });
  await([&] { return only->keeps_house(); });
}

TEST_F(Housekeepers, ExpiredKeysAreDeletedUntilThereAreNoneAndOthersStay) {
  const auto store = open(options());
  apply_one<ports::AcceptResult>(*store, accept_of(order().placed(now()), "kept"));
  const int more_than_one_batch = kMaxKeysDeleted + 500;
  schema.execute("INSERT INTO idempotency_keys SELECT 'acme', 'gone-' || n, '\\x00', " +
                 std::string("gen_random_uuid(), now() - interval '1 hour'") +
                 " FROM generate_series(1, " + std::to_string(more_than_one_batch) + ") n");
  schema.execute("INSERT INTO receipts VALUES (gen_random_uuid(), '2001-01-01', '\\x00')");
  const auto only = keeper("a", 0, Duration::hours(1));
  // The last chore of the one round.
  await([&] { return only->default_rows() == 1; });
  EXPECT_EQ(schema.number("SELECT count(*) FROM idempotency_keys"), 1);
  EXPECT_EQ(
      apply_one<ports::AcceptResult>(*store, accept_of(order().placed(now()), "kept")).outcome,
      ports::AcceptOutcome::replayed);
}

TEST_F(Housekeepers, MonthsAreMadeAheadAndThoseThatAreNotKeptAreDropped) {
  const std::string partitions =
      "SELECT count(*) FROM pg_inherits WHERE inhparent = 'orders'::regclass";
  const std::int64_t made = schema.number(partitions);
  schema.execute(
      "DO $$ BEGIN EXECUTE (SELECT 'DROP TABLE ' || max(inhrelid::regclass::text)"
      " FROM pg_inherits WHERE inhparent = 'orders'::regclass"
      " AND inhrelid::regclass::text ~ '[0-9]$'); END $$");
  schema.execute(
      "SELECT create_month('orders', (date_trunc('month', now())"
      " - n * interval '1 month')::date) FROM generate_series(1, 3) n");
  ASSERT_EQ(schema.number(partitions), made - 1 + 3);
  const auto only = keeper("a", 1);
  // One month before the present one stays; two go, and the one ahead is made again.
  await_number(partitions, made + 1);
  EXPECT_EQ(schema.number("SELECT count(*) FROM dropped_months"), 2);
}

// A clock that is far ahead drops nothing: this machine's and the stored orders say otherwise.
TEST_F(Housekeepers, NothingIsDroppedOrDeletedByOneClockThatIsFarAhead) {
  const auto store = open(options());
  apply_one<ports::AcceptResult>(*store, accept_of(order().placed(now()), "kept"));
  schema.execute(
      "SELECT create_month('orders', (date_trunc('month', now())"
      " - n * interval '1 month')::date) FROM generate_series(1, 3) n;"
      "CREATE OR REPLACE FUNCTION store_now() RETURNS timestamptz LANGUAGE sql VOLATILE AS"
      " 'SELECT clock_timestamp() + interval ''400 days'''");
  schema.execute("INSERT INTO receipts VALUES (gen_random_uuid(), '2001-01-01', '\\x00')");
  const auto only = keeper("a", 1);
  await([&] { return only->default_rows() == 1; });
  EXPECT_EQ(schema.number("SELECT count(*) FROM dropped_months"), 0);
  EXPECT_EQ(schema.number("SELECT count(*) FROM idempotency_keys"), 1);
  const auto told = log.warnings();
  EXPECT_TRUE(std::ranges::any_of(
      told, [](const std::string& each) { return each.starts_with("nothing is dropped"); }));
}

TEST_F(Housekeepers, NoMonthIsDroppedWhereAllOfHistoryIsKept) {
  schema.execute(
      "SELECT create_month('orders', (date_trunc('month', now()) - interval '30 months')::date)");
  schema.execute(
      "DO $$ BEGIN EXECUTE (SELECT 'DROP TABLE ' || max(inhrelid::regclass::text)"
      " FROM pg_inherits WHERE inhparent = 'orders'::regclass"
      " AND inhrelid::regclass::text ~ '[0-9]$'); END $$");
  const std::string partitions =
      "SELECT count(*) FROM pg_inherits WHERE inhparent = 'orders'::regclass";
  const std::int64_t before = schema.number(partitions);
  schema.execute("INSERT INTO receipts VALUES (gen_random_uuid(), '2001-01-01', '\\x00')");
  const auto only = keeper("a");
  // The last of a round's chores was done.
  await([&] { return only->default_rows() == 1; });
  EXPECT_EQ(schema.number(partitions), before + 1) << "the month ahead is made again";
  EXPECT_EQ(schema.number("SELECT count(*) FROM dropped_months"), 0);
}

TEST_F(Housekeepers, RowsOfMonthsThatWereNotMadeAreTold) {
  schema.execute("INSERT INTO receipts VALUES (gen_random_uuid(), '2001-01-01', '\\x00')");
  const auto only = keeper("a");
  await([&] { return only->default_rows() == 1; });
  await([&] { return !log.warnings().empty(); });
  EXPECT_EQ(log.warnings().front(),
            "rows lie in default partitions: their months were not made ahead");
  schema.execute("DELETE FROM receipts");
  await([&] { return only->default_rows() == 0; });
}

TEST_F(Housekeepers, VacuumAHotTableThatIsFullOfDeadRows) {
  const auto store = open(options());
  std::vector<ports::Command> commands;
  for (int i = 0; i < 2'000; ++i) commands.emplace_back(accept_of(order().placed(now())));
  ASSERT_TRUE(apply(*store, std::move(commands)).has_value());
  for (int turn = 0; turn < 4; ++turn) {
    schema.execute("UPDATE active_orders SET queue_due = queue_due + interval '1 second'");
  }
  schema.execute("SELECT pg_stat_force_next_flush()");
  const auto first = keeper("first");
  await_number(
      "SELECT (vacuum_count > 0)::int FROM pg_stat_user_tables"
      " WHERE relid = 'active_orders'::regclass",
      1);
  EXPECT_TRUE(log.warnings().empty());
}

}  // namespace
}  // namespace penstock::postgres_store

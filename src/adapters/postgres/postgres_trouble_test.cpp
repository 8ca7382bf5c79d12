#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "adapters/postgres/migrations.h"
#include "adapters/postgres/postgres_fixture_test.h"

// Databases that cannot be reached or refuse the work: named for what is wrong, left, and worked
// with again by itself.
namespace penstock::postgres_store {
namespace {

using Change = Reachability::Change;

constexpr auto kPause = std::chrono::milliseconds(10);

std::string server_of_tests() {
  return "host=" + postgres_testing::shared_server().directory() + " port=5432 ";
}

TEST(PostgresStart, ThatFailsSaysWhyInOneLineAndTellsNoSecret) {
  struct Case {
    std::string url;
    std::string sql_state;
    std::string said;
  };
  const std::string server = server_of_tests() + "password=hush ";
  const std::vector<Case> cases{
      {server + "user=nobody dbname=postgres", "28000", "nobody"},
      {server + "user=penstock dbname=nowhere", "3D000", "nowhere"},
      {"host=127.0.0.1 port=1 user=penstock dbname=postgres password=hush", "", "refused"},
      {"postgresql://penstock:hush%zz@127.0.0.1/postgres", "", "malformed"},
      {"postgresql://penstock:a@hush@127.0.0.1/postgres", "", "second @"},
      {"postgresql://penstock@127.0.0.1/postgres?pass%77ord=hush&x=%zz", "", "malformed"},
      {"host=h password='hush", "", "malformed"},
      {"password=hush hush", "", "malformed"},
  };
  for (const Case& each : cases) {
    PostgresStoreOptions options;
    options.url = each.url;
    options.node = "a";
    const auto opened = PostgresStore::open(options);
    ASSERT_FALSE(opened.has_value()) << each.said;
    const Failure& failure = opened.error();
    EXPECT_EQ(failure.error, ports::StoreError::unavailable) << failure.detail;
    EXPECT_EQ(failure.sql_state, each.sql_state) << failure.detail;
    EXPECT_NE(failure.detail.find(each.said), std::string::npos) << failure.detail;
    EXPECT_EQ(failure.detail.find("hush"), std::string::npos) << failure.detail;
    EXPECT_EQ(failure.detail.find('\n'), std::string::npos) << failure.detail;
  }
}

TEST(PostgresStart, OnADatabaseThatIsNotEncodedInUtf8IsRefusedAndSoIsItsMigration) {
  postgres_testing::TestSchema schema;
  schema.execute(
      "CREATE DATABASE western ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0");
  PostgresStoreOptions options;
  options.url = server_of_tests() + "user=penstock dbname=western";
  options.node = "a";
  const auto migrated = migrate({.url = options.url, .schema = options.schema, .name = "test"});
  ASSERT_FALSE(migrated.has_value());
  EXPECT_NE(migrated.error().detail.find("LATIN1"), std::string::npos) << migrated.error().detail;
  const auto opened = PostgresStore::open(options);
  ASSERT_FALSE(opened.has_value());
  EXPECT_NE(opened.error().detail.find("LATIN1"), std::string::npos) << opened.error().detail;
}

/// A server of its own, whose settings may change, and a store that tells when commits stop
/// working.
class PostgresTrouble : public PostgresTest {
 protected:
  PostgresTrouble() {
    watched.timeout = domain::Duration::seconds(5);
    watched.connect_timeout = domain::Duration::seconds(5);
    watched.reachability_changed = [this](Change change, std::string_view why) {
      if (change == Change::away) away.emplace_back(why);
      if (change == Change::back) back += 1;
    };
  }
  /// Asks for work until `condition`; a test that waits for ever is stopped by its runner.
  template <typename Condition>
  void claim_until(PostgresStore& store, Condition condition) {
    while (!condition()) {
      static_cast<void>(store.claim(domain::Stage::payment, 1, {}));
      std::this_thread::sleep_for(kPause);
    }
  }

  postgres_testing::TestServer server{postgres_testing::Disk::ignored};
  postgres_testing::TestSchema own{server};
  PostgresStoreOptions watched = own.store_options();
  std::vector<std::string> away;
  int back = 0;
};

TEST_F(PostgresTrouble, AServerThatBecomesReadOnlyIsSeenNamedAndWorkedWithAgain) {
  const auto store = open(watched);
  own.execute("ALTER SYSTEM SET default_transaction_read_only = on");
  own.execute("SELECT pg_reload_conf()");
  claim_until(*store, [&] { return !store->is_reachable(); });
  ASSERT_FALSE(away.empty());
  EXPECT_NE(away.front().find("25006"), std::string::npos) << away.front();
  EXPECT_NE(away.front().find(server.directory()), std::string::npos) << away.front();
  own.execute("ALTER SYSTEM SET default_transaction_read_only = off");
  own.execute("SELECT pg_reload_conf()");
  claim_until(*store, [&] { return store->is_reachable(); });
  EXPECT_EQ(back, 1);
  EXPECT_EQ(store_placed(*store, order()).version.number, 1U);
}

TEST_F(PostgresTrouble, ATableThatSomebodyLockedIsWaitedForNoLongerThanTheTimeout) {
  const auto store = open(watched);
  own.execute("BEGIN");
  own.execute("LOCK TABLE active_orders");
  std::vector<ports::Command> commands;
  commands.emplace_back(accept_of(order().placed(now())));
  const auto held_up = store->apply(commands, {});
  ASSERT_FALSE(held_up.has_value());
  EXPECT_EQ(held_up.error(), ports::StoreError::unavailable);
  EXPECT_FALSE(store->is_reachable());
  EXPECT_EQ(away.size(), 1U);
  own.execute("ROLLBACK");
  claim_until(*store, [&] { return store->is_reachable(); });
  ASSERT_TRUE(store->apply(commands, {}).has_value());
}

TEST_F(PostgresTrouble, TheClockIsTheDatabasesWhateverThisMachinesIs) {
  own.execute(
      "CREATE OR REPLACE FUNCTION store_now() RETURNS timestamptz LANGUAGE sql VOLATILE AS"
      " 'SELECT clock_timestamp() + interval ''2 hours'''");
  const auto store = open(watched);
  timespec reading{};
  ::clock_gettime(CLOCK_BOOTTIME, &reading);
  const auto known = store->clock().at({reading.tv_sec * 1'000'000'000 + reading.tv_nsec});
  ASSERT_TRUE(known.has_value());
  EXPECT_GT(*known - now(), domain::Duration::seconds(6'000));
  EXPECT_LT(*known - now(), domain::Duration::seconds(8'000));
}

}  // namespace
}  // namespace penstock::postgres_store

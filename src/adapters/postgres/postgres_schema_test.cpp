#include <algorithm>
#include <string>
#include <thread>
#include <vector>

#include <fmt/format.h>

#include "adapters/postgres/migrations.h"
#include "adapters/postgres/postgres_fixture_test.h"

// The schema: its versions, its months, and how a lookup finds one of them.
namespace penstock::postgres_store {
namespace {

using domain::Duration;
using domain::Order;
using store_contract::steps::next;

class PostgresSchema : public PostgresTest {
 protected:
  std::int64_t months(const std::string& table) {
    return schema.number("SELECT count(*) FROM pg_inherits WHERE inhparent = '" + table +
                         "'::regclass");
  }
  /// An order that is rejected at once, so that it is history, created `ahead` of now.
  Order store_ended(PostgresStore& store, Duration ahead) {
    const domain::Instant at = now() + ahead;
    auto reserved = next(order().item("NEVER").placed(at), at);
    ports::Accept accept = accept_of(std::move(reserved.next));
    accept.commit.stock = reserved.stock;
    return apply_one<ports::AcceptResult>(store, std::move(accept)).order.value();
  }
  std::string plan_of(const std::string& sql) {
    const auto rows = schema.connection().query("EXPLAIN " + sql);
    std::string plan;
    for (std::size_t row = 0; rows && row < rows->size(); ++row) {
      plan.append(rows->bytes(row, 0)).push_back('\n');
    }
    return plan;
  }
};

TEST_F(PostgresSchema, MigratingAgainChangesNothing) {
  const auto again = migrate(schema.connection_options());
  ASSERT_TRUE(again.has_value());
  EXPECT_EQ(again->from, static_cast<int>(migrations().size()));
  EXPECT_EQ(again->to, again->from);
  EXPECT_EQ(again->partitions_made, 0);
}

TEST_F(PostgresSchema, SeveralMigrateAtOnceAndOneDoesIt) {
  ConnectionOptions options = schema.connection_options();
  options.schema = schema.name() + "_b";
  constexpr std::size_t kPrograms = 4;
  std::vector<int> from(kPrograms, -1);
  std::vector<std::thread> programs;
  for (std::size_t number = 0; number < kPrograms; ++number) {
    programs.emplace_back([&, number] {
      const auto report = migrate(options);
      if (report) from[number] = report->from;
    });
  }
  for (std::thread& program : programs) program.join();
  std::ranges::sort(from);
  EXPECT_EQ(from.front(), 0);
  EXPECT_TRUE(std::all_of(from.begin() + 1, from.end(), [](int version) {
    return version == static_cast<int>(migrations().size());
  }));
  schema.execute("DROP SCHEMA " + options.schema + " CASCADE");
}

TEST_F(PostgresSchema, ANewerSchemaIsRefusedAndLeftAsItIs) {
  schema.execute("INSERT INTO schema_versions (version, name) VALUES (99, 'of tomorrow')");
  const auto migrated = migrate(schema.connection_options());
  ASSERT_FALSE(migrated.has_value());
  EXPECT_NE(migrated.error().detail.find("version 99"), std::string::npos);
  const auto opened = PostgresStore::open(options());
  ASSERT_FALSE(opened.has_value());
  EXPECT_NE(opened.error().detail.find("use a newer program"), std::string::npos);
  EXPECT_EQ(schema.number("SELECT max(version) FROM schema_versions"), 99);
}

TEST_F(PostgresSchema, ASchemaThatWasNeverMigratedIsRefused) {
  PostgresStoreOptions elsewhere = options();
  elsewhere.schema = "nowhere";
  const auto opened = PostgresStore::open(elsewhere);
  ASSERT_FALSE(opened.has_value());
  EXPECT_NE(opened.error().detail.find("penstock migrate"), std::string::npos);
}

TEST_F(PostgresSchema, TheMonthsAheadAreThereAndMadeOnce) {
  for (const char* table : {"orders", "events", "terminal_batches"}) {
    EXPECT_EQ(months(table), 5) << table;  // this month, three more, the default
  }
  EXPECT_EQ(schema.number("SELECT create_monthly_partitions(5)"), 6);
  EXPECT_EQ(schema.number("SELECT create_monthly_partitions(5)"), 0);
  EXPECT_EQ(months("orders"), 7);
}

TEST_F(PostgresSchema, ALookupByIdTouchesTheMonthThatTheIdNames) {
  const domain::OrderId id = domain::OrderId::make(now(), 1, 2);
  const std::string month = schema.number("SELECT 1") == 1 ? to_string(id.month()) : "";
  const std::string plan = plan_of(fmt::format(
      "SELECT * FROM ended_records WHERE order_id = '{}' AND created_at = created_of('{}')",
      id.str(), id.str()));
  std::string partition = "orders_" + month;
  std::ranges::replace(partition, '-', '_');
  EXPECT_NE(plan.find(partition), std::string::npos) << plan;
  EXPECT_EQ(plan.find("orders_default"), std::string::npos) << plan;
  std::size_t scans = 0;
  for (std::size_t at = plan.find(" on orders_"); at != std::string::npos;
       at = plan.find(" on orders_", at + 1)) {
    ++scans;
  }
  EXPECT_EQ(scans, 1U) << plan;
}

TEST_F(PostgresSchema, TheIdNamesTheMonthExactly) {
  const auto store = open(options());
  const Order ended = store_ended(*store, {});
  EXPECT_EQ(schema.number("SELECT count(*) FROM orders WHERE created_at = created_of(order_id)"),
            1);
  EXPECT_EQ(schema.number(fmt::format(
                "SELECT (extract(epoch FROM created_of('{}')) * 1000)::bigint", ended.id.str())),
            ended.id.created().us / 1'000);
}

TEST_F(PostgresSchema, WhatNoMonthTakesAlertsUntilItsMonthIsMade) {
  const auto store = open(options());
  const Order far = store_ended(*store, Duration::hours(24 * 190));
  EXPECT_EQ(schema.number("SELECT count(*) FROM default_partition_rows"), 1);
  ASSERT_GT(schema.number("SELECT create_monthly_partitions(7)"), 0);
  EXPECT_EQ(schema.number("SELECT count(*) FROM default_partition_rows"), 0);
  const auto found = store->reader().find(far.id);
  ASSERT_TRUE(found.has_value() && found->has_value());
  EXPECT_EQ((*found)->order, far);
}

TEST_F(PostgresSchema, WhatEndedUnderTheSchemaBeforeIsReadAsItWas) {
  const auto store = open(options());
  const Order ended = store_ended(*store, {});
  schema.execute(
      "INSERT INTO events SELECT o.order_id, o.created_at, 1, (e ->> 0)::integer,"
      " 'epoch'::timestamptz + (e ->> 1)::bigint * interval '1 microsecond', (e ->> 2)::smallint,"
      " (e ->> 3)::smallint, (e ->> 4)::smallint, (e ->> 5)::smallint, (e ->> 6)::integer"
      " FROM orders o, jsonb_array_elements(o.timeline) e;"
      "INSERT INTO events SELECT order_id, created_at, 2, 1, 'epoch', NULL, NULL, NULL, 25, 1"
      " FROM orders;"
      "INSERT INTO receipts SELECT order_id, created_at, 'of before' FROM orders;"
      "UPDATE orders SET timeline = NULL, batch = NULL, batch_created_at = NULL");
  const auto found = store->reader().find(ended.id);
  ASSERT_TRUE(found.has_value() && found->has_value());
  EXPECT_EQ((*found)->order, ended);
  EXPECT_EQ((*found)->receipt, "of before");
  ASSERT_EQ((*found)->deliveries.size(), 1U);
  EXPECT_EQ((*found)->deliveries[0].at, domain::Instant{});
  EXPECT_EQ((*found)->deliveries[0].reason, domain::Reason::end_noted);
  ports::OrderQuery query;
  query.tenant = ended.tenant;
  const auto page = store->reader().list(query);
  ASSERT_TRUE(page.has_value());
  EXPECT_EQ(page->orders, std::vector{ended});
}

TEST_F(PostgresSchema, OldMonthsAreDroppedUnlessAnActiveOrderOrAnEndNotWorkedOffNamesThem) {
  const auto store = open(options());
  const Order ended = store_ended(*store, {});
  const Order active = store_placed(*store, order());
  // A month may end between the two orders: then there are two months to drop, else one.
  const domain::Month last = active.id.month();
  const std::int64_t both = last == ended.id.month() ? 1 : 2;
  const std::string drop = fmt::format(
      "SELECT count(*) FROM drop_partitions_before((date '{}-01' + interval '1 month')::date)",
      domain::to_string(last));
  EXPECT_EQ(schema.number(drop), 0);
  EXPECT_TRUE(store->reader().find(ended.id).value().has_value());
  const auto cancelled = store_contract::steps::cancel(active, now());
  ASSERT_EQ(apply_one<ports::CommitResult>(*store, commit_of(active, cancelled)).outcome,
            ports::CommitOutcome::committed);
  EXPECT_EQ(schema.number(drop), 0) << "nobody was told of its end yet";
  const auto batches = store->take_terminal_batches(10).value();
  for (const auto& batch : batches) {
    apply_one<std::monostate>(
        *store, ports::FinishTerminalBatch{.sequence = batch.sequence, .deliveries = {}});
  }
  EXPECT_EQ(schema.number(drop), 3 * both);
  EXPECT_FALSE(store->reader().find(ended.id).value().has_value());
  EXPECT_EQ(months("orders"), 5 - both);
}

}  // namespace
}  // namespace penstock::postgres_store

#include "adapters/postgres/partition_bench.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <memory>
#include <random>
#include <set>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "adapters/postgres/migrations.h"
#include "domain/instant.h"

namespace penstock::postgres_store {
namespace {

using Done = std::expected<void, Failure>;
using Clock = std::chrono::steady_clock;

/// Loading a month, or deleting it, is one statement.
constexpr domain::Duration kStatementTimeout = domain::Duration::hours(2);
constexpr std::size_t kTenants = 50;
constexpr std::size_t kPage = 50;

/// One month's orders, evenly over it; $ids are UUIDs of version 7 with the order's millisecond.
constexpr const char* kLoadMonth = R"~(
INSERT INTO orders
SELECT (left(t.digits, 8) || '-' || right(t.digits, 4) || '-7' || substr(t.noise, 1, 3) || '-8'
        || substr(t.noise, 4, 3) || '-' || substr(t.noise, 7, 12))::uuid, t.at,
       'tenant-' || t.n % {2}, 'cust-' || t.n % 9973, 1000 + t.n % 9000, 'USD', 'pm_card_visa',
       'corr-' || t.noise, '', t.at,
       jsonb_build_array(jsonb_build_array('PROD-' || t.n % 100, 1, 1000 + t.n % 9000)), '[]',
       t.at + interval '1 second', CASE WHEN t.n % 20 = 0 THEN 7 ELSE 4 END, 4, 0, 2, 2, false,
       convert_to('cap_' || t.noise, 'UTF8'), 0, t.at, 0, 0, 0, t.at, 0, 0, t.at,
       NULL, NULL, NULL, NULL, NULL, NULL, NULL
FROM (SELECT n, at, md5(n::text || at::text) AS noise,
             lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0') AS digits
      FROM (SELECT n, date_trunc('milliseconds',
                                 {0} + (n - 1) * (({1} - {0}) / {3})) AS at
            FROM generate_series(1, {3}) n) even) t
ORDER BY t.at)~";

class PartitionBench {
 public:
  PartitionBench(PartitionBenchOptions options, std::unique_ptr<Connection> connection,
                 std::function<void(const std::string&)> told)
      : options_(std::move(options)), connection_(std::move(connection)), told_(std::move(told)) {}

  std::expected<PartitionReport, Failure> run() {
    using Step = Done (PartitionBench::*)();
    for (const Step step :
         {&PartitionBench::load, &PartitionBench::load_plain, &PartitionBench::ask_months,
          &PartitionBench::ask_ids, &PartitionBench::ask_tenants, &PartitionBench::ask_view,
          &PartitionBench::drop_month, &PartitionBench::delete_month}) {
      if (auto done = (this->*step)(); !done) return std::unexpected(std::move(done.error()));
    }
    for (const PartitionQuery& query : report_.queries) {
      if (query.partitions_scanned > query.most_allowed) report_.unpruned.push_back(query.name);
    }
    return std::move(report_);
  }

 private:
  /// A query, with {0} for the table.
  struct Question {
    std::string name;
    std::size_t most_allowed = 0;
    std::function<std::string(const std::string& table)> sql;
  };

  Done load();
  Done load_plain();
  Done ask_months();
  Done ask_ids();
  Done ask_tenants();
  Done ask_view();
  Done drop_month();
  Done delete_month();

  Done ask(const Question& question);
  std::expected<double, Failure> timed(const std::string& sql);
  std::expected<std::int64_t, Failure> number(const std::string& sql);
  std::expected<std::size_t, Failure> scanned(const std::string& sql);
  std::expected<std::string, Failure> random_id();
  std::string month_start(std::size_t index) const {
    return fmt::format("(date_trunc('month', now(), 'UTC') - interval '{} months')",
                       options_.months - index);
  }
  std::size_t drawn(std::size_t below) { return random_() % below; }

  PartitionBenchOptions options_;
  std::unique_ptr<Connection> connection_;
  std::function<void(const std::string&)> told_;
  std::minstd_rand random_{20'261'123};
  PartitionReport report_;
};

Timing timing_of(std::vector<double> times) {
  std::ranges::sort(times);
  const auto at = [&](double share) {
    const double place = std::ceil(share * static_cast<double>(times.size())) - 1;
    return times.at(static_cast<std::size_t>(std::max(0.0, place)));
  };
  return {.median_ms = at(0.5), .p99_ms = at(0.99)};
}

std::expected<double, Failure> PartitionBench::timed(const std::string& sql) {
  const auto started = Clock::now();
  const auto rows = connection_->query(sql);
  if (!rows) return std::unexpected(rows.error());
  return std::chrono::duration<double, std::milli>(Clock::now() - started).count();
}

std::expected<std::int64_t, Failure> PartitionBench::number(const std::string& sql) {
  const auto rows = connection_->query(sql);
  if (!rows) return std::unexpected(rows.error());
  return rows->integer(0, 0);
}

/// The partitions whose tables or indexes the plan really read, which it names as
/// "... on orders_2026_11 ..." or "... on orders_2026_11_pkey ...".
std::expected<std::size_t, Failure> PartitionBench::scanned(const std::string& sql) {
  const auto rows =
      connection_->query("EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) " + sql);
  if (!rows) return std::unexpected(rows.error());
  std::set<std::string> names;
  for (std::size_t row = 0; row < rows->size(); ++row) {
    const std::string_view line = rows->bytes(row, 0);
    constexpr std::string_view kTable = " on orders_";
    const std::size_t at = line.find(kTable);
    if (at == std::string_view::npos || line.find("never executed") != line.npos) continue;
    constexpr std::size_t kMonthSize = 7;  // "2026_11", "default"
    names.emplace(line.substr(at + kTable.size(), kMonthSize));
  }
  return names.size();
}

Done PartitionBench::load() {
  for (std::size_t month = 0; month < options_.months; ++month) {
    const std::string from = month_start(month);
    const std::string to = month_start(month + 1);
    auto made = connection_->execute(
        fmt::format("SELECT create_month('orders', ({} AT TIME ZONE 'UTC')::date)", from));
    if (!made) return made;
    auto loaded = connection_->execute(
        fmt::format(fmt::runtime(kLoadMonth), from, to, kTenants, options_.orders_per_month));
    if (!loaded) return loaded;
    told_(fmt::format("month {} of {}: {} orders", month + 1, options_.months,
                      options_.orders_per_month));
  }
  const auto orders = number("SELECT count(*) FROM orders");
  if (!orders) return std::unexpected(orders.error());
  report_.orders = static_cast<std::size_t>(*orders);
  const auto partitions =
      number("SELECT count(*) FROM pg_inherits WHERE inhparent = 'orders'::regclass");
  if (!partitions) return std::unexpected(partitions.error());
  report_.partitions = static_cast<std::size_t>(*partitions);
  return {};
}

Done PartitionBench::load_plain() {
  for (const char* sql : {"CREATE TABLE plain (LIKE orders INCLUDING ALL)",
                          "INSERT INTO plain SELECT * FROM orders ORDER BY created_at",
                          "CREATE INDEX plain_created ON plain (created_at)",
                          "VACUUM (ANALYZE) orders", "VACUUM (ANALYZE) plain", "CHECKPOINT"}) {
    if (auto done = connection_->execute(sql); !done) return done;
  }
  told_(fmt::format("{} orders in a plain table beside them", report_.orders));
  return {};
}

Done PartitionBench::ask(const Question& question) {
  std::vector<double> partitioned;
  std::vector<double> plain;
  // In turn, and once before it counts.
  for (std::size_t repeat = 0; repeat <= options_.repeats; ++repeat) {
    const std::uint_fast32_t seed = random_();
    for (const bool is_plain : {false, true}) {
      random_.seed(seed);  // the same question to both
      const auto took = timed(question.sql(is_plain ? "plain" : "orders"));
      if (!took) return std::unexpected(took.error());
      if (repeat > 0) (is_plain ? plain : partitioned).push_back(*took);
    }
  }
  const auto read = scanned(question.sql("orders"));
  if (!read) return std::unexpected(read.error());
  report_.queries.push_back({.name = question.name,
                             .partitioned = timing_of(std::move(partitioned)),
                             .plain = timing_of(std::move(plain)),
                             .partitions_scanned = *read,
                             .most_allowed = question.most_allowed});
  told_(question.name);
  return {};
}

Done PartitionBench::ask_months() {
  return ask({.name = "a month's orders and sums by status",
              .most_allowed = 1,
              .sql = [this](const std::string& table) {
                const std::size_t month = drawn(options_.months);
                return fmt::format(
                    "SELECT status, count(*), sum(total_minor) FROM {} WHERE created_at >= {} AND "
                    "created_at < {} GROUP BY status",
                    table, month_start(month), month_start(month + 1));
              }});
}

std::expected<std::string, Failure> PartitionBench::random_id() {
  const std::string from = month_start(drawn(options_.months));
  const auto rows = connection_->query(fmt::format(
      "SELECT order_id::text FROM orders WHERE created_at >= {0} AND created_at < {0} + "
      "interval '1 month' ORDER BY order_id LIMIT 1 OFFSET {1}",
      from, drawn(options_.orders_per_month)));
  if (!rows) return std::unexpected(rows.error());
  return std::string(rows->bytes(0, 0));
}

Done PartitionBench::ask_ids() {
  std::vector<std::string> ids;
  for (std::size_t count = 0; count < std::min<std::size_t>(options_.repeats, 100); ++count) {
    auto id = random_id();
    if (!id) return std::unexpected(id.error());
    ids.push_back(*std::move(id));
  }
  return ask({.name = "an order by its id",
              .most_allowed = 1,
              .sql = [this, ids](const std::string& table) {
                const std::string& id = ids[drawn(ids.size())];
                const std::string month =
                    table == "orders" ? fmt::format(" AND created_at = created_of('{}')", id) : "";
                return fmt::format("SELECT * FROM {} WHERE order_id = '{}'{}", table, id, month);
              }});
}

Done PartitionBench::ask_tenants() {
  // The first page of the store's list has no bound to prune by: every month's index is descended.
  return ask({.name = "a tenant's newest 50",
              .most_allowed = report_.partitions,
              .sql = [this](const std::string& table) {
                return fmt::format(
                    "SELECT * FROM {} WHERE tenant_id = 'tenant-{}' AND order_id < "
                    "'ffffffff-ffff-ffff-ffff-ffffffffffff' ORDER BY order_id DESC LIMIT {}",
                    table, drawn(kTenants), kPage);
              }});
}

/// The store's own view of an ended order, with its timeline.
Done PartitionBench::ask_view() {
  auto id = random_id();
  if (!id) return std::unexpected(id.error());
  const auto read = scanned(fmt::format(
      "SELECT * FROM ended_records WHERE order_id = '{0}' AND created_at = created_of('{0}')",
      *id));
  if (!read) return std::unexpected(read.error());
  const PartitionQuery& by_id = report_.queries.at(1);
  report_.queries.push_back({.name = "the store's view by id (plan alone)",
                             .partitioned = by_id.partitioned,
                             .plain = by_id.plain,
                             .partitions_scanned = *read,
                             .most_allowed = 1});
  report_.queries.back().partitioned = report_.queries.back().plain = {};
  return {};
}

constexpr const char* kPartitionedBytes =
    "SELECT coalesce(sum(pg_total_relation_size(inhrelid)), 0)::bigint FROM pg_inherits"
    " WHERE inhparent = 'orders'::regclass";
constexpr const char* kPlainBytes = "SELECT pg_total_relation_size('plain')";
constexpr const char* kWal = "SELECT (pg_current_wal_insert_lsn() - '0/0')::bigint";

Done PartitionBench::drop_month() {
  const auto before = number(kPartitionedBytes);
  const auto wal = number(kWal);
  const auto took = timed(
      fmt::format("SELECT count(*) FROM drop_partitions_before(({} AT TIME ZONE 'UTC')::date)",
                  month_start(1)));
  const auto wal_after = number(kWal);
  const auto after = number(kPartitionedBytes);
  for (const auto* each : {&before, &wal, &wal_after, &after}) {
    if (!*each) return std::unexpected(each->error());
  }
  if (!took) return std::unexpected(took.error());
  report_.dropped = {.statement_ms = *took,
                     .vacuum_ms = 0,
                     .wal_bytes = *wal_after - *wal,
                     .bytes_before = *before,
                     .bytes_after = *after};
  told_("the oldest month was dropped");
  return {};
}

Done PartitionBench::delete_month() {
  const auto before = number(kPlainBytes);
  const auto wal = number(kWal);
  const auto took = timed(fmt::format("DELETE FROM plain WHERE created_at < {}", month_start(1)));
  const auto vacuumed = timed("VACUUM plain");
  const auto wal_after = number(kWal);
  const auto after = number(kPlainBytes);
  for (const auto* each : {&before, &wal, &wal_after, &after}) {
    if (!*each) return std::unexpected(each->error());
  }
  for (const auto* each : {&took, &vacuumed}) {
    if (!*each) return std::unexpected(each->error());
  }
  report_.deleted = {.statement_ms = *took,
                     .vacuum_ms = *vacuumed,
                     .wal_bytes = *wal_after - *wal,
                     .bytes_before = *before,
                     .bytes_after = *after};
  told_("the oldest month was deleted and vacuumed");
  return {};
}

Done drop_schema(const PartitionBenchOptions& options) {
  auto connection = Connection::open({.url = options.url,
                                      .schema = "public",
                                      .name = "penstock bench",
                                      .timeout = kStatementTimeout},
                                     {});
  if (!connection) return std::unexpected(std::move(connection.error()));
  return (*connection)
      ->execute("DROP SCHEMA IF EXISTS " + quoted_name(options.schema) + " CASCADE");
}

}  // namespace

std::expected<PartitionReport, Failure> bench_partitions(
    const PartitionBenchOptions& options, const std::function<void(const std::string&)>& told) {
  const ConnectionOptions connecting{.url = options.url,
                                     .schema = options.schema,
                                     .name = "penstock bench",
                                     .timeout = kStatementTimeout};
  if (auto dropped = drop_schema(options); !dropped) return std::unexpected(dropped.error());
  if (auto made = migrate(connecting); !made) return std::unexpected(std::move(made.error()));
  auto connection = Connection::open(connecting, {});
  if (!connection) return std::unexpected(std::move(connection.error()));
  auto report = PartitionBench(options, *std::move(connection), told).run();
  if (auto dropped = drop_schema(options); !dropped) return std::unexpected(dropped.error());
  return report;
}

}  // namespace penstock::postgres_store

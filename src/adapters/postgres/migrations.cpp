#include "adapters/postgres/migrations.h"

#include <fmt/format.h>

namespace penstock::postgres_store {
namespace {

/// All of a migration may take this long, its wait for another one included.
constexpr domain::Duration kMigrationTimeout = domain::Duration::hours(2);

int newest_version() {
  return static_cast<int>(migrations().size());
}

Failure refused(std::string detail) {
  return {
      .error = ports::StoreError::unavailable, .sql_state = "55000", .detail = std::move(detail)};
}

Failure is_being_filled(const std::string& schema) {
  return refused(fmt::format(
      "the schema \"{}\" is being filled by `penstock copy`: run that command to its end first",
      schema));
}

/// The first value of a query's first row.
std::expected<int, Failure> number_of(Connection& connection, const std::string& sql) {
  const auto rows = connection.query(sql);
  if (!rows) return std::unexpected(rows.error());
  if (rows->size() == 0 || rows->is_null(0, 0)) return 0;
  return static_cast<int>(rows->integer(0, 0));
}

std::expected<int, Failure> version_of(Connection& connection) {
  auto has_table = number_of(
      connection, "SELECT count(*) FROM to_regclass('schema_versions') t WHERE t IS NOT NULL");
  if (!has_table || *has_table == 0) return has_table;
  return number_of(connection, "SELECT max(version) FROM schema_versions");
}

/// Orders hold text of all the world's scripts, which another encoding has no characters for.
std::expected<void, Failure> check_encoding(Connection& connection) {
  const auto rows =
      connection.query("SELECT current_setting('server_encoding'), current_database()::text");
  if (!rows) return std::unexpected(rows.error());
  if (rows->bytes(0, 0) == "UTF8") return {};
  return std::unexpected(
      refused(fmt::format("the database \"{}\" has the encoding {}, which cannot hold every "
                          "order's text: make one with "
                          "CREATE DATABASE ... ENCODING 'UTF8' TEMPLATE template0",
                          rows->bytes(0, 1), rows->bytes(0, 0))));
}

std::expected<MigrationReport, Failure> migrate_inside(Connection& connection,
                                                       const std::string& schema) {
  const auto from = version_of(connection);
  if (!from) return std::unexpected(from.error());
  if (*from == kCopyInProgress) return std::unexpected(is_being_filled(schema));
  if (*from > newest_version()) {
    return std::unexpected(refused(
        fmt::format("the schema has version {}, this program knows up to {}: use a newer program",
                    *from, newest_version())));
  }
  for (const Migration& each : migrations().subspan(static_cast<std::size_t>(*from))) {
    if (auto done = connection.execute(std::string(each.sql)); !done) {
      done.error().detail = fmt::format("{}: {}", each.name, done.error().detail);
      return std::unexpected(std::move(done.error()));
    }
    auto noted = connection.execute(fmt::format(
        "INSERT INTO schema_versions (version, name) VALUES ({}, '{}')", each.version, each.name));
    if (!noted) return std::unexpected(std::move(noted.error()));
  }
  const auto made = number_of(connection, "SELECT create_monthly_partitions()");
  if (!made) return std::unexpected(made.error());
  return MigrationReport{.from = *from, .to = newest_version(), .partitions_made = *made};
}

}  // namespace

std::expected<MigrationReport, Failure> migrate(const ConnectionOptions& options) {
  auto connection = Connection::open(options, {});
  if (!connection) return std::unexpected(std::move(connection.error()));
  if (auto fits = check_encoding(**connection); !fits) return std::unexpected(fits.error());
  if (auto set = (*connection)->allow(kMigrationTimeout); !set) {
    return std::unexpected(std::move(set.error()));
  }
  const auto begun =
      (*connection)
          ->execute(fmt::format(
              "BEGIN; SET LOCAL statement_timeout = 0; SET LOCAL "
              "idle_in_transaction_session_timeout = 0;"
              "SELECT pg_advisory_xact_lock(hashtext('penstock migrations'), hashtext({0}));"
              "CREATE SCHEMA IF NOT EXISTS {1};"
              "CREATE TABLE IF NOT EXISTS schema_versions (version integer PRIMARY KEY,"
              " name text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())",
              quoted_literal(options.schema), quoted_name(options.schema)));
  if (!begun) return std::unexpected(begun.error());
  auto report = migrate_inside(**connection, options.schema);
  if (!report) return report;  // the connection's end rolls back
  if (auto done = (*connection)->execute("COMMIT"); !done) {
    return std::unexpected(std::move(done.error()));
  }
  return report;
}

std::expected<void, Failure> check_schema_version(Connection& connection,
                                                  const std::string& schema) {
  if (auto fits = check_encoding(connection); !fits) return fits;
  const auto version = version_of(connection);
  if (!version) return std::unexpected(version.error());
  if (*version == newest_version()) return {};
  if (*version == kCopyInProgress) return std::unexpected(is_being_filled(schema));
  if (*version == 0) {
    return std::unexpected(refused(fmt::format(
        "there is no schema \"{}\" on this database: make it with penstock migrate", schema)));
  }
  return std::unexpected(
      refused(fmt::format("the schema \"{}\" has version {}, this program needs {}: {}", schema,
                          *version, newest_version(),
                          *version < newest_version() ? "bring it there with penstock migrate"
                                                      : "use a newer program")));
}

}  // namespace penstock::postgres_store

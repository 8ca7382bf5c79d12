#pragma once

#include <expected>
#include <span>
#include <string>
#include <string_view>

#include "adapters/postgres/connection.h"

/// The schema's history: deploy/postgres/NNNN_name.sql, compiled in. Applied ones never change.
namespace penstock::postgres_store {

struct Migration {
  int version = 0;  ///< 1, 2, ... without gaps
  std::string_view name;
  std::string_view sql;
};

/// In the order of their versions.
std::span<const Migration> migrations();

/// What `schema_versions` shows while a copy fills the schema (CopyTarget): newer than any program.
inline constexpr int kCopyInProgress = 1'000'000;

/// What a migration did.
struct MigrationReport {
  int from = 0;  ///< the schema's version before; 0 where there was no schema
  int to = 0;
  int partitions_made = 0;
};

/// Brings the schema `options.schema` to the newest version that is compiled in, making it where it
/// is missing, and makes the months ahead. One transaction: all or nothing. Safe to run again, and
/// by several at once (an advisory lock). A newer schema is refused and left as it is, and so is a
/// database that is not encoded in UTF-8.
std::expected<MigrationReport, Failure> migrate(const ConnectionOptions& options);

/// Succeeds where the database is encoded in UTF-8 and the schema is exactly the version that is
/// compiled in; the failure says which one was found and what to do.
std::expected<void, Failure> check_schema_version(Connection& connection,
                                                  const std::string& schema);

}  // namespace penstock::postgres_store

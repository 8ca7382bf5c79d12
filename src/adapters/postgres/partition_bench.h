#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <functional>
#include <string>
#include <vector>

#include "adapters/postgres/connection.h"

namespace penstock::postgres_store {

struct PartitionBenchOptions {
  std::string url;
  std::string schema = "bench_partitions";  ///< made for the run, dropped before and after
  std::size_t months = 12;                  ///< 2 to 120
  std::size_t orders_per_month = 200'000;
  std::size_t repeats = 31;  ///< of each query
};

/// The times of one query or statement, in milliseconds.
struct Timing {
  double median_ms = 0;
  double p99_ms = 0;  ///< the slowest where there are fewer than a hundred
};

/// The same question to both tables.
struct PartitionQuery {
  std::string name;
  Timing partitioned;
  Timing plain;
  std::size_t partitions_scanned = 0;  ///< as EXPLAIN ANALYZE tells
  std::size_t most_allowed = 0;        ///< more is no pruning
};

/// What it costs to be rid of the oldest month.
struct MonthRemoval {
  double statement_ms = 0;
  double vacuum_ms = 0;
  std::int64_t wal_bytes = 0;
  std::int64_t bytes_before = 0;  ///< of the table with its indexes
  std::int64_t bytes_after = 0;
};

struct PartitionReport {
  std::size_t orders = 0;
  std::size_t partitions = 0;
  std::vector<PartitionQuery> queries;
  MonthRemoval dropped;               ///< drop_partitions_before
  MonthRemoval deleted;               ///< DELETE and VACUUM
  std::vector<std::string> unpruned;  ///< the names of queries that scanned more than they may
};

/// Loads months of generated orders into the store's schema and into a plain table of the same
/// columns, keys and indexes, with one on created_at on top, and compares them. `told` hears of
/// each step.
std::expected<PartitionReport, Failure> bench_partitions(
    const PartitionBenchOptions& options, const std::function<void(const std::string&)>& told);

}  // namespace penstock::postgres_store

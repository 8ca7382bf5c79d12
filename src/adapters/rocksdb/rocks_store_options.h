#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "domain/contract.h"
#include "domain/error_code.h"
#include "domain/instant.h"
#include "domain/limits.h"
#include "domain/token_bucket.h"

namespace penstock::rocksdb_store {

/// Whether a wall clock far from the last stored time is taken as it is.
enum class ClockCheck : std::uint8_t { enforced, accepted };

/// Whether a sealed store (CopySource::seal) is refused.
enum class SealCheck : std::uint8_t { enforced, ignored };

/// Whether the store's directory is locked: exclusively to write, shared to read at rest.
enum class StoreLock : std::uint8_t {
  taken,
  none,  ///< for a reader beside a server, which knows that files go while it reads
};

struct RocksStoreOptions {
  std::string path;  ///< of the store's own directory; made if it is not there
  std::size_t max_active = domain::limits::kDefaultMaxActive;  ///< the hard depth bound
  /// In force for tenants without a stored contract.
  domain::Contract default_contract{
      .bucket = {.rate = {.micro_tokens = 1'000 * domain::kMicroTokensPerToken}, .burst = 2'000},
      .guarantee = std::nullopt,
      .weight = 1,
      .webhook = std::nullopt};
  domain::Duration idempotency_retention = domain::limits::kIdempotencyRetention;
  std::string boot_id;  ///< monotonic times are comparable only under the same one
  domain::Now now;      ///< of this start
  ClockCheck clock_check = ClockCheck::enforced;
  SealCheck seal_check = SealCheck::enforced;
  StoreLock lock = StoreLock::taken;
  /// Append-only files beside the store that belong to it, synced whenever the store writes: the
  /// ledger of a gateway in this process. One that is lost or shorter than it was is refused.
  std::vector<std::string> companions{};
  std::size_t memtable_bytes = 256U << 20;     ///< of all memory tables together
  std::size_t block_cache_bytes = 64U << 20;   ///< data, index and filter blocks
  std::size_t write_ahead_bytes = 160U << 20;  ///< log to replay at a start, about
  int max_open_files = 512;
  std::size_t fresh_records = 32'768;  ///< written orders kept for the claim that follows
};

/// Why a store does not open. `code` is store_locked, store_inaccessible, store_incomplete,
/// store_layout, store_sealed, store_corrupt, clock_moved, disk_full or store_failed; `detail` is
/// for the operator.
struct OpenError {
  domain::ErrorCode code = domain::ErrorCode::store_failed;
  std::string detail;
};

static_assert(domain::limits::kMaxBatch < 32'768, "a batch fits the fresh records");

}  // namespace penstock::rocksdb_store

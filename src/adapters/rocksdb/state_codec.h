#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "adapters/rocksdb/byte_codec.h"
#include "adapters/rocksdb/record_codec.h"
#include "domain/contract.h"
#include "domain/idempotency.h"
#include "domain/ids.h"
#include "domain/instant.h"
#include "domain/order.h"
#include "domain/reason.h"
#include "domain/token_bucket.h"

/// The stored forms of everything that is not an order. Each payload begins with its format byte;
/// encode writes it without the seal, decode takes the sealed value and its key, and is total.
namespace penstock::rocksdb_store {

/// Of one (tenant, product), what is durable; `reserved` follows from the active orders.
struct StockTotals {
  std::int64_t received = 0;
  std::int64_t sold = 0;
  bool operator==(const StockTotals&) const = default;
};

/// A bucket as it was last written, under the contract and on the boot's clock of that time.
struct BucketRecord {
  domain::BucketContract contract;
  domain::TokenBucket::State state;
  domain::MonotonicTime at;
  bool operator==(const BucketRecord&) const = default;
};

/// The rows of stock and buckets that a batch changed, as it left them (changes_log.h). Its texts
/// are where it was read from, or in the tables that it was made of.
struct ChangesRecord {
  struct Stock {
    std::string_view key;  ///< tenant 0 product
    StockTotals totals;
    bool operator==(const Stock&) const = default;
  };
  struct Bucket {
    std::string_view tenant;
    domain::BucketContract contract;
    domain::TokenBucket::State state;
    bool operator==(const Bucket&) const = default;
  };
  domain::MonotonicTime at;  ///< of the buckets
  std::vector<Stock> stock;
  std::vector<Bucket> buckets;
  bool operator==(const ChangesRecord&) const = default;
};

/// A webhook delivery that is not over.
struct DeliveryRecord {
  domain::TenantId tenant;
  std::int32_t attempt = 1;  ///< the next one
  domain::Instant due;
  bool operator==(const DeliveryRecord&) const = default;
};

/// A delivery attempt that ended, or the working off of a terminal batch, whose reason is not read:
/// stores hold `delivered` there, from before it had a reason of its own.
struct NoteRecord {
  domain::Instant at;
  domain::Reason reason = domain::Reason::delivered;
  bool operator==(const NoteRecord&) const = default;
};

/// The orders of a terminal batch; names are listed once.
struct BatchRecord {
  struct Entry {
    domain::OrderId order;
    std::uint32_t tenant = 0;  ///< index into `tenants`
    domain::Status status = domain::Status::fulfilled;
    bool operator==(const Entry&) const = default;
  };
  std::vector<domain::TenantId> tenants;
  std::vector<Entry> entries;
  bool operator==(const BatchRecord&) const = default;
};

/// Written with every batch.
struct ClockRecord {
  domain::MonotonicTime limiter_time;
  domain::Instant wall;
  std::uint64_t next_batch = 1;
  bool operator==(const ClockRecord&) const = default;
};

enum class LastEnd : std::uint8_t { unclean = 1, clean = 2 };

/// How the last run stands.
struct RunRecord {
  LastEnd end = LastEnd::unclean;
  std::int32_t unclean_ends = 0;
  bool operator==(const RunRecord&) const = default;
};

void encode(const StockTotals& value, ByteWriter& out);
void encode(const BucketRecord& value, ByteWriter& out);
void encode(const ChangesRecord& value, ByteWriter& out);
void encode(const DeliveryRecord& value, ByteWriter& out);
void encode(const NoteRecord& value, ByteWriter& out);
void encode(const BatchRecord& value, ByteWriter& out);
void encode(const ClockRecord& value, ByteWriter& out);
void encode(const RunRecord& value, ByteWriter& out);
void encode(const domain::IdempotencyRecord& value, ByteWriter& out);
void encode(const domain::Contract& value, ByteWriter& out);
void encode(const std::vector<domain::OrderId>& value, ByteWriter& out);
void encode(domain::Status value, ByteWriter& out);
void encode(const std::string& value, ByteWriter& out);
void encode(std::uint64_t value, ByteWriter& out);

/// Reads a sealed value of one of the types above.
template <typename Record>
std::expected<Record, DecodeError> decode(std::string_view key, std::string_view value);

}  // namespace penstock::rocksdb_store

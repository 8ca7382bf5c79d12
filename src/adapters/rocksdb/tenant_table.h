#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "adapters/rocksdb/state_codec.h"
#include "domain/contract.h"
#include "domain/fair_share.h"
#include "domain/ids.h"
#include "domain/token_bucket.h"

namespace penstock::rocksdb_store {

/// Hash of texts that are looked up without building a std::string.
struct TextHash {
  using is_transparent = void;
  std::size_t operator()(std::string_view text) const {
    return std::hash<std::string_view>{}(text);
  }
};

/// A tenant in memory.
struct TenantRow {
  domain::TenantId id;
  std::optional<domain::Contract> stored;  ///< absent: the default is in force
  std::optional<domain::TokenBucket> bucket;
  bool is_bucket_changed = false;  ///< in the present batch
  bool is_bucket_stored = false;   ///< the bucket has a record of its own

  domain::Standing standing() const {
    return stored ? domain::Standing::own_contract : domain::Standing::grouped;
  }
  /// What the record of the bucket is to say; there is one.
  BucketRecord bucket_record() const {
    return {.contract = bucket->contract(), .state = bucket->state(), .at = bucket->seen()};
  }
};

/// The tenants by name and by the number that the queues know them by. Numbers last as long as the
/// process; rows never move. Not thread-safe. Bounded by the owner, who asks `contracts` or `names`
/// before it adds.
class TenantTable {
 public:
  std::optional<std::uint32_t> find(std::string_view tenant) const {
    const auto found = numbers_.find(tenant);
    if (found == numbers_.end()) return std::nullopt;
    return found->second;
  }

  std::uint32_t ensure(const domain::TenantId& tenant) {
    const auto [entry, added] =
        numbers_.try_emplace(tenant.str(), static_cast<std::uint32_t>(rows_.size()));
    if (added) rows_.push_back({.id = tenant, .stored = {}, .bucket = {}});
    return entry->second;
  }

  /// Gives the tenant a contract of its own, or another one.
  void store_contract(std::uint32_t number, domain::Contract contract) {
    if (!rows_[number].stored) ++contracts_;
    rows_[number].stored = std::move(contract);
  }

  TenantRow& row(std::uint32_t number) { return rows_[number]; }
  const TenantRow& row(std::uint32_t number) const { return rows_[number]; }
  /// Tenants with a contract of their own, and the others: bounded apart, so that whoever invents
  /// names takes no place from an operator's contract.
  std::size_t contracts() const { return contracts_; }
  std::size_t names() const { return rows_.size() - contracts_; }

 private:
  std::unordered_map<std::string, std::uint32_t, TextHash, std::equal_to<>> numbers_;
  std::deque<TenantRow> rows_;
  std::size_t contracts_ = 0;
};

}  // namespace penstock::rocksdb_store

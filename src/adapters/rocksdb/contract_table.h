#pragma once

#include <atomic>
#include <cstddef>
#include <mutex>
#include <optional>
#include <shared_mutex>
#include <string>
#include <unordered_map>
#include <utility>

#include "adapters/rocksdb/tenant_table.h"
#include "domain/contract.h"
#include "domain/ids.h"

namespace penstock::rocksdb_store {

/// The stored contracts as readers see them: of each tenant that has one, the last that is synced.
/// One thread puts, any thread asks. At most kMaxTenants, which the writer looks after.
class ContractTable {
 public:
  /// Shows a contract that is durable.
  void put(const domain::TenantId& tenant, domain::Contract contract) {
    const std::unique_lock lock(mutex_);
    contracts_.insert_or_assign(tenant.str(), std::move(contract));
    count_.store(contracts_.size(), std::memory_order_release);
  }

  /// Whether the tenant has a contract of its own. Asked for every order: without a lock where
  /// nobody has one.
  bool contains(const domain::TenantId& tenant) const {
    if (count_.load(std::memory_order_acquire) == 0) return false;
    const std::shared_lock lock(mutex_);
    return contracts_.contains(tenant.str());
  }

  /// The tenant's own contract; nothing where the default is in force.
  std::optional<domain::Contract> find(const domain::TenantId& tenant) const {
    const std::shared_lock lock(mutex_);
    const auto found = contracts_.find(tenant.str());
    if (found == contracts_.end()) return std::nullopt;
    return found->second;
  }

 private:
  mutable std::shared_mutex mutex_;
  std::atomic<std::size_t> count_ = 0;
  std::unordered_map<std::string, domain::Contract, TextHash, std::equal_to<>> contracts_;
};

}  // namespace penstock::rocksdb_store

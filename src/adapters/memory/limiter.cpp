#include "adapters/memory/limiter.h"

#include <algorithm>
#include <utility>

namespace penstock::memory_store {

Limiter::Limiter(MemoryDisk& disk, domain::Contract default_contract, std::string_view boot_id,
                 domain::MonotonicTime now)
    : disk_(disk), default_contract_(std::move(default_contract)) {
  const bool same_boot = disk.boot_id == boot_id;
  // Under one boot id the clock cannot be behind the last batch; if it is, nothing counts twice.
  const domain::MonotonicTime start = same_boot ? std::max(now, disk.limiter_time) : now;
  disk.boot_id = boot_id;
  disk.limiter_time = start;
  for (auto& [tenant, record] : disk.buckets) {
    const std::int64_t elapsed_ns = same_boot ? start.ns - record.at.ns : 0;
    auto bucket = domain::TokenBucket::restore(record.contract, record.state, start, elapsed_ns);
    bucket.set_contract(contract(tenant).bucket, start);
    buckets_.emplace(tenant, bucket);
    // What was counted here under this boot must not be counted again by the next start.
    record = {.contract = bucket.contract(), .state = bucket.state(), .at = start};
  }
}

const domain::Contract& Limiter::contract(const domain::TenantId& tenant) const {
  const auto stored = disk_.contracts.find(tenant);
  return stored == disk_.contracts.end() ? default_contract_ : stored->second;
}

domain::TakeResult Limiter::take_one(const domain::TenantId& tenant, domain::MonotonicTime now) {
  disk_.limiter_time = std::max(disk_.limiter_time, now);
  auto entry = buckets_.find(tenant);
  if (entry == buckets_.end()) {
    entry = buckets_.try_emplace(tenant, contract(tenant).bucket, now).first;
  }
  const domain::TakeResult result = entry->second.take(1, now);
  if (result.outcome == domain::Take::allowed) write(tenant, entry->second);
  return result;
}

domain::TakeResult Limiter::peek(const domain::TenantId& tenant, domain::MonotonicTime now) const {
  const auto found = buckets_.find(tenant);
  domain::TokenBucket copy =
      found == buckets_.end() ? domain::TokenBucket(contract(tenant).bucket, now) : found->second;
  return copy.take(0, now);
}

void Limiter::follow_contract(const domain::TenantId& tenant, domain::MonotonicTime now) {
  disk_.limiter_time = std::max(disk_.limiter_time, now);
  const auto found = buckets_.find(tenant);
  if (found == buckets_.end()) return;
  found->second.set_contract(contract(tenant).bucket, now);
  write(tenant, found->second);
}

// The record's time is the latest that any bucket has seen: after a clock that went back, a restart
// may count too little time, never too much.
void Limiter::write(const domain::TenantId& tenant, const domain::TokenBucket& bucket) {
  disk_.buckets[tenant] = {
      .contract = bucket.contract(), .state = bucket.state(), .at = disk_.limiter_time};
}

}  // namespace penstock::memory_store

#pragma once

#include <map>
#include <string_view>

#include "adapters/memory/memory_disk.h"
#include "domain/contract.h"
#include "domain/ids.h"
#include "domain/instant.h"
#include "domain/token_bucket.h"

namespace penstock::memory_store {

/// The tenants' buckets over their durable records: each take that is allowed is written. Not
/// thread-safe. Bounded by the tenants that the store admits.
class Limiter {
 public:
  /// Continues the stored buckets at `now`. The time since each was written counts under the same
  /// boot id, else as zero. Keeps a reference to `disk`.
  Limiter(MemoryDisk& disk, domain::Contract default_contract, std::string_view boot_id,
          domain::MonotonicTime now);

  /// The contract in force: the stored one, else the default.
  const domain::Contract& contract(const domain::TenantId& tenant) const;

  /// Takes one token; writes only if it is allowed.
  domain::TakeResult take_one(const domain::TenantId& tenant, domain::MonotonicTime now);

  /// A take of zero that leaves no trace, not even in memory.
  domain::TakeResult peek(const domain::TenantId& tenant, domain::MonotonicTime now) const;

  /// Puts the stored contract of `tenant` in force.
  void follow_contract(const domain::TenantId& tenant, domain::MonotonicTime now);

 private:
  void write(const domain::TenantId& tenant, const domain::TokenBucket& bucket);

  MemoryDisk& disk_;
  domain::Contract default_contract_;
  std::map<domain::TenantId, domain::TokenBucket> buckets_;
};

}  // namespace penstock::memory_store

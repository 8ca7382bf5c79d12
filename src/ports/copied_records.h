#pragma once

#include <cstdint>

#include "domain/contract.h"
#include "domain/idempotency.h"
#include "domain/ids.h"
#include "domain/instant.h"
#include "domain/stock.h"
#include "domain/token_bucket.h"

/// What a store holds beside its orders, record by record: what moves when a store is copied into
/// one of another kind.
namespace penstock::ports {

struct CopiedKey {
  domain::TenantId tenant;
  domain::IdempotencyKey key;
  domain::IdempotencyRecord record;
};

struct CopiedStock {
  domain::TenantId tenant;
  domain::ProductId product;
  domain::Stock stock;
};

/// A bucket as it stands; the time since then is not carried, so a copy never mints.
struct CopiedBucket {
  domain::TenantId tenant;
  domain::BucketContract contract;
  domain::TokenBucket::State state;
};

struct CopiedContract {
  domain::TenantId tenant;
  domain::Contract contract;
};

/// A webhook delivery that is not over.
struct CopiedDelivery {
  domain::OrderId order;
  domain::TenantId tenant;
  std::int32_t attempt = 1;  ///< the next one
  domain::Instant due;
};

}  // namespace penstock::ports

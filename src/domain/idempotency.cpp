#include "domain/idempotency.h"

namespace penstock::domain {

IdempotencyDecision decide_idempotency(const std::optional<IdempotencyRecord>& stored,
                                       const Fingerprint& fingerprint, Instant now) {
  if (!stored || now >= stored->expires_at) return IdempotencyDecision::claim;
  return stored->fingerprint == fingerprint ? IdempotencyDecision::replay
                                            : IdempotencyDecision::key_reused;
}

}  // namespace penstock::domain

#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "domain/ids.h"
#include "domain/instant.h"

namespace penstock::domain {

/// SHA-256 over method, route and canonical body.
using Fingerprint = std::array<std::uint8_t, 32>;

/// What is kept under (tenant, key) once a request completed. The stored answer is rebuilt byte for
/// byte from the order's immutable fields, under the answer format of that time.
struct IdempotencyRecord {
  Fingerprint fingerprint{};
  OrderId order;
  std::uint8_t answer_format = 1;
  Instant expires_at;

  bool operator==(const IdempotencyRecord&) const = default;
};

enum class IdempotencyDecision { claim, replay, key_reused };

/// Decides for a request with `fingerprint` at `now`: claim where nothing live is stored (an
/// expired record counts as absent: now >= expires_at), replay where the fingerprint is the same,
/// else key_reused. There is no "in progress" with a single writer: claim and completion are one
/// commit.
IdempotencyDecision decide_idempotency(const std::optional<IdempotencyRecord>& stored,
                                       const Fingerprint& fingerprint, Instant now);

}  // namespace penstock::domain

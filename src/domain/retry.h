#pragma once

#include <cstdint>
#include <optional>

#include "domain/instant.h"

namespace penstock::domain {

/// Full-jitter backoff: U(0, min(cap, base * 2^n)).
struct Backoff {
  Duration base = Duration::seconds(1);
  Duration cap = Duration::seconds(60);

  /// The pause after failure number `failures` (1 is the first: n = failures - 1), from 64
  /// uniformly random bits. In [0, min(cap, base * 2^n)], both ends included; no overflow for any
  /// count. Zero failures count as one, a negative base or cap as zero. Source: "Exponential
  /// Backoff And Jitter", AWS Architecture Blog, the "full jitter" form.
  Duration pause(std::uint32_t failures, std::uint64_t random) const;
};

/// The pause before webhook delivery attempt `attempt` (1 is the first, at once), of the schedule
/// 0, 5 s, 5 min, 30 min, 2 h, 5 h, 10 h, 14 h, 20 h, 24 h; nothing once it is exhausted.
/// Source: the Standard Webhooks specification.
std::optional<Duration> webhook_pause(int attempt);

}  // namespace penstock::domain

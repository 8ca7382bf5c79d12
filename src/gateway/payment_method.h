#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "domain/instant.h"

namespace penstock::gateway {

enum class MethodKind : std::uint8_t {
  pays,             ///< pm_ok
  declines,         ///< pm_decline
  fails_at_first,   ///< pm_fail_N: transient failures, N an order, then it pays
  drops_the_reply,  ///< pm_drop_reply: pays, and the answer to that is lost
  delays,           ///< pm_delay_MS: pays after so many milliseconds
  rejects,          ///< pm_reject: the request is refused as invalid (request_refused)
  closes,           ///< pm_closed: each charge is told that its key is closed
  is_busy,          ///< pm_busy: each charge is told to come back later (503)
};

/// A means of payment that the sandbox knows (api.md, `payment.method`).
struct PaymentMethod {
  MethodKind kind = MethodKind::pays;
  std::uint32_t failures = 0;  ///< fails_at_first: up to kMaxFailures
  domain::Duration delay{};    ///< delays: up to kMaxDelay

  static constexpr std::uint32_t kMaxFailures = 1'000'000;
  static constexpr domain::Duration kMaxDelay = domain::Duration::seconds(600);
};

/// Reads a gateway's token; nothing for one that the sandbox does not know, its numbers out of
/// bounds included.
std::optional<PaymentMethod> parse_payment_method(std::string_view token);

}  // namespace penstock::gateway

#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace penstock::gateway {

/// What the sandbox keeps of an idempotency key: 128 bits, so that millions of keys fit in memory
/// and two of them never meet. It is also the id of what was done under the key ("pi_<hex>"), so
/// the function may never change: ids are stored in orders and ledgers.
struct KeyHash {
  std::uint64_t high = 0;
  std::uint64_t low = 0;

  auto operator<=>(const KeyHash&) const = default;
};

/// MurmurHash3_x64_128 (Austin Appleby, public domain) with seed 0. Not against adversaries.
KeyHash hash_key(std::string_view text);

/// Appends 32 lower-case hex digits.
void append_hex(KeyHash hash, std::string& out);

/// Reads 32 lower-case hex digits; anything else is nothing.
std::optional<KeyHash> parse_hex(std::string_view text);

/// "pi_<hex>": the id of the capture made under a key, as Stripe names a PaymentIntent.
std::string capture_reference(KeyHash charge_key);
/// "re_<hex>": the id of the refund made under a key.
std::string refund_reference(KeyHash refund_key);
/// The hash of the charge key that a capture's reference was made from.
std::optional<KeyHash> parse_capture_reference(std::string_view reference);

}  // namespace penstock::gateway

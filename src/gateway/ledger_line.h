#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "gateway/key_hash.h"

/// The lines of the gateway's two files. A line is one JSON object with its members always in this
/// order, ended by '\n'. `check` is the hash (key_hash.h) of all bytes before it, so that a flipped
/// byte is told from an amount:
///
///   ledger  {"type":"capture","order_id":"<uuid>","idempotency_key":"<key>","minor_units":2000,
///            "currency":"USD","at":"2026-11-22T16:00:00.000000Z","method":"pm_ok","check":"<hex>"}
///           {"type":"refund", ... the same ..., "payment_intent":"pi_<hex>", ...}
///   keys    {"type":"closed", ... the same six members, and the check}
///           {"type":"declined", ... the same six ..., "method":"pm_decline", ...}
namespace penstock::gateway {

enum class LineType : std::uint8_t {
  capture,   ///< ledger: money came in
  refund,    ///< ledger: money went back
  closed,    ///< keys: the key can never capture
  declined,  ///< keys: the charge under the key was declined
};

/// One line in its parts. The views are borrowed.
struct LedgerLine {
  LineType type = LineType::capture;
  std::string_view order_id{};  ///< 36 characters
  std::string_view key{};       ///< 1 to 255 printable ASCII characters
  std::int64_t minor_units = 0;
  std::string_view currency{};              ///< three upper-case letters
  std::string_view at{};                    ///< RFC 3339
  std::string_view method{};                ///< capture, declined
  std::optional<KeyHash> payment_intent{};  ///< refund: of the capture it pays back
};

/// Appends the line with its '\n'. Parts must have the form named above; method is of
/// [A-Za-z0-9_].
void append_line(const LedgerLine& line, std::string& out);

/// Reads a line without its '\n', in exactly the form that append_line writes; anything else is
/// nothing. `scratch` holds a key that had to be unescaped; the result borrows it and `text`.
std::optional<LedgerLine> parse_line(std::string_view text, std::string& scratch);

}  // namespace penstock::gateway

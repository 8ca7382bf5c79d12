#pragma once

#include <cstdint>
#include <expected>

namespace penstock::domain {

enum class StockError { insufficient, too_large };

/// The stock of one (tenant, product), in pieces. `received` is cumulative: every set and restock
/// changes it, so that received = on_hand + reserved + sold holds always (semantics 6.12).
/// Plain values; every operation keeps all terms >= 0 or changes nothing.
struct Stock {
  std::int64_t received = 0;
  std::int64_t reserved = 0;
  std::int64_t sold = 0;

  std::int64_t on_hand() const { return received - reserved - sold; }

  /// Sets what can still be reserved to `pieces`; too_large outside 0..kMaxStock.
  std::expected<void, StockError> set_on_hand(std::int64_t pieces);
  /// Adds `pieces`; too_large outside 0..kMaxStock, and where more than kMaxStock would be on hand.
  std::expected<void, StockError> restock(std::int64_t pieces);
  /// Holds `pieces`; insufficient if fewer are on hand. A negative number is a bug and stops the
  /// process.
  std::expected<void, StockError> reserve(std::int64_t pieces);
  /// Gives held pieces back. Holding fewer is a bug and stops the process.
  void release(std::int64_t pieces);
  /// Turns held pieces into sold ones. Holding fewer is a bug and stops the process.
  void sell(std::int64_t pieces);

  bool operator==(const Stock&) const = default;
};

}  // namespace penstock::domain

#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

/// Every invariant that a history can break, once: its number in the semantics, its name, and what
/// it says. X(enumerator, number, "name", "what holds")
#define PENSTOCK_INVARIANTS(X)                                                                     \
  X(readable, 22, "readable", "every stored record can be read")                                   \
  X(stored_once, 2, "stored-once", "an order is stored once, and money moves for stored orders")   \
  X(one_terminal_state, 3, "one-terminal-state", "an order ends once and nothing follows")         \
  X(legal_transitions, 4, "legal-transitions", "an order moves along the automaton only")          \
  X(one_capture, 6, "one-capture", "an order's money is captured at most once")                    \
  X(all_or_nothing, 6, "all-or-nothing", "captures minus refunds are nothing or the total")        \
  X(ended_pays_back, 7, "ended-pays-back", "rejected and cancelled orders keep no money")          \
  X(fulfilled_captured, 8, "fulfilled-captured", "a fulfilled order's exact total was captured")   \
  X(refund_within_capture, 9, "refund-within-capture", "no more is refunded than was captured")    \
  X(record_matches_ledger, 10, "record-matches-ledger", "the record knows where the money is")     \
  X(money_balances, 11, "money-balances", "captured minus refunded is what the orders owe")        \
  X(stock_balances, 12, "stock-balances", "received = on hand + reserved + sold, per product")     \
  X(no_negative_term, 13, "no-negative-term", "no term of stock is negative")                      \
  X(reservation_ends, 14, "reservation-ends", "stock is held by reserved and charged orders only") \
  X(key_names_order, 15, "key-names-order", "an idempotency key names an order of its tenant")     \
  X(versions_without_gaps, 21, "versions-without-gaps", "versions are 1..n in the timeline")       \
  X(receipt_iff_fulfilled, 24, "receipt-iff-fulfilled",                                            \
    "fulfilled orders have a receipt, no other")                                                   \
  X(delivery_of_ended, 25, "delivery-of-ended", "only orders that ended are notified")             \
  X(dead_letter_consistent, 26, "dead-letter-consistent", "a dead letter fits its order")

namespace penstock::checker {

enum class Invariant : std::uint8_t {
#define X(name, number, text, meaning) name,
  PENSTOCK_INVARIANTS(X)
#undef X
};
inline constexpr std::size_t kInvariants = 0
#define X(name, number, text, meaning) +1
    PENSTOCK_INVARIANTS(X)
#undef X
    ;

std::string_view to_string(Invariant invariant);
/// One sentence for people: what holds.
std::string_view meaning_of(Invariant invariant);
/// Its number in the list of invariants that the semantics give.
int number_of(Invariant invariant);

/// One place where an invariant does not hold.
struct Finding {
  Invariant invariant = Invariant::readable;
  std::string subject;  ///< an order id, "tenant/product", a record's key
  std::string detail;   ///< what was found instead
};

/// Findings that are listed; further ones are only counted.
inline constexpr std::size_t kMaxFindings = 1'000;

/// Sums over orders and ledger in one currency, in minor units.
struct MoneyTotals {
  std::int64_t captured = 0;
  std::int64_t refunded = 0;
  std::int64_t fulfilled = 0;  ///< totals of fulfilled orders
  std::int64_t open = 0;       ///< captured and not refunded, of orders that have not ended

  bool operator==(const MoneyTotals&) const = default;
};

/// Sums over all products, in pieces.
struct StockTotals {
  std::int64_t received = 0;
  std::int64_t on_hand = 0;
  std::int64_t reserved = 0;
  std::int64_t sold = 0;
};

/// What an audit found. `clean` is the verdict; the rest tells how much was looked at.
struct Report {
  std::vector<Finding> findings;                    ///< at most kMaxFindings, in the order found
  std::array<std::uint64_t, kInvariants> broken{};  ///< by Invariant's number, all of them
  std::array<std::uint64_t, 8> orders_by_status{};  ///< by Status's number
  std::uint64_t orders = 0;
  std::uint64_t idempotency_records = 0;
  std::uint64_t stock_records = 0;
  std::uint64_t open_dead_letters = 0;
  std::uint64_t movements = 0;
  bool with_ledger = false;
  bool whole_history = true;                 ///< false where months were dropped
  std::map<std::string, MoneyTotals> money;  ///< by currency code
  StockTotals stock;

  /// Counts a finding, and keeps it while there is room.
  void add(Invariant invariant, std::string subject, std::string detail);
  std::uint64_t violations() const;
  bool clean() const { return violations() == 0; }
};

}  // namespace penstock::checker

#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

/// Every invariant that a history can break, once: its number in the semantics, its name, and what
/// it says. X(enumerator, number, what it is judged by, "name", "what holds")
#define PENSTOCK_INVARIANTS(X)                                                                    \
  X(readable, 22, store, "readable", "every stored record can be read")                           \
  X(acknowledged_is_stored, 1, history, "acknowledged-is-stored",                                 \
    "what was acknowledged is stored at once, and stays")                                         \
  X(stored_once, 2, ledger, "stored-once",                                                        \
    "an order is stored once, and money moves for stored orders")                                 \
  X(stored_was_submitted, 2, history, "stored-was-submitted",                                     \
    "a stored order was submitted with that content and not refused")                             \
  X(one_terminal_state, 3, store, "one-terminal-state", "an order ends once and nothing follows") \
  X(legal_transitions, 4, store, "legal-transitions", "an order moves along the automaton only")  \
  X(times_in_order, 4, store, "times-in-order", "the times of an order's timeline never go back") \
  X(bounded_attempts, 4, store, "bounded-attempts",                                               \
    "a stage is tried three times a run, and only what failed by report is an attempt")           \
  X(interrupted_stays_out, 4, store, "interrupted-stays-out",                                     \
    "an order that ended its process too often does not run on")                                  \
  X(everything_ends, 5, rest, "everything-ends",                                                  \
    "once faults stop, every order ends, held dead letters excepted")                             \
  X(one_capture, 6, ledger, "one-capture", "an order's money is captured at most once")           \
  X(all_or_nothing, 6, ledger, "all-or-nothing",                                                  \
    "captures minus refunds are nothing or the total")                                            \
  X(ended_pays_back, 7, ledger, "ended-pays-back", "rejected and cancelled orders keep no money") \
  X(fulfilled_captured, 8, ledger, "fulfilled-captured",                                          \
    "a fulfilled order's exact total was captured")                                               \
  X(refund_within_capture, 9, ledger, "refund-within-capture",                                    \
    "no more is refunded than was captured")                                                      \
  X(record_matches_ledger, 10, ledger, "record-matches-ledger",                                   \
    "the record knows where the money is")                                                        \
  X(same_key_same_parameters, 10, history, "same-key-same-parameters",                            \
    "a key is sent with one amount, and only for its order")                                      \
  X(money_balances, 11, ledger, "money-balances",                                                 \
    "captured minus refunded is what the orders owe")                                             \
  X(stock_balances, 12, store, "stock-balances",                                                  \
    "received = on hand + reserved + sold, per product")                                          \
  X(no_negative_term, 13, store, "no-negative-term", "no term of stock is negative")              \
  X(reservation_ends, 14, store, "reservation-ends",                                              \
    "stock is held by reserved and charged orders only")                                          \
  X(key_names_order, 15, store, "key-names-order",                                                \
    "an idempotency key names an order of its tenant")                                            \
  X(replay_is_identical, 15, history, "replay-is-identical",                                      \
    "a repeated key gives the same bytes and one order")                                          \
  X(other_payload_changes_nothing, 16, history, "other-payload-changes-nothing",                  \
    "a key with another payload is refused")                                                      \
  X(keys_per_tenant, 17, history, "keys-per-tenant", "tenants may use the same key")              \
  X(admitted_within_contract, 18, history, "admitted-within-contract",                            \
    "every window admits at most burst + rate * its length")                                      \
  X(tenants_apart, 19, history, "tenants-apart", "no tenant is shown another's order")            \
  X(reads_linearizable, 20, history, "reads-linearizable",                                        \
    "a read shows the order as it was while it ran")                                              \
  X(versions_without_gaps, 21, store, "versions-without-gaps",                                    \
    "versions are 1..n in the timeline")                                                          \
  X(nothing_stored_is_lost, 22, commits, "nothing-stored-is-lost",                                \
    "what was committed is found again as it was")                                                \
  X(receipt_iff_fulfilled, 24, store, "receipt-iff-fulfilled",                                    \
    "fulfilled orders have a receipt, no other")                                                  \
  X(delivery_of_ended, 25, store, "delivery-of-ended", "only orders that ended are notified")     \
  X(ended_is_delivered, 25, rest, "ended-is-delivered", "every end is delivered at least once")   \
  X(delivery_identity, 25, webhooks, "delivery-identity",                                         \
    "deliveries have a stable id and a valid signature")                                          \
  X(dead_letter_consistent, 26, store, "dead-letter-consistent", "a dead letter fits its order")  \
  X(depths_add_up, 26, commits, "depths-add-up",                                                  \
    "what was enqueued is done, dead-lettered or pending")                                        \
  X(acknowledged_cancel, 28, history, "acknowledged-cancel",                                      \
    "an acknowledged cancel is never fulfilled")                                                  \
  X(silent_after_failed_sync, 29, commits, "silent-after-failed-sync",                            \
    "after a failed sync nothing is acknowledged or written")

namespace penstock::checker {

enum class Invariant : std::uint8_t {
#define X(name, number, evidence, text, meaning) name,
  PENSTOCK_INVARIANTS(X)
#undef X
};
inline constexpr std::size_t kInvariants = 0
#define X(name, number, evidence, text, meaning) +1
    PENSTOCK_INVARIANTS(X)
#undef X
    ;

/// What an invariant is judged by. Without it nothing is known of the invariant, though one that is
/// seen to be broken all the same is broken.
enum class Evidence : std::uint8_t {
  store,     ///< its records, which are always there
  ledger,    ///< the gateway's
  history,   ///< what clients asked for and were told
  rest,      ///< a history in which the world came to rest
  webhooks,  ///< what their receiver saw
  commits,   ///< each commit as it was made: the simulator alone has them
};
inline constexpr std::size_t kEvidences = 6;

Evidence evidence_of(Invariant invariant);
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
inline constexpr std::size_t kMaxFindings = 100'000;

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
  std::uint64_t operations = 0;  ///< of clients, in the history; 0 without one
  std::uint64_t acknowledged = 0;
  std::uint64_t unknown = 0;                 ///< operations without an answer
  bool whole_history = true;                 ///< false where months were dropped
  std::map<std::string, MoneyTotals> money;  ///< by currency code
  StockTotals stock;
  std::array<bool, kEvidences> evidence{true};  ///< by Evidence's number: whether it was there

  /// Counts a finding, and keeps it while there is room.
  void add(Invariant invariant, std::string subject, std::string detail);
  void use(Evidence given) { evidence.at(static_cast<std::size_t>(given)) = true; }
  bool has(Evidence given) const { return evidence.at(static_cast<std::size_t>(given)); }
  /// False where the evidence for it was not there, and it was not seen to be broken.
  bool judged(Invariant invariant) const;
  std::uint64_t violations() const;
  bool clean() const { return violations() == 0; }
};

}  // namespace penstock::checker

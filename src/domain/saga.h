#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "domain/ids.h"
#include "domain/instant.h"
#include "domain/money.h"
#include "domain/order.h"
#include "domain/retry.h"

/// The saga of an order: pure decisions. `next_step` says what a claimed order asks for,
/// `after_effect` what an effect's outcome makes of it. Neither performs anything, knows a clock or
/// draws a random number; all of that is passed in. Forward: reserve, charge, fulfil. Backward, in
/// reverse order: close or refund what was charged, release what is held.
namespace penstock::domain {

enum class EffectKind : std::uint8_t {
  charge,
  find_charge,
  close_charge,
  refund,
  fulfill,
  find_fulfillment,
  close_fulfillment,
};

/// A call to the outside that an order asks for. The same kind for the same order and generation
/// always has the same key and parameters.
struct Effect {
  EffectKind kind = EffectKind::charge;
  std::string key;  ///< "<order id>/charge", "<order id>/refund", "<order id>/fulfill"

  bool operator==(const Effect&) const = default;
};

enum class OutcomeKind : std::uint8_t {
  done,         ///< captured, refunded, accepted; also what find and close found to be so
  refused,      ///< declined or refused for good, under this key
  transient,    ///< reported failure, nothing was done: counts as an attempt
  permanent,    ///< the request itself is refused: dead letter at the first attempt
  unknown,      ///< timeout, dropped connection: it may have happened or may still happen
  not_found,    ///< find only; no answer about a request that may still arrive
  closed,       ///< close only: every later request under the key fails
  unavailable,  ///< never sent (no connection, back-pressure): counts for no order
};

/// Why there is no answer that decides, for people and for the pause of a stage. No decision of the
/// saga hangs on it.
enum class Trouble : std::uint8_t {
  none,
  unreachable,     ///< no connection: refused, no such host, no trusted certificate
  not_authorized,  ///< our credentials or our URL are refused: a matter of configuration
  overloaded,      ///< the peer asks to come back later, or has no room
  no_answer,       ///< sent, and not answered
  unreadable,      ///< answered with something that is not in the protocol
};
inline constexpr std::size_t kTroubles = 6;
/// "unreachable", "not-authorized", "overloaded", "no-answer", "unreadable-answer"; "" for none.
std::string_view to_string(Trouble trouble);

struct Outcome {
  OutcomeKind kind = OutcomeKind::unknown;
  std::string reference;            ///< the gateway's id of the capture, where done
  Trouble trouble = Trouble::none;  ///< where nothing was decided
  std::string detail{};             ///< for people: "connection refused", "HTTP 502"; short

  bool operator==(const Outcome&) const = default;
};

/// What a commit does to stock, over all items of the order.
enum class StockMove : std::uint8_t { none, reserve, release, sell };

/// A transition: the whole order after it (versions, timeline, marks included) and what it does to
/// stock. Where `stock` is reserve, the commit carries `reject` as its alternative.
struct Advance {
  Order next;
  StockMove stock = StockMove::none;
};

/// Nothing to do before `until`.
struct Wait {
  Instant until;
};

using Step = std::variant<Wait, Effect, Advance>;

enum class FulfillmentMode : std::uint8_t { accepts, hook };

struct SagaPolicy {
  int max_attempts = 3;
  Backoff backoff;
  Duration gateway_key_retention = Duration::hours(24);
  Duration dead_letter_hold = Duration::hours(24);
  FulfillmentMode fulfillment = FulfillmentMode::accepts;
};

/// What passes by in a decision: time and 64 random bits.
struct Moment {
  Instant now;
  std::uint64_t random = 0;
};

/// The version-1 order of a draft (its immutable fields filled in): placed, with its first event.
Order place(Order draft, Instant now);

/// What a non-terminal order asks for at this moment. placed: an Advance that reserves (see
/// `reject` for the alternative). reserved: charge, or charged at once for a zero total, or close
/// of a key that is exhausted or too old. charged: fulfil, or fulfilled at once. cancelling: close,
/// refund, or cancelled. An open dead letter waits for its hold to end and is then compensated.
Step next_step(const Order& order, const SagaPolicy& policy, Moment moment);

/// The alternative to reserving: rejected, with nothing held.
Advance reject(const Order& order, Reason reason, Instant now);

/// The same alternative for a store that finds an item short while it commits `reserved`, whose
/// last event is the reservation: that event is replaced, the version stays.
Order reject_instead(Order reserved, Reason reason);

/// What the outcome of `kind` makes of the order: an Advance, another Effect at once (find after an
/// unknown), or a Wait (unavailable, still unknown: not committed, counts as no attempt). `order`
/// may be newer than the one the effect was asked for (a stale commit reloads and decides again
/// with the outcome in hand): a capture that arrives in cancelling is recorded as captured, an
/// outcome about what is already settled is an Advance to nothing, i.e. a Wait until now.
/// `tries` is how often this worker got no answer in a row, for the backoff.
Step after_effect(const Order& order, EffectKind kind, const Outcome& outcome,
                  const SagaPolicy& policy, Moment moment, std::uint32_t tries);

/// True where the outcome leaves everything as it was: it leads to a wait or to another question.
bool tells_nothing(EffectKind kind, OutcomeKind outcome);

/// True where the effect need not be tried again on its own account.
bool settles(EffectKind kind, OutcomeKind outcome);

enum class RequestError : std::uint8_t { already_terminal, not_a_dead_letter, timeline_full };

/// Cancel on request: placed ends cancelled at once; reserved and charged become cancelling, stock
/// released in the same commit; an order that is cancelling or cancelled already stays as it is
/// (nothing to commit: an empty optional). fulfilled and rejected: already_terminal.
std::expected<std::optional<Advance>, RequestError> cancel(const Order& order, Instant now);

/// Redrive of an open dead letter: the mark goes, attempts restart, the redrive is counted, and a
/// new charge key is used, since the old one was closed.
std::expected<Advance, RequestError> redrive(const Order& order, Instant now);

/// Discard of an open dead letter: compensated now; the mark stays as the record.
std::expected<Advance, RequestError> discard(const Order& order, Instant now);

/// True where `dead_letter_interrupted` was taken already, and would only add the same event again:
/// such an order goes on alone.
bool was_interrupted(const Order& order);

/// The dead letter of an order that ended the process three times while it ran alone. Where a
/// charge may be open it is closed first (attempts are used up, and next_step asks for the close);
/// if it turns out to be captured, the order is compensated and does not run on.
Advance dead_letter_interrupted(const Order& order, const SagaPolicy& policy, Instant now);

/// The key of `kind` for this order: find and close use the key of what they ask about.
std::string effect_key(const Order& order, EffectKind kind);

}  // namespace penstock::domain

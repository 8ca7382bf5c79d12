#pragma once

#include <cstdint>

#include "domain/instant.h"
#include "domain/order.h"
#include "domain/saga.h"

/// The moves that the decisions of the saga are made of. Inside of domain/saga*.cpp only; all pure.
namespace penstock::domain {

struct Change {
  Status to;
  Stage stage;
  Reason reason;
  std::int32_t attempt = 0;
};

/// The order one version on. A change of status begins a new stage: attempts start again.
Order moved(const Order& order, Change change, Instant now);

/// At least a little, so that a peer that does not answer is not asked in a tight loop.
Wait backed_off(const SagaPolicy& policy, Moment moment, std::uint32_t tries);

/// No further attempt: the order is dead-lettered once its key is closed.
bool is_exhausted(const Order& order, const SagaPolicy& policy);

/// The timeline has room for an event that may come again and again (a new charge key, a redrive).
/// What is kept free, kTimelineReserve, holds the attempts of one run, its dead letter and the
/// whole way back: those events are bounded in number.
bool has_room(const Order& order);

/// The event of `reason` stands in the timeline since the order entered its present status.
bool is_recorded(const Order& order, Reason reason);

/// The mark of a dead letter, at the time of its event: a worker whose clock is behind dead-letters
/// nothing before it failed.
DeadLetter mark_of(const Order& order, Stage stage, Instant now);

/// Into cancelling: the stock, which reserved and charged hold, goes back at once, money waits.
Advance compensate(const Order& order, Stage stage, Reason reason, Instant now);

/// Dead-lettered where money was captured: compensated at once, the mark stays as the record.
Advance dead_lettered_after_capture(const Order& blamed, Stage stage, Instant now);

/// A dead letter gives up: an order that holds nothing ends at once.
Advance give_up(const Order& order, DeadLetterState state, Reason reason, Instant now);

/// The order with one more failed attempt on its record.
Order blamed_for(const Order& order, Reason reason, Instant now);

/// One failed attempt that was reported as such. Where several workers had the order at once, one
/// may hear of its failure when the last attempt is on the record already: it tells nothing new.
Step failed_attempt(const Order& order, Stage stage, Reason reason, const SagaPolicy& policy,
                    Moment moment);

Advance dead_lettered(const Order& order, Stage stage, const SagaPolicy& policy, Instant now);

}  // namespace penstock::domain

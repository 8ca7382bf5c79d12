#include "domain/saga.h"

#include <algorithm>
#include <array>
#include <utility>

#include "domain/check.h"
#include "domain/limits.h"
#include "domain/saga_moves.h"

namespace penstock::domain {

static_assert(SagaPolicy{}.gateway_key_retention.us == limits::kGatewayKeyRetention.us &&
              SagaPolicy{}.dead_letter_hold.us == limits::kDeadLetterHold.us);

namespace {

/// A key is given up this long before the gateway may forget it, so that a request sent at the last
/// moment still meets its own key. At most half the retention: a new key is not too old at once.
constexpr Duration kKeyMargin = Duration::hours(1);

Advance captured(const Order& order, const Outcome& outcome, const SagaPolicy& policy,
                 Instant now) {
  if (order.last_error == Reason::interrupted) {
    // It is not to run again, neither here nor in the stage after.
    Order blamed = order;
    blamed.charge = Charge::captured;
    blamed.capture_reference = outcome.reference;
    return dead_lettered_after_capture(blamed, Stage::payment, now);
  }
  Order next = moved(
      order, {Status::charged, Stage::payment, Reason::payment_captured, order.attempts + 1}, now);
  next.charge = Charge::captured;
  next.capture_reference = outcome.reference;
  next.handover = policy.fulfillment == FulfillmentMode::hook ? Handover::open : Handover::none;
  return {std::move(next)};
}

Advance declined(const Order& order, Instant now) {
  Advance advance = compensate(order, Stage::payment, Reason::payment_declined, now);
  advance.next.charge = Charge::closed;
  return advance;
}

/// With a new charge key, which comes into use when the order is due.
Order with_new_key(Order order) {
  order.charge = Charge::open;
  order.key_generation += 1;
  order.charge_since = order.due;
  return order;
}

/// The key can never capture: what the order was closed for happens now.
Step charge_closed(const Order& order, const SagaPolicy& policy, Moment moment) {
  Order closed = order;
  closed.charge = Charge::closed;
  if (is_exhausted(order, policy)) return dead_lettered(closed, Stage::payment, policy, moment.now);
  if (!has_room(order)) {
    // So many keys that there is no room to tell of another one.
    closed.last_error = Reason::charge_key_expired;
    if (order.first_error == Reason::none) {
      closed.first_error = closed.last_error;
      closed.first_failed_at = moment.now;
    }
    return dead_lettered(closed, Stage::payment, policy, moment.now);
  }
  const Reason reason = Reason::charge_key_expired;
  Order next = moved(closed, {order.status, Stage::payment, reason}, moment.now);
  // Where no key lives long enough, the keys are not used up in a tight loop.
  next.due = backed_off(policy, moment, order.key_generation + 1U).until;
  return Advance{with_new_key(std::move(next))};
}

/// The gateway says that the key is closed, and this order did not ask for it: the charge failed
/// once more. The last key is kept, since it is closed before the order is given up.
Step charge_key_refused(const Order& order, const SagaPolicy& policy, Moment moment) {
  if (is_exhausted(order, policy)) return charge_closed(order, policy, moment);
  Step step = failed_attempt(order, Stage::payment, Reason::charge_key_closed, policy, moment);
  Order& next = std::get<Advance>(step).next;
  if (!is_exhausted(next, policy)) next = with_new_key(std::move(next));
  return step;
}

/// In cancelling, after money or handover changed: on to cancelled if nothing is left to undo.
Advance unwound(const Order& changed, Reason reason, Instant now) {
  const bool left = changed.charge == Charge::open || changed.charge == Charge::captured ||
                    changed.handover == Handover::open;
  const Status to = left ? Status::cancelling : Status::cancelled;
  // What the customer sees is why the order was cancelled, not that its money is back.
  Order next = moved(changed, {to, Stage::payment, reason}, now);
  next.reason = changed.reason;
  return {std::move(next)};
}

bool is_about_charge(EffectKind kind) {
  return kind == EffectKind::charge || kind == EffectKind::find_charge ||
         kind == EffectKind::close_charge;
}

bool is_about_fulfillment(EffectKind kind) {
  return kind == EffectKind::fulfill || kind == EffectKind::find_fulfillment ||
         kind == EffectKind::close_fulfillment;
}

Effect effect_of(const Order& order, EffectKind kind) {
  return {kind, effect_key(order, kind)};
}

Step charge_step(const Order& order, const SagaPolicy& policy, Instant now) {
  if (order.total.minor_units == 0) {
    if (is_exhausted(order, policy)) return dead_lettered(order, Stage::payment, policy, now);
    Order next = moved(order, {Status::charged, Stage::payment, Reason::nothing_to_charge}, now);
    next.handover = policy.fulfillment == FulfillmentMode::hook ? Handover::open : Handover::none;
    return Advance{std::move(next)};
  }
  const std::int64_t retention_us = policy.gateway_key_retention.us;
  const Duration usable{retention_us - std::min(kKeyMargin.us, retention_us / 2)};
  const bool key_too_old = now - order.charge_since >= usable;
  if (is_exhausted(order, policy) || key_too_old) return effect_of(order, EffectKind::close_charge);
  return effect_of(order, EffectKind::charge);
}

Step fulfill_step(const Order& order, const SagaPolicy& policy, Instant now) {
  if (order.handover == Handover::none) {
    Order next =
        moved(order, {Status::fulfilled, Stage::fulfillment, Reason::receipt_issued, 1}, now);
    next.holds_stock = false;
    return Advance{std::move(next), StockMove::sell};
  }
  if (is_exhausted(order, policy)) return effect_of(order, EffectKind::close_fulfillment);
  return effect_of(order, EffectKind::fulfill);
}

Step unwind_step(const Order& order, Instant now) {
  if (order.handover == Handover::open) return effect_of(order, EffectKind::close_fulfillment);
  if (order.charge == Charge::open) return effect_of(order, EffectKind::close_charge);
  if (order.charge == Charge::captured) return effect_of(order, EffectKind::refund);
  return unwound(order, Reason::nothing_held, now);
}

Step after_charge(const Order& order, EffectKind kind, const Outcome& outcome,
                  const SagaPolicy& policy, Moment moment, std::uint32_t tries) {
  switch (outcome.kind) {
    case OutcomeKind::done:
      return captured(order, outcome, policy, moment.now);
    case OutcomeKind::refused:
      return declined(order, moment.now);
    case OutcomeKind::closed:
      return kind == EffectKind::close_charge ? charge_closed(order, policy, moment)
                                              : charge_key_refused(order, policy, moment);
    case OutcomeKind::transient:
    case OutcomeKind::permanent:
      if (kind != EffectKind::charge) return backed_off(policy, moment, tries);
      return failed_attempt(order, Stage::payment,
                            outcome.kind == OutcomeKind::transient ? Reason::gateway_unavailable
                                                                   : Reason::gateway_rejected,
                            policy, moment);
    case OutcomeKind::unknown:
      if (kind == EffectKind::charge) return effect_of(order, EffectKind::find_charge);
      return backed_off(policy, moment, tries);
    case OutcomeKind::not_found:
    case OutcomeKind::unavailable:
      return backed_off(policy, moment, tries);
  }
  return backed_off(policy, moment, tries);
}

Step after_fulfillment(const Order& order, EffectKind kind, const Outcome& outcome,
                       const SagaPolicy& policy, Moment moment, std::uint32_t tries) {
  const Instant now = moment.now;
  switch (outcome.kind) {
    case OutcomeKind::done: {
      Order next = moved(
          order,
          {Status::fulfilled, Stage::fulfillment, Reason::receipt_issued, order.attempts + 1}, now);
      next.handover = Handover::accepted;
      next.holds_stock = false;
      return Advance{std::move(next), StockMove::sell};
    }
    case OutcomeKind::refused:
    case OutcomeKind::closed: {
      const bool gave_up = outcome.kind == OutcomeKind::closed && is_exhausted(order, policy);
      Advance advance =
          gave_up ? dead_lettered_after_capture(order, Stage::fulfillment, now)
                  : compensate(order, Stage::fulfillment, Reason::fulfillment_refused, now);
      advance.next.handover = Handover::closed;
      return advance;
    }
    case OutcomeKind::permanent: {
      if (kind != EffectKind::fulfill) return backed_off(policy, moment, tries);
      const Order blamed = blamed_for(order, Reason::fulfillment_refused, now);
      Advance advance = dead_lettered_after_capture(blamed, Stage::fulfillment, now);
      advance.next.handover = Handover::closed;
      return advance;
    }
    case OutcomeKind::transient:
      if (kind != EffectKind::fulfill) return backed_off(policy, moment, tries);
      return failed_attempt(order, Stage::fulfillment, Reason::fulfillment_unavailable, policy,
                            moment);
    case OutcomeKind::unknown:
      if (kind == EffectKind::fulfill) return effect_of(order, EffectKind::find_fulfillment);
      return backed_off(policy, moment, tries);
    case OutcomeKind::not_found:
    case OutcomeKind::unavailable:
      return backed_off(policy, moment, tries);
  }
  return backed_off(policy, moment, tries);
}

/// What the timeline tells of a refund that was not paid; none where it is no failure so far.
Reason refund_failure(OutcomeKind outcome, std::uint32_t tries) {
  constexpr std::uint32_t kUnansweredBeforeTold = 3;
  switch (outcome) {
    case OutcomeKind::refused:
    case OutcomeKind::permanent:
      return Reason::refund_refused;
    case OutcomeKind::transient:
      return Reason::gateway_unavailable;
    case OutcomeKind::unknown:
      return tries >= kUnansweredBeforeTold ? Reason::outcome_unknown : Reason::none;
    default:
      return Reason::none;
  }
}

Step after_unwinding(const Order& order, EffectKind kind, const Outcome& outcome,
                     const SagaPolicy& policy, Moment moment, std::uint32_t tries) {
  const Instant now = moment.now;
  if (is_about_charge(kind)) {
    if (order.charge != Charge::open) return Wait{now};
    Order changed = order;
    if (outcome.kind == OutcomeKind::done) {
      changed.charge = Charge::captured;
      changed.capture_reference = outcome.reference;
      return unwound(changed, Reason::charge_resolved_captured, now);
    }
    if (outcome.kind == OutcomeKind::closed || outcome.kind == OutcomeKind::refused) {
      changed.charge = Charge::closed;
      return unwound(changed, Reason::nothing_held, now);
    }
    // Whatever else a charge or a find said, the close that is next decides.
    if (kind != EffectKind::close_charge) return Wait{now};
    return backed_off(policy, moment, tries);
  }
  if (is_about_fulfillment(kind)) {
    if (order.handover != Handover::open) return Wait{now};
    if (outcome.kind == OutcomeKind::done || outcome.kind == OutcomeKind::closed ||
        outcome.kind == OutcomeKind::refused) {
      Order changed = order;
      // Also where the fulfiller had accepted: the cancellation was acknowledged first.
      changed.handover = outcome.kind == OutcomeKind::done ? Handover::accepted : Handover::closed;
      return unwound(changed, order.reason, now);
    }
    if (kind != EffectKind::close_fulfillment) return Wait{now};
    return backed_off(policy, moment, tries);
  }
  if (order.charge != Charge::captured) return Wait{now};
  if (outcome.kind == OutcomeKind::done) {
    Order changed = order;
    changed.charge = Charge::refunded;
    return unwound(changed, Reason::refunded, now);
  }
  // Each kind of failure is recorded once: the refund is owed and tried on without end, and not a
  // line each time.
  const Reason failure = refund_failure(outcome.kind, tries);
  if (failure != Reason::none && !is_recorded(order, failure)) {
    const auto attempt = static_cast<std::int32_t>(std::max(tries, 1U));
    Order next = moved(order, {order.status, Stage::payment, failure, attempt}, now);
    next.reason = order.reason;
    next.last_error = failure;
    next.attempts = attempt;
    if (order.first_error == Reason::none) {
      next.first_error = failure;
      next.first_failed_at = now;
    }
    next.due = backed_off(policy, moment, tries).until;
    return Advance{std::move(next)};
  }
  return backed_off(policy, moment, tries);
}

}  // namespace

std::string_view to_string(Trouble trouble) {
  constexpr std::array<std::string_view, kTroubles> kTexts{
      "", "unreachable", "not-authorized", "overloaded", "no-answer", "unreadable-answer"};
  return kTexts.at(static_cast<std::size_t>(trouble));
}

Order place(Order draft, Instant now) {
  draft.created_at = now;
  draft.updated_at = now;
  draft.status = Status::placed;
  draft.version = {1};
  draft.reason = Reason::none;
  draft.due = now;
  draft.timeline = {{.version = {1},
                     .at = now,
                     .from = std::nullopt,
                     .to = Status::placed,
                     .stage = Stage::ingest,
                     .reason = Reason::accepted}};
  return draft;
}

Step next_step(const Order& order, const SagaPolicy& policy, Moment moment) {
  PENSTOCK_CHECK(!is_terminal(order.status), "a terminal order has no next step");
  if (is_open_dead_letter(order)) {
    const Instant until = order.dead_letter->at + policy.dead_letter_hold;
    if (moment.now < until) return Wait{until};
    return give_up(order, DeadLetterState::compensated, Reason::dead_letter_expired, moment.now);
  }
  if (moment.now < order.due) return Wait{order.due};
  switch (order.status) {
    case Status::placed: {
      Order next =
          moved(order, {Status::reserved, Stage::inventory, Reason::stock_reserved, 1}, moment.now);
      next.holds_stock = true;
      next.charge = order.total.minor_units == 0 ? Charge::none : Charge::open;
      next.charge_since = moment.now;
      return Advance{std::move(next), StockMove::reserve};
    }
    case Status::reserved:
      return charge_step(order, policy, moment.now);
    case Status::charged:
      return fulfill_step(order, policy, moment.now);
    default:
      return unwind_step(order, moment.now);
  }
}

Advance reject(const Order& order, Reason reason, Instant now) {
  return {moved(order, {Status::rejected, Stage::inventory, reason, 1}, now)};
}

Order reject_instead(Order reserved, Reason reason) {
  PENSTOCK_CHECK(reserved.status == Status::reserved && !reserved.timeline.empty(),
                 "only a reservation can fail for stock");
  Event& last = reserved.timeline.back();
  PENSTOCK_CHECK(last.to == Status::reserved && last.from == Status::placed,
                 "the reservation is the last event");
  last.to = Status::rejected;
  last.reason = reason;
  reserved.status = Status::rejected;
  reserved.reason = reason;
  reserved.holds_stock = false;
  reserved.charge = Charge::none;
  reserved.charge_since = {};
  return reserved;
}

Step after_effect(const Order& order, EffectKind kind, const Outcome& outcome,
                  const SagaPolicy& policy, Moment moment, std::uint32_t tries) {
  switch (order.status) {
    case Status::reserved:
      if (!is_about_charge(kind) || order.charge != Charge::open) return Wait{moment.now};
      return after_charge(order, kind, outcome, policy, moment, tries);
    case Status::charged:
      if (!is_about_fulfillment(kind)) return Wait{moment.now};
      return after_fulfillment(order, kind, outcome, policy, moment, tries);
    case Status::cancelling:
      return after_unwinding(order, kind, outcome, policy, moment, tries);
    default:
      return Wait{moment.now};
  }
}

bool tells_nothing(EffectKind kind, OutcomeKind outcome) {
  switch (outcome) {
    case OutcomeKind::unknown:
    case OutcomeKind::not_found:
    case OutcomeKind::unavailable:
      return true;
    case OutcomeKind::transient:
      return kind != EffectKind::charge && kind != EffectKind::fulfill;
    case OutcomeKind::permanent:
      return kind != EffectKind::charge && kind != EffectKind::fulfill &&
             kind != EffectKind::refund;
    default:
      return false;
  }
}

bool settles(EffectKind kind, OutcomeKind outcome) {
  const bool refund_refused = kind == EffectKind::refund && outcome != OutcomeKind::done;
  return !refund_refused && !tells_nothing(kind, outcome);
}

std::expected<std::optional<Advance>, RequestError> cancel(const Order& order, Instant now) {
  constexpr Reason kReason = Reason::cancelled_by_request;
  std::optional<Advance> advance;
  switch (order.status) {
    case Status::fulfilled:
    case Status::rejected:
      return std::unexpected(RequestError::already_terminal);
    case Status::cancelling:
    case Status::cancelled:
      return std::optional<Advance>{};
    case Status::placed:
      advance = Advance{moved(order, {Status::cancelled, Stage::ingest, kReason}, now)};
      break;
    case Status::reserved:
    case Status::charged:
      advance = compensate(order, *stage_of(order.status), kReason, now);
      break;
  }
  if (is_open_dead_letter(order)) {
    advance->next.dead_letter->state = DeadLetterState::compensated;
  }
  return advance;
}

std::expected<Advance, RequestError> redrive(const Order& order, Instant now) {
  if (is_terminal(order.status) || !is_open_dead_letter(order)) {
    return std::unexpected(RequestError::not_a_dead_letter);
  }
  if (!has_room(order)) return std::unexpected(RequestError::timeline_full);
  Order next = moved(order, {order.status, order.dead_letter->stage, Reason::redriven}, now);
  next.dead_letter.reset();
  next.redrives += 1;
  next.attempts = 0;
  next.first_error = Reason::none;
  next.last_error = Reason::none;
  next.first_failed_at = {};
  if (order.charge == Charge::closed) next = with_new_key(std::move(next));
  return Advance{std::move(next)};
}

std::expected<Advance, RequestError> discard(const Order& order, Instant now) {
  if (is_terminal(order.status) || !is_open_dead_letter(order)) {
    return std::unexpected(RequestError::not_a_dead_letter);
  }
  return give_up(order, DeadLetterState::discarded, Reason::discarded, now);
}

bool was_interrupted(const Order& order) {
  return is_open_dead_letter(order) ||
         (order.status == Status::reserved && order.last_error == Reason::interrupted) ||
         (order.status == Status::cancelling && is_recorded(order, Reason::interrupted));
}

Advance dead_letter_interrupted(const Order& order, const SagaPolicy& policy, Instant now) {
  Order blamed = order;
  blamed.last_error = Reason::interrupted;
  if (order.first_error == Reason::none) {
    blamed.first_error = Reason::interrupted;
    blamed.first_failed_at = now;
  }
  switch (order.status) {
    case Status::placed:
      return dead_lettered(blamed, Stage::inventory, policy, now);
    case Status::charged:
      return dead_lettered_after_capture(blamed, Stage::fulfillment, now);
    default:
      // reserved: next_step closes the charge, then marks; cancelling never gives up.
      return {moved(blamed, {order.status, Stage::payment, Reason::interrupted}, now)};
  }
}

std::string effect_key(const Order& order, EffectKind kind) {
  std::string key = order.id.str();
  if (kind == EffectKind::refund) return key += "/refund";
  if (is_about_fulfillment(kind)) return key += "/fulfill";
  key += "/charge";
  if (order.key_generation > 0) key += "." + std::to_string(order.key_generation);
  return key;
}

}  // namespace penstock::domain

#include "domain/saga_moves.h"

#include <algorithm>
#include <utility>

#include "domain/check.h"
#include "domain/limits.h"

namespace penstock::domain {

Order moved(const Order& order, Change change, Instant now) {
  PENSTOCK_CHECK(is_legal(order.status, change.to), "illegal transition");
  Order next = order;
  next.version.number += 1;
  next.updated_at = std::max(order.updated_at, now);
  next.timeline.push_back({.version = next.version,
                           .at = next.updated_at,
                           .from = order.status,
                           .to = change.to,
                           .stage = change.stage,
                           .reason = change.reason,
                           .attempt = change.attempt});
  next.reason = change.reason;
  next.interruptions = 0;
  next.due = now;
  if (order.status != change.to) {
    next.status = change.to;
    next.attempts = 0;
    next.first_error = Reason::none;
    next.last_error = Reason::none;
    next.first_failed_at = {};
  }
  return next;
}

Wait backed_off(const SagaPolicy& policy, Moment moment, std::uint32_t tries) {
  const Duration least = Duration::milliseconds(50);
  return {moment.now + std::max(least, policy.backoff.pause(tries, moment.random))};
}

bool is_exhausted(const Order& order, const SagaPolicy& policy) {
  return order.attempts >= policy.max_attempts || order.last_error == Reason::gateway_rejected ||
         order.last_error == Reason::interrupted;
}

bool has_room(const Order& order) {
  return order.timeline.size() + limits::kTimelineReserve < limits::kMaxTimelineEvents;
}

bool is_recorded(const Order& order, Reason reason) {
  for (auto event = order.timeline.rbegin(); event != order.timeline.rend(); ++event) {
    if (event->reason == reason) return true;
    if (event->from != event->to) return false;
  }
  return false;
}

DeadLetter mark_of(const Order& order, Stage stage, Instant now) {
  return {.state = DeadLetterState::open,
          .stage = stage,
          .first_error = order.first_error,
          .last_error = order.last_error,
          .attempts = order.attempts,
          .first_failed_at = order.first_failed_at,
          .at = std::max(order.updated_at, now)};
}

Advance compensate(const Order& order, Stage stage, Reason reason, Instant now) {
  Order next = moved(order, {.to = Status::cancelling, .stage = stage, .reason = reason}, now);
  next.holds_stock = false;
  return {std::move(next), StockMove::release};
}

Advance dead_lettered_after_capture(const Order& blamed, Stage stage, Instant now) {
  Advance advance = compensate(blamed, stage, blamed.last_error, now);
  advance.next.dead_letter = mark_of(blamed, stage, now);
  advance.next.dead_letter->state = DeadLetterState::compensated;
  return advance;
}

Advance give_up(const Order& order, DeadLetterState state, Reason reason, Instant now) {
  const Stage stage = order.dead_letter->stage;
  Advance advance = order.status == Status::placed
                        ? Advance{moved(order, {Status::cancelled, stage, reason}, now)}
                        : compensate(order, stage, reason, now);
  advance.next.dead_letter->state = state;
  return advance;
}

Order blamed_for(const Order& order, Reason reason, Instant now) {
  Order blamed = order;
  blamed.attempts += 1;
  if (order.first_error == Reason::none) {
    blamed.first_error = reason;
    blamed.first_failed_at = now;
  }
  blamed.last_error = reason;
  return blamed;
}

Step failed_attempt(const Order& order, Stage stage, Reason reason, const SagaPolicy& policy,
                    Moment moment) {
  if (is_exhausted(order, policy)) return Wait{moment.now};
  const Order blamed = blamed_for(order, reason, moment.now);
  Order next = moved(blamed, {order.status, stage, reason, blamed.attempts}, moment.now);
  if (!is_exhausted(next, policy)) {
    const auto failures = static_cast<std::uint32_t>(blamed.attempts);
    next.due = moment.now + policy.backoff.pause(failures, moment.random);
  }
  return Advance{std::move(next)};
}

Advance dead_lettered(const Order& order, Stage stage, const SagaPolicy& policy, Instant now) {
  Order next = moved(order, {order.status, stage, Reason::dead_lettered, order.attempts}, now);
  next.dead_letter = mark_of(order, stage, now);
  next.reason = order.last_error;
  next.due = next.dead_letter->at + policy.dead_letter_hold;
  return {std::move(next)};
}

}  // namespace penstock::domain

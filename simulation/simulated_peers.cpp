#include "simulation/simulated_peers.h"

#include <string>
#include <utility>

namespace penstock::simulation {

using domain::Duration;
using domain::EffectKind;
using domain::Outcome;
using domain::OutcomeKind;

void SimulatedFulfiller::Connection::submit(std::span<ports::FulfillmentRequest> requests) {
  for (const ports::FulfillmentRequest& request : requests) {
    if (sending_) sending_();
    fulfiller_.send(box_, request);
  }
}

Duration SimulatedFulfiller::latency() {
  const Duration most = span_of_ms(faults_.latency_ms);
  return way_.between(Duration{most.us / 4}, most);
}

void SimulatedFulfiller::answer(const Box& box, std::uint64_t ticket, Outcome outcome,
                                Duration after) {
  around_.timeline.after(
      after, [box, reply = ports::FulfillmentReply{ticket, std::move(outcome)}]() mutable {
        box->deliver(std::move(reply));
      });
}

void SimulatedFulfiller::send(const Box& box, const ports::FulfillmentRequest& request) {
  around_.trace.note("fulfiller <- {} {}", static_cast<int>(request.kind), request.key);
  if (way_.chance(around_.risk(faults_.unavailable))) {
    return answer(box, request.ticket, {OutcomeKind::unavailable, {}}, latency());
  }
  const bool lost = way_.chance(around_.risk(faults_.lose_request));
  const bool late = way_.chance(around_.risk(faults_.act_late));
  const bool dropped = way_.chance(around_.risk(faults_.drop_reply));
  if (lost || late || dropped) {
    around_.hit(Probe::fulfillment_unknown);
    answer(box, request.ticket, {OutcomeKind::unknown, {}}, Duration{latency().us * 4});
  }
  if (lost) return;
  Duration arrival = latency();
  if (late) arrival.us += way_.between(Duration{0}, span_of_ms(faults_.late_ms)).us;
  const bool heard = !late && !dropped;
  around_.timeline.after(arrival, [this, box, kind = request.kind, key = request.key,
                                   order = request.order.id, ticket = request.ticket, heard] {
    Outcome outcome = act(kind, key);
    if (kind == EffectKind::fulfill) tell_failure(order, outcome.kind);
    around_.trace.note("fulfiller -> {} {} is {}", static_cast<int>(kind), key,
                       static_cast<int>(outcome.kind));
    if (heard) answer(box, ticket, std::move(outcome), latency());
  });
}

void SimulatedFulfiller::tell_failure(const domain::OrderId& order, OutcomeKind outcome) {
  if (outcome == OutcomeKind::transient) {
    around_.tell(checker::PeerFailed{order, checker::PeerFailure::handover});
  } else if (outcome == OutcomeKind::refused || outcome == OutcomeKind::permanent) {
    around_.tell(checker::PeerFailed{order, checker::PeerFailure::handover_refused});
  }
}

Outcome SimulatedFulfiller::act(EffectKind kind, const std::string& name) {
  State& state = keys_[name];
  if (state == State::none && way_.chance(around_.risk(faults_.transient))) {
    return {OutcomeKind::transient, {}};
  }
  if (state == State::none && kind == EffectKind::find_fulfillment &&
      way_.chance(around_.risk(faults_.permanent))) {
    return {OutcomeKind::permanent, {}};
  }
  if (state == State::none && kind == EffectKind::fulfill) {
    if (way_.chance(around_.risk(faults_.permanent))) return {OutcomeKind::permanent, {}};
    const bool refused = way_.chance(around_.risk(faults_.refuse));
    if (refused) around_.hit(Probe::fulfillment_refused);
    state = refused ? State::refused : State::accepted;
  }
  if (state == State::none && kind == EffectKind::close_fulfillment) state = State::closed;
  switch (state) {
    case State::accepted:
      return {OutcomeKind::done, {}};
    case State::refused:
      return {OutcomeKind::refused, {}};
    case State::closed:
      return {OutcomeKind::closed, {}};
    case State::none:
      break;
  }
  return {OutcomeKind::not_found, {}};
}

bool SimulatedFulfiller::accepted(const domain::OrderId& order) const {
  const auto found = keys_.find(order.str() + "/fulfill");
  return found != keys_.end() && found->second == State::accepted;
}

void SimulatedReceivers::Connection::submit(std::span<ports::NotificationRequest> requests) {
  SimulatedReceivers& receivers = receivers_;
  for (ports::NotificationRequest& request : requests) {
    const auto latency =
        receivers.way_.between(Duration{100}, span_of_ms(receivers.faults_.latency_ms + 0.1));
    receivers.around_.timeline.after(
        latency,
        [&receivers, box = box_, request = std::move(request)] { receivers.arrive(box, request); });
  }
}

void SimulatedReceivers::arrive(const Box& box, const ports::NotificationRequest& request) {
  using ports::NotificationOutcome;
  auto outcome = NotificationOutcome::delivered;
  auto told = checker::ReceiverAnswer::accepted;
  if (way_.chance(around_.risk(faults_.gone))) {
    outcome = NotificationOutcome::gone;
    told = checker::ReceiverAnswer::refused;
    around_.hit(Probe::webhook_gone);
    around_.tell(checker::EndpointGone{request.order.tenant, endpoint_of(request.webhook)});
  } else if (way_.chance(around_.risk(faults_.fail))) {
    outcome = NotificationOutcome::failed;
    told = checker::ReceiverAnswer::refused;
    around_.hit(Probe::webhook_failed);
  } else if (way_.chance(around_.risk(faults_.lose_reply))) {
    outcome = NotificationOutcome::failed;
  }
  around_.trace.note("webhook {} attempt {} {}", request.order.id, request.attempt,
                     static_cast<int>(outcome));
  if (around_.defect != PlantedDefect::sink_swallows) {
    // One event an order: its id is what stays the same over all attempts.
    around_.tell(checker::Delivered{.webhook_id = request.order.id.str(),
                                    .order = request.order.id,
                                    .status = request.order.status,
                                    .signature = checker::Signature::valid,
                                    .answer = told});
  }
  around_.timeline.after(
      Duration{500}, [box, ticket = request.ticket, outcome] { box->deliver({ticket, outcome}); });
}

void SimulatedCopies::Connection::submit(std::span<ports::ReceiptCopy> copies) {
  SimulatedCopies& all = copies_;
  for (ports::ReceiptCopy& copy : copies) {
    const bool fails = all.way_.chance(all.around_.risk(all.faults_.copy_fails));
    if (!fails) all.copies_[copy.order] = std::move(copy.receipt);
    const auto outcome = fails ? ports::CopyOutcome::failed : ports::CopyOutcome::stored;
    all.around_.timeline.after(Duration{300}, [box = box_, ticket = copy.ticket, outcome] {
      box->deliver({ticket, outcome});
    });
  }
}

const std::string& SimulatedCopies::copy_of(const domain::OrderId& order) const {
  static const std::string kNone;
  const auto found = copies_.find(order);
  return found == copies_.end() ? kNone : found->second;
}

void TracedLog::write(ports::LogLevel, std::string_view message,
                      std::initializer_list<ports::LogField> fields) {
  std::string text(message);
  for (const ports::LogField& field : fields) {
    text += ' ';
    text += field.name;
    text += '=';
    field.value.append_to(text);
  }
  trace_.note("log {}", text);
}

}  // namespace penstock::simulation

#include "simulation/simulated_gateway.h"

#include <algorithm>
#include <utility>

namespace penstock::simulation {

using domain::Duration;
using domain::EffectKind;
using domain::Outcome;
using domain::OutcomeKind;
using ports::GatewayReply;
using ports::GatewayRequest;

namespace {

/// Beyond the promised retention, for requests that were on the way when it ended.
constexpr Duration kRetentionMargin = Duration::seconds(30);

const char* name_of(EffectKind kind) {
  switch (kind) {
    case EffectKind::charge:
      return "charge";
    case EffectKind::find_charge:
      return "find";
    case EffectKind::close_charge:
      return "close";
    default:
      return "refund";
  }
}

checker::GatewayAct act_of(const GatewayRequest& request) {
  return {.key = request.key, .order = request.order, .amount = request.amount};
}

}  // namespace

SimulatedGateway::SimulatedGateway(Surroundings& around)
    : around_(around),
      faults_(around.scenario.gateway),
      way_(around.seed, "gateway way"),
      rules_(around.seed, "gateway rules") {}

SimulatedGateway::Connection::Connection(SimulatedGateway& gateway, std::function<void()> wake,
                                         std::function<void()> sending,
                                         std::function<void()> poisoned)
    : gateway_(gateway),
      box_(std::make_shared<ReplyBox<GatewayReply>>(std::move(wake))),
      sending_(std::move(sending)),
      poisoned_(std::move(poisoned)) {}

void SimulatedGateway::Connection::submit(std::span<GatewayRequest> requests, domain::Now) {
  for (GatewayRequest& request : requests) {
    if (sending_) sending_();
    const bool poison =
        request.kind == EffectKind::charge && request.method.ends_with(kPoisonSuffix);
    gateway_.send(box_, std::move(request));
    if (poison && gateway_.around_.faulty()) poisoned_();
  }
}

Duration SimulatedGateway::latency() {
  const Duration most = span_of_ms(faults_.latency_ms);
  return way_.between(Duration{most.us / 4}, most);
}

Duration SimulatedGateway::lateness() {
  return way_.between(Duration{0}, span_of_ms(faults_.late_ms));
}

bool SimulatedGateway::in_outage() {
  if (faults_.outages <= 0 || !around_.faulty()) return false;
  const domain::Instant now = around_.timeline.now();
  if (now >= next_outage_) {
    if (next_outage_.us != 0) outage_until_ = now + span_of_ms(faults_.outage_ms);
    const auto pause = way_.between(Duration{0}, span_of_seconds(2 / faults_.outages));
    next_outage_ = std::max(now, outage_until_) + pause;
  }
  return now < outage_until_;
}

void SimulatedGateway::send(const Box& box, GatewayRequest request) {
  around_.trace.note("gateway <- {} {}", name_of(request.kind), request.key);
  const bool dropped = in_outage() || way_.chance(around_.risk(faults_.unavailable));
  if (dropped) return answer(box, request.ticket, {OutcomeKind::unavailable, {}}, latency());
  const bool silent = around_.defect == PlantedDefect::gateway_never_answers &&
                      request.kind == EffectKind::close_charge;
  if (silent || way_.chance(around_.risk(faults_.lose_request))) return lose_answer(box, request);
  if (request.kind == EffectKind::charge) keys_[request.key].on_the_way += 1;
  const domain::Instant arrival = around_.timeline.now() + latency();
  if (way_.chance(around_.risk(faults_.act_late))) {
    lose_answer(box, request);
    return arrive_at(arrival + lateness(), box, std::move(request), std::nullopt);
  }
  if (way_.chance(around_.risk(faults_.drop_reply))) {
    lose_answer(box, request);
    return arrive_at(arrival, box, std::move(request), std::nullopt);
  }
  if (way_.chance(around_.risk(faults_.answer_twice))) {
    around_.hit(Probe::answered_twice);
    // The network doubles the request or its answer: to the sender both are an answer too many.
    if (request.kind == EffectKind::charge) keys_[request.key].on_the_way += 1;
    arrive_at(arrival + latency(), box, request, latency());
  }
  const bool late = way_.chance(around_.risk(faults_.answer_late));
  arrive_at(arrival, box, std::move(request), late ? lateness() : latency());
}

void SimulatedGateway::lose_answer(const Box& box, const GatewayRequest& request) {
  const bool charged = request.kind == EffectKind::charge ||
                       request.kind == EffectKind::close_charge ||
                       request.kind == EffectKind::find_charge;
  if (charged) keys_[request.key].unheard = true;
  const Duration timeout{latency().us * 4};
  answer(box, request.ticket, {OutcomeKind::unknown, {}}, timeout);
}

void SimulatedGateway::answer(const Box& box, std::uint64_t ticket, Outcome outcome,
                              Duration after) {
  around_.timeline.after(after, [box, reply = GatewayReply{ticket, std::move(outcome)}]() mutable {
    box->deliver(std::move(reply));
  });
}

void SimulatedGateway::arrive_at(domain::Instant time, const Box& box, GatewayRequest request,
                                 std::optional<Duration> answer_after) {
  around_.timeline.at(time, [this, box, request = std::move(request), answer_after] {
    Key& key = keys_[request.key];
    if (request.kind == EffectKind::charge) key.on_the_way -= 1;
    Outcome outcome = act(request, key, !box->open());
    around_.trace.note("gateway -> {} {} is {}", name_of(request.kind), request.key,
                       static_cast<int>(outcome.kind));
    if (answer_after) answer(box, request.ticket, std::move(outcome), *answer_after);
  });
}

bool SimulatedGateway::same_as_first(const GatewayRequest& request, Key& key) {
  if (!key.first) {
    key.first = request;
    key.since = around_.timeline.now();
    return true;
  }
  const GatewayRequest& first = *key.first;
  return first.kind == request.kind && first.order == request.order &&
         first.amount == request.amount && first.method == request.method &&
         first.charge_key == request.charge_key && first.reference == request.reference;
}

Outcome SimulatedGateway::act(const GatewayRequest& request, Key& key, bool sender_is_gone) {
  switch (request.kind) {
    case EffectKind::charge:
      around_.tell(checker::ChargeAsked{act_of(request)});
      return told(request.order, same_as_first(request, key) ? charge(request, key, sender_is_gone)
                                                             : Outcome{OutcomeKind::permanent, {}});
    case EffectKind::find_charge:
      return find(request, key);
    case EffectKind::close_charge:
      return close(request, key);
    default:
      around_.tell(checker::RefundAsked{act_of(request)});
      if (!same_as_first(request, key)) return {OutcomeKind::permanent, {}};
      return refund(request, key);
  }
}

Outcome SimulatedGateway::told(const domain::OrderId& order, Outcome outcome) {
  if (outcome.kind == OutcomeKind::transient) {
    around_.tell(checker::PeerFailed{order, checker::PeerFailure::charge});
  } else if (outcome.kind == OutcomeKind::permanent) {
    around_.tell(checker::PeerFailed{order, checker::PeerFailure::charge_rejected});
  }
  return outcome;
}

bool SimulatedGateway::forgotten(const Key& key) const {
  const Duration kept = span_of_seconds(around_.scenario.policy.gateway_key_retention_seconds);
  const Duration late = span_of_ms(faults_.late_ms + faults_.latency_ms * 8);
  return (around_.timeline.now() - key.since).us >
         kept.us + late.us + clock_error_.us + kRetentionMargin.us;
}

Outcome SimulatedGateway::captured(const GatewayRequest& request, Key& key) {
  key.captured = true;
  std::string reference = "cap_" + request.key;
  around_.tell(checker::Captured{act_of(request), reference});
  return {OutcomeKind::done, std::move(reference)};
}

Outcome SimulatedGateway::charge(const GatewayRequest& request, Key& key, bool sender_is_gone) {
  const bool twice = around_.defect == PlantedDefect::gateway_captures_twice;
  if (key.captured && !forgotten(key) && !twice) {
    if (key.unheard) around_.hit(Probe::capture_after_unknown);
    return {OutcomeKind::done, "cap_" + request.key};
  }
  if (key.closed) {
    around_.hit(Probe::closed_before_late_charge);
    if (around_.defect != PlantedDefect::gateway_ignores_close) return {OutcomeKind::closed, {}};
  }
  if (key.declined) return {OutcomeKind::refused, {}};
  if (rules_.chance(around_.risk(faults_.transient))) return {OutcomeKind::transient, {}};
  if (rules_.chance(around_.risk(faults_.permanent))) return {OutcomeKind::permanent, {}};
  if (rules_.chance(around_.risk(faults_.decline))) {
    key.declined = true;
    around_.hit(Probe::declined);
    around_.tell(checker::Declined{act_of(request)});
    return {OutcomeKind::refused, {}};
  }
  if (sender_is_gone) around_.hit(Probe::late_effect_after_crash);
  return captured(request, key);
}

Outcome SimulatedGateway::find(const GatewayRequest& request, Key& key) {
  if (key.captured) {
    if (key.unheard) around_.hit(Probe::capture_after_unknown);
    return {OutcomeKind::done, "cap_" + request.key};
  }
  if (key.declined) return {OutcomeKind::refused, {}};
  if (key.closed) return {OutcomeKind::closed, {}};
  if (rules_.chance(around_.risk(faults_.transient))) return {OutcomeKind::transient, {}};
  return {OutcomeKind::not_found, {}};
}

Outcome SimulatedGateway::close(const GatewayRequest& request, Key& key) {
  if (rules_.chance(around_.risk(faults_.transient))) return {OutcomeKind::transient, {}};
  if (key.on_the_way > 0) around_.hit(Probe::close_of_charge_in_flight);
  if (key.captured) {
    around_.hit(Probe::close_found_capture);
    return {OutcomeKind::done, "cap_" + request.key};
  }
  if (!key.closed) {
    key.closed = true;
    around_.tell(checker::Closed{act_of(request)});
  }
  return {OutcomeKind::closed, {}};
}

Outcome SimulatedGateway::refund(const GatewayRequest& request, Key& key) {
  if (key.refund_acted) return {OutcomeKind::done, "ref_" + request.key};
  if (rules_.chance(around_.risk(faults_.transient))) return {OutcomeKind::transient, {}};
  if (rules_.chance(around_.risk(faults_.refuse_refund))) {
    around_.hit(Probe::refund_refused);
    return {OutcomeKind::refused, {}};
  }
  Key& charge = keys_[request.charge_key];
  const bool payable = charge.captured && !charge.refunded && charge.first &&
                       request.amount.currency == charge.first->amount.currency &&
                       request.amount.minor_units <= charge.first->amount.minor_units;
  if (!payable) return {OutcomeKind::refused, {}};
  charge.refunded = true;
  if (charge.unheard) around_.hit(Probe::refund_after_unknown);
  key.refund_acted = true;
  around_.tell(checker::Refunded{act_of(request)});
  return {OutcomeKind::done, "ref_" + request.key};
}

}  // namespace penstock::simulation

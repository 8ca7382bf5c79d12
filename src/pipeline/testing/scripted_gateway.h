#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "domain/instant.h"
#include "domain/saga.h"
#include "ports/payment_gateway.h"

namespace penstock::pipeline::testing {

/// What a peer does with one request.
enum class Act : std::uint8_t {
  ok,
  refuse,        ///< charge: declined
  transient,     ///< reported, nothing was done
  permanent,     ///< reported, nothing was done
  lose_reply,    ///< acts; the answer is lost
  lose_request,  ///< never acts; there is no answer
  act_late,      ///< no answer; acts kLateBy later, unless the key is closed by then
  unavailable,   ///< certainly never sent
  busy,          ///< asks to come back later
  closed,        ///< charge: says that the key is closed, which nobody asked for
};

/// The acts of successive requests of one kind for one order; the last one repeats where asked.
struct Script {
  std::vector<Act> acts;
  bool repeat_last = false;

  Act at(std::size_t request) const {
    if (request < acts.size()) return acts[request];
    return repeat_last && !acts.empty() ? acts.back() : Act::ok;
  }
};

/// A movement of money, as the gateway itself wrote it down.
struct Movement {
  domain::EffectKind kind = domain::EffectKind::charge;  ///< charge or refund
  domain::OrderId order;
  std::string key;
  domain::Money amount;
};

/// An honest gateway whose misfortunes are scripted by payment method. Its ledger outlives the
/// pipeline; `disconnect` loses what was on its way back. Single-threaded, on virtual time.
class ScriptedGateway final : public ports::PaymentGateway {
 public:
  static constexpr domain::Duration kLateBy = domain::Duration::seconds(5);

  /// Orders with this method meet `script`.
  void script(const std::string& method, domain::EffectKind kind, Script script) {
    scripts_[{method, kind}] = std::move(script);
  }

  /// Called for each request as it arrives; may throw to end the process there.
  std::function<void(const ports::GatewayRequest&)> on_request;
  domain::Duration latency;
  bool away = false;  ///< every request is `unavailable`

  std::vector<ports::GatewayRequest> requests;  ///< all that arrived
  std::vector<Movement> ledger;
  std::vector<std::string> violations;  ///< one key used with different parameters

  std::size_t count(domain::EffectKind kind) const {
    std::size_t result = 0;
    for (const auto& request : requests) result += request.kind == kind ? 1 : 0;
    return result;
  }
  std::vector<std::string> keys(domain::EffectKind kind) const {
    std::vector<std::string> result;
    for (const auto& request : requests) {
      if (request.kind == kind) result.push_back(request.key);
    }
    return result;
  }

  void disconnect() { replies_.clear(); }

  void submit(std::span<ports::GatewayRequest> incoming, domain::Now now) override {
    act_on_late_ones(now.wall);
    for (const ports::GatewayRequest& request : incoming) {
      if (on_request) on_request(request);
      requests.push_back(request);
      const domain::Outcome outcome = away ? domain::Outcome{domain::OutcomeKind::unavailable,
                                                             {},
                                                             domain::Trouble::unreachable,
                                                             "scripted"}
                                           : serve(request, now.wall);
      replies_.emplace(now.wall + latency, ports::GatewayReply{request.ticket, outcome});
    }
  }

  void poll(std::vector<ports::GatewayReply>& replies, domain::Now now) override {
    act_on_late_ones(now.wall);
    while (!replies_.empty() && replies_.begin()->first <= now.wall) {
      replies.push_back(std::move(replies_.begin()->second));
      replies_.erase(replies_.begin());
    }
  }

  std::optional<domain::Instant> next_due() const override {
    if (replies_.empty()) return std::nullopt;
    return replies_.begin()->first;
  }

 private:
  struct Key {
    std::optional<ports::GatewayRequest> first;  ///< the request that came first under it
    bool acted = false;
    bool declined = false;
    bool closed = false;
  };

  domain::Outcome serve(const ports::GatewayRequest& request, domain::Instant now) {
    using domain::OutcomeKind;
    const bool moves_money =
        request.kind == domain::EffectKind::charge || request.kind == domain::EffectKind::refund;
    if (moves_money) check_parameters(request);
    const std::size_t turn = turns_[{request.order, request.kind}]++;
    const auto script = scripts_.find({request.method, request.kind});
    switch (script == scripts_.end() ? Act::ok : script->second.at(turn)) {
      case Act::ok:
        return act(request, Act::ok);
      case Act::refuse:
        return act(request, Act::refuse);
      case Act::transient:
        return {OutcomeKind::transient, {}};
      case Act::permanent:
        return {OutcomeKind::permanent, {}};
      case Act::lose_reply:
        act(request, Act::ok);
        return {OutcomeKind::unknown, {}};
      case Act::act_late:
        late_.emplace(now + kLateBy, request);
        return {OutcomeKind::unknown, {}};
      case Act::lose_request:
        return {OutcomeKind::unknown, {}};
      case Act::unavailable:
        return {OutcomeKind::unavailable, {}};
      case Act::busy:
        return {OutcomeKind::unavailable, {}, domain::Trouble::overloaded, "busy"};
      case Act::closed:
        table_[request.key].closed = true;
        return {OutcomeKind::closed, {}};
    }
    return {};
  }

  domain::Outcome act(const ports::GatewayRequest& request, Act how) {
    using domain::OutcomeKind;
    Key& key = table_[request.key];
    switch (request.kind) {
      case domain::EffectKind::charge:
        if (key.acted) return {OutcomeKind::done, "cap_" + request.key};
        if (key.closed) return {OutcomeKind::closed, {}};
        if (key.declined || how == Act::refuse) {
          key.declined = true;
          return {OutcomeKind::refused, {}};
        }
        return move(request, key, "cap_");
      case domain::EffectKind::find_charge:
        if (key.acted) return {OutcomeKind::done, "cap_" + request.key};
        if (key.declined) return {OutcomeKind::refused, {}};
        return {key.closed ? OutcomeKind::closed : OutcomeKind::not_found, {}};
      case domain::EffectKind::close_charge:
        if (key.acted) return {OutcomeKind::done, "cap_" + request.key};
        key.closed = true;
        return {OutcomeKind::closed, {}};
      default:
        if (key.acted) return {OutcomeKind::done, "ref_" + request.key};
        if (how == Act::refuse || !table_[request.charge_key].acted) {
          return {OutcomeKind::refused, {}};
        }
        return move(request, key, "ref_");
    }
  }

  domain::Outcome move(const ports::GatewayRequest& request, Key& key, const char* prefix) {
    key.acted = true;
    ledger.push_back({request.kind, request.order, request.key, request.amount});
    return {domain::OutcomeKind::done, prefix + request.key};
  }

  void check_parameters(const ports::GatewayRequest& request) {
    auto& first = table_[request.key].first;
    if (!first) first = request;
    if (first->kind != request.kind || first->amount != request.amount ||
        first->order != request.order || first->method != request.method ||
        first->reference != request.reference || first->charge_key != request.charge_key) {
      violations.push_back(request.key);
    }
  }

  void act_on_late_ones(domain::Instant now) {
    while (!late_.empty() && late_.begin()->first <= now) {
      act(late_.begin()->second, Act::ok);
      late_.erase(late_.begin());
    }
  }

  std::map<std::pair<std::string, domain::EffectKind>, Script> scripts_;
  std::map<std::pair<domain::OrderId, domain::EffectKind>, std::size_t> turns_;
  std::map<std::string, Key> table_;
  std::multimap<domain::Instant, ports::GatewayReply> replies_;
  std::multimap<domain::Instant, ports::GatewayRequest> late_;
};

}  // namespace penstock::pipeline::testing

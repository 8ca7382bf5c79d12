#include "gateway/sandbox.h"

#include <bit>
#include <optional>

#include "domain/limits.h"

namespace penstock::gateway {
namespace {

using domain::EffectKind;
using domain::Outcome;
using domain::OutcomeKind;

constexpr const char* kMethodInvalid = "payment_method_invalid";

std::uint16_t pack_currency(std::string_view code) {
  std::uint16_t packed = 0;
  for (const char letter : code) packed = static_cast<std::uint16_t>(packed * 26 + (letter - 'A'));
  return packed;
}

/// The finaliser of SplitMix64 (Steele, Lea, Flood 2014).
std::uint64_t scrambled(std::uint64_t value) {
  value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9ULL;
  value = (value ^ (value >> 27)) * 0x94d049bb133111ebULL;
  return value ^ (value >> 31);
}

/// Uniform in [0, 1).
double as_fraction(std::uint64_t bits) {
  return static_cast<double>(bits >> 11) * 0x1p-53;
}

std::uint32_t fingerprint_of(std::string_view order_id, std::string_view other) {
  const std::uint64_t first = hash_key(order_id).low;
  const std::uint64_t second = hash_key(other).low;
  return static_cast<std::uint32_t>(scrambled(first ^ std::rotl(second, 1)));
}

std::uint32_t fingerprint_of(std::string_view order_id, KeyHash capture) {
  std::string hex;
  append_hex(capture, hex);
  return fingerprint_of(order_id, hex);
}

}  // namespace

/// A request with what is derived from it.
struct Sandbox::Request {
  const ports::GatewayRequest& from;
  std::string_view at{};
  std::string order_id{};
  KeyHash key{};
  std::optional<KeyHash> capture{};  ///< refund: of the charge to pay back
  std::uint32_t fingerprint = 0;

  bool matches(const KeyRecord& record) const {
    return record.minor_units == from.amount.minor_units && record.fingerprint == fingerprint &&
           record.currency == pack_currency(from.amount.currency.code());
  }
};

Sandbox::Sandbox(const SandboxFaults& faults) : faults_(faults), random_(scrambled(faults.seed)) {}

void Sandbox::reserve_for_ledger(std::uint64_t bytes) {
  // A line with an order's usual key is a little over 220 bytes; the table grows for shorter ones.
  constexpr std::uint64_t kUsualLineBytes = 230;
  table_.reserve(static_cast<std::size_t>(bytes / kUsualLineBytes));
}

bool Sandbox::restore(const LedgerLine& line) {
  KeyRecord record{.hash = hash_key(line.key),
                   .minor_units = line.minor_units,
                   .fingerprint = line.payment_intent
                                      ? fingerprint_of(line.order_id, *line.payment_intent)
                                      : fingerprint_of(line.order_id, line.method),
                   .currency = pack_currency(line.currency)};
  if (table_.find(record.hash) != nullptr) return false;
  switch (line.type) {
    case LineType::capture:
      record.state = KeyState::captured;
      break;
    case LineType::closed:
      record.state = KeyState::closed;
      break;
    case LineType::declined:
      record.state = KeyState::declined;
      break;
    case LineType::refund: {
      if (!line.payment_intent) return false;
      KeyRecord* capture = table_.find(*line.payment_intent);
      const bool possible = capture != nullptr && capture->state == KeyState::captured &&
                            capture->minor_units >= line.minor_units;
      if (!possible) return false;
      capture->state = KeyState::repaid;
      record.state = KeyState::refund;
      break;
    }
  }
  table_.insert(record);
  return true;
}

void Sandbox::clear_lines() {
  movements_.clear();
  keys_.clear();
}

domain::Duration Sandbox::processing_time(const ports::GatewayRequest& request) const {
  domain::Duration time = faults_.latency;
  if (request.kind == EffectKind::charge) {
    const std::optional<PaymentMethod> method = parse_payment_method(request.method);
    if (method && method->kind == MethodKind::delays) time.us += method->delay.us;
  }
  return time;
}

Outcome Sandbox::decide(const ports::GatewayRequest& from, std::string_view at) {
  Request request{.from = from, .at = at};
  if (!domain::IdempotencyTag::is_valid(from.key)) return {OutcomeKind::permanent, {}};
  request.key = hash_key(from.key);
  from.order.append_to(request.order_id);
  const std::int64_t amount = from.amount.minor_units;
  const bool is_payable = amount > 0 && amount <= domain::limits::kMaxAmountMinor;
  switch (from.kind) {
    case EffectKind::charge:
      if (!is_payable) return {OutcomeKind::permanent, {}};
      request.fingerprint = fingerprint_of(request.order_id, from.method);
      return charge(request);
    case EffectKind::refund:
      if (!is_payable) return {OutcomeKind::permanent, {}};
      return refund(request);
    case EffectKind::find_charge:
      return find(request.key);
    case EffectKind::close_charge:
      return close(request);
    default:
      return {OutcomeKind::permanent, {}};
  }
}

Outcome Sandbox::charge(const Request& request) {
  const KeyRecord* record = table_.find(request.key);
  if (record == nullptr) return charge_under_new_key(request);
  if (record->state == KeyState::closed) return {OutcomeKind::closed, {}};
  if (record->state == KeyState::refund || !request.matches(*record)) {
    return {OutcomeKind::permanent, {}};
  }
  if (record->state == KeyState::declined) return {OutcomeKind::refused, {}};
  return {OutcomeKind::done, capture_reference(request.key)};
}

Outcome Sandbox::charge_under_new_key(const Request& request) {
  const std::optional<PaymentMethod> method = parse_payment_method(request.from.method);
  // For good, and the same for each such request: the key need not be remembered.
  if (!method) return {OutcomeKind::refused, {}, domain::Trouble::none, kMethodInvalid};
  if (method->kind == MethodKind::rejects) return {OutcomeKind::permanent, {}};
  if (method->kind == MethodKind::closes) return {OutcomeKind::closed, {}};
  if (method->kind == MethodKind::is_busy) {
    return {OutcomeKind::unavailable, {}, domain::Trouble::overloaded, "pm_busy"};
  }
  if (draw(faults_.fail)) return {OutcomeKind::transient, {}};
  if (method->kind == MethodKind::fails_at_first && method->failures > 0) {
    const bool counted = failures_.contains(request.from.order);
    if (!counted && failures_.size() >= kMaxCountedOrders) return {OutcomeKind::unavailable, {}};
    if (fails_at_first(request.from.order, method->failures)) return {OutcomeKind::transient, {}};
  }
  // By the key, not by a draw: the answer does not depend on what came before.
  const double lot = as_fraction(scrambled(request.key.low ^ faults_.seed));
  if (method->kind == MethodKind::declines || lot < faults_.decline) {
    remember(request, KeyState::declined);
    append_line({.type = LineType::declined,
                 .order_id = request.order_id,
                 .key = request.from.key,
                 .minor_units = request.from.amount.minor_units,
                 .currency = request.from.amount.currency.code(),
                 .at = request.at,
                 .method = request.from.method},
                keys_);
    return {OutcomeKind::refused, {}};
  }
  return capture(request, *method);
}

Outcome Sandbox::capture(const Request& request, const PaymentMethod& method) {
  remember(request, KeyState::captured);
  append_line({.type = LineType::capture,
               .order_id = request.order_id,
               .key = request.from.key,
               .minor_units = request.from.amount.minor_units,
               .currency = request.from.amount.currency.code(),
               .at = request.at,
               .method = request.from.method},
              movements_);
  const bool is_lost = method.kind == MethodKind::drops_the_reply || draw(faults_.drop_reply);
  if (is_lost) return {OutcomeKind::unknown, {}};
  return {OutcomeKind::done, capture_reference(request.key)};
}

Outcome Sandbox::refund(const Request& given) {
  Request request = given;
  const ports::GatewayRequest& from = request.from;
  request.capture =
      from.reference.empty() ? hash_key(from.charge_key) : parse_capture_reference(from.reference);
  const bool agrees = from.reference.empty() || from.charge_key.empty() ||
                      request.capture == hash_key(from.charge_key);
  if (!request.capture || !agrees) return {OutcomeKind::permanent, {}};
  request.fingerprint = fingerprint_of(request.order_id, *request.capture);
  if (const KeyRecord* record = table_.find(request.key); record != nullptr) {
    if (record->state != KeyState::refund || !request.matches(*record)) {
      return {OutcomeKind::permanent, {}};
    }
    return {OutcomeKind::done, refund_reference(request.key)};
  }
  KeyRecord* captured = table_.find(*request.capture);
  const bool is_owed = captured != nullptr && captured->state == KeyState::captured &&
                       from.amount.minor_units <= captured->minor_units &&
                       captured->currency == pack_currency(from.amount.currency.code());
  if (!is_owed) return {OutcomeKind::refused, {}};
  if (draw(faults_.fail)) return {OutcomeKind::transient, {}};
  captured->state = KeyState::repaid;
  remember(request, KeyState::refund);
  append_line({.type = LineType::refund,
               .order_id = request.order_id,
               .key = from.key,
               .minor_units = from.amount.minor_units,
               .currency = from.amount.currency.code(),
               .at = request.at,
               .payment_intent = request.capture},
              movements_);
  if (draw(faults_.drop_reply)) return {OutcomeKind::unknown, {}};
  return {OutcomeKind::done, refund_reference(request.key)};
}

Outcome Sandbox::find(KeyHash hash) {
  const KeyRecord* record = table_.find(hash);
  const KeyState state = record == nullptr ? KeyState::absent : record->state;
  switch (state) {
    case KeyState::closed:
      return {OutcomeKind::closed, {}};
    case KeyState::declined:
      return {OutcomeKind::refused, {}};
    case KeyState::captured:
    case KeyState::repaid:
      return {OutcomeKind::done, capture_reference(hash)};
    case KeyState::absent:
    case KeyState::refund:
      break;
  }
  return {OutcomeKind::not_found, {}};
}

Outcome Sandbox::close(const Request& request) {
  const KeyRecord* record = table_.find(request.key);
  if (record != nullptr) {
    switch (record->state) {
      case KeyState::captured:
      case KeyState::repaid:
        return {OutcomeKind::done, capture_reference(request.key)};
      case KeyState::refund:
        return {OutcomeKind::permanent, {}};
      case KeyState::absent:
      case KeyState::closed:
      case KeyState::declined:  // declined for good: no charge under it acts any more either
        return {OutcomeKind::closed, {}};
    }
  }
  remember(request, KeyState::closed);
  append_line({.type = LineType::closed,
               .order_id = request.order_id,
               .key = request.from.key,
               .minor_units = request.from.amount.minor_units,
               .currency = request.from.amount.currency.code(),
               .at = request.at},
              keys_);
  return {OutcomeKind::closed, {}};
}

bool Sandbox::fails_at_first(const domain::OrderId& order, std::uint32_t failures) {
  std::uint32_t& failed = failures_[order];
  if (failed < failures) {
    ++failed;
    return true;
  }
  failures_.erase(order);
  return false;
}

void Sandbox::remember(const Request& request, KeyState state) {
  table_.insert({.hash = request.key,
                 .minor_units = request.from.amount.minor_units,
                 .fingerprint = request.fingerprint,
                 .currency = pack_currency(request.from.amount.currency.code()),
                 .state = state});
}

bool Sandbox::draw(double share) {
  if (share <= 0) return false;
  random_ += 0x9e3779b97f4a7c15ULL;
  return as_fraction(scrambled(random_)) < share;
}

}  // namespace penstock::gateway

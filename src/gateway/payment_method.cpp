#include "gateway/payment_method.h"

#include <charconv>
#include <system_error>

namespace penstock::gateway {
namespace {

std::optional<std::uint32_t> parse_number(std::string_view digits) {
  std::uint32_t value = 0;
  const char* end = digits.data() + digits.size();
  const auto [stopped, error] = std::from_chars(digits.data(), end, value);
  if (error != std::errc{} || stopped != end) return std::nullopt;
  return value;
}

}  // namespace

std::optional<PaymentMethod> parse_payment_method(std::string_view token) {
  constexpr std::string_view kFail = "pm_fail_";
  constexpr std::string_view kDelay = "pm_delay_";
  if (token == "pm_ok") return PaymentMethod{};
  if (token == "pm_decline") return PaymentMethod{.kind = MethodKind::declines};
  if (token == "pm_drop_reply") return PaymentMethod{.kind = MethodKind::drops_the_reply};
  if (token == "pm_reject") return PaymentMethod{.kind = MethodKind::rejects};
  if (token == "pm_closed") return PaymentMethod{.kind = MethodKind::closes};
  if (token == "pm_busy") return PaymentMethod{.kind = MethodKind::is_busy};
  if (token.starts_with(kFail)) {
    const auto failures = parse_number(token.substr(kFail.size()));
    if (!failures || *failures > PaymentMethod::kMaxFailures) return std::nullopt;
    return PaymentMethod{.kind = MethodKind::fails_at_first, .failures = *failures};
  }
  if (token.starts_with(kDelay)) {
    const auto delay_ms = parse_number(token.substr(kDelay.size()));
    if (!delay_ms || domain::Duration::milliseconds(*delay_ms) > PaymentMethod::kMaxDelay) {
      return std::nullopt;
    }
    return PaymentMethod{.kind = MethodKind::delays,
                         .delay = domain::Duration::milliseconds(*delay_ms)};
  }
  return std::nullopt;
}

}  // namespace penstock::gateway

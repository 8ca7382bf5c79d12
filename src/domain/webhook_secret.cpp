#include "domain/webhook_secret.h"

#include <algorithm>
#include <cstddef>

namespace penstock::domain {
namespace {

constexpr std::string_view kPrefix = "whsec_";

bool is_base64_digit(char digit) {
  return (digit >= 'A' && digit <= 'Z') || (digit >= 'a' && digit <= 'z') ||
         (digit >= '0' && digit <= '9') || digit == '+' || digit == '/';
}

/// The bits of the last digit that stand for no byte are zero, or strict libraries read no key.
bool ends_in_zeros(std::string_view digits, std::size_t padding) {
  constexpr std::string_view kLastOfTwo = "AEIMQUYcgkosw048";
  constexpr std::string_view kLastOfOne = "AQgw";
  if (padding == 0) return true;
  return (padding == 1 ? kLastOfTwo : kLastOfOne).contains(digits.back());
}

bool is_key(std::string_view text) {
  if (text.empty() || text.size() % 4 != 0) return false;
  const std::size_t padding = text.ends_with("==") ? 2 : text.ends_with('=') ? 1 : 0;
  const std::size_t bytes = text.size() / 4 * 3 - padding;
  if (bytes < kLeastWebhookKeyBytes || bytes > kMostWebhookKeyBytes) return false;
  const std::string_view digits = text.substr(0, text.size() - padding);
  return std::ranges::all_of(digits, is_base64_digit) && ends_in_zeros(digits, padding);
}

bool is_one_secret(std::string_view text) {
  return text.starts_with(kPrefix) && is_key(text.substr(kPrefix.size()));
}

}  // namespace

bool is_webhook_secret(std::string_view text) {
  const std::size_t space = text.find(' ');
  if (space == std::string_view::npos) return is_one_secret(text);
  return is_one_secret(text.substr(0, space)) && is_one_secret(text.substr(space + 1));
}

}  // namespace penstock::domain

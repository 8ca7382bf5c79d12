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

bool is_padded_base64(std::string_view text) {
  if (text.empty() || text.size() % 4 != 0) return false;
  const std::size_t padding = text.ends_with("==") ? 2 : text.ends_with('=') ? 1 : 0;
  return std::ranges::all_of(text.substr(0, text.size() - padding), is_base64_digit);
}

bool is_one_secret(std::string_view text) {
  return text.starts_with(kPrefix) && is_padded_base64(text.substr(kPrefix.size()));
}

}  // namespace

bool is_webhook_secret(std::string_view text) {
  const std::size_t space = text.find(' ');
  if (space == std::string_view::npos) return is_one_secret(text);
  return is_one_secret(text.substr(0, space)) && is_one_secret(text.substr(space + 1));
}

}  // namespace penstock::domain

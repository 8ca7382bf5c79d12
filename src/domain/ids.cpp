#include "domain/ids.h"

#include <algorithm>
#include <cstddef>

#include "domain/limits.h"

namespace penstock::domain {
namespace {

constexpr std::string_view kHexDigits = "0123456789abcdef";
constexpr std::uint8_t kNoHexDigit = 0xff;
constexpr std::int64_t kMaxCreatedMs = (std::int64_t{1} << 48) - 1;

/// Byte -> two characters, and character -> nibble.
constexpr std::array<std::array<char, 2>, 256> kHexPairs = [] {
  std::array<std::array<char, 2>, 256> pairs{};
  for (std::size_t i = 0; i < pairs.size(); ++i) {
    pairs[i] = {kHexDigits[i >> 4], kHexDigits[i & 0xf]};
  }
  return pairs;
}();

constexpr std::array<std::uint8_t, 256> kNibbles = [] {
  std::array<std::uint8_t, 256> nibbles{};
  nibbles.fill(kNoHexDigit);
  for (std::uint8_t i = 0; i < 10; ++i) nibbles[static_cast<std::size_t>('0') + i] = i;
  for (std::uint8_t i = 10; i < 16; ++i) {
    nibbles[static_cast<std::size_t>('a') + i - 10] = i;
    nibbles[static_cast<std::size_t>('A') + i - 10] = i;
  }
  return nibbles;
}();

constexpr bool is_alphanumeric(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

/// The characters of a name.
constexpr std::array<bool, 256> kNameCharacters = [] {
  std::array<bool, 256> allowed{};
  for (std::size_t code = 0; code < allowed.size(); ++code) {
    const char c = static_cast<char>(code);
    allowed[code] = is_alphanumeric(c) || c == '.' || c == '_' || c == ':' || c == '-';
  }
  return allowed;
}();

bool is_bounded(std::string_view text, std::size_t maximum) {
  return !text.empty() && text.size() <= maximum;
}

/// True where a dash stands before this byte: 8-4-4-4-12 characters.
constexpr bool has_dash_before(std::size_t byte) {
  return byte == 4 || byte == 6 || byte == 8 || byte == 10;
}

std::array<char, OrderId::kTextSize> text_of(const OrderId::Bytes& bytes) {
  std::array<char, OrderId::kTextSize> text{};
  char* at = text.data();
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    if (has_dash_before(i)) *at++ = '-';
    at = std::ranges::copy(kHexPairs[bytes[i]], at).out;
  }
  return text;
}

}  // namespace

bool is_valid_name(std::string_view text) {
  return is_bounded(text, limits::kMaxNameBytes) && std::ranges::all_of(text, [](char c) {
           return kNameCharacters[static_cast<unsigned char>(c)];
         });
}

bool CorrelationTag::is_valid(std::string_view text) {
  return is_bounded(text, limits::kMaxNameBytes) && std::ranges::all_of(text, [](char c) {
           return is_alphanumeric(c) || c == '.' || c == '_' || c == '-';
         });
}

bool IdempotencyTag::is_valid(std::string_view text) {
  return is_bounded(text, limits::kMaxIdempotencyKeyBytes) &&
         std::ranges::all_of(text, [](char c) { return c >= ' ' && c <= '~'; });
}

OrderId OrderId::make(Instant created, std::uint64_t random_high, std::uint64_t random_low) {
  // RFC 9562, 5.7: unix_ts_ms 48 | version 4 | rand_a 12 || variant 2 | rand_b 62, big-endian.
  const auto ms =
      static_cast<std::uint64_t>(std::clamp<std::int64_t>(created.us / 1000, 0, kMaxCreatedMs));
  const std::uint64_t high = (ms << 16) | 0x7000 | (random_high & 0x0fff);
  const std::uint64_t low = 0x8000'0000'0000'0000 | (random_low & 0x3fff'ffff'ffff'ffff);
  Bytes bytes{};
  for (std::size_t i = 0; i < 8; ++i) {
    bytes[i] = static_cast<std::uint8_t>(high >> (56 - 8 * i));
    bytes[8 + i] = static_cast<std::uint8_t>(low >> (56 - 8 * i));
  }
  return OrderId(bytes);
}

std::optional<OrderId> OrderId::parse(std::string_view text) {
  if (text.size() != kTextSize) return std::nullopt;
  Bytes bytes{};
  std::size_t at = 0;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    if (has_dash_before(i) && text[at++] != '-') return std::nullopt;
    const std::uint8_t left = kNibbles[static_cast<unsigned char>(text[at])];
    const std::uint8_t right = kNibbles[static_cast<unsigned char>(text[at + 1])];
    if (left == kNoHexDigit || right == kNoHexDigit) return std::nullopt;
    bytes[i] = static_cast<std::uint8_t>(left << 4 | right);
    at += 2;
  }
  const bool is_version_7 = bytes[6] >> 4 == 7;
  const bool is_variant_10 = bytes[8] >> 6 == 2;
  if (!is_version_7 || !is_variant_10) return std::nullopt;
  return OrderId(bytes);
}

std::string OrderId::str() const {
  std::string text;
  append_to(text);
  return text;
}

void OrderId::append_to(std::string& out) const {
  const std::array<char, kTextSize> text = text_of(bytes_);
  out.append(text.data(), text.size());
}

bool OrderId::names(std::string_view text) const {
  const std::array<char, kTextSize> own = text_of(bytes_);
  return text.starts_with(std::string_view(own.data(), own.size()));
}

Instant OrderId::created() const {
  std::int64_t ms = 0;
  for (std::size_t i = 0; i < 6; ++i) ms = ms << 8 | bytes_[i];
  return {ms * 1000};
}

}  // namespace penstock::domain

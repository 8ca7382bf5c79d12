#include "gateway/key_hash.h"

#include <bit>
#include <cstddef>
#include <cstring>

namespace penstock::gateway {
namespace {

constexpr std::uint64_t kFirst = 0x87c37b91114253d5ULL;
constexpr std::uint64_t kSecond = 0x4cf5ad432745937fULL;
constexpr std::size_t kBlock = 16;
constexpr std::size_t kHexDigits = 32;
constexpr std::string_view kCapturePrefix = "pi_";
constexpr std::string_view kRefundPrefix = "re_";

static_assert(std::endian::native == std::endian::little, "the hash reads little-endian words");

std::uint64_t finished(std::uint64_t value) {
  value ^= value >> 33;
  value *= 0xff51afd7ed558ccdULL;
  value ^= value >> 33;
  value *= 0xc4ceb9fe1a85ec53ULL;
  value ^= value >> 33;
  return value;
}

std::uint64_t mixed_first(std::uint64_t word) {
  return std::rotl(word * kFirst, 31) * kSecond;
}
std::uint64_t mixed_second(std::uint64_t word) {
  return std::rotl(word * kSecond, 33) * kFirst;
}

std::string reference(std::string_view prefix, KeyHash hash) {
  std::string out;
  out.reserve(prefix.size() + kHexDigits);
  out += prefix;
  append_hex(hash, out);
  return out;
}

std::optional<std::uint64_t> parse_word(std::string_view digits) {
  std::uint64_t word = 0;
  for (const char digit : digits) {
    const bool decimal = digit >= '0' && digit <= '9';
    if (!decimal && (digit < 'a' || digit > 'f')) return std::nullopt;
    word = word << 4 | static_cast<std::uint64_t>(decimal ? digit - '0' : digit - 'a' + 10);
  }
  return word;
}

void append_word(std::uint64_t word, std::string& out) {
  char digits[16];
  for (int i = 15; i >= 0; --i, word >>= 4) digits[i] = "0123456789abcdef"[word & 15];
  out.append(digits, sizeof digits);
}

}  // namespace

KeyHash hash_key(std::string_view text) {
  std::uint64_t first = 0;
  std::uint64_t second = 0;
  std::string_view rest = text;
  for (; rest.size() >= kBlock; rest.remove_prefix(kBlock)) {
    std::uint64_t words[2];
    std::memcpy(words, rest.data(), sizeof words);
    first ^= mixed_first(words[0]);
    first = (std::rotl(first, 27) + second) * 5 + 0x52dce729;
    second ^= mixed_second(words[1]);
    second = (std::rotl(second, 31) + first) * 5 + 0x38495ab5;
  }
  std::uint64_t tail[2] = {0, 0};
  if (!rest.empty()) std::memcpy(tail, rest.data(), rest.size());
  // An absent half mixes to zero, so the short tails need no case of their own.
  second ^= mixed_second(tail[1]);
  first ^= mixed_first(tail[0]);
  first ^= text.size();
  second ^= text.size();
  first += second;
  second += first;
  first = finished(first);
  second = finished(second);
  first += second;
  second += first;
  return {first, second};
}

void append_hex(KeyHash hash, std::string& out) {
  append_word(hash.high, out);
  append_word(hash.low, out);
}

std::optional<KeyHash> parse_hex(std::string_view text) {
  if (text.size() != kHexDigits) return std::nullopt;
  const std::optional<std::uint64_t> high = parse_word(text.substr(0, kHexDigits / 2));
  const std::optional<std::uint64_t> low = parse_word(text.substr(kHexDigits / 2));
  if (!high || !low) return std::nullopt;
  return KeyHash{*high, *low};
}

std::string capture_reference(KeyHash charge_key) {
  return reference(kCapturePrefix, charge_key);
}

std::string refund_reference(KeyHash refund_key) {
  return reference(kRefundPrefix, refund_key);
}

std::optional<KeyHash> parse_capture_reference(std::string_view text) {
  if (!text.starts_with(kCapturePrefix)) return std::nullopt;
  return parse_hex(text.substr(kCapturePrefix.size()));
}

}  // namespace penstock::gateway

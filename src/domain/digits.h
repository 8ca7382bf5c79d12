#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace penstock::domain {

/// Writes `value` in decimal, zero-filled to `width` characters, at `out[0..width)`. `value` must
/// fit, else the digits on the left are lost.
constexpr void write_digits(char* out, std::uint64_t value, std::size_t width) {
  for (std::size_t i = width; i > 0; --i) {
    out[i - 1] = static_cast<char>('0' + value % 10);
    value /= 10;
  }
}

/// The value of a run of decimal digits at `text[0..width)`, or -1 if one of them is no digit.
/// `width` <= 18.
constexpr std::int64_t read_digits(const char* text, std::size_t width) {
  std::int64_t value = 0;
  for (std::size_t i = 0; i < width; ++i) {
    if (text[i] < '0' || text[i] > '9') return -1;
    value = value * 10 + (text[i] - '0');
  }
  return value;
}

/// 10^0 .. 10^18.
inline constexpr std::array<std::int64_t, 19> kPowersOfTen = [] {
  std::array<std::int64_t, 19> powers{};
  std::int64_t power = 1;
  for (std::size_t i = 0; i < powers.size(); ++i) {
    powers[i] = power;
    if (i + 1 < powers.size()) power *= 10;
  }
  return powers;
}();

}  // namespace penstock::domain

#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "domain/int128.h"

namespace penstock::checker {

/// A 64-bit digest of a sequence of numbers and texts, so that big values can be compared after
/// they are gone. Two that differ are taken for equal with a chance of 2^-64; no protection against
/// somebody who looks for such a pair. (Multiply and fold, as wyhash does.)
class Digest {
 public:
  Digest& add(std::uint64_t number) {
    state_ = fold(state_ ^ number, 0x9e3779b97f4a7c15ULL);
    return *this;
  }

  Digest& add(std::string_view text) {
    add(text.size());
    for (; text.size() >= sizeof(std::uint64_t); text.remove_prefix(sizeof(std::uint64_t))) {
      add(bytes_of<std::uint64_t>(text.data()));
    }
    return text.empty() ? *this : add(rest(text));
  }

  /// Never 0, which stands for "not known".
  std::uint64_t value() const {
    std::uint64_t const value = fold(state_, 0xd6e8feb86659fd93ULL);
    return value == 0 ? 1 : value;
  }

 private:
  template <typename Word>
  static std::uint64_t bytes_of(const char* text) {
    Word word = 0;
    std::memcpy(&word, text, sizeof word);
    return word;
  }
  /// One to seven bytes, each in it once or twice: of one length no two give the same number.
  static std::uint64_t rest(std::string_view text) {
    std::size_t const size = text.size();
    const char* const data = text.data();
    if (size >= 4) {
      return bytes_of<std::uint32_t>(data) | bytes_of<std::uint32_t>(data + size - 4) << 32;
    }
    return bytes_of<std::uint8_t>(data) | bytes_of<std::uint8_t>(data + size / 2) << 8 |
           bytes_of<std::uint8_t>(data + size - 1) << 16;
  }
  static std::uint64_t fold(std::uint64_t left, std::uint64_t right) {
    auto const product = static_cast<domain::UnsignedInt128>(left) * right;
    return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64) ^
           std::rotl(left, 29);
  }

  std::uint64_t state_ = 0x243f6a8885a308d3ULL;
};

}  // namespace penstock::checker

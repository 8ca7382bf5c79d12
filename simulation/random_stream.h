#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "domain/check.h"
#include "domain/instant.h"
#include "domain/int128.h"
#include "ports/random.h"

namespace penstock::simulation {

/// The finaliser of splitmix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number
/// generators"): spreads every input bit over the whole result.
constexpr std::uint64_t mixed(std::uint64_t value) {
  value += 0x9e3779b97f4a7c15ULL;
  value = (value ^ (value >> 30U)) * 0xbf58476d1ce4e5b9ULL;
  value = (value ^ (value >> 27U)) * 0x94d049bb133111ebULL;
  return value ^ (value >> 31U);
}

/// Reproducible random bits, xoshiro256** 1.0 (Blackman, Vigna). Streams of one seed are
/// independent by name: a part that draws more does not move what another part draws. One thread.
class RandomStream final : public ports::Random {
 public:
  RandomStream(std::uint64_t seed, std::string_view name) {
    std::uint64_t word = mixed(seed);
    for (const char letter : name) word = mixed(word ^ static_cast<unsigned char>(letter));
    for (std::uint64_t& part : state_) part = word = mixed(word);
  }

  std::uint64_t next() override {
    const std::uint64_t result = std::rotl(state_[1] * 5, 7) * 9;
    const std::uint64_t shifted = state_[1] << 17U;
    state_[2] ^= state_[0];
    state_[3] ^= state_[1];
    state_[1] ^= state_[2];
    state_[0] ^= state_[3];
    state_[2] ^= shifted;
    state_[3] = std::rotl(state_[3], 45);
    return result;
  }

  /// Uniform in 0..bound-1; `bound` > 0. Its bias is below bound / 2^64.
  std::uint64_t below(std::uint64_t bound) {
    PENSTOCK_CHECK(bound > 0, "something to draw from");
    return static_cast<std::uint64_t>((domain::UnsignedInt128{next()} * bound) >> 64U);
  }

  /// Uniform in low..high, both ends included.
  std::int64_t between(std::int64_t low, std::int64_t high) {
    PENSTOCK_CHECK(low <= high, "something to draw from");
    return low + static_cast<std::int64_t>(below(static_cast<std::uint64_t>(high - low) + 1));
  }

  domain::Duration between(domain::Duration low, domain::Duration high) {
    return {between(low.us, high.us)};
  }

  /// True with this probability, 0..1. Draws nothing where the answer is certain.
  bool chance(double probability) {
    if (probability <= 0) return false;
    if (probability >= 1) return true;
    return static_cast<double>(next() >> 11U) * 0x1p-53 < probability;
  }

  template <typename List>
  auto& pick(List& list) {
    return list[static_cast<std::size_t>(below(list.size()))];
  }

 private:
  std::array<std::uint64_t, 4> state_{};
};

}  // namespace penstock::simulation

#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "domain/check.h"

/// What every fuzzer stands on. A fuzzer is one file with LLVMFuzzerTestOneInput; a property that
/// does not hold stops the process by FUZZ_CHECK, so that libFuzzer and replay_main.cpp both keep
/// the input.
#define FUZZ_CHECK(condition, message) PENSTOCK_CHECK(condition, message)

namespace penstock::fuzz {

/// Values drawn one after another from a fuzzer's bytes; past their end all of them are zero or
/// empty, so that every input is a whole one. Borrows the bytes.
class FuzzInput {
 public:
  FuzzInput(const std::uint8_t* data, std::size_t size)
      : rest_(reinterpret_cast<const char*>(data), size) {}

  bool empty() const { return rest_.empty(); }
  std::uint8_t byte() {
    if (rest_.empty()) return 0;
    const auto value = static_cast<std::uint8_t>(rest_.front());
    rest_.remove_prefix(1);
    return value;
  }
  bool flag() { return (byte() & 1U) != 0; }
  /// 0..bound-1; bound > 0.
  std::uint64_t below(std::uint64_t bound) { return bits(bound <= 256 ? 1 : 8) % bound; }
  /// Any 64 bits, small ones more often than not.
  std::uint64_t number() { return bits(byte() % 9); }
  std::int64_t integer() { return static_cast<std::int64_t>(number()); }
  /// At most `maximum` bytes, which must be below 65 536.
  std::string_view text(std::size_t maximum) {
    const std::size_t wanted = bits(maximum < 256 ? 1 : 2) % (maximum + 1);
    const std::string_view taken = rest_.substr(0, std::min(wanted, rest_.size()));
    rest_.remove_prefix(taken.size());
    return taken;
  }
  std::string_view rest() const { return rest_; }

 private:
  std::uint64_t bits(std::size_t bytes) {
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < bytes; ++i) value = value << 8 | byte();
    return value;
  }

  std::string_view rest_;
};

/// Choices that follow from the input alone without costing bytes of it: SplitMix64 (Steele, Lea,
/// Flood 2014) from an FNV-1a hash of the input.
class DerivedChoice {
 public:
  explicit DerivedChoice(std::string_view seed) {
    for (const char c : seed) state_ = (state_ ^ static_cast<unsigned char>(c)) * 0x100000001b3U;
  }
  std::uint64_t next() {
    state_ += 0x9e3779b97f4a7c15U;
    std::uint64_t mixed = state_;
    mixed = (mixed ^ (mixed >> 30U)) * 0xbf58476d1ce4e5b9U;
    mixed = (mixed ^ (mixed >> 27U)) * 0x94d049bb133111ebU;
    return mixed ^ (mixed >> 31U);
  }
  /// 0..bound-1; bound > 0.
  std::uint64_t below(std::uint64_t bound) { return next() % bound; }

 private:
  std::uint64_t state_ = 0xcbf29ce484222325U;
};

}  // namespace penstock::fuzz

/// What libFuzzer and replay_main.cpp call: checks every property of one input. Always 0.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "domain/int128.h"
#include "simulation/timeline.h"

namespace penstock::simulation {

/// A 64-bit digest of a sequence of texts, eight bytes a multiplication (the folded 128-bit product
/// of wyhash). Against mistakes, not against malice.
class Digest {
 public:
  void add(std::string_view text) {
    const char* bytes = text.data();
    std::size_t left = text.size();
    fold(left);
    for (; left >= 8; bytes += 8, left -= 8) fold(word(bytes, 8));
    if (left > 0) fold(word(bytes, left));
  }
  void add(std::uint64_t number) { fold(number); }
  std::uint64_t value() const { return state_; }

 private:
  static std::uint64_t word(const char* bytes, std::size_t size) {
    std::uint64_t result = 0;
    std::memcpy(&result, bytes, size);
    return result;
  }
  void fold(std::uint64_t input) {
    const auto product =
        domain::UnsignedInt128{state_ ^ 0xa0761d6478bd642fULL} * (input ^ 0xe7037ed1a0b428dbULL);
    state_ = static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64U) ^
             (state_ << 1U);
  }

  std::uint64_t state_ = 0x2545f4914f6cdd1dULL;
};

/// Everything that happens in a world, one line an event, in order: all of it goes into the digest,
/// the last kKept lines are there for the report of a failure. Same seed, same lines. One thread.
class Trace {
 public:
  static constexpr std::size_t kKept = 64;

  /// `copy` (may be null) gets every line; it outlives the trace.
  explicit Trace(const Timeline& timeline, std::FILE* copy = nullptr)
      : timeline_(timeline), copy_(copy) {}

  template <typename... Args>
  void note(fmt::format_string<Args...> form, Args&&... args) {
    line_.clear();
    append_time();
    fmt::format_to(fmt::appender(line_), form, std::forward<Args>(args)...);
    const std::string_view line(line_.data(), line_.size());
    digest_.add(line);
    kept_[lines_ % kKept].assign(line);
    lines_ += 1;
    if (copy_ != nullptr) fmt::print(copy_, "{}\n", line);
  }

  std::uint64_t lines() const { return lines_; }
  std::uint64_t digest() const { return digest_.value(); }

  /// The last lines, oldest first. Each begins with the microseconds since the world began.
  std::vector<std::string> last_lines() const {
    std::vector<std::string> result;
    const std::uint64_t first = lines_ > kKept ? lines_ - kKept : 0;
    for (std::uint64_t line = first; line < lines_; ++line) result.push_back(kept_[line % kKept]);
    return result;
  }

 private:
  /// The microseconds since the world began, right in twelve columns, and a space.
  void append_time() {
    constexpr std::size_t kColumns = 12;
    const fmt::format_int digits(timeline_.elapsed().us);
    for (std::size_t column = digits.size(); column < kColumns; ++column) line_.push_back(' ');
    line_.append(digits.data(), digits.data() + digits.size());
    line_.push_back(' ');
  }

  const Timeline& timeline_;
  std::FILE* copy_;
  Digest digest_;
  std::uint64_t lines_ = 0;
  fmt::memory_buffer line_;  ///< the one in hand
  std::array<std::string, kKept> kept_;
};

}  // namespace penstock::simulation

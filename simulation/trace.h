#pragma once

#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include <fmt/core.h>

#include "domain/ids.h"
#include "domain/int128.h"
#include "simulation/timeline.h"

namespace penstock::simulation {

/// A 64-bit digest of a sequence of texts, eight bytes a multiplication (the folded 128-bit product
/// of wyhash). Against mistakes, not against malice.
class Digest {
 public:
  void add(std::string_view text) {
    fold(text.size());
    for (; text.size() >= sizeof(std::uint64_t); text.remove_prefix(sizeof(std::uint64_t))) {
      fold(word<std::uint64_t>(text.data()));
    }
    if (!text.empty()) fold(rest(text));
  }
  void add(std::uint64_t number) { fold(number); }
  std::uint64_t value() const { return state_; }

 private:
  template <typename Word>
  static std::uint64_t word(const char* bytes) {
    Word result = 0;
    std::memcpy(&result, bytes, sizeof result);
    return result;
  }
  /// One to seven bytes, each in it once or twice: of one length no two give the same number.
  static std::uint64_t rest(std::string_view text) {
    const std::size_t size = text.size();
    const char* const data = text.data();
    if (size >= 4) {
      return word<std::uint32_t>(data) | word<std::uint32_t>(data + size - 4) << 32U;
    }
    return word<std::uint8_t>(data) | word<std::uint8_t>(data + size / 2) << 8U |
           word<std::uint8_t>(data + size - 1) << 16U;
  }
  void fold(std::uint64_t input) {
    const auto product =
        domain::UnsignedInt128{state_ ^ 0xa0761d6478bd642fULL} * (input ^ 0xe7037ed1a0b428dbULL);
    state_ = static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64U) ^
             (state_ << 1U);
  }

  std::uint64_t state_ = 0x2545f4914f6cdd1dULL;
};

/// A line of a trace as it was noted: its form and the values that belong in it. It is written out
/// only if somebody asks for it, which is seldom.
class TraceLine {
 public:
  static constexpr std::size_t kMostValues = 6;

  /// How a value is written: numbers in decimal, ids in their usual form, nothing for no id.
  template <typename Value>
  using Shown = std::conditional_t<
      std::integral<Value>,
      std::conditional_t<std::signed_integral<Value>, std::int64_t, std::uint64_t>, std::string>;

  /// Begins anew; `form` is a literal.
  void begin(std::string_view form, domain::Duration elapsed) {
    form_ = form;
    elapsed_ = elapsed;
    values_ = 0;
    text_.clear();
  }
  void add(std::integral auto number) {
    const auto kind = std::signed_integral<decltype(number)> ? Kind::whole : Kind::natural;
    value_[values_++] = {kind, static_cast<std::uint64_t>(number)};
  }
  void add(std::string_view text) { add(Kind::text, text); }
  void add(const domain::OrderId& order) { add(Kind::order, order.view()); }
  void add(const std::optional<domain::OrderId>& order) {
    order ? add(*order) : add(std::string_view{});
  }

  void add_to(Digest& digest) const {
    digest.add(form_);
    digest.add(static_cast<std::uint64_t>(elapsed_.us));
    for (std::size_t index = 0; index < values_; ++index) digest.add(value_[index].number);
    digest.add(text_);
  }

  /// The microseconds since the world began, right in twelve columns, a space, and the line.
  std::string str() const;

 private:
  enum class Kind : std::uint8_t { whole, natural, text, order };
  struct Value {
    Kind kind = Kind::whole;
    std::uint64_t number = 0;  ///< itself, or the bytes that it takes of `text_`
  };

  void add(Kind kind, std::string_view bytes) {
    value_[values_++] = {kind, bytes.size()};
    text_.append(bytes);
  }

  std::string_view form_;
  domain::Duration elapsed_;
  std::size_t values_ = 0;
  std::array<Value, kMostValues> value_{};
  std::string text_;  ///< of all values that are text
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
  void note(fmt::format_string<TraceLine::Shown<Args>...> form, const Args&... args) {
    static_assert(sizeof...(Args) <= TraceLine::kMostValues);
    TraceLine& line = kept_[lines_ % kKept];
    const fmt::string_view text = form;
    line.begin({text.data(), text.size()}, timeline_.elapsed());
    (line.add(args), ...);
    line.add_to(digest_);
    lines_ += 1;
    if (copy_ != nullptr) print(line);
  }

  std::uint64_t lines() const { return lines_; }
  std::uint64_t digest() const { return digest_.value(); }

  /// The last lines, oldest first. Each begins with the microseconds since the world began.
  std::vector<std::string> last_lines() const;

 private:
  void print(const TraceLine& line) const;

  const Timeline& timeline_;
  std::FILE* copy_;
  Digest digest_;
  std::uint64_t lines_ = 0;
  std::array<TraceLine, kKept> kept_;
};

}  // namespace penstock::simulation

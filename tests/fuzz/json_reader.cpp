#include "tests/fuzz/json_reader.h"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <set>
#include <string>

namespace penstock::fuzz {
namespace {

/// A code point off the front of well-formed UTF-8 (RFC 3629); nothing for any other bytes.
std::optional<std::uint32_t> take_code_point(std::string_view& text) {
  const auto lead = static_cast<unsigned char>(text.front());
  const std::size_t size = lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
  if ((lead >= 0x80 && lead < 0xc0) || lead >= 0xf8 || text.size() < size) return std::nullopt;
  std::uint32_t value = size == 1 ? lead : lead & (0x7fU >> size);
  for (std::size_t i = 1; i < size; ++i) {
    const auto next = static_cast<unsigned char>(text[i]);
    if ((next & 0xc0U) != 0x80U) return std::nullopt;
    value = value << 6U | (next & 0x3fU);
  }
  constexpr std::uint32_t kLeast[] = {0, 0, 0x80, 0x800, 0x10000};
  if (value < kLeast[size] || value > 0x10ffff) return std::nullopt;
  if (value >= 0xd800 && value <= 0xdfff) return std::nullopt;
  text.remove_prefix(size);
  return value;
}

class Judge {
 public:
  Judge(std::string_view text, std::size_t max_depth) : rest_(text), depth_left_(max_depth) {}

  bool document() {
    space();
    if (!value()) return false;
    space();
    return rest_.empty();
  }
  bool large_exponent() const { return large_exponent_; }

 private:
  bool take(char wanted) {
    if (!rest_.starts_with(wanted)) return false;
    rest_.remove_prefix(1);
    return true;
  }

  void space() {
    while (!rest_.empty() && std::string_view(" \t\r\n").contains(rest_.front())) {
      rest_.remove_prefix(1);
    }
  }

  bool word(std::string_view wanted) {
    if (!rest_.starts_with(wanted)) return false;
    rest_.remove_prefix(wanted.size());
    return true;
  }

  bool value() {
    if (rest_.starts_with('{')) return container('}', [this] { return member(); });
    if (rest_.starts_with('[')) return container(']', [this] { return value(); });
    if (rest_.starts_with('"')) return string().has_value();
    return word("true") || word("false") || word("null") || number();
  }

  template <typename Element>
  bool container(char end, Element element) {
    if (depth_left_ == 0) return false;
    --depth_left_;
    std::set<std::string> names;
    names.swap(names_);
    rest_.remove_prefix(1);
    space();
    bool good = take(end);
    while (!good) {
      space();
      if (!element()) return false;
      space();
      good = take(end);
      if (!good && !take(',')) return false;
    }
    names_.swap(names);
    ++depth_left_;
    return true;
  }

  bool member() {
    const auto name = string();
    if (!name || !names_.insert(*name).second) return false;
    space();
    if (!take(':')) return false;
    space();
    return value();
  }

  std::size_t digits() {
    const std::size_t count = std::min(rest_.find_first_not_of("0123456789"), rest_.size());
    rest_.remove_prefix(count);
    return count;
  }

  bool number() {
    take('-');
    if (!take('0') && digits() == 0) return false;
    if (take('.') && digits() == 0) return false;
    if (!take('e') && !take('E')) return true;
    if (!take('+')) take('-');
    while (rest_.size() > 1 && rest_.front() == '0' && rest_[1] >= '0' && rest_[1] <= '9')
      take('0');
    const std::size_t count = digits();
    large_exponent_ = large_exponent_ || count > 9;
    return count > 0;
  }

  std::optional<std::uint32_t> code_unit() {
    if (rest_.size() < 4) return std::nullopt;
    std::uint32_t unit = 0;
    for (const char c : rest_.substr(0, 4)) {
      const std::size_t digit = std::string_view("0123456789abcdef0123456789ABCDEF").find(c);
      if (digit == std::string_view::npos) return std::nullopt;
      unit = unit * 16 + static_cast<std::uint32_t>(digit % 16);
    }
    rest_.remove_prefix(4);
    return unit;
  }

  /// Behind the backslash; code points are kept as text, which is enough to tell names apart.
  std::optional<std::uint32_t> escape() {
    if (rest_.empty()) return std::nullopt;
    const char kind = rest_.front();
    rest_.remove_prefix(1);
    constexpr std::string_view kNames = "\"\\/bfnrt";
    constexpr std::string_view kValues = "\"\\/\b\f\n\r\t";
    if (const std::size_t at = kNames.find(kind); at != std::string_view::npos) {
      return static_cast<unsigned char>(kValues[at]);
    }
    if (kind != 'u') return std::nullopt;
    const auto first = code_unit();
    if (!first || (*first >= 0xdc00 && *first <= 0xdfff)) return std::nullopt;
    if (*first < 0xd800 || *first > 0xdbff) return first;
    if (!word("\\u")) return std::nullopt;
    const auto second = code_unit();
    if (!second || *second < 0xdc00 || *second > 0xdfff) return std::nullopt;
    return 0x10000U + ((*first & 0x3ffU) << 10U) + (*second & 0x3ffU);
  }

  std::optional<std::string> string() {
    if (!take('"')) return std::nullopt;
    std::string text;
    while (!rest_.empty()) {
      if (take('"')) return text;
      std::optional<std::uint32_t> point;
      if (take('\\')) {
        point = escape();
      } else {
        point = take_code_point(rest_);
        if (point && *point < 0x20) return std::nullopt;
      }
      if (!point) return std::nullopt;
      text += std::to_string(*point);
      text += ' ';
    }
    return std::nullopt;
  }

  std::string_view rest_;
  std::size_t depth_left_;
  std::set<std::string> names_;  ///< of the object that is open
  bool large_exponent_ = false;
};

}  // namespace

JsonVerdict judge_json(std::string_view text, std::size_t max_depth) {
  Judge judge(text, max_depth);
  if (!judge.document()) return JsonVerdict::refused;
  return judge.large_exponent() ? JsonVerdict::exponent_too_large : JsonVerdict::accepted;
}

}  // namespace penstock::fuzz

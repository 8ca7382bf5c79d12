#include "domain/reason.h"

#include <array>

namespace penstock::domain {
namespace {

struct Row {
  int number;
  std::string_view text;
  std::string_view meaning;
};

constexpr std::array kRows{
#define X(number, name, text, meaning) Row{number, text, meaning},
    PENSTOCK_REASONS(X)
#undef X
};

constexpr bool numbers_are_positions() {
  for (std::size_t index = 0; index < kRows.size(); ++index) {
    if (kRows[index].number != static_cast<int>(index)) return false;
  }
  return true;
}
static_assert(numbers_are_positions(), "a stored reason is its position in the list");

}  // namespace

std::string_view to_string(Reason reason) {
  return kRows.at(static_cast<std::size_t>(reason)).text;
}

std::string_view meaning_of(Reason reason) {
  return kRows.at(static_cast<std::size_t>(reason)).meaning;
}

std::optional<Reason> parse_reason(std::string_view text) {
  for (const Row& row : kRows) {
    if (row.number != 0 && row.text == text) return static_cast<Reason>(row.number);
  }
  return std::nullopt;
}

std::optional<Reason> reason_from(std::uint8_t number) {
  if (number >= kRows.size()) return std::nullopt;
  return static_cast<Reason>(number);
}

}  // namespace penstock::domain

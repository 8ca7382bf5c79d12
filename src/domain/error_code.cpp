#include "domain/error_code.h"

#include <array>

namespace penstock::domain {
namespace {

struct Row {
  std::string_view text;
  int status;
  std::string_view title;
};

constexpr std::array kRows{
#define X(name, text, status, title) Row{text, status, title},
    PENSTOCK_ERROR_CODES(X)
#undef X
};

const Row& row_of(ErrorCode code) {
  return kRows.at(static_cast<std::size_t>(code));
}

}  // namespace

std::string_view to_string(ErrorCode code) {
  return row_of(code).text;
}

std::string_view title_of(ErrorCode code) {
  return row_of(code).title;
}

int status_of(ErrorCode code) {
  return row_of(code).status;
}

std::optional<ErrorCode> parse_error_code(std::string_view text) {
  for (std::size_t index = 0; index < kRows.size(); ++index) {
    if (kRows.at(index).text == text) return static_cast<ErrorCode>(index);
  }
  return std::nullopt;
}

}  // namespace penstock::domain

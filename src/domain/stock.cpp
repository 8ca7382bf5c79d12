#include "domain/stock.h"

#include "domain/check.h"
#include "domain/limits.h"

namespace penstock::domain {
namespace {

bool is_within_stock(std::int64_t pieces) {
  return pieces >= 0 && pieces <= limits::kMaxStock;
}

}  // namespace

std::expected<void, StockError> Stock::set_on_hand(std::int64_t pieces) {
  std::int64_t total = 0;
  if (!is_within_stock(pieces) || __builtin_add_overflow(reserved + sold, pieces, &total)) {
    return std::unexpected(StockError::too_large);
  }
  received = total;
  return {};
}

std::expected<void, StockError> Stock::restock(std::int64_t pieces) {
  std::int64_t total = 0;
  // What is on hand may stand above the limit already, where held pieces came back after a set.
  if (!is_within_stock(pieces) || on_hand() > limits::kMaxStock - pieces ||
      __builtin_add_overflow(received, pieces, &total)) {
    return std::unexpected(StockError::too_large);
  }
  received = total;
  return {};
}

std::expected<void, StockError> Stock::reserve(std::int64_t pieces) {
  PENSTOCK_CHECK(pieces >= 0, "a reservation has a negative quantity");
  if (pieces > on_hand()) return std::unexpected(StockError::insufficient);
  reserved += pieces;
  return {};
}

void Stock::release(std::int64_t pieces) {
  PENSTOCK_CHECK(pieces >= 0 && pieces <= reserved, "released more stock than was held");
  reserved -= pieces;
}

void Stock::sell(std::int64_t pieces) {
  PENSTOCK_CHECK(pieces >= 0 && pieces <= reserved, "sold more stock than was held");
  reserved -= pieces;
  sold += pieces;
}

}  // namespace penstock::domain

#pragma once

#include <cstddef>

#include "domain/limits.h"
#include "domain/order.h"

namespace penstock::ports {

/// What an order counts for in a page, in bytes: its texts, items, events and fixed fields as they
/// lie in memory. A measure, not an exact size.
std::size_t page_bytes(const domain::Order& order);

/// The bound in bytes of one page of a list, for every store: so that the memory of a read does not
/// depend on how large the orders are. Not thread-safe.
class PageBudget {
 public:
  explicit PageBudget(std::size_t max_bytes = domain::limits::kMaxPageBytes)
      : max_bytes_(max_bytes) {}

  /// Whether the order still belongs to the page; then it counts. The first one always does. Once
  /// this was false the page ends, with `next` at the last order taken.
  bool take(const domain::Order& order);

 private:
  std::size_t max_bytes_;
  std::size_t taken_bytes_ = 0;
};

}  // namespace penstock::ports

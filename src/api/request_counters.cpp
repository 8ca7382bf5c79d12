#include "api/request_counters.h"

#include <algorithm>
#include <iterator>

#include "domain/check.h"

namespace penstock::api {

void RequestCounters::add(std::size_t route, int status) {
  PENSTOCK_CHECK(route < kMaxRoutes, "a route of the api");
  const auto found = std::ranges::find(kStatuses, status);
  // A status that is not listed is counted too, under the last.
  const auto position = static_cast<std::size_t>(
      (found == kStatuses.end() ? std::prev(kStatuses.end()) : found) - kStatuses.begin());
  counts_[route][position].fetch_add(1, std::memory_order_relaxed);
}

std::uint64_t RequestCounters::get(std::size_t route, std::size_t position) const {
  return counts_.at(route).at(position).load(std::memory_order_relaxed);
}

}  // namespace penstock::api

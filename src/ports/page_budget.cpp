#include "ports/page_budget.h"

namespace penstock::ports {

std::size_t page_bytes(const domain::Order& order) {
  std::size_t bytes =
      sizeof(domain::Order) + order.tenant.str().size() + order.customer.str().size() +
      order.payment_method.size() + order.correlation.str().size() + order.traceparent.size() +
      order.capture_reference.size() + order.timeline.size() * sizeof(domain::Event);
  for (const domain::Item& item : order.items) bytes += sizeof(item) + item.product.str().size();
  for (const auto& pair : order.metadata) {
    bytes += sizeof(pair) + pair.first.size() + pair.second.size();
  }
  return bytes;
}

bool PageBudget::take(const domain::Order& order) {
  const std::size_t bytes = page_bytes(order);
  if (taken_bytes_ > 0 && taken_bytes_ + bytes > max_bytes_) return false;
  taken_bytes_ += bytes;
  return true;
}

}  // namespace penstock::ports

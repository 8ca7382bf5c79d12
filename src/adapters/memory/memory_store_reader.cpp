#include <algorithm>
#include <utility>

#include "adapters/memory/memory_store.h"
#include "ports/page_budget.h"

namespace penstock::memory_store {
namespace {

using domain::Order;
using domain::OrderId;
using ports::OrderPage;
using ports::StoreError;

/// Records that one call looks at before it returns a short page.
constexpr std::size_t kMaxScanned = 20 * domain::limits::kMaxPage;

std::size_t page_size(std::size_t limit) {
  return std::clamp<std::size_t>(limit, 1, domain::limits::kMaxPage);
}

/// Fills a page from `scan`, which offers orders to `take` until it says that it has enough.
class PageFiller {
 public:
  explicit PageFiller(std::size_t limit, ports::PageBudget budget = ports::PageBudget())
      : limit_(page_size(limit)), budget_(budget) {}

  /// False once the page ends before `order`.
  template <typename Matches>
  bool take(const Order& order, Matches matches) {
    if (scanned_ == kMaxScanned) {
      page_.next = last_;
      return false;
    }
    ++scanned_;
    if (matches(order)) {
      if (page_.orders.size() == limit_ || !budget_.take(order)) {
        page_.next = page_.orders.back().id;
        return false;
      }
      page_.orders.push_back(order);
    }
    last_ = order.id;
    return true;
  }

  OrderPage page() && { return std::move(page_); }

 private:
  std::size_t limit_;
  ports::PageBudget budget_;
  std::size_t scanned_ = 0;
  OrderId last_;
  OrderPage page_;
};

bool is_of(const Order& order, const domain::TenantId& tenant) {
  return tenant.empty() || order.tenant == tenant;
}

bool matches_query(const Order& order, const ports::OrderQuery& query) {
  return is_of(order, query.tenant) && (!query.status || order.status == *query.status) &&
         (!query.created_from || order.created_at >= *query.created_from) &&
         (!query.created_to || order.created_at < *query.created_to);
}

/// Ids from here on are too new for the query: an id names its order's creation in milliseconds.
OrderId end_of(const ports::OrderQuery& query) {
  OrderId end{OrderId::Bytes{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}};
  if (query.created_to) {
    const domain::Instant next_millisecond = *query.created_to + domain::Duration::milliseconds(1);
    end = OrderId::make(next_millisecond, 0, 0);
  }
  return query.before ? std::min(end, *query.before) : end;
}

bool is_before_range(const OrderId& id, const ports::OrderQuery& query) {
  return query.created_from &&
         id.created() + domain::Duration::milliseconds(1) <= *query.created_from;
}

}  // namespace

std::expected<std::optional<ports::StoredOrder>, StoreError> MemoryStore::find(
    const OrderId& order) const {
  const std::lock_guard lock(mutex_);
  if (stopped_) return std::unexpected(*stopped_);
  const auto found = disk_->orders.find(order);
  if (found == disk_->orders.end()) return std::nullopt;
  return found->second;
}

std::expected<OrderPage, StoreError> MemoryStore::list(const ports::OrderQuery& query) const {
  const std::lock_guard lock(mutex_);
  if (stopped_) return std::unexpected(*stopped_);
  PageFiller filler(query.limit, ports::PageBudget(query.max_bytes));
  auto next = disk_->orders.lower_bound(end_of(query));
  while (next != disk_->orders.begin()) {
    --next;
    if (is_before_range(next->first, query)) break;
    const Order& order = next->second.order;
    if (!filler.take(order, [&](const Order& each) { return matches_query(each, query); })) break;
  }
  return std::move(filler).page();
}

std::expected<OrderPage, StoreError> MemoryStore::dead_letters(
    const ports::DeadLetterQuery& query) const {
  const std::lock_guard lock(mutex_);
  if (stopped_) return std::unexpected(*stopped_);
  const auto matches = [&](const Order& order) {
    return is_of(order, query.tenant) &&
           (!query.stage || order.dead_letter->stage == *query.stage) &&
           (!query.error || order.dead_letter->last_error == *query.error);
  };
  PageFiller filler(query.limit, ports::PageBudget(query.max_bytes));
  for (auto next = query.after ? dead_letters_.upper_bound(*query.after) : dead_letters_.begin();
       next != dead_letters_.end(); ++next) {
    if (!filler.take(disk_->orders.find(*next)->second.order, matches)) break;
  }
  return std::move(filler).page();
}

std::expected<OrderPage, StoreError> MemoryStore::owed_refunds(std::optional<OrderId> after,
                                                               std::size_t limit) const {
  const std::lock_guard lock(mutex_);
  if (stopped_) return std::unexpected(*stopped_);
  PageFiller filler(limit);
  for (auto next = after ? owed_refunds_.upper_bound(*after) : owed_refunds_.begin();
       next != owed_refunds_.end(); ++next) {
    const Order& order = disk_->orders.find(*next)->second.order;
    if (!filler.take(order, [](const Order&) { return true; })) break;
  }
  return std::move(filler).page();
}

std::expected<std::optional<domain::Stock>, StoreError> MemoryStore::stock(
    const domain::TenantId& tenant, const domain::ProductId& product) const {
  const std::lock_guard lock(mutex_);
  if (stopped_) return std::unexpected(*stopped_);
  return stock_room_.find({tenant, product});
}

std::expected<domain::Contract, StoreError> MemoryStore::contract(
    const domain::TenantId& tenant) const {
  const std::lock_guard lock(mutex_);
  if (stopped_) return std::unexpected(*stopped_);
  return limiter_.contract(tenant);
}

domain::Standing MemoryStore::standing(const domain::TenantId& tenant) const {
  const std::lock_guard lock(mutex_);
  return disk_->contracts.contains(tenant) ? domain::Standing::own_contract
                                           : domain::Standing::grouped;
}

std::expected<std::vector<std::pair<domain::TenantId, domain::Contract>>, StoreError>
MemoryStore::contracts(const domain::TenantId& after, std::size_t limit) const {
  const std::lock_guard lock(mutex_);
  if (stopped_) return std::unexpected(*stopped_);
  std::vector<std::pair<domain::TenantId, domain::Contract>> listed;
  for (auto next = disk_->tenants.upper_bound(after);
       next != disk_->tenants.end() && listed.size() < page_size(limit); ++next) {
    listed.emplace_back(*next, limiter_.contract(*next));
  }
  return listed;
}

}  // namespace penstock::memory_store

#include "tests/contract/order_store_contract.h"

#include <algorithm>
#include <stdexcept>

namespace penstock::domain {

// GoogleTest finds these by this name.
// NOLINTBEGIN(readability-identifier-naming)
void PrintTo(const OrderId& id, std::ostream* out) {
  *out << id.str();
}

void PrintTo(const Stock& stock, std::ostream* out) {
  *out << "received " << stock.received << ", reserved " << stock.reserved << ", sold "
       << stock.sold;
}

void PrintTo(const Order& order, std::ostream* out) {
  *out << order.id.str() << " of " << order.tenant.str() << ", " << to_string(order.status) << " v"
       << order.version.number << " (" << to_string(order.reason) << "), due "
       << to_rfc3339(order.due) << ", attempts " << order.attempts << ", interruptions "
       << order.interruptions << ", timeline";
  for (const Event& event : order.timeline) {
    *out << " " << event.version.number << ":" << to_string(event.to);
  }
}
// NOLINTEND(readability-identifier-naming)

}  // namespace penstock::domain

namespace penstock::store_contract {

GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(OrderStoreContract);

using domain::Advance;
using domain::Order;

namespace {

/// The value of a call that must succeed.
template <typename Value>
Value demand(std::expected<Value, ports::StoreError> result, const char* what) {
  if (!result) {
    throw std::runtime_error(std::string(what) + " failed with store error " +
                             std::to_string(static_cast<int>(result.error())));
  }
  return std::move(*result);
}

}  // namespace

domain::TenantId tenant_named(std::string name) {
  return domain::TenantId::unchecked(std::move(name));
}

domain::ProductId product_named(std::string name) {
  return domain::ProductId::unchecked(std::move(name));
}

domain::Contract contract_of(std::int64_t tokens_per_second, std::int64_t burst) {
  return {.bucket = {.rate = {.micro_tokens = tokens_per_second * domain::kMicroTokensPerToken},
                     .burst = burst},
          .guarantee = std::nullopt,
          .weight = 1,
          .webhook = std::nullopt};
}

std::vector<domain::OrderId> ids_of(const std::vector<Order>& orders) {
  std::vector<domain::OrderId> ids;
  ids.reserve(orders.size());
  for (const Order& order : orders) ids.push_back(order.id);
  return ids;
}

StoreUnderTest& OrderStoreContract::under_test() {
  if (!under_test_) {
    options.now = now;
    under_test_ = GetParam().open(options);
  }
  return *under_test_;
}

void OrderStoreContract::pass(domain::Duration span) {
  now.wall = now.wall + span;
  now.monotonic.ns += span.us * 1'000;
}

std::vector<ports::CommandResult> OrderStoreContract::apply(std::vector<ports::Command> commands) {
  const std::size_t sent = commands.size();
  auto results = demand(store().apply(commands, now), "apply");
  if (results.size() != sent) throw std::runtime_error("not one result a command");
  return results;
}

ports::Accept OrderStoreContract::accept_of(Order first, std::optional<std::string> key,
                                            std::uint8_t fingerprint) {
  ports::Accept accept;
  accept.commit.next = std::move(first);
  if (key) {
    accept.idempotency = ports::IdempotencyClaim{
        .key = domain::IdempotencyKey::unchecked(*std::move(key)), .fingerprint = {fingerprint}};
  }
  return accept;
}

ports::Accept OrderStoreContract::reserving(const OrderBuilder& builder,
                                            std::optional<std::string> key,
                                            std::uint8_t fingerprint) {
  Advance reserved = steps::next(placed(builder), now.wall);
  ports::Accept accept = accept_of(std::move(reserved.next), std::move(key), fingerprint);
  accept.commit.stock = reserved.stock;
  return accept;
}

ports::Commit OrderStoreContract::commit_of(const Order& read, Advance advance,
                                            std::string receipt) {
  if (advance.next.status != domain::Status::fulfilled) receipt.clear();
  return {.next = std::move(advance.next),
          .read = read.version,
          .stock = advance.stock,
          .receipt = std::move(receipt)};
}

Order OrderStoreContract::commit_step(const Order& read, const Advance& advance) {
  const auto result = commit(read, advance);
  if (result.outcome != ports::CommitOutcome::committed) {
    throw std::runtime_error("the step was not committed");
  }
  return advance.next;
}

void OrderStoreContract::require_stock(const Order& order) {
  for (const domain::Item& item : order.items) {
    if (!find_stock(item.product.str(), order.tenant.str())) {
      set_stock(10'000'000, item.product.str(), order.tenant.str());
    }
  }
}

Order OrderStoreContract::store_placed(const OrderBuilder& builder) {
  const auto result = submit(accept_of(placed(builder)));
  if (result.outcome != ports::AcceptOutcome::accepted) {
    throw std::runtime_error("the order was not accepted");
  }
  return result.order.value();
}

Order OrderStoreContract::store_reserved(const OrderBuilder& builder) {
  require_stock(placed(builder));
  const auto result = submit(reserving(builder));
  if (result.outcome != ports::AcceptOutcome::accepted ||
      result.order.value().status != domain::Status::reserved) {
    throw std::runtime_error("the order was not accepted and reserved");
  }
  return *result.order;
}

Order OrderStoreContract::store_charged(const OrderBuilder& builder) {
  const Order reserved = store_reserved(builder);
  return commit_step(reserved, steps::capture(reserved, now.wall));
}

Order OrderStoreContract::store_fulfilled(const OrderBuilder& builder) {
  const Order charged = store_charged(builder);
  return commit_step(charged, steps::next(charged, now.wall));
}

Order OrderStoreContract::store_owing(const OrderBuilder& builder) {
  const Order charged = store_charged(builder);
  return commit_step(charged, steps::cancel(charged, now.wall));
}

Order OrderStoreContract::store_dead_letter(const OrderBuilder& builder) {
  const Order reserved = store_reserved(builder);
  const Order refused = commit_step(reserved, steps::refuse(reserved, now.wall));
  return commit_step(refused, steps::close_charge(refused, now.wall));
}

std::vector<Order> OrderStoreContract::store_history() {
  std::vector<Order> orders;
  for (int round = 0; round < 12; ++round) {
    const std::string tenant = round % 3 == 0 ? "globex" : kTenant;
    orders.push_back(store_placed(order().tenant(tenant)));
    orders.push_back(store_fulfilled(order().tenant(tenant)));
    pass(domain::Duration{1'234'567});
    orders.push_back(store_reserved(order().tenant(tenant)));
    orders.push_back(store_owing(order().tenant(tenant)));
    orders.push_back(submit(reserving(order().tenant(tenant).item("NEVER"))).order.value());
    orders.push_back(store_charged(order().tenant(tenant)));
    pass(domain::Duration::hours(9 * 24));
  }
  std::ranges::reverse(orders);
  return orders;
}

domain::Stock OrderStoreContract::set_stock(std::int64_t on_hand, const std::string& product,
                                            const std::string& tenant) {
  return apply_one<ports::StockResult>(ports::SetStock{.tenant = tenant_named(tenant),
                                                       .product = product_named(product),
                                                       .on_hand = on_hand})
      .stock.value();
}

void OrderStoreContract::put_contract(const std::string& tenant, const domain::Contract& contract) {
  const auto outcome = apply_one<ports::PutOutcome>(
      ports::PutContract{.tenant = tenant_named(tenant), .contract = contract});
  if (outcome != ports::PutOutcome::stored) throw std::runtime_error("the contract was refused");
}

domain::TakeResult OrderStoreContract::peek(const std::string& tenant) {
  return apply_one<ports::AcceptResult>(ports::PeekBucket{tenant_named(tenant)}).take;
}

std::optional<domain::Stock> OrderStoreContract::find_stock(const std::string& product,
                                                            const std::string& tenant) {
  return demand(reader().stock(tenant_named(tenant), product_named(product)), "stock");
}

std::optional<ports::StoredOrder> OrderStoreContract::find(const Order& order) {
  return demand(reader().find(order.id), "find");
}

std::vector<Order> OrderStoreContract::claim_orders(domain::Stage stage, std::size_t limit) {
  return demand(store().claim(stage, limit, now), "claim");
}

std::vector<domain::OrderId> OrderStoreContract::claim(domain::Stage stage, std::size_t limit) {
  return ids_of(claim_orders(stage, limit));
}

std::optional<Order> OrderStoreContract::claim_one(const Order& order) {
  return demand(store().claim_one(order.id), "claim_one");
}

ports::StageDepth OrderStoreContract::depth_of(domain::Stage stage) {
  return store().depth().stages.at(static_cast<std::size_t>(stage));
}

std::vector<ports::TerminalBatch> OrderStoreContract::take_batches(std::size_t limit) {
  return demand(store().take_terminal_batches(limit), "take_terminal_batches");
}

std::vector<ports::Delivery> OrderStoreContract::take_deliveries(
    std::size_t limit, const std::vector<domain::TenantId>& left_out) {
  return demand(store().take_deliveries(limit, now, left_out), "take_deliveries");
}

}  // namespace penstock::store_contract

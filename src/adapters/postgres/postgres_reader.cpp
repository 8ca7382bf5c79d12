#include "adapters/postgres/postgres_reader.h"

#include <algorithm>
#include <chrono>

#include "adapters/postgres/binary.h"
#include "adapters/postgres/order_codec.h"
#include "adapters/postgres/order_json.h"
#include "adapters/postgres/statements.h"
#include "domain/check.h"
#include "domain/limits.h"
#include "ports/page_budget.h"

namespace penstock::postgres_store {
namespace {

using domain::Order;
using domain::OrderId;
using ports::OrderPage;
using ports::StoreError;

/// Orders that one call looks at before it returns a short page, and how many it asks for at once.
constexpr std::size_t kMaxScanned = 20 * domain::limits::kMaxPage;
constexpr std::size_t kWindow = domain::limits::kMaxPage;

std::size_t page_size(std::size_t limit) {
  return std::clamp<std::size_t>(limit, 1, domain::limits::kMaxPage);
}

std::string limit_parameter(std::size_t limit) {
  return to_binary(static_cast<std::int64_t>(limit));
}

/// Ids of the query's range: in [first, end). The time of an id is in milliseconds, so the range's
/// edges may hold orders outside it.
struct IdRange {
  OrderId first;
  OrderId end{OrderId::Bytes{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}};
};

OrderId first_of(domain::Instant at) {
  // Below every id of that millisecond, whatever its version bits are.
  OrderId::Bytes bytes = OrderId::make(at, 0, 0).bytes();
  std::fill(bytes.begin() + 6, bytes.end(), std::uint8_t{0});
  return OrderId(bytes);
}

IdRange range_of(const ports::OrderQuery& query) {
  IdRange range;
  if (query.created_from) range.first = first_of(*query.created_from);
  if (query.created_to) {
    range.end = first_of(*query.created_to + domain::Duration::milliseconds(1));
  }
  if (query.before) range.end = std::min(range.end, *query.before);
  return range;
}

bool matches(const Order& order, const ports::OrderQuery& query) {
  return (!query.status || order.status == *query.status) &&
         (!query.created_from || order.created_at >= *query.created_from) &&
         (!query.created_to || order.created_at < *query.created_to);
}

std::optional<domain::TokenRate> rate_of(const Rows& rows, std::size_t row, int column) {
  if (rows.is_null(row, column)) return std::nullopt;
  return domain::TokenRate{.micro_tokens = rows.integer(row, column),
                           .period_ns = rows.integer(row, column + 1)};
}

/// A row of `contracts`, or the default where it has no contract of its own.
domain::Contract contract_of(const Rows& rows, std::size_t row, const domain::Contract& missing) {
  const auto rate = rate_of(rows, row, 1);
  if (!rate) return missing;
  domain::Contract contract{.bucket = {.rate = *rate, .burst = rows.integer(row, 3)},
                            .guarantee = rate_of(rows, row, 4),
                            .weight = rows.integer(row, 6),
                            .webhook = std::nullopt};
  if (!rows.is_null(row, 7)) {
    contract.webhook = domain::Webhook{.url = std::string(rows.bytes(row, 7)),
                                       .secret = std::string(rows.bytes(row, 8)),
                                       .disabled = rows.boolean(row, 9)};
  }
  return contract;
}

/// A page of what was asked for with one more than the page holds.
OrderPage page_of(std::vector<Order> orders, std::size_t limit, std::size_t max_bytes) {
  OrderPage page;
  ports::PageBudget budget(max_bytes);
  std::size_t taken = 0;
  while (taken < std::min(orders.size(), limit) && budget.take(orders[taken])) ++taken;
  if (orders.size() > taken) {
    orders.resize(taken);
    page.next = orders.back().id;
  }
  page.orders = std::move(orders);
  return page;
}

std::optional<std::vector<ports::Delivered>> deliveries_of(std::string_view jsonb) {
  const auto events = parse_events(jsonb.substr(1));
  if (!events) return std::nullopt;
  std::vector<ports::Delivered> deliveries;
  for (const domain::Event& event : *events) {
    deliveries.push_back({.at = event.at, .attempt = event.attempt, .reason = event.reason});
  }
  return deliveries;
}

}  // namespace

PostgresReader::PostgresReader(const PostgresStoreOptions& options,
                               const Reachability* reachability)
    : connection_options_{.url = options.url,
                          .schema = options.schema,
                          .name = "penstock reader " + options.node,
                          .connect_timeout = options.connect_timeout,
                          .timeout = options.timeout,
                          .plans = Plans::once,
                          .last_call = options.last_call},
      reachability_(reachability),
      default_contract_(options.default_contract),
      contract_names_(options.contracts_age),
      most_(std::max<std::size_t>(1, options.reader_connections)) {}

PostgresReader::Clock::time_point PostgresReader::end_of_read() const {
  return Clock::now() + std::chrono::microseconds(connection_options_.timeout.us);
}

std::optional<PostgresReader::Pooled> PostgresReader::take(Clock::time_point until) const {
  std::unique_lock lock(mutex_);
  if (!freed_.wait_until(lock, until, [this] { return taken_ < most_; })) return std::nullopt;
  ++taken_;
  if (free_.empty()) return Pooled{};
  Pooled connection = std::move(free_.back());
  free_.pop_back();
  return connection;
}

void PostgresReader::give_back(Pooled connection) const {
  {
    const std::lock_guard lock(mutex_);
    --taken_;
    if (connection && connection->is_alive()) free_.push_back(std::move(connection));
  }
  freed_.notify_one();
}

std::expected<Rows, StoreError> PostgresReader::run(const Statement& statement,
                                                    const Parameters& parameters,
                                                    Clock::time_point until) const {
  if (reachability_ != nullptr && reachability_->is_away()) {
    return std::unexpected(StoreError::unavailable);
  }
  auto taken = take(until);
  if (!taken) return std::unexpected(StoreError::unavailable);
  Pooled connection = *std::move(taken);
  const bool was_open = connection != nullptr;
  std::expected<Rows, Failure> rows = std::unexpected(Failure{});
  if (was_open) {
    connection->end_by(until);
    rows = connection->run(statement, parameters);
  }
  // One that broke while it was idle tells nothing about the server: one fresh try.
  const bool has_time = Clock::now() < until;
  if (has_time && (!was_open || (!rows && !connection->is_alive()))) {
    connection.reset();
    ConnectionOptions options = connection_options_;
    const auto left = std::chrono::duration_cast<std::chrono::microseconds>(until - Clock::now());
    options.connect_timeout = std::min(options.connect_timeout, domain::Duration{left.count()});
    auto opened = Connection::open(options, statements::kReader);
    if (opened) {
      connection = *std::move(opened);
      connection->end_by(until);
      rows = connection->run(statement, parameters);
    } else {
      rows = std::unexpected(std::move(opened.error()));
    }
  }
  give_back(std::move(connection));
  if (!rows) return std::unexpected(rows.error().error);
  return *std::move(rows);
}

std::expected<std::optional<ports::StoredOrder>, StoreError> PostgresReader::find(
    const OrderId& order) const {
  const auto rows =
      run(statements::kFind, Parameters().add(to_binary(order)).add(to_binary(order.created())));
  if (!rows) return std::unexpected(rows.error());
  if (rows->size() == 0) return std::nullopt;
  ports::StoredOrder stored;
  auto decoded = decode_order(fields_of(*rows, 0, 0, kRecordColumns));
  if (!decoded) return std::unexpected(StoreError::corrupt);
  stored.order = *std::move(decoded);
  if (!rows->is_null(0, kRecordColumns)) stored.receipt = rows->bytes(0, kRecordColumns);
  constexpr int kToldAt = kRecordColumns + 1;
  constexpr int kDeliveries = kRecordColumns + 2;
  if (!rows->is_null(0, kToldAt)) {
    stored.deliveries.push_back({.at = instant_from(rows->bytes(0, kToldAt))});
  }
  if (!rows->is_null(0, kDeliveries)) {
    auto deliveries = deliveries_of(rows->bytes(0, kDeliveries));
    if (!deliveries) return std::unexpected(StoreError::corrupt);
    stored.deliveries.insert(stored.deliveries.end(), deliveries->begin(), deliveries->end());
    // Rows from before the note had a reason of its own say `delivered`.
    stored.deliveries.front().reason = domain::Reason::end_noted;
  }
  return stored;
}

std::expected<std::vector<OrderId>, StoreError> PostgresReader::ended(
    std::span<const OrderId> orders) const {
  ArrayWriter ids(type_id::kUuid);
  ArrayWriter months(type_id::kTimestamp);
  for (const OrderId& order : orders) {
    ids.add(order.view());
    months.add(to_binary(order.created()));
  }
  const auto rows = run(statements::kEnded, Parameters().add(ids.bytes()).add(months.bytes()));
  if (!rows) return std::unexpected(rows.error());
  std::vector<OrderId> ended;
  ended.reserve(rows->size());
  for (std::size_t row = 0; row < rows->size(); ++row) {
    ended.push_back(order_id_from(rows->bytes(row, 0)));
  }
  return ended;
}

std::expected<std::vector<Order>, StoreError> PostgresReader::window(
    const domain::TenantId& tenant, const OrderId& first, const OrderId& end, std::size_t limit,
    Clock::time_point until) const {
  Parameters parameters;
  if (!tenant.empty()) parameters.add(tenant.str());
  parameters.add(to_binary(first))
      .add(to_binary(end))
      .add(to_binary(first.created()))
      .add(to_binary(end.created()))
      .add(limit_parameter(limit));
  const auto rows =
      run(tenant.empty() ? statements::kListAll : statements::kListTenant, parameters, until);
  if (!rows) return std::unexpected(rows.error());
  auto orders = decode_orders(*rows);
  if (!orders) return std::unexpected(StoreError::corrupt);
  return *std::move(orders);
}

std::expected<OrderPage, StoreError> PostgresReader::list(const ports::OrderQuery& query) const {
  const std::size_t limit = page_size(query.limit);
  const bool is_filtered = query.status || query.created_from || query.created_to;
  const std::size_t asked = is_filtered ? std::max(kWindow, limit + 1) : limit + 1;
  IdRange range = range_of(query);
  ports::PageBudget budget(query.max_bytes);
  const Clock::time_point until = end_of_read();
  std::vector<Order> found;
  for (std::size_t scanned = 0; scanned < kMaxScanned;) {
    auto orders = window(query.tenant, range.first, range.end, asked, until);
    if (!orders) return std::unexpected(orders.error());
    const bool is_last = orders->size() < asked;
    if (!orders->empty()) range.end = orders->back().id;
    scanned += orders->size();
    for (Order& order : *orders) {
      if (!matches(order, query)) continue;
      if (found.size() == limit || !budget.take(order)) {
        const OrderId last = found.back().id;
        return OrderPage{.orders = std::move(found), .next = last};
      }
      found.push_back(std::move(order));
    }
    if (is_last) return OrderPage{.orders = std::move(found), .next = std::nullopt};
  }
  return OrderPage{.orders = std::move(found), .next = range.end};
}

std::expected<OrderPage, StoreError> PostgresReader::dead_letters(
    const ports::DeadLetterQuery& query) const {
  const std::size_t limit = page_size(query.limit);
  Parameters parameters;
  parameters.add(to_binary(query.after.value_or(OrderId{}))).add(query.tenant.str());
  if (query.stage) {
    parameters.add(to_binary(static_cast<std::int16_t>(*query.stage)));
  } else {
    parameters.add_null();
  }
  if (query.error) {
    parameters.add(to_binary(static_cast<std::int16_t>(*query.error)));
  } else {
    parameters.add_null();
  }
  parameters.add(limit_parameter(limit + 1));
  const auto rows = run(statements::kDeadLetters, parameters);
  if (!rows) return std::unexpected(rows.error());
  auto orders = decode_orders(*rows);
  if (!orders) return std::unexpected(StoreError::corrupt);
  return page_of(*std::move(orders), limit, query.max_bytes);
}

std::expected<OrderPage, StoreError> PostgresReader::owed_refunds(std::optional<OrderId> after,
                                                                  std::size_t limit) const {
  const std::size_t most = page_size(limit);
  const auto rows =
      run(statements::kOwed,
          Parameters().add(to_binary(after.value_or(OrderId{}))).add(limit_parameter(most + 1)));
  if (!rows) return std::unexpected(rows.error());
  auto orders = decode_orders(*rows);
  if (!orders) return std::unexpected(StoreError::corrupt);
  return page_of(*std::move(orders), most, domain::limits::kMaxPageBytes);
}

std::expected<std::optional<domain::Stock>, StoreError> PostgresReader::stock(
    const domain::TenantId& tenant, const domain::ProductId& product) const {
  const auto rows = run(statements::kStock, Parameters().add(tenant.str()).add(product.str()));
  if (!rows) return std::unexpected(rows.error());
  if (rows->size() == 0) return std::nullopt;
  return domain::Stock{.received = rows->integer(0, 0),
                       .reserved = rows->integer(0, 1),
                       .sold = rows->integer(0, 2)};
}

std::expected<domain::Contract, StoreError> PostgresReader::contract(
    const domain::TenantId& tenant) const {
  auto one = contracts_of({&tenant, 1});
  if (!one) return std::unexpected(one.error());
  return std::move(one->front());
}

std::expected<std::vector<domain::Contract>, StoreError> PostgresReader::contracts_of(
    std::span<const domain::TenantId> tenants) const {
  ArrayWriter names(type_id::kText);
  for (const domain::TenantId& tenant : tenants) names.add(tenant.str());
  const auto rows = run(statements::kContractsOf, Parameters().add(names.bytes()));
  if (!rows) return std::unexpected(rows.error());
  PENSTOCK_CHECK(rows->size() == tenants.size(), "each tenant has a row");
  std::vector<domain::Contract> in_force;
  in_force.reserve(rows->size());
  for (std::size_t row = 0; row < rows->size(); ++row) {
    in_force.push_back(contract_of(*rows, row, default_contract_));
  }
  return in_force;
}

domain::Standing PostgresReader::standing(const domain::TenantId& tenant) const {
  const auto ask = [this]() -> std::optional<ContractNames::Names> {
    const auto rows = run(statements::kContractNames, {});
    if (!rows) return std::nullopt;
    ContractNames::Names names;
    for (std::size_t row = 0; row < rows->size(); ++row) names.emplace(rows->bytes(row, 0));
    return names;
  };
  return contract_names_.contains(tenant, ask) ? domain::Standing::own_contract
                                               : domain::Standing::grouped;
}

std::expected<std::vector<std::pair<domain::TenantId, domain::Contract>>, StoreError>
PostgresReader::contracts(const domain::TenantId& after, std::size_t limit) const {
  const auto rows = run(statements::kContracts,
                        Parameters().add(after.str()).add(limit_parameter(page_size(limit))));
  if (!rows) return std::unexpected(rows.error());
  std::vector<std::pair<domain::TenantId, domain::Contract>> listed;
  listed.reserve(rows->size());
  for (std::size_t row = 0; row < rows->size(); ++row) {
    listed.emplace_back(domain::TenantId::unchecked(std::string(rows->bytes(row, 0))),
                        contract_of(*rows, row, default_contract_));
  }
  return listed;
}

}  // namespace penstock::postgres_store

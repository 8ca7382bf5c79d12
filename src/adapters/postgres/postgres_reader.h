#pragma once

#include <condition_variable>
#include <expected>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "adapters/postgres/connection.h"
#include "adapters/postgres/contract_names.h"
#include "adapters/postgres/postgres_store_options.h"
#include "ports/order_reader.h"

namespace penstock::postgres_store {

/// Reads the shared store over a pool of at most `reader_connections` connections, opened when they
/// are needed. Thread-safe; a
/// read ends at its timeout, with its wait for a free connection and all windows of a list.
/// Every call is one round trip, but for `standing`, which asks once in `contracts_age`
/// for all tenants, and for a list with a filter, which looks at its tenant's orders
/// in windows, up to kMaxScanned of them. While the writer finds the database away, a call is
/// unavailable at once.
class PostgresReader final : public ports::OrderReader {
 public:
  /// `reachability`, where there is a writer, outlives the reader.
  explicit PostgresReader(const PostgresStoreOptions& options,
                          const Reachability* reachability = nullptr);

  std::expected<std::optional<ports::StoredOrder>, ports::StoreError> find(
      const domain::OrderId& order) const override;
  std::expected<std::vector<domain::OrderId>, ports::StoreError> ended(
      std::span<const domain::OrderId> orders) const override;
  std::expected<ports::OrderPage, ports::StoreError> list(
      const ports::OrderQuery& query) const override;
  std::expected<ports::OrderPage, ports::StoreError> dead_letters(
      const ports::DeadLetterQuery& query) const override;
  std::expected<ports::OrderPage, ports::StoreError> owed_refunds(
      std::optional<domain::OrderId> after, std::size_t limit) const override;
  std::expected<std::optional<domain::Stock>, ports::StoreError> stock(
      const domain::TenantId& tenant, const domain::ProductId& product) const override;
  std::expected<domain::Contract, ports::StoreError> contract(
      const domain::TenantId& tenant) const override;
  std::expected<std::vector<domain::Contract>, ports::StoreError> contracts_of(
      std::span<const domain::TenantId> tenants) const override;
  domain::Standing standing(const domain::TenantId& tenant) const override;
  std::expected<std::vector<std::pair<domain::TenantId, domain::Contract>>, ports::StoreError>
  contracts(const domain::TenantId& after, std::size_t limit) const override;

 private:
  using Pooled = std::unique_ptr<Connection>;

  using Clock = LastCall::Clock;

  /// When a read that begins now ends at the latest, its wait for a connection included.
  Clock::time_point end_of_read() const;
  std::expected<Rows, ports::StoreError> run(const Statement& statement,
                                             const Parameters& parameters) const {
    return run(statement, parameters, end_of_read());
  }
  std::expected<Rows, ports::StoreError> run(const Statement& statement,
                                             const Parameters& parameters,
                                             Clock::time_point until) const;
  /// A free connection, or none yet for the caller to open; nothing if all stay taken.
  std::optional<Pooled> take(Clock::time_point until) const;
  void give_back(Pooled connection) const;
  std::expected<std::vector<domain::Order>, ports::StoreError> window(
      const domain::TenantId& tenant, const domain::OrderId& first, const domain::OrderId& end,
      std::size_t limit, Clock::time_point until) const;

  ConnectionOptions connection_options_;
  const Reachability* reachability_;
  domain::Contract default_contract_;
  mutable ContractNames contract_names_;
  std::size_t most_;
  mutable std::mutex mutex_;
  mutable std::condition_variable freed_;
  mutable std::vector<Pooled> free_;
  mutable std::size_t taken_ = 0;
};

}  // namespace penstock::postgres_store

#pragma once

#include <cstddef>
#include <expected>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "adapters/rocksdb/contract_table.h"
#include "adapters/rocksdb/database.h"
#include "adapters/rocksdb/published_ids.h"
#include "adapters/rocksdb/stock_table.h"
#include "domain/contract.h"
#include "ports/order_reader.h"

namespace penstock::rocksdb_store {

/// The reader side over the database and what the writer shows of stock and contracts: never waits
/// for a sync. Any thread. Keeps references to all of them, which outlive it.
class RocksReader final : public ports::OrderReader {
 public:
  RocksReader(const Database& database, const PublishedLists& lists, const StockTable& stock,
              const ContractTable& contracts, domain::Contract default_contract)
      : database_(database),
        lists_(lists),
        stock_(stock),
        contracts_(contracts),
        default_contract_(std::move(default_contract)) {}

  std::expected<std::optional<ports::StoredOrder>, ports::StoreError> find(
      const domain::OrderId& order) const override;
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
  domain::Standing standing(const domain::TenantId& tenant) const override;
  std::expected<std::vector<std::pair<domain::TenantId, domain::Contract>>, ports::StoreError>
  contracts(const domain::TenantId& after, std::size_t limit) const override;

 private:
  std::expected<void, ports::StoreError> check_running() const;
  /// A page of one of the published lists, oldest first.
  struct ListedQuery {
    std::string_view tenant{};  ///< "" is all
    std::optional<domain::OrderId> after;
    std::size_t limit = domain::limits::kDefaultPage;
    std::size_t max_bytes = domain::limits::kMaxPageBytes;
  };
  /// Those behind `after` that `matches` keeps.
  template <typename Matches>
  std::expected<ports::OrderPage, ports::StoreError> listed_page(const PublishedIds& listed,
                                                                 const ListedQuery& query,
                                                                 Matches matches) const;
  std::expected<std::vector<ports::Delivered>, ports::StoreError> deliveries_of(
      const domain::OrderId& order, rocksdb::ColumnFamilyHandle* month,
      std::uint64_t batch_sequence) const;

  const Database& database_;
  const PublishedLists& lists_;
  const StockTable& stock_;
  const ContractTable& contracts_;
  domain::Contract default_contract_;
};

}  // namespace penstock::rocksdb_store

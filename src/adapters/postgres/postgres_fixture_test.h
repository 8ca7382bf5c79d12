#pragma once

#include <chrono>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "adapters/postgres/postgres_store.h"
#include "tests/contract/order_builder.h"
#include "tests/postgres/test_server.h"

namespace penstock::postgres_store {

/// A schema on the shared server, stores in it under names of their own, and orders of now.
class PostgresTest : public ::testing::Test {
 protected:
  static domain::Instant now() {
    const auto since = std::chrono::system_clock::now().time_since_epoch();
    return {std::chrono::duration_cast<std::chrono::microseconds>(since).count()};
  }

  PostgresStoreOptions options(const std::string& node = "node-1") const {
    PostgresStoreOptions options = schema.store_options();
    options.node = node;
    return options;
  }
  static std::unique_ptr<PostgresStore> open(const PostgresStoreOptions& options) {
    auto opened = PostgresStore::open(options);
    if (!opened) throw std::runtime_error("open: " + opened.error().detail);
    return *std::move(opened);
  }

  store_contract::OrderBuilder order() { return store_contract::OrderBuilder(++numbers_); }
  static ports::Accept accept_of(domain::Order first, const std::string& key = {}) {
    ports::Accept accept;
    accept.commit.next = std::move(first);
    if (!key.empty()) {
      accept.idempotency = ports::IdempotencyClaim{.key = domain::IdempotencyKey::unchecked(key),
                                                   .fingerprint = {1}};
    }
    return accept;
  }
  /// Placed and reserved in one.
  ports::Accept reserving(const store_contract::OrderBuilder& builder) {
    const domain::Instant at = now();
    auto reserved = store_contract::steps::next(builder.placed(at), at);
    ports::Accept accept = accept_of(std::move(reserved.next));
    accept.commit.stock = reserved.stock;
    return accept;
  }
  static ports::Commit commit_of(const domain::Order& read, domain::Advance advance) {
    const bool ends = advance.next.status == domain::Status::fulfilled;
    return {.next = std::move(advance.next),
            .read = read.version,
            .stock = advance.stock,
            .receipt = ends ? "receipt" : ""};
  }

  using Results = std::expected<std::vector<ports::CommandResult>, ports::StoreError>;
  static Results apply(PostgresStore& store, std::vector<ports::Command> commands) {
    return store.apply(commands, {});
  }
  template <typename Result>
  static Result apply_one(PostgresStore& store, ports::Command command) {
    std::vector<ports::Command> commands;
    commands.push_back(std::move(command));
    auto results = store.apply(commands, {});
    if (!results) throw std::runtime_error("apply: " + store.last_failure());
    return std::get<Result>(results->at(0));
  }
  static void set_stock(PostgresStore& store, const std::string& product, std::int64_t pieces) {
    apply_one<ports::StockResult>(store,
                                  ports::SetStock{.tenant = domain::TenantId::unchecked("acme"),
                                                  .product = domain::ProductId::unchecked(product),
                                                  .on_hand = pieces});
  }
  domain::Order store_placed(PostgresStore& store, const store_contract::OrderBuilder& builder) {
    return apply_one<ports::AcceptResult>(store, accept_of(builder.placed(now()))).order.value();
  }

  postgres_testing::TestSchema schema;

 private:
  std::uint64_t numbers_ = 0;
};

}  // namespace penstock::postgres_store

#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <ostream>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include <gtest/gtest.h>

#include "domain/contract.h"
#include "domain/ids.h"
#include "domain/instant.h"
#include "domain/limits.h"
#include "domain/order.h"
#include "domain/saga.h"
#include "domain/stock.h"
#include "ports/order_reader.h"
#include "ports/order_store.h"
#include "tests/contract/order_builder.h"

namespace penstock::domain {

/// How GoogleTest prints an order: what tells it from others, not its bytes.
void PrintTo(const Order& order, std::ostream* out);
void PrintTo(const OrderId& id, std::ostream* out);
void PrintTo(const Stock& stock, std::ostream* out);

}  // namespace penstock::domain

/// What every adapter of ports/order_store.h and ports/order_reader.h has to keep. An adapter's
/// test program links penstock_order_store_contract, implements StoreUnderTest and says
///   INSTANTIATE_TEST_SUITE_P(Memory, OrderStoreContract, ::testing::Values(factory));
/// The suite passes the time in; wall time never jumps by more than minutes over a restart.
namespace penstock::store_contract {

/// What a store is opened with, and opened again after each restart.
struct StoreOptions {
  std::size_t max_active = 10'000;
  /// So large that it never binds, where a test does not say otherwise.
  domain::Contract default_contract{
      .bucket = {.rate = {.micro_tokens = 1'000'000 * domain::kMicroTokensPerToken},
                 .burst = 1'000'000},
      .guarantee = std::nullopt,
      .weight = 1,
      .webhook = std::nullopt};
  domain::Duration idempotency_retention = domain::Duration::hours(1);
  domain::Now now;  ///< of the first start
};

/// Whether the machine booted between two runs: monotonic times of two boots do not compare.
enum class Boot : std::uint8_t { same, another };

/// One store with its durable state, empty at first.
class StoreUnderTest {
 public:
  virtual ~StoreUnderTest() = default;

  /// Valid until the next restart.
  virtual ports::OrderStore& store() = 0;
  virtual const ports::OrderReader& reader() = 0;

  /// Ends the run without any farewell and starts another one at `now`.
  virtual void crash_and_reopen(domain::Now now, Boot boot) = 0;
  /// Ends the run cleanly and starts another one.
  virtual void close_and_reopen(domain::Now now, Boot boot) = 0;

  /// Makes the next synced call fail with `stopped`, its writes lost; false if the adapter cannot.
  virtual bool fail_next_sync() { return false; }
};

struct StoreFactory {
  std::string name;
  std::function<std::unique_ptr<StoreUnderTest>(const StoreOptions&)> open;

  friend std::ostream& operator<<(std::ostream& out, const StoreFactory& factory) {
    return out << factory.name;
  }
};

inline const char* const kTenant = "acme";
inline const char* const kProduct = "PROD-1";
inline const char* const kReceipt = "{\"receipt\":1}";

domain::TenantId tenant_named(std::string name);
domain::ProductId product_named(std::string name);

/// A contract with this bucket and weight 1.
domain::Contract contract_of(std::int64_t tokens_per_second, std::int64_t burst);

/// The fixture: a store, the time, and the shortest way to bring an order somewhere. A call that
/// the store refuses throws, which GoogleTest reports as the test's failure.
class OrderStoreContract : public ::testing::TestWithParam<StoreFactory> {
 public:
  /// The accept of `first`, an order as placed or with its reservation, with or without a key.
  static ports::Accept accept_of(domain::Order first, std::optional<std::string> key = {},
                                 std::uint8_t fingerprint = 1);
  /// The commit of a step; `receipt` counts only where it fulfils.
  static ports::Commit commit_of(const domain::Order& read, domain::Advance advance,
                                 std::string receipt = kReceipt);

 protected:
  /// Opens the store at the first call, with `options` as they are then.
  ports::OrderStore& store() { return under_test().store(); }
  const ports::OrderReader& reader() { return under_test().reader(); }
  StoreUnderTest& under_test();

  void crash(Boot boot = Boot::same) { under_test().crash_and_reopen(now, boot); }
  void close(Boot boot = Boot::same) { under_test().close_and_reopen(now, boot); }
  /// Both clocks move on.
  void pass(domain::Duration span);

  /// A builder with the next number: later ones have later ids.
  OrderBuilder order() { return OrderBuilder(++numbers_); }
  domain::Order placed(const OrderBuilder& builder) { return builder.placed(now.wall); }

  std::vector<ports::CommandResult> apply(std::vector<ports::Command> commands);
  template <typename Result>
  Result apply_one(ports::Command command) {
    std::vector<ports::Command> commands;
    commands.push_back(std::move(command));
    return std::get<Result>(apply(std::move(commands)).at(0));
  }

  /// The accept of an order that reserves in its first commit, with or without a key.
  ports::Accept reserving(const OrderBuilder& builder, std::optional<std::string> key = {},
                          std::uint8_t fingerprint = 1);
  ports::AcceptResult submit(ports::Accept accept) {
    return apply_one<ports::AcceptResult>(std::move(accept));
  }
  ports::CommitResult commit(const domain::Order& read, const domain::Advance& advance,
                             std::string receipt = kReceipt) {
    return apply_one<ports::CommitResult>(commit_of(read, advance, std::move(receipt)));
  }

  /// Each stores an order and returns it: placed in the inventory queue, reserved (its products get
  /// stock if they have none), charged, fulfilled, cancelling with a refund owed, dead-lettered in
  /// payment.
  domain::Order store_placed(const OrderBuilder& builder);
  domain::Order store_reserved(const OrderBuilder& builder);
  domain::Order store_charged(const OrderBuilder& builder);
  domain::Order store_fulfilled(const OrderBuilder& builder);
  domain::Order store_owing(const OrderBuilder& builder);
  domain::Order store_dead_letter(const OrderBuilder& builder);
  /// Twelve orders in each of six statuses (placed, reserved, charged, fulfilled, rejected,
  /// cancelling), a third of them of tenant "globex", over four months; newest first.
  std::vector<domain::Order> store_history();
  /// Commits one step of the order and returns the order after it.
  domain::Order commit_step(const domain::Order& read, const domain::Advance& advance);

  domain::Stock set_stock(std::int64_t on_hand, const std::string& product = kProduct,
                          const std::string& tenant = kTenant);
  void put_contract(const std::string& tenant, const domain::Contract& contract);
  domain::TakeResult peek(const std::string& tenant = kTenant);
  std::int64_t remaining(const std::string& tenant = kTenant) { return peek(tenant).remaining; }

  std::optional<domain::Stock> find_stock(const std::string& product = kProduct,
                                          const std::string& tenant = kTenant);
  std::optional<ports::StoredOrder> find(const domain::Order& order);
  ports::StoredOrder found(const domain::Order& order) { return find(order).value(); }

  /// Claims and answers the ids in the order of the claim.
  std::vector<domain::OrderId> claim(domain::Stage stage, std::size_t limit = 100);
  std::vector<domain::Order> claim_orders(domain::Stage stage, std::size_t limit = 100);
  std::optional<domain::Order> claim_one(const domain::Order& order);
  ports::StageDepth depth_of(domain::Stage stage);
  std::vector<ports::TerminalBatch> take_batches(std::size_t limit = 100);
  std::vector<ports::Delivery> take_deliveries(std::size_t limit = 100,
                                               const std::vector<domain::TenantId>& left_out = {});

  StoreOptions options;
  domain::Now now{.wall = *domain::parse_rfc3339("2026-11-22T16:00:00Z"),
                  .monotonic = {1'000'000'000'000}};

 private:
  void require_stock(const domain::Order& order);

  std::unique_ptr<StoreUnderTest> under_test_;
  std::uint64_t numbers_ = 0;
};

/// The ids of orders, for comparing lists.
std::vector<domain::OrderId> ids_of(const std::vector<domain::Order>& orders);

}  // namespace penstock::store_contract

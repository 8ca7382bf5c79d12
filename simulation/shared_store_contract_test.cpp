#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "simulation/shared_store.h"
#include "tests/contract/order_store_contract.h"

// One node of the shared database keeps the contract of every store.
namespace penstock::store_contract {
namespace {

using simulation::NodeRun;
using simulation::SharedDatabase;
using simulation::SharedStoreClient;
using simulation::Writing;

constexpr std::uint32_t kNode = 1;

/// The client, with the database's clock at the time that each call brings along.
class ClockedClient final : public ports::OrderStore {
 public:
  ClockedClient(SharedStoreClient& client, domain::Now& clock) : client_(client), clock_(clock) {}

  std::expected<std::vector<ports::CommandResult>, ports::StoreError> apply(
      std::span<ports::Command> commands, domain::Now now) override {
    clock_ = now;
    return client_.apply(commands, now);
  }
  std::expected<std::vector<domain::Order>, ports::StoreError> claim_within(
      domain::Stage stage, std::size_t limit, ports::ClaimPlaces* places,
      domain::Now now) override {
    clock_ = now;
    return client_.claim_within(stage, limit, places, now);
  }
  std::expected<std::optional<domain::Order>, ports::StoreError> claim_one(
      const domain::OrderId& order) override {
    return client_.claim_one(order);
  }
  void release(const domain::OrderId& order, domain::Instant due) override {
    client_.release(order, due);
  }
  std::expected<void, ports::StoreError> mark(std::span<const domain::OrderId> orders) override {
    return client_.mark(orders);
  }
  std::expected<std::vector<ports::TerminalBatch>, ports::StoreError> take_terminal_batches(
      std::size_t limit) override {
    return client_.take_terminal_batches(limit);
  }
  std::expected<std::vector<ports::Delivery>, ports::StoreError> take_deliveries(
      std::size_t limit, domain::Now now, std::span<const domain::TenantId> left_out) override {
    clock_ = now;
    return client_.take_deliveries(limit, now, left_out);
  }
  ports::StoreDepth depth() const override { return client_.depth(); }
  std::optional<domain::Instant> next_due() const override { return client_.next_due(); }
  ports::Recovery recovery() const override { return client_.recovery(); }
  std::expected<void, ports::StoreError> settled() override { return client_.settled(); }

 private:
  SharedStoreClient& client_;
  domain::Now& clock_;
};

class SharedStoreUnderTest final : public StoreUnderTest {
 public:
  SharedStoreUnderTest(const StoreOptions& options, Writing writing)
      : clock_(options.now),
        writing_(writing),
        database_({.max_active = options.max_active,
                   .default_contract = options.default_contract,
                   .idempotency_retention = options.idempotency_retention,
                   // Longer than any test: nothing ends but by the test's own doing.
                   .lease = domain::Duration::hours(24 * 365)},
                  [this] { return clock_; }) {
    start();
  }

  ports::OrderStore& store() override { return *store_; }
  const ports::OrderReader& reader() override { return *client_; }

  // The node and the database's process end together.
  void crash_and_reopen(domain::Now now, Boot boot) override {
    clock_ = now;
    database_.restart(boot == Boot::another ? SharedDatabase::Boot::another
                                            : SharedDatabase::Boot::same);
    start();
  }
  void close_and_reopen(domain::Now now, Boot boot) override {
    database_.end_run(client_->run());
    crash_and_reopen(now, boot);
  }

 private:
  void start() {
    client_.emplace(database_, database_.start_run(kNode), nullptr, writing_);
    store_.emplace(*client_, clock_);
  }

  domain::Now clock_;
  Writing writing_;
  SharedDatabase database_;
  std::optional<SharedStoreClient> client_;
  std::optional<ClockedClient> store_;
};

StoreFactory factory_of(std::string name, Writing writing) {
  return {.name = std::move(name), .open = [writing](const StoreOptions& options) {
            return std::make_unique<SharedStoreUnderTest>(options, writing);
          }};
}

INSTANTIATE_TEST_SUITE_P(
    Shared, OrderStoreContract,
    ::testing::Values(
        factory_of("plainly", {}),
        // Below it the orders that end together are one terminal batch, as everywhere.
        factory_of("holding_on_two_connections",
                   {.holding = postgres_store::Holding::accepted, .least_split_batch = 5})),
    [](const auto& instance) { return instance.param.name; });

}  // namespace
}  // namespace penstock::store_contract

#include <algorithm>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>

#include <fmt/format.h>

#include "adapters/postgres/postgres_store.h"
#include "tests/contract/order_store_contract.h"
#include "tests/postgres/test_server.h"

// The PostgreSQL store keeps the contract of every store. Its clock is the database's, so the
// suite's time is put there before each call that carries one: in the test's schema store_now() and
// bucket_now_ns() read a table. A machine of the suite that boots again is no event to a database;
// what the suite asks of it is a bucket clock that stood still meanwhile.
namespace penstock::store_contract {
namespace {

using postgres_store::PostgresStore;
using postgres_testing::TestSchema;

class SchemaClock {
 public:
  explicit SchemaClock(TestSchema& schema) : schema_(schema) {
    schema_.execute(
        "CREATE UNLOGGED TABLE test_clock (wall timestamptz, bucket_ns bigint);"
        "INSERT INTO test_clock VALUES ('epoch', 0);"
        "CREATE OR REPLACE FUNCTION store_now() RETURNS timestamptz LANGUAGE sql VOLATILE AS"
        " 'SELECT wall FROM test_clock';"
        "CREATE OR REPLACE FUNCTION bucket_now_ns() RETURNS bigint LANGUAGE sql VOLATILE AS"
        " 'SELECT bucket_ns FROM test_clock'");
  }

  void set(const domain::Now& now) {
    const std::int64_t bucket_ns = now.monotonic.ns + boot_offset_ns_;
    if (now.wall == wall_ && bucket_ns == bucket_ns_) return;
    wall_ = now.wall;
    bucket_ns_ = bucket_ns;
    schema_.execute(
        fmt::format("UPDATE test_clock SET wall = 'epoch'::timestamptz + {} * interval"
                    " '1 microsecond', bucket_ns = {}",
                    now.wall.us, bucket_ns));
  }

  /// From here on the bucket's clock goes on from where it stood.
  void boot(const domain::Now& now) { boot_offset_ns_ = bucket_ns_ - now.monotonic.ns; }

 private:
  TestSchema& schema_;
  domain::Instant wall_;
  std::int64_t bucket_ns_ = 0;
  std::int64_t boot_offset_ns_ = 0;
};

/// The store with the suite's time.
class ClockedStore final : public ports::OrderStore {
 public:
  ClockedStore(PostgresStore& store, SchemaClock& clock) : store_(store), clock_(clock) {}

  std::expected<std::vector<ports::CommandResult>, ports::StoreError> apply(
      std::span<ports::Command> commands, domain::Now now) override {
    clock_.set(now);
    return told(store_.apply(commands, now));
  }
  std::expected<std::vector<domain::Order>, ports::StoreError> claim_within(
      domain::Stage stage, std::size_t limit, ports::ClaimPlaces* places,
      domain::Now now) override {
    clock_.set(now);
    return told(store_.claim_within(stage, limit, places, now));
  }
  std::expected<std::optional<domain::Order>, ports::StoreError> claim_one(
      const domain::OrderId& order) override {
    return told(store_.claim_one(order));
  }
  void release(const domain::OrderId& order, domain::Instant due) override {
    store_.release(order, due);
  }
  std::expected<void, ports::StoreError> mark(std::span<const domain::OrderId> orders) override {
    return told(store_.mark(orders));
  }
  std::expected<std::vector<ports::TerminalBatch>, ports::StoreError> take_terminal_batches(
      std::size_t limit) override {
    return told(store_.take_terminal_batches(limit));
  }
  std::expected<std::vector<ports::Delivery>, ports::StoreError> take_deliveries(
      std::size_t limit, domain::Now now, std::span<const domain::TenantId> left_out) override {
    clock_.set(now);
    return told(store_.take_deliveries(limit, now, left_out));
  }
  ports::StoreDepth depth() const override { return store_.depth(); }
  std::optional<domain::Instant> next_due() const override { return store_.next_due(); }
  ports::Recovery recovery() const override { return store_.recovery(); }
  std::expected<void, ports::StoreError> settled() override { return told(store_.settled()); }

 private:
  /// A failure's words go to the test's output.
  template <typename Result>
  Result told(Result result) {
    if (!result) ADD_FAILURE() << store_.last_failure();
    return result;
  }

  PostgresStore& store_;
  SchemaClock& clock_;
};

/// How a process of `penstock serve` writes, and the plainest way.
enum class Writing : std::uint8_t { plainly, holding_on_two_connections };

class PostgresUnderTest final : public StoreUnderTest {
 public:
  PostgresUnderTest(const StoreOptions& options, Writing writing)
      : options_(schema_.store_options()) {
    if (writing == Writing::holding_on_two_connections) {
      options_.holding = postgres_store::Holding::accepted;
      options_.writer_connections = 2;
      // Below it the orders that end together are one terminal batch, as everywhere.
      options_.least_split_batch = 5;
    }
    options_.max_active = options.max_active;
    options_.default_contract = options.default_contract;
    options_.idempotency_retention = options.idempotency_retention;
    // The suite's leases end with their process; that they end with time is postgres_store_test's.
    options_.lease = domain::Duration::hours(1'000'000);
    clock_.set(options.now);
    open();
  }

  ports::OrderStore& store() override { return *clocked_; }
  const ports::OrderReader& reader() override { return store_->reader(); }

  void crash_and_reopen(domain::Now now, Boot boot) override {
    store_.reset();
    if (boot == Boot::another) clock_.boot(now);
    clock_.set(now);
    open();
  }
  void close_and_reopen(domain::Now now, Boot boot) override {
    if (!store_->close()) throw std::runtime_error("the store does not close");
    crash_and_reopen(now, boot);
  }

 private:
  void open() {
    auto opened = PostgresStore::open(options_);
    if (!opened) throw std::runtime_error("the store does not open: " + opened.error().detail);
    store_ = *std::move(opened);
    clocked_ = std::make_unique<ClockedStore>(*store_, clock_);
  }

  TestSchema schema_;
  SchemaClock clock_{schema_};
  postgres_store::PostgresStoreOptions options_;
  std::unique_ptr<PostgresStore> store_;
  std::unique_ptr<ClockedStore> clocked_;
};

StoreFactory factory_of(std::string name, Writing writing) {
  return {.name = std::move(name), .open = [writing](const StoreOptions& options) {
            return std::make_unique<PostgresUnderTest>(options, writing);
          }};
}

INSTANTIATE_TEST_SUITE_P(Postgres, OrderStoreContract,
                         ::testing::Values(factory_of("plainly", Writing::plainly)));
INSTANTIATE_TEST_SUITE_P(PostgresTwoConnections, OrderStoreContract,
                         ::testing::Values(factory_of("holding_on_two_connections",
                                                      Writing::holding_on_two_connections)));

}  // namespace
}  // namespace penstock::store_contract

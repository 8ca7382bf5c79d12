#include <cstdlib>
#include <filesystem>
#include <memory>
#include <stdexcept>
#include <string>

#include "adapters/rocksdb/faulty_file_system.h"
#include "adapters/rocksdb/store_opener.h"
#include "adapters/rocksdb/temporary_directory.h"
#include "tests/contract/order_store_contract.h"

namespace penstock::store_contract {
namespace {

using rocksdb_store::FaultyFileSystem;
using rocksdb_store::LogFault;
using rocksdb_store::RocksStore;
using rocksdb_store::StoreOpener;

class RocksUnderTest final : public StoreUnderTest {
 public:
  explicit RocksUnderTest(const StoreOptions& options)
      : options_{.path = directory_.path("store"),
                 .max_active = options.max_active,
                 .default_contract = options.default_contract,
                 .idempotency_retention = options.idempotency_retention,
                 .boot_id = "boot-1",
                 .now = options.now,
                 .clock_check = rocksdb_store::ClockCheck::accepted,
                 .memtable_bytes = 16U << 20} {
    open();
  }

  ports::OrderStore& store() override { return *store_; }
  const ports::OrderReader& reader() override { return store_->reader(); }

  void crash_and_reopen(domain::Now now, Boot boot) override {
    store_.reset();
    open_again(now, boot);
  }
  void close_and_reopen(domain::Now now, Boot boot) override {
    if (!store_->close()) throw std::runtime_error("the store does not close");
    crash_and_reopen(now, boot);
  }

  bool fail_next_sync() override {
    files_->fail_next(LogFault::append);
    return true;
  }

 private:
  void open_again(domain::Now now, Boot boot) {
    if (boot == Boot::another) options_.boot_id += "x";
    options_.now = now;
    open();
  }
  void open() {
    auto opened = StoreOpener::open(options_, env_.get());
    if (!opened) throw std::runtime_error("the store does not open: " + opened.error().detail);
    store_ = std::move(*opened);
  }

  rocksdb_store::TemporaryDirectory directory_;
  std::shared_ptr<FaultyFileSystem> files_ = std::make_shared<FaultyFileSystem>();
  std::unique_ptr<rocksdb::Env> env_ = rocksdb::NewCompositeEnv(files_);
  rocksdb_store::RocksStoreOptions options_;
  std::unique_ptr<RocksStore> store_;
};

INSTANTIATE_TEST_SUITE_P(RocksDb, OrderStoreContract,
                         ::testing::Values(StoreFactory{
                             .name = "rocksdb", .open = [](const StoreOptions& options) {
                               return std::make_unique<RocksUnderTest>(options);
                             }}));

}  // namespace
}  // namespace penstock::store_contract

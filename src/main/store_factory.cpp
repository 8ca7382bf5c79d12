#include "main/store_factory.h"

#include <filesystem>
#include <system_error>
#include <utility>

#include "adapters/memory/memory_store.h"
#include "adapters/rocksdb/rocks_store.h"
#include "adapters/system/boot_id.h"
#include "domain/error_code.h"
#include "main/shared_store.h"

namespace penstock::main {
namespace {

class OpenRocksStore final : public OpenStore {
 public:
  explicit OpenRocksStore(std::unique_ptr<rocksdb_store::RocksStore> store)
      : store_(std::move(store)) {}

  ports::OrderStore& store() override { return *store_; }
  const ports::OrderReader& reader() const override { return store_->reader(); }
  std::expected<std::vector<domain::Month>, ports::StoreError> drop_history(
      domain::Month first_kept, domain::Now now) override {
    return store_->drop_months_before(first_kept, now);
  }
  std::expected<void, ports::StoreError> close() override { return store_->close(); }

 private:
  std::unique_ptr<rocksdb_store::RocksStore> store_;
};

class OpenMemoryStore final : public OpenStore {
 public:
  explicit OpenMemoryStore(memory_store::MemoryStoreOptions options)
      : store_(std::make_shared<memory_store::MemoryDisk>(), std::move(options)) {}

  ports::OrderStore& store() override { return store_; }
  const ports::OrderReader& reader() const override { return store_; }
  std::expected<std::vector<domain::Month>, ports::StoreError> drop_history(domain::Month,
                                                                            domain::Now) override {
    return std::vector<domain::Month>{};
  }
  std::expected<void, ports::StoreError> close() override {
    store_.close();
    return {};
  }

 private:
  memory_store::MemoryStore store_;
};

std::unique_ptr<OpenStore> open_rocks(const std::string& directory, const ServeOptions& options,
                                      ports::Clock& clock, ports::Log& log) {
  std::error_code failed;
  std::filesystem::create_directories(directory, failed);
  if (failed) {
    log.write(ports::LogLevel::error, "the store's directory cannot be made",
              {{"path", directory},
               {"code", domain::to_string(domain::ErrorCode::store_failed)},
               {"detail", failed.message()}});
    return nullptr;
  }
  rocksdb_store::RocksStoreOptions rocks{.path = directory,
                                         .max_active = options.max_active,
                                         .default_contract = options.default_contract,
                                         .boot_id = system::read_boot_id(),
                                         .now = clock.now()};
  if (options.clock == ClockTrust::accepted) {
    rocks.clock_check = rocksdb_store::ClockCheck::accepted;
  }
  // A fifth of the budget caches blocks, the rest is memory tables; the log that is replayed at a
  // start stays within what they hold.
  rocks.block_cache_bytes = options.memory_budget_bytes / 5;
  rocks.memtable_bytes = options.memory_budget_bytes - rocks.block_cache_bytes;
  rocks.write_ahead_bytes = rocks.memtable_bytes / 8 * 5;
  auto store = rocksdb_store::RocksStore::open(std::move(rocks));
  if (!store) {
    log.write(ports::LogLevel::error, "the store does not open",
              {{"path", directory},
               {"code", domain::to_string(store.error().code)},
               {"detail", store.error().detail}});
    return nullptr;
  }
  return std::make_unique<OpenRocksStore>(std::move(*store));
}

}  // namespace

std::unique_ptr<OpenStore> open_store(const ServeOptions& options, StoreHooks hooks,
                                      ports::Clock& clock, ports::Log& log) {
  if (const auto* const rocks = std::get_if<RocksStore>(&options.store)) {
    return open_rocks(rocks->directory, options, clock, log);
  }
  if (const auto* const database = std::get_if<SharedDatabase>(&options.store)) {
    return open_shared_store(*database, options, std::move(hooks), log);
  }
  return std::make_unique<OpenMemoryStore>(
      memory_store::MemoryStoreOptions{.max_active = options.max_active,
                                       .default_contract = options.default_contract,
                                       .boot_id = system::read_boot_id(),
                                       .now = clock.now()});
}

}  // namespace penstock::main

#include "main/store_factory.h"

#include <string>
#include <system_error>
#include <utility>
#include <variant>
#include <vector>

#include "adapters/memory/memory_store.h"
#include "adapters/rocksdb/rocks_store.h"
#include "adapters/system/boot_id.h"
#include "adapters/system/private_files.h"
#include "domain/error_code.h"
#include "main/shared_store.h"

namespace penstock::main {
namespace {

class OpenRocksStore final : public OpenStore {
 public:
  OpenRocksStore(std::unique_ptr<rocksdb_store::RocksStore> store, ports::Log& log)
      : store_(std::move(store)), log_(log) {}

  ports::OrderStore& store() override { return *store_; }
  const ports::OrderReader& reader() const override { return store_->reader(); }
  std::expected<std::vector<domain::Month>, ports::StoreError> drop_history(
      domain::Month first_kept, domain::Now now) override {
    if (!store_->agrees_with_clock(now)) {
      log_.write(
          ports::LogLevel::warning,
          "the wall clock was set ahead by more than a day while this process ran: no "
          "history is dropped and no idempotency key expires by it. Set the clock, or, if it "
          "is right, restart with --accept-clock",
          {{"code", domain::to_string(domain::ErrorCode::clock_moved)},
           {"clock", domain::to_rfc3339(now.wall)}});
    }
    return store_->drop_months_before(first_kept, now);
  }
  std::expected<void, ports::StoreError> close() override { return store_->close(); }

 private:
  std::unique_ptr<rocksdb_store::RocksStore> store_;
  ports::Log& log_;
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

/// What the embedded store keeps is its owner's alone: webhook secrets are in its log. Files of an
/// older version, or of a copy, may be wider. False where one of them may not be changed.
bool keep_private(const std::string& directory, const std::vector<std::string>& companions,
                  ports::Log& log) {
  std::vector<std::string> paths{directory, directory + ".witness"};
  paths.insert(paths.end(), companions.begin(), companions.end());
  std::size_t narrowed = 0;
  for (const std::string& path : paths) {
    const auto made = system::make_private(path);
    if (!made) {
      log.write(ports::LogLevel::error,
                "a file of the store can be read by other users, and its mode cannot be changed: "
                "the user of this process must own the data directory",
                {{"path", made.error().file.native()},
                 {"code", domain::to_string(domain::ErrorCode::store_inaccessible)},
                 {"detail", std::generic_category().message(made.error().error)}});
      return false;
    }
    narrowed += *made;
  }
  if (narrowed > 0) {
    log.write(ports::LogLevel::warning,
              "files of the store could be read by other users; they are their owner's alone now",
              {{"path", directory}, {"files", narrowed}});
  }
  return true;
}

std::unique_ptr<OpenStore> open_rocks(const std::string& directory, const ServeOptions& options,
                                      ports::Clock& clock, ports::Log& log) {
  rocksdb_store::RocksStoreOptions rocks{.path = directory,
                                         .max_active = options.max_active,
                                         .default_contract = options.default_contract,
                                         .boot_id = system::read_boot_id(),
                                         .now = clock.now()};
  if (options.clock == ClockTrust::accepted) {
    rocks.clock_check = rocksdb_store::ClockCheck::accepted;
  }
  if (const auto* const sandbox = std::get_if<SandboxInProcess>(&options.gateway)) {
    const std::string& ledger = sandbox->ledger_path;
    if (!ledger.empty()) rocks.companions = {ledger, ledger + ".keys"};
  }
  if (!keep_private(directory, rocks.companions, log)) return nullptr;
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
  return std::make_unique<OpenRocksStore>(std::move(*store), log);
}

}  // namespace

std::unique_ptr<OpenStore> open_store(const ServeOptions& options, StoreHooks hooks,
                                      ports::Clock& clock, ports::Log& log) {
  if (const auto* const rocks = std::get_if<RocksStore>(&options.store)) {
    return open_rocks(rocks->directory, options, clock, log);
  }
  if (const auto* const database = std::get_if<SharedDatabase>(&options.store)) {
    return open_shared_store(*database, options, std::move(hooks), clock, log);
  }
  return std::make_unique<OpenMemoryStore>(
      memory_store::MemoryStoreOptions{.max_active = options.max_active,
                                       .default_contract = options.default_contract,
                                       .boot_id = system::read_boot_id(),
                                       .now = clock.now()});
}

}  // namespace penstock::main

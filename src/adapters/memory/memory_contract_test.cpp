#include <memory>
#include <string>
#include <utility>

#include "adapters/memory/memory_store.h"
#include "tests/contract/order_store_contract.h"

// The in-memory store keeps the contract of every store.
namespace penstock::store_contract {
namespace {

class MemoryStoreUnderTest final : public StoreUnderTest {
 public:
  explicit MemoryStoreUnderTest(const StoreOptions& options) : options_(options) {
    open(options.now, Boot::same);
  }

  ports::OrderStore& store() override { return *store_; }
  const ports::OrderReader& reader() override { return *store_; }

  void crash_and_reopen(domain::Now now, Boot boot) override { open(now, boot); }
  void close_and_reopen(domain::Now now, Boot boot) override {
    store_->close();
    open(now, boot);
  }

  bool fail_next_sync() override {
    disk_->next_fault = memory_store::SyncFault{};
    return true;
  }

 private:
  void open(domain::Now now, Boot boot) {
    if (boot == Boot::another) ++boots_;
    store_.reset();
    store_ = std::make_unique<memory_store::MemoryStore>(
        disk_,
        memory_store::MemoryStoreOptions{.max_active = options_.max_active,
                                         .default_contract = options_.default_contract,
                                         .idempotency_retention = options_.idempotency_retention,
                                         .boot_id = "boot-" + std::to_string(boots_),
                                         .now = now});
  }

  StoreOptions options_;
  std::shared_ptr<memory_store::MemoryDisk> disk_ = std::make_shared<memory_store::MemoryDisk>();
  std::unique_ptr<memory_store::MemoryStore> store_;
  int boots_ = 0;
};

INSTANTIATE_TEST_SUITE_P(Memory, OrderStoreContract,
                         ::testing::Values(StoreFactory{
                             "memory",
                             [](const StoreOptions& options) {
                               return std::make_unique<MemoryStoreUnderTest>(options);
                             }}),
                         [](const auto& instance) { return instance.param.name; });

}  // namespace
}  // namespace penstock::store_contract

#include "adapters/memory/memory_disk.h"

#include <memory>
#include <utility>

#include "adapters/memory/memory_store.h"
#include "pipeline/testing/world.h"

namespace penstock::pipeline::testing {
namespace {

class DiskInMemory final : public Disk {
 public:
  explicit DiskInMemory(Options options) : options_(std::move(options)) {}

  void open(domain::Now now) override {
    store_.reset();
    store_ = std::make_unique<memory_store::MemoryStore>(
        disk_, memory_store::MemoryStoreOptions{.max_active = options_.max_active,
                                                .default_contract = options_.contract,
                                                .boot_id = "boot",
                                                .now = now});
  }
  void close_cleanly() override { store_->close(); }
  ports::OrderStore& store() override { return *store_; }
  const ports::OrderReader& reader() const override { return *store_; }
  void fail_next_write(ports::StoreError error, FailedWrite write) override {
    disk_->next_fault = {.error = error,
                         .write = write == FailedWrite::lost ? memory_store::FailingWrite::lost
                                                             : memory_store::FailingWrite::landed};
  }
  std::vector<ports::StoredOrder> orders() const override {
    std::vector<ports::StoredOrder> all;
    for (const auto& [id, stored] : disk_->orders) all.push_back(stored);
    return all;
  }

 private:
  Options options_;
  std::shared_ptr<memory_store::MemoryDisk> disk_ = std::make_shared<memory_store::MemoryDisk>();
  std::unique_ptr<memory_store::MemoryStore> store_;
};

}  // namespace

std::unique_ptr<Disk> make_disk(Disk::Options options) {
  return std::make_unique<DiskInMemory>(std::move(options));
}

}  // namespace penstock::pipeline::testing

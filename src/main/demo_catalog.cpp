#include "main/demo_catalog.h"

#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include <fmt/format.h>

namespace penstock::main {
namespace {

/// Shared with the callbacks, which may come after a waiter gave up.
struct Loading {
  std::mutex mutex;
  std::condition_variable changed;
  std::size_t waiting = 0;
  std::optional<pipeline::Refusal> refused;
};

}  // namespace

std::expected<std::size_t, pipeline::Refusal> load_demo_catalog(pipeline::Intake& intake,
                                                                const ports::OrderReader& reader) {
  auto const tenant = domain::TenantId::unchecked("default");
  std::vector<domain::ProductId> missing;
  for (int number = 1; number <= kDemoProducts; ++number) {
    auto product = domain::ProductId::unchecked(fmt::format("PROD-{:03}", number));
    auto const stock = reader.stock(tenant, product);
    if (!stock) return std::unexpected(pipeline::Refusal::reduced_capacity);
    if (!*stock) missing.push_back(std::move(product));
  }
  auto const loading = std::make_shared<Loading>();
  loading->waiting = missing.size();
  for (const domain::ProductId& product : missing) {
    intake.submit(pipeline::SetStock{
        .tenant = tenant,
        .product = product,
        .on_hand = kDemoStock,
        .done = [loading](std::expected<domain::Stock, pipeline::Refusal> stock) {
          std::lock_guard const lock(loading->mutex);
          if (!stock) loading->refused = stock.error();
          if (--loading->waiting == 0) loading->changed.notify_one();
        }});
  }
  std::unique_lock lock(loading->mutex);
  loading->changed.wait(lock, [&loading] { return loading->waiting == 0; });
  if (loading->refused) return std::unexpected(*loading->refused);
  return missing.size();
}

}  // namespace penstock::main

// The store alone under the pipeline's shortest honest path: accept with reservation, then one
// commit to fulfilled, in full batches. Prints one JSON line.
//
//   rocks_bench <directory> [orders] [batch] [tenants] [products] [backlog]

#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <deque>
#include <fstream>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <sys/resource.h>

#include "adapters/rocksdb/rocks_store.h"
#include "domain/check.h"
#include "domain/saga.h"

namespace {

using namespace penstock;  // NOLINT(google-build-using-namespace): a program of its own
using domain::Order;
using domain::Stage;
using domain::Status;

struct Plan {
  std::string directory;
  std::size_t orders = 2'000'000;
  std::size_t batch = 1024;
  std::size_t tenants = 64;
  std::size_t products = 100;
  std::size_t backlog = 0;  ///< orders that stay active between accept and commit
};

class Bench {
 public:
  explicit Bench(Plan plan)
      : plan_(std::move(plan)), random_(std::random_device{}()), receipt_(400, 'x') {
    for (std::size_t i = 0; i < receipt_.size(); i += 20) {
      receipt_.replace(i, 14, "{\"total\":12.3,");
    }
  }

  int run() {
    rocksdb_store::RocksStoreOptions options;
    options.path = plan_.directory;
    options.boot_id = "bench";
    options.now = now();
    options.clock_check = rocksdb_store::ClockCheck::accepted;
    options.default_contract.bucket.rate.micro_tokens = 1'000'000 * domain::kMicroTokensPerToken;
    options.default_contract.bucket.burst = domain::limits::kMaxBurst;
    auto opened = rocksdb_store::RocksStore::open(options);
    if (!opened) {
      fmt::print(stderr, "open: {}\n", opened.error().detail);
      return 1;
    }
    store_ = std::move(*opened);
    set_stock();
    const double started = seconds();
    const double cpu_before = cpu_seconds();
    const std::uint64_t written_before = written_bytes();
    std::vector<double> quarters{started};
    for (std::size_t accepted = 0, ended = 0; ended < plan_.orders;) {
      commands_.clear();
      const std::size_t most = std::min(plan_.batch, plan_.orders - accepted);
      for (std::size_t i = 0; i < most; ++i) commands_.emplace_back(accept());
      accepted += most;
      const bool is_behind = accepted - ended > plan_.backlog || accepted == plan_.orders;
      if (is_behind) ended += add_fulfilled();
      apply();
      if (ended >= quarters.size() * plan_.orders / 4) quarters.push_back(seconds());
    }
    report(quarters, cpu_seconds() - cpu_before, written_bytes() - written_before);
    return 0;
  }

 private:
  static double seconds() {
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch())
        .count();
  }
  static domain::Now now() {
    const auto wall = std::chrono::system_clock::now().time_since_epoch();
    const auto steady = std::chrono::steady_clock::now().time_since_epoch();
    return {.wall = {std::chrono::duration_cast<std::chrono::microseconds>(wall).count()},
            .monotonic = {std::chrono::duration_cast<std::chrono::nanoseconds>(steady).count()}};
  }
  static double cpu_seconds() {
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    const auto of = [](timeval time) {
      return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) * 1e-6;
    };
    return of(usage.ru_utime) + of(usage.ru_stime);
  }
  static std::uint64_t written_bytes() {
    std::ifstream io("/proc/self/io");
    std::string name;
    std::uint64_t value = 0;
    while (io >> name >> value) {
      if (name == "write_bytes:") return value;
    }
    return 0;
  }
  static std::size_t resident_bytes() {
    std::ifstream statm("/proc/self/statm");
    std::size_t pages = 0;
    statm >> pages >> pages;
    return pages * 4096;
  }

  void set_stock() {
    for (std::size_t tenant = 0; tenant < plan_.tenants; ++tenant) {
      commands_.clear();
      for (std::size_t product = 0; product < plan_.products; ++product) {
        commands_.emplace_back(ports::SetStock{
            .tenant = tenant_named(tenant), .product = product_named(product), .on_hand = 1 << 30});
      }
      apply();
    }
  }
  static domain::TenantId tenant_named(std::size_t number) {
    return domain::TenantId::unchecked(fmt::format("tenant-{}", number));
  }
  static domain::ProductId product_named(std::size_t number) {
    return domain::ProductId::unchecked(fmt::format("PROD-{:03}", number));
  }

  ports::Accept accept() {
    const domain::Now at = now();
    Order draft;
    draft.id = domain::OrderId::make(at.wall, random_(), random_());
    draft.tenant = tenant_named(random_() % plan_.tenants);
    draft.customer = domain::CustomerId::unchecked(fmt::format("cust-{}", random_() % 100'000));
    draft.items.push_back({.product = product_named(random_() % plan_.products),
                           .quantity = 1,
                           .price_minor = 1'000});
    draft.total.minor_units = 1'000;
    draft.payment_method = "pm_ok";
    draft.correlation =
        domain::CorrelationId::unchecked(fmt::format("{:016x}{:016x}", random_(), random_()));
    ports::Accept accept;
    const Order placed = domain::place(std::move(draft), at.wall);
    auto step = domain::next_step(placed, policy_, {.now = at.wall, .random = random_()});
    auto& advance = std::get<domain::Advance>(step);
    accept.commit = {
        .next = std::move(advance.next), .read = {0}, .stock = advance.stock, .receipt = {}};
    ports::IdempotencyClaim claim;
    claim.key = domain::IdempotencyKey::unchecked(
        fmt::format("idem-{:016x}{:012x}", random_(), random_() & 0xffff'ffff'ffff));
    for (std::uint8_t& byte : claim.fingerprint) byte = static_cast<std::uint8_t>(random_());
    accept.idempotency = std::move(claim);
    return accept;
  }

  std::size_t add_fulfilled() {
    auto claimed = store_->claim(Stage::payment, plan_.batch, now());
    PENSTOCK_CHECK(claimed.has_value(), "claim");
    for (Order& order : *claimed) {
      const domain::Moment moment{.now = now().wall, .random = random_()};
      const domain::Version read = order.version;
      auto charged = domain::after_effect(
          order, domain::EffectKind::charge,
          {.kind = domain::OutcomeKind::done, .reference = order.id.str()}, policy_, moment, 1);
      auto& first = std::get<domain::Advance>(charged);
      auto fulfilled = domain::next_step(first.next, policy_, moment);
      auto& second = std::get<domain::Advance>(fulfilled);
      commands_.emplace_back(ports::Commit{.next = std::move(second.next),
                                           .read = read,
                                           .stock = second.stock,
                                           .receipt = receipt_});
    }
    const auto batches = store_->take_terminal_batches(16);
    PENSTOCK_CHECK(batches.has_value(), "take");
    for (const auto& batch : *batches) {
      commands_.emplace_back(
          ports::FinishTerminalBatch{.sequence = batch.sequence, .deliveries = {}});
    }
    return claimed->size();
  }

  void apply() {
    const auto results = store_->apply(commands_, now());
    PENSTOCK_CHECK(results.has_value(), "apply");
    for (const ports::CommandResult& result : *results) {
      const auto* accept = std::get_if<ports::AcceptResult>(&result);
      PENSTOCK_CHECK(accept == nullptr || accept->outcome == ports::AcceptOutcome::accepted,
                     "accepted");
      const auto* commit = std::get_if<ports::CommitResult>(&result);
      PENSTOCK_CHECK(commit == nullptr || commit->outcome == ports::CommitOutcome::committed,
                     "committed");
    }
  }

  void report(const std::vector<double>& quarters, double cpu, std::uint64_t written) const {
    const auto orders = static_cast<double>(plan_.orders);
    const double quarter = orders / 4;
    fmt::print(
        "{{\"orders\": {}, \"batch\": {}, \"tenants\": {}, \"products\": {}, \"backlog\": {}, "
        "\"orders_per_second\": {:.0f}, \"first_quarter\": {:.0f}, \"last_quarter\": {:.0f}, "
        "\"cpu_us_per_order\": {:.2f}, \"written_bytes_per_order\": {:.0f}, \"rss_mb\": {:.0f}}}\n",
        plan_.orders, plan_.batch, plan_.tenants, plan_.products, plan_.backlog,
        orders / (quarters.back() - quarters.front()), quarter / (quarters.at(1) - quarters.at(0)),
        quarter / (quarters.at(quarters.size() - 1) - quarters.at(quarters.size() - 2)),
        cpu * 1e6 / orders, static_cast<double>(written) / orders,
        static_cast<double>(resident_bytes()) / 1e6);
  }

  Plan plan_;
  domain::SagaPolicy policy_;
  std::mt19937_64 random_;
  std::string receipt_;
  std::unique_ptr<rocksdb_store::RocksStore> store_;
  std::vector<ports::Command> commands_;
};

}  // namespace

int main(int count, char** arguments) {
  if (count < 2) return 2;
  Plan plan{.directory = arguments[1]};
  std::size_t* const numbers[] = {&plan.orders, &plan.batch, &plan.tenants, &plan.products,
                                  &plan.backlog};
  for (int i = 2; i < count && i < 7; ++i) {
    *numbers[i - 2] = std::strtoull(arguments[i], nullptr, 10);
  }
  return Bench(std::move(plan)).run();
}

// The store alone under the pipeline's shortest honest path: accept with reservation, claim, then
// one commit to fulfilled, in full batches. Prints one JSON line.
//
//   postgres_store_bench [orders] [batch] [tenants] [products] [url]
//
// Without a URL it starts a server of its own, with fsync and synchronous_commit on.

#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <memory>
#include <optional>
#include <sstream>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <sys/resource.h>
#include <unistd.h>

#include "adapters/postgres/migrations.h"
#include "adapters/postgres/postgres_store.h"
#include "domain/saga.h"
#include "tests/contract/order_builder.h"
#include "tests/postgres/test_server.h"

namespace {

using namespace penstock;  // NOLINT(google-build-using-namespace): a program of its own
using domain::Order;
using Clock = std::chrono::steady_clock;

struct Plan {
  std::size_t orders = 20'000;
  std::size_t batch = 512;
  std::size_t tenants = 16;
  std::size_t products = 100;
  std::string url;
};

/// Wall time and the server process's CPU time of one kind of call.
struct Phase {
  double seconds = 0;
  double server_cpu_seconds = 0;
};

double own_cpu_seconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto of = [](timeval time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) * 1e-6;
  };
  return of(usage.ru_utime) + of(usage.ru_stime);
}

/// Of another process on this machine; zero where it is elsewhere.
double cpu_seconds_of(int pid) {
  std::ifstream stat(fmt::format("/proc/{}/stat", pid));
  std::string text((std::istreambuf_iterator<char>(stat)), std::istreambuf_iterator<char>());
  const std::size_t name_end = text.rfind(')');
  if (name_end == std::string::npos) return 0;
  std::istringstream fields(text.substr(name_end + 2));
  std::string skipped;
  for (int field = 0; field < 11; ++field) fields >> skipped;
  double user = 0;
  double system = 0;
  fields >> user >> system;
  return (user + system) / static_cast<double>(sysconf(_SC_CLK_TCK));
}

domain::Instant now() {
  const auto since = std::chrono::system_clock::now().time_since_epoch();
  return {std::chrono::duration_cast<std::chrono::microseconds>(since).count()};
}

class Bench {
 public:
  explicit Bench(Plan plan) : plan_(std::move(plan)), receipt_(400, 'x') {
    if (plan_.url.empty()) {
      server_ = std::make_unique<postgres_testing::TestServer>(postgres_testing::Disk::synced);
      plan_.url = server_->url();
    }
    postgres_store::PostgresStoreOptions options;
    options.url = plan_.url;
    options.schema = "bench_orders";
    options.node = "bench";
    options.default_contract.bucket = {
        .rate = {.micro_tokens = 1'000'000 * domain::kMicroTokensPerToken},
        .burst = domain::limits::kMaxBurst};
    postgres_store::ConnectionOptions connection{
        .url = plan_.url, .schema = options.schema, .name = "bench"};
    if (auto done = postgres_store::migrate(connection); !done) {
      throw std::runtime_error(done.error().detail);
    }
    side_ = opened(postgres_store::Connection::open(connection, {}));
    store_ = opened(postgres_store::PostgresStore::open(options));
  }

  void run() {
    set_stock();
    const std::uint64_t trips_before = store_->round_trips();
    const std::int64_t wal_before = wal_position();
    const double cpu_before = own_cpu_seconds();
    const auto started = Clock::now();
    for (std::size_t accepted = 0; accepted < plan_.orders; accepted += plan_.batch) {
      const std::size_t count = std::min(plan_.batch, plan_.orders - accepted);
      std::vector<ports::Command> accepts = accepts_of(count);
      measure(accept_, [&] { apply(accepts); });
      std::vector<Order> claimed;
      measure(claim_, [&] { claimed = claim(count); });
      std::vector<ports::Command> commits = commits_of(claimed);
      measure(commit_, [&] { apply(commits); });
    }
    const double seconds = std::chrono::duration<double>(Clock::now() - started).count();
    report(seconds, own_cpu_seconds() - cpu_before, wal_position() - wal_before,
           store_->round_trips() - trips_before);
  }

 private:
  template <typename Value>
  static Value opened(std::expected<Value, postgres_store::Failure> result) {
    if (!result) throw std::runtime_error(result.error().detail);
    return *std::move(result);
  }

  void measure(Phase& phase, auto work) {
    const double cpu_before = cpu_seconds_of(store_->backend_pid());
    const auto started = Clock::now();
    work();
    phase.seconds += std::chrono::duration<double>(Clock::now() - started).count();
    phase.server_cpu_seconds += cpu_seconds_of(store_->backend_pid()) - cpu_before;
  }

  std::string tenant(std::size_t number) const {
    return fmt::format("tenant-{}", number % plan_.tenants);
  }
  std::string product(std::size_t number) const {
    return fmt::format("product-{}", number % plan_.products);
  }

  void set_stock() {
    for (std::size_t tenant_number = 0; tenant_number < plan_.tenants; ++tenant_number) {
      std::vector<ports::Command> commands;
      for (std::size_t number = 0; number < plan_.products; ++number) {
        commands.emplace_back(
            ports::SetStock{.tenant = domain::TenantId::unchecked(tenant(tenant_number)),
                            .product = domain::ProductId::unchecked(product(number)),
                            .on_hand = 1'000'000'000});
      }
      apply(commands);
    }
  }

  std::vector<ports::Command> accepts_of(std::size_t count) {
    std::vector<ports::Command> commands;
    const domain::Instant at = now();
    for (std::size_t each = 0; each < count; ++each) {
      const std::size_t number = ++numbers_;
      store_contract::OrderBuilder builder(number);
      builder.tenant(tenant(number)).metadata("channel", "web");
      builder.item(product(number * 7), 2).item(product(number * 13 + 1), 1);
      auto reserved = store_contract::steps::next(builder.placed(at), at);
      ports::Accept accept;
      accept.commit.next = std::move(reserved.next);
      accept.commit.stock = reserved.stock;
      accept.idempotency = ports::IdempotencyClaim{
          .key = domain::IdempotencyKey::unchecked(fmt::format("k{}-{}", at.us, number)),
          .fingerprint = {1}};
      commands.emplace_back(std::move(accept));
    }
    return commands;
  }

  std::vector<ports::Command> commits_of(const std::vector<Order>& claimed) {
    std::vector<ports::Command> commands;
    const domain::Instant at = now();
    for (const Order& order : claimed) {
      const Order charged = store_contract::steps::capture(order, at).next;
      auto fulfilled = store_contract::steps::next(charged, at);
      commands.emplace_back(ports::Commit{.next = std::move(fulfilled.next),
                                          .read = order.version,
                                          .stock = fulfilled.stock,
                                          .receipt = receipt_});
    }
    return commands;
  }

  std::vector<Order> claim(std::size_t count) {
    auto claimed = store_->claim(domain::Stage::payment, count, {});
    if (!claimed) throw std::runtime_error(store_->last_failure());
    return *std::move(claimed);
  }

  void apply(std::vector<ports::Command>& commands) {
    const auto results = store_->apply(commands, {});
    if (!results) throw std::runtime_error(store_->last_failure());
    for (const ports::CommandResult& result : *results) {
      const auto* accept = std::get_if<ports::AcceptResult>(&result);
      const auto* commit = std::get_if<ports::CommitResult>(&result);
      const bool is_done =
          (accept == nullptr || accept->outcome == ports::AcceptOutcome::accepted) &&
          (commit == nullptr || commit->outcome == ports::CommitOutcome::committed);
      if (!is_done) throw std::runtime_error("a command was refused");
    }
  }

  std::int64_t wal_position() {
    return opened(side_->query("SELECT (pg_current_wal_insert_lsn() - '0/0')::bigint"))
        .integer(0, 0);
  }

  void report(double seconds, double cpu, std::int64_t wal, std::uint64_t trips) const {
    const auto orders = static_cast<double>(plan_.orders);
    const auto phase = [&](const char* name, const Phase& each) {
      return fmt::format(R"("{0}_us_per_order":{1:.1f},"{0}_server_cpu_us_per_order":{2:.1f})",
                         name, each.seconds / orders * 1e6, each.server_cpu_seconds / orders * 1e6);
    };
    fmt::print(R"({{"orders":{},"batch":{},"tenants":{},"products":{},"orders_per_s":{:.0f},)"
               R"("round_trips_per_order":{:.4f},"wal_bytes_per_order":{:.0f},)"
               R"("client_cpu_us_per_order":{:.1f},{},{},{}}})"
               "\n",
               plan_.orders, plan_.batch, plan_.tenants, plan_.products, orders / seconds,
               static_cast<double>(trips) / orders, static_cast<double>(wal) / orders,
               cpu / orders * 1e6, phase("accept", accept_), phase("claim", claim_),
               phase("commit", commit_));
  }

  Plan plan_;
  std::string receipt_;
  std::unique_ptr<postgres_testing::TestServer> server_;
  std::unique_ptr<postgres_store::Connection> side_;
  std::unique_ptr<postgres_store::PostgresStore> store_;
  std::size_t numbers_ = 0;
  Phase accept_;
  Phase claim_;
  Phase commit_;
};

}  // namespace

int main(int count, char** arguments) {
  Plan plan;
  std::size_t* const sizes[] = {&plan.orders, &plan.batch, &plan.tenants, &plan.products};
  for (int index = 1; index < count && index <= 4; ++index) {
    *sizes[index - 1] = std::strtoull(arguments[index], nullptr, 10);
  }
  if (count > 5) plan.url = arguments[5];
  try {
    Bench(std::move(plan)).run();
  } catch (const std::exception& error) {
    fmt::print(stderr, "postgres_store_bench: {}\n", error.what());
    return 1;
  }
  return 0;
}

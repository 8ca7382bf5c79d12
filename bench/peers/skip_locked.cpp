// The pipeline that a good engineer writes by hand, as the yardstick: see README.md. Prints one
// JSON line.
//
//   skip_locked --url URL [--orders N | --listen PORT] [--batch N] [--workers a,b,c,d,e]
//               [--tenants N] [--products N] [--backlog N] [--stage-index on|off]
//               [--timeline on|off] [--ingest grouped|one] [--gather MS]
//
// With --orders it places its own orders, at most `backlog` unfinished at a time. With --listen it
// serves what `penstock bench --server` asks for, until SIGTERM.

#include <atomic>
#include <bit>
#include <charconv>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <iostream>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>

#include <fmt/format.h>

#include "adapters/postgres/binary.h"
#include "api/sha256.h"
#include "bench/peers/skip_locked_stages.h"
#include "net/http_server.h"
#include "net/json.h"

namespace {

using namespace penstock;  // NOLINT(google-build-using-namespace): a program of its own
using peer::NewOrder;
using peer::Pipeline;
using Clock = std::chrono::steady_clock;

std::uint64_t number(const std::string& text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) {
    throw std::runtime_error(fmt::format("\"{}\" is no number", text));
  }
  return value;
}

struct Plan {
  peer::Tuning tuning;
  std::uint64_t orders = 0;
  std::optional<std::uint16_t> port;
  std::uint64_t tenants = 16;
  std::uint64_t products = 100;
  std::uint64_t backlog = 4096;
};

Plan plan_of(int count, char** arguments) {
  std::map<std::string, std::string> flags;
  for (int at = 1; at + 1 < count; at += 2) flags[arguments[at]] = arguments[at + 1];
  Plan plan;
  const auto set = [&](const char* name, auto& value) {
    if (flags.contains(name)) value = number(flags[name]);
  };
  plan.tuning.url = flags["--url"];
  set("--orders", plan.orders);
  set("--batch", plan.tuning.batch);
  set("--tenants", plan.tenants);
  set("--products", plan.products);
  set("--backlog", plan.backlog);
  if (flags.contains("--listen")) plan.port = static_cast<std::uint16_t>(number(flags["--listen"]));
  if (flags["--ingest"] == "one") plan.tuning.ingest = peer::Ingest::one_by_one;
  std::uint64_t gather_ms = 0;
  set("--gather", gather_ms);
  plan.tuning.gather = std::chrono::milliseconds(gather_ms);
  if (flags["--stage-index"] == "off") plan.tuning.has_stage_index = false;
  if (flags["--timeline"] == "off") {
    plan.tuning.statements = peer::sql::statements(peer::sql::Timeline::none);
  }
  std::string rest = flags["--workers"];
  for (std::size_t stage = 0; stage < 5 && !rest.empty(); ++stage) {
    const std::size_t comma = std::min(rest.find(','), rest.size());
    plan.tuning.workers.at(stage) = number(rest.substr(0, comma));
    rest.erase(0, comma + 1);
  }
  if (plan.tuning.url.empty() || (plan.orders == 0 && !plan.port)) {
    throw std::runtime_error("needs --url and --orders or --listen");
  }
  return plan;
}

domain::OrderId new_id() {
  thread_local std::uint64_t state =
      static_cast<std::uint64_t>(Clock::now().time_since_epoch().count()) | 1;
  const auto next = [] {
    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    return state * 0x2545F4914F6CDD1D;
  };
  const auto since = std::chrono::system_clock::now().time_since_epoch();
  const domain::Instant now{std::chrono::duration_cast<std::chrono::microseconds>(since).count()};
  return domain::OrderId::make(now, next(), next());
}

/// One connection for what operators set, shared under a lock.
class Operator {
 public:
  explicit Operator(const peer::Tuning& tuning) {
    auto opened = postgres_store::Connection::open(
        {.url = tuning.url, .schema = tuning.schema, .name = "peer operator"}, tuning.statements);
    if (!opened) throw std::runtime_error(opened.error().detail);
    connection_ = *std::move(opened);
  }

  void put_tenant(const std::string& tenant) {
    constexpr double kRate = 1'000'000;
    constexpr double kBurst = 10'000'000;
    run(peer::sql::kPutTenant,
        postgres_store::Parameters().add(tenant).add(binary(kRate)).add(binary(kBurst)));
  }
  void put_stock(const std::string& tenant, const std::string& product) {
    run(peer::sql::kPutStock, postgres_store::Parameters().add(tenant).add(product).add(
                                  postgres_store::to_binary(std::int64_t{1'000'000'000})));
  }
  std::int64_t wal_position() {
    const std::lock_guard lock(mutex_);
    auto rows = connection_->query("SELECT (pg_current_wal_insert_lsn() - '0/0')::bigint");
    if (!rows) throw std::runtime_error(rows.error().detail);
    return rows->integer(0, 0);
  }

 private:
  static std::string binary(double value) {
    return postgres_store::to_binary(std::bit_cast<std::int64_t>(value));
  }
  void run(const postgres_store::Statement& statement,
           const postgres_store::Parameters& parameters) {
    const std::lock_guard lock(mutex_);
    auto done = connection_->run(statement, parameters);
    if (!done) throw std::runtime_error(done.error().detail);
  }

  std::mutex mutex_;
  std::unique_ptr<postgres_store::Connection> connection_;
};

int run_alone(const Plan& plan) {
  Operator admin(plan.tuning);
  const auto tenant_name = [](std::uint64_t at) { return fmt::format("bench-{:05}", at); };
  const auto product_name = [](std::uint64_t at) { return fmt::format("BENCH-{:06}", at); };
  for (std::uint64_t tenant = 0; tenant < plan.tenants; ++tenant) {
    admin.put_tenant(tenant_name(tenant));
    for (std::uint64_t product = 0; product < plan.products; ++product) {
      admin.put_stock(tenant_name(tenant), product_name(product));
    }
  }
  Pipeline pipeline(plan.tuning);
  std::atomic<std::uint64_t> refused = 0;
  const std::int64_t wal_before = admin.wal_position();
  const auto started = Clock::now();
  for (std::uint64_t placed = 0; placed < plan.orders;) {
    while (placed < plan.orders && placed - pipeline.ended() < plan.backlog) {
      pipeline.place({.id = new_id(),
                      .tenant = tenant_name(placed % plan.tenants),
                      .customer = fmt::format("cust-{:06}", placed),
                      .key = fmt::format("b1-{:012}", placed),
                      .product = product_name(placed * 7919 % plan.products),
                      .price_minor = 1000,
                      .payment_method = "pm_card_visa",
                      .fingerprint = {},
                      .stored = [&refused](bool is_stored) { refused += is_stored ? 0 : 1; }});
      ++placed;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  while (pipeline.ended() + refused < plan.orders) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  const double seconds = std::chrono::duration<double>(Clock::now() - started).count();
  const auto batches = pipeline.batches();
  const auto mean = [&](std::size_t stage) {
    return static_cast<double>(plan.orders) /
           static_cast<double>(std::max<std::uint64_t>(1, batches.at(stage)));
  };
  fmt::print(
      R"({{"orders":{},"refused":{},"orders_per_s":{:.0f},"wal_bytes_per_order":{:.0f},)"
      R"("mean_batch":[{:.0f},{:.0f},{:.0f},{:.0f},{:.0f}]}})"
      "\n",
      plan.orders, refused.load(), static_cast<double>(plan.orders) / seconds,
      static_cast<double>(admin.wal_position() - wal_before) / static_cast<double>(plan.orders),
      mean(0), mean(1), mean(2), mean(3), mean(4));
  return refused == 0 ? 0 : 1;
}

net::HttpResponse plain(int status, std::string body) {
  return {.status = status, .content_type = "application/json", .body = std::move(body)};
}

std::string text_of(const std::optional<net::JsonView>& value) {
  return value ? std::string(value->as_string().value_or("")) : "";
}

/// An order as the load sends it, of one line; nothing for any other body.
std::optional<NewOrder> order_of(const std::string& body) {
  const auto document = net::JsonDocument::parse(body);
  if (!document) return std::nullopt;
  const net::JsonView root = document->root();
  const auto items = root.find("items");
  const auto payment = root.find("payment");
  if (!items || items->size() != 1 || !payment) return std::nullopt;
  const net::JsonView item = *items->items().begin();
  const auto quantity = item.find("quantity");
  NewOrder order{
      .id = new_id(),
      .tenant = text_of(root.find("tenant_id")),
      .customer = text_of(root.find("customer_id")),
      .key = text_of(root.find("idempotency_key")),
      .product = text_of(item.find("product_id")),
      .quantity = static_cast<std::int32_t>(quantity ? quantity->as_int64().value_or(0) : 0),
      .price_minor = 1000,
      .payment_method = text_of(payment->find("method")),
      .fingerprint = api::sha256({"POST /orders ", body}),
      .stored = {}};
  if (order.tenant.empty() || order.product.empty() || order.quantity < 1) return std::nullopt;
  return order;
}

void answer(const net::HttpRequest& request, net::Responder responder, Pipeline& pipeline,
            Operator& admin) {
  const std::string path(request.path());
  const auto name = [&](std::string_view prefix) { return path.substr(prefix.size()); };
  if (path == "/orders" && request.method == net::HttpMethod::post) {
    auto order = order_of(request.body);
    if (!order) return responder.send(plain(422, "{}"));
    const auto waiting = std::make_shared<net::Responder>(std::move(responder));
    order->stored = [waiting, id = order->id.str()](bool is_stored) {
      net::HttpResponse response =
          plain(is_stored ? 202 : 429, fmt::format(R"({{"order_id":"{}","status":"placed"}})", id));
      if (is_stored) response.headers.push_back({"Location", "/orders/" + id});
      waiting->send(std::move(response));
    };
    pipeline.place(*std::move(order));
  } else if (path == "/queues") {
    const std::uint64_t ended = pipeline.ended();
    responder.send(plain(200, fmt::format(R"({{"active":{},"ended":{{"fulfilled":{}}}}})",
                                          pipeline.accepted() - ended, ended)));
  } else if (path.starts_with("/tenants/")) {
    admin.put_tenant(name("/tenants/"));
    responder.send(plain(200, "{}"));
  } else if (path.starts_with("/inventory/")) {
    const auto document = net::JsonDocument::parse(request.body);
    admin.put_stock(document ? text_of(document->root().find("tenant_id")) : "",
                    name("/inventory/"));
    responder.send(plain(200, "{}"));
  } else {
    responder.send(plain(404, "{}"));
  }
}

int serve(const Plan& plan) {
  sigset_t stop;
  sigemptyset(&stop);
  sigaddset(&stop, SIGTERM);
  sigaddset(&stop, SIGINT);
  pthread_sigmask(SIG_BLOCK, &stop, nullptr);
  Operator admin(plan.tuning);
  Pipeline pipeline(plan.tuning);
  net::HttpServer server({.port = *plan.port});
  const auto started = server.start([&](net::HttpRequest&& request, net::Responder responder) {
    answer(request, std::move(responder), pipeline, admin);
  });
  if (!started) throw std::runtime_error(std::string(net::to_string(started.error())));
  std::cout << "listening on http://127.0.0.1:" << server.port() << std::endl;
  int signal = 0;
  sigwait(&stop, &signal);
  server.stop();
  return 0;
}

}  // namespace

int main(int count, char** arguments) {
  try {
    const Plan plan = plan_of(count, arguments);
    peer::make_schema(plan.tuning);
    return plan.port ? serve(plan) : run_alone(plan);
  } catch (const std::exception& error) {
    std::cerr << "skip_locked: " << error.what() << '\n';
    return 2;
  }
}

#include "main/serve_options.h"

#include <charconv>
#include <system_error>

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>

#include "adapters/system/json_log.h"
#include "net/url.h"

namespace penstock::main {
namespace {

bool is_url(const std::string& text) {
  return net::parse_url(text).has_value();
}

std::expected<StoreChoice, std::string> store_choice(const Settings& settings) {
  const std::string& text = settings.text("store");
  if (text.empty()) return RocksStore{settings.text("data") + "/store"};
  if (text == "memory:") return MemoryOnly{};
  constexpr std::string_view kRocks = "rocksdb:";
  if (text.starts_with(kRocks) && text.size() > kRocks.size()) {
    return RocksStore{text.substr(kRocks.size())};
  }
  for (std::string_view const other : {"postgres:", "postgresql:", "aws:"}) {
    if (text.starts_with(other)) {
      return std::unexpected(fmt::format("--store {}: this store is not in this build", text));
    }
  }
  return std::unexpected(fmt::format("--store {}: needs rocksdb:DIR or memory:", text));
}

std::expected<GatewayChoice, std::string> gateway_choice(const Settings& settings,
                                                         const StoreChoice& store) {
  const std::string& text = settings.text("gateway");
  if (text == "sandbox") {
    bool const lasting = std::holds_alternative<RocksStore>(store);
    return SandboxInProcess{lasting ? settings.text("data") + "/sandbox-ledger.jsonl" : ""};
  }
  if (is_url(text)) return GatewayUrl{text};
  return std::unexpected(fmt::format("--gateway {}: needs sandbox or an http(s) URL", text));
}

std::optional<std::string> why_not_together(const ServeOptions& options) {
  if (!options.admin_key && !is_loopback(options.listen)) {
    return fmt::format(
        "--listen {}: without an admin key the server is open to everybody, so it listens on "
        "loopback only; set PENSTOCK_ADMIN_KEY",
        options.listen.str());
  }
  if (!options.fulfiller_hook.empty() && !is_url(options.fulfiller_hook)) {
    return fmt::format("--fulfiller-hook {}: needs an http(s) URL", options.fulfiller_hook);
  }
  if (options.saga.backoff.base > options.saga.backoff.cap) {
    return "--retry-base is longer than --retry-cap";
  }
  return std::nullopt;
}

}  // namespace

std::string ListenAddress::str() const {
  bool const v6 = address.find(':') != std::string::npos;
  return v6 ? fmt::format("[{}]:{}", address, port) : fmt::format("{}:{}", address, port);
}

std::optional<ListenAddress> parse_listen_address(std::string_view text) {
  std::size_t const colon = text.rfind(':');
  if (colon == std::string_view::npos) return std::nullopt;
  std::string_view host = text.substr(0, colon);
  std::string_view const digits = text.substr(colon + 1);
  ListenAddress parsed;
  auto const [end, error] =
      std::from_chars(digits.data(), digits.data() + digits.size(), parsed.port);
  if (error != std::errc{} || end != digits.data() + digits.size()) return std::nullopt;
  bool const bracketed = host.size() > 2 && host.front() == '[' && host.back() == ']';
  if (bracketed) host = host.substr(1, host.size() - 2);
  parsed.address = host == "localhost" ? "127.0.0.1" : std::string(host);
  in6_addr bytes{};
  int const family = bracketed ? AF_INET6 : AF_INET;
  if (::inet_pton(family, parsed.address.c_str(), &bytes) != 1) return std::nullopt;
  return parsed;
}

bool is_loopback(const ListenAddress& address) {
  in_addr v4{};
  if (::inet_pton(AF_INET, address.address.c_str(), &v4) == 1) {
    return (ntohl(v4.s_addr) >> 24) == 127;
  }
  in6_addr v6{};
  return ::inet_pton(AF_INET6, address.address.c_str(), &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
}

std::expected<ServeOptions, std::string> serve_options(const Settings& settings) {
  auto const listen = parse_listen_address(settings.text("listen"));
  if (!listen) {
    return std::unexpected(
        fmt::format("--listen {}: needs an IP address and a port, as 127.0.0.1:9000 or [::1]:9000",
                    settings.text("listen")));
  }
  auto store = store_choice(settings);
  if (!store) return std::unexpected(store.error());
  auto gateway = gateway_choice(settings, *store);
  if (!gateway) return std::unexpected(gateway.error());
  const std::string& hook = settings.text("fulfiller-hook");
  ServeOptions options{
      .listen = *listen,
      .admin_key = settings.text("admin-key").empty() ? std::nullopt
                                                      : std::optional(settings.text("admin-key")),
      .data_directory = settings.text("data"),
      .store = *store,
      .gateway = *gateway,
      .gateway_timeout = std::chrono::milliseconds(settings.duration("gateway-timeout").us / 1000),
      .saga = {.backoff = {.base = settings.duration("retry-base"),
                           .cap = settings.duration("retry-cap")},
               .gateway_key_retention = settings.duration("gateway-key-retention"),
               .dead_letter_hold = settings.duration("dead-letter-hold"),
               .fulfillment =
                   hook.empty() ? domain::FulfillmentMode::accepts : domain::FulfillmentMode::hook},
      .max_payments_in_flight =
          static_cast<std::size_t>(settings.integer("max-payments-in-flight")),
      .fulfiller_hook = hook,
      .receipts_directory = settings.text("receipts"),
      .webhook_reach =
          settings.on("webhook-allow-private") ? WebhookReach::any : WebhookReach::public_only,
      .demo_catalog = settings.on("demo-catalog") ? DemoCatalog::loaded : DemoCatalog::left_out,
      .default_contract = {.bucket = {.rate = settings.rate("default-rate"),
                                      .burst = settings.integer("default-burst")},
                           .guarantee = std::nullopt,
                           .weight = 1,
                           .webhook = std::nullopt},
      .max_active = static_cast<std::size_t>(settings.integer("max-active")),
      .drain = std::chrono::seconds(settings.integer("drain-seconds")),
      .clock = settings.on("accept-clock") ? ClockTrust::accepted : ClockTrust::checked,
      .http_threads = static_cast<std::size_t>(settings.integer("http-threads")),
      .max_connections = static_cast<std::size_t>(settings.integer("max-connections")),
      .history_months = static_cast<std::int32_t>(settings.integer("history-months")),
      .memory_budget_bytes = static_cast<std::size_t>(settings.integer("memory-budget")) << 20,
      .log_level = *system::parse_log_level(settings.text("log-level")),
  };
  if (auto why = why_not_together(options)) return std::unexpected(*std::move(why));
  return options;
}

}  // namespace penstock::main

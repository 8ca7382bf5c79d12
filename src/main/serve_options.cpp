#include "main/serve_options.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <system_error>
#include <utility>

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <unistd.h>

#include "adapters/system/json_log.h"
#include "net/redaction.h"
#include "net/url.h"

namespace penstock::main {
namespace {

/// As long as a node's name may be (docs/postgres.md).
constexpr std::size_t kMaxNodeBytes = 40;

using StageSwitch = bool pipeline::Stages::*;
constexpr std::array<std::pair<std::string_view, StageSwitch>, 5> kStageNames{{
    {"ingest", &pipeline::Stages::ingest},
    {"inventory", &pipeline::Stages::inventory},
    {"payment", &pipeline::Stages::payment},
    {"fulfillment", &pipeline::Stages::fulfillment},
    {"notification", &pipeline::Stages::notification},
}};
constexpr pipeline::Stages kNoStages{.ingest = false,
                                     .inventory = false,
                                     .payment = false,
                                     .fulfillment = false,
                                     .notification = false};

bool is_node_letter(char letter) {
  return (letter >= 'a' && letter <= 'z') || (letter >= 'A' && letter <= 'Z') ||
         (letter >= '0' && letter <= '9') || letter == '.' || letter == '_' || letter == '-';
}

bool is_node(std::string_view name) {
  return !name.empty() && name.size() <= kMaxNodeBytes && std::ranges::all_of(name, is_node_letter);
}

/// The host with the port or the stages: the same at the next start, and another for each process
/// of a host that can run beside it.
std::string standard_node(const ServeOptions& options) {
  std::array<char, 256> host{};
  if (::gethostname(host.data(), host.size() - 1) != 0) host[0] = '\0';
  std::string tail = options.role == Role::server
                         ? fmt::format("-{}", options.listen ? options.listen->port : 0)
                         : "-" + to_string(options.stages);
  std::ranges::replace(tail, ',', '-');
  tail.resize(std::min(tail.size(), kMaxNodeBytes - 1));
  std::string name(host.data());
  std::ranges::replace_if(name, [](char letter) { return !is_node_letter(letter); }, '-');
  name.resize(std::min(name.size(), kMaxNodeBytes - tail.size()));
  return name + tail;
}

bool is_url(const std::string& text) {
  return net::parse_url(text).has_value();
}

std::expected<GatewayChoice, std::string> gateway_choice(const Settings& settings,
                                                         const ServeOptions& options) {
  const std::string& text = settings.text("gateway");
  if (!options.stages.payment) return NoGateway{};
  if (text == "sandbox") {
    if (options.role == Role::worker) {
      return std::unexpected(
          "a worker that runs payment needs --gateway URL: the sandbox in a process of its own "
          "(penstock gateway) or a real one, which all processes reach");
    }
    bool const lasting = !std::holds_alternative<MemoryOnly>(options.store);
    return SandboxInProcess{lasting ? settings.text("data") + "/sandbox-ledger.jsonl" : ""};
  }
  if (is_url(text)) return GatewayUrl{text};
  return std::unexpected(fmt::format(
      "--gateway {}: needs sandbox or an http(s) URL without user information", shown_url(text)));
}

std::optional<std::string> why_no_worker(const ServeOptions& options) {
  if (!std::holds_alternative<SharedDatabase>(options.store)) {
    return "a worker needs --store postgres://...: the other stores belong to one process";
  }
  if (options.stages.ingest) {
    return "a worker does not take orders in: use penstock serve --stages ingest";
  }
  return std::nullopt;
}

std::optional<std::string> why_not_together(const ServeOptions& options) {
  if (!is_node(options.node)) {
    return fmt::format("--node {}: needs 1 to {} of [A-Za-z0-9._-]", options.node, kMaxNodeBytes);
  }
  if (options.role == Role::worker) {
    if (auto why = why_no_worker(options)) return why;
  }
  if (options.listen && !options.admin_key && !is_loopback(*options.listen)) {
    return fmt::format(
        "--listen {}: without an admin key the server is open to everybody, so it listens on "
        "loopback only; set PENSTOCK_ADMIN_KEY",
        options.listen->str());
  }
  if (!options.fulfiller_hook.empty() && !is_url(options.fulfiller_hook)) {
    return fmt::format("--fulfiller-hook {}: needs an http(s) URL without user information",
                       shown_url(options.fulfiller_hook));
  }
  if (options.saga.backoff.base > options.saga.backoff.cap) {
    return "--retry-base is longer than --retry-cap";
  }
  if (options.role == Role::server && !std::holds_alternative<SharedDatabase>(options.store) &&
      to_string(options.stages) != to_string(pipeline::Stages{})) {
    return "--stages: this store belongs to one process, which runs all of them; use --store "
           "postgres://... and workers for the others";
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

bool is_database_url(std::string_view store) {
  return store.starts_with("postgres://") || store.starts_with("postgresql://");
}

std::expected<StoreChoice, std::string> parse_store(std::string_view text,
                                                    std::string_view data_directory) {
  if (text.empty()) return RocksStore{std::string(data_directory) + "/store"};
  if (text == "memory:") return MemoryOnly{};
  constexpr std::string_view kRocks = "rocksdb:";
  if (text.starts_with(kRocks) && text.size() > kRocks.size()) {
    return RocksStore{std::string(text.substr(kRocks.size()))};
  }
  constexpr std::string_view kHidden = "://********";
  auto const refuse = [text](std::string_view why) {
    return std::unexpected(fmt::format("--store {}: {}", shown_url(text), why));
  };
  if (net::is_masked(text)) {
    return refuse("is what --print-config shows in place of the value; give the value itself");
  }
  if (is_database_url(text)) {
    auto const plain = net::percent_decode(text);
    if (!plain || plain->find('\0') != std::string::npos) {
      return refuse(
          "a '%' in it is not followed by two hexadecimal digits; in a password write %25 for it");
    }
    if (net::redacted(text).ends_with(kHidden) || std::ranges::count(text, '@') > 1) {
      return refuse(
          "is not a well-formed URL; in a name or a password / ? # @ : are written %2F %3F %23 %40 "
          "%3A");
    }
    return SharedDatabase{std::string(text)};
  }
  if (text.starts_with("aws:")) return refuse("this store is not in this build");
  return refuse("needs rocksdb:DIR, postgres://... or memory:");
}

std::optional<pipeline::Stages> parse_stages(std::string_view text) {
  if (text == "all") return pipeline::Stages{};
  pipeline::Stages stages = kNoStages;
  while (true) {
    std::size_t const end = std::min(text.find(','), text.size());
    auto const* const named = std::ranges::find(kStageNames, text.substr(0, end),
                                                [](const auto& each) { return each.first; });
    if (named == kStageNames.end()) return std::nullopt;
    stages.*(named->second) = true;
    if (end == text.size()) return stages;
    text.remove_prefix(end + 1);
  }
}

std::string to_string(const pipeline::Stages& stages) {
  std::string text;
  for (auto const& [name, runs] : kStageNames) {
    if (!(stages.*runs)) continue;
    if (!text.empty()) text += ',';
    text += name;
  }
  return text;
}

namespace {

/// What says where the process stands: its role, address, store, name and stages.
std::expected<ServeOptions, std::string> place_of(const Settings& settings, Role role) {
  ServeOptions options;
  options.role = role;
  if (role == Role::server || settings.source("listen") != SettingSource::standard) {
    options.listen = parse_listen_address(settings.text("listen"));
    if (!options.listen) {
      return std::unexpected(fmt::format(
          "--listen {}: needs an IP address and a port, as 127.0.0.1:9000 or [::1]:9000",
          settings.text("listen")));
    }
  }
  auto store = parse_store(settings.text("store"), settings.text("data"));
  if (!store) return std::unexpected(store.error());
  options.store = *std::move(store);
  auto const stages = parse_stages(settings.text("stages"));
  if (!stages) {
    return std::unexpected(
        fmt::format("--{} {}: needs all, or some of ingest, inventory, payment, fulfillment and "
                    "notification with commas between",
                    role == Role::server ? "stages" : "stage", settings.text("stages")));
  }
  options.stages = *stages;
  options.node = settings.text("node");
  if (options.node.empty()) options.node = standard_node(options);
  auto gateway = gateway_choice(settings, options);
  if (!gateway) return std::unexpected(gateway.error());
  options.gateway = *std::move(gateway);
  return options;
}

std::optional<std::string> text_unless_empty(const std::string& text) {
  return text.empty() ? std::nullopt : std::optional(text);
}

}  // namespace

std::expected<ServeOptions, std::string> serve_options(const Settings& settings, Role role) {
  auto placed = place_of(settings, role);
  if (!placed) return placed;
  ServeOptions& options = *placed;
  const std::string& hook = settings.text("fulfiller-hook");
  auto const count = [&settings](std::string_view name) {
    return static_cast<std::size_t>(settings.integer(name));
  };
  options.admin_key = text_unless_empty(settings.text("admin-key"));
  options.data_directory = settings.text("data");
  options.lease = settings.duration("lease");
  options.store_timeout = settings.duration("store-timeout");
  options.gateway_timeout =
      std::chrono::milliseconds(settings.duration("gateway-timeout").us / 1000);
  options.saga = {
      .backoff = {.base = settings.duration("retry-base"), .cap = settings.duration("retry-cap")},
      .gateway_key_retention = settings.duration("gateway-key-retention"),
      .dead_letter_hold = settings.duration("dead-letter-hold"),
      .fulfillment =
          hook.empty() ? domain::FulfillmentMode::accepts : domain::FulfillmentMode::hook};
  options.max_payments_in_flight = count("max-payments-in-flight");
  options.fulfiller_hook = hook;
  options.receipts_directory = settings.text("receipts");
  if (settings.on("webhook-allow-private")) options.webhook_reach = WebhookReach::any;
  if (settings.on("demo-catalog")) options.demo_catalog = DemoCatalog::loaded;
  options.default_contract = {
      .bucket = {.rate = settings.rate("default-rate"), .burst = settings.integer("default-burst")},
      .guarantee = std::nullopt,
      .weight = 1,
      .webhook = std::nullopt};
  options.max_active = count("max-active");
  options.shutdown_delay = std::chrono::seconds(settings.integer("shutdown-delay"));
  options.drain = std::chrono::seconds(settings.integer("drain-seconds"));
  if (settings.on("accept-clock")) options.clock = ClockTrust::accepted;
  options.http_threads = count("http-threads");
  options.read_threads = count("read-threads");
  options.max_connections = count("max-connections");
  options.max_connections_per_address = count("max-connections-per-address");
  options.idle_timeout = std::chrono::milliseconds(settings.duration("idle-timeout").us / 1000);
  options.history_months = static_cast<std::int32_t>(settings.integer("history-months"));
  options.memory_budget_bytes = count("memory-budget") << 20;
  options.log_level = *system::parse_log_level(settings.text("log-level"));
  if (auto why = why_not_together(options)) return std::unexpected(*std::move(why));
  return placed;
}

}  // namespace penstock::main

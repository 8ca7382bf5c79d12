#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <variant>

#include "domain/contract.h"
#include "domain/saga.h"
#include "main/settings.h"
#include "pipeline/pipeline.h"
#include "ports/log.h"

namespace penstock::main {

struct RocksStore {
  std::string directory;
};
struct MemoryOnly {};
/// A database that several processes share.
struct SharedDatabase {
  std::string url;
};
using StoreChoice = std::variant<RocksStore, MemoryOnly, SharedDatabase>;

struct SandboxInProcess {
  std::string ledger_path;  ///< "" keeps it in a file that is removed at the end
};
struct GatewayUrl {
  std::string url;
};
/// Of a process that does not run the payment stage.
struct NoGateway {};
using GatewayChoice = std::variant<SandboxInProcess, GatewayUrl, NoGateway>;

struct ListenAddress {
  std::string address;
  std::uint16_t port = 0;

  /// "127.0.0.1:9000", "[::1]:9000".
  std::string str() const;
};

/// An IPv4 address or a bracketed IPv6 address, and a port.
std::optional<ListenAddress> parse_listen_address(std::string_view text);
bool is_loopback(const ListenAddress& address);

/// What the process is for: the HTTP interface with some or all stages, or stages alone.
enum class Role : std::uint8_t { server, worker };
enum class DemoCatalog : std::uint8_t { left_out, loaded };
enum class ClockTrust : std::uint8_t { checked, accepted };
enum class WebhookReach : std::uint8_t { public_only, any };

/// The settings of `penstock serve` or `penstock worker` as values: checked against each other,
/// ready for wiring.
struct ServeOptions {
  Role role = Role::server;
  std::optional<ListenAddress> listen;  ///< absent only where a worker listens nowhere
  std::optional<std::string> admin_key;
  std::string data_directory;
  StoreChoice store;
  std::string node;  ///< names the process among those that share a database
  domain::Duration lease;
  domain::Duration store_timeout;
  pipeline::Stages stages;
  GatewayChoice gateway;
  std::chrono::milliseconds gateway_timeout{};
  domain::SagaPolicy saga;
  std::size_t max_payments_in_flight = 0;
  std::string fulfiller_hook;      ///< empty: none
  std::string receipts_directory;  ///< empty: none
  WebhookReach webhook_reach = WebhookReach::public_only;
  DemoCatalog demo_catalog = DemoCatalog::left_out;
  domain::Contract default_contract;
  std::size_t max_active = 0;
  std::chrono::seconds shutdown_delay{};
  std::chrono::seconds drain{};
  ClockTrust clock = ClockTrust::checked;
  std::size_t http_threads = 1;
  std::size_t read_threads = 3;
  std::size_t max_connections = 1;
  std::size_t max_connections_per_address = 0;  ///< 0: nine tenths of them
  std::chrono::milliseconds idle_timeout{};
  std::int32_t history_months = 0;  ///< kept before the present one; 0: all
  std::size_t memory_budget_bytes = 0;
  ports::LogLevel log_level = ports::LogLevel::info;
};

/// "all", or stages by name with commas between.
std::optional<pipeline::Stages> parse_stages(std::string_view text);
/// "payment,fulfillment".
std::string to_string(const pipeline::Stages& stages);

/// Whether `store` is a database's URL: postgres://... or postgresql://...
bool is_database_url(std::string_view store);

/// Reads what --store and PENSTOCK_STORE say, for every command that takes a store: rocksdb:DIR,
/// postgres://..., memory:, or "" for RocksDB in `data_directory`. The error is a sentence for the
/// operator without anything secret.
std::expected<StoreChoice, std::string> parse_store(std::string_view text,
                                                    std::string_view data_directory);

/// The error is a sentence for the operator; it is wrong use (exit code 2). A worker listens only
/// where it is told to.
std::expected<ServeOptions, std::string> serve_options(const Settings& settings,
                                                       Role role = Role::server);

}  // namespace penstock::main

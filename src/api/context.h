#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "api/caller.h"
#include "api/contract_change.h"
#include "api/correlation.h"
#include "api/key_guesses.h"
#include "api/operator_log.h"
#include "api/read_pool.h"
#include "api/refusal_log.h"
#include "api/request_counters.h"
#include "api/wait_places.h"
#include "net/http_server.h"
#include "pipeline/request.h"
#include "ports/clock.h"
#include "ports/log.h"
#include "ports/order_reader.h"

namespace penstock::api {

/// What the process uses, for /metrics.
struct ProcessUsage {
  std::uint64_t resident_bytes = 0;
  double cpu_seconds = 0;  ///< user and system, since the start
  std::uint64_t open_descriptors = 0;
  std::uint64_t most_descriptors = 0;  ///< that it may open; 0: not known
  double start_seconds = 0;            ///< when it started, since 1970
  std::uint64_t log_lines_dropped = 0;
};

/// How a store that processes share does, for /metrics.
struct StoreUpkeep {
  bool is_reachable = true;
  bool keeps_house = false;  ///< this process does what one does for all
  std::uint64_t default_partition_rows = 0;
};

/// What the api offers: all of it, or what a process without clients shows its operators.
enum class Surface : std::uint8_t {
  whole,
  probes,  ///< /healthz, /readyz and /metrics
};

/// What the api runs on. All of it is thread-safe and outlives the Api.
struct ApiParts {
  pipeline::Intake& intake;
  const ports::OrderReader& reader;
  ports::Log& log;
  ports::Clock& clock;
  RandomBits random;                            ///< for correlation ids
  std::function<ProcessUsage()> process_usage;  ///< empty: /metrics leaves the process out
  std::function<std::optional<StoreUpkeep>()> store_upkeep{};  ///< empty or nothing: not shared
  std::function<net::HttpServerUsage()> server_usage{};        ///< empty: /metrics leaves it out
  const Authenticator* authenticator = nullptr;  ///< null: one for ApiOptions::admin_key
};

/// What every handler may use: nothing that waits.
struct ContextParts {
  pipeline::Intake& intake;
  ports::Log& log;
  ports::Clock& clock;
  RandomBits random;
  std::function<ProcessUsage()> process_usage;
  std::function<std::optional<StoreUpkeep>()> store_upkeep;
  std::function<net::HttpServerUsage()> server_usage;
  const Authenticator* authenticator;
};

struct ApiOptions {
  std::optional<std::string> admin_key;  ///< none: the server is open
  std::string version = "0.1.0";         ///< shown at /
  Surface surface = Surface::whole;
  ReadPoolOptions reads{};
  WebhookReach webhook_reach = WebhookReach::public_only;
};

/// What every resource works with; one for each Api. The store's reader is not in it: whoever reads
/// is a job of the pool, which hands it out.
struct Context {
  Context(ApiParts api_parts, ApiOptions api_options)
      : parts{.intake = api_parts.intake,
              .log = api_parts.log,
              .clock = api_parts.clock,
              .random = std::move(api_parts.random),
              .process_usage = std::move(api_parts.process_usage),
              .store_upkeep = std::move(api_parts.store_upkeep),
              .server_usage = std::move(api_parts.server_usage),
              .authenticator = api_parts.authenticator},
        options(std::move(api_options)),
        admin_key(options.admin_key),
        refusals(parts.log, parts.clock),
        operators(parts.log, parts.clock),
        pool(api_parts.reader, parts.log, options.reads) {}

  const Authenticator& authenticator() const {
    return parts.authenticator != nullptr ? *parts.authenticator : admin_key;
  }

  /// Whether whoever reaches the server may use it.
  bool is_open() const { return !options.admin_key && parts.authenticator == nullptr; }

  ContextParts parts;
  ApiOptions options;
  AdminKeyAuthenticator admin_key;
  RefusalLog refusals;
  OperatorLog operators;
  RequestCounters counters;
  WaitPlaces waits;
  KeyGuesses key_guesses;
  ReadPool pool;  ///< last: its jobs use all of the above
};

}  // namespace penstock::api

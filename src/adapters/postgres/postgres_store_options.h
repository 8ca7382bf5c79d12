#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "adapters/postgres/last_call.h"
#include "adapters/postgres/reachability.h"
#include "domain/contract.h"
#include "domain/instant.h"
#include "domain/limits.h"
#include "domain/token_bucket.h"
#include "ports/order_store.h"

namespace penstock::postgres_store {

struct Failure;

inline constexpr std::size_t kMaxNodeNameBytes = 40;
/// Tenants that one claim takes orders of; the next claim goes on with the ones behind them.
inline constexpr int kMaxTenantsPerClaim = 1'024;
/// Tries of one batch that lost against another transaction.
inline constexpr int kMaxConflictTries = 8;
/// Releases that wait for the next call.
inline constexpr std::size_t kMaxPendingReleases = 4'096;
/// What is held and not claimed for this long is given back, so that others may work on it.
inline constexpr domain::Duration kMaxHeldFor = domain::Duration::seconds(1);

/// What a process has of the payment gateway: everybody who charges has to reach the same one.
enum class GatewayHold : std::uint8_t {
  none,    ///< it charges nothing
  shared,  ///< the gateway is somewhere else, and others may charge there too
  alone,   ///< the gateway is in this process: nobody else may charge
};

enum class Holding : std::uint8_t { none, accepted };

struct PostgresStoreOptions {
  /// A libpq URL, "postgresql://user@host/database?sslmode=verify-full&sslrootcert=...".
  std::string url;
  std::string schema = "penstock";
  /// Names this process among those that share the store, the same over its restarts; two running
  /// at once under one name are refused. 1 to kMaxNodeNameBytes of [A-Za-z0-9._-].
  std::string node;
  /// Kept as a lock of the writing session. `alone` beside another holder is refused, at the start
  /// and where a connection is opened again.
  GatewayHold gateway = GatewayHold::none;
  /// The hard depth bound over all processes. Batches that other processes have not committed yet
  /// are not counted, so what they hold may come on top.
  std::size_t max_active = domain::limits::kDefaultMaxActive;
  /// In force for tenants without a stored contract: 1 000 orders a second, burst 2 000.
  domain::Contract default_contract{
      .bucket = {.rate = {.micro_tokens = 1'000 * domain::kMicroTokensPerToken}, .burst = 2'000},
      .guarantee = std::nullopt,
      .weight = 1,
      .webhook = std::nullopt};
  domain::Duration idempotency_retention = domain::limits::kIdempotencyRetention;
  /// How long a claimed order, batch or delivery is this process's: longer than any effect takes.
  domain::Duration lease = domain::Duration::seconds(60);
  domain::Duration connect_timeout = domain::Duration::seconds(5);
  /// What one call of the database may take, whatever it waits for. See ConnectionOptions.
  domain::Duration timeout = domain::Duration::seconds(10);
  /// Ends every wait sooner, at the end of the process; made where it is missing.
  std::shared_ptr<LastCall> last_call{};
  /// After a failed connection none is tried for this long, doubled up to kMaxReconnectPause.
  domain::Duration reconnect_pause = domain::Duration::milliseconds(100);
  std::size_t reader_connections = 4;
  /// Connections that write, each of which one core of the server works for. Commands of different
  /// tenants in one batch are spread over them.
  std::size_t writer_connections = 1;
  /// A smaller batch is one connection's: what a second transaction costs is more than it wins.
  std::size_t least_split_batch = 64;
  /// Whether accepted orders are leased to this process and held by the commit that stores them, as
  /// far as its last claim had room for more.
  Holding holding = Holding::none;
  /// `depth` is counted again only after this long, and after ten times what counting took; zero
  /// counts at every call.
  domain::Duration depth_age = domain::Duration::milliseconds(200);
  /// The names of the tenants with a contract of their own are asked for again only after this
  /// long: so late does another process see a contract where rooms are shared. Zero asks each time.
  domain::Duration contracts_age = domain::Duration::seconds(2);
  /// Told on the writer's thread of a command that the database refuses while it takes others:
  /// somebody's trigger, constraint or right is in the way of it.
  std::function<void(const ports::Command&, const Failure&)> command_refused{};
  /// After this long without a commit one of no consequence shows, at the next `next_due`, whether
  /// commits work. Zero: none does.
  domain::Duration probe_every{};
  /// Told on the writer's thread when commits work no more, while that stays so, and when they work
  /// again.
  Reachability::Changed reachability_changed{};
  /// What was found without more work is not asked again for this long, unless this store or
  /// `expect_work` has news of it. Zero asks at every call.
  domain::Duration empty_pause;
  /// Told on the writer's thread, after the commit, of the stages that orders then wait for, each
  /// as the bit of its number; the bit of `notification` also says that orders ended.
  std::function<void(std::uint32_t)> work_stored{};
};

inline constexpr domain::Duration kMaxReconnectPause = domain::Duration::seconds(5);

}  // namespace penstock::postgres_store

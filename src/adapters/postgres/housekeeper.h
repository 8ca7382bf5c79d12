#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "adapters/postgres/connection.h"
#include "domain/instant.h"
#include "ports/log.h"

namespace penstock::postgres_store {

/// Expired idempotency keys that one transaction deletes.
inline constexpr int kMaxKeysDeleted = 10'000;
/// Rows that are counted in the default partitions; above it the figure stays there.
inline constexpr int kMaxDefaultRowsCounted = 100'000;

/// Dead rows in a hot table from which it is vacuumed at the next look: a line is walked past them
/// by every claim, and autovacuum comes once a minute by default.
inline constexpr std::int64_t kMaxDeadRows = 5'000;

struct HousekeeperOptions {
  ConnectionOptions connection;
  std::string node;
  std::int32_t history_months = 0;  ///< kept before the present one; 0: all
  /// How often a process looks whether nobody keeps house, and the one that does whether it still
  /// is the one, and whether a hot table is to be vacuumed.
  domain::Duration look = domain::Duration::seconds(1);
  /// How often there is a round.
  domain::Duration round = domain::Duration::hours(1);
};

/// What one process on a database does for all of them, on a thread and a connection of its own:
/// vacuums the hot tables, makes the months ahead, drops those that are no longer kept, deletes
/// expired keys until there are none, and counts what fell into the default partitions. Who holds
/// an advisory lock does it; when that process ends, or loses its connection, another takes over
/// within a look.
class Housekeeper {
 public:
  Housekeeper(HousekeeperOptions options, ports::Log& log);
  /// Ends after the present statement, or at the connection's last call.
  ~Housekeeper();
  Housekeeper(const Housekeeper&) = delete;
  Housekeeper& operator=(const Housekeeper&) = delete;

  /// Whether this process keeps house. Any thread.
  bool keeps_house() const { return keeps_house_.load(); }
  /// Rows in default partitions at the last round of this process, at most
  /// kMaxDefaultRowsCounted; 0 where another process keeps house. Any thread.
  std::uint64_t default_rows() const { return default_rows_.load(); }

 private:
  using Clock = std::chrono::steady_clock;

  void run();
  void look();
  bool elect();
  void be_quick();
  /// False where the connection is of no use any more, or the process ends.
  bool do_round();
  void vacuum();
  bool make_months();
  bool drop_months();
  bool clocks_agree();
  bool delete_keys();
  bool count_default_rows();
  bool note(const char* what, const Failure& failure);
  void lose(const Failure& failure);

  HousekeeperOptions options_;
  ports::Log& log_;
  std::unique_ptr<Connection> connection_;
  Clock::time_point next_round_;
  std::atomic<bool> keeps_house_{false};
  std::atomic<std::uint64_t> default_rows_{0};
  std::atomic<bool> stopping_{false};
  std::mutex mutex_;
  std::condition_variable stop_;
  std::thread thread_;  ///< last, so that it starts when all else is there
};

}  // namespace penstock::postgres_store

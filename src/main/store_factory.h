#pragma once

#include <chrono>
#include <cstdint>
#include <expected>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "domain/instant.h"
#include "main/serve_options.h"
#include "ports/clock.h"
#include "ports/log.h"
#include "ports/order_reader.h"
#include "ports/order_store.h"

namespace penstock::main {

/// What one process does for all on a shared database, for /metrics.
struct Upkeep {
  bool keeps_house = false;
  std::uint64_t default_rows = 0;  ///< in default partitions, where this process keeps house
};

struct StoreHooks {
  std::function<void()> wake;  ///< other processes stored work; any thread
};

/// A store of any kind, open.
class OpenStore {
 public:
  virtual ~OpenStore() = default;
  virtual ports::OrderStore& store() = 0;
  virtual const ports::OrderReader& reader() const = 0;
  /// Drops whole months of history before `first_kept` which nothing active names; which ones. On
  /// the writer's thread. A store in memory keeps everything.
  virtual std::expected<std::vector<domain::Month>, ports::StoreError> drop_history(
      domain::Month first_kept, domain::Now now) = 0;
  /// Whether other processes work on it too.
  virtual bool is_shared() const { return false; }
  /// False while commits do not work. Any thread.
  virtual bool is_reachable() const { return true; }
  /// The clock by which everything on the store is due, where that is not this process's own.
  virtual ports::Clock* clock() { return nullptr; }
  /// From now on nothing waits for a peer of the store beyond `at`: the process ends. Any thread.
  virtual void end_waits(std::chrono::steady_clock::time_point /*at*/) {}
  /// What goes on beside the pipeline on a shared store, from before it begins until it has ended.
  virtual void begin_background() {}
  virtual void end_background() {}
  /// Nothing where there is none. Any thread, between the two above.
  virtual std::optional<Upkeep> upkeep() const { return std::nullopt; }
  /// The clean end, durable. Once, when nobody uses the store any more; not after it failed.
  virtual std::expected<void, ports::StoreError> close() = 0;
};

/// Opens the chosen store, making its directory if need be. What is wrong is in the log with its
/// code; then nothing is returned. `options` outlives the store.
std::unique_ptr<OpenStore> open_store(const ServeOptions& options, StoreHooks hooks,
                                      ports::Clock& clock, ports::Log& log);

}  // namespace penstock::main

#pragma once

#include <expected>
#include <memory>
#include <string>
#include <vector>

#include "domain/instant.h"
#include "main/serve_options.h"
#include "ports/clock.h"
#include "ports/log.h"
#include "ports/order_reader.h"
#include "ports/order_store.h"

namespace penstock::main {

/// A store of either kind, open.
class OpenStore {
 public:
  virtual ~OpenStore() = default;
  virtual ports::OrderStore& store() = 0;
  virtual const ports::OrderReader& reader() const = 0;
  /// Drops whole months of history before `first_kept` which nothing active names; which ones. On
  /// the writer's thread. A store in memory keeps everything.
  virtual std::expected<std::vector<domain::Month>, ports::StoreError> drop_history(
      domain::Month first_kept, domain::Now now) = 0;
  /// The clean end, durable. Once, when nobody uses the store any more; not after it failed.
  virtual std::expected<void, ports::StoreError> close() = 0;
};

/// Opens the chosen store, making its directory if need be. What is wrong is in the log with its
/// code; then nothing is returned.
std::unique_ptr<OpenStore> open_store(const ServeOptions& options, ports::Clock& clock,
                                      ports::Log& log);

}  // namespace penstock::main

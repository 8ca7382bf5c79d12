#pragma once

#include <expected>
#include <memory>
#include <string>

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
  /// The clean end, durable. Once, when nobody uses the store any more; not after it failed.
  virtual std::expected<void, ports::StoreError> close() = 0;
};

/// Opens the chosen store, making its directory if need be. What is wrong is in the log with its
/// code; then nothing is returned.
std::unique_ptr<OpenStore> open_store(const ServeOptions& options, ports::Clock& clock,
                                      ports::Log& log);

}  // namespace penstock::main

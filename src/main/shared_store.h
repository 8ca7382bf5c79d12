#pragma once

#include <memory>

#include "main/serve_options.h"
#include "main/store_factory.h"
#include "ports/clock.h"
#include "ports/log.h"

namespace penstock::main {

/// Opens the store on a database that several processes share, for one of them. What is wrong is in
/// the log with its code; then nothing is returned.
std::unique_ptr<OpenStore> open_shared_store(const SharedDatabase& database,
                                             const ServeOptions& options, StoreHooks hooks,
                                             ports::Clock& clock, ports::Log& log);

}  // namespace penstock::main

#pragma once

#include <functional>
#include <memory>

#include "main/serve_options.h"
#include "ports/log.h"
#include "ports/payment_gateway.h"

namespace penstock::main {

struct GatewayHooks {
  std::function<void()> wake;    ///< a reply is ready; any thread
  std::function<void()> failed;  ///< the sandbox's ledger cannot be written; the pipeline's thread
};

/// Opens the chosen gateway. What is wrong is in the log; then nothing is returned.
std::unique_ptr<ports::PaymentGateway> open_gateway(const ServeOptions& options, GatewayHooks hooks,
                                                    ports::Log& log);

}  // namespace penstock::main

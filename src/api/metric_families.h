#pragma once

#include <optional>
#include <string>
#include <vector>

#include <prometheus/metric_family.h>

#include "api/context.h"
#include "pipeline/statistics.h"

namespace penstock::api {

/// Everything /metrics shows, in base units; each family has its line in docs/metrics.md. `usage`
/// absent leaves the process out, `upkeep` absent the shared store,
/// `server` absent the HTTP server.
std::vector<prometheus::MetricFamily> metric_families(
    const pipeline::Statistics& statistics, const RequestCounters& requests,
    const std::string& version, const std::optional<ProcessUsage>& usage,
    const std::optional<StoreUpkeep>& upkeep, const std::optional<net::HttpServerUsage>& server);

}  // namespace penstock::api

#pragma once

#include <vector>

#include <prometheus/metric_family.h>

#include "api/read_pool.h"

namespace penstock::api {

/// Adds how the lanes of the pool do to what /metrics shows; each family has its line in
/// docs/metrics.md.
void add_pool(const ReadPool& pool, std::vector<prometheus::MetricFamily>& out);

}  // namespace penstock::api

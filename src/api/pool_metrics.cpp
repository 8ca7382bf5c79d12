#include "api/pool_metrics.h"

#include <array>
#include <string>
#include <utility>

namespace penstock::api {
namespace {

prometheus::ClientMetric metric_of(Lane lane) {
  prometheus::ClientMetric metric;
  metric.label.push_back({.name = "lane", .value = std::string(to_string(lane))});
  return metric;
}

}  // namespace

void add_pool(const ReadPool& pool, std::vector<prometheus::MetricFamily>& out) {
  prometheus::MetricFamily waiting{.name = "penstock_pool_waiting",
                                   .help = "Requests that wait for a thread of the api",
                                   .type = prometheus::MetricType::Gauge,
                                   .metric = {}};
  prometheus::MetricFamily requests{
      .name = "penstock_pool_requests_total",
      .help = "Requests that the api's threads were given, by what became of them",
      .type = prometheus::MetricType::Counter,
      .metric = {}};
  for (const Lane lane : {Lane::reads, Lane::operations, Lane::work}) {
    const LaneCounts counts = pool.counts(lane);
    prometheus::ClientMetric now = metric_of(lane);
    now.gauge.value = static_cast<double>(counts.waiting);
    waiting.metric.push_back(std::move(now));
    for (const auto& [outcome, count] :
         {std::pair{"done", counts.done}, std::pair{"refused", counts.refused},
          std::pair{"late", counts.late}, std::pair{"failed", counts.failed}}) {
      prometheus::ClientMetric total = metric_of(lane);
      total.label.push_back({.name = "outcome", .value = outcome});
      total.counter.value = static_cast<double>(count);
      requests.metric.push_back(std::move(total));
    }
  }
  out.push_back(std::move(waiting));
  out.push_back(std::move(requests));
}

}  // namespace penstock::api

#include <optional>
#include <utility>

#include <prometheus/text_serializer.h>

#include "api/metric_families.h"
#include "api/pool_metrics.h"
#include "api/resources.h"

namespace penstock::api {
namespace {

net::HttpResponse metrics_response(const Context& context, const pipeline::Statistics& statistics) {
  std::optional<ProcessUsage> usage;
  if (context.parts.process_usage) usage = context.parts.process_usage();
  std::optional<StoreUpkeep> upkeep;
  if (context.parts.store_upkeep) upkeep = context.parts.store_upkeep();
  std::optional<net::HttpServerUsage> server;
  if (context.parts.server_usage) server = context.parts.server_usage();
  auto families =
      metric_families(statistics, context.counters, context.options.version, usage, upkeep, server);
  add_pool(context.pool, families);
  net::HttpResponse response;
  response.content_type = "text/plain; version=0.0.4; charset=utf-8";
  response.body = prometheus::TextSerializer().Serialize(families);
  return response;
}

}  // namespace

void get_metrics(Context& context, Call call) {
  // Rendering takes a while, so the pipeline's thread only hands the numbers over.
  auto done = [&context, share = statistics_share(call.request),
               reply = std::move(call.reply)](pipeline::Statistics statistics) mutable {
    context.pool.run(Lane::work, share, std::move(reply),
                     [&context, statistics = std::move(statistics)] {
                       return answer_with(metrics_response(context, statistics));
                     });
  };
  context.parts.intake.submit(pipeline::AskStatistics{.done = std::move(done)});
}

}  // namespace penstock::api

#include <optional>
#include <utility>

#include <prometheus/text_serializer.h>

#include "api/metric_families.h"
#include "api/resources.h"

namespace penstock::api {

void get_metrics(Context& context, Call call) {
  // Rendering takes a while, so the pipeline's thread only hands the numbers over.
  auto done = [&context, reply = std::move(call.reply)](pipeline::Statistics statistics) mutable {
    context.answers.post(
        [&context, reply = std::move(reply), statistics = std::move(statistics)]() mutable {
          std::optional<ProcessUsage> usage;
          if (context.parts.process_usage) usage = context.parts.process_usage();
          std::optional<StoreUpkeep> upkeep;
          if (context.parts.store_upkeep) upkeep = context.parts.store_upkeep();
          net::HttpResponse response;
          response.content_type = "text/plain; version=0.0.4; charset=utf-8";
          response.body = prometheus::TextSerializer().Serialize(metric_families(
              statistics, context.counters, context.options.version, usage, upkeep));
          reply.send(std::move(response));
        });
  };
  context.parts.intake.submit(pipeline::AskStatistics{.done = std::move(done)});
}

}  // namespace penstock::api

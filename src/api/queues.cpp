#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "api/effect_names.h"
#include "api/query_parameters.h"
#include "api/resources.h"
#include "net/json_writer.h"

namespace penstock::api {
namespace {

constexpr double kMicroseconds = 1e6;

void append_decimal(std::string_view name, double value, net::JsonWriter& writer) {
  writer.key(name).raw(fmt::format("{:.3f}", value));
}

void append_stage(domain::Stage stage, const pipeline::StageStatistics& statistics,
                  net::JsonWriter& writer) {
  writer.begin_object()
      .member("stage", domain::to_string(stage))
      .member("depth", statistics.depth.ready)
      .member("in_flight", std::max(statistics.depth.leased, statistics.in_flight));
  append_decimal("oldest_age_seconds",
                 static_cast<double>(statistics.oldest_age.us) / kMicroseconds, writer);
  append_decimal("completed_per_second", statistics.completed_per_second, writer);
  append_decimal("failed_per_second", statistics.failed_per_second, writer);
  writer.member("completed_total", statistics.completed)
      .member("failed_total", statistics.failed)
      .member("dead_letters", statistics.depth.dead_letters)
      .member("paused", statistics.paused)
      .member("trouble", domain::to_string(statistics.trouble))
      .end_object();
}

std::string queues_body(const pipeline::Statistics& statistics) {
  std::string body;
  net::JsonWriter writer(body);
  writer.begin_object().key("stages").begin_array();
  for (std::size_t stage = 1; stage <= domain::kStages; ++stage) {
    append_stage(static_cast<domain::Stage>(stage), statistics.stages.at(stage), writer);
  }
  writer.end_array()
      .member("active", statistics.active)
      .member("open_dead_letters", statistics.open_dead_letters)
      .member("owed_refunds", statistics.owed_refunds)
      .member("unresolved_charges", statistics.unresolved)
      .member("deliveries_waiting", statistics.deliveries_waiting)
      .key("ended")
      .begin_object();
  for (const auto status :
       {domain::Status::fulfilled, domain::Status::rejected, domain::Status::cancelled}) {
    writer.member(domain::to_string(status), statistics.ended.at(static_cast<std::size_t>(status)));
  }
  writer.end_object().key("accepts").begin_object();
  for (std::size_t outcome = 0; outcome < statistics.accepts.size(); ++outcome) {
    writer.member(to_string(static_cast<pipeline::PlaceOutcome>(outcome)),
                  statistics.accepts.at(outcome));
  }
  writer.end_object()
      .member("dead_lettered_total", statistics.dead_lettered)
      .member("commits_total", statistics.commits)
      .member("commands_total", statistics.commands)
      .end_object();
  return body;
}

}  // namespace

void get_queues(Context& context, Call call) {
  if (const auto problem = refuse_query(call.query)) return call.reply.refuse(*problem);
  // Rendering takes a while, so the pipeline's thread only hands the numbers over.
  auto done = [&context, share = statistics_share(call.request),
               reply = std::move(call.reply)](pipeline::Statistics statistics) mutable {
    context.pool.run(Lane::work, share, std::move(reply), [statistics = std::move(statistics)] {
      return answer_with(json_response(200, queues_body(statistics)));
    });
  };
  context.parts.intake.submit(pipeline::AskStatistics{.done = std::move(done)});
}

}  // namespace penstock::api

#include "api/metric_families.h"

#include <algorithm>
#include <concepts>
#include <string>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "api/effect_names.h"
#include "api/routes.h"

namespace penstock::api {
namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;
using Labels = std::vector<ClientMetric::Label>;

constexpr double kMicroseconds = 1e6;

double seconds(std::int64_t microseconds) {
  return static_cast<double>(microseconds) / kMicroseconds;
}

ClientMetric::Label label(std::string name, std::string_view value) {
  return {.name = std::move(name), .value = std::string(value)};
}

/// Builds one family sample by sample.
class Family {
 public:
  Family(std::string name, std::string help, MetricType type) {
    family_.name = std::move(name);
    family_.help = std::move(help);
    family_.type = type;
  }

  template <typename Number>
  Family& add(Number value, Labels labels = {}) {
    ClientMetric& metric = family_.metric.emplace_back();
    metric.label = std::move(labels);
    if (family_.type == MetricType::Counter) {
      metric.counter.value = static_cast<double>(value);
    } else {
      metric.gauge.value = static_cast<double>(value);
    }
    return *this;
  }

  Family& add(const pipeline::Histogram& histogram, Labels labels = {}) {
    ClientMetric& metric = family_.metric.emplace_back();
    metric.label = std::move(labels);
    metric.histogram.sample_count = histogram.count;
    metric.histogram.sample_sum = seconds(histogram.sum_us);
    std::uint64_t cumulative = 0;
    for (std::size_t i = 0; i < pipeline::Histogram::kBoundsUs.size(); ++i) {
      cumulative += histogram.counts.at(i);
      metric.histogram.bucket.push_back(
          {.cumulative_count = cumulative,
           .upper_bound = seconds(pipeline::Histogram::kBoundsUs.at(i))});
    }
    return *this;
  }

  MetricFamily take() { return std::move(family_); }

 private:
  MetricFamily family_;
};

Family counter(std::string name, std::string help) {
  return {std::move(name), std::move(help), MetricType::Counter};
}
Family gauge(std::string name, std::string help) {
  return {std::move(name), std::move(help), MetricType::Gauge};
}
Family histogram(std::string name, std::string help) {
  return {std::move(name), std::move(help), MetricType::Histogram};
}

using Families = std::vector<MetricFamily>;

/// One sample a stage, of what `value` takes from its statistics.
template <typename Value>
void add_by_stage(Family family, const pipeline::Statistics& statistics, Value value,
                  Families& out) {
  for (std::size_t stage = 1; stage <= domain::kStages; ++stage) {
    family.add(value(statistics.stages.at(stage)),
               {label("stage", domain::to_string(static_cast<domain::Stage>(stage)))});
  }
  out.push_back(family.take());
}

void add_stages(const pipeline::Statistics& statistics, Families& out) {
  using Stage = pipeline::StageStatistics;
  add_by_stage(
      gauge("penstock_stage_depth", "Orders that wait in front of the stage"), statistics,
      [](const Stage& stage) { return stage.depth.ready; }, out);
  add_by_stage(
      gauge("penstock_stage_in_flight", "Orders that the stage holds"), statistics,
      [](const Stage& stage) { return std::max(stage.depth.leased, stage.in_flight); }, out);
  add_by_stage(
      gauge("penstock_stage_oldest_age_seconds", "Age of the order at the queue's head"),
      statistics, [](const Stage& stage) { return seconds(stage.oldest_age.us); }, out);
  add_by_stage(
      gauge("penstock_stage_paused", "1 while the stage is paused"), statistics,
      [](const Stage& stage) { return stage.paused ? 1 : 0; }, out);
  Family trouble = gauge("penstock_stage_trouble", "1 for why the peer of the stage is away");
  for (std::size_t stage = 1; stage <= domain::kStages; ++stage) {
    for (std::size_t reason = 1; reason < domain::kTroubles; ++reason) {
      const auto name = static_cast<domain::Trouble>(reason);
      trouble.add(statistics.stages.at(stage).trouble == name ? 1 : 0,
                  {label("stage", domain::to_string(static_cast<domain::Stage>(stage))),
                   label("reason", domain::to_string(name))});
    }
  }
  out.push_back(trouble.take());
  add_by_stage(
      gauge("penstock_stage_dead_letters", "Open dead letters of the stage"), statistics,
      [](const Stage& stage) { return stage.depth.dead_letters; }, out);
  add_by_stage(
      counter("penstock_stage_completed_total",
              "Orders that left the stage forwards or ended in it"),
      statistics, [](const Stage& stage) { return stage.completed; }, out);
  add_by_stage(
      counter("penstock_stage_failed_total", "Failed attempts, declines and refusals"), statistics,
      [](const Stage& stage) { return stage.failed; }, out);
  add_by_stage(
      histogram("penstock_stage_latency_seconds", "From entering the stage to leaving it"),
      statistics, [](const Stage& stage) -> const pipeline::Histogram& { return stage.latency; },
      out);
}

void add_orders(const pipeline::Statistics& statistics, Families& out) {
  Family accepts = counter("penstock_order_requests_total", "Orders sent, by what became of them");
  for (std::size_t i = 0; i < statistics.accepts.size(); ++i) {
    accepts.add(statistics.accepts.at(i),
                {label("outcome", to_string(static_cast<pipeline::PlaceOutcome>(i)))});
  }
  out.push_back(accepts.take());
  Family ended = counter("penstock_orders_ended_total", "Orders that reached a terminal status");
  for (const auto status :
       {domain::Status::fulfilled, domain::Status::rejected, domain::Status::cancelled}) {
    ended.add(statistics.ended.at(static_cast<std::size_t>(status)),
              {label("status", domain::to_string(status))});
  }
  out.push_back(ended.take());
  Family tenants = counter("penstock_tenant_requests_total",
                           "Orders sent, by tenant (the busiest, and other) and outcome");
  const auto add_tenant = [&](std::string_view name, const pipeline::TenantStatistics& tenant) {
    tenants.add(tenant.accepted, {label("tenant", name), label("outcome", "accepted")});
    tenants.add(tenant.denied, {label("tenant", name), label("outcome", "denied")});
  };
  // A tenant may be called other: the sum of the rest then joins it, no series stands twice.
  pipeline::TenantStatistics other = statistics.other_tenants;
  for (const pipeline::TenantStatistics& tenant : statistics.top_tenants) {
    if (tenant.tenant.str() == "other") {
      other.accepted += tenant.accepted;
      other.denied += tenant.denied;
    } else {
      add_tenant(tenant.tenant.str(), tenant);
    }
  }
  add_tenant("other", other);
  out.push_back(tenants.take());
  out.push_back(histogram("penstock_order_duration_seconds", "From creation to a terminal status")
                    .add(statistics.end_to_end)
                    .take());
}

void add_effects(const pipeline::Statistics& statistics, Families& out) {
  Family effects = counter("penstock_effects_total", "Calls to gateway and fulfiller, by outcome");
  for (std::size_t kind = 0; kind < statistics.effects.size(); ++kind) {
    for (std::size_t outcome = 0; outcome < statistics.effects.at(kind).size(); ++outcome) {
      effects.add(statistics.effects.at(kind).at(outcome),
                  {label("effect", to_string(static_cast<domain::EffectKind>(kind))),
                   label("outcome", to_string(static_cast<domain::OutcomeKind>(outcome)))});
    }
  }
  out.push_back(effects.take());
  out.push_back(counter("penstock_deliveries_total", "Webhook attempts, by outcome")
                    .add(statistics.deliveries_done, {label("outcome", "delivered")})
                    .add(statistics.deliveries_failed, {label("outcome", "failed")})
                    .take());
  out.push_back(counter("penstock_receipt_copies_total", "Attempts to copy a receipt, by outcome")
                    .add(statistics.receipt_copies_made, {label("outcome", "made")})
                    .add(statistics.receipt_copies_failed, {label("outcome", "failed")})
                    .take());
}

void add_totals(const pipeline::Statistics& statistics, Families& out) {
  const auto add = [&out](Family family, auto value) { out.push_back(family.add(value).take()); };
  add(gauge("penstock_orders_active", "Orders that are not terminal"), statistics.active);
  add(gauge("penstock_owed_refunds", "Refunds that are due and not paid"), statistics.owed_refunds);
  add(gauge("penstock_unresolved_charges", "Orders whose charge or refund got no answer yet"),
      statistics.unresolved);
  add(gauge("penstock_dead_letters_open", "Dead letters that wait for redrive or discard"),
      statistics.open_dead_letters);
  add(gauge("penstock_tenants_held_back",
            "Tenants whose charges wait because their share of dead letters or owed refunds is "
            "used up; all without a contract of their own count as one"),
      statistics.tenants_held_back);
  add(gauge("penstock_deliveries_waiting", "Webhook deliveries that are not done"),
      statistics.deliveries_waiting);
  add(counter("penstock_deliveries_given_up_total", "Webhook deliveries whose last attempt failed"),
      statistics.deliveries_gave_up);
  add(gauge("penstock_webhook_endpoints_failing", "Tenants whose last webhook attempt failed"),
      statistics.endpoints_failing);
  add(gauge("penstock_receipt_copies_waiting", "Receipt copies that this run still has to make"),
      statistics.receipt_copies_waiting);
  add(gauge("penstock_receipt_copies_oldest_seconds", "How long the oldest of them waits"),
      static_cast<double>(statistics.receipt_copies_age.us) / 1e6);
  add(counter("penstock_dead_letters_total", "Orders that were dead-lettered"),
      statistics.dead_lettered);
  add(counter("penstock_commits_total", "Group commits, each with one sync"), statistics.commits);
  add(counter("penstock_commands_total", "Commands in the group commits"), statistics.commands);
  add(counter("penstock_stale_commits_total", "Commits discarded for a stale version"),
      statistics.stale_commits);
}

std::string status_text(int status) {
  if (status == RequestCounters::kOther) return "other";
  return status == 0 ? std::string("none") : fmt::format("{}", status);
}

void add_requests(const RequestCounters& requests, Families& out) {
  Family family =
      counter("penstock_http_requests_total", "Answered requests; status none: closed unanswered");
  for (std::size_t route = 0; route <= routes().size(); ++route) {
    for (std::size_t i = 0; i < RequestCounters::kStatuses.size(); ++i) {
      const std::uint64_t count = requests.get(route, i);
      if (count == 0) continue;
      const bool known = route < routes().size();
      family.add(count, {label("method", known ? net::to_string(routes()[route].method) : "other"),
                         label("route", known ? routes()[route].pattern : "unknown"),
                         label("status", status_text(RequestCounters::kStatuses.at(i)))});
    }
  }
  out.push_back(family.take());
}

void add_process(const ProcessUsage& usage, Families& out) {
  out.push_back(gauge("penstock_process_resident_memory_bytes", "Resident memory")
                    .add(usage.resident_bytes)
                    .take());
  out.push_back(counter("penstock_process_cpu_seconds_total", "User and system CPU time")
                    .add(usage.cpu_seconds)
                    .take());
  out.push_back(gauge("penstock_process_open_descriptors", "Open file descriptors")
                    .add(usage.open_descriptors)
                    .take());
  out.push_back(counter("penstock_log_dropped_total", "Log lines that were lost")
                    .add(usage.log_lines_dropped)
                    .take());
  // Under the names that every Prometheus client library gives them.
  out.push_back(
      gauge("process_open_fds", "Open file descriptors").add(usage.open_descriptors).take());
  out.push_back(gauge("process_max_fds", "File descriptors that may be open")
                    .add(usage.most_descriptors)
                    .take());
  out.push_back(gauge("process_start_time_seconds", "When the process started, since 1970")
                    .add(usage.start_seconds)
                    .take());
}

void add_build(const std::string& version, Families& out) {
  out.push_back(gauge("penstock_build_info", "1, with the version that runs")
                    .add(1, {label("version", version)})
                    .take());
}

void add_upkeep(const StoreUpkeep& upkeep, Families& out) {
  out.push_back(gauge("penstock_store_reachable", "1 while the shared database answers")
                    .add(upkeep.is_reachable ? 1 : 0)
                    .take());
  out.push_back(gauge("penstock_housekeeper", "1 where this process keeps the database's house")
                    .add(upkeep.keeps_house ? 1 : 0)
                    .take());
  out.push_back(gauge("penstock_default_partition_rows", "Rows of months that were not made ahead")
                    .add(upkeep.default_partition_rows)
                    .take());
}

void add_server(const net::HttpServerUsage& usage, Families& out) {
  out.push_back(
      gauge("penstock_http_connections", "Open client connections").add(usage.connections).take());
  out.push_back(gauge("penstock_http_request_bytes", "Requests unfinished or not answered")
                    .add(usage.request_bytes)
                    .take());
  out.push_back(gauge("penstock_http_answer_bytes", "Answers that clients have not taken")
                    .add(usage.answer_bytes)
                    .take());
  out.push_back(counter("penstock_http_connections_total", "Client connections accepted")
                    .add(usage.accepted)
                    .take());
  out.push_back(counter("penstock_http_connections_closed_for_others_total",
                        "Idle connections closed to make room for new ones")
                    .add(usage.gave_way)
                    .take());
  out.push_back(counter("penstock_http_refused_total", "What a limit of the HTTP server refused")
                    .add(usage.refused_connections, {label("limit", "connections")})
                    .add(usage.refused_requests, {label("limit", "request_bytes")})
                    .add(usage.refused_answers, {label("limit", "answer_bytes")})
                    .add(usage.failed_accepts, {label("limit", "accepting")})
                    .take());
  out.push_back(counter("penstock_http_timeouts_total", "Clients that sent or took too slowly")
                    .add(usage.timeouts)
                    .take());
}

}  // namespace

std::vector<MetricFamily> metric_families(const pipeline::Statistics& statistics,
                                          const RequestCounters& requests,
                                          const std::string& version,
                                          const std::optional<ProcessUsage>& usage,
                                          const std::optional<StoreUpkeep>& upkeep,
                                          const std::optional<net::HttpServerUsage>& server) {
  Families families;
  add_stages(statistics, families);
  add_orders(statistics, families);
  add_effects(statistics, families);
  add_totals(statistics, families);
  add_requests(requests, families);
  add_build(version, families);
  if (usage) add_process(*usage, families);
  if (upkeep) add_upkeep(*upkeep, families);
  if (server) add_server(*server, families);
  return families;
}

}  // namespace penstock::api

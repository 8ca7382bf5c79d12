#include "cli/bench.h"

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <utility>

#include <fmt/format.h>
#include <sys/resource.h>

#include "cli/child_process.h"
#include "net/descriptor_limit.h"
#include "net/json_writer.h"
#include "net/redaction.h"

namespace penstock::cli {
namespace {

constexpr std::chrono::seconds kStop{60};

/// What the bench started for itself.
struct OwnProcesses {
  TemporaryDirectory directory;
  std::optional<ListeningProcess> gateway;
  std::optional<ListeningProcess> server;
};

std::optional<std::string> start_own(const BenchOptions& options, OwnProcesses& own) {
  std::string const program = own_program();
  std::string const folder = own.directory.path();
  std::string gateway = options.gateway;
  if (gateway == "process") {
    auto started = start_listening({.arguments = {program, "gateway", "--listen", "127.0.0.1:0",
                                                  "--ledger", folder + "/ledger.jsonl"},
                                    .log_path = folder + "/gateway.log"});
    if (!started) return started.error();
    gateway = started->url;
    own.gateway = std::move(*started);
  }
  std::string const data = options.data.empty() ? folder + "/data" : options.data;
  ChildOptions server{
      .arguments = {program, "serve", "--listen", "127.0.0.1:0", "--data", data, "--gateway",
                    gateway, "--http-threads", std::to_string(options.http_threads)},
      .log_path = folder + "/server.log"};
  // In the environment, since a URL may carry a password.
  if (!options.store.empty()) server.environment.emplace_back("PENSTOCK_STORE", options.store);
  if (!options.load.admin_key.empty()) {
    server.environment.emplace_back("PENSTOCK_ADMIN_KEY", options.load.admin_key);
  }
  auto started = start_listening(server);
  if (!started) return started.error();
  own.server = std::move(*started);
  return std::nullopt;
}

std::int64_t own_cpu_us() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  auto const us = [](const timeval& time) {
    return std::int64_t{time.tv_sec} * 1'000'000 + time.tv_usec;
  };
  return us(usage.ru_utime) + us(usage.ru_stime);
}

/// The server's ended orders at a time, between marks in proportion.
double ended_at(const std::vector<LoadMark>& marks, double seconds) {
  auto const after = std::ranges::lower_bound(marks, seconds, {}, &LoadMark::at_seconds);
  if (after == marks.end()) return marks.empty() ? 0 : static_cast<double>(marks.back().ended);
  if (after == marks.begin()) return static_cast<double>(after->ended);
  const LoadMark& before = *std::prev(after);
  double const part = (seconds - before.at_seconds) / (after->at_seconds - before.at_seconds);
  return static_cast<double>(before.ended) +
         part * static_cast<double>(after->ended - before.ended);
}

struct Usage {
  std::int64_t client_us = 0;
  std::optional<ProcessReading> before;
  std::optional<ProcessReading> after;
  std::optional<std::uint64_t> wal_before{};
  std::optional<std::uint64_t> wal_after{};
};

/// Writes one figure, rounded to what can be told.
void decimal(net::JsonWriter& writer, std::string_view name, double value) {
  writer.key(name).raw(fmt::format("{:.3f}", value));
}

void latencies(net::JsonWriter& writer, std::string_view name, const LatencyHistogram& histogram) {
  writer.key(name).begin_object().member("count", histogram.count());
  decimal(writer, "p50", static_cast<double>(histogram.percentile_us(50)) / 1000);
  decimal(writer, "p99", static_cast<double>(histogram.percentile_us(99)) / 1000);
  decimal(writer, "p99_9", static_cast<double>(histogram.percentile_us(99.9)) / 1000);
  decimal(writer, "max", static_cast<double>(histogram.maximum_us()) / 1000);
  writer.end_object();
}

/// "postgres", without the rest of the URL.
std::string_view kind_of_store(std::string_view store) {
  return store.substr(0, store.find(':'));
}

void parameters(net::JsonWriter& writer, const BenchOptions& options) {
  const LoadOptions& load = options.load;
  writer.key("parameters")
      .begin_object()
      .member("server", options.server.empty() ? std::string("own") : net::redacted(options.server))
      .member("gateway", options.gateway.find("://") == std::string::npos
                             ? options.gateway
                             : net::redacted(options.gateway))
      .member("store", options.store.empty() ? "rocksdb" : kind_of_store(options.store))
      .member("loop", load.rate > 0 ? "open" : "closed");
  decimal(writer, "rate", load.rate);
  decimal(writer, "duration_seconds", load.duration_seconds);
  writer.member("connections", load.connections)
      .member("orders", load.orders)
      .member("batch", 1)
      .member("tenants", load.tenants)
      .member("products", load.products);
  decimal(writer, "declined_share", load.declined_share);
  writer.end_object();
}

void usage_of(net::JsonWriter& writer, const Usage& usage, const LoadResult& result, double ended) {
  double const accepted = std::max<double>(1, static_cast<double>(result.accepted));
  decimal(writer, "client_cpu_us_per_order", static_cast<double>(usage.client_us) / accepted);
  if (usage.wal_before && usage.wal_after) {
    decimal(writer, "database_wal_bytes_per_order",
            static_cast<double>(*usage.wal_after - *usage.wal_before) / std::max(1.0, ended));
  }
  if (!usage.before || !usage.after) return;
  double const orders = std::max(1.0, ended);
  decimal(writer, "server_cpu_us_per_order",
          static_cast<double>(usage.after->cpu_us - usage.before->cpu_us) / orders);
  decimal(writer, "server_written_bytes_per_order",
          static_cast<double>(usage.after->written_bytes - usage.before->written_bytes) / orders);
  writer.member("server_peak_resident_bytes", usage.after->peak_resident_bytes);
}

std::string report(const BenchOptions& options, const LoadResult& result, const Usage& usage) {
  std::string out;
  net::JsonWriter writer(out);
  writer.begin_object();
  parameters(writer, options);
  double const ended =
      result.marks.empty()
          ? 0
          : static_cast<double>(result.marks.back().ended - result.marks.front().ended);
  double const load = result.load_seconds;
  writer.member("sent", result.sent)
      .member("accepted", result.accepted)
      .member("unanswered", result.unanswered)
      .member("settled", result.settled);
  writer.key("refused").begin_object();
  for (auto const& [status, count] : result.refused) writer.member(std::to_string(status), count);
  writer.end_object();
  decimal(writer, "ended", ended);
  decimal(writer, "load_seconds", load);
  decimal(writer, "whole_seconds", result.whole_seconds);
  decimal(writer, "accepted_per_second",
          load > 0 ? static_cast<double>(result.accepted) / load : 0);
  decimal(writer, "completed_per_second",
          result.whole_seconds > 0 ? ended / result.whole_seconds : 0);
  writer.key("completed_per_second_by_quarter").begin_array();
  for (int quarter = 0; quarter < 4; ++quarter) {
    writer.raw(fmt::format(
        "{:.1f}", ended_per_second(result.marks, load * quarter / 4, load * (quarter + 1) / 4)));
  }
  writer.end_array();
  double const first = ended_per_second(result.marks, 0, load / 4);
  decimal(writer, "last_to_first_quarter",
          first > 0 ? ended_per_second(result.marks, load * 3 / 4, load) / first : 0);
  latencies(writer, "accept_ms", result.accept);
  latencies(writer, "end_to_end_ms", result.end_to_end);
  writer.member("samples_lost", result.samples_lost);
  usage_of(writer, usage, result, ended);
  writer.end_object();
  return out + "\n";
}

/// One line a second, from the server's marks.
class ProgressLine {
 public:
  ProgressLine(Progress progress, std::ostream& out) : progress_(progress), out_(out) {}

  void operator()(const LoadMark& mark) {
    if (progress_ == Progress::silent || mark.at_seconds - last_.at_seconds < 1) return;
    double const span = mark.at_seconds - last_.at_seconds;
    out_ << fmt::format("{:6.1f} s  accepted {:8.0f}/s  ended {:8.0f}/s  active {:8}\n",
                        mark.at_seconds, static_cast<double>(mark.accepted - last_.accepted) / span,
                        static_cast<double>(mark.ended - last_.ended) / span, mark.active)
         << std::flush;
    last_ = mark;
  }

 private:
  Progress progress_;
  std::ostream& out_;
  LoadMark last_;
};

}  // namespace

double ended_per_second(const std::vector<LoadMark>& marks, double from_seconds,
                        double to_seconds) {
  if (to_seconds <= from_seconds) return 0;
  return (ended_at(marks, to_seconds) - ended_at(marks, from_seconds)) /
         (to_seconds - from_seconds);
}

ExitCode bench(const BenchOptions& options, const ProcessReader& read_process, std::ostream& out,
               std::ostream& progress) {
  net::raise_descriptor_limit();
  OwnProcesses own;
  if (options.server.empty()) {
    if (auto const failed = start_own(options, own)) {
      progress << "penstock bench: " << *failed << '\n';
      return ExitCode::failed;
    }
  }
  auto target = resolve_target(own.server ? own.server->url : options.server);
  if (!target) {
    progress << "penstock bench: " << target.error() << '\n';
    return ExitCode::wrong_use;
  }
  LoadOptions load = options.load;
  load.target = *target;
  LoadEngine engine(load);
  if (auto const failed = engine.prepare()) {
    progress << "penstock bench: " << *failed << '\n';
    return ExitCode::failed;
  }
  auto const read_server = [&] {
    return own.server ? read_process(own.server->process.id()) : std::nullopt;
  };
  Usage usage{.before = read_server(), .after = std::nullopt};
  if (options.read_wal) usage.wal_before = options.read_wal();
  std::int64_t const client_before = own_cpu_us();
  ProgressLine line(options.progress, progress);
  LoadResult const result = engine.run([&line](const LoadMark& mark) { line(mark); });
  usage.client_us = own_cpu_us() - client_before;
  usage.after = read_server();
  if (options.read_wal) usage.wal_after = options.read_wal();
  out << report(options, result, usage) << std::flush;
  if (own.server) {
    own.server->process.send(SIGTERM);
    if (own.server->process.wait(kStop) != 0) {
      progress << "penstock bench: the server did not end cleanly\n";
      return ExitCode::failed;
    }
  }
  return result.settled && result.accepted > 0 ? ExitCode::done : ExitCode::failed;
}

}  // namespace penstock::cli

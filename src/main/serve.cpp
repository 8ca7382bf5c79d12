#include "main/serve.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "adapters/system/process_start.h"
#include "adapters/system/process_usage.h"
#include "adapters/system/receipt_files.h"
#include "adapters/system/system_random.h"
#include "adapters/webhook/http_fulfiller.h"
#include "adapters/webhook/webhook_notifier.h"
#include "api/problem.h"
#include "api/router.h"
#include "domain/error_code.h"
#include "main/demo_catalog.h"
#include "main/end_guard.h"
#include "main/gateway_factory.h"
#include "main/pipeline_thread.h"
#include "main/setting_table.h"
#include "main/store_factory.h"
#include "main/version.h"
#include "net/descriptor_limit.h"
#include "net/http_server.h"

namespace penstock::main {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

/// After the pipeline is idle, how long answers may take to leave.
constexpr milliseconds kLastAnswers{1'000};
/// How long clients may keep their connections once they are told that these end.
constexpr milliseconds kParting{2'000};
/// Threads of all parts together, with room to spare.
constexpr std::size_t kThreads = 32;
/// Descriptors of the store, the log and the peers, besides those of clients.
constexpr std::size_t kOwnDescriptors = 256;
constexpr std::size_t kLeastDescriptors = 64;
constexpr milliseconds kLook{5};
/// Once the drain is over, how long a peer of the store may still keep the process waiting.
constexpr milliseconds kLastWaits{2'000};
/// How often ends that another process brings about are looked for, where they are waited for.
constexpr domain::Duration kLookForEnds = domain::Duration::milliseconds(50);

std::string_view kind_of(const StoreChoice& store) {
  if (std::holds_alternative<RocksStore>(store)) return "rocksdb";
  return std::holds_alternative<SharedDatabase>(store) ? "postgres" : "memory";
}

std::string kind_of(const GatewayChoice& gateway) {
  if (const auto* const url = std::get_if<GatewayUrl>(&gateway)) return shown_url(url->url);
  return std::holds_alternative<NoGateway>(gateway) ? "none" : "sandbox";
}

api::ProcessUsage usage_for_metrics(const ports::Log& log) {
  system::ProcessUsage const usage = system::read_own_usage();
  return {.resident_bytes = static_cast<std::uint64_t>(usage.resident_bytes),
          .cpu_seconds = static_cast<double>(usage.cpu_us) / 1e6,
          .open_descriptors = static_cast<std::uint64_t>(usage.open_descriptors),
          .most_descriptors = static_cast<std::uint64_t>(usage.most_descriptors),
          .start_seconds = static_cast<double>(usage.start_us) / 1e6,
          .log_lines_dropped = log.dropped()};
}

/// As many connections as are wanted, as far as the descriptors reach.
std::size_t most_connections(std::size_t wanted) {
  std::size_t const descriptors = net::raise_descriptor_limit();
  std::size_t const own = std::min(kOwnDescriptors, descriptors / 2);
  return std::clamp<std::size_t>(descriptors - own, 1, wanted);
}

net::HttpServerOptions http_options(const ServeOptions& options, const ListenAddress& wanted,
                                    ports::Log& log) {
  net::HttpServerOptions http{
      .address = wanted.address, .port = wanted.port, .threads = options.http_threads};
  http.limits.connections = most_connections(options.max_connections);
  http.limits.connections_per_address = options.max_connections_per_address;
  http.limits.idle_timeout = options.idle_timeout;
  http.problem_body = api::server_problem_body;
  http.trouble = [&log](net::HttpServerTrouble trouble, bool begins) {
    log.write(begins ? ports::LogLevel::warning : ports::LogLevel::info,
              begins ? "clients are refused: a limit of the HTTP server is reached (docs/limits.md)"
                     : "clients are no longer refused",
              {{"limit", net::to_string(trouble)}});
  };
  return http;
}

std::uint64_t random_bits() {
  thread_local system::SystemRandom random;
  return random.next();
}

/// One running server, built in the order of its members and taken down in the reverse one.
class Server {
 public:
  Server(const ServeOptions& options, system::StopSignals& signals, ports::Clock& clock,
         ports::Log& log)
      : options_(options),
        signals_(signals),
        clock_(clock),
        log_(log),
        pipeline_(clock, log, [this] { signals_.notify(); }) {}

  ~Server() { take_down(); }
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  cli::ExitCode run() {
    bool const asked = open() && begin() && wait_for_stop();
    end_guard_.begin(kEndMargin + (asked ? options_.shutdown_delay + options_.drain
                                         : std::chrono::seconds::zero()));
    bool const stopped = asked && drain();
    take_down();
    bool const closed = store_ != nullptr && !has_failed() && close_store();
    if (stopped && closed) log_.write(ports::LogLevel::info, "stopped", {});
    return stopped && closed ? cli::ExitCode::done : cli::ExitCode::failed;
  }

 private:
  bool open() {
    auto const wake = [this] { pipeline_.wake(); };
    store_ = open_store(options_, {.wake = wake}, clock_, log_);
    if (store_ == nullptr) return false;
    gateway_ = open_gateway(options_,
                            {.wake = wake,
                             .failed =
                                 [this] {
                                   gateway_failed_ = true;
                                   signals_.notify();
                                 }},
                            log_);
    if (gateway_ == nullptr) return false;
    notifier_ = std::make_unique<webhook::WebhookNotifier>(webhook::WebhookNotifierOptions{
        .reach = options_.webhook_reach == WebhookReach::any ? webhook::Reach::any
                                                             : webhook::Reach::public_only,
        .wake = wake});
    if (!options_.receipts_directory.empty()) {
      if (auto const why = system::why_unusable(options_.receipts_directory)) {
        log_.write(ports::LogLevel::error, "the directory for receipts (--receipts) is not usable",
                   {{"directory", options_.receipts_directory}, {"detail", *why}});
        return false;
      }
      receipts_ = std::make_unique<system::ReceiptFiles>(options_.receipts_directory, wake);
    }
    if (options_.fulfiller_hook.empty()) return true;
    auto fulfiller = webhook::HttpFulfiller::open({.url = options_.fulfiller_hook, .wake = wake});
    if (!fulfiller) {
      log_.write(ports::LogLevel::error, "the fulfiller hook's URL is not usable",
                 {{"detail", net::to_string(fulfiller.error())}});
      return false;
    }
    fulfiller_ = std::move(*fulfiller);
    return true;
  }

  bool begin() {
    ports::Recovery const recovery = store_->store().recovery();
    clock_.not_before(recovery.latest);
    log_.write(ports::LogLevel::info, "store open",
               {{"store", kind_of(options_.store)},
                {"active_orders", recovery.active},
                {"unclean_ends", recovery.unclean_ends}});
    if (store_->is_shared()) {
      share();
    } else if (options_.history_months > 0) {
      pipeline_.each_hour([this](domain::Now now) { drop_history(now); });
    }
    pipeline::PipelineOptions pipeline_options;
    pipeline_options.stages = options_.stages;
    pipeline_options.saga = options_.saga;
    pipeline_options.max_payments_in_flight = options_.max_payments_in_flight;
    if (store_->is_shared()) pipeline_options.look_for_ends = kLookForEnds;
    pipeline_.start({.store = store_->store(),
                     .reader = store_->reader(),
                     .gateway = *gateway_,
                     .log = log_,
                     .random = random_,
                     .fulfiller = fulfiller_.get(),
                     .notifier = notifier_.get(),
                     .receipts = receipts_.get()},
                    pipeline_options);
    if (options_.demo_catalog == DemoCatalog::loaded &&
        !load_demo_catalog(pipeline_, store_->reader())) {
      log_.write(ports::LogLevel::error, "the demo catalog could not be stored", {});
      return false;
    }
    if (options_.listen) return listen(*options_.listen);
    log_.write(ports::LogLevel::info, "working",
               {{"version", kVersion},
                {"store", kind_of(options_.store)},
                {"node", options_.node},
                {"stages", to_string(options_.stages)},
                {"gateway", kind_of(options_.gateway)}});
    return true;
  }

  /// What a store asks for that other processes work on too.
  void share() {
    if (std::holds_alternative<SandboxInProcess>(options_.gateway)) {
      log_.write(ports::LogLevel::warning,
                 "the sandbox gateway in this process keeps its ledger on this machine alone: no "
                 "other process may charge, and what it knows does not move with the database",
                 {{"node", options_.node}});
    }
    pipeline_.share_store([this] { return store_->is_reachable(); }, store_->clock());
    store_->begin_background();
  }

  /// A store that failed on it has stopped, which the pipeline meets next.
  void drop_history(domain::Now now) {
    domain::Month const present = domain::month_of(now.wall);
    std::int32_t const number = present.year * 12 + present.month - 1 - options_.history_months;
    auto const dropped = store_->drop_history({number / 12, number % 12 + 1}, now);
    if (!dropped) return;
    for (domain::Month const month : *dropped) {
      log_.write(ports::LogLevel::info, "history dropped", {{"month", domain::to_string(month)}});
    }
  }

  bool listen(const ListenAddress& wanted) {
    api_ = std::make_unique<api::Api>(
        api::ApiParts{.intake = pipeline_,
                      .reader = store_->reader(),
                      .log = log_,
                      .clock = store_->clock() == nullptr ? clock_ : *store_->clock(),
                      .random = random_bits,
                      .process_usage = [this] { return usage_for_metrics(log_); },
                      .store_upkeep = [this] { return upkeep_for_metrics(); },
                      .server_usage = [this] { return http_->usage(); }},
        api::ApiOptions{
            .admin_key = options_.admin_key,
            .version = std::string(kVersion),
            .surface = options_.role == Role::worker ? api::Surface::probes : api::Surface::whole,
            .reads = {.read_threads = options_.read_threads},
            // Where other processes deliver, they know what they may reach.
            .webhook_reach =
                options_.webhook_reach == WebhookReach::any || !options_.stages.notification
                    ? api::WebhookReach::any
                    : api::WebhookReach::public_only});
    http_ = std::make_unique<net::HttpServer>(http_options(options_, wanted, log_));
    auto const started = http_->start([this](net::HttpRequest&& request, net::Responder responder) {
      api_->handle(std::move(request), std::move(responder));
    });
    if (!started) {
      log_.write(ports::LogLevel::error, "cannot listen",
                 {{"wanted", wanted.str()}, {"detail", net::to_string(started.error())}});
      return false;
    }
    ListenAddress bound = wanted;
    bound.port = http_->port();
    log_.write(ports::LogLevel::info, "serving",
               {{"version", kVersion},
                {"address", bound.str()},
                {"store", kind_of(options_.store)},
                {"node", store_->is_shared() ? options_.node : ""},
                {"stages", to_string(options_.stages)},
                {"gateway", kind_of(options_.gateway)},
                {"authentication", options_.admin_key ? "admin key" : "none"}});
    if (system::runs_as_root()) log_.write(ports::LogLevel::warning, system::kRootWarning, {});
    return true;
  }

  std::optional<api::StoreUpkeep> upkeep_for_metrics() const {
    if (!store_->is_shared()) return std::nullopt;
    auto const upkeep = store_->upkeep().value_or(Upkeep{});
    return api::StoreUpkeep{.is_reachable = store_->is_reachable(),
                            .keeps_house = upkeep.keeps_house,
                            .default_partition_rows = upkeep.default_rows};
  }

  bool has_failed() const { return gateway_failed_.load() || pipeline_.failure().has_value(); }

  /// True once a signal asks to stop, false where something failed first.
  bool wait_for_stop() {
    while (!has_failed()) {
      if (signals_.wait() == system::StopCause::signal) return true;
    }
    return false;
  }

  /// For balancers: says that it is not ready while it serves as before, then parts from those who
  /// are still connected.
  void leave() {
    log_.write(ports::LogLevel::info, "leaving", {{"seconds", options_.shutdown_delay.count()}});
    pipeline_.leave();
    wait_until(Clock::now() + options_.shutdown_delay, [] { return false; });
    if (http_ == nullptr) return;
    http_->stop_accepting();
    wait_until(Clock::now() + kParting, [this] { return http_->connections() == 0; });
  }

  /// Whether `holds` came true before `deadline`, and before anything failed.
  template <typename Condition>
  bool wait_until(Clock::time_point deadline, Condition holds) {
    while (!holds()) {
      if (has_failed() || Clock::now() >= deadline) return false;
      signals_.wait(kLook);
    }
    return true;
  }

  /// False where something failed on the way. Time being up is no failure: what is in flight is
  /// resumed at the next start.
  bool drain() {
    signals_.exit_on_next();
    if (options_.shutdown_delay.count() > 0) leave();
    log_.write(ports::LogLevel::info, "draining", {{"seconds", options_.drain.count()}});
    pipeline_.drain();
    if (http_ != nullptr) http_->begin_close();
    bool const drained =
        wait_until(Clock::now() + options_.drain, [this] { return pipeline_.drained(); });
    if (has_failed()) return false;
    if (!drained) {
      log_.write(ports::LogLevel::warning,
                 "the drain time is up; what is in flight is resumed at the next start", {});
    }
    pipeline_.end_waits();
    if (http_ == nullptr) return true;
    http_->stop_accepting();
    wait_until(Clock::now() + kLastAnswers, [this] { return http_->requests_in_flight() == 0; });
    return !has_failed();
  }

  /// Nothing uses the parts any more after it. Repeated calls do nothing.
  void take_down() {
    if (store_ != nullptr) store_->end_waits(Clock::now() + kLastWaits);
    pipeline_.stop();
    if (http_ != nullptr) http_->stop();
    api_.reset();
    if (store_ != nullptr) store_->end_background();
  }

  bool close_store() {
    if (store_->close()) return true;
    log_.write(ports::LogLevel::error, "the store could not be closed cleanly",
               {{"code", domain::to_string(domain::ErrorCode::store_failed)}});
    return false;
  }

  const ServeOptions& options_;
  system::StopSignals& signals_;
  ports::Clock& clock_;
  ports::Log& log_;
  EndGuard end_guard_{log_};     ///< first, so that it bounds the end of all others
  system::SystemRandom random_;  ///< the pipeline's
  std::atomic<bool> gateway_failed_{false};
  std::unique_ptr<OpenStore> store_;
  std::unique_ptr<api::Api> api_;
  std::unique_ptr<net::HttpServer> http_;
  // What wakes the pipeline's thread is declared behind it, so that it ends before it.
  PipelineThread pipeline_;
  std::unique_ptr<ports::PaymentGateway> gateway_;
  std::unique_ptr<ports::Fulfiller> fulfiller_;
  std::unique_ptr<ports::Notifier> notifier_;
  std::unique_ptr<ports::ReceiptStore> receipts_;
};

}  // namespace

cli::ExitCode serve(const ServeOptions& options, system::StopSignals& signals, ports::Clock& clock,
                    ports::Log& log) {
  std::size_t const descriptors = net::raise_descriptor_limit();
  if (descriptors < kLeastDescriptors) {
    log.write(ports::LogLevel::error,
              "too few files may be open; raise ulimit -n to 64 at the very least",
              {{"limit", descriptors}, {"least", kLeastDescriptors}});
    return cli::ExitCode::failed;
  }
  if (options.listen && descriptors < options.max_connections + kOwnDescriptors) {
    log.write(ports::LogLevel::warning,
              "fewer files may be open than max-connections needs; clients beyond that are refused",
              {{"limit", descriptors}, {"wanted", options.max_connections + kOwnDescriptors}});
  }
  if (auto const threads = system::can_start_threads(kThreads + options.http_threads); !threads) {
    log.write(ports::LogLevel::error, "the process cannot start", {{"detail", threads.error()}});
    return cli::ExitCode::failed;
  }
  return Server(options, signals, clock, log).run();
}

}  // namespace penstock::main

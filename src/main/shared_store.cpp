#include "main/shared_store.h"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include "adapters/postgres/housekeeper.h"
#include "adapters/postgres/postgres_store.h"
#include "adapters/postgres/wake_ups.h"
#include "domain/error_code.h"
#include "domain/monotone_wall.h"

namespace penstock::main {
namespace {

using domain::Stage;
using ports::LogLevel;
using postgres_store::StageBits;
using Change = postgres_store::Reachability::Change;

constexpr StageBits bit_of(Stage stage) {
  return StageBits{1} << static_cast<unsigned>(stage);
}

/// The stages that this process runs itself.
StageBits bits_of(const pipeline::Stages& stages) {
  StageBits bits = 0;
  if (stages.inventory) bits |= bit_of(Stage::inventory);
  if (stages.payment) bits |= bit_of(Stage::payment);
  if (stages.fulfillment) bits |= bit_of(Stage::fulfillment);
  if (stages.notification) bits |= bit_of(Stage::notification);
  return bits;
}

constexpr StageBits kAllStages = bit_of(Stage::inventory) | bit_of(Stage::payment) |
                                 bit_of(Stage::fulfillment) | bit_of(Stage::notification);

/// Connections of one process that write: the server works on one with one core at most.
constexpr std::size_t kWriterConnections = 2;
/// Below it a second transaction costs more of the server than it wins.
constexpr std::size_t kLeastSplitBatch = 256;

/// A difference between two clocks that somebody should know of.
constexpr domain::Duration kWorthTelling = domain::Duration::seconds(10);

/// How often a command that the database refuses is told of.
constexpr std::chrono::seconds kRefusalPause{10};

/// A commit of no consequence is made where there was none for so long.
constexpr domain::Duration kProbeEvery = domain::Duration::seconds(2);

/// How long a stage that had no more work is left alone, unless there are news of it.
constexpr domain::Duration kEmptyPause = domain::Duration::milliseconds(50);

postgres_store::GatewayHold hold_of(const GatewayChoice& gateway) {
  if (std::holds_alternative<SandboxInProcess>(gateway)) return postgres_store::GatewayHold::alone;
  if (std::holds_alternative<GatewayUrl>(gateway)) return postgres_store::GatewayHold::shared;
  return postgres_store::GatewayHold::none;
}

domain::ErrorCode code_of(const postgres_store::Failure& failure) {
  if (failure.error == ports::StoreError::corrupt) return domain::ErrorCode::store_corrupt;
  if (failure.sql_state == "55006") return domain::ErrorCode::store_locked;
  if (failure.sql_state == "55000") return domain::ErrorCode::store_layout;
  return domain::ErrorCode::store_unreachable;
}

/// The database's time on this process's monotonic clock.
class DatabaseClock final : public ports::Clock {
 public:
  DatabaseClock(ports::Clock& own, const postgres_store::StoreClock& known)
      : own_(own), known_(known) {}

  domain::Now now() override {
    domain::Now now = own_.now();
    const std::lock_guard lock(mutex_);
    now.wall = wall_.read(known_.at(now.monotonic).value_or(now.wall), now.monotonic);
    return now;
  }

 private:
  ports::Clock& own_;
  const postgres_store::StoreClock& known_;
  std::mutex mutex_;
  domain::MonotoneWall wall_;
};

class OpenSharedStore final : public OpenStore {
 public:
  OpenSharedStore(const SharedDatabase& database, const ServeOptions& options, StoreHooks hooks,
                  ports::Clock& clock, ports::Log& log)
      : database_(database),
        options_(options),
        hooks_(std::move(hooks)),
        own_clock_(clock),
        log_(log) {}

  bool open() {
    auto opened = postgres_store::PostgresStore::open(
        {.url = database_.url,
         .node = options_.node,
         .gateway = hold_of(options_.gateway),
         .max_active = options_.max_active,
         .default_contract = options_.default_contract,
         .lease = options_.lease,
         .connect_timeout = connect_timeout(),
         .timeout = options_.store_timeout,
         .last_call = last_call_,
         .reader_connections = options_.read_threads + kOwnReaders,
         .writer_connections = kWriterConnections,
         .least_split_batch = kLeastSplitBatch,
         .holding = postgres_store::Holding::accepted,
         .command_refused =
             [this](const ports::Command& command, const postgres_store::Failure& failure) {
               tell_refusal(command, failure);
             },
         .probe_every = kProbeEvery,
         .reachability_changed = [this](Change change,
                                        std::string_view why) { tell_reachability(change, why); },
         .empty_pause = kEmptyPause,
         .work_stored = [this](StageBits stages) { announce(stages); }});
    if (!opened) {
      log_.write(LogLevel::error, "the store does not open",
                 {{"node", options_.node},
                  {"code", domain::to_string(code_of(opened.error()))},
                  {"sql_state", opened.error().sql_state},
                  {"detail", opened.error().detail}});
      return false;
    }
    store_ = *std::move(opened);
    clock_.emplace(own_clock_, store_->clock());
    tell_clocks();
    return true;
  }

  ports::Clock* clock() override { return &*clock_; }
  ports::OrderStore& store() override { return *store_; }
  const ports::OrderReader& reader() const override { return store_->reader(); }
  bool is_shared() const override { return true; }
  bool is_reachable() const override { return store_->is_reachable(); }

  void end_waits(std::chrono::steady_clock::time_point at) override { last_call_->end_by(at); }

  void begin_background() override {
    StageBits const own = bits_of(options_.stages);
    wake_ups_.emplace(postgres_store::WakeUpOptions{
        .connection = connection_options("penstock wake-ups " + options_.node),
        // Whoever runs a stage finds its own work by itself; ends are waited for anywhere.
        .announced = (kAllStages & ~own) | bit_of(Stage::notification),
        .wanted = own | (options_.role == Role::server ? bit_of(Stage::notification) : 0),
        .wake = [this] {
          store_->expect_work();
          hooks_.wake();
        }});
    housekeeper_.emplace(
        postgres_store::HousekeeperOptions{
            .connection = connection_options("penstock housekeeper " + options_.node),
            .node = options_.node,
            .history_months = options_.history_months},
        log_);
  }
  void end_background() override {
    wake_ups_.reset();
    housekeeper_.reset();
  }

  std::optional<Upkeep> upkeep() const override {
    if (!housekeeper_) return std::nullopt;
    return Upkeep{.keeps_house = housekeeper_->keeps_house(),
                  .default_rows = housekeeper_->default_rows()};
  }

  /// The housekeeper's work, whichever process it is in.
  std::expected<std::vector<domain::Month>, ports::StoreError> drop_history(domain::Month,
                                                                            domain::Now) override {
    return std::vector<domain::Month>{};
  }

  std::expected<void, ports::StoreError> close() override { return store_->close(); }

 private:
  /// For what the pipeline reads, and the lists of operators.
  static constexpr std::size_t kOwnReaders = 2;

  postgres_store::ConnectionOptions connection_options(std::string name) const {
    const postgres_store::PostgresStoreOptions standard;
    return {.url = database_.url,
            .schema = standard.schema,
            .name = std::move(name),
            .connect_timeout = connect_timeout(),
            .timeout = options_.store_timeout,
            .last_call = last_call_};
  }

  void announce(StageBits stages) {
    if (wake_ups_) wake_ups_->announce(stages);
  }

  void tell_reachability(Change change, std::string_view why) {
    switch (change) {
      case Change::back:
        return log_.write(LogLevel::info, "the database is back", {{"node", options_.node}});
      case Change::away:
        return log_.write(LogLevel::warning,
                          "the database is away: it commits nothing. Orders are refused with 503, "
                          "and what is in flight waits",
                          {{"node", options_.node}, {"detail", why}});
      case Change::still_away:
        return log_.write(LogLevel::warning, "the database is still away",
                          {{"node", options_.node}, {"detail", why}});
    }
  }

  void tell_clocks() {
    const domain::Duration apart = clock_->now().wall - own_clock_.now().wall;
    if (std::abs(apart.us) < kWorthTelling.us) return;
    log_.write(LogLevel::warning,
               "this machine's clock is not the database's, by which everything is due: set one of "
               "them right",
               {{"node", options_.node}, {"database_ahead_seconds", apart.us / 1'000'000}});
  }

  /// What is refused is asked for again and again: a line now and then, with the number of the
  /// others.
  void tell_refusal(const ports::Command& command, const postgres_store::Failure& failure) {
    refusals_ += 1;
    const auto now = std::chrono::steady_clock::now();
    if (now < tell_refusals_at_) return;
    tell_refusals_at_ = now + kRefusalPause;
    std::string order;
    if (const auto* accept = std::get_if<ports::Accept>(&command)) {
      order = accept->commit.next.id.str();
    } else if (const auto* commit = std::get_if<ports::Commit>(&command)) {
      order = commit->next.id.str();
    }
    log_.write(LogLevel::error,
               "the database refuses to store something, and goes on with the rest: look for a "
               "trigger, a constraint or a right that is in the way",
               {{"node", options_.node},
                {"order_id", order},
                {"refusals", std::to_string(std::exchange(refusals_, 0))},
                {"sql_state", failure.sql_state},
                {"detail", failure.detail}});
  }

  domain::Duration connect_timeout() const {
    const postgres_store::PostgresStoreOptions standard;
    return std::min(standard.connect_timeout, options_.store_timeout);
  }

  SharedDatabase database_;
  const ServeOptions& options_;
  StoreHooks hooks_;
  ports::Clock& own_clock_;
  ports::Log& log_;
  std::uint64_t refusals_ = 0;  ///< not told yet; the writer's thread
  std::chrono::steady_clock::time_point tell_refusals_at_;
  std::shared_ptr<postgres_store::LastCall> last_call_ =
      std::make_shared<postgres_store::LastCall>();
  std::unique_ptr<postgres_store::PostgresStore> store_;
  std::optional<DatabaseClock> clock_;
  std::optional<postgres_store::WakeUps> wake_ups_;
  std::optional<postgres_store::Housekeeper> housekeeper_;
};

}  // namespace

std::unique_ptr<OpenStore> open_shared_store(const SharedDatabase& database,
                                             const ServeOptions& options, StoreHooks hooks,
                                             ports::Clock& clock, ports::Log& log) {
  auto store = std::make_unique<OpenSharedStore>(database, options, std::move(hooks), clock, log);
  if (!store->open()) return nullptr;
  return store;
}

}  // namespace penstock::main

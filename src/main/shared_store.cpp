#include "main/shared_store.h"

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include "adapters/postgres/housekeeper.h"
#include "adapters/postgres/postgres_store.h"
#include "adapters/postgres/wake_ups.h"
#include "domain/error_code.h"

namespace penstock::main {
namespace {

using domain::Stage;
using ports::LogLevel;
using postgres_store::StageBits;

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

/// How long a stage that had no more work is left alone, unless there are news of it.
constexpr domain::Duration kEmptyPause = domain::Duration::milliseconds(50);

postgres_store::GatewayHold hold_of(const GatewayChoice& gateway) {
  if (std::holds_alternative<SandboxInProcess>(gateway)) return postgres_store::GatewayHold::alone;
  if (std::holds_alternative<GatewayUrl>(gateway)) return postgres_store::GatewayHold::shared;
  return postgres_store::GatewayHold::none;
}

domain::ErrorCode code_of(const postgres_store::Failure& failure) {
  if (failure.sql_state == "55006") return domain::ErrorCode::store_locked;
  if (failure.sql_state == "55000") return domain::ErrorCode::store_layout;
  return domain::ErrorCode::store_failed;
}

class OpenSharedStore final : public OpenStore {
 public:
  OpenSharedStore(const SharedDatabase& database, const ServeOptions& options, StoreHooks hooks,
                  ports::Log& log)
      : database_(database), options_(options), hooks_(std::move(hooks)), log_(log) {}

  bool open() {
    auto opened = postgres_store::PostgresStore::open(
        {.url = database_.url,
         .node = options_.node,
         .gateway = hold_of(options_.gateway),
         .max_active = options_.max_active,
         .default_contract = options_.default_contract,
         .lease = options_.lease,
         .reader_connections = options_.http_threads + kOwnReaders,
         .writer_connections = kWriterConnections,
         .least_split_batch = kLeastSplitBatch,
         .holding = postgres_store::Holding::accepted,
         .reachability_changed = [this](bool is_back,
                                        std::string_view why) { tell_reachability(is_back, why); },
         .empty_pause = kEmptyPause,
         .work_stored = [this](StageBits stages) { announce(stages); }});
    if (!opened) {
      log_.write(LogLevel::error, "the store does not open",
                 {{"node", options_.node},
                  {"code", domain::to_string(code_of(opened.error()))},
                  {"detail", opened.error().detail}});
      return false;
    }
    store_ = *std::move(opened);
    return true;
  }

  ports::OrderStore& store() override { return *store_; }
  const ports::OrderReader& reader() const override { return store_->reader(); }
  bool is_shared() const override { return true; }
  bool is_reachable() const override { return store_->is_reachable(); }

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
  /// For what the pipeline and the answers to waiters read.
  static constexpr std::size_t kOwnReaders = 2;

  postgres_store::ConnectionOptions connection_options(std::string name) const {
    const postgres_store::PostgresStoreOptions standard;
    return {.url = database_.url,
            .schema = standard.schema,
            .name = std::move(name),
            .connect_timeout = standard.connect_timeout,
            .statement_timeout = standard.statement_timeout};
  }

  void announce(StageBits stages) {
    if (wake_ups_) wake_ups_->announce(stages);
  }

  void tell_reachability(bool is_back, std::string_view why) {
    if (is_back) {
      log_.write(LogLevel::info, "the database is back", {{"node", options_.node}});
    } else {
      log_.write(LogLevel::warning,
                 "the database is away; orders are refused with 503, and what is in flight waits",
                 {{"node", options_.node}, {"detail", why}});
    }
  }

  SharedDatabase database_;
  const ServeOptions& options_;
  StoreHooks hooks_;
  ports::Log& log_;
  std::unique_ptr<postgres_store::PostgresStore> store_;
  std::optional<postgres_store::WakeUps> wake_ups_;
  std::optional<postgres_store::Housekeeper> housekeeper_;
};

}  // namespace

std::unique_ptr<OpenStore> open_shared_store(const SharedDatabase& database,
                                             const ServeOptions& options, StoreHooks hooks,
                                             ports::Log& log) {
  auto store = std::make_unique<OpenSharedStore>(database, options, std::move(hooks), log);
  if (!store->open()) return nullptr;
  return store;
}

}  // namespace penstock::main

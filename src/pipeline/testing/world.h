#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "pipeline/pipeline.h"
#include "pipeline/testing/recording_store.h"
#include "pipeline/testing/scripted_gateway.h"
#include "pipeline/testing/scripted_peers.h"
#include "ports/order_reader.h"
#include "ports/order_store.h"
#include "ports/random.h"

/// The pipeline with everything around it, on virtual time: a store whose disk survives the
/// process, scripted peers, seeded random bits.
namespace penstock::pipeline::testing {

enum class FailedWrite : std::uint8_t { lost, landed };

/// What outlives the process.
class Disk {
 public:
  struct Options {
    std::size_t max_active = 1'000'000;
    domain::Contract contract{
        .bucket = {.rate = {.micro_tokens = 1'000'000'000'000}, .burst = 1'000'000},
        .guarantee = std::nullopt,
        .weight = 1,
        .webhook = std::nullopt};
  };
  virtual ~Disk() = default;
  /// Opens the store; the one that was open is gone, as after a crash.
  virtual void open(domain::Now now) = 0;
  virtual void close_cleanly() = 0;
  virtual ports::OrderStore& store() = 0;
  virtual const ports::OrderReader& reader() const = 0;
  virtual void fail_next_write(ports::StoreError error, FailedWrite write) = 0;
  /// Everything stored, by id.
  virtual std::vector<ports::StoredOrder> orders() const = 0;
};

/// A disk in memory; defined beside the tests, which alone may name an adapter.
std::unique_ptr<Disk> make_disk(Disk::Options options);

class SeededRandom final : public ports::Random {
 public:
  explicit SeededRandom(std::uint64_t seed) : engine_(seed) {}
  std::uint64_t next() override { return engine_(); }

 private:
  std::mt19937_64 engine_;
};

struct WorldOptions {
  std::uint64_t seed = 1;
  Disk::Options disk;
  PipelineOptions pipeline;
  bool fulfiller = false;
  bool notifier = false;
  bool receipts = false;
};

inline constexpr domain::Instant kWorldStart{1'800'000'000'000'000};

class World {
 public:
  explicit World(WorldOptions world_options = {})
      : options(std::move(world_options)), random(options.seed), disk(make_disk(options.disk)) {
    start();
  }

  /// A new process on the same disk.
  void start() {
    disk->open(now());
    store = std::make_unique<RecordingStore>(disk->store());
    if (prepare) prepare(*store);
    reader = std::make_unique<WatchedReader>(disk->reader());
    pipeline =
        std::make_unique<Pipeline>(Parts{.store = *store,
                                         .reader = *reader,
                                         .gateway = gateway,
                                         .log = log,
                                         .random = random,
                                         .fulfiller = options.fulfiller ? &fulfiller : nullptr,
                                         .notifier = options.notifier ? &notifier : nullptr,
                                         .receipts = options.receipts ? &receipts : nullptr},
                                   options.pipeline, now());
  }
  /// The process ends without a word; what was on its way is lost.
  void kill() {
    pipeline.reset();
    gateway.disconnect();
    fulfiller.disconnect();
    notifier.disconnect();
    receipts.disconnect();
  }
  void restart() {
    kill();
    start();
  }

  domain::Now now() const { return {wall, {(wall - kWorldStart).us * 1'000}}; }

  /// Polls until nothing is left to do at this time.
  void settle() {
    for (int round = 0; round < 100'000; ++round) {
      pipeline->poll(now());
      const auto due = pipeline->next_due(now());
      const bool woken =
          fulfiller.has_replies() || notifier.has_replies() || receipts.has_replies();
      if (!woken && (!due || *due > wall)) return;
    }
    throw std::runtime_error("the pipeline asks to be polled without end");
  }

  /// Lets `span` pass, polling whenever the pipeline asks for it.
  void run_for(domain::Duration span) {
    const domain::Instant end = wall + span;
    settle();
    while (wall < end) {
      const auto due = pipeline->next_due(now());
      wall = due ? std::min(end, *due) : end;
      settle();
    }
  }

  void stock(const std::string& product, std::int64_t pieces, const std::string& tenant = "acme") {
    pipeline->submit(SetStock{domain::TenantId::unchecked(tenant),
                              domain::ProductId::unchecked(product), pieces, [](auto) {}});
    pipeline->poll(now());
  }

  /// Hands an order in; the answer is in the result once it came.
  std::shared_ptr<std::optional<PlaceResult>> submit(
      domain::Order draft, std::optional<ports::IdempotencyClaim> claim = std::nullopt) {
    auto answer = std::make_shared<std::optional<PlaceResult>>();
    pipeline->submit(PlaceOrder{std::move(draft), std::move(claim),
                                [answer](PlaceResult result) { *answer = std::move(result); }});
    return answer;
  }
  /// Places an order with one poll and gives its id.
  domain::OrderId place(domain::Order draft) {
    const auto answer = submit(std::move(draft));
    pipeline->poll(now());
    return (*answer).value().order.value().id;
  }

  std::expected<domain::Order, Refusal> cancel(const domain::OrderId& order) {
    std::optional<std::expected<domain::Order, Refusal>> answer;
    pipeline->submit(CancelOrder{order, [&answer](auto result) { answer = std::move(result); }});
    pipeline->poll(now());
    return answer.value();
  }
  std::expected<domain::Order, Refusal> discard(const domain::OrderId& order) {
    std::optional<std::expected<domain::Order, Refusal>> answer;
    pipeline->submit(Discard{order, [&answer](auto result) { answer = std::move(result); }});
    pipeline->poll(now());
    return answer.value();
  }
  std::size_t redrive(Redrive request) {
    std::size_t answer = 0;
    request.done = [&answer](auto result) { answer = result.value_or(0); };
    pipeline->submit(std::move(request));
    pipeline->poll(now());
    return answer;
  }
  Statistics statistics() {
    Statistics answer;
    pipeline->submit(AskStatistics{[&answer](Statistics result) { answer = std::move(result); }});
    pipeline->poll(now());
    return answer;
  }
  std::vector<Unresolved> unresolved() {
    std::vector<Unresolved> answer;
    pipeline->submit(ListUnresolved{100, [&answer](auto result) { answer = std::move(result); }});
    pipeline->poll(now());
    return answer;
  }

  ports::StoredOrder stored(const domain::OrderId& id) const {
    return disk->reader().find(id).value().value();
  }
  domain::Order order(const domain::OrderId& id) const { return stored(id).order; }
  domain::Status status(const domain::OrderId& id) const { return order(id).status; }
  domain::Stock stock_of(const std::string& product, const std::string& tenant = "acme") const {
    return disk->reader()
        .stock(domain::TenantId::unchecked(tenant), domain::ProductId::unchecked(product))
        .value()
        .value_or(domain::Stock{});
  }

  WorldOptions options;
  domain::Instant wall = kWorldStart;
  SeededRandom random;
  ScriptedGateway gateway;
  ScriptedFulfiller fulfiller;
  ScriptedNotifier notifier;
  ScriptedReceipts receipts;
  KeptLog log;
  std::unique_ptr<Disk> disk;
  std::function<void(RecordingStore&)> prepare;  ///< of each store that is opened
  std::unique_ptr<RecordingStore> store;
  std::unique_ptr<WatchedReader> reader;
  std::unique_ptr<Pipeline> pipeline;
};

/// What semantics 6 asks of every stored order and of the gateway's own ledger, once faults have
/// stopped: one line a broken rule. Open dead letters are within their hold.
std::vector<std::string> broken_invariants(const World& world);

}  // namespace penstock::pipeline::testing

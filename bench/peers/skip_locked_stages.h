#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "adapters/postgres/connection.h"
#include "bench/peers/skip_locked_sql.h"
#include "domain/idempotency.h"
#include "domain/ids.h"

/// A pipeline as a good engineer writes it by hand: five stages over one database, each with its
/// own connections, each batch claimed by FOR UPDATE SKIP LOCKED, moved on and committed.
namespace penstock::peer {

/// How requests become transactions.
enum class Ingest : std::uint8_t {
  grouped,     ///< what came while one was written is the next one, as Penstock does it
  one_by_one,  ///< each request in one of its own, over a pool of connections
};

struct Tuning {
  std::string url;
  std::string schema = "peer";
  Ingest ingest = Ingest::grouped;
  std::size_t batch = 256;  ///< orders a transaction, at most
  /// How long a stage that was called waits for more before it claims.
  std::chrono::milliseconds gather{0};
  bool has_stage_index = true;
  std::vector<postgres_store::Statement> statements = sql::statements(sql::Timeline::kept);
  std::array<std::size_t, 5> workers{1, 1, 1, 1, 1};  ///< ingest, ..., notification
  std::chrono::milliseconds idle{20};                 ///< a look although nobody called
};

/// An order of one line. `stored` is called once, from the ingest worker: whether it is durable.
struct NewOrder {
  domain::OrderId id;
  std::string tenant;
  std::string customer;
  std::string key;
  std::string product;
  std::int32_t quantity = 1;
  std::int64_t price_minor = 0;
  std::string payment_method;
  domain::Fingerprint fingerprint{};
  std::function<void(bool)> stored;
};

/// Makes the tables, from nothing.
void make_schema(const Tuning& tuning);

/// The workers of all stages. `place` from any thread. Ends with the object; a worker that meets an
/// error ends the process.
class Pipeline {
 public:
  explicit Pipeline(Tuning tuning);
  ~Pipeline();
  Pipeline(const Pipeline&) = delete;
  Pipeline& operator=(const Pipeline&) = delete;

  void place(NewOrder order);

  std::uint64_t accepted() const { return accepted_; }
  std::uint64_t ended() const { return ended_; }
  /// Transactions of each stage, to tell the mean batch.
  std::array<std::uint64_t, 5> batches() const;

 private:
  using Step = std::size_t (Pipeline::*)(postgres_store::Connection&);

  /// Wakes the workers of one stage; a call in vain is kept for the next look.
  struct Bell {
    std::mutex mutex;
    std::condition_variable rung;
    std::uint64_t rings = 0;
  };

  void work(std::size_t stage, Step step);
  std::size_t batch_of(std::size_t stage) const;
  void ring(std::size_t stage);
  std::size_t ingest(postgres_store::Connection& connection);
  std::size_t ingest_one(postgres_store::Connection& connection);
  std::size_t inventory(postgres_store::Connection& connection);
  std::size_t payment(postgres_store::Connection& connection);
  std::size_t fulfillment(postgres_store::Connection& connection);
  std::size_t notification(postgres_store::Connection& connection);
  std::vector<NewOrder> take_placed();
  postgres_store::Parameters limit() const;

  Tuning tuning_;
  std::atomic<bool> is_over_ = false;
  std::array<Bell, 5> bells_;
  std::array<std::atomic<std::uint64_t>, 5> batches_{};
  std::mutex placed_mutex_;
  std::deque<NewOrder> placed_;
  std::atomic<std::uint64_t> accepted_ = 0;
  std::atomic<std::uint64_t> ended_ = 0;
  std::vector<std::thread> threads_;
};

}  // namespace penstock::peer

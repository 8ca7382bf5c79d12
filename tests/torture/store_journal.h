#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <map>
#include <memory>
#include <optional>
#include <ostream>
#include <random>
#include <set>
#include <string>
#include <vector>

#include <rocksdb/env.h>

#include "adapters/rocksdb/rocks_store.h"
#include "adapters/rocksdb/rocks_store_options.h"
#include "checker/report.h"
#include "domain/order.h"
#include "domain/stock.h"
#include "ports/order_store.h"
#include "tests/torture/recorded_disk.h"

/// A store under work, batch by batch, with what it must hold after each.
namespace penstock::torture {

/// What a store holds, as its audit reads it.
struct StoredState {
  std::map<domain::OrderId, domain::Order> orders;
  std::set<domain::OrderId> receipts;
  std::map<std::string, domain::Stock> stock;          ///< by product
  std::map<std::string, domain::OrderId> keys;         ///< by idempotency key
  std::set<domain::OrderId> notifications;             ///< ended, not worked off
  std::map<domain::OrderId, std::int32_t> deliveries;  ///< the attempt to make next
  std::set<std::string> contracts;                     ///< of these tenants
  std::set<domain::OrderId> dead_letters;
  std::set<domain::OrderId> owed_refunds;
  std::int64_t tokens_taken = 0;  ///< off all buckets that never refill

  bool operator==(const StoredState&) const = default;
};

void PrintTo(const StoredState& state, std::ostream* out);

/// A store that was read while nobody writes it.
struct ReadStore {
  StoredState state;
  checker::Report audit;
  std::vector<std::string> corrupt;
};

/// Reads the store, without changing it. The error is why it does not open.
std::expected<ReadStore, std::string> read_store(const std::string& path, rocksdb::Env* env);

/// Random orders, their steps, stock, contracts and notifications against a store, one batch a
/// call. What the store must hold is worked out from the commands and their answers.
class StoreWork {
 public:
  StoreWork(std::uint64_t seed, rocksdb_store::RocksStore& store, domain::Now now);

  /// The same store, opened again.
  void go_on_with(rocksdb_store::RocksStore& store);
  /// Applies one batch of commands; false where the store answered with an error.
  bool apply_batch();
  /// What the store must hold after the batches so far.
  const StoredState& state() const { return state_; }
  domain::Now now() const { return now_; }

 private:
  std::uint64_t draw(std::uint64_t below) { return random_() % below; }
  std::vector<ports::Command> batch();
  ports::Command accept();
  std::optional<ports::Command> step_of_some_order();
  void take(const ports::Command& command, const ports::CommandResult& result);
  void store(const domain::Order& order);

  std::mt19937_64 random_;
  rocksdb_store::RocksStore* store_;
  domain::Now now_;
  StoredState state_;
  std::map<std::string, std::int64_t> received_;
  std::set<domain::OrderId> touched_;  ///< by the batch in the making
  std::set<std::uint64_t> finishing_;
  std::map<std::uint64_t, std::vector<domain::OrderId>> batches_;  ///< taken, not worked off
  std::uint64_t orders_ = 0;
};

/// A recorded run: the disk's steps, and what the store held when.
struct Journal {
  struct Mark {
    std::size_t begun = 0;     ///< steps of the disk when the batch was handed in
    std::size_t returned = 0;  ///< steps when it was acknowledged
    StoredState state;         ///< that the store then holds
  };
  std::vector<DiskStep> history;
  DiskContent content;      ///< of the disk at the end, synced or not
  std::vector<Mark> marks;  ///< the first is the open store, empty
  rocksdb_store::RocksStoreOptions options;
};

struct JournalOptions {
  std::uint64_t seed = 1;
  int batches = 40;
  int starts = 3;  ///< the batches are spread over so many runs, each ended uncleanly
  std::size_t write_ahead_bytes = 6U << 10;  ///< a log of about so many is flushed
};

/// Lets a store work on a disk of its own and records it. Throws where the store fails.
Journal record(const JournalOptions& options);

/// The options that every recorded store has; small memory tables, so that files are written.
rocksdb_store::RocksStoreOptions journal_options(const std::string& path);

}  // namespace penstock::torture

#pragma once

#include <cstdint>
#include <expected>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "adapters/rocksdb/rocks_store_options.h"
#include "domain/ids.h"
#include "domain/instant.h"
#include "domain/order.h"
#include "ports/copied_records.h"
#include "ports/order_reader.h"
#include "ports/order_store.h"

namespace penstock::rocksdb_store {

class Database;
class StoredChanges;

/// How a store is read for a copy.
enum class CopyAccess : std::uint8_t {
  beside_a_server,  ///< without its lock, as it was synced a moment ago; reads may fail and be
                    ///< tried again, since the server may remove a file
  exclusive,        ///< under its lock: no server runs, nothing changes but by this object
};

/// What a copy has to know before it begins.
struct CopyFacts {
  std::string identity;  ///< the database's own, the same for its life
  /// Every order of a terminal batch below this ended, and nothing of it changes any more: its
  /// batch was worked off and no delivery of it is left.
  std::uint64_t settled_batches = 0;
  domain::Instant wall;                   ///< the last stored time
  std::optional<std::string> sealed_for;  ///< where a copy said that it moves the store to
};

/// An ended order with the sequence of the terminal batch that it ended in.
struct EndedOrder {
  ports::StoredOrder stored;
  std::uint64_t batch = 0;
};

/// Reads a store record by record to be written elsewhere. One thread. Visits go in the order of
/// the keys; a visitor that answers false ends its visit. Fails with `store_corrupt` on the first
/// record that cannot be read: a copy leaves nothing out.
class CopySource {
 public:
  template <typename Record>
  using Visit = std::function<bool(const Record&)>;
  using Done = std::expected<void, OpenError>;

  static std::expected<std::unique_ptr<CopySource>, OpenError> open(const std::string& path,
                                                                    CopyAccess access);
  ~CopySource();
  CopySource(const CopySource&) = delete;
  CopySource& operator=(const CopySource&) = delete;

  const CopyFacts& facts() const { return facts_; }
  /// Oldest first.
  std::vector<domain::Month> months() const;

  /// Ends the store for good, synced: only a copy opens it for writing any more. `target` is what a
  /// refused server tells, so it holds no secret. Exclusive access only.
  Done seal(const std::string& target);
  /// Takes the seal back: for a copy that was given up before its target was opened.
  Done unseal();

  /// The ended orders of a month behind `after`, with their notifications.
  Done ended(domain::Month month, const std::optional<domain::OrderId>& after,
             const Visit<EndedOrder>& visit) const;
  /// The keys behind `after`, a place that `place_of` named; "" is the beginning.
  Done keys(const std::string& after, const Visit<ports::CopiedKey>& visit) const;
  static std::string place_of(const ports::CopiedKey& key);
  /// Where the last run ended without a farewell, what it had marked counts as interrupted.
  Done active(const Visit<domain::Order>& visit) const;
  /// `reserved` is what the active orders hold.
  Done stock(const Visit<ports::CopiedStock>& visit) const;
  Done buckets(const Visit<ports::CopiedBucket>& visit) const;
  Done contracts(const Visit<ports::CopiedContract>& visit) const;
  Done batches(const Visit<ports::TerminalBatch>& visit) const;
  Done deliveries(const Visit<ports::CopiedDelivery>& visit) const;

 private:
  explicit CopySource(std::unique_ptr<Database> database);
  Done read_facts();
  Done read_changes();
  /// The bound of CopyFacts::settled_batches, from `next_batch` down.
  Done settle(std::uint64_t next_batch);

  std::unique_ptr<Database> database_;
  std::unique_ptr<StoredChanges> changes_;
  CopyFacts facts_;
  std::vector<domain::OrderId> interrupted_;  ///< sorted
};

}  // namespace penstock::rocksdb_store

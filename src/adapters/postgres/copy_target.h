#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "adapters/postgres/connection.h"
#include "adapters/postgres/order_segment.h"
#include "domain/instant.h"
#include "domain/order.h"
#include "ports/copied_records.h"
#include "ports/order_reader.h"
#include "ports/order_store.h"

namespace penstock::postgres_store {

/// Records that one call writes, at most.
inline constexpr std::size_t kMaxCopyPage = 1'000;

enum class CopyPhase : std::uint8_t {
  none,       ///< nothing was copied into this schema
  copying,    ///< no process opens it
  finished,   ///< it is a store like any other
  abandoned,  ///< given up: no process opens it ever; drop the schema
};

/// How far a copy came. It is written in the transaction of what it tells of.
struct CopyProgress {
  CopyPhase phase = CopyPhase::none;
  std::string source;                ///< the source's identity
  std::uint64_t copied_batches = 0;  ///< ended orders of terminal batches below it are there
  std::optional<domain::Instant> copied_until;  ///< keys that were claimed by then are there
  std::optional<std::uint64_t> pass_to;         ///< a pass up to this bound has begun
  std::string step;   ///< of that pass: a month, or "keys"; "" before the first
  std::string after;  ///< of that step: the last key that is there
};

/// Where a page of a pass ends.
struct CopyPlace {
  std::string step;
  std::string after;
};

/// Sums over what is stored, by what they are sums of; a sum of zero is left out. Equal contents
/// have equal sums.
using Tally = std::map<std::string, std::int64_t>;

/// The receiving end of a copy: fills an empty, migrated schema that no process may open until
/// `finish`. Two marks keep them out: a schema version that no program knows, and a trigger under
/// the row that every process writes as it starts. One thread; calls fail as a Connection's do and
/// may be repeated from `progress`.
class CopyTarget {
 public:
  using Done = std::expected<void, Failure>;

  /// Connects, migrates a schema that is not being filled, and holds off a second copy. Fails where
  /// another copy runs, or a newer schema is there.
  static std::expected<std::unique_ptr<CopyTarget>, Failure> open(const ConnectionOptions& options);

  const CopyProgress& progress() const { return progress_; }
  /// The database for people, without a secret.
  const std::string& description() const { return description_; }
  /// The database's clock.
  std::expected<domain::Instant, Failure> now();

  /// From here on no process opens the store. Refused where it is not empty or a process uses it.
  Done begin(const std::string& source);
  /// Never to be opened: for the source to be served again.
  Done abandon();

  /// `until` is the source's last stored time.
  Done begin_pass(std::uint64_t to_batch, domain::Instant until);
  Done end_pass();
  Done make_month(domain::Month month);
  /// Removes what is stored of a month.
  Done clear_month(domain::Month month);
  /// Orders that ended, with all that belongs to them; what is there already stays. At most
  /// kMaxCopyPage.
  Done write_ended(std::span<const ports::StoredOrder> orders, const CopyPlace& place);
  /// A key that is there is replaced by one that lives longer.
  Done write_keys(std::span<const ports::CopiedKey> keys, const CopyPlace& place);

  /// Removes all that is written by the calls below: they have no place to go on from.
  Done clear_live();
  Done write_active(std::span<const domain::Order> orders);
  Done write_stock(std::span<const ports::CopiedStock> stock);
  Done write_buckets(std::span<const ports::CopiedBucket> buckets);
  Done write_contracts(std::span<const ports::CopiedContract> contracts);
  Done write_batches(std::span<const ports::TerminalBatch> batches);
  Done write_deliveries(std::span<const ports::CopiedDelivery> deliveries);

  /// What is stored; keys count that live at `keys_after`.
  std::expected<Tally, Failure> tally(domain::Instant keys_after);
  /// Fresh statistics, then opens the store, durably.
  Done finish();

 private:
  explicit CopyTarget(std::unique_ptr<Connection> connection)
      : connection_(std::move(connection)) {}
  Done prepare();
  /// Holds off a second copy; waits for one that is just ending.
  Done hold();
  Done read_progress();
  Done write(const Statement& statement, const Parameters& parameters);
  Done write_at(const Statement& statement, Parameters parameters, const CopyPlace& place);

  std::unique_ptr<Connection> connection_;
  CompositeTypes types_;
  CopyProgress progress_;
  std::string description_;
};

}  // namespace penstock::postgres_store

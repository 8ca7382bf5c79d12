#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "domain/contract.h"
#include "domain/ids.h"
#include "domain/instant.h"
#include "domain/order.h"
#include "domain/stock.h"
#include "domain/token_bucket.h"
#include "pipeline/statistics.h"
#include "ports/order_reader.h"
#include "ports/order_store.h"

/// What the pipeline can be asked. A request carries the function that takes its answer; it is
/// called exactly once, on the thread that drives the pipeline, after whatever the answer claims is
/// durable. It must be cheap and must not call back into the pipeline.
namespace penstock::pipeline {

template <typename Result>
using Done = std::move_only_function<void(Result)>;

/// Why a request that is not about one order's rules was not carried out.
enum class Refusal : std::uint8_t {
  reduced_capacity,  ///< 503: full, or the store is away; nothing was done
  draining,          ///< 503: stopping
  abandoned,         ///< the outcome is unknown: close the connection without an answer
  not_found,
  already_terminal,
  not_a_dead_letter,
  stock_limit,
  too_many_tenants,
  stale,  ///< another contract than the one to be replaced is in force by now
};

enum class PlaceOutcome : std::uint8_t {
  accepted,
  replayed,
  key_reused,
  quota_exceeded,
  cost_exceeds_capacity,
  reduced_capacity,
  draining,
  abandoned,
};

struct PlaceResult {
  PlaceOutcome outcome = PlaceOutcome::abandoned;
  /// accepted and replayed: the order. The answer is made of its immutable fields alone, so that a
  /// replay is the same to the byte.
  std::optional<domain::Order> order;
  domain::TakeResult take;          ///< the bucket, where it was asked
  domain::BucketContract contract;  ///< of the tenant, where the bucket was asked
  domain::Duration retry_after;     ///< where the outcome is a refusal that may pass
};

/// Places one order. `draft` comes from make_order (ingest.h).
struct PlaceOrder {
  domain::Order draft;
  std::optional<ports::IdempotencyClaim> idempotency;
  Done<PlaceResult> done;
};

struct PeekResult {
  domain::TakeResult take;
  domain::BucketContract contract;
};

/// Looks at a tenant's bucket; takes nothing.
struct PeekRateLimit {
  domain::TenantId tenant;
  Done<std::expected<PeekResult, Refusal>> done;
};

/// Cancels an order; answers with it as it is then stored.
struct CancelOrder {
  domain::OrderId order;
  Done<std::expected<domain::Order, Refusal>> done;
};

/// Answers once the order is terminal, or at `until`, whichever comes first: with the order as it
/// ended, or with null where it is for the asker to read (its time is over, or another process
/// ended it).
struct WaitForEnd {
  domain::OrderId order;
  domain::Instant until;
  Done<std::shared_ptr<const domain::Order>> done;
};

struct SetStock {
  domain::TenantId tenant;
  domain::ProductId product;
  std::int64_t on_hand = 0;  ///< 0..kMaxStock
  Done<std::expected<domain::Stock, Refusal>> done;
};

struct Restock {
  domain::TenantId tenant;
  domain::ProductId product;
  std::int64_t quantity = 0;  ///< 1..kMaxStock
  Done<std::expected<domain::Stock, Refusal>> done;
};

struct PutContract {
  domain::TenantId tenant;
  domain::Contract contract;
  Done<std::expected<std::monostate, Refusal>> done;
  /// Stored only where this is the contract in force, else `stale`; absent: in any case.
  std::optional<domain::Contract> instead_of{};
};

/// Redrives dead letters: those named, else those that match the filter (its cursor and limit are
/// not used), at `rate_per_second` if given. Answers how many it will redrive.
struct Redrive {
  std::vector<domain::OrderId> orders;
  ports::DeadLetterQuery filter;
  std::optional<domain::TokenRate> rate;
  Done<std::expected<std::size_t, Refusal>> done;
};

/// Gives a dead letter up; it is compensated.
struct Discard {
  domain::OrderId order;
  Done<std::expected<domain::Order, Refusal>> done;
};

/// What is known of an order beyond its record, in this process.
struct Progress {
  bool in_flight = false;  ///< an effect was sent and has not answered
  std::optional<domain::EffectKind> effect;
  std::optional<domain::Instant> since;  ///< of the effect in flight
  std::uint32_t unanswered = 0;          ///< times in a row without an answer
  std::uint32_t failures = 0;            ///< times in a row that settled nothing
  std::optional<domain::Instant> next_try;
  domain::Trouble trouble = domain::Trouble::none;  ///< of the last answer that settled nothing
  std::string detail;                               ///< of the same, for people
  std::optional<domain::Instant> peer_away_since;   ///< the peer of its stage answers nobody
  domain::Instant peer_next_try;                    ///< when it is asked again
  bool runs_elsewhere = false;                      ///< this process does not run the order's stage
  bool careful_run = false;                         ///< after crashes a few orders run at a time
  /// Charges of the tenant are held back: its dead letters or owed refunds are at their share.
  bool at_bound = false;
};

struct AskProgress {
  domain::OrderId order;
  Done<Progress> done;
  std::optional<domain::Stage> stage{};  ///< of the order as it was read; nothing: not known
  domain::TenantId tenant{};
};

/// An order whose charge or refund got no answer yet.
struct Unresolved {
  domain::OrderId order;
  domain::TenantId tenant;
  domain::Instant since;
  std::uint32_t unanswered = 0;
};

/// The first `limit` unresolved charges, oldest first.
struct ListUnresolved {
  std::size_t limit = 50;
  Done<std::vector<Unresolved>> done;
};

struct AskStatistics {
  Done<Statistics> done;
};

using Request =
    std::variant<PlaceOrder, PeekRateLimit, CancelOrder, WaitForEnd, SetStock, Restock, PutContract,
                 Redrive, Discard, AskProgress, ListUnresolved, AskStatistics>;

/// Answers `request` as not carried out.
void refuse(Request& request, Refusal refusal);

/// Where requests are handed in, from any thread.
class Intake {
 public:
  virtual ~Intake() = default;

  /// Takes the request; if it cannot (mailbox full, stopping), answers it at once on this thread.
  virtual void submit(Request request) = 0;

  /// False while recovering, draining or stopped: /readyz.
  virtual bool ready() const = 0;
};

}  // namespace penstock::pipeline

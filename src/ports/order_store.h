#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "domain/contract.h"
#include "domain/idempotency.h"
#include "domain/ids.h"
#include "domain/instant.h"
#include "domain/order.h"
#include "domain/saga.h"
#include "domain/stock.h"
#include "domain/token_bucket.h"
#include "ports/claim_places.h"

/// The store of orders, as the pipeline writes it. The record of an order is the truth; queues are
/// the store's indexes over it.
namespace penstock::ports {

/// One transition of a stored order, from the version that was read.
struct Commit {
  domain::Order next;    ///< version > `read`; its timeline carries every event up to it
  domain::Version read;  ///< the version that was decided on; 0 only inside Accept
  /// Over all items. A reserve that finds an item short commits domain::reject_instead(next), with
  /// reason unknown_product where no stock was ever set, else insufficient_stock.
  domain::StockMove stock = domain::StockMove::none;
  std::string receipt;  ///< the receipt's bytes; not empty exactly where next is fulfilled
};

struct IdempotencyClaim {
  domain::IdempotencyKey key;
  domain::Fingerprint fingerprint{};
};

/// A new order: idempotency, bucket, depth bound and first commit, all or nothing.
struct Accept {
  Commit commit;  ///< read = 0; next is version 1, or 2 with stock = reserve
  std::optional<IdempotencyClaim> idempotency;
};

/// A look at a tenant's bucket; writes nothing.
struct PeekBucket {
  domain::TenantId tenant;
};

struct SetStock {
  domain::TenantId tenant;
  domain::ProductId product;
  std::int64_t on_hand = 0;
};

struct Restock {
  domain::TenantId tenant;
  domain::ProductId product;
  std::int64_t quantity = 0;
};

struct PutContract {
  domain::TenantId tenant;
  domain::Contract contract;
  /// Stored only where this is the contract in force, all of it; absent: in any case. For who
  /// changes a part of what was read.
  std::optional<domain::Contract> instead_of = std::nullopt;
};

/// How much of a terminal batch is done.
enum class BatchPart : std::uint8_t {
  whole,       ///< log entries, deliveries and copies: the batch is over
  deliveries,  ///< all but copies, for which the batch stays stored; handed out again next run
  copies,      ///< what was left of a batch whose deliveries were begun: it is over
};

/// Ends a terminal batch (see TerminalBatch), or a part of it: its log entries and copies are done;
/// the deliveries that it led to are stored in the same commit.
struct FinishTerminalBatch {
  std::uint64_t sequence = 0;
  std::vector<domain::OrderId>
      deliveries;  ///< orders whose tenant has a webhook; not with `copies`
  BatchPart part = BatchPart::whole;
};

/// One attempt at a delivery ended.
struct DeliveryAttempt {
  domain::OrderId order;
  std::int32_t attempt = 0;  ///< 1-based, the one that ended
  domain::Reason reason = domain::Reason::delivered;
  std::optional<domain::Instant> next_due;  ///< absent: the delivery is over
};

using Command = std::variant<Accept, Commit, PeekBucket, SetStock, Restock, PutContract,
                             FinishTerminalBatch, DeliveryAttempt>;

enum class AcceptOutcome : std::uint8_t {
  accepted,          ///< stored, as `next` or rejected for stock
  replayed,          ///< the same request completed before: `order` is that order
  key_reused,        ///< the key belongs to another request
  denied,            ///< the bucket says no: take.wait
  exceeds_capacity,  ///< the bucket can never say yes
  full,              ///< the depth bound
};

struct AcceptResult {
  AcceptOutcome outcome = AcceptOutcome::full;
  std::optional<domain::Order> order;  ///< accepted: as stored; replayed: as stored now
  domain::TakeResult take;             ///< also on accepted and denied
  domain::BucketContract contract;
};

enum class CommitOutcome : std::uint8_t {
  committed,
  short_of_stock,  ///< rejected instead; durable as well
  stale,           ///< the stored version is another: nothing was written
  missing,         ///< no such order
};

struct CommitResult {
  CommitOutcome outcome = CommitOutcome::committed;
  std::optional<domain::Order> current;  ///< stale: the stored order; short_of_stock: as stored
};

struct StockResult {
  std::expected<domain::Stock, domain::StockError> stock;
};

enum class PutOutcome : std::uint8_t {
  stored,
  too_many_tenants,
  stale,  ///< another contract than `instead_of` is in force: nothing was written
};

enum class StoreError : std::uint8_t {
  stopped,          ///< a sync or write failed: the store is closed for good, outcome unknown
  full_disk,        ///< as stopped, because the disk is full
  corrupt,          ///< a record does not match its checksum or form
  unavailable,      ///< nothing was done; try again later
  unknown_outcome,  ///< shared stores: the connection broke around the call; it may land late
};

/// Shared stores: the database would not carry out this command, while it took others of the batch.
/// The command is as it was.
struct CommandNotDone {
  StoreError error = StoreError::unavailable;  ///< or unknown_outcome
};

using CommandResult = std::variant<AcceptResult, CommitResult, StockResult, PutOutcome,
                                   std::monostate, CommandNotDone>;

/// Orders that reached a terminal state together, in commit order; what notification works off.
struct TerminalBatch {
  struct Entry {
    domain::OrderId order;
    domain::TenantId tenant;
    domain::Status status = domain::Status::fulfilled;
  };
  std::uint64_t sequence = 0;
  std::vector<Entry> entries;
};

/// A webhook delivery that is due.
struct Delivery {
  domain::OrderId order;
  domain::TenantId tenant;
  std::int32_t attempt = 1;  ///< the one to make now
};

struct StageDepth {
  std::size_t ready = 0;  ///< waiting for a first or next claim, timed retries included
  std::size_t leased = 0;
  std::size_t dead_letters = 0;           ///< open ones
  std::optional<domain::Instant> oldest;  ///< since when the head waits
};

struct StoreDepth {
  std::array<StageDepth, domain::kStages + 1> stages{};  ///< by Stage's number
  std::size_t active = 0;
  std::size_t owed_refunds = 0;
  std::size_t terminal_batches = 0;
  std::size_t deliveries = 0;
  std::size_t open_dead_letters = 0;
  /// Tenants whose share of open dead letters or of owed refunds is used up (domain/fair_share.h
  /// over kMaxDeadLetters, kMaxOwedRefunds), and whether that of all tenants without a contract of
  /// their own is: nothing that may fill them is to be begun for these.
  std::vector<domain::TenantId> at_bound;
  bool is_group_at_bound = false;
};

/// What the last run left behind.
struct Recovery {
  std::int32_t unclean_ends = 0;  ///< in a row, this start's included
  /// Orders that were marked when the process ended, with their interruptions counted up and
  /// stored.
  std::vector<domain::OrderId> interrupted;
  std::size_t active = 0;
  /// The latest time that is stored: what is due was stored by that clock, so this process's is not
  /// to show less. Zero where the store has a clock of its own.
  domain::Instant latest;
};

/// Writer side. One thread calls; every method returns when it is done. What `apply` returned is
/// durable (synced), atomic per command, and visible to readers; effects may leave after it. A
/// shared store has several writers, each with a store object of its own; time is its own clock's,
/// and the `now` that is passed in counts for nothing there.
class OrderStore {
 public:
  virtual ~OrderStore() = default;

  /// Applies `commands` in order as one group commit with one sync; result i belongs to command i.
  /// At most kMaxBatch commands. A shared store may answer single commands with CommandNotDone.
  /// Commands are moved from, except where the error is `unavailable`
  /// (nothing was done) or `unknown_outcome` (each of them took effect, or did not, or still may):
  /// then they are as they were. What must not be lost may be applied again as it is, since a
  /// version, a sequence or an attempt's number fences it: a Commit that had landed answers `stale`
  /// with a record that holds its own events; FinishTerminalBatch and DeliveryAttempt do nothing
  /// the second time, and a PutContract `instead_of` another answers `stale`. An Accept, SetStock,
  /// Restock or other PutContract has no such fence. After
  /// `stopped`, `full_disk` or `corrupt` no call succeeds any more and nothing is retried.
  virtual std::expected<std::vector<CommandResult>, StoreError> apply(std::span<Command> commands,
                                                                      domain::Now now) = 0;

  /// Leases up to `limit` due orders of a stage (inventory, payment, fulfillment): tenants by
  /// deficit round robin, where those without a contract of their own share one turn; of a tenant
  /// what is due again (retries, holds) before first claims. With `places`, each order takes one
  /// for its tenant, and a tenant whose share is used up is left out: its orders keep their places
  /// in line and hold up nobody else's. A shared store may take some places beyond a share, at most
  /// half of those that are free. A leased order is not claimed again until a commit, `release`,
  /// or, in a shared store, the lease's end: then it may be claimed while whoever held it still
  /// works on it, which versions, effect keys and close make harmless. An error leases nothing for
  /// the caller; in a shared store the lost answer's leases run out by themselves.
  virtual std::expected<std::vector<domain::Order>, StoreError> claim_within(domain::Stage stage,
                                                                             std::size_t limit,
                                                                             ClaimPlaces* places,
                                                                             domain::Now now) = 0;
  /// The same without places: every tenant may take as many.
  std::expected<std::vector<domain::Order>, StoreError> claim(domain::Stage stage,
                                                              std::size_t limit, domain::Now now) {
    return claim_within(stage, limit, nullptr, now);
  }

  /// Leases one order out of turn, if it is active and nobody holds it: for a cancel or a discard.
  /// Nothing where it is leased, missing or terminal (see the reader).
  virtual std::expected<std::optional<domain::Order>, StoreError> claim_one(
      const domain::OrderId& order) = 0;

  /// Gives a lease back; the order is not claimed before `due`. Not durable, no version. No effect
  /// where the lease is not, or is no longer, the caller's.
  virtual void release(const domain::OrderId& order, domain::Instant due) = 0;

  /// Replaces the set of orders that this process marked, synced before it returns: if it ends now,
  /// these were running. At its next start they come back in Recovery::interrupted.
  virtual std::expected<void, StoreError> mark(std::span<const domain::OrderId> orders) = 0;

  /// Up to `limit` terminal batches that were not taken in this run, oldest first. In a shared
  /// store a taken batch is leased: past the lease's end it is taken again, by anyone.
  virtual std::expected<std::vector<TerminalBatch>, StoreError> take_terminal_batches(
      std::size_t limit) = 0;

  /// Up to `limit` deliveries that are due and not taken, of all tenants but those `left_out`,
  /// which hold up nobody; first due, first taken. Taken until their DeliveryAttempt, or, in a
  /// shared store, the lease's end. O(limit + left_out) in an embedded store, however many are due.
  virtual std::expected<std::vector<Delivery>, StoreError> take_deliveries(
      std::size_t limit, domain::Now now, std::span<const domain::TenantId> left_out) = 0;

  /// Depths for back-pressure and operators. O(stages * tenants).
  virtual StoreDepth depth() const = 0;

  /// When the next timed order or delivery becomes due, for the caller's sleep. A delivery that was
  /// due at the last take_deliveries and was left there counts no more: its place is awaited.
  virtual std::optional<domain::Instant> next_due() const = 0;

  /// What this start found; of this process alone where several share the store. `unclean_ends`
  /// counts on until `settled`.
  virtual Recovery recovery() const = 0;

  /// The orders that were active at the start have been stepped, or the process ends cleanly: the
  /// count of unclean ends starts again. Synced.
  virtual std::expected<void, StoreError> settled() = 0;
};

}  // namespace penstock::ports

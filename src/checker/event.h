#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "domain/idempotency.h"
#include "domain/ids.h"
#include "domain/instant.h"
#include "domain/money.h"
#include "domain/order.h"
#include "domain/stock.h"
#include "domain/token_bucket.h"

/// What a history is made of: what clients asked for and were told, what a store committed, what
/// the gateway and the webhook's receiver saw by themselves, and what happened to processes.
namespace penstock::checker {

/// Names one request of one client, once in a history. A request that is sent again is another.
struct OperationId {
  std::uint64_t number = 0;
  auto operator<=>(const OperationId&) const = default;
};

/// A place in the world where a server process runs; its processes follow each other there.
struct ProcessId {
  std::uint32_t number = 0;
  auto operator<=>(const ProcessId&) const = default;
};

// --- Client operations -----------------------------------------------------------------------

/// An order as a client wrote it.
struct OrderContent {
  domain::CustomerId customer;
  std::vector<domain::Item> items;
  domain::Money total;
  std::string payment_method;
  std::vector<std::pair<std::string, std::string>> metadata;
};

struct PlaceRequest {
  std::optional<domain::IdempotencyKey> key = std::nullopt;
  domain::Fingerprint fingerprint{};  ///< any injective digest of the payload; only where keyed
  OrderContent content{};
};
struct ReadRequest {
  domain::OrderId order;
};
struct CancelRequest {
  domain::OrderId order;
};
struct DiscardRequest {
  domain::OrderId order;
};
/// Dead letters are sent through again; which ones is the server's choice.
struct RedriveRequest {};
struct SetStockRequest {
  domain::ProductId product;
  std::int64_t on_hand = 0;
};
struct RestockRequest {
  domain::ProductId product;
  std::int64_t quantity = 0;
};
struct PutContractRequest {
  domain::BucketContract contract;
  /// Any injective digest of the whole contract but for whether its webhook is disabled; 0: not
  /// known.
  std::uint64_t content = 0;
};

using ClientRequest =
    std::variant<PlaceRequest, ReadRequest, CancelRequest, DiscardRequest, RedriveRequest,
                 SetStockRequest, RestockRequest, PutContractRequest>;

/// A client begins an operation: added before the first byte leaves it.
struct Invoke {
  OperationId operation;
  /// For whom it asks. Empty: an operator who may see every tenant's orders (reads, cancels and
  /// discards only; the other requests name the tenant that they act for).
  domain::TenantId tenant;
  ClientRequest request;
};

/// The invoke of a place for `order`'s tenant with its content, without a copy of them: for who
/// adds it at once and keeps nothing.
struct PlaceView {
  OperationId operation;
  const domain::Order& order;
  const std::optional<domain::IdempotencyKey>& key;
  const domain::Fingerprint& fingerprint;
};

enum class Result : std::uint8_t {
  ok,       ///< acknowledged: 200, 201, 202
  refused,  ///< the server said that it did nothing, and why
  unknown,  ///< no answer, or half of one: it may have happened, or may still happen
};

enum class Refusal : std::uint8_t {
  none,
  quota_exceeded,         ///< 429
  reduced_capacity,       ///< 503, draining included
  key_reused,             ///< 422 idempotency-key-reused
  cost_exceeds_capacity,  ///< 422
  not_found,              ///< 404
  already_terminal,       ///< 409 to a cancel
  not_a_dead_letter,      ///< 409 to a discard
  other,                  ///< anything else of 4xx
};

enum class Freshness : std::uint8_t { fresh, replayed };

/// The operation's end as its client saw it: added after the last byte arrived. What an answer does
/// not tell stays at its default.
struct Complete {
  OperationId operation;
  Result result = Result::unknown;
  Refusal refusal = Refusal::none;
  std::optional<domain::OrderId> order = std::nullopt;          ///< the order the answer shows
  std::optional<domain::TenantId> order_tenant = std::nullopt;  ///< the tenant the answer shows
  std::optional<domain::Status> status =
      std::nullopt;                        ///< not of a place: that answer is immutable
  domain::Version version{};               ///< 0: not told; not of a place
  std::uint64_t body_digest = 0;           ///< of the answer's bytes, for places; 0: not told
  Freshness freshness = Freshness::fresh;  ///< replayed: `Idempotent-Replayed: true`
  std::optional<std::int64_t> remaining_tokens = std::nullopt;  ///< as told in RateLimit
  std::optional<domain::Stock> stock = std::nullopt;            ///< of set_stock and restock
  ProcessId process{};                                          ///< that answered
};

// --- The store, as a tap beside it sees it (simulators only) -------------------------------------
// A tap adds what became durable, in the order of its commands, when `apply` has returned: no
// reader saw it before, every reader sees it from then on. What landed although nobody heard of it
// (a crash inside a commit) is added behind the `Started` that finds it; what was lost never.

/// A record as it is stored now. Commits of one order follow each other by version.
struct Committed {
  domain::Order order;
  std::size_t receipt_bytes = 0;
  /// When the bucket was asked, in the history's time, for an order's first commit; absent: now.
  std::optional<domain::Instant> admitted_at = std::nullopt;
  ProcessId process{};
};

/// Committed, of a record that is elsewhere: for who adds it at once and keeps nothing.
struct CommittedView {
  const domain::Order& order;
  std::size_t receipt_bytes = 0;
  std::optional<domain::Instant> admitted_at = std::nullopt;
  ProcessId process{};
};

/// What a place with a key left behind; beside the order's first commit, in the same group.
struct KeyStored {
  domain::TenantId tenant;
  domain::IdempotencyKey key;
  domain::IdempotencyRecord record;
  domain::Instant decided_at;  ///< the wall clock that the store was given, with all its jumps
};

/// A place that was answered from its key, without an order of its own: replayed, or refused as
/// another payload.
struct KeyAnswered {
  domain::TenantId tenant;
  domain::IdempotencyKey key;
  domain::Instant decided_at;  ///< as in KeyStored
};

struct StockSet {
  domain::TenantId tenant;
  domain::ProductId product;
  std::int64_t on_hand = 0;  ///< as asked
  domain::Stock stock;       ///< as stored after it
};
struct Restocked {
  domain::TenantId tenant;
  domain::ProductId product;
  std::int64_t quantity = 0;
  domain::Stock stock;
};
/// A look at a stock record at the end of a group.
struct StockNow {
  domain::TenantId tenant;
  domain::ProductId product;
  domain::Stock stock;
};
struct ContractStored {
  domain::TenantId tenant;
  domain::BucketContract contract;
  /// When the bucket changed over, in the history's time; absent: now.
  std::optional<domain::Instant> effective_at = std::nullopt;
  /// As in PutContractRequest. What nobody asked for may only be what was in force.
  std::uint64_t content = 0;
  std::uint64_t disabled_endpoint = 0;  ///< digest of its webhook's URL, where that is disabled
};
/// What the store itself counts, at the end of a group: orders that have not ended, open dead
/// letters, refunds that are owed.
struct DepthsNow {
  std::size_t active = 0;
  std::size_t open_dead_letters = 0;
  std::size_t owed_refunds = 0;
};
/// One atomic group of the store ends here. Anything but another tapped event ends it as well.
struct GroupEnded {
  /// The wall clock that the store was given for it: keys that end by then may be gone, also if the
  /// clock is set back afterwards. Absent: not known.
  std::optional<domain::Instant> wall = std::nullopt;
};

// --- The gateway's own ledger, when it happens and before the gateway answers --------------------

struct GatewayAct {
  std::string key;
  domain::OrderId order;
  domain::Money amount;
};
/// A request for money arrived, whatever becomes of it.
struct ChargeAsked : GatewayAct {};
struct RefundAsked : GatewayAct {};
struct Captured : GatewayAct {
  std::string reference = {};  ///< that the gateway gave the capture; empty: not known
};
struct Refunded : GatewayAct {};
struct Declined : GatewayAct {};
struct Closed : GatewayAct {};

/// What a peer says when it did not do what it was asked for, before its answer leaves. Only the
/// effect itself counts: a find or close that fails says nothing.
enum class PeerFailure : std::uint8_t {
  charge,            ///< a charge failed, and may pass later
  charge_rejected,   ///< a charge failed for good
  handover,          ///< the fulfiller failed, and may do better later
  handover_refused,  ///< the fulfiller refused, or called the request invalid
};
struct PeerFailed {
  domain::OrderId order;
  PeerFailure what = PeerFailure::charge;
};

// --- The receiver of webhooks --------------------------------------------------------------------

enum class Signature : std::uint8_t { valid, invalid };
enum class ReceiverAnswer : std::uint8_t { accepted, refused };

struct Delivered {
  std::string webhook_id;
  domain::OrderId order;
  domain::Status status = domain::Status::fulfilled;
  Signature signature = Signature::valid;
  ReceiverAnswer answer = ReceiverAnswer::accepted;  ///< accepted: 2xx
};
/// From now on every order of this tenant that ends is to be delivered.
struct Subscribed {
  domain::TenantId tenant;
};
/// The receiver said that this endpoint is gone (410); it may be disabled from then on.
struct EndpointGone {
  domain::TenantId tenant;
  std::uint64_t endpoint = 0;  ///< digest of its URL
};
/// Nothing of this tenant is expected any more (its endpoint answered 410, or the contract's
/// webhook was taken away), what ended before included.
struct Unsubscribed {
  domain::TenantId tenant;
};

// --- Processes -----------------------------------------------------------------------------------

struct Crashed {
  ProcessId process{};
};
struct Started {
  ProcessId process{};
};
/// A sync of the process's own store failed: it may acknowledge nothing until it is started again.
struct SyncFailed {
  ProcessId process{};
};
/// The world is kind from here on.
struct FaultsStopped {};

using Occurrence =
    std::variant<Invoke, Complete, Committed, KeyStored, KeyAnswered, StockSet, Restocked, StockNow,
                 ContractStored, DepthsNow, GroupEnded, ChargeAsked, RefundAsked, Captured,
                 Refunded, Declined, Closed, PeerFailed, Delivered, EndpointGone, Subscribed,
                 Unsubscribed, Crashed, Started, SyncFailed, FaultsStopped>;

/// One of them, or a view, where it is; valid as long as that is.
class OccurrencePointer {
 public:
  template <typename What>
  OccurrencePointer(const What& what) : pointer_(&what) {}

  /// Calls `visitor` with what it points to.
  template <typename Visitor>
  void visit(Visitor&& visitor) const {
    std::visit([&visitor](const auto* what) { visitor(*what); }, pointer_);
  }
  /// What it points to, if that is a What; else null.
  template <typename What>
  const What* get_if() const {
    const auto* const found = std::get_if<const What*>(&pointer_);
    return found == nullptr ? nullptr : *found;
  }
  /// With views made whole: what can be kept.
  Occurrence copy() const;

 private:
  template <typename Variant>
  struct PointersTo;
  template <typename... Whats>
  struct PointersTo<std::variant<Whats...>> {
    using Type = std::variant<const Whats*..., const CommittedView*, const PlaceView*>;
  };

  PointersTo<Occurrence>::Type pointer_;
};

inline Occurrence OccurrencePointer::copy() const {
  return std::visit(
      [](const auto* what) -> Occurrence {
        using What = std::decay_t<decltype(*what)>;
        if constexpr (std::is_same_v<What, CommittedView>) {
          return Committed{what->order, what->receipt_bytes, what->admitted_at, what->process};
        } else if constexpr (std::is_same_v<What, PlaceView>) {
          const domain::Order& order = what->order;
          return Invoke{what->operation, order.tenant,
                        PlaceRequest{what->key,
                                     what->fingerprint,
                                     {order.customer, order.items, order.total,
                                      order.payment_method, order.metadata}}};
        } else {
          return *what;
        }
      },
      pointer_);
}

/// `at` is true time: it advances evenly over restarts and whatever the processes' clocks show, and
/// never goes back in a history. Its zero is anywhere.
struct Event {
  domain::Instant at;
  Occurrence what;
};

}  // namespace penstock::checker

#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "checker/admission_book.h"
#include "checker/audit.h"
#include "checker/digest.h"
#include "checker/history.h"
#include "checker/money_book.h"
#include "checker/order_state.h"
#include "checker/stock_book.h"
#include "checker/submission_book.h"

namespace penstock::checker {

/// What a History does: one overload of `on` for each kind of event, and the end. Orders are in one
/// table that the books share; each book judges one subject.
class History::Judge {
 public:
  explicit Judge(const HistoryOptions& options);

  void add(domain::Instant at, const OccurrencePointer& what);
  const Report& report() const { return report_; }

  void add_final_order(const domain::Order& order, ReceiptPresence receipt);
  void add_final_stock(const StockNow& stock);
  void add_final_key(const domain::TenantId& tenant, const domain::IdempotencyKey& key,
                     const domain::IdempotencyRecord& record);
  void add_final_delivery(const domain::OrderId& order, FinalDelivery state);
  void add_final_depths(const FinalDepths& depths) { depths_ = depths; }
  void add_unreadable(std::string subject, std::string detail);
  void history_was_dropped();
  Report finish(Quiescence quiescence, std::optional<domain::Instant> wall);

 private:
  enum class Kind : std::uint8_t {
    place,
    read,
    cancel,
    discard,
    redrive,
    set_stock,
    restock,
    put_contract
  };

  /// An operation in flight.
  struct Pending {
    Kind kind = Kind::read;
    TenantNumber tenant = kNoTenant;
    std::uint32_t floor = 0;  ///< the version that the answer must not fall behind
    Step invoked = 0;
    AdmissionBook::Attempt attempt = 0;
    SubmissionBook::Place place;
    domain::OrderId order;
    domain::ProductId product;
    std::int64_t quantity = 0;
  };

  /// Changes of stock that look the same: how many were asked for, stored, acknowledged.
  struct Changes {
    std::int32_t asked = 0;
    std::int32_t stored = 0;
    std::int32_t acknowledged = 0;
  };

  /// An order that had not ended when the store was read.
  struct Unfinished {
    domain::OrderId order;
    domain::Status status = domain::Status::placed;
    std::optional<domain::Instant> dead_lettered_at;
    bool owes_refund = false;
  };

  bool follows_store() const { return options_.store == StoreTap::followed; }
  bool follows_ledger() const { return options_.ledger == LedgerFeed::followed; }
  TenantNumber number_of(const domain::TenantId& tenant);
  const domain::TenantId& name_of(TenantNumber tenant) const { return names_.at(tenant); }
  void end_group();

  void on(const Invoke& event);
  void on(const PlaceView& event);
  void on(const Complete& event);
  void on(const Committed& event) {
    on(CommittedView{event.order, event.receipt_bytes, event.admitted_at, event.process});
  }
  void on(const CommittedView& event);
  void on(const KeyStored& event);
  void on(const KeyAnswered& event);
  void on(const StockSet& event);
  void on(const Restocked& event);
  void on(const StockNow& event);
  void on(const ContractStored& event);
  void on(const DepthsNow& event);
  void on(const GroupEnded& event);
  void on(const ChargeAsked& event);
  void on(const RefundAsked& event);
  void on(const Captured& event);
  void on(const Refunded& event);
  void on(const Declined& event);
  void on(const Closed& event);
  void on(const PeerFailed& event);
  void on(const Delivered& event);
  void on(const EndpointGone& event);
  void on(const Subscribed& event);
  void on(const Unsubscribed& event);
  void on(const Crashed& event);
  void on(const Started& event);
  void on(const SyncFailed& event);
  void on(const FaultsStopped& event);

  Pending& begin(OperationId operation, const domain::TenantId& tenant);
  void begin(const PlaceRequest& request, const Invoke& event, Pending& pending);
  void begin_place(const SubmissionBook::Submission& submission, OperationId operation,
                   Pending& pending);
  void begin(const ReadRequest& request, const Invoke& event, Pending& pending);
  void begin(const CancelRequest& request, const Invoke& event, Pending& pending);
  void begin(const DiscardRequest& request, const Invoke& event, Pending& pending);
  void begin(const RedriveRequest& request, const Invoke& event, Pending& pending);
  void begin(const SetStockRequest& request, const Invoke& event, Pending& pending);
  void begin(const RestockRequest& request, const Invoke& event, Pending& pending);
  void begin(const PutContractRequest& request, const Invoke& event, Pending& pending);
  void begin_about(const domain::OrderId& order, Pending& pending) const;

  void end_place(const Pending& pending, const Complete& answer);
  void end_about_order(const Pending& pending, const Complete& answer);
  void end_cancel(const Pending& pending, const Complete& answer, OrderState& order);
  void end_stock_change(const Pending& pending, const Complete& answer);
  void end_put(const Pending& pending, const Complete& answer);
  void end_followed_put(const Pending& pending, const Complete& answer);
  void check_silence(const Pending& pending, const Complete& answer);
  void check_shown(const Pending& pending, const Complete& answer, OrderState& order);
  void stock_stored(Kind kind, TenantNumber tenant, const domain::ProductId& product,
                    std::int64_t quantity);
  Changes& changes_of(Kind kind, TenantNumber tenant, const domain::ProductId& product,
                      std::int64_t quantity);
  static std::uint64_t endpoint_of(TenantNumber tenant, std::uint64_t endpoint) {
    return Digest{}.add(tenant).add(endpoint).value();
  }
  Changes& contract_changes(TenantNumber tenant, std::uint64_t content) {
    return changes_of(Kind::put_contract, tenant, {}, static_cast<std::int64_t>(content));
  }
  void move(MovementKind kind, const GatewayAct& act);
  void count(const OrderState& order, std::int64_t sign);
  void check_claims(const domain::Order& record, const OrderState& order);

  void check_order_at_end(const domain::OrderId& id, const OrderState& order,
                          Quiescence quiescence);
  void check_delivery_at_end(const domain::OrderId& id, const OrderState& order,
                             Quiescence quiescence);
  void check_liveness(Quiescence quiescence, std::optional<domain::Instant> wall);
  void check_depths();
  Report merged();

  HistoryOptions options_;
  Report report_;
  Audit audit_;
  OrderTable orders_;
  MoneyBook money_;
  StockBook stock_;
  AdmissionBook admissions_;
  SubmissionBook submissions_;

  Step step_ = 0;  ///< of the present event, 1-based
  domain::Instant at_;
  bool in_group_ = false;
  std::unordered_map<domain::TenantId, TenantNumber> numbers_;
  std::vector<domain::TenantId> names_;
  TenantNumber last_number_ = kNoTenant;                ///< that was asked for
  std::unordered_map<std::uint64_t, Pending> pending_;  ///< by operation
  std::unordered_map<std::uint64_t, Changes> changes_;
  std::unordered_map<std::uint32_t, Step> failed_;       ///< processes after a failed sync
  std::unordered_map<TenantNumber, Step> unsubscribed_;  ///< since when nothing is expected
  std::unordered_map<TenantNumber, bool> subscribed_;
  std::unordered_set<std::uint64_t> gone_;                    ///< endpoints, with their tenant
  std::unordered_map<TenantNumber, std::uint64_t> in_force_;  ///< contracts, by their content
  std::unordered_map<std::uint64_t, domain::OrderId> webhook_ids_;
  std::vector<Unfinished> unfinished_;
  std::optional<FinalDepths> depths_;
  /// What a store has to count, from its commits.
  struct Counted {
    std::int64_t active = 0;
    std::int64_t open_dead_letters = 0;
    std::int64_t owed_refunds = 0;
  };
  Counted counted_;
  bool whole_history_ = true;
};

}  // namespace penstock::checker

#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "checker/clean_orders.h"
#include "checker/event.h"
#include "checker/history.h"

/// Valid histories for the checker's tests to break in one place each.
namespace penstock::checker {

inline domain::TenantId tenant(const char* name) {
  return domain::TenantId::unchecked(name);
}

/// Writes what a correct pipeline would do, one step of one order at a time, as the events of a
/// followed store, a ledger and a receiver of webhooks.
class HistoryWriter {
 public:
  std::vector<Event> events;

  void add(Occurrence what) {
    at_ = at_ + domain::Duration::milliseconds(500);
    events.push_back({at_, std::move(what)});
  }
  OperationId invoke(const domain::TenantId& who, ClientRequest request) {
    OperationId const operation{++operations_};
    add(Invoke{operation, who, std::move(request)});
    return operation;
  }

  void open_tenant(const domain::TenantId& who, std::int64_t pieces) {
    add(ContractStored{who, {.rate = {.micro_tokens = 1'000'000}, .burst = 3}, {}});
    add(Subscribed{who});
    auto const operation = invoke(who, SetStockRequest{product(), pieces});
    domain::Stock& stock = stock_[who];
    stock.received = pieces + stock.reserved + stock.sold;
    add(StockSet{who, product(), pieces, stock});
    add(GroupEnded{});
    add(Complete{.operation = operation, .result = Result::ok, .stock = stock});
  }
  void restock(const domain::TenantId& who, std::int64_t pieces) {
    auto const operation = invoke(who, RestockRequest{product(), pieces});
    stock_[who].received += pieces;
    add(Restocked{who, product(), pieces, stock_[who]});
    add(Complete{.operation = operation, .result = Result::ok, .stock = stock_[who]});
  }

  /// A draft of its own content: its number is in its metadata.
  domain::Order draft(const domain::TenantId& who, std::int32_t quantity = 2) {
    domain::Order order = placed_order(++orders_made_);
    order.tenant = who;
    order.items[0].quantity = quantity;
    order.total.minor_units = 1000LL * quantity;
    order.metadata = {{"number", std::to_string(orders_made_)}};
    return order;
  }
  static PlaceRequest request_of(const domain::Order& order,
                                 const std::optional<std::string>& key) {
    PlaceRequest request{.content = {order.customer, order.items, order.total, order.payment_method,
                                     order.metadata}};
    if (key) {
      request.key = domain::IdempotencyKey::unchecked(*key);
      request.fingerprint[0] = static_cast<std::uint8_t>(order.id.bytes()[15]);
      request.fingerprint[1] = static_cast<std::uint8_t>(order.id.bytes()[14]);
    }
    return request;
  }

  /// What an accept commits: reserved, or rejected for stock.
  domain::OrderId accept(const domain::Order& draft, const std::optional<std::string>& key) {
    domain::Order order = next_of(draft);
    if (stock_[draft.tenant].on_hand() < draft.items[0].quantity) {
      order = domain::reject_instead(order, domain::Reason::insufficient_stock);
    }
    commit(order,
           key ? std::optional(std::pair(*key, request_of(draft, key).fingerprint)) : std::nullopt);
    return order.id;
  }
  domain::OrderId place(const domain::Order& draft,
                        const std::optional<std::string>& key = std::nullopt) {
    auto const operation = invoke(draft.tenant, request_of(draft, key));
    domain::OrderId const id = accept(draft, key);
    answer(operation, id, Freshness::fresh);
    return id;
  }
  void answer(OperationId operation, const domain::OrderId& id, Freshness freshness) {
    add(Complete{.operation = operation,
                 .result = Result::ok,
                 .order = id,
                 .order_tenant = orders_.at(id).tenant,
                 .body_digest = id.bytes()[15] + 1000ULL,
                 .freshness = freshness,
                 .remaining_tokens = 1});
  }
  void replay(const domain::Order& draft, const std::string& key) {
    answer(invoke(draft.tenant, request_of(draft, key)), draft.id, Freshness::replayed);
  }
  void refuse(const domain::Order& draft, const std::optional<std::string>& key, Refusal refusal) {
    auto const operation = invoke(draft.tenant, request_of(draft, key));
    add(Complete{.operation = operation, .result = Result::refused, .refusal = refusal});
  }

  void capture(const domain::OrderId& id) {
    add(ChargeAsked{act(id, "/charge")});
    add(Captured{act(id, "/charge"), "ch_1"});
  }
  /// The capture is recorded: on to fulfilled, or to the refund of what is being cancelled.
  void record_capture(const domain::OrderId& id) {
    domain::Order const& order = orders_.at(id);
    bool const cancelling = order.status == domain::Status::cancelling;
    domain::Order const charged =
        after(order, cancelling ? domain::EffectKind::close_charge : domain::EffectKind::charge,
              domain::OutcomeKind::done);
    commit(cancelling ? charged : next_of(charged));
  }
  void decline(const domain::OrderId& id) {
    add(ChargeAsked{act(id, "/charge")});
    add(Declined{act(id, "/charge")});
    commit(after(orders_.at(id), domain::EffectKind::charge, domain::OutcomeKind::refused));
  }
  /// After a decline: nothing is left to undo.
  void finish_cancelling(const domain::OrderId& id) { commit(next_of(orders_.at(id))); }
  void refund(const domain::OrderId& id) {
    add(RefundAsked{act(id, "/refund")});
    add(Refunded{act(id, "/refund")});
    commit(after(orders_.at(id), domain::EffectKind::refund, domain::OutcomeKind::done));
  }
  void close(const domain::OrderId& id) {
    add(Closed{act(id, "/charge")});
    commit(after(orders_.at(id), domain::EffectKind::close_charge, domain::OutcomeKind::closed));
  }
  void cancel(const domain::OrderId& id) {
    auto const operation = invoke(orders_.at(id).tenant, CancelRequest{id});
    commit(domain::cancel(orders_.at(id), kStart).value()->next);
    add(Complete{.operation = operation,
                 .result = Result::ok,
                 .order = id,
                 .status = orders_.at(id).status,
                 .version = orders_.at(id).version});
  }
  void deliver(const domain::OrderId& id) {
    add(Delivered{"msg_" + id.str(), id, orders_.at(id).status, Signature::valid,
                  ReceiverAnswer::accepted});
  }
  OperationId begin_read(const domain::OrderId& id) {
    return invoke(orders_.at(id).tenant, ReadRequest{id});
  }
  void end_read(OperationId operation, const domain::OrderId& id) {
    const domain::Order& order = orders_.at(id);
    add(Complete{.operation = operation,
                 .result = Result::ok,
                 .order = id,
                 .order_tenant = order.tenant,
                 .status = order.status,
                 .version = order.version});
  }
  void read(const domain::OrderId& id) { end_read(begin_read(id), id); }

  const domain::Order& order(const domain::OrderId& id) const { return orders_.at(id); }

  FinalStore final_store() const {
    FinalStore store;
    for (auto const& [id, order] : orders_) {
      bool const fulfilled = order.status == domain::Status::fulfilled;
      store.orders.push_back(
          {order, fulfilled ? ReceiptPresence::present : ReceiptPresence::absent});
    }
    for (auto const& [who, stock] : stock_) store.stock.push_back({who, product(), stock});
    store.keys = keys_;
    return store;
  }

  static domain::ProductId product() { return domain::ProductId::unchecked("PROD-001"); }
  GatewayAct act(const domain::OrderId& id, const char* step) const {
    return {id.str() + step, id, orders_.at(id).total};
  }

  void commit(const domain::Order& order,
              std::optional<std::pair<std::string, domain::Fingerprint>> key = std::nullopt) {
    domain::Stock& stock = stock_[order.tenant];
    auto const before = orders_.find(order.id);
    bool const held = before != orders_.end() && before->second.holds_stock;
    std::int32_t const quantity = order.items[0].quantity;
    if (held && !order.holds_stock) stock.reserved -= quantity;
    if (!held && order.holds_stock) stock.reserved += quantity;
    if (order.status == domain::Status::fulfilled) stock.sold += quantity;
    orders_[order.id] = order;
    bool const fulfilled = order.status == domain::Status::fulfilled;
    add(Committed{.order = order, .receipt_bytes = fulfilled ? 9U : 0U, .admitted_at = {}});
    if (key) {
      domain::IdempotencyRecord const record{.fingerprint = key->second,
                                             .order = order.id,
                                             .expires_at = kStart + domain::Duration::hours(168)};
      keys_.push_back({order.tenant, domain::IdempotencyKey::unchecked(key->first), record});
      add(KeyStored{order.tenant, keys_.back().key, record, kStart});
    }
    add(StockNow{order.tenant, product(), stock});
    add(GroupEnded{});
  }

 private:
  domain::Instant at_{1'000'000};
  std::uint64_t operations_ = 0;
  std::uint64_t orders_made_ = 0;
  std::map<domain::OrderId, domain::Order> orders_;
  std::map<domain::TenantId, domain::Stock> stock_;
  std::vector<FinalStore::StoredKey> keys_;
};

/// The same history as clients, gateway and receivers alone tell it.
inline std::vector<Event> without_commits(std::vector<Event> events) {
  std::erase_if(events, [](const Event& event) {
    return std::holds_alternative<Committed>(event.what) ||
           std::holds_alternative<KeyStored>(event.what) ||
           std::holds_alternative<StockSet>(event.what) ||
           std::holds_alternative<Restocked>(event.what) ||
           std::holds_alternative<StockNow>(event.what) ||
           std::holds_alternative<ContractStored>(event.what) ||
           std::holds_alternative<GroupEnded>(event.what);
  });
  return events;
}

/// How such a history is judged; the contract is that of `open_tenant`.
inline HistoryOptions final_only() {
  return {
      .store = StoreTap::final_only,
      .default_contract = domain::BucketContract{.rate = {.micro_tokens = 1'000'000}, .burst = 3}};
}

inline Report judge(const std::vector<Event>& events, const FinalStore& store,
                    HistoryOptions options = {}) {
  History history(options);
  for (const Event& event : events) history.add(event);
  return history.finish(store);
}

}  // namespace penstock::checker

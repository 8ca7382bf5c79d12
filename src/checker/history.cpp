#include "checker/history.h"

#include <algorithm>
#include <utility>
#include <variant>

#include <fmt/format.h>

#include "checker/commit_rules.h"
#include "checker/digest.h"
#include "checker/history_judge.h"
#include "domain/check.h"

namespace penstock::checker {
namespace {

using domain::Status;

template <typename What>
inline constexpr bool kIsTapped =
    std::is_same_v<What, Committed> || std::is_same_v<What, CommittedView> ||
    std::is_same_v<What, KeyStored> || std::is_same_v<What, KeyAnswered> ||
    std::is_same_v<What, StockSet> || std::is_same_v<What, Restocked> ||
    std::is_same_v<What, StockNow> || std::is_same_v<What, ContractStored> ||
    std::is_same_v<What, DepthsNow>;

}  // namespace

History::Judge::Judge(const HistoryOptions& options)
    : options_(options),
      money_(options.store == StoreTap::followed ? Records::followed : Records::unknown, report_),
      stock_(report_),
      admissions_(
          {.default_contract = options.default_contract, .clock_error = options.clock_error},
          report_),
      submissions_({.store_followed = options.store == StoreTap::followed,
                    .key_retention = options.key_retention},
                   orders_, report_) {
  if (follows_ledger()) audit_.use_ledger(LedgerScope::this_store);
}

TenantNumber History::Judge::number_of(const domain::TenantId& tenant) {
  // Events of one tenant mostly follow each other.
  if (last_number_ < names_.size() && names_[last_number_] == tenant) return last_number_;
  auto const [at, added] = numbers_.try_emplace(tenant, static_cast<TenantNumber>(names_.size()));
  if (added) names_.push_back(tenant);
  last_number_ = at->second;
  return last_number_;
}

void History::Judge::add(domain::Instant at, const OccurrencePointer& event) {
  PENSTOCK_CHECK(at >= at_ || step_ == 0, "a history goes back in time");
  at_ = at;
  ++step_;
  event.visit([this](const auto& what) {
    constexpr bool kTapped = kIsTapped<std::decay_t<decltype(what)>>;
    if (!kTapped && in_group_) end_group();
    in_group_ = kTapped;
    on(what);
  });
}

void History::Judge::end_group() {
  submissions_.group_ended();
}

// --- Clients -------------------------------------------------------------------------------------

History::Judge::Pending& History::Judge::begin(OperationId operation,
                                               const domain::TenantId& tenant) {
  ++report_.operations;
  auto const [at, added] = pending_.try_emplace(operation.number);
  PENSTOCK_CHECK(added, "an operation is invoked twice");
  Pending& pending = at->second;
  pending.invoked = step_;
  if (!tenant.empty()) pending.tenant = number_of(tenant);
  return pending;
}

void History::Judge::on(const Invoke& event) {
  Pending& pending = begin(event.operation, event.tenant);
  std::visit([&](const auto& request) { begin(request, event, pending); }, event.request);
}

void History::Judge::on(const PlaceView& event) {
  begin_place({.key = event.key ? &*event.key : nullptr,
               .fingerprint = event.fingerprint,
               .content = content_digest(event.order)},
              event.operation, begin(event.operation, event.order.tenant));
}

void History::Judge::begin(const PlaceRequest& request, const Invoke& event, Pending& pending) {
  begin_place({.key = request.key ? &*request.key : nullptr,
               .fingerprint = request.fingerprint,
               .content = content_digest(event.tenant, request.content)},
              event.operation, pending);
}

void History::Judge::begin_place(const SubmissionBook::Submission& submission,
                                 OperationId operation, Pending& pending) {
  PENSTOCK_CHECK(pending.tenant != kNoTenant, "a place names the tenant that it acts for");
  pending.kind = Kind::place;
  pending.place = submissions_.began(submission, pending.tenant);
  pending.place.invoked = step_;
  pending.place.number = operation.number;
  if (!follows_store()) pending.attempt = admissions_.attempt_began(pending.tenant, at_);
}

void History::Judge::begin_about(const domain::OrderId& order, Pending& pending) const {
  pending.order = order;
  auto const known = orders_.find(order);
  if (known != orders_.end()) pending.floor = known->second.floor();
}

void History::Judge::begin(const ReadRequest& request, const Invoke&, Pending& pending) {
  pending.kind = Kind::read;
  begin_about(request.order, pending);
}

void History::Judge::begin(const CancelRequest& request, const Invoke&, Pending& pending) {
  pending.kind = Kind::cancel;
  begin_about(request.order, pending);
}

void History::Judge::begin(const DiscardRequest& request, const Invoke&, Pending& pending) {
  pending.kind = Kind::discard;
  begin_about(request.order, pending);
}

void History::Judge::begin(const RedriveRequest&, const Invoke&, Pending& pending) {
  pending.kind = Kind::redrive;
}

void History::Judge::begin(const SetStockRequest& request, const Invoke&, Pending& pending) {
  pending.kind = Kind::set_stock;
  pending.product = request.product;
  pending.quantity = request.on_hand;
  ++changes_of(pending.kind, pending.tenant, request.product, request.on_hand).asked;
  stock_.change_began({.tenant = pending.tenant, .product = &request.product, .invoked = step_});
}

void History::Judge::begin(const RestockRequest& request, const Invoke&, Pending& pending) {
  pending.kind = Kind::restock;
  pending.product = request.product;
  pending.quantity = request.quantity;
  ++changes_of(pending.kind, pending.tenant, request.product, request.quantity).asked;
  stock_.change_began({.tenant = pending.tenant, .product = &request.product, .invoked = step_});
}

void History::Judge::begin(const PutContractRequest& request, const Invoke&, Pending& pending) {
  pending.kind = Kind::put_contract;
  pending.quantity = static_cast<std::int64_t>(request.content);
  if (request.content != 0) ++contract_changes(pending.tenant, request.content).asked;
  if (!follows_store()) admissions_.put_began(pending.tenant, request.contract, step_, at_);
}

void History::Judge::on(const Complete& event) {
  auto const at = pending_.find(event.operation.number);
  PENSTOCK_CHECK(at != pending_.end(), "an operation completes that is not in flight");
  Pending const pending = std::move(at->second);
  pending_.erase(at);
  if (event.result == Result::ok) ++report_.acknowledged;
  if (event.result == Result::unknown) ++report_.unknown;
  check_silence(pending, event);
  if (event.order_tenant && pending.tenant != kNoTenant &&
      number_of(*event.order_tenant) != pending.tenant) {
    report_.add(Invariant::tenants_apart, fmt::format("operation {}", event.operation.number),
                fmt::format("of {} was shown an order of {}", name_of(pending.tenant).str(),
                            event.order_tenant->str()));
  }
  switch (pending.kind) {
    case Kind::place:
      end_place(pending, event);
      break;
    case Kind::read:
    case Kind::cancel:
    case Kind::discard:
      end_about_order(pending, event);
      break;
    case Kind::set_stock:
    case Kind::restock:
      end_stock_change(pending, event);
      break;
    case Kind::put_contract:
      end_put(pending, event);
      break;
    case Kind::redrive:
      break;
  }
}

void History::Judge::check_silence(const Pending& pending, const Complete& answer) {
  if (answer.result != Result::ok || pending.kind == Kind::read) return;
  auto const failed = failed_.find(answer.process.number);
  if (failed != failed_.end() && failed->second < pending.invoked) {
    report_.add(Invariant::silent_after_failed_sync,
                fmt::format("operation {}", answer.operation.number),
                "it began after a sync had failed, and was acknowledged");
  }
}

void History::Judge::end_place(const Pending& pending, const Complete& answer) {
  bool const admitted = answer.result == Result::ok && answer.freshness == Freshness::fresh;
  if (!follows_store()) {
    if (admitted) {
      admissions_.attempt_admitted(pending.tenant, name_of(pending.tenant), pending.attempt, at_);
    } else {
      admissions_.attempt_void(pending.tenant, pending.attempt);
    }
  }
  if (answer.remaining_tokens) {
    auto const burst = admissions_.burst_of(pending.tenant);
    if (*answer.remaining_tokens < 0 || (burst && *answer.remaining_tokens > *burst)) {
      report_.add(Invariant::admitted_within_contract, name_of(pending.tenant).str(),
                  fmt::format("{} tokens are said to remain", *answer.remaining_tokens));
    }
  }
  if (answer.result == Result::ok) {
    submissions_.acknowledged(pending.place, answer, step_, at_);
  } else if (answer.result == Result::refused) {
    submissions_.refused(pending.place, answer.refusal, at_);
  }
}

void History::Judge::end_about_order(const Pending& pending, const Complete& answer) {
  if (answer.result == Result::unknown) return;
  auto const known = orders_.find(pending.order);
  if (answer.result == Result::refused) {
    if (known == orders_.end()) return;
    bool const own = pending.tenant == kNoTenant || known->second.tenant == pending.tenant;
    if (answer.refusal == Refusal::not_found && pending.floor > 0 && own) {
      report_.add(
          Invariant::reads_linearizable, pending.order.str(),
          fmt::format("not found, although version {} had been shown or stored", pending.floor));
    }
    if (answer.refusal == Refusal::already_terminal) end_cancel(pending, answer, known->second);
    return;
  }
  OrderState& order = orders_[pending.order];
  if (answer.order && !(*answer.order == pending.order)) {
    report_.add(Invariant::reads_linearizable, pending.order.str(),
                fmt::format("{} was shown instead", answer.order->str()));
    return;
  }
  if (pending.tenant != kNoTenant && order.tenant != kNoTenant && order.tenant != pending.tenant) {
    report_.add(Invariant::tenants_apart, pending.order.str(),
                fmt::format("it is {}'s and was shown to {}", name_of(order.tenant).str(),
                            name_of(pending.tenant).str()));
  }
  check_shown(pending, answer, order);
  if (pending.kind != Kind::read) end_cancel(pending, answer, order);
}

void History::Judge::check_shown(const Pending& pending, const Complete& answer,
                                 OrderState& order) {
  std::uint32_t const version = answer.version.number;
  if (version == 0) return;
  if (version < pending.floor) {
    report_.add(Invariant::reads_linearizable, pending.order.str(),
                fmt::format("version {} was shown after version {}", version, pending.floor));
  }
  bool const known = version <= order.statuses.size() && order.statuses[version - 1] != '\0';
  if (follows_store() && !known) {
    report_.add(Invariant::reads_linearizable, pending.order.str(),
                fmt::format("version {} was shown, which nobody had stored", version));
  } else if (answer.status && known &&
             static_cast<Status>(order.statuses[version - 1]) != *answer.status) {
    report_.add(Invariant::reads_linearizable, pending.order.str(),
                fmt::format("version {} was shown as {}, and is {}", version,
                            domain::to_string(*answer.status),
                            domain::to_string(static_cast<Status>(order.statuses[version - 1]))));
  } else if (answer.status && !known) {
    if (order.statuses.size() < version) order.statuses.resize(version, '\0');
    order.statuses[version - 1] = static_cast<char>(*answer.status);
  }
  order.seen = std::max(order.seen, version);
}

void History::Judge::end_cancel(const Pending& pending, const Complete& answer, OrderState& order) {
  if (answer.result == Result::refused) {
    order.cancel_refused = true;
    if (follows_store() && order.status != Status::fulfilled && order.status != Status::rejected) {
      report_.add(Invariant::acknowledged_cancel, pending.order.str(),
                  fmt::format("a cancel was refused as too late, and the order is {}",
                              domain::to_string(order.status)));
    }
    return;
  }
  order.cancel_acknowledged = true;
  if (follows_store() && order.status != Status::cancelling && order.status != Status::cancelled) {
    report_.add(
        Invariant::acknowledged_cancel, pending.order.str(),
        fmt::format("its cancel was acknowledged, and it is {}", domain::to_string(order.status)));
  }
}

History::Judge::Changes& History::Judge::changes_of(Kind kind, TenantNumber tenant,
                                                    const domain::ProductId& product,
                                                    std::int64_t quantity) {
  return changes_[Digest{}
                      .add(static_cast<std::uint64_t>(kind) << 32 | tenant)
                      .add(product.str())
                      .add(static_cast<std::uint64_t>(quantity))
                      .value()];
}

void History::Judge::end_stock_change(const Pending& pending, const Complete& answer) {
  Changes& changes = changes_of(pending.kind, pending.tenant, pending.product, pending.quantity);
  StockBook::Change const change{.kind = pending.kind == Kind::set_stock
                                             ? StockBook::Change::Kind::set
                                             : StockBook::Change::Kind::restock,
                                 .tenant = pending.tenant,
                                 .product = &pending.product,
                                 .quantity = pending.quantity,
                                 .invoked = pending.invoked};
  std::string const subject = fmt::format("operation {}", answer.operation.number);
  switch (answer.result) {
    case Result::ok:
      stock_.change_acknowledged(change, answer.stock);
      if (follows_store() && ++changes.acknowledged > changes.stored) {
        report_.add(Invariant::acknowledged_is_stored, subject,
                    fmt::format("a change of {} was acknowledged, and is not stored",
                                pending.product.str()));
        ++changes.stored;
      }
      break;
    case Result::refused:
      stock_.change_refused(change);
      if (--changes.asked < changes.stored) {
        report_.add(
            Invariant::stored_was_submitted, subject,
            fmt::format("a change of {} was refused, and is stored", pending.product.str()));
        --changes.stored;
      }
      break;
    case Result::unknown:
      stock_.change_unknown(change);
      break;
  }
}

void History::Judge::end_put(const Pending& pending, const Complete& answer) {
  if (pending.quantity != 0) end_followed_put(pending, answer);
  if (follows_store()) return;
  if (answer.result == Result::ok) {
    admissions_.put_acknowledged(pending.tenant, pending.invoked, step_, at_);
  } else if (answer.result == Result::refused) {
    admissions_.put_refused(pending.tenant, pending.invoked, at_);
  }
}

void History::Judge::end_followed_put(const Pending& pending, const Complete& answer) {
  Changes& changes = contract_changes(pending.tenant, static_cast<std::uint64_t>(pending.quantity));
  std::string const subject = fmt::format("operation {}", answer.operation.number);
  if (answer.result == Result::refused && --changes.asked < changes.stored) {
    report_.add(Invariant::stored_was_submitted, subject, "a contract was refused, and is stored");
    --changes.stored;
  }
  if (answer.result != Result::ok || !follows_store()) return;
  if (++changes.acknowledged <= changes.stored) return;
  report_.add(Invariant::acknowledged_is_stored, subject,
              "a contract was acknowledged, and was never stored");
  ++changes.stored;
}

// --- The class itself ----------------------------------------------------------------------------

History::History(HistoryOptions options) : judge_(std::make_unique<Judge>(options)) {}
History::~History() = default;

void History::add(const Event& event) {
  std::visit([&](const auto& what) { judge_->add(event.at, what); }, event.what);
}
void History::add(domain::Instant at, const OccurrencePointer& what) {
  judge_->add(at, what);
}
const Report& History::so_far() const {
  return judge_->report();
}
void History::add_final_order(const domain::Order& order, ReceiptPresence receipt) {
  judge_->add_final_order(order, receipt);
}
void History::add_final_stock(const domain::TenantId& tenant, const domain::ProductId& product,
                              const domain::Stock& stock) {
  judge_->add_final_stock({.tenant = tenant, .product = product, .stock = stock});
}
void History::add_final_key(const domain::TenantId& tenant, const domain::IdempotencyKey& key,
                            const domain::IdempotencyRecord& record) {
  judge_->add_final_key(tenant, key, record);
}
void History::add_final_delivery(const domain::OrderId& order, FinalDelivery state) {
  judge_->add_final_delivery(order, state);
}
void History::add_final_depths(const FinalDepths& depths) {
  judge_->add_final_depths(depths);
}
void History::add_unreadable(std::string subject, std::string detail) {
  judge_->add_unreadable(std::move(subject), std::move(detail));
}
void History::history_was_dropped() {
  judge_->history_was_dropped();
}
Report History::finish(Quiescence quiescence, std::optional<domain::Instant> wall) {
  return judge_->finish(quiescence, wall);
}

Report History::finish(const FinalStore& store) {
  for (auto const& [order, receipt] : store.orders) judge_->add_final_order(order, receipt);
  for (auto const& [tenant, product, stock] : store.stock) {
    judge_->add_final_stock({.tenant = tenant, .product = product, .stock = stock});
  }
  for (auto const& [tenant, key, record] : store.keys) judge_->add_final_key(tenant, key, record);
  for (auto const& [order, state] : store.deliveries) judge_->add_final_delivery(order, state);
  if (store.depths) judge_->add_final_depths(*store.depths);
  return judge_->finish(store.quiescence, store.wall);
}

}  // namespace penstock::checker

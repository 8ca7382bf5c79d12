// Valid histories at random, and each of them with one event changed: what is changed is found, or
// it stands below as a change that means the same, with the reason.
#include <algorithm>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include <gtest/gtest.h>

#include "checker/clean_history.h"

namespace penstock::checker {
namespace {

using domain::Charge;
using domain::OrderId;
using domain::Status;

class RandomStory : public HistoryWriter {
 public:
  explicit RandomStory(std::uint64_t seed) : random_(seed) {
    for (const char* name : {"acme", "globex"}) {
      tenants_.push_back(tenant(name));
      open_tenant(tenants_.back(), static_cast<std::int64_t>(10 + below(20)));
    }
    for (int step = 0; step < 60; ++step) act_once();
    while (!active_.empty()) advance(active_.front());
    for (auto const& [operation, id] : reads_) end_read(operation, id);
  }

  std::uint64_t below(std::uint64_t bound) { return random_() % bound; }

 private:
  struct Keyed {
    domain::Order draft;
    std::string key;
  };

  void act_once() {
    switch (below(12)) {
      case 0:
      case 1:
      case 2:
        return place_one();
      case 3:
        if (!keyed_.empty()) {
          Keyed const& again = keyed_[below(keyed_.size())];
          replay(again.draft, again.key);
        }
        return;
      case 4:
        return restock(tenants_[below(tenants_.size())], 3);
      case 5:
        if (!all_.empty()) read(all_[below(all_.size())]);
        return;
      case 6:
        if (!all_.empty()) {
          OrderId const id = all_[below(all_.size())];
          reads_.emplace_back(begin_read(id), id);
        }
        return;
      case 7:
        if (!active_.empty()) {
          OrderId const id = active_[below(active_.size())];
          if (order(id).status == Status::reserved) cancel(id);
        }
        return;
      default:
        if (!active_.empty()) advance(active_[below(active_.size())]);
    }
  }

  void place_one() {
    auto const draft =
        this->draft(tenants_[below(tenants_.size())], static_cast<std::int32_t>(1 + below(4)));
    std::optional<std::string> key;
    if (below(2) == 0) key = "key-" + std::to_string(++keys_);
    switch (below(5)) {
      case 0:
        return refuse(draft, key, Refusal::reduced_capacity);
      case 1: {  // no answer; landed or not
        auto const operation = invoke(draft.tenant, request_of(draft, key));
        bool const landed = below(2) == 0;
        if (landed) begin(accept(draft, key));
        add(Complete{.operation = operation, .result = Result::unknown});
        return;
      }
      default:
        begin(place(draft, key));
        if (key) keyed_.push_back({draft, *key});
    }
  }

  void begin(const OrderId& id) {
    all_.push_back(id);
    active_.push_back(id);
  }

  void advance(OrderId id) {
    const domain::Order& now = order(id);
    bool const captured = captured_.contains(id);
    if (domain::is_terminal(now.status)) {
      deliver(id);
      if (below(4) != 0) std::erase(active_, id);
      return;
    }
    if (now.charge == Charge::open) {
      if (captured) return record_capture(id);
      if (now.status == Status::cancelling) return close(id);
      if (below(5) == 0) return decline(id);
      captured_[id] = true;
      return capture(id);
    }
    if (now.charge == Charge::captured) return refund(id);
    finish_cancelling(id);
  }

  std::mt19937_64 random_;
  std::vector<domain::TenantId> tenants_;
  std::vector<OrderId> all_;
  std::vector<OrderId> active_;
  std::map<OrderId, bool> captured_;
  std::vector<Keyed> keyed_;
  int keys_ = 0;
  std::vector<std::pair<OperationId, OrderId>> reads_;
};

enum class Expected : std::uint8_t { found, equivalent, either };

struct Mutation {
  std::string name;
  std::vector<Event> events;
  Expected expected = Expected::found;
  std::string_view reason = "";  ///< why the change means the same
};

const Invoke& invocation_of(const std::vector<Event>& events, OperationId operation) {
  for (const Event& event : events) {
    auto const* const invoke = std::get_if<Invoke>(&event.what);
    if (invoke != nullptr && invoke->operation == operation) return *invoke;
  }
  throw std::out_of_range("an answer without its request");
}

/// How often an order is told of by events of a kind that satisfy the predicate.
template <typename What, typename Predicate>
auto count(const std::vector<Event>& events, Predicate predicate) {
  return std::ranges::count_if(events, [&](const Event& event) {
    auto const* const what = std::get_if<What>(&event.what);
    return what != nullptr && predicate(*what);
  });
}

bool is_delivered_once(const std::vector<Event>& events, const OrderId& id) {
  return count<Delivered>(events, [&](const Delivered& it) { return it.order == id; }) == 1;
}

/// Leaving the event out.
std::optional<Mutation> without(const std::vector<Event>& events, std::size_t index) {
  const Occurrence& what = events[index].what;
  Mutation mutation{.name = "left out", .events = events};
  mutation.events.erase(mutation.events.begin() + static_cast<std::ptrdiff_t>(index));
  auto const same = [&](std::string_view reason) {
    mutation.expected = Expected::equivalent;
    mutation.reason = reason;
  };
  if (std::holds_alternative<Invoke>(what) || std::holds_alternative<Complete>(what)) {
    return std::nullopt;  // no history at all
  }
  if (std::holds_alternative<ContractStored>(what)) same("without a contract nothing is judged");
  if (std::holds_alternative<Subscribed>(what)) same("nobody asked for deliveries");
  if (std::holds_alternative<StockNow>(what)) same("a look at the stock is no movement");
  if (std::holds_alternative<GroupEnded>(what)) same("the next event ends the group as well");
  if (std::holds_alternative<ChargeAsked>(what) || std::holds_alternative<RefundAsked>(what)) {
    same("the movement tells the same request");
  }
  if (auto const* const delivered = std::get_if<Delivered>(&what)) {
    if (!is_delivered_once(events, delivered->order)) same("it was delivered once more");
  }
  if (auto const* const commit = std::get_if<Committed>(&what)) {
    bool const moves_stock = commit->order.status == Status::reserved ||
                             commit->order.status == Status::rejected ||
                             commit->order.status == Status::fulfilled;
    if (!moves_stock && commit->order.status == Status::cancelling) {
      mutation.expected = Expected::either;
      mutation.reason = "the order's next commit carries its events, if nothing met it before";
    }
  }
  return mutation;
}

/// The event twice.
std::optional<Mutation> twice(const std::vector<Event>& events, std::size_t index) {
  const Occurrence& what = events[index].what;
  Mutation mutation{.name = "twice", .events = events};
  mutation.events.insert(mutation.events.begin() + static_cast<std::ptrdiff_t>(index),
                         events[index]);
  auto const same = [&](std::string_view reason) {
    mutation.expected = Expected::equivalent;
    mutation.reason = reason;
  };
  if (std::holds_alternative<Invoke>(what) || std::holds_alternative<Complete>(what)) {
    return std::nullopt;  // no history at all
  }
  if (std::holds_alternative<ContractStored>(what) || std::holds_alternative<Subscribed>(what) ||
      std::holds_alternative<KeyStored>(what)) {
    same("what is stored again as it was changes nothing");
  }
  if (std::holds_alternative<StockNow>(what)) same("a look at the stock is no movement");
  if (std::holds_alternative<GroupEnded>(what)) same("an empty group");
  if (std::holds_alternative<ChargeAsked>(what) || std::holds_alternative<RefundAsked>(what)) {
    same("a retry under the same key with the same amount");
  }
  if (std::holds_alternative<Declined>(what) || std::holds_alternative<Closed>(what)) {
    same("a key that is closed stays closed");
  }
  if (std::holds_alternative<Delivered>(what)) same("deliveries are at least once");
  return mutation;
}

/// Changes one field of an event; each overload tells what it changed.
struct Alter {
  const std::vector<Event>& events;
  std::uint64_t choice;
  Expected expected = Expected::found;
  std::string_view reason = "";

  std::string_view same(std::string_view name, std::string_view why) {
    expected = Expected::equivalent;
    reason = why;
    return name;
  }

  std::string_view operator()(Committed& it) {
    switch (choice % 6) {
      case 0:
        it.order.version.number += 1;
        return "version";
      case 1:
        it.order.total.minor_units += 1;
        return "total";
      case 2:
        it.order.holds_stock = !it.order.holds_stock;
        return "held stock";
      case 3:
        it.receipt_bytes = it.receipt_bytes == 0 ? 1 : 0;
        return "receipt";
      case 4:
        it.order.customer = domain::CustomerId::unchecked("somebody");
        return "customer";
      default:
        it.order.timeline.front().at.us += 1;
        return "the past";
    }
  }
  std::string_view operator()(KeyStored& it) {
    if (choice % 2 == 0) {
      it.record.fingerprint[9] ^= 1;
      return "fingerprint";
    }
    it.record.order = OrderId::make(kStart, 9, 99'999);
    return "order";
  }
  std::string_view operator()(StockSet& it) {
    it.stock.received += 1;
    return "received";
  }
  std::string_view operator()(Restocked& it) {
    it.quantity += 1;
    return "quantity";
  }
  std::string_view operator()(StockNow& it) {
    (choice % 2 == 0 ? it.stock.reserved : it.stock.sold) += 1;
    return "pieces";
  }
  std::string_view money(GatewayAct& it) {
    it.amount.minor_units += choice % 2 == 0 ? 1 : -1;
    return "amount";
  }
  std::string_view operator()(ChargeAsked& it) { return money(it); }
  std::string_view operator()(RefundAsked& it) { return money(it); }
  std::string_view operator()(Captured& it) { return money(it); }
  std::string_view operator()(Refunded& it) { return money(it); }
  std::string_view operator()(Declined& it) {
    it.key += "x";
    return "key";
  }
  std::string_view operator()(Closed& it) {
    it.key += "x";
    return "key";
  }
  std::string_view operator()(Delivered& it) {
    switch (choice % 4) {
      case 0:
        it.signature = Signature::invalid;
        return "signature";
      case 1:
        it.status = it.status == Status::fulfilled ? Status::cancelled : Status::fulfilled;
        return "status";
      case 2:
        it.answer = ReceiverAnswer::refused;
        if (is_delivered_once(events, it.order)) return "answer";
        return same("answer", "it was delivered once more");
      default:
        it.webhook_id += "x";
        if (!is_delivered_once(events, it.order)) return "id";
        return same("id", "an id is stable and its order's own; which one it is, is free");
    }
  }
  std::string_view operator()(Complete& it) {
    if (it.result == Result::unknown) return "";
    if (choice % 5 == 0) {
      it = {.operation = it.operation, .result = Result::unknown};
      return same("lost", "an answer that was lost claims nothing");
    }
    if (it.result == Result::refused) return "";
    const ClientRequest& request = invocation_of(events, it.operation).request;
    if (std::holds_alternative<PlaceRequest>(request)) return placed(it);
    if (std::holds_alternative<ReadRequest>(request)) return shown(it);
    if (std::holds_alternative<CancelRequest>(request)) {
      it = {.operation = it.operation,
            .result = Result::refused,
            .refusal = Refusal::already_terminal};
      return "too late";
    }
    it = {.operation = it.operation, .result = Result::refused, .refusal = Refusal::other};
    return "refused";
  }
  std::string_view placed(Complete& it) {
    switch (choice % 3) {
      case 0:
        it.order = OrderId::make(kStart, 9, 99'999);
        return "order";
      case 1: {
        OrderId const id = *it.order;
        it.body_digest += 1;
        bool const alone = count<Complete>(events, [&](const Complete& other) {
                             return other.order == id && other.body_digest != 0;
                           }) == 1;
        if (!alone) return "bytes";
        return same("bytes", "no other answer tells what the bytes should be");
      }
      default:
        it.order_tenant = domain::TenantId::unchecked("nobody");
        return "tenant";
    }
  }
  std::string_view shown(Complete& it) {
    switch (choice % 3) {
      case 0:
        it.version.number += 1;
        return "version";
      case 1:
        it.status = it.status == Status::charged ? Status::reserved : Status::charged;
        return "status";
      default:
        it = {.operation = it.operation, .result = Result::refused, .refusal = Refusal::not_found};
        return "not found";
    }
  }
  std::string_view operator()(Invoke& it) {
    auto* const place = std::get_if<PlaceRequest>(&it.request);
    if (place == nullptr) return "";
    place->content.payment_method = "pm_other";
    auto const landed = count<Committed>(events, [&](const Committed& commit) {
      return !commit.order.metadata.empty() && commit.order.metadata == place->content.metadata;
    });
    if (replays(it.operation)) return "";  // a fingerprint of two contents is no history
    if (landed > 0) return "content";
    return same("content", "nothing was stored of it");
  }
  /// Whether the key's content was told by an earlier submission.
  bool replays(OperationId operation) const {
    return count<Complete>(events, [&](const Complete& it) {
             return it.operation == operation && it.freshness == Freshness::replayed;
           }) > 0;
  }
  template <typename Other>
  std::string_view operator()(Other&) {
    return "";
  }
};

std::optional<Mutation> altered(const std::vector<Event>& events, std::size_t index,
                                std::uint64_t choice) {
  Mutation mutation{.name = "", .events = events};
  Alter alter{events, choice};
  mutation.name = std::visit(alter, mutation.events[index].what);
  mutation.expected = alter.expected;
  mutation.reason = alter.reason;
  if (mutation.name.empty()) return std::nullopt;
  return mutation;
}

std::string told(const Report& report) {
  std::string text;
  for (const Finding& finding : report.findings) {
    text += std::string(to_string(finding.invariant)) + ": " + finding.subject + ": " +
            finding.detail + "\n";
  }
  return text;
}

TEST(RandomHistory, valid_histories_are_clean) {
  for (std::uint64_t seed = 0; seed < 300; ++seed) {
    RandomStory const story(seed);
    Report const report = judge(story.events, story.final_store());
    ASSERT_TRUE(report.clean()) << "seed " << seed << "\n" << told(report);
    ASSERT_GT(report.operations, 5U);
    Report const told_by_clients =
        judge(without_commits(story.events), story.final_store(), final_only());
    ASSERT_TRUE(told_by_clients.clean()) << "seed " << seed << "\n" << told(told_by_clients);
  }
}

TEST(RandomHistory, one_changed_event_is_found_or_means_the_same) {
  std::size_t found = 0;
  for (std::uint64_t seed = 0; seed < 300; ++seed) {
    RandomStory story(seed);
    FinalStore const store = story.final_store();
    for (int trial = 0; trial < 12; ++trial) {
      std::size_t const index = story.below(story.events.size());
      std::uint64_t const way = story.below(4);
      std::optional<Mutation> const mutation = way == 0 ? without(story.events, index)
                                               : way == 1
                                                   ? twice(story.events, index)
                                                   : altered(story.events, index, story.below(60));
      if (!mutation || mutation->expected == Expected::either) continue;
      Report const report = judge(mutation->events, store);
      ASSERT_EQ(report.clean(), mutation->expected == Expected::equivalent)
          << "seed " << seed << ", event " << index << " of kind "
          << story.events[index].what.index() << ", " << mutation->name << " " << mutation->reason
          << "\n"
          << told(report);
      found += report.clean() ? 0 : 1;
    }
  }
  EXPECT_GT(found, 1'000U);
}

}  // namespace
}  // namespace penstock::checker

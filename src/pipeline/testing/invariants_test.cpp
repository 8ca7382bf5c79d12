#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "domain/limits.h"
#include "pipeline/testing/world.h"

namespace penstock::pipeline::testing {
namespace {

using domain::Order;
using domain::Status;

struct Money {
  int captures = 0;
  std::int64_t captured = 0;
  std::int64_t refunded = 0;
};

class Invariants {
 public:
  explicit Invariants(const World& world) : world_(world) {}

  std::vector<std::string> broken() {
    for (const auto& movement : world_.gateway.ledger) {
      Money& money = money_[movement.order];
      if (movement.kind == domain::EffectKind::charge) {
        money.captures += 1;
        money.captured += movement.amount.minor_units;
      } else {
        money.refunded += movement.amount.minor_units;
      }
    }
    for (const auto& key : world_.gateway.violations) {
      broken_.push_back("key used with other parameters: " + key);
    }
    for (const ports::StoredOrder& stored : world_.disk->orders()) check(stored);
    for (const auto& [product, pieces] : pieces_) {
      const domain::Stock stock = world_.stock_of(product.second, product.first);
      if (stock.reserved != pieces.held || stock.sold != pieces.sold || stock.on_hand() < 0) {
        broken_.push_back("stock of " + product.second + " is not what the orders say");
      }
    }
    if (!money_.empty()) broken_.push_back("money of an unknown order");
    return std::move(broken_);
  }

 private:
  struct Pieces {
    std::int64_t held = 0;
    std::int64_t sold = 0;
  };

  void expect(bool holds, const Order& order, const char* what) {
    if (!holds) broken_.push_back(order.id.str() + ": " + what);
  }

  void check(const ports::StoredOrder& stored) {
    const Order& order = stored.order;
    check_timeline(order);
    const auto money = money_.extract(order.id);
    check_money(order, money.empty() ? Money{} : money.mapped());
    const bool fulfilled = order.status == Status::fulfilled;
    expect(is_terminal(order.status) || is_open_dead_letter(order), order, "has not ended");
    expect(stored.receipt.empty() != fulfilled, order, "a receipt exactly where fulfilled");
    for (const domain::Item& item : order.items) {
      Pieces& pieces = pieces_[{order.tenant.str(), item.product.str()}];
      pieces.held += order.holds_stock ? item.quantity : 0;
      pieces.sold += fulfilled ? item.quantity : 0;
    }
  }

  void check_timeline(const Order& order) {
    expect(order.timeline.size() == order.version.number, order, "versions have gaps");
    expect(order.timeline.size() < domain::limits::kMaxTimelineEvents, order, "timeline unbounded");
    for (std::size_t index = 1; index < order.timeline.size(); ++index) {
      const auto& event = order.timeline[index];
      expect(event.from == order.timeline[index - 1].to, order, "timeline broken");
      expect(is_legal(order.timeline[index - 1].to, event.to), order, "illegal transition");
    }
    const auto ends = std::ranges::count_if(
        order.timeline, [](const auto& event) { return is_terminal(event.to); });
    expect(ends <= 1, order, "ended twice");
  }

  void check_money(const Order& order, const Money& money) {
    expect(money.captures <= 1, order, "captured twice");
    expect(money.refunded == 0 || money.refunded == money.captured, order, "refunded in part");
    if (order.status == Status::fulfilled) {
      expect(money.captured == order.total.minor_units, order, "fulfilled, not captured");
      expect(money.refunded == 0, order, "fulfilled and refunded");
    } else {
      expect(money.captured == money.refunded, order, "charged, neither fulfilled nor refunded");
    }
  }

  const World& world_;
  std::map<domain::OrderId, Money> money_;
  std::map<std::pair<std::string, std::string>, Pieces> pieces_;
  std::vector<std::string> broken_;
};

}  // namespace

std::vector<std::string> broken_invariants(const World& world) {
  return Invariants(world).broken();
}

}  // namespace penstock::pipeline::testing

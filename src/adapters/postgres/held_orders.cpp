#include "adapters/postgres/held_orders.h"

#include <algorithm>
#include <utility>
#include <variant>

#include "domain/check.h"

namespace penstock::postgres_store {

using domain::Order;
using domain::Stage;

std::optional<Stage> stage_of_accepts(std::span<const ports::Command> commands) {
  for (const ports::Command& command : commands) {
    if (const auto* accept = std::get_if<ports::Accept>(&command)) {
      return domain::stage_of(accept->commit.next.status);
    }
  }
  return std::nullopt;
}

std::vector<domain::Order> beyond_shares(std::vector<domain::Order>& orders,
                                         ports::ClaimPlaces& places,
                                         const ports::OrderReader& reader) {
  std::vector<domain::Order> beyond;
  std::vector<domain::Order> within;
  for (domain::Order& order : orders) {
    const bool has_place = places.take(order.tenant, reader.standing(order.tenant));
    (has_place ? within : beyond).push_back(std::move(order));
  }
  orders = std::move(within);
  return beyond;
}

void HeldOrders::add(Order order, Clock::time_point now) {
  const auto stage = domain::stage_of(order.status);
  PENSTOCK_CHECK(stage.has_value(), "an order that is held waits for a stage");
  std::size_t& room = room_.at(index_of(*stage));
  room -= std::min<std::size_t>(room, 1);
  lines_.at(index_of(*stage)).push_back({.order = std::move(order), .since = now});
  size_ += 1;
}

std::vector<Order> HeldOrders::take(Stage stage, std::size_t limit) {
  Line& line = lines_.at(index_of(stage));
  std::vector<Order> taken;
  taken.reserve(std::min(limit, line.size()));
  while (taken.size() < limit && !line.empty()) {
    taken.push_back(std::move(line.front().order));
    line.pop_front();
  }
  size_ -= taken.size();
  return taken;
}

std::optional<Order> HeldOrders::take_one(const domain::OrderId& order) {
  if (size_ == 0) return std::nullopt;
  for (Line& line : lines_) {
    const auto found =
        std::ranges::find_if(line, [&](const Entry& entry) { return entry.order.id == order; });
    if (found == line.end()) continue;
    Order taken = std::move(found->order);
    line.erase(found);
    size_ -= 1;
    return taken;
  }
  return std::nullopt;
}

void HeldOrders::drop_changed(std::span<const ports::Command> commands) {
  if (size_ == 0) return;
  for (const ports::Command& command : commands) {
    if (const auto* commit = std::get_if<ports::Commit>(&command)) {
      static_cast<void>(take_one(commit->next.id));
    }
  }
}

std::vector<Order> HeldOrders::take_older_than(Clock::time_point time) {
  std::vector<Order> taken;
  for (Line& line : lines_) {
    while (!line.empty() && line.front().since < time) {
      taken.push_back(std::move(line.front().order));
      line.pop_front();
    }
  }
  size_ -= taken.size();
  return taken;
}

}  // namespace penstock::postgres_store

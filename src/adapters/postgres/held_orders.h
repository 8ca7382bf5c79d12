#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <deque>
#include <optional>
#include <span>
#include <vector>

#include "domain/order.h"
#include "ports/order_reader.h"
#include "ports/order_store.h"

namespace penstock::postgres_store {

/// The stage that the orders of one batch's accepts go to; nothing where nothing is accepted.
std::optional<domain::Stage> stage_of_accepts(std::span<const ports::Command> commands);

/// Takes a place for each of `orders`; those whose tenants' shares are used up are taken out of it
/// and returned.
std::vector<domain::Order> beyond_shares(std::vector<domain::Order>& orders,
                                         ports::ClaimPlaces& places,
                                         const ports::OrderReader& reader);

/// Orders that this process accepted and leased in one commit: it holds their records, so that they
/// are handed out without being claimed and read back. No more of them are held than the last claim
/// of their stage had room for, and so the next one takes them all unless the stage was paused
/// meanwhile. Not thread-safe.
class HeldOrders {
 public:
  using Clock = std::chrono::steady_clock;

  /// A claim of `stage` wanted up to `more` orders beyond what it got.
  void wanted(domain::Stage stage, std::size_t more) { room_.at(index_of(stage)) = more; }
  /// How many more orders of `stage` may be held.
  std::size_t room(domain::Stage stage) const { return room_.at(index_of(stage)); }
  /// `order` waits for its stage, leased until a lease after `now` is over.
  void add(domain::Order order, Clock::time_point now);
  /// The first up to `limit` of `stage`, in the order in which they were added.
  std::vector<domain::Order> take(domain::Stage stage, std::size_t limit);
  /// One of them, wherever it waits.
  std::optional<domain::Order> take_one(const domain::OrderId& order);
  /// What `commands` are about to change: a commit ends the lease, whatever it changes.
  void drop_changed(std::span<const ports::Command> commands);
  /// Those that were added before `time`: nobody wanted them.
  std::vector<domain::Order> take_older_than(Clock::time_point time);
  std::size_t size() const { return size_; }
  std::size_t size(domain::Stage stage) const { return lines_.at(index_of(stage)).size(); }

 private:
  struct Entry {
    domain::Order order;
    Clock::time_point since;
  };
  using Line = std::deque<Entry>;

  static std::size_t index_of(domain::Stage stage) { return static_cast<std::size_t>(stage); }

  std::array<Line, domain::kStages + 1> lines_;
  std::array<std::size_t, domain::kStages + 1> room_{};
  std::size_t size_ = 0;
};

}  // namespace penstock::postgres_store

#pragma once

#include <algorithm>
#include <cstddef>
#include <map>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "domain/limits.h"
#include "pipeline/request.h"

namespace penstock::pipeline {

/// Those who wait for an order's end. Bounded: above kMaxWaiters an answer comes at once.
class Waiters {
 public:
  void add(WaitForEnd request) {
    if (size_ >= domain::limits::kMaxWaiters) {
      request.done({});
      return;
    }
    const auto time = by_time_.emplace(request.until, request.order);
    by_order_[request.order].push_back({time, std::move(request.done)});
    size_ += 1;
  }

  bool any_for(const domain::OrderId& order) const {
    return !by_order_.empty() && by_order_.contains(order);
  }

  /// The order ended; `as` is null where it is not at hand.
  void ended(domain::OrderId order, const std::shared_ptr<const domain::Order>& as) {
    if (by_order_.empty()) return;
    auto entry = by_order_.extract(order);
    if (entry.empty()) return;
    for (Waiter& waiter : entry.mapped()) answer(waiter, as);
  }

  /// Up to `limit` of the orders that are waited for, going round over all of them call by call.
  std::vector<domain::OrderId> next_of_round(std::size_t limit) {
    std::vector<domain::OrderId> chosen;
    auto place = by_order_.upper_bound(last_chosen_);
    while (chosen.size() < std::min(limit, by_order_.size())) {
      if (place == by_order_.end()) place = by_order_.begin();
      chosen.push_back(place->first);
      ++place;
    }
    if (!chosen.empty()) last_chosen_ = chosen.back();
    return chosen;
  }

  /// Answers those whose time is over.
  void expire(domain::Instant now) {
    while (!by_time_.empty() && by_time_.begin()->first <= now) {
      const auto first = by_time_.begin();
      const auto found = by_order_.find(first->second);
      std::vector<Waiter>& waiters = found->second;
      const auto waiter = std::ranges::find(waiters, first, &Waiter::time);
      Waiter over = std::move(*waiter);
      waiters.erase(waiter);
      if (waiters.empty()) by_order_.erase(found);
      answer(over, nullptr);
    }
  }

  /// Answers all: nothing will end any more.
  void end_all() {
    while (!by_order_.empty()) ended(by_order_.begin()->first, nullptr);
  }

  std::size_t size() const { return size_; }
  std::optional<domain::Instant> next_due() const {
    if (by_time_.empty()) return std::nullopt;
    return by_time_.begin()->first;
  }

 private:
  using Times = std::multimap<domain::Instant, domain::OrderId>;

  struct Waiter {
    Times::iterator time;
    Done<std::shared_ptr<const domain::Order>> done;
  };

  void answer(Waiter& waiter, const std::shared_ptr<const domain::Order>& as) {
    by_time_.erase(waiter.time);
    size_ -= 1;
    waiter.done(as);
  }

  std::map<domain::OrderId, std::vector<Waiter>> by_order_;
  domain::OrderId last_chosen_;
  Times by_time_;
  std::size_t size_ = 0;
};

}  // namespace penstock::pipeline

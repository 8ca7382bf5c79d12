#pragma once

#include <algorithm>
#include <cstddef>
#include <map>
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

  /// The order ended.
  void ended(domain::OrderId order) {
    if (by_order_.empty()) return;
    auto entry = by_order_.extract(order);
    if (entry.empty()) return;
    for (Waiter& waiter : entry.mapped()) answer(waiter);
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
      answer(over);
    }
  }

  /// Answers all: nothing will end any more.
  void end_all() {
    while (!by_order_.empty()) ended(by_order_.begin()->first);
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
    Done<std::monostate> done;
  };

  void answer(Waiter& waiter) {
    by_time_.erase(waiter.time);
    size_ -= 1;
    waiter.done({});
  }

  std::map<domain::OrderId, std::vector<Waiter>> by_order_;
  domain::OrderId last_chosen_;
  Times by_time_;
  std::size_t size_ = 0;
};

}  // namespace penstock::pipeline

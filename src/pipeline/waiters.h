#pragma once

#include <map>
#include <optional>
#include <unordered_map>
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
    by_time_.emplace(request.until, request.order);
    by_order_[request.order].push_back({request.until, std::move(request.done)});
    size_ += 1;
  }

  /// The order ended.
  void ended(const domain::OrderId& order) {
    if (by_order_.empty()) return;
    auto entry = by_order_.extract(order);
    if (entry.empty()) return;
    for (Waiter& waiter : entry.mapped()) answer(waiter);
  }

  /// Answers those whose time is over.
  void expire(domain::Instant now) {
    while (!by_time_.empty() && by_time_.begin()->first <= now) {
      const domain::OrderId order = by_time_.begin()->second;
      by_time_.erase(by_time_.begin());
      const auto found = by_order_.find(order);
      if (found == by_order_.end()) continue;
      std::vector<Waiter>& waiters = found->second;
      std::erase_if(waiters, [&](Waiter& waiter) {
        if (waiter.until > now) return false;
        answer(waiter);
        return true;
      });
      if (waiters.empty()) by_order_.erase(found);
    }
  }

  std::optional<domain::Instant> next_due() const {
    if (by_time_.empty()) return std::nullopt;
    return by_time_.begin()->first;
  }

 private:
  struct Waiter {
    domain::Instant until;
    Done<std::monostate> done;
  };

  void answer(Waiter& waiter) {
    size_ -= 1;
    waiter.done({});
  }

  std::unordered_map<domain::OrderId, std::vector<Waiter>> by_order_;
  std::multimap<domain::Instant, domain::OrderId> by_time_;
  std::size_t size_ = 0;
};

}  // namespace penstock::pipeline

#pragma once

#include <cstddef>
#include <deque>
#include <optional>
#include <vector>

#include "domain/ids.h"
#include "domain/token_bucket.h"

namespace penstock::pipeline {

/// Redrives that wait for their rate. Kept in memory: after a restart the operator asks again, and
/// what was redriven already is untouched by that.
class RedriveQueue {
 public:
  void add(std::vector<domain::OrderId> orders, std::optional<domain::TokenRate> rate,
           domain::Now now) {
    std::optional<domain::TokenBucket> bucket;
    if (rate) bucket.emplace(domain::BucketContract{*rate, 1}, now.monotonic);
    size_ += orders.size();
    jobs_.push_back({{orders.begin(), orders.end()}, std::move(bucket)});
  }

  /// Orders that wait. Its owner keeps it within kMaxDeadLetters.
  std::size_t size() const { return size_; }

  /// Takes up to `limit` orders whose turn it is.
  std::vector<domain::OrderId> take(std::size_t limit, domain::Now now) {
    std::vector<domain::OrderId> taken;
    next_due_.reset();
    for (Job& job : jobs_) {
      while (!job.orders.empty() && taken.size() < limit) {
        if (job.bucket) {
          const domain::TakeResult token = job.bucket->take(1, now.monotonic);
          if (token.outcome != domain::Take::allowed) {
            const domain::Instant due = now.wall + token.wait;
            if (!next_due_ || due < *next_due_) next_due_ = due;
            break;
          }
        }
        taken.push_back(job.orders.front());
        job.orders.pop_front();
        size_ -= 1;
      }
      if (!job.orders.empty() && taken.size() >= limit) next_due_ = now.wall;
    }
    std::erase_if(jobs_, [](const Job& job) { return job.orders.empty(); });
    return taken;
  }

  std::optional<domain::Instant> next_due() const { return next_due_; }

 private:
  struct Job {
    std::deque<domain::OrderId> orders;
    std::optional<domain::TokenBucket> bucket;
  };

  std::deque<Job> jobs_;
  std::size_t size_ = 0;
  std::optional<domain::Instant> next_due_;
};

}  // namespace penstock::pipeline

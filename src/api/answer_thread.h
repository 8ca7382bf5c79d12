#pragma once

#include <condition_variable>
#include <cstddef>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include "domain/limits.h"

namespace penstock::api {

/// Runs what must not be done on the thread that drives the pipeline: reading the store again for
/// an order that somebody waited for, rendering statistics. In order, on one thread of its own.
class AnswerThread {
 public:
  using Job = std::move_only_function<void()>;
  /// Jobs that wait; as many as the pipeline keeps waiters.
  static constexpr std::size_t kMaxJobs = domain::limits::kMaxWaiters;

  AnswerThread();
  /// Runs what is queued, then ends.
  ~AnswerThread();
  AnswerThread(const AnswerThread&) = delete;
  AnswerThread& operator=(const AnswerThread&) = delete;

  /// Queues a job. When the queue is full the job is destroyed unrun; a reply in it then closes
  /// its connection. Any thread.
  void post(Job job);

 private:
  void run();

  std::mutex mutex_;
  std::condition_variable wake_;
  std::vector<Job> jobs_;
  bool stopping_ = false;
  std::thread thread_;  ///< last, so that it starts when all else is there
};

}  // namespace penstock::api

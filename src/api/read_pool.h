#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "api/fair_jobs.h"
#include "api/reply.h"
#include "ports/log.h"
#include "ports/order_reader.h"

namespace penstock::api {

/// Which threads a job runs on. What one lane does or waits for never holds up another one.
enum class Lane : std::uint8_t {
  reads,       ///< reads for tenants
  operations,  ///< reads for operators: their lists
  work,        ///< what needs no store but a while: large bodies, /queues and /metrics
};
inline constexpr std::size_t kLanes = 3;
/// "reads".
std::string_view to_string(Lane lane);

/// What is left to do once a job's work is done: answers, or hands the reply to the pipeline.
using Finish = std::move_only_function<void(Reply)>;

/// An answer that is there already.
Finish answer_with(net::HttpResponse response);
Finish answer_with(Problem problem);

struct ReadPoolOptions {
  std::size_t read_threads = 3;  ///< at least 1
  /// From the request to its answer; then 503. Kept to within `sweep`.
  std::chrono::milliseconds deadline{10'000};
  std::chrono::milliseconds sweep{250};
};

/// How a lane does, for /metrics.
struct LaneCounts {
  std::uint64_t waiting = 0;  ///< now
  std::uint64_t done = 0;
  std::uint64_t refused = 0;  ///< over a bound: 503 at once
  std::uint64_t late = 0;     ///< past the deadline: 503
  std::uint64_t failed = 0;   ///< ended by an exception: 503
};

/// The threads that own every read of the api, and all else that takes longer than an I/O thread
/// may: nothing but a job of this pool can reach the store's reader. Each lane has its own threads
/// and a bounded, fair queue (fair_jobs.h; the bounds are in docs/limits.md).
///
/// Every reply that is handed in is answered: by its job; with 503 and Retry-After where the job
/// would pass a bound, throws, or has not done its work by the deadline, queued or running. A job
/// that never comes back keeps its thread, and an owner never has all threads of `reads` unless
/// there is one alone. All methods may be called from any thread and wait for nothing.
class ReadPool {
 public:
  // Requests that wait; above a bound one gets 503. "Of one": of a tenant with a key, or of an
  // address. The bounds of operations are those of work too, where large bodies are 64 MiB then.
  static constexpr std::size_t kMaxReadsWaiting = 2'048;
  static constexpr std::size_t kMaxReadsWaitingOfAddress = 1'024;
  static constexpr std::size_t kMaxReadsWaitingOfOne = 128;
  static constexpr std::size_t kMaxOperationsWaiting = 256;
  static constexpr std::size_t kMaxOperationsWaitingOfAddress = 128;
  static constexpr std::size_t kMaxOperationsWaitingOfOne = 64;
  static_assert(kMaxReadsWaitingOfOne * 2 <= kMaxReadsWaitingOfAddress, "a proxy speaks for many");
  static_assert(kMaxReadsWaitingOfAddress < kMaxReadsWaiting, "no address fills the queue");
  static_assert(kMaxOperationsWaitingOfOne < kMaxOperationsWaitingOfAddress);
  static_assert(kMaxOperationsWaitingOfAddress < kMaxOperationsWaiting);

  /// Works out an answer; the reply is not in its reach, so that a late one has no effect.
  using Work = std::move_only_function<Finish()>;
  using ReadWork = std::move_only_function<Finish(const ports::OrderReader&)>;

  /// Borrows both.
  ReadPool(const ports::OrderReader& reader, ports::Log& log, ReadPoolOptions options);
  /// Waits for the jobs that run. The replies of those that do not are dropped, which closes their
  /// connections.
  ~ReadPool();
  ReadPool(const ReadPool&) = delete;
  ReadPool& operator=(const ReadPool&) = delete;

  void read(Lane lane, const JobShare& share, Reply reply, ReadWork work);
  void run(Lane lane, const JobShare& share, Reply reply, Work work);
  /// A read that the caller has counted and bounded: taken even where the queue is full.
  void read_promised(Lane lane, const JobShare& share, Reply reply, ReadWork work);

  LaneCounts counts(Lane lane) const;

 private:
  struct Task;
  struct LaneState;

  void post(Lane lane, const JobShare& share, const std::shared_ptr<Task>& task, bool promised);
  void serve(LaneState& lane);
  void work_off(LaneState& lane, Task& task);
  void watch();
  bool sweep(LaneState& lane);
  void tell(LaneState& lane, bool is_stuck);

  const ports::OrderReader& reader_;
  ports::Log& log_;
  ReadPoolOptions options_;
  std::array<std::unique_ptr<LaneState>, kLanes> lanes_;
  std::mutex watch_mutex_;
  std::condition_variable watch_wake_;
  bool stopping_ = false;  ///< guarded by watch_mutex_
  std::atomic<bool> watch_sleeps_{false};
  std::thread watch_thread_;
};

}  // namespace penstock::api

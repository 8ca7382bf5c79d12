#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "pipeline/pipeline.h"
#include "pipeline/request.h"
#include "ports/clock.h"
#include "ports/log.h"

namespace penstock::main {

/// How soon work that others stored is looked for: at first, and at the most, doubling in between
/// while there is none.
inline constexpr std::chrono::milliseconds kFirstLook{10};
inline constexpr std::chrono::milliseconds kPollCeiling{100};

/// The thread that drives the pipeline, and the mailbox in front of it. Requests of any thread are
/// collected; each cycle takes what has come, at most kMaxBatch of them, and polls. While the
/// thread works, handing a request in costs a lock and nothing else: it is woken only from its
/// sleep, once for a burst. The mailbox holds at most kMaxMailbox requests; one more is refused.
///
/// If the store fails for good, the thread logs it (code disk-full or store-failed), abandons every
/// request without an answer, and ends.
class PipelineThread final : public pipeline::Intake {
 public:
  /// `changed` is called from the thread when it became idle while draining, and when it failed.
  PipelineThread(ports::Clock& clock, ports::Log& log, std::function<void()> changed);
  /// Stops.
  ~PipelineThread() override;
  PipelineThread(const PipelineThread&) = delete;
  PipelineThread& operator=(const PipelineThread&) = delete;

  /// Begins to drive a pipeline of `parts`, which outlive this. Once. Requests handed in before
  /// wait.
  void start(pipeline::Parts parts, pipeline::PipelineOptions options);

  /// Calls `chore` on the thread at its start and then each hour. Before `start`. Bounded work.
  void each_hour(std::function<void(domain::Now)> chore) { chore_ = std::move(chore); }

  /// The store is shared: work that others stored is looked for at least every kPollCeiling, sooner
  /// while there is some; and while `reachable` (any thread) says no, what needs the store is
  /// refused at once and /readyz says so. Before `start`.
  /// `clock`, which outlives this, decides what is due there instead of the process's own.
  void share_store(std::function<bool()> reachable, ports::Clock* clock = nullptr) {
    reachable_ = std::move(reachable);
    if (clock != nullptr) clock_ = clock;
  }

  void submit(pipeline::Request request) override;
  bool ready() const override {
    return phase_.load() == Phase::running && !leaving_.load() && has_store();
  }

  /// A peer's reply is ready: the thread is to look at once. Any thread; cheap.
  void wake();

  /// From now on it is not ready, so that balancers send their clients elsewhere; everything is
  /// served as before.
  void leave() { leaving_ = true; }
  /// From now on new orders are refused with `draining`; what is in flight goes on.
  void drain();
  /// Answers who waits for an order's end with how it is by now.
  void end_waits();
  /// Whether, since drain, nothing is pending or in flight.
  bool drained() const { return drained_.load(); }

  /// Ends the thread after its present cycle. What was not carried out is refused with `draining`,
  /// what the pipeline holds is abandoned. Repeated calls do nothing.
  void stop();

  /// Why the thread ended by itself.
  std::optional<ports::StoreError> failure() const;

 private:
  enum class Phase : std::uint8_t { starting, running, draining, stopped, failed };

  bool has_store() const { return !reachable_ || reachable_(); }
  void run(pipeline::Parts parts, pipeline::PipelineOptions options);
  void hand_over(pipeline::Pipeline& pipeline);
  void sleep(std::optional<domain::Instant> due, domain::Now now);
  void do_chore(domain::Now now);
  void fail(ports::StoreError error);
  void refuse_rest(pipeline::Refusal refusal);

  ports::Clock* clock_;
  ports::Log& log_;
  std::function<void()> changed_;
  std::function<void(domain::Now)> chore_;
  std::function<bool()> reachable_;
  std::atomic<Phase> phase_{Phase::starting};
  std::atomic<bool> leaving_{false};
  std::atomic<bool> drain_asked_{false};
  std::atomic<bool> end_of_waits_asked_{false};
  std::atomic<bool> drained_{false};

  mutable std::mutex mutex_;  ///< guards what follows it, up to the thread's own
  std::condition_variable news_;
  std::vector<pipeline::Request> mailbox_;
  std::optional<ports::StoreError> failure_;
  bool woken_ = false;
  bool sleeping_ = false;
  bool stop_asked_ = false;

  std::vector<pipeline::Request> taken_;  ///< the thread's own
  std::size_t handed_over_ = 0;           ///< of taken_
  std::optional<domain::Instant> chore_done_;
  std::chrono::microseconds look_pause_ = kFirstLook;  ///< of a shared store, the present one
  std::thread thread_;
};

}  // namespace penstock::main

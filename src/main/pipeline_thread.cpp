#include "main/pipeline_thread.h"

#include <algorithm>
#include <chrono>
#include <utility>
#include <variant>

#include "domain/error_code.h"
#include "domain/limits.h"

namespace penstock::main {
namespace {

/// An idle thread looks this often all the same: the wall clock may have been set.
constexpr std::chrono::microseconds kLongestSleep{1'000'000};
constexpr domain::Duration kChoreEvery = domain::Duration::hours(1);

/// Whether the request is answered from memory alone.
bool needs_no_store(const pipeline::Request& request) {
  return std::holds_alternative<pipeline::AskStatistics>(request) ||
         std::holds_alternative<pipeline::AskProgress>(request) ||
         std::holds_alternative<pipeline::ListUnresolved>(request) ||
         std::holds_alternative<pipeline::WaitForEnd>(request);
}

}  // namespace

PipelineThread::PipelineThread(ports::Clock& clock, ports::Log& log, std::function<void()> changed)
    : clock_(&clock), log_(log), changed_(std::move(changed)) {}

PipelineThread::~PipelineThread() {
  stop();
}

void PipelineThread::start(pipeline::Parts parts, pipeline::PipelineOptions options) {
  thread_ = std::thread([this, parts, options] { run(parts, options); });
}

void PipelineThread::submit(pipeline::Request request) {
  Phase const phase = phase_.load();
  if (phase == Phase::stopped || phase == Phase::failed) {
    pipeline::refuse(request, phase == Phase::failed ? pipeline::Refusal::abandoned
                                                     : pipeline::Refusal::draining);
    return;
  }
  if (!has_store() && !needs_no_store(request)) {
    pipeline::refuse(request, pipeline::Refusal::reduced_capacity);
    return;
  }
  bool asleep = false;
  bool full = false;
  {
    std::lock_guard const lock(mutex_);
    // Operators see and steer an overloaded server: orders never take the last places.
    std::size_t const places = std::holds_alternative<pipeline::PlaceOrder>(request)
                                   ? domain::limits::kMaxMailbox
                                   : domain::limits::kMaxMailbox + domain::limits::kMailboxReserve;
    full = stop_asked_ || mailbox_.size() >= places;
    if (!full) {
      mailbox_.push_back(std::move(request));
      asleep = std::exchange(sleeping_, false);
    }
  }
  if (full) {
    pipeline::refuse(request, pipeline::Refusal::reduced_capacity);
  } else if (asleep) {
    news_.notify_one();
  }
}

void PipelineThread::wake() {
  bool asleep = false;
  {
    std::lock_guard const lock(mutex_);
    woken_ = true;
    asleep = std::exchange(sleeping_, false);
  }
  if (asleep) news_.notify_one();
}

void PipelineThread::drain() {
  drain_asked_ = true;
  Phase running = Phase::running;
  phase_.compare_exchange_strong(running, Phase::draining);
  wake();
}

void PipelineThread::end_waits() {
  end_of_waits_asked_ = true;
  wake();
}

void PipelineThread::stop() {
  {
    std::lock_guard const lock(mutex_);
    stop_asked_ = true;
    sleeping_ = false;
  }
  news_.notify_one();
  if (thread_.joinable()) thread_.join();
  if (phase_.load() != Phase::failed) phase_ = Phase::stopped;
  refuse_rest(pipeline::Refusal::draining);
}

std::optional<ports::StoreError> PipelineThread::failure() const {
  std::lock_guard const lock(mutex_);
  return failure_;
}

void PipelineThread::run(pipeline::Parts parts, pipeline::PipelineOptions options) {
  pipeline::Pipeline pipeline(parts, options, clock_->now());
  Phase starting = Phase::starting;
  phase_.compare_exchange_strong(starting, drain_asked_.load() ? Phase::draining : Phase::running);
  bool drain_told = false;
  bool waits_ended = false;
  while (true) {
    {
      std::lock_guard const lock(mutex_);
      if (stop_asked_) return;
      if (handed_over_ == taken_.size()) {
        taken_.clear();
        handed_over_ = 0;
        taken_.swap(mailbox_);
      }
      woken_ = false;
    }
    if (drain_asked_.load() && !std::exchange(drain_told, true)) pipeline.drain();
    if (end_of_waits_asked_.load() && !std::exchange(waits_ended, true)) pipeline.end_waits();
    hand_over(pipeline);
    domain::Now const now = clock_->now();
    do_chore(now);
    pipeline.poll(now);
    if (auto const failure = pipeline.failure()) {
      fail(*failure);
      return;
    }
    if (handed_over_ < taken_.size()) continue;
    if (drain_told && pipeline.idle() && !drained_.exchange(true)) changed_();
    sleep(pipeline.next_due(now), now);
  }
}

void PipelineThread::do_chore(domain::Now now) {
  if (!chore_ || (chore_done_ && now.wall < *chore_done_ + kChoreEvery)) return;
  chore_done_ = now.wall;
  chore_(now);
}

void PipelineThread::hand_over(pipeline::Pipeline& pipeline) {
  // What the pipeline has not begun stays bounded, and the rest stays in the bounded mailbox.
  std::size_t const room =
      domain::limits::kMaxBatch - std::min(pipeline.waiting(), domain::limits::kMaxBatch);
  std::size_t const end = std::min(taken_.size(), handed_over_ + room);
  for (; handed_over_ < end; ++handed_over_) pipeline.submit(std::move(taken_[handed_over_]));
}

void PipelineThread::sleep(std::optional<domain::Instant> due, domain::Now now) {
  std::chrono::microseconds longest = kLongestSleep;
  if (reachable_) longest = look_pause_;
  if (due) longest = std::min(longest, std::chrono::microseconds((*due - now.wall).us));
  // As long as there is something to do, others may well bring more.
  look_pause_ = kFirstLook;
  if (longest <= std::chrono::microseconds::zero()) return;
  std::chrono::microseconds const pause = longest;
  std::unique_lock lock(mutex_);
  if (stop_asked_ || woken_ || !mailbox_.empty()) return;
  sleeping_ = true;
  bool const woken = news_.wait_for(lock, longest, [this] { return !sleeping_; });
  sleeping_ = false;
  if (!woken) look_pause_ = std::min<std::chrono::microseconds>(pause * 2, kPollCeiling);
}

void PipelineThread::fail(ports::StoreError error) {
  phase_ = Phase::failed;
  domain::ErrorCode code = domain::ErrorCode::store_failed;
  if (error == ports::StoreError::full_disk) code = domain::ErrorCode::disk_full;
  if (error == ports::StoreError::corrupt) code = domain::ErrorCode::store_corrupt;
  log_.write(ports::LogLevel::error,
             "the store has stopped: nothing is acknowledged any more and the process ends; what "
             "was acknowledged is on disk",
             {{"code", domain::to_string(code)}});
  {
    std::lock_guard const lock(mutex_);
    failure_ = error;
  }
  refuse_rest(pipeline::Refusal::abandoned);
  changed_();
}

void PipelineThread::refuse_rest(pipeline::Refusal refusal) {
  std::vector<pipeline::Request> rest;
  {
    std::lock_guard const lock(mutex_);
    rest.swap(mailbox_);
  }
  for (; handed_over_ < taken_.size(); ++handed_over_) {
    pipeline::refuse(taken_[handed_over_], refusal);
  }
  for (pipeline::Request& request : rest) pipeline::refuse(request, refusal);
}

}  // namespace penstock::main

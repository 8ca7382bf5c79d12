#include "api/read_pool.h"

#include <algorithm>
#include <exception>
#include <utility>

namespace penstock::api {
namespace {

using Clock = std::chrono::steady_clock;

constexpr domain::Duration kRetryAfter = domain::Duration::seconds(1);

Problem refusal(std::string_view detail) {
  return {.code = domain::ErrorCode::reduced_capacity,
          .detail = std::string(detail),
          .headers = retry_after_line(kRetryAfter)};
}

constexpr std::string_view kFull =
    "Too many requests like this one are waiting already; nothing was done.";
constexpr std::string_view kLate =
    "The work for this request did not begin or end in time; nothing was done.";
constexpr std::string_view kFailed =
    "The server could not work on this request, for example for lack of memory; nothing was done.";

}  // namespace

std::string_view to_string(Lane lane) {
  switch (lane) {
    case Lane::reads:
      return "reads";
    case Lane::operations:
      return "operations";
    case Lane::work:
      return "work";
  }
  return "reads";
}

Finish answer_with(net::HttpResponse response) {
  return [response = std::move(response)](Reply reply) mutable { reply.send(std::move(response)); };
}

Finish answer_with(Problem problem) {
  return [problem = std::move(problem)](Reply reply) { reply.refuse(problem); };
}

/// A job with its reply. The reply is taken once: by the thread that worked, or by the one that
/// watches the deadline.
struct ReadPool::Task {
  Task(Reply owed, Work wanted, Clock::time_point until)
      : work(std::move(wanted)), deadline(until), reply(std::move(owed)) {}

  std::optional<Reply> take_reply() {
    const std::lock_guard lock(mutex);
    return std::exchange(reply, std::nullopt);
  }
  bool is_owed() {
    const std::lock_guard lock(mutex);
    return reply.has_value();
  }

  Work work;
  Clock::time_point deadline;
  std::list<std::shared_ptr<Task>>::iterator place;  ///< in the lane's `alive`
  bool running = false;                              ///< guarded by the lane's mutex
  std::mutex mutex;
  std::optional<Reply> reply;  ///< guarded by `mutex`
};

struct ReadPool::LaneState {
  LaneState(Lane what, FairJobsBounds bounds) : lane(what), jobs(bounds) {}

  const Lane lane;
  std::mutex mutex;
  std::condition_variable wake;
  FairJobs<std::shared_ptr<Task>> jobs;    ///< guarded by `mutex`, as what follows
  std::list<std::shared_ptr<Task>> alive;  ///< waiting and running, the earliest deadline first
  /// A thread was woken and has not looked yet. It takes a job and wakes the next thread where
  /// there is more, so that a burst costs one wake and not one a job.
  bool is_waking = false;
  bool stopping = false;
  bool told_stuck = false;  ///< the watching thread's own
  std::atomic<std::uint64_t> done{0};
  std::atomic<std::uint64_t> refused{0};
  std::atomic<std::uint64_t> late{0};
  std::atomic<std::uint64_t> failed{0};
  std::vector<std::thread> threads;
};

namespace {

FairJobsBounds bounds_of(Lane lane, const ReadPoolOptions& options) {
  if (lane == Lane::reads) {
    return {.waiting = ReadPool::kMaxReadsWaiting,
            .waiting_of_owner = ReadPool::kMaxReadsWaitingOfOne,
            .waiting_of_address = ReadPool::kMaxReadsWaitingOfAddress,
            .running_of_owner = std::max<std::size_t>(options.read_threads, 2) - 1};
  }
  return {.waiting = ReadPool::kMaxOperationsWaiting,
          .waiting_of_owner = ReadPool::kMaxOperationsWaitingOfOne,
          .waiting_of_address = ReadPool::kMaxOperationsWaitingOfAddress,
          .running_of_owner = 1};
}

}  // namespace

ReadPool::ReadPool(const ports::OrderReader& reader, ports::Log& log, ReadPoolOptions options)
    : reader_(reader), log_(log), options_(options) {
  for (std::size_t index = 0; index < kLanes; ++index) {
    const auto lane = static_cast<Lane>(index);
    lanes_.at(index) = std::make_unique<LaneState>(lane, bounds_of(lane, options_));
    const std::size_t threads =
        lane == Lane::reads ? std::max<std::size_t>(options_.read_threads, 1) : 1;
    for (std::size_t count = 0; count < threads; ++count) {
      lanes_.at(index)->threads.emplace_back([this, index] { serve(*lanes_.at(index)); });
    }
  }
  watch_thread_ = std::thread([this] { watch(); });
}

ReadPool::~ReadPool() {
  {
    const std::lock_guard lock(watch_mutex_);
    stopping_ = true;
  }
  watch_wake_.notify_one();
  watch_thread_.join();
  for (const auto& lane : lanes_) {
    {
      const std::lock_guard lock(lane->mutex);
      lane->stopping = true;
    }
    lane->wake.notify_all();
    for (std::thread& thread : lane->threads) thread.join();
  }
}

void ReadPool::read(Lane lane, const JobShare& share, Reply reply, ReadWork work) {
  run(lane, share, std::move(reply),
      [this, work = std::move(work)]() mutable { return work(reader_); });
}

void ReadPool::run(Lane lane, const JobShare& share, Reply reply, Work work) {
  post(lane, share,
       std::make_shared<Task>(std::move(reply), std::move(work), Clock::now() + options_.deadline),
       false);
}

void ReadPool::read_promised(Lane lane, const JobShare& share, Reply reply, ReadWork work) {
  post(lane, share,
       std::make_shared<Task>(
           std::move(reply), [this, work = std::move(work)]() mutable { return work(reader_); },
           Clock::now() + options_.deadline),
       true);
}

LaneCounts ReadPool::counts(Lane lane) const {
  LaneState& state = *lanes_.at(static_cast<std::size_t>(lane));
  LaneCounts counts{.waiting = 0,
                    .done = state.done.load(),
                    .refused = state.refused.load(),
                    .late = state.late.load(),
                    .failed = state.failed.load()};
  const std::lock_guard lock(state.mutex);
  counts.waiting = state.jobs.waiting();
  return counts;
}

void ReadPool::post(Lane lane, const JobShare& share, const std::shared_ptr<Task>& task,
                    bool promised) {
  LaneState& state = *lanes_.at(static_cast<std::size_t>(lane));
  bool taken = true;
  bool wakes = false;
  {
    const std::lock_guard lock(state.mutex);
    std::shared_ptr<Task> job = task;
    if (promised) {
      state.jobs.push_promised(share, std::move(job));
    } else {
      taken = state.jobs.push(share, std::move(job));
    }
    if (taken) {
      task->place = state.alive.insert(state.alive.end(), task);
      wakes = !std::exchange(state.is_waking, true);
    }
  }
  if (!taken) {
    ++state.refused;
    task->take_reply()->refuse(refusal(kFull));
    return;
  }
  if (wakes) state.wake.notify_one();
  if (watch_sleeps_.exchange(false)) {
    // Between its look and its sleep the watching thread holds the mutex.
    {
      const std::lock_guard lock(watch_mutex_);
    }
    watch_wake_.notify_one();
  }
}

void ReadPool::serve(LaneState& lane) {
  std::unique_lock lock(lane.mutex);
  for (;;) {
    while (!lane.stopping && !lane.jobs.has_next()) {
      lane.is_waking = false;
      lane.wake.wait(lock);
    }
    if (lane.stopping) return;
    auto started = lane.jobs.start();
    started->job->running = true;
    lane.is_waking = lane.jobs.has_next();
    const bool wakes = lane.is_waking;
    lock.unlock();
    if (wakes) lane.wake.notify_one();
    work_off(lane, *started->job);
    lock.lock();
    lane.alive.erase(started->job->place);
    lane.jobs.finish(started->owner);
    lock.unlock();
    started.reset();
    lock.lock();
  }
}

void ReadPool::work_off(LaneState& lane, Task& task) {
  if (!task.is_owed()) return;
  try {
    Finish finish = task.work();
    auto reply = task.take_reply();
    ++lane.done;
    if (reply) finish(*std::move(reply));
    return;
  } catch (const std::exception& error) {
    log_.write(ports::LogLevel::error, "a request failed inside the server",
               {{"lane", to_string(lane.lane)}, {"detail", error.what()}});
  } catch (...) {
    log_.write(ports::LogLevel::error, "a request failed inside the server",
               {{"lane", to_string(lane.lane)}});
  }
  ++lane.failed;
  // Where the answer itself threw, its reply has gone with it and closed the connection.
  if (auto reply = task.take_reply()) reply->refuse(refusal(kFailed));
}

void ReadPool::watch() {
  std::unique_lock lock(watch_mutex_);
  while (!stopping_) {
    // Set before looking, so that what is posted after the look wakes this thread.
    watch_sleeps_ = true;
    lock.unlock();
    bool any = false;
    for (const auto& lane : lanes_) any = sweep(*lane) || any;
    lock.lock();
    if (!any) watch_wake_.wait(lock, [this] { return stopping_ || !watch_sleeps_.load(); });
    // What has just been posted is not late yet: one look a sweep, however many jobs come and go.
    watch_sleeps_ = false;
    watch_wake_.wait_for(lock, options_.sweep, [this] { return stopping_; });
  }
}

bool ReadPool::sweep(LaneState& lane) {
  const auto now = Clock::now();
  std::vector<std::shared_ptr<Task>> late;
  bool any = false;
  bool is_stuck = false;
  {
    const std::lock_guard lock(lane.mutex);
    any = !lane.alive.empty();
    for (const std::shared_ptr<Task>& task : lane.alive) {
      if (task->deadline > now) break;
      is_stuck = is_stuck || task->running;
      late.push_back(task);
    }
  }
  for (const std::shared_ptr<Task>& task : late) {
    if (auto reply = task->take_reply()) {
      ++lane.late;
      reply->refuse(refusal(kLate));
    }
  }
  tell(lane, is_stuck);
  return any;
}

void ReadPool::tell(LaneState& lane, bool is_stuck) {
  if (is_stuck == lane.told_stuck) return;
  lane.told_stuck = is_stuck;
  if (is_stuck) {
    log_.write(
        ports::LogLevel::warning,
        "a request has worked past its deadline: the store does not answer, or the machine "
        "is overloaded; its client and those that wait behind it get 503",
        {{"lane", to_string(lane.lane)}, {"deadline_seconds", options_.deadline.count() / 1000}});
  } else {
    log_.write(ports::LogLevel::info, "no request works past its deadline any more",
               {{"lane", to_string(lane.lane)}});
  }
}

}  // namespace penstock::api

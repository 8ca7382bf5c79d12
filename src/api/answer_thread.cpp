#include "api/answer_thread.h"

#include <utility>

namespace penstock::api {

AnswerThread::AnswerThread() : thread_([this] { run(); }) {}

AnswerThread::~AnswerThread() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_one();
  thread_.join();
}

void AnswerThread::post(Job job) {
  {
    const std::lock_guard lock(mutex_);
    if (jobs_.size() >= kMaxJobs) return;
    jobs_.push_back(std::move(job));
  }
  wake_.notify_one();
}

void AnswerThread::run() {
  std::vector<Job> taken;
  for (;;) {
    {
      std::unique_lock lock(mutex_);
      wake_.wait(lock, [this] { return stopping_ || !jobs_.empty(); });
      if (jobs_.empty()) return;
      taken.swap(jobs_);
    }
    for (Job& job : taken) job();
    taken.clear();
  }
}

}  // namespace penstock::api

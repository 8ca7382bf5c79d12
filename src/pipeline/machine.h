#pragma once

#include <deque>
#include <optional>
#include <vector>

#include "pipeline/commit_queue.h"
#include "pipeline/line_sampler.h"
#include "pipeline/meter.h"
#include "pipeline/notification.h"
#include "pipeline/pipeline.h"
#include "pipeline/redrive_queue.h"
#include "pipeline/step_loop.h"
#include "pipeline/waiters.h"

namespace penstock::pipeline {

/// What Pipeline is made of: requests become commands, commands commits, and commits steps.
class Pipeline::Machine {
 public:
  Machine(Parts parts, PipelineOptions options, domain::Now now);

  void submit(Request&& request) { requests_.push_back(std::move(request)); }
  std::size_t waiting() const { return requests_.size(); }
  void poll(domain::Now now);
  std::optional<domain::Instant> next_due(domain::Now now) const;
  void drain() { draining_ = true; }
  void end_waits() {
    waits_over_ = true;
    waiters_.end_all();
  }
  bool idle() const;
  std::optional<ports::StoreError> failure() const { return commits_.failure(); }

 private:
  void take_requests(domain::Now now);
  void handle(PlaceOrder&& request, domain::Now now);
  void handle(PeekRateLimit request, domain::Now now);
  void handle(CancelOrder request, domain::Now now);
  void handle(WaitForEnd request, domain::Now now);
  void handle(SetStock request, domain::Now now);
  void handle(Restock request, domain::Now now);
  void handle(PutContract request, domain::Now now);
  void handle(Redrive request, domain::Now now);
  void handle(Discard request, domain::Now now);
  void handle(AskProgress request, domain::Now now);
  void handle(ListUnresolved request, domain::Now now);
  void handle(AskStatistics request, domain::Now now);

  void answer_place(Done<PlaceResult>& done, const domain::TenantId& tenant,
                    std::expected<ports::CommandResult, ports::StoreError>&& result);
  void cancel_as_read(domain::Order order, Done<std::expected<domain::Order, Refusal>> done,
                      domain::Now now);
  void redrive_some(domain::Now now);
  void look_for_ends(domain::Now now);
  void landed(const Landing& landing);
  void log_landing(const Landing& landing);
  void log_unpaid(const Landing& landing, const domain::Event& event);
  Statistics statistics(domain::Now now) const;

  Parts parts_;
  PipelineOptions options_;
  CommitQueue commits_;
  Meter meter_;
  LineSampler unpaid_lines_;  ///< of refunds that failed
  StepLoop steps_;
  NotificationStage notification_;
  LineSampler dead_letter_lines_;
  Waiters waiters_;
  domain::Instant looked_for_ends_;
  RedriveQueue redrives_;
  std::deque<Request> requests_;
  bool draining_ = false;
  bool waits_over_ = false;
};

}  // namespace penstock::pipeline

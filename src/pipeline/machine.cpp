#include "pipeline/machine.h"

#include <algorithm>
#include <string>
#include <utility>

#include "domain/limits.h"

namespace penstock::pipeline {

using domain::Instant;
using domain::Now;
using domain::Stage;

namespace {

/// Orders that are looked up at once for those who wait.
constexpr std::size_t kMaxEndsLooked = 1'024;

}  // namespace

Pipeline::Machine::Machine(Parts parts, PipelineOptions options, Now now)
    : parts_(parts),
      options_(options),
      commits_(parts.store, options.max_batch),
      steps_(
          parts, options_, commits_, meter_, [this](const Landing& landing) { landed(landing); },
          [this](const domain::OrderId& order) { return waiters_.any_for(order); }, now),
      notification_(parts, options_, commits_, meter_) {
  options_.saga.fulfillment =
      parts.fulfiller == nullptr ? domain::FulfillmentMode::accepts : domain::FulfillmentMode::hook;
}

void Pipeline::Machine::poll(Now now) {
  meter_.tick(now.wall);
  if (const std::uint64_t left_out = dead_letter_lines_.take_left_out_after(now.wall);
      left_out > 0) {
    parts_.log.write(ports::LogLevel::warning, "more orders dead-lettered than lines were written",
                     {{"left_out", left_out}});
  }
  steps_.take_replies(now);
  if (options_.stages.notification) notification_.take_replies(now);
  take_requests(now);
  redrive_some(now);
  commits_.flush(now);
  if (commits_.failure()) {
    while (!requests_.empty()) {
      refuse(requests_.front(), Refusal::abandoned);
      requests_.pop_front();
    }
    waiters_.end_all();
    return;
  }
  steps_.claim_and_send(now);
  if (options_.stages.notification) notification_.run(now);
  look_for_ends(now);
  waiters_.expire(now.wall);
}

void Pipeline::Machine::take_requests(Now now) {
  while (!requests_.empty() && !commits_.full()) {
    Request request = std::move(requests_.front());
    requests_.pop_front();
    std::visit([&](auto& asked) { handle(std::move(asked), now); }, request);
  }
}

void Pipeline::Machine::redrive_some(Now now) {
  // A batch of the smallest size has no room to share, and redrives go on all the same.
  const std::size_t share = std::max<std::size_t>(1, options_.max_batch / 4);
  for (const domain::OrderId& id : redrives_.take(share, now)) {
    const auto stored = parts_.reader.find(id);
    if (!stored || !*stored) continue;
    auto advance = redrive((*stored)->order, now.wall);
    if (advance) steps_.commit((*stored)->order.version, std::move(*advance), nullptr);
  }
}

void Pipeline::Machine::look_for_ends(Now now) {
  if (options_.look_for_ends == domain::Duration{} || waiters_.size() == 0) return;
  if (now.wall - looked_for_ends_ < options_.look_for_ends && now.wall >= looked_for_ends_) return;
  looked_for_ends_ = now.wall;
  const auto ended = parts_.reader.ended(waiters_.next_of_round(kMaxEndsLooked));
  if (!ended) return;  // the next look may tell; each waiter has its own end
  for (const domain::OrderId& order : *ended) waiters_.ended(order, nullptr);
}

std::optional<Instant> Pipeline::Machine::next_due(Now now) const {
  if (commits_.failure()) return std::nullopt;
  // Behind a full batch requests wait for its flush, which may have to wait for the store.
  const bool takes_requests = !requests_.empty() && !commits_.full();
  if (takes_requests || steps_.left_some()) return now.wall;
  std::optional<Instant> due = steps_.next_due();
  const auto sooner = [&due](std::optional<Instant> other) {
    if (other && (!due || *other < *due)) due = other;
  };
  if (!commits_.empty()) sooner(commits_.retry_at());
  sooner(waiters_.next_due());
  if (options_.look_for_ends > domain::Duration{} && waiters_.size() > 0) {
    sooner(looked_for_ends_ + options_.look_for_ends);
  }
  sooner(redrives_.next_due());
  sooner(notification_.next_due());
  return due;
}

bool Pipeline::Machine::idle() const {
  return requests_.empty() && commits_.empty() && !steps_.busy() && !notification_.busy();
}

void Pipeline::Machine::landed(const Landing& landing) {
  meter_.landed(landing);
  if (domain::is_terminal(landing.status)) waiters_.ended(landing.order, landing.ended);
  if (landing.dead_lettered && dead_letter_lines_.admits(landing.events.back().at)) {
    parts_.log.write(ports::LogLevel::warning, "order dead-lettered",
                     {{"correlation_id", landing.correlation.str()},
                      {"tenant_id", landing.tenant.str()},
                      {"order_id", landing.order.str()},
                      {"stage", to_string(landing.events.back().stage)},
                      {"code", to_string(landing.error)}});
  }
  for (const domain::Event& event : landing.events) {
    const bool unpaid = event.from == domain::Status::cancelling &&
                        event.to == domain::Status::cancelling && event.attempt > 0;
    if (unpaid) log_unpaid(landing, event);
  }
  if (parts_.log.enabled(ports::LogLevel::debug)) log_landing(landing);
}

// Once an order and kind of failure, since its timeline has it once; over all orders, sampled.
void Pipeline::Machine::log_unpaid(const Landing& landing, const domain::Event& event) {
  if (!unpaid_lines_.admits(event.at)) return;
  parts_.log.write(ports::LogLevel::warning, "refund failed; it is owed and tried again",
                   {{"tenant_id", landing.tenant.str()},
                    {"order_id", landing.order.str()},
                    {"stage", to_string(event.stage)},
                    {"attempt", event.attempt},
                    {"code", to_string(event.reason)},
                    {"lines_left_out", unpaid_lines_.take_left_out()}});
}

void Pipeline::Machine::log_landing(const Landing& landing) {
  for (const domain::Event& event : landing.events) {
    parts_.log.write(ports::LogLevel::debug, "step",
                     {{"correlation_id", landing.correlation.str()},
                      {"tenant_id", landing.tenant.str()},
                      {"order_id", landing.order.str()},
                      {"stage", to_string(event.stage)},
                      {"from", event.from ? to_string(*event.from) : ""},
                      {"to", to_string(event.to)},
                      {"attempt", event.attempt},
                      {"code", to_string(event.reason)}});
  }
}

Statistics Pipeline::Machine::statistics(Now now) const {
  Statistics result = meter_.snapshot();
  const ports::StoreDepth depth = parts_.store.depth();
  for (std::size_t index = 0; index < result.stages.size(); ++index) {
    StageStatistics& stage = result.stages[index];
    const auto name = static_cast<Stage>(index);
    stage.depth = depth.stages[index];
    if (stage.depth.oldest) stage.oldest_age = now.wall - *stage.depth.oldest;
    if (const auto since = steps_.longest_wait(name)) {
      stage.oldest_age = std::max(stage.oldest_age, now.wall - *since);
    }
    stage.trouble = steps_.trouble(name);
    stage.in_flight = steps_.in_flight(name);
    stage.paused = steps_.paused(name, now.wall);
  }
  StageStatistics& notification = result.stages[static_cast<std::size_t>(Stage::notification)];
  notification.depth.ready = depth.terminal_batches + depth.deliveries;
  result.active = depth.active;
  result.owed_refunds = depth.owed_refunds;
  result.deliveries_waiting = depth.deliveries;
  result.tenants_held_back = steps_.held_back();
  result.open_dead_letters = depth.open_dead_letters;
  result.unresolved = steps_.unresolved_count();
  notification_.fill(result, now);
  result.commits = commits_.batches();
  result.commands = commits_.commands();
  return result;
}

Pipeline::Pipeline(Parts parts, PipelineOptions options, Now now)
    : machine_(std::make_unique<Machine>(parts, options, now)) {}
Pipeline::~Pipeline() = default;

void Pipeline::submit(Request request) {
  machine_->submit(std::move(request));
}
void Pipeline::poll(Now now) {
  machine_->poll(now);
}
std::optional<Instant> Pipeline::next_due(Now now) const {
  return machine_->next_due(now);
}
void Pipeline::drain() {
  machine_->drain();
}
void Pipeline::end_waits() {
  machine_->end_waits();
}
std::size_t Pipeline::waiting() const {
  return machine_->waiting();
}
bool Pipeline::idle() const {
  return machine_->idle();
}
std::optional<ports::StoreError> Pipeline::failure() const {
  return machine_->failure();
}

}  // namespace penstock::pipeline

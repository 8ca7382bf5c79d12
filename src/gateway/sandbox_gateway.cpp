#include "gateway/sandbox_gateway.h"

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <iterator>
#include <limits>
#include <system_error>
#include <utility>

#include "domain/limits.h"

namespace penstock::gateway {

using domain::OutcomeKind;

// A line is under 1 KiB even where every character of the key is escaped.
static_assert(SandboxGateway::kMaxGroup * 1024 <= Ledger::kMaxGroupBytes);
static_assert(domain::limits::kMaxIdempotencyKeyBytes * 2 + 400 < 1024);

std::expected<std::unique_ptr<SandboxGateway>, LedgerError> SandboxGateway::open(
    const SandboxGatewayOptions& options) {
  Sandbox sandbox(options.faults);
  std::error_code no_file;
  const std::uintmax_t bytes = std::filesystem::file_size(options.ledger_path, no_file);
  if (!no_file) sandbox.reserve_for_ledger(bytes);
  auto ledger = Ledger::open(options.ledger_path,
                             [&](const LedgerLine& line) { return sandbox.restore(line); });
  if (!ledger) return std::unexpected(ledger.error());
  return std::unique_ptr<SandboxGateway>(
      new SandboxGateway(std::move(*ledger), std::move(sandbox), options));
}

SandboxGateway::SandboxGateway(Ledger ledger, Sandbox sandbox, const SandboxGatewayOptions& options)
    : ledger_(std::move(ledger)),
      sandbox_(std::move(sandbox)),
      max_pending_(options.max_pending),
      concurrency_(options.faults.concurrency == 0 ? std::numeric_limits<std::size_t>::max()
                                                   : options.faults.concurrency) {}

std::uint32_t SandboxGateway::keep(ports::GatewayRequest request) {
  if (free_slots_.empty()) {
    slots_.push_back(std::move(request));
    return static_cast<std::uint32_t>(slots_.size() - 1);
  }
  const std::uint32_t slot = free_slots_.back();
  free_slots_.pop_back();
  slots_[slot] = std::move(request);
  return slot;
}

void SandboxGateway::submit(std::span<ports::GatewayRequest> requests, domain::Now now) {
  last_submit_ = now.wall;
  for (ports::GatewayRequest& request : requests) {
    if (has_failed_ || waiting_.size() + in_process_ >= max_pending_) {
      at_once_.push_back({request.ticket, {OutcomeKind::unavailable, {}}});
      continue;
    }
    waiting_.push_back(keep(std::move(request)));
    begin_waiting(now.wall);
  }
}

void SandboxGateway::begin_waiting(domain::Instant now) {
  while (!waiting_.empty() && in_process_ < concurrency_) {
    begin(waiting_.front(), now);
    waiting_.pop_front();
  }
}

void SandboxGateway::begin(std::uint32_t slot, domain::Instant now) {
  ++in_process_;
  const domain::Duration time = sandbox_.processing_time(slots_[slot]);
  if (time.us <= 0) {
    ready_.push_back(slot);
  } else {
    processing_.push({now + time, next_sequence_++, slot});
  }
}

void SandboxGateway::poll(std::vector<ports::GatewayReply>& replies, domain::Now now) {
  std::ranges::move(at_once_, std::back_inserter(replies));
  at_once_.clear();
  while (!processing_.empty() && processing_.top().due <= now.wall) {
    ready_.push_back(processing_.top().slot);
    processing_.pop();
  }
  if (!ready_.empty()) decide_group(replies, now.wall);
}

void SandboxGateway::decide_group(std::vector<ports::GatewayReply>& replies, domain::Instant now) {
  at_.clear();
  domain::append_rfc3339(now, at_);
  const std::size_t first = replies.size();
  while (!ready_.empty() && replies.size() - first < kMaxGroup) {
    const std::uint32_t slot = ready_.front();
    ready_.pop_front();
    replies.push_back({slots_[slot].ticket, sandbox_.decide(slots_[slot], at_)});
    free_slots_.push_back(slot);
    --in_process_;
    begin_waiting(now);
  }
  const auto stored = ledger_.append(sandbox_.movements(), sandbox_.keys());
  sandbox_.clear_lines();
  if (!stored) give_up(first, replies);
}

void SandboxGateway::give_up(std::size_t first, std::vector<ports::GatewayReply>& replies) {
  has_failed_ = true;
  for (std::size_t i = first; i < replies.size(); ++i) {
    replies[i].outcome = {OutcomeKind::unknown, {}};
  }
  const auto refuse = [&](std::uint32_t slot) {
    replies.push_back({slots_[slot].ticket, {OutcomeKind::unavailable, {}}});
  };
  std::ranges::for_each(waiting_, refuse);
  std::ranges::for_each(ready_, refuse);
  for (; !processing_.empty(); processing_.pop()) refuse(processing_.top().slot);
  waiting_.clear();
  ready_.clear();
  in_process_ = 0;
  slots_.clear();
  free_slots_.clear();
}

std::optional<domain::Instant> SandboxGateway::next_due() const {
  if (!at_once_.empty() || !ready_.empty()) return last_submit_;
  if (!processing_.empty()) return processing_.top().due;
  return std::nullopt;
}

}  // namespace penstock::gateway

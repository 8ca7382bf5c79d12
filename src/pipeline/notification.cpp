#include "pipeline/notification.h"

#include <algorithm>
#include <cstdint>
#include <unordered_set>
#include <utility>

#include "domain/limits.h"
#include "domain/retry.h"

namespace penstock::pipeline {
namespace {

constexpr std::size_t kMaxOpenBatches = 64;
constexpr std::size_t kMaxOpenCopies = 4096;
constexpr domain::Duration kPauseWithoutAStore = domain::Duration::milliseconds(100);

/// What a tenant's contract says about webhooks.
enum class Wish : std::uint8_t { none, webhook };

Wish wish_of(const domain::Contract& contract) {
  return contract.webhook && !contract.webhook->disabled ? Wish::webhook : Wish::none;
}

Wish wish_of(const std::expected<domain::Contract, ports::StoreError>& contract) {
  return contract ? wish_of(*contract) : Wish::none;
}

/// True where reading again later may tell: nothing may be decided without it.
template <typename Value>
bool is_away(const std::expected<Value, ports::StoreError>& read) {
  return !read && (read.error() == ports::StoreError::unavailable ||
                   read.error() == ports::StoreError::unknown_outcome);
}

}  // namespace

NotificationStage::NotificationStage(Parts parts, CommitQueue& commits, Meter& meter)
    : parts_(parts), commits_(commits), meter_(meter) {}

void NotificationStage::take_replies(domain::Now now) {
  if (parts_.receipts != nullptr) take_copy_replies(now);
  if (parts_.notifier != nullptr) take_delivery_replies(now);
}

void NotificationStage::run(domain::Now now) {
  disable_webhooks(now);
  begin_unread(now);
  while (unread_.empty() && batches_.size() < kMaxOpenBatches && copies_.size() < kMaxOpenCopies) {
    if (!take_batch(now)) break;
  }
  if (!to_copy_.empty()) {
    parts_.receipts->submit(to_copy_);
    to_copy_.clear();
  }
  if (parts_.notifier != nullptr) send_deliveries(now);
}

bool NotificationStage::take_batch(domain::Now now) {
  // One at a time: a batch is at most kMaxBatch copies, so those of the last one are the excess.
  auto taken = parts_.store.take_terminal_batches(1);
  if (!taken || taken->empty()) return false;
  for (ports::TerminalBatch& terminal : *taken) {
    // Past its lease's end a shared store hands a batch out again, also to who still has it.
    if (batches_.contains(terminal.sequence)) continue;
    if (begin(terminal)) continue;
    unread_.push_back(std::move(terminal));
    read_again_at_ = now.wall + kPauseWithoutAStore;
  }
  return true;
}

void NotificationStage::begin_unread(domain::Now now) {
  while (!unread_.empty() && now.wall >= read_again_at_) {
    if (begin(unread_.front())) {
      unread_.pop_front();
    } else {
      read_again_at_ = now.wall + kPauseWithoutAStore;
    }
  }
}

// All is read before anything is begun: a batch without its contracts would end with deliveries
// left out.
bool NotificationStage::begin(const ports::TerminalBatch& terminal) {
  Batch batch;
  batch.orders = terminal.entries.size();
  std::vector<ports::ReceiptCopy> copies;
  const auto wishes = wishes_of(terminal);
  if (!wishes) return false;
  for (const auto& entry : terminal.entries) {
    if (parts_.receipts != nullptr && entry.status == domain::Status::fulfilled) {
      auto stored = parts_.reader.find(entry.order);
      if (is_away(stored)) return false;
      // A record that cannot be read is the store's to report; it has no bytes to copy.
      if (stored && *stored && !(*stored)->receipt.empty()) {
        copies.push_back({0, entry.order, entry.tenant, std::move((*stored)->receipt)});
      }
    }
    if (wishes->contains(entry.tenant)) batch.deliveries.push_back(entry.order);
  }
  for (const auto& entry : terminal.entries) log_ended(entry);
  batch.copies_open = copies.size();
  batches_.emplace(terminal.sequence, std::move(batch));
  for (ports::ReceiptCopy& copy : copies) copy_receipt(terminal.sequence, std::move(copy));
  if (copies.empty()) finish(terminal.sequence);
  return true;
}

// A batch holds many orders of few tenants: each contract is read once, and all of them together.
std::optional<std::unordered_set<domain::TenantId>> NotificationStage::wishes_of(
    const ports::TerminalBatch& terminal) const {
  std::unordered_set<domain::TenantId> wishing;
  if (parts_.notifier == nullptr) return wishing;
  for (const auto& entry : terminal.entries) wishing.insert(entry.tenant);
  const std::vector<domain::TenantId> tenants(wishing.begin(), wishing.end());
  const auto contracts = parts_.reader.contracts_of(tenants);
  if (is_away(contracts)) return std::nullopt;
  for (std::size_t i = 0; i < tenants.size(); ++i) {
    if (!contracts || wish_of((*contracts)[i]) == Wish::none) wishing.erase(tenants[i]);
  }
  return wishing;
}

void NotificationStage::log_ended(const ports::TerminalBatch::Entry& entry) {
  if (!parts_.log.enabled(ports::LogLevel::debug)) return;
  const auto stored = parts_.reader.find(entry.order);
  if (!stored || !*stored) return;
  parts_.log.write(ports::LogLevel::debug, "order ended",
                   {{"correlation_id", (*stored)->order.correlation.str()},
                    {"tenant_id", entry.tenant.str()},
                    {"order_id", entry.order.str()},
                    {"stage", to_string(domain::Stage::notification)},
                    {"code", to_string(entry.status)}});
}

void NotificationStage::copy_receipt(std::uint64_t batch, ports::ReceiptCopy copy) {
  copy.ticket = next_ticket_++;
  to_copy_.push_back(copy);
  const std::uint64_t ticket = copy.ticket;
  copies_.try_emplace(ticket, batch, std::move(copy), 0U, domain::Instant{});
}

void NotificationStage::take_copy_replies(domain::Now now) {
  std::vector<ports::CopyReply> replies;
  parts_.receipts->poll(replies);
  for (const ports::CopyReply& reply : replies) {
    const auto found = copies_.find(reply.ticket);
    if (found == copies_.end()) continue;
    Copy& copy = found->second;
    if (reply.outcome == ports::CopyOutcome::failed) {
      // Retried without limit: a copy is never a reason to touch the order.
      copy.failures += 1;
      copy.retry_at = now.wall + domain::Backoff{}.pause(copy.failures, parts_.random.next());
      continue;
    }
    const std::uint64_t sequence = copy.batch;
    copies_.erase(found);
    if (--batches_[sequence].copies_open == 0) finish(sequence);
  }
  for (auto& [ticket, copy] : copies_) {
    if (copy.retry_at.us == 0 || now.wall < copy.retry_at) continue;
    copy.retry_at = {};
    to_copy_.push_back(copy.copy);
  }
}

std::optional<domain::Instant> NotificationStage::next_due() const {
  std::optional<domain::Instant> due;
  for (const auto& [ticket, copy] : copies_) {
    if (copy.retry_at.us != 0 && (!due || copy.retry_at < *due)) due = copy.retry_at;
  }
  if (!unread_.empty() && (!due || read_again_at_ < *due)) due = read_again_at_;
  if (!unsent_.empty() && (!due || send_again_at_ < *due)) due = send_again_at_;
  if (!gone_.empty() && (!due || disable_again_at_ < *due)) due = disable_again_at_;
  return due;
}

void NotificationStage::finish(std::uint64_t sequence) {
  Batch& batch = batches_[sequence];
  commits_.add(ports::FinishTerminalBatch{.sequence = sequence,
                                          .deliveries = std::exchange(batch.deliveries, {})},
               [this, sequence](const auto& result) {
                 if (!result) return;
                 meter_.notified(batches_[sequence].orders);
                 batches_.erase(sequence);
               });
}

void NotificationStage::send_deliveries(domain::Now now) {
  const std::size_t held = sent_.size() + unsent_.size() + gone_.size() + disabling_;
  if (held < domain::limits::kMaxDeliveriesInFlight) {
    auto due = parts_.store.take_deliveries(domain::limits::kMaxDeliveriesInFlight - held, now);
    if (due) unsent_.insert(unsent_.end(), due->begin(), due->end());
  }
  if (unsent_.empty() || now.wall < send_again_at_) return;
  std::vector<ports::NotificationRequest> requests;
  requests.reserve(unsent_.size());
  std::vector<ports::Delivery> unread;
  for (const ports::Delivery& delivery : unsent_) {
    Sent sent{delivery.order, delivery.tenant, delivery.attempt, {}};
    auto contract = parts_.reader.contract(delivery.tenant);
    auto stored = parts_.reader.find(delivery.order);
    if (is_away(contract) || is_away(stored)) {
      unread.push_back(delivery);
      continue;
    }
    if (wish_of(contract) == Wish::none || !stored || !*stored) {
      end_attempt(sent, domain::Reason::endpoint_gone, now);
      continue;
    }
    sent.url = contract->webhook->url;
    const std::uint64_t ticket = next_ticket_++;
    requests.push_back({.ticket = ticket,
                        .webhook = std::move(*contract->webhook),
                        .order = std::move((*stored)->order),
                        .attempt = delivery.attempt,
                        .now = now.wall});
    sent_.emplace(ticket, std::move(sent));
  }
  unsent_ = std::move(unread);
  if (!unsent_.empty()) send_again_at_ = now.wall + kPauseWithoutAStore;
  if (!requests.empty()) parts_.notifier->submit(requests);
}

void NotificationStage::take_delivery_replies(domain::Now now) {
  std::vector<ports::NotificationReply> replies;
  parts_.notifier->poll(replies);
  for (const ports::NotificationReply& reply : replies) {
    auto entry = sent_.extract(reply.ticket);
    if (entry.empty()) continue;
    const Sent& sent = entry.mapped();
    meter_.delivery(reply.outcome == ports::NotificationOutcome::delivered);
    switch (reply.outcome) {
      case ports::NotificationOutcome::delivered:
        end_attempt(sent, domain::Reason::delivered, now);
        break;
      case ports::NotificationOutcome::failed:
        end_attempt(sent, domain::Reason::delivery_failed, now);
        break;
      case ports::NotificationOutcome::gone:
        gone_.push_back(sent);
        break;
    }
  }
}

void NotificationStage::end_attempt(const Sent& sent, domain::Reason reason, domain::Now now) {
  ports::DeliveryAttempt attempt{
      .order = sent.order, .attempt = sent.attempt, .reason = reason, .next_due = std::nullopt};
  if (reason == domain::Reason::delivery_failed) {
    if (const auto pause = domain::webhook_pause(sent.attempt + 1)) {
      attempt.next_due = now.wall + *pause;
    } else {
      attempt.reason = domain::Reason::delivery_gave_up;
    }
  }
  commits_.add(std::move(attempt), [](const auto&) {});
}

// A delivery that found its endpoint gone ends only once that is stored of the endpoint: else an
// order would count as told that nobody was told of.
void NotificationStage::disable_webhooks(domain::Now now) {
  if (gone_.empty() || now.wall < disable_again_at_) return;
  for (const Sent& sent : std::exchange(gone_, {})) {
    auto contract = parts_.reader.contract(sent.tenant);
    if (is_away(contract)) {
      gone_.push_back(sent);
      disable_again_at_ = now.wall + kPauseWithoutAStore;
    } else if (wish_of(contract) == Wish::none) {
      end_attempt(sent, domain::Reason::endpoint_gone, now);
    } else if (contract->webhook->url != sent.url) {
      // Another endpoint by now, which has not been asked.
      end_attempt(sent, domain::Reason::delivery_failed, now);
    } else {
      disable_webhook(sent, std::move(*contract), now);
    }
  }
}

// Only the contract that was read is replaced: what its tenant was given meanwhile stays.
void NotificationStage::disable_webhook(const Sent& sent, domain::Contract present,
                                        domain::Now now) {
  domain::Contract disabled = present;
  disabled.webhook->disabled = true;
  disabling_ += 1;
  commits_.add(
      ports::PutContract{
          .tenant = sent.tenant, .contract = std::move(disabled), .instead_of = std::move(present)},
      [this, sent, now](const auto& result) {
        disabling_ -= 1;
        // Decided again where the contract is another by now, or may be.
        if (!result || std::get<ports::PutOutcome>(*result) == ports::PutOutcome::stale) {
          gone_.push_back(sent);
          disable_again_at_ = result ? now.wall : now.wall + kPauseWithoutAStore;
          return;
        }
        parts_.log.write(
            ports::LogLevel::warning, "webhook disabled: its endpoint answered 410",
            {{"tenant_id", sent.tenant.str()}, {"code", to_string(domain::Reason::endpoint_gone)}});
        end_attempt(sent, domain::Reason::endpoint_gone, now);
      });
}

}  // namespace penstock::pipeline

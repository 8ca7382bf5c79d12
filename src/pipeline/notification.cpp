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
/// Copies that failed and are tried again in this run; what is beyond is made at the next start.
constexpr std::size_t kMaxKeptCopies = 4096;
constexpr std::size_t kMaxKeptBatches = 1024;
/// Deliveries that are taken without looking at the shares again, at least.
constexpr std::size_t kTakenAtOnce = 16;
/// Failing endpoints whose begin and end are told.
constexpr std::size_t kMaxTroubles = 10'000;
constexpr domain::Duration kTellTroubleAgain = domain::Duration::seconds(60);
/// How often the number of waiting deliveries is looked at, where an endpoint fails.
constexpr domain::Duration kBacklogLook = domain::Duration::milliseconds(100);
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

NotificationStage::NotificationStage(Parts parts, const PipelineOptions& options,
                                     CommitQueue& commits, Meter& meter)
    : parts_(parts), options_(options), commits_(commits), meter_(meter) {}

void NotificationStage::take_replies(domain::Now now) {
  if (parts_.receipts != nullptr) take_copy_replies(now);
  if (parts_.notifier != nullptr) take_delivery_replies(now);
}

void NotificationStage::run(domain::Now now) {
  disable_webhooks(now);
  begin_unread(now);
  while (unread_.empty() && batches_.size() - kept_batches_ < kMaxOpenBatches &&
         copies_.size() - kept_copies_ < kMaxOpenCopies) {
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
    if (begin(terminal, now)) continue;
    unread_.push_back(std::move(terminal));
    read_again_at_ = now.wall + kPauseWithoutAStore;
  }
  return true;
}

void NotificationStage::begin_unread(domain::Now now) {
  while (!unread_.empty() && now.wall >= read_again_at_) {
    if (begin(unread_.front(), now)) {
      unread_.pop_front();
    } else {
      read_again_at_ = now.wall + kPauseWithoutAStore;
    }
  }
}

// All is read before anything is begun: a batch without its contracts would end with deliveries
// left out.
bool NotificationStage::begin(const ports::TerminalBatch& terminal, domain::Now now) {
  Batch batch;
  batch.orders = terminal.entries.size();
  std::vector<ports::ReceiptCopy> copies;
  auto wishes = wishes_of(terminal);
  if (!wishes) return false;
  // A batch that was kept for its copies has been told of; that is stored with each of its orders.
  if (!terminal.entries.empty()) {
    const auto first = parts_.reader.find(terminal.entries.front().order);
    if (is_away(first)) return false;
    batch.is_told = first && *first && !(*first)->deliveries.empty();
  }
  if (!batch.is_told) bound_backlog(*wishes, terminal, now);
  for (const auto& entry : terminal.entries) {
    if (parts_.receipts != nullptr && entry.status == domain::Status::fulfilled) {
      auto stored = parts_.reader.find(entry.order);
      if (is_away(stored)) return false;
      // A record that cannot be read is the store's to report; it has no bytes to copy.
      if (stored && *stored && !(*stored)->receipt.empty()) {
        copies.push_back({0, entry.order, entry.tenant, std::move((*stored)->receipt)});
      }
    }
    if (!batch.is_told && wishes->contains(entry.tenant)) batch.deliveries.push_back(entry.order);
  }
  if (!batch.is_told) {
    for (const auto& entry : terminal.entries) log_ended(entry);
  }
  batch.copies_open = copies.size();
  batches_.emplace(terminal.sequence, std::move(batch));
  for (ports::ReceiptCopy& copy : copies) copy_receipt(terminal.sequence, std::move(copy), now);
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

// The backlog of endpoints that fail is bounded, and nobody else pays for it: the orders of tenants
// whose endpoint works are told of all the same.
void NotificationStage::bound_backlog(std::unordered_set<domain::TenantId>& wishes,
                                      const ports::TerminalBatch& terminal, domain::Now now) {
  if (endpoints_.empty()) return;
  if (now.wall - backlog_looked_at_ >= kBacklogLook) {
    backlog_looked_at_ = now.wall;
    is_backlog_full_ = parts_.store.depth().deliveries >= options_.max_deliveries_waiting;
  }
  if (!is_backlog_full_) return;
  for (const auto& entry : terminal.entries) {
    if (!wishes.contains(entry.tenant) || !endpoints_.contains(entry.tenant)) continue;
    meter_.delivery_gave_up();
    const bool begins = backlog_.failures++ == 0;
    if (!begins && now.wall < backlog_.logged_at + kTellTroubleAgain) continue;
    backlog_.logged_at = now.wall;
    parts_.log.write(ports::LogLevel::warning,
                     "too many webhook deliveries wait: orders of tenants whose endpoint fails are "
                     "not told of",
                     {{"tenant_id", entry.tenant.str()},
                      {"order_id", entry.order.str()},
                      {"stage", to_string(domain::Stage::notification)},
                      {"code", to_string(domain::Reason::delivery_gave_up)},
                      {"left_out", backlog_.failures}});
  }
  std::erase_if(wishes, [this](const auto& tenant) { return endpoints_.contains(tenant); });
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

void NotificationStage::copy_receipt(std::uint64_t batch, ports::ReceiptCopy copy,
                                     domain::Now now) {
  copy.ticket = next_ticket_++;
  to_copy_.push_back(copy);
  const std::uint64_t ticket = copy.ticket;
  copies_.try_emplace(ticket, batch, std::move(copy), now.wall, 0U, domain::Instant{});
}

void NotificationStage::take_copy_replies(domain::Now now) {
  std::vector<ports::CopyReply> replies;
  parts_.receipts->poll(replies);
  for (const ports::CopyReply& reply : replies) {
    const auto found = copies_.find(reply.ticket);
    if (found == copies_.end()) continue;
    if (reply.outcome == ports::CopyOutcome::failed) {
      copy_failed(found->second, reply, now);
    } else {
      copy_made(reply.ticket, now);
    }
  }
  send_copies_again(now);
}

// Retried without limit: a copy is never a reason to touch the order, nor to hold up its
// deliveries.
void NotificationStage::copy_failed(Copy& copy, const ports::CopyReply& reply, domain::Now now) {
  meter_.receipt_copy(false);
  copy.failures += 1;
  copy.retry_at = now.wall + domain::Backoff{}.pause(copy.failures, parts_.random.next());
  if (!copies_due_ || copy.retry_at < *copies_due_) copies_due_ = copy.retry_at;
  const bool begins = copying_.failures == 0;
  if (begins) copying_.since = now.wall;
  copying_.failures += 1;
  if (begins || now.wall >= copying_.logged_at + kTellTroubleAgain) {
    copying_.logged_at = now.wall;
    parts_.log.write(ports::LogLevel::warning,
                     begins ? "receipt copies fail: they are tried again, and made at the next "
                              "start if they cannot be before"
                            : "receipt copies still fail",
                     {{"tenant_id", copy.copy.tenant.str()},
                      {"order_id", copy.copy.order.str()},
                      {"stage", to_string(domain::Stage::notification)},
                      {"attempt", copy.failures},
                      {"failures", copying_.failures},
                      {"detail", reply.error}});
  }
  const std::uint64_t sequence = copy.batch;
  if (!batches_[sequence].is_kept) tell(sequence);
}

void NotificationStage::copy_made(std::uint64_t ticket, domain::Now now) {
  meter_.receipt_copy(true);
  if (copying_.failures > 0) {
    parts_.log.write(ports::LogLevel::info, "receipt copies are made again",
                     {{"stage", to_string(domain::Stage::notification)},
                      {"failures", copying_.failures},
                      {"seconds", (now.wall - copying_.since).us / 1'000'000}});
    copying_ = {};
  }
  const auto found = copies_.find(ticket);
  const std::uint64_t sequence = found->second.batch;
  copies_.erase(found);
  Batch& batch = batches_[sequence];
  if (batch.is_kept) kept_copies_ -= 1;
  if (--batch.copies_open == 0) finish(sequence);
}

void NotificationStage::send_copies_again(domain::Now now) {
  if (!copies_due_ || now.wall < *copies_due_) return;
  copies_due_.reset();
  for (auto& [ticket, copy] : copies_) {
    if (copy.retry_at.us == 0) continue;
    if (now.wall >= copy.retry_at) {
      copy.retry_at = {};
      to_copy_.push_back(copy.copy);
    } else if (!copies_due_ || copy.retry_at < *copies_due_) {
      copies_due_ = copy.retry_at;
    }
  }
}

void NotificationStage::tell(std::uint64_t sequence) {
  Batch& batch = batches_[sequence];
  batch.is_kept = true;
  kept_batches_ += 1;
  kept_copies_ += batch.copies_open;
  if (!std::exchange(batch.is_told, true)) {
    commits_.add(ports::FinishTerminalBatch{.sequence = sequence,
                                            .deliveries = std::exchange(batch.deliveries, {}),
                                            .part = ports::BatchPart::deliveries},
                 [](const auto&) {});
  }
  if (kept_copies_ > kMaxKeptCopies || kept_batches_ > kMaxKeptBatches) park(sequence);
}

void NotificationStage::park(std::uint64_t sequence) {
  std::erase_if(copies_, [sequence](const auto& copy) { return copy.second.batch == sequence; });
  const auto batch = batches_.extract(sequence);
  kept_batches_ -= 1;
  kept_copies_ -= batch.mapped().copies_open;
}

std::optional<domain::Instant> NotificationStage::next_due() const {
  std::optional<domain::Instant> due = copies_due_;
  if (!unread_.empty() && (!due || read_again_at_ < *due)) due = read_again_at_;
  if (!unsent_.empty() && (!due || send_again_at_ < *due)) due = send_again_at_;
  if (!gone_.empty() && (!due || disable_again_at_ < *due)) due = disable_again_at_;
  return due;
}

void NotificationStage::finish(std::uint64_t sequence) {
  Batch& batch = batches_[sequence];
  if (std::exchange(batch.is_kept, false)) kept_batches_ -= 1;
  commits_.add(ports::FinishTerminalBatch{.sequence = sequence,
                                          .deliveries = std::exchange(batch.deliveries, {}),
                                          .part = batch.is_told ? ports::BatchPart::copies
                                                                : ports::BatchPart::whole},
               [this, sequence](const auto& result) {
                 if (!result) return;
                 meter_.notified(batches_[sequence].orders);
                 batches_.erase(sequence);
               });
}

std::vector<domain::TenantId> NotificationStage::tenants_without_a_place() const {
  std::vector<domain::TenantId> full;
  places_.for_each([&](const domain::TenantId& tenant, const domain::Share& share) {
    if (!places_.room().has_place_for(share)) full.push_back(tenant);
  });
  return full;
}

// In parts, so that one tenant with much to do passes its share by less than a part.
void NotificationStage::take_due(domain::Now now) {
  while (const std::size_t free = places_.room().free()) {
    const std::size_t limit = std::min(free, std::max(kTakenAtOnce, free / 4));
    const auto due = parts_.store.take_deliveries(limit, now, tenants_without_a_place());
    if (!due) return;
    for (const ports::Delivery& delivery : *due) {
      // Who has a webhook has a contract of its own.
      unsent_.push_back(
          {delivery, places_.take_anyway(delivery.tenant, domain::Standing::own_contract)});
    }
    if (due->size() < limit) return;
  }
}

void NotificationStage::send_deliveries(domain::Now now) {
  take_due(now);
  if (unsent_.empty() || now.wall < send_again_at_) return;
  std::vector<ports::NotificationRequest> requests;
  requests.reserve(unsent_.size());
  std::vector<Due> unread;
  for (const Due& due : unsent_) {
    const ports::Delivery& delivery = due.delivery;
    Sent sent{delivery.order, delivery.tenant, delivery.attempt, due.place, {}};
    auto contract = parts_.reader.contract(delivery.tenant);
    auto stored = parts_.reader.find(delivery.order);
    if (is_away(contract) || is_away(stored)) {
      unread.push_back(due);
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
    note_delivery(sent, reply, now);
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

// The first failure of an endpoint and its end are told, and once a minute that it goes on.
void NotificationStage::note_delivery(const Sent& sent, const ports::NotificationReply& reply,
                                      domain::Now now) {
  const auto known = endpoints_.find(sent.tenant);
  if (reply.outcome != ports::NotificationOutcome::failed) {
    if (known == endpoints_.end()) return;
    if (reply.outcome == ports::NotificationOutcome::delivered) {
      parts_.log.write(ports::LogLevel::info, "webhook deliveries arrive again",
                       {{"tenant_id", sent.tenant.str()},
                        {"order_id", sent.order.str()},
                        {"failures", known->second.failures},
                        {"seconds", (now.wall - known->second.since).us / 1'000'000}});
    }
    endpoints_.erase(known);
    return;
  }
  if (known == endpoints_.end() && endpoints_.size() >= kMaxTroubles) return;
  Trouble& trouble = endpoints_[sent.tenant];
  const bool begins = trouble.failures++ == 0;
  if (begins) trouble.since = now.wall;
  if (!begins && now.wall < trouble.logged_at + kTellTroubleAgain) return;
  trouble.logged_at = now.wall;
  parts_.log.write(ports::LogLevel::warning,
                   begins ? "webhook deliveries fail" : "webhook deliveries still fail",
                   {{"tenant_id", sent.tenant.str()},
                    {"order_id", sent.order.str()},
                    {"stage", to_string(domain::Stage::notification)},
                    {"attempt", sent.attempt},
                    {"code", to_string(domain::Reason::delivery_failed)},
                    {"failures", trouble.failures},
                    {"detail", reply.detail}});
}

void NotificationStage::fill(Statistics& statistics, domain::Now now) const {
  statistics.receipt_copies_waiting = copies_.size();
  domain::Instant oldest = now.wall;
  for (const auto& [ticket, copy] : copies_) oldest = std::min(oldest, copy.since);
  statistics.receipt_copies_age = now.wall - oldest;
  statistics.endpoints_failing = endpoints_.size();
}

void NotificationStage::end_attempt(const Sent& sent, domain::Reason reason, domain::Now now) {
  places_.give_back(sent.place);
  ports::DeliveryAttempt attempt{
      .order = sent.order, .attempt = sent.attempt, .reason = reason, .next_due = std::nullopt};
  if (reason == domain::Reason::delivery_failed) {
    if (const auto pause = domain::webhook_pause(sent.attempt + 1)) {
      attempt.next_due = now.wall + *pause;
    } else {
      attempt.reason = domain::Reason::delivery_gave_up;
      meter_.delivery_gave_up();
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

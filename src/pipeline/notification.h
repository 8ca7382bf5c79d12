#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "pipeline/commit_queue.h"
#include "pipeline/meter.h"
#include "pipeline/pipeline.h"

namespace penstock::pipeline {

/// The fifth stage: what follows a terminal commit. Works off terminal batches (log entry, receipt
/// copy, the tenant's webhook deliveries) and then the deliveries on their own schedule. Never
/// changes an order.
class NotificationStage {
 public:
  NotificationStage(Parts parts, CommitQueue& commits, Meter& meter);

  /// Takes the replies that have arrived. Before a flush, so that what they ask to be stored shares
  /// it.
  void take_replies(domain::Now now);

  /// Begins new terminal batches and sends what is due.
  void run(domain::Now now);

  /// When a receipt copy, or a read from a store that was away, is to be tried again.
  std::optional<domain::Instant> next_due() const;

  bool busy() const {
    return !batches_.empty() || !sent_.empty() || !unread_.empty() || !unsent_.empty() ||
           !gone_.empty() || disabling_ > 0;
  }

 private:
  struct Batch {
    std::vector<domain::OrderId> deliveries;
    std::size_t orders = 0;
    std::size_t copies_open = 0;
  };
  struct Copy {
    std::uint64_t batch = 0;
    ports::ReceiptCopy copy;
    std::uint32_t failures = 0;
    domain::Instant retry_at;  ///< zero while it is being written
  };
  struct Sent {
    domain::OrderId order;
    domain::TenantId tenant;
    std::int32_t attempt = 1;
    std::string url;  ///< where it was sent
  };

  bool take_batch(domain::Now now);
  void begin_unread(domain::Now now);
  /// False, with nothing begun, if the store cannot be read at present.
  bool begin(const ports::TerminalBatch& terminal);
  /// Which of the tenants want webhooks; nothing where the store cannot be asked at present.
  std::optional<std::unordered_set<domain::TenantId>> wishes_of(
      const ports::TerminalBatch& terminal) const;
  void log_ended(const ports::TerminalBatch::Entry& entry);
  void copy_receipt(std::uint64_t batch, ports::ReceiptCopy copy);
  void take_copy_replies(domain::Now now);
  void finish(std::uint64_t sequence);
  void take_delivery_replies(domain::Now now);
  void send_deliveries(domain::Now now);
  void end_attempt(const Sent& sent, domain::Reason reason, domain::Now now);
  void disable_webhooks(domain::Now now);
  void disable_webhook(const Sent& sent, domain::Contract present, domain::Now now);

  Parts parts_;
  CommitQueue& commits_;
  Meter& meter_;
  std::uint64_t next_ticket_ = 1;
  std::unordered_map<std::uint64_t, Batch> batches_;
  std::unordered_map<std::uint64_t, Copy> copies_;
  std::unordered_map<std::uint64_t, Sent> sent_;
  std::vector<ports::ReceiptCopy> to_copy_;
  std::deque<ports::TerminalBatch> unread_;  ///< taken, and not begun: the store was away
  domain::Instant read_again_at_;
  std::vector<ports::Delivery> unsent_;  ///< taken, and not sent: the store was away
  domain::Instant send_again_at_;
  std::vector<Sent> gone_;     ///< answered that their endpoint is gone, which is not stored yet
  std::size_t disabling_ = 0;  ///< of those, with a commit that stores it
  domain::Instant disable_again_at_;
};

}  // namespace penstock::pipeline

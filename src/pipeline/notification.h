#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "domain/fair_share.h"
#include "domain/limits.h"
#include "pipeline/commit_queue.h"
#include "pipeline/meter.h"
#include "pipeline/pipeline.h"

namespace penstock::pipeline {

/// The fifth stage: what follows a terminal commit. Works off terminal batches (log entry, receipt
/// copy, the tenant's webhook deliveries) and then the deliveries on their own schedule. Never
/// changes an order.
class NotificationStage {
 public:
  NotificationStage(Parts parts, const PipelineOptions& options, CommitQueue& commits,
                    Meter& meter);

  /// Takes the replies that have arrived. Before a flush, so that what they ask to be stored shares
  /// it.
  void take_replies(domain::Now now);

  /// Begins new terminal batches and sends what is due. Copies and deliveries do not wait for each
  /// other: the deliveries of a batch begin at the first copy of it that fails.
  void run(domain::Now now);

  /// When a receipt copy, or a read from a store that was away, is to be tried again.
  std::optional<domain::Instant> next_due() const;

  /// What waits, and since when.
  void fill(Statistics& statistics, domain::Now now) const;

  /// Whether something is under way that a drain waits for. Copies that keep failing are not: they
  /// are made at the next start.
  bool busy() const {
    return batches_.size() > kept_batches_ || !sent_.empty() || !unread_.empty() ||
           !unsent_.empty() || !gone_.empty() || disabling_ > 0;
  }

 private:
  struct Batch {
    std::vector<domain::OrderId> deliveries;
    std::size_t orders = 0;
    std::size_t copies_open = 0;
    bool is_told = false;  ///< its deliveries are stored, or were not wanted; only copies are left
    bool is_kept = false;  ///< told, since copies of it failed: in kept_batches_ and kept_copies_
  };
  struct Copy {
    std::uint64_t batch = 0;
    ports::ReceiptCopy copy;
    domain::Instant since;
    std::uint32_t failures = 0;
    domain::Instant retry_at;  ///< zero while it is being written
  };
  /// Places in flight, shared by tenants: one whose endpoint hangs leaves places for the others.
  using Places = domain::FairRoom<domain::TenantId>;
  struct Due {
    ports::Delivery delivery;
    Places::Holder* place = nullptr;
  };
  struct Sent {
    domain::OrderId order;
    domain::TenantId tenant;
    std::int32_t attempt = 1;
    Places::Holder* place = nullptr;
    std::string url;  ///< where it was sent
  };
  /// Failures in a row, of one tenant's endpoint or of the copies.
  struct Trouble {
    std::uint64_t failures = 0;
    domain::Instant since;
    domain::Instant logged_at;
  };

  bool take_batch(domain::Now now);
  void begin_unread(domain::Now now);
  /// False, with nothing begun, if the store cannot be read at present.
  bool begin(const ports::TerminalBatch& terminal, domain::Now now);
  /// Which of the tenants want webhooks; nothing where the store cannot be asked at present.
  std::optional<std::unordered_set<domain::TenantId>> wishes_of(
      const ports::TerminalBatch& terminal) const;
  /// Takes tenants whose endpoint fails off `wishes` while as many deliveries wait as may.
  void bound_backlog(std::unordered_set<domain::TenantId>& wishes,
                     const ports::TerminalBatch& terminal, domain::Now now);
  void log_ended(const ports::TerminalBatch::Entry& entry);
  void copy_receipt(std::uint64_t batch, ports::ReceiptCopy copy, domain::Now now);
  void take_copy_replies(domain::Now now);
  void copy_failed(Copy& copy, const ports::CopyReply& reply, domain::Now now);
  void copy_made(std::uint64_t ticket, domain::Now now);
  void send_copies_again(domain::Now now);
  /// Begins the deliveries of a batch whose copies fail, and keeps the rest of it.
  void tell(std::uint64_t sequence);
  /// Forgets a kept batch; it stays stored for the next start.
  void park(std::uint64_t sequence);
  void take_due(domain::Now now);
  std::vector<domain::TenantId> tenants_without_a_place() const;
  void note_delivery(const Sent& sent, const ports::NotificationReply& reply, domain::Now now);
  void finish(std::uint64_t sequence);
  void take_delivery_replies(domain::Now now);
  void send_deliveries(domain::Now now);
  void end_attempt(const Sent& sent, domain::Reason reason, domain::Now now);
  void disable_webhooks(domain::Now now);
  void disable_webhook(const Sent& sent, domain::Contract present, domain::Now now);

  Parts parts_;
  const PipelineOptions& options_;
  CommitQueue& commits_;
  Meter& meter_;
  std::uint64_t next_ticket_ = 1;
  std::unordered_map<std::uint64_t, Batch> batches_;
  std::unordered_map<std::uint64_t, Copy> copies_;
  std::unordered_map<std::uint64_t, Sent> sent_;
  std::vector<ports::ReceiptCopy> to_copy_;
  std::deque<ports::TerminalBatch> unread_;  ///< taken, and not begun: the store was away
  domain::Instant read_again_at_;
  std::size_t kept_batches_ = 0;
  std::size_t kept_copies_ = 0;                ///< open copies of kept batches
  std::optional<domain::Instant> copies_due_;  ///< when the first failed copy is tried again
  Trouble copying_;
  Places places_{domain::limits::kMaxDeliveriesInFlight};
  std::unordered_map<domain::TenantId, Trouble> endpoints_;  ///< that fail; at most kMaxTroubles
  Trouble backlog_;  ///< deliveries that were left out for want of room, as its failures
  bool is_backlog_full_ = false;
  domain::Instant backlog_looked_at_;
  std::vector<Due> unsent_;  ///< taken, and not sent: the store was away
  domain::Instant send_again_at_;
  std::vector<Sent> gone_;     ///< answered that their endpoint is gone, which is not stored yet
  std::size_t disabling_ = 0;  ///< of those, with a commit that stores it
  domain::Instant disable_again_at_;
};

}  // namespace penstock::pipeline

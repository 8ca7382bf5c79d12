#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "domain/instant.h"
#include "domain/limits.h"
#include "domain/saga.h"
#include "pipeline/request.h"
#include "ports/fulfiller.h"
#include "ports/log.h"
#include "ports/notifier.h"
#include "ports/order_reader.h"
#include "ports/order_store.h"
#include "ports/payment_gateway.h"
#include "ports/random.h"
#include "ports/receipt_store.h"

namespace penstock::pipeline {

/// What the pipeline runs on. The optional parts may be null. All outlive the pipeline.
struct Parts {
  ports::OrderStore& store;
  const ports::OrderReader& reader;
  ports::PaymentGateway& gateway;
  ports::Log& log;
  ports::Random& random;
  ports::Fulfiller* fulfiller = nullptr;    ///< null: every order is accepted
  ports::Notifier* notifier = nullptr;      ///< null: terminal events go to the log alone
  ports::ReceiptStore* receipts = nullptr;  ///< null: no copies
};

/// Which stages this process runs. Ingest and inventory together share one commit.
struct Stages {
  bool ingest = true;
  bool inventory = true;
  bool payment = true;
  bool fulfillment = true;
  bool notification = true;
};

struct PipelineOptions {
  Stages stages;
  domain::SagaPolicy saga;
  std::size_t max_batch = 4096;  ///< commands in one commit
  std::size_t max_payments_in_flight = 10'000;
  std::size_t max_fulfillments_in_flight = 2'000;
  std::size_t max_deliveries_waiting = domain::limits::kMaxDeliveriesWaiting;
  /// Where other processes end orders too: how often those that are waited for are looked up. Zero:
  /// every end happens here.
  domain::Duration look_for_ends;
};

/// The five stages on the step protocol: claim, decide, effect, commit. Single-threaded, driven by
/// `poll`; knows no clock, thread or socket. An effect leaves only after the commit that justifies
/// it returned from the store.
class Pipeline {
 public:
  Pipeline(Parts parts, PipelineOptions options, domain::Now now);
  ~Pipeline();
  Pipeline(const Pipeline&) = delete;
  Pipeline& operator=(const Pipeline&) = delete;

  /// Hands a request in; it is answered by this or a later poll.
  void submit(Request request);

  /// Requests that were handed in and not begun. Whoever hands in bounds this: what is due in one
  /// cycle may be less than what arrives in one.
  std::size_t waiting() const;

  /// One cycle: takes replies, decides, commits one batch, answers, claims, sends effects.
  void poll(domain::Now now);

  /// When poll is to be called next even if nobody submits or wakes: now if there is work left,
  /// a retry's or a waiter's time, or nothing.
  std::optional<domain::Instant> next_due(domain::Now now) const;

  /// From now on new orders are refused with `draining`; what is in flight goes on.
  void drain();

  /// Answers everybody who waits for an order's end, and from now on at once: nobody is kept
  /// waiting by a process that ends.
  void end_waits();

  /// True once nothing is pending or in flight (orders that wait for a retry may remain).
  bool idle() const;

  /// Set once the store stopped for good: no request was or will be answered any more with a
  /// success; the process is to end.
  std::optional<ports::StoreError> failure() const;

 private:
  class Machine;
  std::unique_ptr<Machine> machine_;
};

}  // namespace penstock::pipeline

#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "domain/ids.h"
#include "domain/saga.h"
#include "ports/fulfiller.h"
#include "ports/log.h"
#include "ports/notifier.h"
#include "ports/receipt_store.h"
#include "simulation/peer_connection.h"
#include "simulation/random_stream.h"
#include "simulation/surroundings.h"

/// The other peers of a pipeline. Each outlives every process; a process has a connection to it.
namespace penstock::simulation {

/// Hands goods over: keyed and closable, as the port asks. Keeps what it accepted.
class SimulatedFulfiller {
 public:
  explicit SimulatedFulfiller(Surroundings& around)
      : around_(around), faults_(around.scenario.fulfiller), way_(around.seed, "fulfiller") {}

  class Connection final : public ports::Fulfiller {
   public:
    Connection(SimulatedFulfiller& fulfiller, std::function<void()> wake,
               std::function<void()> sending)
        : fulfiller_(fulfiller),
          box_(std::make_shared<ReplyBox<ports::FulfillmentReply>>(std::move(wake))),
          sending_(std::move(sending)) {}
    ~Connection() override { box_->close(); }
    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;

    void submit(std::span<ports::FulfillmentRequest> requests) override;
    void poll(std::vector<ports::FulfillmentReply>& replies) override { box_->take(replies); }

   private:
    SimulatedFulfiller& fulfiller_;
    std::shared_ptr<ReplyBox<ports::FulfillmentReply>> box_;
    std::function<void()> sending_;
  };

  /// Whether the goods of this order were handed over.
  bool accepted(const domain::OrderId& order) const;

 private:
  using Box = std::shared_ptr<ReplyBox<ports::FulfillmentReply>>;
  enum class State : std::uint8_t { none, accepted, refused, closed };

  void send(const Box& box, const ports::FulfillmentRequest& request);
  domain::Outcome act(domain::EffectKind kind, const std::string& key);
  void tell_failure(const domain::OrderId& order, domain::OutcomeKind outcome);
  void answer(const Box& box, std::uint64_t ticket, domain::Outcome outcome,
              domain::Duration after);
  domain::Duration latency();

  Surroundings& around_;
  const FulfillerFaults& faults_;
  RandomStream way_;
  std::unordered_map<std::string, State> keys_;
};

/// The receivers of webhooks; tells the judge what arrived.
class SimulatedReceivers {
 public:
  explicit SimulatedReceivers(Surroundings& around)
      : around_(around), faults_(around.scenario.notification), way_(around.seed, "receivers") {}

  class Connection final : public ports::Notifier {
   public:
    Connection(SimulatedReceivers& receivers, std::function<void()> wake)
        : receivers_(receivers),
          box_(std::make_shared<ReplyBox<ports::NotificationReply>>(std::move(wake))) {}
    ~Connection() override { box_->close(); }
    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;

    void submit(std::span<ports::NotificationRequest> requests) override;
    void poll(std::vector<ports::NotificationReply>& replies) override { box_->take(replies); }

   private:
    SimulatedReceivers& receivers_;
    std::shared_ptr<ReplyBox<ports::NotificationReply>> box_;
  };

 private:
  using Box = std::shared_ptr<ReplyBox<ports::NotificationReply>>;
  void arrive(const Box& box, const ports::NotificationRequest& request);

  Surroundings& around_;
  const NotificationFaults& faults_;
  RandomStream way_;
};

/// Where copies of receipts go.
class SimulatedCopies {
 public:
  explicit SimulatedCopies(Surroundings& around)
      : around_(around), faults_(around.scenario.notification), way_(around.seed, "copies") {}

  class Connection final : public ports::ReceiptStore {
   public:
    Connection(SimulatedCopies& copies, std::function<void()> wake)
        : copies_(copies), box_(std::make_shared<ReplyBox<ports::CopyReply>>(std::move(wake))) {}
    ~Connection() override { box_->close(); }
    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;

    void submit(std::span<ports::ReceiptCopy> copies) override;
    void poll(std::vector<ports::CopyReply>& replies) override { box_->take(replies); }

   private:
    SimulatedCopies& copies_;
    std::shared_ptr<ReplyBox<ports::CopyReply>> box_;
  };

  /// The copy's bytes; empty where none was made.
  const std::string& copy_of(const domain::OrderId& order) const;

 private:
  Surroundings& around_;
  const NotificationFaults& faults_;
  RandomStream way_;
  std::unordered_map<domain::OrderId, std::string> copies_;
};

/// The log of a process, in the trace.
class TracedLog final : public ports::Log {
 public:
  explicit TracedLog(Trace& trace) : trace_(trace) {}
  bool enabled(ports::LogLevel level) const override { return level >= ports::LogLevel::info; }
  void write(ports::LogLevel, std::string_view message,
             std::initializer_list<ports::LogField> fields) override;

 private:
  Trace& trace_;
};

}  // namespace penstock::simulation

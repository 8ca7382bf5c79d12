#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "checker/event.h"
#include "domain/contract.h"
#include "domain/ids.h"
#include "domain/order.h"
#include "pipeline/request.h"
#include "ports/order_reader.h"
#include "simulation/client_answer.h"
#include "simulation/random_stream.h"
#include "simulation/surroundings.h"

namespace penstock::simulation {

/// Where clients send their requests: one process, or one of many. A request whose answer function
/// is destroyed without a call was cut off: its client learns nothing.
class Front {
 public:
  virtual ~Front() = default;

  /// Hands a request to a process that takes connections, and names it; nothing if there is none:
  /// then the request certainly did nothing.
  virtual std::optional<checker::ProcessId> submit(pipeline::Request request) = 0;

  /// A process's reader; null if none takes connections. For the present moment only.
  virtual const ports::OrderReader* reader() = 0;
};

/// All clients and operators of a world: they send what the scenario's workload says, follow up,
/// repeat under the same key what got no answer or was refused for a time, and tell the judge what
/// they asked and were told. One thread; outlives the processes.
class Clients {
 public:
  Clients(Surroundings& around, Front& front);

  /// Sets contracts and stock, then starts the workload.
  void start();

  /// True once every order was sent and nobody waits for an answer or a follow-up.
  bool done() const { return started_ == around_.scenario.workload.orders && open_ == 0; }

  /// Operators go on until here: redrives, discards, restocks, contracts.
  void stop_operators() { operators_stopped_ = true; }

  std::int64_t orders_sent() const { return started_; }
  std::int64_t orders_acknowledged() const { return acknowledged_; }
  std::int64_t operations() const { return static_cast<std::int64_t>(next_operation_); }

 private:
  struct Plan;
  using PlanPointer = std::shared_ptr<Plan>;

  checker::OperationId next_operation() { return {++next_operation_}; }
  domain::Duration latency() { return random_.between(domain::Duration{50}, kSlowestWay); }
  /// Runs `action` after `span`; `done` waits for it.
  template <typename Action>
  void later(domain::Duration span, Action action) {
    open_ += 1;
    around_.timeline.after(span, [this, action = std::move(action)]() mutable {
      open_ -= 1;
      action();
    });
  }
  /// The function that takes an answer: `take` runs when the answer arrived at its client, or
  /// `cut_off` when it never will.
  template <typename Result, typename Take, typename CutOff>
  pipeline::Done<Result> answer(Take take, CutOff cut_off) {
    open_ += 1;
    Connected connected(around_.timeline, [this, cut_off = std::move(cut_off)]() mutable {
      open_ -= 1;
      cut_off();
    });
    return
        [this, connected = std::move(connected), take = std::move(take)](Result&& result) mutable {
          connected.answered();
          around_.timeline.after(
              latency(), [this, take = std::move(take), result = std::move(result)]() mutable {
                open_ -= 1;
                take(std::move(result));
              });
        };
  }
  void invoke(checker::OperationId operation, const domain::TenantId& tenant,
              checker::ClientRequest request);
  /// `kind` is the request's place among the kinds of requests.
  void note_invoke(checker::OperationId operation, std::size_t kind,
                   const domain::TenantId& tenant);
  static checker::Complete end_of(checker::OperationId operation, checker::Result result,
                                  checker::ProcessId process = {}) {
    checker::Complete end;
    end.operation = operation;
    end.result = result;
    end.process = process;
    return end;
  }
  void complete(const checker::Complete& what);
  void complete_with_order(checker::OperationId operation, const domain::Order& order,
                           checker::ProcessId process);
  void complete_unknown(checker::OperationId operation);
  /// The answer to a request that was refused, as its client sees it.
  void complete_refused(checker::OperationId operation, pipeline::Refusal refusal,
                        checker::ProcessId process);
  void complete_with_stock(checker::OperationId operation, checker::ProcessId process,
                           const std::expected<domain::Stock, pipeline::Refusal>& result);

  // Orders.
  void arrive();
  void closed_loop(int client);
  PlanPointer new_plan();
  void write_content(Plan& plan);
  void begin(const PlanPointer& plan);
  void begin_with_company(const PlanPointer& plan);
  void send(const PlanPointer& plan);
  void placed(const PlanPointer& plan, checker::OperationId operation, checker::ProcessId process,
              const pipeline::PlaceResult& result);
  void accepted(const PlanPointer& plan, const pipeline::PlaceResult& result);
  void try_again(const PlanPointer& plan, domain::Duration pause);
  void end(const PlanPointer& plan);
  void follow_up(const PlanPointer& plan, const domain::Order& order);

  // What is about one order.
  void read(domain::TenantId tenant, domain::OrderId order);
  void cancel(domain::TenantId tenant, domain::OrderId order, int tries_left);
  void discard_one();
  void redrive_some();
  // What is about a tenant.
  void start_operators();
  /// Calls `act` at random times, `rate` times a second on average.
  void operate(double rate, void (Clients::*act)());
  void restock_one();
  void set_some_stock();
  void change_contract();
  void set_stock(const domain::TenantId& tenant, const domain::ProductId& product,
                 std::int64_t pieces, int tries_left);
  void put_contract(const domain::TenantId& tenant, domain::Contract contract, int tries_left);
  domain::Contract first_contract(std::size_t tenant);
  domain::ProductId any_product();

  static constexpr domain::Duration kSlowestWay{500};

  struct Known {
    domain::TenantId tenant;
    domain::OrderId order;
  };

  Surroundings& around_;
  const Workload& workload_;
  Front& front_;
  RandomStream random_;
  std::vector<domain::TenantId> tenants_;
  std::vector<Known> known_;
  std::uint64_t next_operation_ = 0;
  std::uint64_t next_content_ = 0;
  std::int64_t started_ = 0;
  std::int64_t acknowledged_ = 0;
  std::int64_t open_ = 0;  ///< actions that are scheduled or wait for an answer
  bool operators_stopped_ = false;
};

}  // namespace penstock::simulation

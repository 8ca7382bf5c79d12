#include <string>
#include <utility>

#include "simulation/clients.h"

// What clients and operators ask besides new orders.
namespace penstock::simulation {

using domain::Duration;
using pipeline::Refusal;

namespace {

/// How long an operator or client waits before it asks again.
constexpr Duration kPause = Duration::milliseconds(300);

checker::Refusal refusal_of(Refusal refusal) {
  switch (refusal) {
    case Refusal::reduced_capacity:
    case Refusal::draining:
      return checker::Refusal::reduced_capacity;
    case Refusal::not_found:
      return checker::Refusal::not_found;
    case Refusal::already_terminal:
      return checker::Refusal::already_terminal;
    case Refusal::not_a_dead_letter:
      return checker::Refusal::not_a_dead_letter;
    default:
      return checker::Refusal::other;
  }
}

}  // namespace

void Clients::invoke(checker::OperationId operation, const domain::TenantId& tenant,
                     checker::ClientRequest request) {
  note_invoke(operation, request.index(), tenant);
  around_.tell(checker::Invoke{operation, tenant, std::move(request)});
}

void Clients::note_invoke(checker::OperationId operation, std::size_t kind,
                          const domain::TenantId& tenant) {
  around_.trace.note("op {} {} {}", operation.number, kind, tenant.str());
}

void Clients::complete(const checker::Complete& what) {
  around_.trace.note("op {} -> {} {} {}", what.operation.number, static_cast<int>(what.result),
                     static_cast<int>(what.refusal), what.order);
  around_.tell(what);
}

void Clients::complete_unknown(checker::OperationId operation) {
  complete(end_of(operation, checker::Result::unknown));
}

void Clients::complete_refused(checker::OperationId operation, Refusal refusal,
                               checker::ProcessId process) {
  if (refusal == Refusal::abandoned) return complete_unknown(operation);
  checker::Complete told = end_of(operation, checker::Result::refused, process);
  told.refusal = refusal_of(refusal);
  complete(told);
}

void Clients::complete_with_stock(checker::OperationId operation, checker::ProcessId process,
                                  const std::expected<domain::Stock, Refusal>& result) {
  if (!result) return complete_refused(operation, result.error(), process);
  checker::Complete told = end_of(operation, checker::Result::ok, process);
  told.stock = *result;
  complete(told);
}

void Clients::complete_with_order(checker::OperationId operation, const domain::Order& order,
                                  checker::ProcessId process) {
  checker::Complete told = end_of(operation, checker::Result::ok, process);
  told.order = order.id;
  told.order_tenant = order.tenant;
  told.status = order.status;
  told.version = order.version;
  complete(told);
}

void Clients::read(domain::TenantId tenant, domain::OrderId order) {
  const checker::OperationId operation = next_operation();
  invoke(operation, tenant, checker::ReadRequest{order});
  later(latency(), [this, operation, order] {
    const ports::OrderReader* const reader = front_.reader();
    if (reader == nullptr) return complete_refused(operation, Refusal::reduced_capacity, {});
    auto stored = reader->find(order);
    if (!stored) return complete_refused(operation, Refusal::reduced_capacity, {});
    checker::Complete told = end_of(operation, checker::Result::ok);
    if (!*stored) {
      told.result = checker::Result::refused;
      told.refusal = checker::Refusal::not_found;
    } else {
      const domain::Order& found = (*stored)->order;
      told.order = found.id;
      told.order_tenant = found.tenant;
      told.status = found.status;
      told.version = found.version;
    }
    later(latency(), [this, told = std::move(told)]() mutable { complete(told); });
  });
}

void Clients::cancel(domain::TenantId tenant, domain::OrderId order, int tries_left) {
  const checker::OperationId operation = next_operation();
  invoke(operation, tenant, checker::CancelRequest{order});
  later(latency(), [this, operation, tenant, order, tries_left] {
    const auto process = std::make_shared<checker::ProcessId>();
    const auto again = [this, tenant, order, tries_left] {
      if (tries_left == 0) return;
      later(kPause, [this, tenant, order, tries_left] { cancel(tenant, order, tries_left - 1); });
    };
    auto done = answer<std::expected<domain::Order, Refusal>>(
        [this, operation, process, again](std::expected<domain::Order, Refusal> result) {
          if (!result) {
            complete_refused(operation, result.error(), *process);
            const bool may_pass = result.error() == Refusal::reduced_capacity ||
                                  result.error() == Refusal::abandoned ||
                                  result.error() == Refusal::draining;
            if (may_pass) again();
            return;
          }
          complete_with_order(operation, *result, *process);
        },
        [this, operation, again] {
          complete_unknown(operation);
          again();
        });
    const auto taken = front_.submit(pipeline::CancelOrder{order, std::move(done)});
    if (taken) *process = *taken;
  });
}

void Clients::discard_one() {
  const ports::OrderReader* const reader = front_.reader();
  if (reader == nullptr) return;
  const auto page = reader->dead_letters({});
  if (!page || page->orders.empty()) return;
  const domain::OrderId order = random_.pick(page->orders).id;
  const checker::OperationId operation = next_operation();
  invoke(operation, {}, checker::DiscardRequest{order});
  const auto process = std::make_shared<checker::ProcessId>();
  auto done = answer<std::expected<domain::Order, Refusal>>(
      [this, operation, process](std::expected<domain::Order, Refusal> result) {
        if (!result) return complete_refused(operation, result.error(), *process);
        complete_with_order(operation, *result, *process);
      },
      [this, operation] { complete_unknown(operation); });
  const auto taken = front_.submit(pipeline::Discard{order, std::move(done)});
  if (taken) *process = *taken;
}

void Clients::redrive_some() {
  const checker::OperationId operation = next_operation();
  const domain::TenantId tenant = random_.chance(0.5) ? random_.pick(tenants_) : domain::TenantId{};
  // The judge's redrive names no tenant: which dead letters match is the server's choice.
  invoke(operation, tenants_.front(), checker::RedriveRequest{});
  pipeline::Redrive request;
  request.filter.tenant = tenant;
  if (random_.chance(0.3)) {
    request.rate = domain::TokenRate{.micro_tokens = random_.between(1, 50) * 1'000'000};
  }
  const auto process = std::make_shared<checker::ProcessId>();
  request.done = answer<std::expected<std::size_t, Refusal>>(
      [this, operation, process](std::expected<std::size_t, Refusal> result) {
        if (!result) return complete_refused(operation, result.error(), *process);
        complete(end_of(operation, checker::Result::ok, *process));
      },
      [this, operation] { complete_unknown(operation); });
  const auto taken = front_.submit(std::move(request));
  if (taken) *process = *taken;
}

void Clients::set_stock(const domain::TenantId& tenant, const domain::ProductId& product,
                        std::int64_t pieces, int tries_left) {
  const checker::OperationId operation = next_operation();
  invoke(operation, tenant, checker::SetStockRequest{product, pieces});
  const auto process = std::make_shared<checker::ProcessId>();
  const auto again = [this, tenant, product, pieces, tries_left] {
    if (tries_left == 0) return;
    later(kPause, [this, tenant, product, pieces, tries_left] {
      set_stock(tenant, product, pieces, tries_left - 1);
    });
  };
  auto done = answer<std::expected<domain::Stock, Refusal>>(
      [this, operation, process, again](std::expected<domain::Stock, Refusal> result) {
        complete_with_stock(operation, *process, result);
        if (!result && result.error() != Refusal::stock_limit) again();
      },
      [this, operation, again] {
        complete_unknown(operation);
        again();
      });
  const auto taken = front_.submit(pipeline::SetStock{tenant, product, pieces, std::move(done)});
  if (taken) *process = *taken;
}

void Clients::set_some_stock() {
  set_stock(random_.pick(tenants_), any_product(), random_.between(0, 30), 0);
}

void Clients::restock_one() {
  const domain::TenantId& tenant = random_.pick(tenants_);
  const domain::ProductId product = any_product();
  const std::int64_t pieces = random_.between(1, 10);
  const checker::OperationId operation = next_operation();
  invoke(operation, tenant, checker::RestockRequest{product, pieces});
  const auto process = std::make_shared<checker::ProcessId>();
  // Not repeated after an unknown outcome: a restock has no key.
  auto done = answer<std::expected<domain::Stock, Refusal>>(
      [this, operation, process](std::expected<domain::Stock, Refusal> result) {
        complete_with_stock(operation, *process, result);
      },
      [this, operation] { complete_unknown(operation); });
  const auto taken = front_.submit(pipeline::Restock{tenant, product, pieces, std::move(done)});
  if (taken) *process = *taken;
}

domain::Contract Clients::first_contract(std::size_t tenant) {
  const auto tight_ones = static_cast<std::size_t>(
      workload_.limited_tenants * static_cast<double>(tenants_.size()) + 0.5);
  domain::Contract contract;
  contract.bucket = {.rate = {.micro_tokens = 1'000'000'000'000}, .burst = 1'000'000};
  if (tenant < tight_ones) {
    contract.bucket = {.rate = {.micro_tokens = static_cast<std::int64_t>(
                                    workload_.contract_rate * domain::kMicroTokensPerToken)},
                       .burst = workload_.contract_burst};
  }
  if (random_.chance(around_.scenario.notification.webhooks)) {
    contract.webhook = domain::Webhook{
        .url = fmt::format("https://example.test/hook-{}", random_.between(1, 1'000)),
        .secret = "secret"};
  }
  return contract;
}

void Clients::change_contract() {
  const domain::TenantId& tenant = random_.pick(tenants_);
  domain::Contract contract = first_contract(0);
  contract.bucket = {
      .rate = {.micro_tokens = random_.between(1, 500) * domain::kMicroTokensPerToken / 2},
      .burst = random_.between(1, 100)};
  contract.weight = random_.between(1, 10);
  put_contract(tenant, std::move(contract), 0);
}

void Clients::put_contract(const domain::TenantId& tenant, domain::Contract contract,
                           int tries_left) {
  const checker::OperationId operation = next_operation();
  invoke(operation, tenant, checker::PutContractRequest{contract.bucket, content_of(contract)});
  const auto process = std::make_shared<checker::ProcessId>();
  const auto again = [this, tenant, contract, tries_left] {
    if (tries_left == 0) return;
    later(kPause,
          [this, tenant, contract, tries_left] { put_contract(tenant, contract, tries_left - 1); });
  };
  auto done = answer<std::expected<std::monostate, Refusal>>(
      [this, operation, process, again](std::expected<std::monostate, Refusal> result) {
        if (result) {
          return complete(end_of(operation, checker::Result::ok, *process));
        }
        complete_refused(operation, result.error(), *process);
        again();
      },
      [this, operation, again] {
        complete_unknown(operation);
        again();
      });
  const auto taken =
      front_.submit(pipeline::PutContract{tenant, std::move(contract), std::move(done)});
  if (taken) *process = *taken;
}

void Clients::operate(double rate, void (Clients::*act)()) {
  if (rate <= 0) return;
  const Duration mean = span_of_seconds(1 / rate);
  around_.timeline.after(random_.between(Duration{mean.us / 4}, Duration{mean.us * 7 / 4}),
                         [this, rate, act] {
                           if (operators_stopped_) return;
                           (this->*act)();
                           operate(rate, act);
                         });
}

void Clients::start_operators() {
  operate(workload_.redrives, &Clients::redrive_some);
  operate(workload_.discards, &Clients::discard_one);
  operate(workload_.restocks, &Clients::restock_one);
  operate(workload_.stock_sets, &Clients::set_some_stock);
  operate(workload_.contract_changes, &Clients::change_contract);
}

}  // namespace penstock::simulation

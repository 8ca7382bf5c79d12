// How fast the judge of histories is: one core, a correct world without gaps between its events.
//
//   checker_bench [--operations N]     N client operations, half of them places, half reads
//
// Every order: place (each second one under a key), a commit with its reservation, a charge, its
// capture, a commit to fulfilled, a delivery, and a read at its end. The time of making the events
// is measured by itself and told beside the judge's.
#include <cstdint>
#include <cstdlib>
#include <ctime>
#include <iostream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <sys/resource.h>

#include "checker/history.h"
#include "domain/saga.h"

namespace {

using namespace penstock;
using checker::Event;

constexpr std::size_t kTenants = 100;
constexpr std::size_t kProducts = 50;
constexpr std::int64_t kOrdersPerTenantAndSecond = 1'000;

/// Makes one order's events after another, in the order in which they happen.
class World {
 public:
  World() {
    for (std::size_t tenant = 0; tenant < kTenants; ++tenant) {
      tenants_.push_back(domain::TenantId::unchecked("tenant-" + std::to_string(tenant)));
    }
    for (std::size_t product = 0; product < kProducts; ++product) {
      products_.push_back(domain::ProductId::unchecked("PROD-" + std::to_string(product)));
    }
  }

  void open(std::vector<Event>& events) {
    for (auto const& tenant : tenants_) {
      events.push_back({at_, checker::Subscribed{tenant}});
      for (auto const& product : products_) {
        checker::OperationId const operation{++operations_};
        constexpr std::int64_t kPieces = 1'000'000'000;
        domain::Stock const stock{.received = kPieces};
        events.push_back(
            {at_, checker::Invoke{operation, tenant, checker::SetStockRequest{product, kPieces}}});
        events.push_back({at_, checker::StockSet{tenant, product, kPieces, stock}});
        events.push_back(
            {at_, checker::Complete{
                      .operation = operation, .result = checker::Result::ok, .stock = stock}});
      }
    }
  }

  void order(std::vector<Event>& events) {
    std::uint64_t const number = ++orders_;
    at_ = at_ + domain::Duration{1'000'000 /
                                 (kOrdersPerTenantAndSecond * static_cast<std::int64_t>(kTenants))};
    domain::Order draft;
    draft.id = domain::OrderId::make(at_, number, number * 0x9e3779b97f4a7c15ULL);
    draft.tenant = tenants_[number % kTenants];
    draft.customer = domain::CustomerId::unchecked("customer-1");
    draft.items = {{.product = products_[number % kProducts], .quantity = 1, .price_minor = 500}};
    draft.total = {.minor_units = 500, .currency = domain::Currency::usd()};
    draft.payment_method = "pm_ok";
    draft.metadata = {{"number", std::to_string(number)}};
    domain::Order const reserved = advance(domain::place(std::move(draft), at_));
    place(reserved, number, events);
    domain::Order const fulfilled =
        advance(std::get<domain::Advance>(
                    domain::after_effect(reserved, domain::EffectKind::charge,
                                         {.kind = domain::OutcomeKind::done, .reference = "ch"}, {},
                                         {.now = at_}, 0))
                    .next);
    checker::GatewayAct const act{domain::effect_key(reserved, domain::EffectKind::charge),
                                  reserved.id, reserved.total};
    events.push_back({at_, checker::ChargeAsked{act}});
    events.push_back({at_, checker::Captured{act}});
    events.push_back({at_, checker::Committed{.order = fulfilled, .receipt_bytes = 100}});
    events.push_back({at_, checker::Delivered{.webhook_id = "msg_" + fulfilled.id.str(),
                                              .order = fulfilled.id}});
    checker::OperationId const read{++operations_};
    events.push_back(
        {at_, checker::Invoke{read, fulfilled.tenant, checker::ReadRequest{fulfilled.id}}});
    events.push_back({at_, checker::Complete{.operation = read,
                                             .result = checker::Result::ok,
                                             .order = fulfilled.id,
                                             .order_tenant = fulfilled.tenant,
                                             .status = fulfilled.status,
                                             .version = fulfilled.version}});
    last_ = fulfilled;
  }

  const domain::Order& last() const { return last_; }
  std::uint64_t operations() const { return operations_; }

 private:
  static domain::Order advance(const domain::Order& order) {
    return std::get<domain::Advance>(domain::next_step(order, {}, {.now = order.due})).next;
  }

  void place(const domain::Order& order, std::uint64_t number, std::vector<Event>& events) {
    checker::OperationId const operation{++operations_};
    checker::PlaceRequest request{.content = {order.customer, order.items, order.total,
                                              order.payment_method, order.metadata}};
    bool const keyed = number % 2 == 0;
    if (keyed) {
      request.key = domain::IdempotencyKey::unchecked("key-" + std::to_string(number));
      request.fingerprint[0] = 1;
    }
    checker::KeyStored stored{.tenant = order.tenant,
                              .key = request.key.value_or(domain::IdempotencyKey()),
                              .record = {.fingerprint = request.fingerprint,
                                         .order = order.id,
                                         .expires_at = at_ + domain::Duration::hours(168)},
                              .decided_at = at_};
    events.push_back({at_, checker::Invoke{operation, order.tenant, std::move(request)}});
    events.push_back({at_, checker::Committed{.order = order}});
    if (keyed) events.push_back({at_, std::move(stored)});
    events.push_back({at_, checker::Complete{.operation = operation,
                                             .result = checker::Result::ok,
                                             .order = order.id,
                                             .order_tenant = order.tenant,
                                             .body_digest = number}});
  }

  std::vector<domain::TenantId> tenants_;
  std::vector<domain::ProductId> products_;
  domain::Instant at_{1'795'000'000'000'000};
  std::uint64_t orders_ = 0;
  std::uint64_t operations_ = 0;
  domain::Order last_;
};

/// CPU time of this process: what the judge costs, however busy the machine is.
double cpu_seconds() {
  timespec now{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9;
}

}  // namespace

int main(int count, char** arguments) {
  std::uint64_t wanted = 10'000'000;
  if (count == 3 && std::string_view(arguments[1]) == "--operations") {
    wanted = std::strtoull(arguments[2], nullptr, 10);
  } else if (count != 1) {
    std::cerr << "usage: checker_bench [--operations N]\n";
    return 2;
  }
  checker::History history({.default_contract = domain::BucketContract{
                                .rate = {.micro_tokens = 2'000'000'000}, .burst = 2'000}});
  World world;
  std::vector<Event> events;
  std::uint64_t judged = 0;
  double making = 0;
  double judging = 0;
  world.open(events);
  while (true) {
    double const begun = cpu_seconds();
    for (auto const& event : events) history.add(event);
    judging += cpu_seconds() - begun;
    judged += events.size();
    events.clear();
    if (world.operations() >= wanted) break;
    double const made = cpu_seconds();
    for (int order = 0; order < 1'000 && world.operations() < wanted; ++order) world.order(events);
    making += cpu_seconds() - made;
  }
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  auto const& report = history.so_far();
  std::cout << world.operations() << " operations, " << judged << " events, " << kTenants
            << " tenants, " << kProducts << " products, 1 thread\n"
            << "judged in " << judging << " s of one core ("
            << static_cast<double>(judged) / judging << " events/s), made in " << making << " s, "
            << usage.ru_maxrss / 1024 << " MiB in all\n"
            << report.violations() << " violations\n";
  return report.clean() ? 0 : 1;
}

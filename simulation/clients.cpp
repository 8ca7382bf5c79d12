#include "simulation/clients.h"

#include <algorithm>
#include <cstring>
#include <string>

#include "domain/limits.h"

namespace penstock::simulation {

using domain::Duration;
using pipeline::PlaceOutcome;
using pipeline::PlaceResult;

namespace {

constexpr int kTries = 6;
/// Of a PlaceRequest among the kinds of requests.
constexpr std::size_t kKindOfPlace = 0;
/// How long after the contracts and stock the first order comes.
constexpr Duration kSetUp = Duration::milliseconds(20);
/// Before a client repeats what got no answer, or finds nobody to talk to.
constexpr Duration kShortestPause = Duration::milliseconds(5);
constexpr Duration kLongestPause = Duration::milliseconds(1'500);
constexpr Duration kRepeatedWithin = Duration::seconds(2);
/// Keys that live longer are not waited for.
constexpr Duration kLongestWatchedKey = Duration::seconds(60);

/// The answer to a place is made of these fields alone.
std::uint64_t body_digest_of(const domain::Order& order) {
  Digest digest;
  digest.add(order.id.view());
  digest.add(order.tenant.str());
  digest.add(order.customer.str());
  for (const domain::Item& item : order.items) {
    digest.add(item.product.str());
    digest.add(static_cast<std::uint64_t>(item.quantity));
    digest.add(static_cast<std::uint64_t>(item.price_minor));
  }
  digest.add(static_cast<std::uint64_t>(order.total.minor_units));
  digest.add(order.total.currency.code());
  digest.add(order.payment_method);
  for (const auto& [name, value] : order.metadata) {
    digest.add(name);
    digest.add(value);
  }
  digest.add(order.correlation.str());
  digest.add(static_cast<std::uint64_t>(order.created_at.us));
  return digest.value() | 1U;
}

checker::Refusal refusal_of(PlaceOutcome outcome) {
  switch (outcome) {
    case PlaceOutcome::key_reused:
      return checker::Refusal::key_reused;
    case PlaceOutcome::quota_exceeded:
      return checker::Refusal::quota_exceeded;
    case PlaceOutcome::cost_exceeds_capacity:
      return checker::Refusal::cost_exceeds_capacity;
    default:
      return checker::Refusal::reduced_capacity;
  }
}

}  // namespace

/// One request for an order as its client means it, over all its tries.
struct Clients::Plan {
  domain::Order draft;
  std::optional<domain::IdempotencyKey> key;
  domain::Fingerprint fingerprint{};
  int tries_left = kTries;
  int closed_client = -1;        ///< whose next order follows, or -1
  bool is_original = true;       ///< others follow nothing up
  bool of_other_tenant = false;  ///< uses another tenant's key
  bool cut_off = false;          ///< an earlier try got no answer
  bool at_end_of_key = false;    ///< is sent when its key ends
  /// When the next try is to arrive; absent: as it comes.
  std::optional<domain::Instant> arrival = std::nullopt;
  std::uint64_t contracts_stored = 0;  ///< by anybody, when the last try was sent
};

Clients::Clients(Surroundings& around, Front& front)
    : around_(around),
      workload_(around.scenario.workload),
      front_(front),
      random_(around.seed, "clients") {
  for (std::int64_t number = 0; number < workload_.tenants; ++number) {
    tenants_.push_back(domain::TenantId::unchecked(fmt::format("tenant-{}", number)));
  }
}

void Clients::start() {
  for (std::size_t tenant = 0; tenant < tenants_.size(); ++tenant) {
    put_contract(tenants_[tenant], first_contract(tenant), kTries * 4);
    for (std::int64_t number = 0; number < workload_.products; ++number) {
      set_stock(tenants_[tenant], domain::ProductId::unchecked(fmt::format("p-{}", number)),
                workload_.stock, kTries * 4);
    }
  }
  later(kSetUp, [this] {
    if (workload_.rate > 0) arrive();
    for (int client = 0; client < workload_.closed_clients; ++client) closed_loop(client);
  });
  start_operators();
}

void Clients::arrive() {
  for (std::int64_t count = 0; count < workload_.burst; ++count) {
    if (started_ >= workload_.orders) return;
    begin_with_company(new_plan());
  }
  const double mean_us = 1e6 * static_cast<double>(workload_.burst) / workload_.rate;
  const Duration mean{static_cast<std::int64_t>(mean_us)};
  around_.timeline.after(random_.between(Duration{mean.us / 5}, Duration{mean.us * 9 / 5}),
                         [this] { arrive(); });
}

void Clients::closed_loop(int client) {
  if (started_ >= workload_.orders) return;
  const PlanPointer plan = new_plan();
  plan->closed_client = client;
  begin_with_company(plan);
}

Clients::PlanPointer Clients::new_plan() {
  auto plan = std::make_shared<Plan>();
  plan->draft.tenant =
      random_.chance(workload_.flooder) ? tenants_.front() : random_.pick(tenants_);
  if (random_.chance(workload_.keyed)) {
    plan->key = domain::IdempotencyKey::unchecked("key-" + std::to_string(next_content_));
  }
  write_content(*plan);
  return plan;
}

domain::ProductId Clients::any_product() {
  const std::int64_t number =
      random_.chance(workload_.hot_product) ? 0 : random_.between(0, workload_.products - 1);
  return domain::ProductId::unchecked("p-" + std::to_string(number));
}

// A new content: what the order is made of, with the tenant's name in every field that may hold it,
// so that it is seen wherever it does not belong.
void Clients::write_content(Plan& plan) {
  const std::uint64_t number = next_content_++;
  std::memcpy(plan.fingerprint.data(), &number, sizeof number);
  domain::Order& draft = plan.draft;
  const std::string& tenant = draft.tenant.str();
  draft.customer = domain::CustomerId::unchecked(tenant + "-customer");
  draft.correlation = domain::CorrelationId::unchecked("c-" + std::to_string(number));
  const bool poison = random_.chance(around_.scenario.crash.poison);
  draft.payment_method = tenant + (poison ? kPoisonSuffix : "-card");
  draft.metadata = {{"of", tenant}};
  draft.items.clear();
  const bool is_free = random_.chance(workload_.zero_total);
  for (std::int64_t lines = random_.between(1, 2); lines > 0; --lines) {
    draft.items.push_back({.product = any_product(),
                           .quantity = static_cast<std::int32_t>(random_.between(1, 3)),
                           .price_minor = is_free ? 0 : random_.between(1, 100'000)});
  }
  draft.total = {.minor_units = *domain::total_of(draft.items),
                 .currency = domain::Currency::usd()};
}

void Clients::begin_with_company(const PlanPointer& plan) {
  started_ += 1;
  begin(plan);
  if (!plan->key) return;
  const auto company = [&plan] {
    auto other = std::make_shared<Plan>(*plan);
    other->is_original = false;
    other->closed_client = -1;
    return other;
  };
  if (random_.chance(workload_.same_key)) {
    later(random_.between(Duration{0}, Duration{300}), [this, twin = company()] { begin(twin); });
  }
  if (random_.chance(workload_.reused_key)) {
    const PlanPointer other = company();
    write_content(*other);
    later(random_.between(Duration{0}, Duration{50'000}), [this, other] { begin(other); });
  }
  if (tenants_.size() > 1 && random_.chance(workload_.other_tenant_key)) {
    const PlanPointer other = company();
    while (other->draft.tenant == plan->draft.tenant) other->draft.tenant = random_.pick(tenants_);
    other->of_other_tenant = true;
    write_content(*other);
    later(random_.between(Duration{0}, Duration{50'000}), [this, other] { begin(other); });
  }
}

void Clients::begin(const PlanPointer& plan) {
  open_ += 1;
  send(plan);
}

void Clients::end(const PlanPointer& plan) {
  open_ -= 1;
  if (plan->closed_client < 0 || started_ >= workload_.orders) return;
  later(random_.between(Duration{0}, span_of_ms(workload_.think_ms)),
        [this, client = plan->closed_client] { closed_loop(client); });
}

void Clients::send(const PlanPointer& plan) {
  plan->tries_left -= 1;
  plan->contracts_stored = around_.contracts_stored;
  const checker::OperationId operation = next_operation();
  note_invoke(operation, kKindOfPlace, plan->draft.tenant);
  around_.tell(checker::PlaceView{.operation = operation,
                                  .order = plan->draft,
                                  .key = plan->key,
                                  .fingerprint = plan->fingerprint});
  const domain::Instant on_its_way = around_.timeline.now() + latency();
  const domain::Instant arrival = std::exchange(plan->arrival, {}).value_or(on_its_way);
  around_.timeline.at(arrival, [this, plan, operation] {
    std::optional<ports::IdempotencyClaim> claim;
    if (plan->key) claim = {.key = *plan->key, .fingerprint = plan->fingerprint};
    const auto process = std::make_shared<checker::ProcessId>();
    auto done = answer<PlaceResult>(
        [this, plan, operation, process](const PlaceResult& result) {
          placed(plan, operation, *process, result);
        },
        [this, plan, operation] { placed(plan, operation, {}, {}); });
    const auto taken =
        front_.submit(pipeline::PlaceOrder{plan->draft, std::move(claim), std::move(done)});
    if (taken) *process = *taken;
  });
}

void Clients::placed(const PlanPointer& plan, checker::OperationId operation,
                     checker::ProcessId process, const PlaceResult& result) {
  checker::Complete told = end_of(operation, checker::Result::refused, process);
  switch (result.outcome) {
    case PlaceOutcome::accepted:
    case PlaceOutcome::replayed:
      told.result = checker::Result::ok;
      told.order = result.order->id;
      told.order_tenant = result.order->tenant;
      told.body_digest = body_digest_of(*result.order);
      if (result.outcome == PlaceOutcome::replayed) {
        told.freshness = checker::Freshness::replayed;
      } else if (plan->contracts_stored == around_.contracts_stored) {
        told.remaining_tokens = result.take.remaining;
      }
      complete(told);
      return accepted(plan, result);
    case PlaceOutcome::abandoned:
      complete_unknown(operation);
      plan->cut_off = true;
      // Without a key a repeat would be another order.
      if (!plan->key) return end(plan);
      return try_again(plan, {});
    default:
      told.refusal = refusal_of(result.outcome);
      complete(told);
      break;
  }
  if (result.outcome == PlaceOutcome::key_reused) around_.hit(Probe::key_reused);
  if (result.outcome == PlaceOutcome::quota_exceeded) around_.hit(Probe::denied);
  const bool may_pass = result.outcome != PlaceOutcome::key_reused &&
                        result.outcome != PlaceOutcome::cost_exceeds_capacity;
  if (!may_pass) return end(plan);
  // A contract of one order a day asks for more patience than a client has.
  try_again(plan, std::min(result.retry_after, Duration::seconds(20)));
}

void Clients::try_again(const PlanPointer& plan, Duration pause) {
  if (plan->tries_left == 0) return end(plan);
  around_.timeline.after(Duration{pause.us + random_.between(kShortestPause, kLongestPause).us},
                         [this, plan] { send(plan); });
}

void Clients::accepted(const PlanPointer& plan, const PlaceResult& result) {
  if (result.outcome == PlaceOutcome::replayed) {
    around_.hit(plan->cut_off ? Probe::replayed_after_crash : Probe::replayed);
  } else {
    acknowledged_ += 1;
    if (plan->at_end_of_key) around_.hit(Probe::key_ended);
    if (plan->of_other_tenant) around_.hit(Probe::same_key_other_tenant);
  }
  if (plan->is_original) follow_up(plan, *result.order);
  end(plan);
}

void Clients::follow_up(const PlanPointer& plan, const domain::Order& order) {
  const domain::TenantId& tenant = order.tenant;
  known_.push_back({tenant, order.id});
  if (random_.chance(workload_.cancels)) {
    const Duration within = span_of_ms(workload_.cancel_within_ms);
    const int clients = random_.chance(0.2) ? 2 : 1;
    for (int client = 0; client < clients; ++client) {
      later(random_.between(Duration{0}, within),
            [this, tenant, id = order.id] { cancel(tenant, id, kTries); });
    }
  }
  if (random_.chance(workload_.reads)) {
    for (std::int64_t reads = random_.between(1, 4); reads > 0; --reads) {
      const Duration within = random_.chance(0.5) ? Duration::milliseconds(20) : kRepeatedWithin;
      later(random_.between(Duration{0}, within),
            [this, tenant, id = order.id] { read(tenant, id); });
    }
  }
  const auto again = [&plan] {
    auto repeat = std::make_shared<Plan>(*plan);
    repeat->is_original = false;
    repeat->closed_client = -1;
    repeat->tries_left = kTries;
    return repeat;
  };
  if (plan->key && random_.chance(workload_.repeated)) {
    later(random_.between(Duration{0}, kRepeatedWithin),
          [this, repeat = again()] { begin(repeat); });
  }
  const Duration kept = span_of_seconds(around_.scenario.policy.idempotency_retention_seconds);
  if (plan->key && kept <= kLongestWatchedKey && random_.chance(workload_.repeated_at_end)) {
    // The store's clock shows true time unless it jumps; then this is some moment near the end.
    const domain::Instant end_of_key = order.created_at + kept;
    later(std::max(Duration{0}, end_of_key - (around_.timeline.now() + kSlowestWay)),
          [this, repeat = again(), end_of_key] {
            repeat->at_end_of_key = true;
            repeat->arrival = end_of_key;
            begin(repeat);
          });
  }
}

}  // namespace penstock::simulation

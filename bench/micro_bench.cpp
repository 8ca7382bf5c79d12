// What the parts of an order's path cost by themselves: bucket, transitions, record, JSON. Run with
// `make bench`; each line carries its parameters in its name.
#include <string>
#include <utility>
#include <vector>

#include <benchmark/benchmark.h>

#include "adapters/rocksdb/byte_codec.h"
#include "adapters/rocksdb/record_codec.h"
#include "api/idempotency.h"
#include "domain/order.h"
#include "domain/saga.h"
#include "domain/token_bucket.h"
#include "net/json.h"
#include "pipeline/ingest.h"
#include "pipeline/receipt.h"

namespace penstock {
namespace {

constexpr std::string_view kBody =
    R"({"customer_id":"cust-123","tenant_id":"tenant-07","items":[{"product_id":"PROD-001",)"
    R"("quantity":2,"price":10.0}],"idempotency_key":"idem-0123456789abcdef","currency":"USD",)"
    R"("metadata":{"channel":"web"},"payment":{"method":"pm_ok"}})";

constexpr domain::Instant kNow{1'795'000'000'000'000};

domain::Order placed_order(int items) {
  pipeline::Draft draft;
  draft.tenant_id = "tenant-07";
  draft.customer_id = "cust-123";
  for (int index = 0; index < items; ++index) {
    draft.items.push_back({.product_id = "PROD-001", .quantity = 2, .price = "10.0"});
  }
  draft.correlation = domain::CorrelationId::unchecked("6f9619ff-8b86-4d01-b42d-00cf4fc964ff");
  domain::Order order = *pipeline::make_order(draft);
  order.id = domain::OrderId::make(kNow, 1, 2);
  return domain::place(std::move(order), kNow);
}

domain::Order advanced(const domain::Order& order, const domain::SagaPolicy& policy) {
  return std::get<domain::Advance>(domain::next_step(order, policy, {kNow, 0})).next;
}

domain::Order fulfilled_order(int items) {
  const domain::SagaPolicy policy;
  const domain::Order reserved = advanced(placed_order(items), policy);
  const domain::Outcome captured{domain::OutcomeKind::done, "ch_0123456789abcdef"};
  auto step =
      domain::after_effect(reserved, domain::EffectKind::charge, captured, policy, {kNow, 0}, 0);
  return advanced(std::get<domain::Advance>(step).next, policy);
}

void bucket_take(benchmark::State& state) {
  domain::TokenBucket bucket({{1'000'000'000, 1'000'000'000}, 2000}, {0});
  std::int64_t ns = 0;
  for (auto _ : state) benchmark::DoNotOptimize(bucket.take(1, {ns += 997'000}));
}
BENCHMARK(bucket_take);

void transitions_of_an_order(benchmark::State& state) {
  for (auto _ : state) {
    benchmark::DoNotOptimize(fulfilled_order(static_cast<int>(state.range(0))));
  }
}
BENCHMARK(transitions_of_an_order)->ArgName("items")->Arg(1)->Arg(10);

/// The order under its key, sealed as the store seals it; the value is behind the key.
std::string_view encoded(const domain::Order& order, std::string_view receipt,
                         rocksdb_store::ByteWriter& out) {
  out.clear();
  out.raw(order.id.view());
  rocksdb_store::encode_order(order, {.receipt = receipt, .batch_sequence = 7}, out);
  out.fixed32(rocksdb_store::crc32c(0, out.view()));
  return out.view(order.id.view().size());
}

void record_encode(benchmark::State& state) {
  const domain::Order order = fulfilled_order(static_cast<int>(state.range(0)));
  const std::string receipt = pipeline::render_receipt(order);
  rocksdb_store::ByteWriter out;
  for (auto _ : state) benchmark::DoNotOptimize(encoded(order, receipt, out));
  state.counters["bytes"] = static_cast<double>(encoded(order, receipt, out).size());
}
BENCHMARK(record_encode)->ArgName("items")->Arg(1)->Arg(10);

void record_decode(benchmark::State& state) {
  const domain::Order order = fulfilled_order(static_cast<int>(state.range(0)));
  const std::string receipt = pipeline::render_receipt(order);
  rocksdb_store::ByteWriter out;
  const std::string_view value = encoded(order, receipt, out);
  for (auto _ : state) {
    benchmark::DoNotOptimize(rocksdb_store::decode_order(order.id, order.id.view(), value));
  }
}
BENCHMARK(record_decode)->ArgName("items")->Arg(1)->Arg(10);

void receipt_render(benchmark::State& state) {
  const domain::Order order = fulfilled_order(1);
  for (auto _ : state) benchmark::DoNotOptimize(pipeline::render_receipt(order));
  state.counters["bytes"] = static_cast<double>(pipeline::render_receipt(order).size());
}
BENCHMARK(receipt_render);

void json_parse(benchmark::State& state) {
  for (auto _ : state) benchmark::DoNotOptimize(net::JsonDocument::parse(kBody));
  state.counters["bytes"] = static_cast<double>(kBody.size());
}
BENCHMARK(json_parse);

void fingerprint(benchmark::State& state) {
  const auto document = net::JsonDocument::parse(kBody);
  const domain::Order order = placed_order(1);
  for (auto _ : state) {
    benchmark::DoNotOptimize(api::fingerprint_of_order(document->root(), order));
  }
}
BENCHMARK(fingerprint);

}  // namespace
}  // namespace penstock

BENCHMARK_MAIN();

// Stored records of every kind. The first byte chooses the kind, the second what is done:
// either a record is built out of the bytes, and then it comes back as it was, and damage to its
// stored form is always noticed; or the bytes are a payload under a right checksum, and then they
// are refused or decode to a record whose stored form is these bytes and no others.

#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "adapters/rocksdb/record_codec.h"
#include "adapters/rocksdb/state_codec.h"
#include "domain/limits.h"
#include "tests/fuzz/fuzz_input.h"

namespace {

using namespace penstock::rocksdb_store;
using penstock::domain::BucketContract;
using penstock::domain::Contract;
using penstock::domain::Currency;
using penstock::domain::IdempotencyRecord;
using penstock::domain::Instant;
using penstock::domain::Order;
using penstock::domain::OrderId;
using penstock::domain::Reason;
using penstock::domain::Stage;
using penstock::domain::Status;
using penstock::domain::TokenRate;
using penstock::fuzz::DerivedChoice;
using penstock::fuzz::FuzzInput;
namespace domain = penstock::domain;
namespace limits = penstock::domain::limits;

constexpr std::string_view kKey = "the key that it stands under";
constexpr std::size_t kLongText = 300;
constexpr std::size_t kMostParts = 6;

std::string sealed(std::string_view payload) {
  ByteWriter out;
  out.raw(payload);
  out.fixed32(crc32c(crc32c(0, kKey), payload));
  return std::string(out.view());
}

template <typename Number>
Number in_range(FuzzInput& input, std::uint64_t first, std::uint64_t last) {
  return static_cast<Number>(first + input.below(last - first + 1));
}

Status status_in(FuzzInput& input) {
  return in_range<Status>(input, 1, 7);
}
Stage stage_in(FuzzInput& input) {
  return in_range<Stage>(input, 1, domain::kStages);
}
Reason reason_in(FuzzInput& input) {
  return domain::reason_from(input.byte()).value_or(Reason::none);
}
Instant instant_in(FuzzInput& input) {
  return {input.integer()};
}
std::int32_t int32_in(FuzzInput& input) {
  return static_cast<std::int32_t>(input.number());
}
std::string string_in(FuzzInput& input, std::size_t maximum) {
  return std::string(input.text(maximum));
}

OrderId id_in(FuzzInput& input) {
  OrderId::Bytes bytes{};
  for (std::uint8_t& byte : bytes) byte = input.byte();
  return OrderId(bytes);
}

/// Identifiers have stored forms of their own, so each of them is drawn on purpose.
std::string identifier_in(FuzzInput& input) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  constexpr std::array<std::string_view, 3> kForms = {
      "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx",
      "xx-xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx-xxxxxxxxxxxxxxxx-xx",
      "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"};
  const std::uint64_t kind = input.below(kForms.size() + 2);
  if (kind >= kForms.size()) return string_in(input, kLongText);
  std::string text(kForms[kind]);
  for (char& c : text) {
    if (c == 'x') c = kDigits[input.byte() & 15U];
  }
  return text;
}

domain::Event event_in(FuzzInput& input) {
  domain::Event event;
  event.to = status_in(input);
  if (input.flag()) event.from = status_in(input);
  event.stage = stage_in(input);
  event.reason = reason_in(input);
  event.at = instant_in(input);
  if (input.flag()) event.attempt = int32_in(input);
  event.version.number = static_cast<std::uint32_t>(input.number());
  return event;
}

void fill_progress(FuzzInput& input, Order& order) {
  order.status = status_in(input);
  order.version.number = static_cast<std::uint32_t>(input.number());
  order.reason = reason_in(input);
  order.charge = in_range<domain::Charge>(input, 0, 4);
  order.handover = in_range<domain::Handover>(input, 0, 3);
  order.holds_stock = input.flag();
  if (input.flag()) order.capture_reference = identifier_in(input);
  order.key_generation = static_cast<std::uint16_t>(input.number());
  order.charge_since = instant_in(input);
  if (input.flag()) {
    order.attempts = int32_in(input);
    order.first_error = reason_in(input);
    order.last_error = reason_in(input);
    order.first_failed_at = instant_in(input);
  }
  order.interruptions = int32_in(input);
  order.redrives = int32_in(input);
  order.due = instant_in(input);
  if (input.flag()) {
    domain::DeadLetter& mark = order.dead_letter.emplace();
    mark.state = in_range<domain::DeadLetterState>(input, 1, 3);
    mark.stage = stage_in(input);
    mark.first_error = reason_in(input);
    mark.last_error = reason_in(input);
    mark.attempts = int32_in(input);
    mark.first_failed_at = instant_in(input);
    mark.at = instant_in(input);
  }
}

Order order_in(FuzzInput& input) {
  Order order;
  order.id = id_in(input);
  order.created_at = instant_in(input);
  order.updated_at = instant_in(input);
  order.tenant = domain::TenantId::unchecked(string_in(input, kLongText));
  order.customer = domain::CustomerId::unchecked(string_in(input, kLongText));
  for (std::uint64_t count = input.below(kMostParts); count > 0; --count) {
    domain::Item& item = order.items.emplace_back();
    item.product = domain::ProductId::unchecked(string_in(input, kLongText));
    item.quantity = int32_in(input);
    item.price_minor = input.integer();
  }
  constexpr std::array<std::string_view, 4> kCurrencies = {"USD", "JPY", "KWD", "EUR"};
  order.total.currency = *Currency::parse(kCurrencies[input.below(kCurrencies.size())]);
  order.total.minor_units = input.integer();
  order.payment_method = string_in(input, kLongText);
  for (std::uint64_t count = input.below(kMostParts); count > 0; --count) {
    std::string name = string_in(input, kLongText);
    order.metadata.emplace_back(std::move(name), string_in(input, kLongText));
  }
  if (input.flag()) order.correlation = domain::CorrelationId::unchecked(identifier_in(input));
  if (input.flag()) order.traceparent = identifier_in(input);
  fill_progress(input, order);
  for (std::uint64_t count = input.below(kMostParts); count > 0; --count) {
    order.timeline.push_back(event_in(input));
  }
  return order;
}

TokenRate rate_in(FuzzInput& input) {
  return {.micro_tokens = 1 + static_cast<std::int64_t>(input.below(1'000'000'000)),
          .period_ns = 1'000'000'000 + static_cast<std::int64_t>(input.below(1'000'000'000'000))};
}
BucketContract bucket_in(FuzzInput& input) {
  return {.rate = rate_in(input), .burst = 1 + static_cast<std::int64_t>(input.below(1'000'000))};
}
std::int64_t positive_in(FuzzInput& input) {
  return static_cast<std::int64_t>(input.number() >> 1U);
}

void fill(FuzzInput& input, StockTotals& value) {
  value.received = positive_in(input);
  value.sold = value.received == 0 ? 0 : positive_in(input) % value.received;
}
void fill(FuzzInput& input, BucketRecord& value) {
  value.contract = bucket_in(input);
  value.state = {.used = positive_in(input),
                 .virtual_time = positive_in(input),
                 .remainder = positive_in(input)};
  value.at.ns = input.integer();
}
void fill(FuzzInput& input, ChangesRecord& value) {
  constexpr std::array<std::string_view, 3> kKeys = {"", "acme", std::string_view("acme\0mug", 8)};
  constexpr std::size_t kMostRows = 8;
  value.at.ns = input.integer();
  for (std::size_t rows = input.below(kMostRows); rows > 0; --rows) {
    fill(input, value.stock.emplace_back(kKeys[input.below(kKeys.size())]).totals);
  }
  for (std::size_t rows = input.below(kMostRows); rows > 0; --rows) {
    BucketRecord bucket;
    fill(input, bucket);
    value.buckets.push_back({.tenant = kKeys[input.below(kKeys.size())],
                             .contract = bucket.contract,
                             .state = bucket.state});
  }
}
void fill(FuzzInput& input, DeliveryRecord& value) {
  value.tenant = domain::TenantId::unchecked(string_in(input, kLongText));
  value.attempt = int32_in(input);
  value.due = instant_in(input);
}
void fill(FuzzInput& input, NoteRecord& value) {
  value.at = instant_in(input);
  value.reason = reason_in(input);
}
void fill(FuzzInput& input, BatchRecord& value) {
  for (std::uint64_t count = 1 + input.below(kMostParts); count > 0; --count) {
    value.tenants.push_back(domain::TenantId::unchecked(string_in(input, kLongText)));
  }
  for (std::uint64_t count = input.below(kMostParts); count > 0; --count) {
    BatchRecord::Entry& entry = value.entries.emplace_back();
    entry.order = id_in(input);
    entry.tenant = static_cast<std::uint32_t>(input.below(value.tenants.size()));
    entry.status = status_in(input);
  }
}
void fill(FuzzInput& input, ClockRecord& value) {
  value = {
      .limiter_time = {input.integer()}, .wall = instant_in(input), .next_batch = input.number()};
}
void fill(FuzzInput& input, RunRecord& value) {
  value.end = in_range<LastEnd>(input, 1, 2);
  value.unclean_ends = int32_in(input);
}
void fill(FuzzInput& input, IdempotencyRecord& value) {
  for (std::uint8_t& byte : value.fingerprint) byte = input.byte();
  value.order = id_in(input);
  value.answer_format = input.byte();
  value.expires_at = instant_in(input);
}
void fill(FuzzInput& input, Contract& value) {
  value.bucket = bucket_in(input);
  if (input.flag()) value.guarantee = rate_in(input);
  value.weight = 1 + static_cast<std::int64_t>(input.below(limits::kMaxWeight));
  if (!input.flag()) return;
  value.webhook = domain::Webhook{.url = string_in(input, kLongText),
                                  .secret = string_in(input, kLongText),
                                  .disabled = input.flag()};
}
void fill(FuzzInput& input, std::vector<OrderId>& value) {
  for (std::uint64_t count = input.below(kMostParts); count > 0; --count) {
    value.push_back(id_in(input));
  }
}
void fill(FuzzInput& input, Status& value) {
  value = status_in(input);
}
void fill(FuzzInput& input, std::string& value) {
  value = string_in(input, kLongText);
}
void fill(FuzzInput& input, std::uint64_t& value) {
  value = input.number();
}

/// Damages the stored form in ways that follow from it; `is_read` says whether a value is taken.
/// A burst of at most 32 bits is what CRC-32C always finds; it holds every flipped byte.
template <typename IsRead>
void check_damage(const std::string& value, IsRead is_read) {
  DerivedChoice choice(value);
  std::string damaged = value;
  for (int round = 0; round < 16; ++round) {
    const std::size_t at = choice.below(value.size());
    const bool one_bit = round % 2 == 0;
    const std::uint64_t flips = one_bit ? 1ULL << choice.below(8) : 1 + choice.below(UINT32_MAX);
    for (std::size_t i = 0; i < 4 && at + i < value.size(); ++i) {
      damaged[at + i] = static_cast<char>(damaged[at + i] ^ static_cast<char>(flips >> (8 * i)));
    }
    if (damaged != value) FUZZ_CHECK(!is_read(kKey, damaged), "a flipped byte is noticed");
    damaged = value;
  }
  FUZZ_CHECK(!is_read("the key that it stood under!", value), "another key is noticed");
  const std::size_t cut = choice.below(value.size());
  if (cut + 1 < value.size()) {
    // By chance a cut value has a right checksum once in 2^32; what is left must still decode.
    FUZZ_CHECK(!is_read(kKey, std::string_view(value).substr(0, cut)), "a cut value is noticed");
  }
}

template <typename Record>
std::string stored(const Record& record) {
  ByteWriter out;
  encode(record, out);
  return sealed(out.view());
}

template <typename Record>
void fuzz_record(FuzzInput& input, bool build) {
  if (build) {
    Record record{};
    fill(input, record);
    const std::string value = stored(record);
    const auto back = decode<Record>(kKey, value);
    FUZZ_CHECK(back && *back == record, "a record comes back as it was stored");
    check_damage(value, [](std::string_view key, std::string_view bytes) {
      return decode<Record>(key, bytes).has_value();
    });
    return;
  }
  const std::string value = sealed(input.rest());
  const auto record = decode<Record>(kKey, value);
  if (record) FUZZ_CHECK(stored(*record) == value, "a record has one stored form");
}

std::string stored_order(const Order& order, const OrderExtras& extras) {
  ByteWriter out;
  encode_order(order, extras, out);
  return sealed(out.view());
}

void fuzz_order(FuzzInput& input, bool build) {
  if (!build) {
    const OrderId id = OrderId::make({1'795'363'200'000'000}, 1, 2);
    const std::string value = sealed(input.rest());
    const auto record = decode_order(id, kKey, value);
    if (!record) return;
    FUZZ_CHECK(stored_order(record->order, record->extras) == value,
               "an order has one stored form");
    FUZZ_CHECK(tenant_of_order(kKey, value) == record->order.tenant.str(), "the tenant agrees");
    return;
  }
  const std::uint64_t batch = input.number();
  const std::string receipt = string_in(input, kLongText);
  const OrderExtras extras{.receipt = receipt, .batch_sequence = batch};
  const Order order = order_in(input);
  const std::string value = stored_order(order, extras);
  const auto back = decode_order(order.id, kKey, value);
  FUZZ_CHECK(back && back->order == order, "an order comes back as it was stored");
  FUZZ_CHECK(back->extras.receipt == receipt && back->extras.batch_sequence == batch,
             "what stands beside the order comes back");
  FUZZ_CHECK(tenant_of_order(kKey, value) == order.tenant.str(), "the tenant is read alone");
  check_damage(value, [&](std::string_view key, std::string_view bytes) {
    return decode_order(order.id, key, bytes).has_value() ||
           tenant_of_order(key, bytes).has_value();
  });
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  FuzzInput input(data, size);
  using Run = void (*)(FuzzInput&, bool);
  constexpr std::array<Run, 15> kKinds = {fuzz_order,
                                          fuzz_record<StockTotals>,
                                          fuzz_record<BucketRecord>,
                                          fuzz_record<DeliveryRecord>,
                                          fuzz_record<NoteRecord>,
                                          fuzz_record<BatchRecord>,
                                          fuzz_record<ClockRecord>,
                                          fuzz_record<RunRecord>,
                                          fuzz_record<IdempotencyRecord>,
                                          fuzz_record<Contract>,
                                          fuzz_record<std::vector<OrderId>>,
                                          fuzz_record<Status>,
                                          fuzz_record<std::string>,
                                          fuzz_record<std::uint64_t>,
                                          fuzz_record<ChangesRecord>};
  // Orders are as frequent as all other kinds together.
  const std::uint64_t kind = input.below(2 * kKinds.size());
  const bool build = input.flag();
  kKinds[kind < kKinds.size() ? kind : 0](input, build);
  return 0;
}

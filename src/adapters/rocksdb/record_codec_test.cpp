#include "adapters/rocksdb/record_codec.h"

#include <random>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "adapters/rocksdb/state_codec.h"

namespace penstock::rocksdb_store {
namespace {

using domain::Charge;
using domain::Event;
using domain::Instant;
using domain::Order;
using domain::OrderId;
using domain::Reason;
using domain::Stage;
using domain::Status;

constexpr std::string_view kKey = "key";

std::string sealed(std::string_view key, std::string_view payload) {
  ByteWriter out;
  out.raw(payload);
  out.fixed32(crc32c(crc32c(0, key), payload));
  return std::string(out.view());
}

std::string stored(const Order& order, const OrderExtras& extras = {}) {
  ByteWriter out;
  encode_order(order, extras, out);
  return sealed(kKey, out.view());
}

template <typename Record>
std::string stored_record(const Record& record) {
  ByteWriter out;
  encode(record, out);
  return sealed(kKey, out.view());
}

/// An order as it usually is while it is active.
Order typical_order() {
  Order order;
  order.created_at = {1'795'363'200'123'456};
  order.id = OrderId::make(order.created_at, 0x123, 0x456);
  order.tenant = domain::TenantId::unchecked("tenant-12");
  order.customer = domain::CustomerId::unchecked("cust-123456");
  order.items = {
      {.product = domain::ProductId::unchecked("PROD-001"), .quantity = 2, .price_minor = 1'000}};
  order.total.minor_units = 2'000;
  order.payment_method = "pm_ok";
  order.correlation = domain::CorrelationId::unchecked("0af7651916cd43dd8448eb211c80319c");
  order.traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  order.updated_at = order.created_at;
  order.due = order.created_at;
  order.status = Status::reserved;
  order.version = {2};
  order.reason = Reason::stock_reserved;
  order.charge = Charge::open;
  order.charge_since = order.created_at;
  order.holds_stock = true;
  order.timeline = {{.version = {1},
                     .at = order.created_at,
                     .from = std::nullopt,
                     .to = Status::placed,
                     .stage = Stage::ingest,
                     .reason = Reason::accepted},
                    {.version = {2},
                     .at = order.created_at,
                     .from = Status::placed,
                     .to = Status::reserved,
                     .stage = Stage::inventory,
                     .reason = Reason::stock_reserved}};
  return order;
}

/// An order that has everything an order can have.
Order rich_order() {
  Order order = typical_order();
  order.total.currency = *domain::Currency::parse("JPY");
  order.metadata = {{"colour", "blue"}, {"", std::string(500, '\xff')}};
  order.correlation = domain::CorrelationId::unchecked("0af76519-16cd-43dd-8448-eb211c80319c");
  order.traceparent = "cc-0AF7";
  order.capture_reference = "ch_3.Nx";
  order.key_generation = 3;
  order.attempts = 2;
  order.first_error = Reason::gateway_unavailable;
  order.last_error = Reason::gateway_rejected;
  order.first_failed_at = {INT64_MIN};
  order.interruptions = 2;
  order.redrives = 7;
  order.due = {INT64_MAX};
  order.handover = domain::Handover::accepted;
  order.dead_letter = domain::DeadLetter{.state = domain::DeadLetterState::compensated,
                                         .stage = Stage::payment,
                                         .first_error = Reason::gateway_unavailable,
                                         .last_error = Reason::interrupted,
                                         .attempts = 3,
                                         .first_failed_at = {5},
                                         .at = {6}};
  order.timeline.push_back({.version = {9},
                            .at = {-4},
                            .from = Status::reserved,
                            .to = Status::cancelling,
                            .stage = Stage::payment,
                            .reason = Reason::gateway_rejected,
                            .attempt = 3});
  return order;
}

void expect_round_trip(const Order& order, const OrderExtras& extras) {
  const std::string value = stored(order, extras);
  const auto record = decode_order(order.id, kKey, value);
  ASSERT_TRUE(record);
  EXPECT_EQ(record->order, order);
  EXPECT_EQ(record->extras.receipt, extras.receipt);
  EXPECT_EQ(record->extras.batch_sequence, extras.batch_sequence);
}

TEST(RecordCodec, AnOrderComesBackAsItWasStored) {
  expect_round_trip(typical_order(), {});
  expect_round_trip(rich_order(), {.receipt = "{\"receipt\": 1}", .batch_sequence = 77});
  Order bare;
  bare.id = OrderId::make({0}, 1, 2);
  expect_round_trip(bare, {});
}

TEST(RecordCodec, ATypicalOrderIsSmall) {
  EXPECT_LE(stored(typical_order()).size(), 160U);
  Order fulfilled = typical_order();
  for (const Status status : {Status::charged, Status::fulfilled}) {
    Event event = fulfilled.timeline.back();
    event.version = {event.version.number + 1};
    event.from = event.to;
    event.to = status;
    fulfilled.timeline.push_back(event);
  }
  fulfilled.capture_reference = fulfilled.id.str();
  const std::string receipt(400, 'r');
  EXPECT_LE(stored(fulfilled, {.receipt = receipt, .batch_sequence = 1'000'000}).size(), 620U);
}

TEST(RecordCodec, AnyFlippedByteIsNoticed) {
  const Order order = rich_order();
  const std::string value = stored(order, {.receipt = "bytes", .batch_sequence = 3});
  for (std::size_t at = 0; at < value.size(); ++at) {
    for (int flip = 1; flip < 256; ++flip) {
      std::string damaged = value;
      damaged[at] = static_cast<char>(damaged[at] ^ flip);
      ASSERT_FALSE(decode_order(order.id, kKey, damaged)) << at << " ^ " << flip;
    }
  }
}

TEST(RecordCodec, ARecordUnderAnotherKeyIsNoticed) {
  const Order order = typical_order();
  EXPECT_FALSE(decode_order(order.id, "kez", stored(order)));
}

TEST(RecordCodec, ACutRecordIsAnErrorEvenWithAValidSeal) {
  const Order order = rich_order();
  ByteWriter out;
  encode_order(order, {.receipt = "bytes", .batch_sequence = 3}, out);
  for (std::size_t size = 0; size < out.size(); ++size) {
    ASSERT_FALSE(decode_order(order.id, kKey, sealed(kKey, out.view().substr(0, size)))) << size;
  }
  EXPECT_FALSE(decode_order(order.id, kKey, sealed(kKey, std::string(out.view()) + "x")));
}

TEST(RecordCodec, AnUnknownFormatIsToldApart) {
  const Order order = typical_order();
  ByteWriter out;
  encode_order(order, {}, out);
  std::string payload(out.view());
  payload[0] = 9;
  const auto record = decode_order(order.id, kKey, sealed(kKey, payload));
  ASSERT_FALSE(record);
  EXPECT_EQ(record.error(), DecodeError::unknown_format);
}

// Sealed, so that the decoder itself meets the bytes.
TEST(RecordCodec, AnyBytesGiveARecordOrAnError) {
  std::mt19937_64 random(7);
  const Order order = rich_order();
  ByteWriter out;
  encode_order(order, {.receipt = "bytes", .batch_sequence = 3}, out);
  for (int round = 0; round < 200'000; ++round) {
    std::string payload(out.view());
    const std::size_t changes = 1 + random() % 4;
    for (std::size_t i = 0; i < changes; ++i) {
      payload[random() % payload.size()] = static_cast<char>(random());
    }
    if (round % 3 == 0) payload.resize(random() % payload.size());
    const std::string value = sealed(kKey, payload);
    const auto record = decode_order(order.id, kKey, value);
    if (!record) continue;
    const std::string again = stored(record->order, record->extras);
    const auto second = decode_order(order.id, kKey, again);
    ASSERT_TRUE(second);
    ASSERT_EQ(second->order, record->order);
  }
}

TEST(RecordCodec, ANumberHasOneStoredForm) {
  const std::string_view shortest("\x01\x7f", 2);
  EXPECT_EQ(decode<std::uint64_t>(kKey, sealed(kKey, shortest)), 0x7fU);
  const std::string_view too_long("\x01\xff\x00", 3);
  EXPECT_FALSE(decode<std::uint64_t>(kKey, sealed(kKey, too_long)));
  const std::string nines(9, '\xff');
  EXPECT_EQ(decode<std::uint64_t>(kKey, sealed(kKey, '\x01' + nines + '\x01')), UINT64_MAX);
  EXPECT_FALSE(decode<std::uint64_t>(kKey, sealed(kKey, '\x01' + nines + '\x02')))
      << "a 65th bit would be lost";
}

TEST(RecordCodec, APartThatHoldsNothingIsNoPart) {
  const OrderId id = OrderId::make({1'000'000}, 1, 2);
  const auto decoded = [&](std::uint64_t mask, std::string_view part) {
    ByteWriter out;
    out.u8(kOrderFormat);
    out.text("tenant");
    out.varint(mask);
    out.u8(1);  // placed, no charge, no handover
    out.text("customer");
    out.varint(1);                              // version
    for (int i = 0; i < 4; ++i) out.zigzag(0);  // times, number of items, total
    out.text("pm_ok");
    out.raw(part);
    out.varint(0);  // events
    return decode_order(id, kKey, sealed(kKey, out.view()));
  };
  constexpr std::uint64_t kCurrencyPart = 1;
  constexpr std::uint64_t kReasonPart = 16;
  EXPECT_TRUE(decoded(0, ""));
  EXPECT_TRUE(decoded(kReasonPart, "\x01"));
  EXPECT_FALSE(decoded(kReasonPart, std::string_view("\0", 1))) << "the reason `none`";
  EXPECT_TRUE(decoded(kCurrencyPart, "JPY"));
  EXPECT_FALSE(decoded(kCurrencyPart, "USD")) << "the usual currency";
}

TEST(RecordCodec, TheTenantIsReadWithoutTheRest) {
  EXPECT_EQ(tenant_of_order(kKey, stored(typical_order())), "tenant-12");
  EXPECT_FALSE(tenant_of_order("kez", stored(typical_order())));
}

TEST(RecordCodec, IdentifiersOfEveryFormComeBack) {
  for (const std::string_view text :
       {"", "a", "abc", "deadbeef", "DEADBEEF", "deadbeef0", "0123456789abcdef0123456789abcdef",
        "0af76519-16cd-43dd-8448-eb211c80319c", "0af76519-16cd-43dd-8448-eb211c80319C",
        "0af76519x16cd-43dd-8448-eb211c80319c",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331x01"}) {
    ByteWriter out;
    out.identifier(text);
    ByteReader in(out.view());
    EXPECT_EQ(in.identifier(), text);
    EXPECT_TRUE(in.done());
  }
}

TEST(RecordCodec, TheChecksumIsCrc32c) {
  EXPECT_EQ(crc32c(0, "123456789"), 0xe3069283U);  // RFC 3720, B.4 and the common check value
  EXPECT_EQ(crc32c(0, std::string(32, '\0')), 0x8a9136aaU);
  EXPECT_EQ(crc32c(crc32c(0, "1234"), "56789"), 0xe3069283U);
}

template <typename Record>
void expect_sound_record(const Record& record) {
  const std::string value = stored_record(record);
  const auto back = decode<Record>(kKey, value);
  ASSERT_TRUE(back);
  EXPECT_EQ(*back, record);
  for (std::size_t at = 0; at < value.size(); ++at) {
    std::string damaged = value;
    damaged[at] = static_cast<char>(damaged[at] ^ 0x20);
    EXPECT_FALSE(decode<Record>(kKey, damaged));
  }
  const std::string payload = value.substr(0, value.size() - kSealBytes);
  for (std::size_t size = 0; size < payload.size(); ++size) {
    EXPECT_FALSE(decode<Record>(kKey, sealed(kKey, payload.substr(0, size))));
  }
}

TEST(StateCodec, EveryRecordComesBackAndNoticesDamage) {
  const domain::BucketContract bucket{.rate = {.micro_tokens = 7, .period_ns = 9}, .burst = 3};
  const OrderId id = OrderId::make({1'000'000}, 5, 6);
  expect_sound_record(StockTotals{.received = 10, .sold = 4});
  expect_sound_record(BucketRecord{
      .contract = bucket, .state = {.used = 1, .virtual_time = 2, .remainder = 3}, .at = {4}});
  expect_sound_record(ChangesRecord{
      .at = {4},
      .stock = {{.key = std::string_view("acme\0mug", 8), .totals = {.received = 9, .sold = 3}},
                {.key = std::string_view("acme\0cup", 8), .totals = {.received = 300, .sold = 0}}},
      .buckets = {{.tenant = "acme",
                   .contract = bucket,
                   .state = {.used = 1, .virtual_time = 2, .remainder = 3}}}});
  expect_sound_record(
      DeliveryRecord{.tenant = domain::TenantId::unchecked("acme"), .attempt = 4, .due = {99}});
  expect_sound_record(NoteRecord{.at = {5}, .reason = Reason::delivery_failed});
  expect_sound_record(BatchRecord{
      .tenants = {domain::TenantId::unchecked("acme"), domain::TenantId::unchecked("globex")},
      .entries = {{.order = id, .tenant = 1, .status = Status::rejected}}});
  expect_sound_record(ClockRecord{.limiter_time = {1}, .wall = {2}, .next_batch = 3});
  expect_sound_record(RunRecord{.end = LastEnd::clean, .unclean_ends = 2});
  expect_sound_record(domain::IdempotencyRecord{
      .fingerprint = {1, 2, 3}, .order = id, .answer_format = 2, .expires_at = {77}});
  expect_sound_record(domain::Contract{
      .bucket = bucket,
      .guarantee = bucket.rate,
      .weight = 5,
      .webhook = domain::Webhook{.url = "https://a.example", .secret = "s", .disabled = true}});
  expect_sound_record(std::vector<OrderId>{id, id});
  expect_sound_record(Status::cancelled);
  expect_sound_record(std::string("boot"));
  expect_sound_record(std::uint64_t{1} << 60);
}

}  // namespace
}  // namespace penstock::rocksdb_store

#include "adapters/rocksdb/record_codec.h"

#include <algorithm>
#include <string>
#include <utility>

#include "domain/money.h"
#include "domain/reason.h"

namespace penstock::rocksdb_store {
namespace {

using domain::Charge;
using domain::DeadLetter;
using domain::DeadLetterState;
using domain::Duration;
using domain::Event;
using domain::Handover;
using domain::Instant;
using domain::Item;
using domain::Order;
using domain::OrderId;
using domain::Reason;
using domain::Stage;
using domain::Status;

/// Bits of the mask: what an order has beside what every order has.
enum Part : std::uint32_t {
  kOtherCurrency = 1U << 0,  // than USD
  kMetadata = 1U << 1,
  kCorrelation = 1U << 2,
  kTraceparent = 1U << 3,
  kReason = 1U << 4,
  kHoldsStock = 1U << 5,
  kCaptureReference = 1U << 6,
  kKeyGeneration = 1U << 7,
  kChargeSince = 1U << 8,
  kFailures = 1U << 9,
  kInterruptions = 1U << 10,
  kRedrives = 1U << 11,
  kDue = 1U << 12,
  kDeadLetter = 1U << 13,
  kReceipt = 1U << 14,
  kBatch = 1U << 15,
};
constexpr std::uint32_t kAllParts = (1U << 16) - 1;

/// The first byte of an event: to (3 bits), from (3 bits, 0 where absent), and what follows.
constexpr std::uint8_t kEventAttempt = 1U << 6;
constexpr std::uint8_t kEventVersion = 1U << 7;
constexpr std::size_t kLeastEventBytes = 4;
constexpr std::size_t kLeastItemBytes = 3;
constexpr std::size_t kLeastPairBytes = 2;

bool has_failures(const Order& order) {
  return order.attempts != 0 || order.first_error != Reason::none ||
         order.last_error != Reason::none || order.first_failed_at != Instant{};
}

std::uint32_t mask_of(const Order& order, const OrderExtras& extras) {
  std::uint32_t mask = 0;
  const auto set = [&mask](bool has, Part part) { mask |= has ? part : 0U; };
  set(order.total.currency != domain::Currency::usd(), kOtherCurrency);
  set(!order.metadata.empty(), kMetadata);
  set(!order.correlation.empty(), kCorrelation);
  set(!order.traceparent.empty(), kTraceparent);
  set(order.reason != Reason::none, kReason);
  set(order.holds_stock, kHoldsStock);
  set(!order.capture_reference.empty(), kCaptureReference);
  set(order.key_generation != 0, kKeyGeneration);
  set(order.charge_since != Instant{}, kChargeSince);
  set(has_failures(order), kFailures);
  set(order.interruptions != 0, kInterruptions);
  set(order.redrives != 0, kRedrives);
  set(order.due != Instant{}, kDue);
  set(order.dead_letter.has_value(), kDeadLetter);
  set(!extras.receipt.empty(), kReceipt);
  set(extras.batch_sequence != 0, kBatch);
  return mask;
}

void encode_time(Instant at, Instant base, ByteWriter& out) {
  // Unsigned, since two arbitrary instants may lie further apart than 64 signed bits reach.
  out.zigzag(static_cast<std::int64_t>(static_cast<std::uint64_t>(at.us) -
                                       static_cast<std::uint64_t>(base.us)));
}

Instant decode_time(ByteReader& in, Instant base) {
  return {static_cast<std::int64_t>(static_cast<std::uint64_t>(in.zigzag()) +
                                    static_cast<std::uint64_t>(base.us))};
}

void encode_dead_letter(const DeadLetter& mark, Instant base, ByteWriter& out) {
  out.u8(static_cast<std::uint8_t>(mark.state));
  out.u8(static_cast<std::uint8_t>(mark.stage));
  out.u8(static_cast<std::uint8_t>(mark.first_error));
  out.u8(static_cast<std::uint8_t>(mark.last_error));
  out.zigzag(mark.attempts);
  encode_time(mark.first_failed_at, base, out);
  encode_time(mark.at, base, out);
}

void encode_parts(const Order& order, const OrderExtras& extras, std::uint32_t mask,
                  ByteWriter& out) {
  const Instant base = order.created_at;
  if ((mask & kOtherCurrency) != 0) out.raw(order.total.currency.code());
  if ((mask & kMetadata) != 0) {
    out.varint(order.metadata.size());
    for (const auto& [name, value] : order.metadata) {
      out.text(name);
      out.text(value);
    }
  }
  if ((mask & kCorrelation) != 0) out.identifier(order.correlation.str());
  if ((mask & kTraceparent) != 0) out.identifier(order.traceparent);
  if ((mask & kReason) != 0) out.u8(static_cast<std::uint8_t>(order.reason));
  if ((mask & kCaptureReference) != 0) out.identifier(order.capture_reference);
  if ((mask & kKeyGeneration) != 0) out.varint(order.key_generation);
  if ((mask & kChargeSince) != 0) encode_time(order.charge_since, base, out);
  if ((mask & kFailures) != 0) {
    out.zigzag(order.attempts);
    out.u8(static_cast<std::uint8_t>(order.first_error));
    out.u8(static_cast<std::uint8_t>(order.last_error));
    encode_time(order.first_failed_at, base, out);
  }
  if ((mask & kInterruptions) != 0) out.zigzag(order.interruptions);
  if ((mask & kRedrives) != 0) out.zigzag(order.redrives);
  if ((mask & kDue) != 0) encode_time(order.due, base, out);
  if ((mask & kDeadLetter) != 0) encode_dead_letter(*order.dead_letter, base, out);
  if ((mask & kBatch) != 0) out.varint(extras.batch_sequence);
}

void encode_timeline(const Order& order, ByteWriter& out) {
  out.varint(order.timeline.size());
  Instant before = order.created_at;
  std::uint32_t expected_version = 0;
  for (const Event& event : order.timeline) {
    ++expected_version;
    const bool has_version = event.version.number != expected_version;
    out.u8(static_cast<std::uint8_t>(static_cast<unsigned>(event.to) |
                                     (event.from ? static_cast<unsigned>(*event.from) : 0U) << 3 |
                                     (event.attempt != 0 ? kEventAttempt : 0U) |
                                     (has_version ? kEventVersion : 0U)));
    out.u8(static_cast<std::uint8_t>(event.stage));
    out.u8(static_cast<std::uint8_t>(event.reason));
    encode_time(event.at, before, out);
    if (event.attempt != 0) out.zigzag(event.attempt);
    if (has_version) out.varint(event.version.number);
    before = event.at;
  }
}

/// Reads an enumerator stored by number in `lowest`..`highest`.
template <typename Enum>
Enum checked(ByteReader& in, unsigned number, Enum lowest, Enum highest) {
  if (number < static_cast<unsigned>(lowest) || number > static_cast<unsigned>(highest)) {
    in.fail();
    return lowest;
  }
  return static_cast<Enum>(number);
}

Status status_from(ByteReader& in, unsigned number) {
  return checked(in, number, Status::placed, Status::cancelled);
}

Stage decode_stage(ByteReader& in) {
  return checked(in, in.u8(), Stage::ingest, Stage::notification);
}

Reason decode_reason(ByteReader& in) {
  const auto reason = domain::reason_from(in.u8());
  if (!reason) in.fail();
  return reason.value_or(Reason::none);
}

DeadLetter decode_dead_letter(ByteReader& in, Instant base) {
  DeadLetter mark;
  mark.state = checked(in, in.u8(), DeadLetterState::open, DeadLetterState::discarded);
  mark.stage = decode_stage(in);
  mark.first_error = decode_reason(in);
  mark.last_error = decode_reason(in);
  mark.attempts = in.zigzag32();
  mark.first_failed_at = decode_time(in, base);
  mark.at = decode_time(in, base);
  return mark;
}

void decode_metadata(ByteReader& in, Order& order) {
  const std::uint64_t count = in.bounded(in.remaining() / kLeastPairBytes);
  order.metadata.reserve(count);
  for (std::uint64_t i = 0; i < count && in.ok(); ++i) {
    const std::string_view name = in.text();
    order.metadata.emplace_back(name, in.text());
  }
}

void decode_parts(ByteReader& in, std::uint32_t mask, Order& order, OrderExtras& extras) {
  const Instant base = order.created_at;
  if ((mask & kOtherCurrency) != 0) {
    const auto currency = domain::Currency::parse(in.raw(3));
    if (!currency) in.fail();
    order.total.currency = currency.value_or(domain::Currency::usd());
  }
  if ((mask & kMetadata) != 0) decode_metadata(in, order);
  if ((mask & kCorrelation) != 0) {
    order.correlation = domain::CorrelationId::unchecked(in.identifier());
  }
  if ((mask & kTraceparent) != 0) order.traceparent = in.identifier();
  if ((mask & kReason) != 0) order.reason = decode_reason(in);
  order.holds_stock = (mask & kHoldsStock) != 0;
  if ((mask & kCaptureReference) != 0) order.capture_reference = in.identifier();
  if ((mask & kKeyGeneration) != 0) {
    order.key_generation = static_cast<std::uint16_t>(in.bounded(UINT16_MAX));
  }
  if ((mask & kChargeSince) != 0) order.charge_since = decode_time(in, base);
  if ((mask & kFailures) != 0) {
    order.attempts = in.zigzag32();
    order.first_error = decode_reason(in);
    order.last_error = decode_reason(in);
    order.first_failed_at = decode_time(in, base);
  }
  if ((mask & kInterruptions) != 0) order.interruptions = in.zigzag32();
  if ((mask & kRedrives) != 0) order.redrives = in.zigzag32();
  if ((mask & kDue) != 0) order.due = decode_time(in, base);
  if ((mask & kDeadLetter) != 0) order.dead_letter = decode_dead_letter(in, base);
  if ((mask & kBatch) != 0) extras.batch_sequence = in.varint();
}

void decode_items(ByteReader& in, Order& order) {
  const std::uint64_t count = in.bounded(in.remaining() / kLeastItemBytes);
  order.items.reserve(count);
  for (std::uint64_t i = 0; i < count && in.ok(); ++i) {
    Item& item = order.items.emplace_back();
    item.product = domain::ProductId::unchecked(std::string(in.text()));
    item.quantity = in.zigzag32();
    item.price_minor = in.zigzag();
  }
}

void decode_timeline(ByteReader& in, Order& order) {
  const std::uint64_t count = in.bounded(in.remaining() / kLeastEventBytes);
  // Room for what usually follows, so that the next transition does not move the events.
  order.timeline.reserve(count == 0 ? 0 : count + 2);
  Instant before = order.created_at;
  for (std::uint64_t i = 0; i < count && in.ok(); ++i) {
    Event& event = order.timeline.emplace_back();
    const std::uint8_t head = in.u8();
    event.to = status_from(in, head & 7U);
    if (const unsigned from = head >> 3 & 7U; from != 0) event.from = status_from(in, from);
    event.stage = decode_stage(in);
    event.reason = decode_reason(in);
    event.at = decode_time(in, before);
    const auto expected_version = static_cast<std::uint32_t>(i + 1);
    event.version.number = expected_version;
    if ((head & kEventAttempt) != 0) {
      event.attempt = in.zigzag32();
      if (event.attempt == 0) in.fail();
    }
    if ((head & kEventVersion) != 0) {
      event.version.number = static_cast<std::uint32_t>(in.bounded(UINT32_MAX));
      if (event.version.number == expected_version) in.fail();
    }
    before = event.at;
  }
}

/// Everything of format 1 behind the format byte.
void decode_format_1(ByteReader& in, OrderRecord& record) {
  Order& order = record.order;
  order.tenant = domain::TenantId::unchecked(std::string(in.text()));
  const auto mask = static_cast<std::uint32_t>(in.bounded(kAllParts));
  const std::uint8_t states = in.u8();
  order.status = status_from(in, states & 7U);
  order.charge = checked(in, states >> 3 & 7U, Charge::none, Charge::refunded);
  order.handover = checked(in, states >> 6, Handover::none, Handover::closed);
  order.customer = domain::CustomerId::unchecked(std::string(in.text()));
  order.version.number = static_cast<std::uint32_t>(in.bounded(UINT32_MAX));
  order.created_at = decode_time(in, order.id.created());
  order.updated_at = decode_time(in, order.created_at);
  decode_items(in, order);
  order.total.minor_units = in.zigzag();
  order.payment_method = in.text();
  decode_parts(in, mask, order, record.extras);
  decode_timeline(in, order);
  if ((mask & kReceipt) != 0) record.extras.receipt = in.text();
  // A part that is there holds something: the encoder leaves every other one out.
  if (mask_of(order, record.extras) != mask) in.fail();
}

}  // namespace

void encode_order(const Order& order, const OrderExtras& extras, ByteWriter& out) {
  const std::uint32_t mask = mask_of(order, extras);
  out.u8(kOrderFormat);
  out.text(order.tenant.str());
  out.varint(mask);
  out.u8(static_cast<std::uint8_t>(static_cast<unsigned>(order.status) |
                                   static_cast<unsigned>(order.charge) << 3 |
                                   static_cast<unsigned>(order.handover) << 6));
  out.text(order.customer.str());
  out.varint(order.version.number);
  encode_time(order.created_at, order.id.created(), out);
  encode_time(order.updated_at, order.created_at, out);
  out.varint(order.items.size());
  for (const Item& item : order.items) {
    out.text(item.product.str());
    out.zigzag(item.quantity);
    out.zigzag(item.price_minor);
  }
  out.zigzag(order.total.minor_units);
  out.text(order.payment_method);
  encode_parts(order, extras, mask, out);
  encode_timeline(order, out);
  if ((mask & kReceipt) != 0) out.text(extras.receipt);
}

std::expected<OrderRecord, DecodeError> decode_order(const OrderId& id, std::string_view key,
                                                     std::string_view value) {
  const std::string_view payload = unsealed(key, value);
  if (payload.data() == nullptr) return std::unexpected(DecodeError::corrupt);
  ByteReader in(payload);
  if (in.u8() != kOrderFormat) {
    return std::unexpected(in.ok() ? DecodeError::unknown_format : DecodeError::corrupt);
  }
  OrderRecord record;
  record.order.id = id;
  decode_format_1(in, record);
  if (!in.done()) return std::unexpected(DecodeError::corrupt);
  return record;
}

std::expected<std::string_view, DecodeError> tenant_of_order(std::string_view key,
                                                             std::string_view value) {
  const std::string_view payload = unsealed(key, value);
  if (payload.data() == nullptr) return std::unexpected(DecodeError::corrupt);
  ByteReader in(payload);
  if (in.u8() != kOrderFormat) return std::unexpected(DecodeError::unknown_format);
  const std::string_view tenant = in.text();
  if (!in.ok()) return std::unexpected(DecodeError::corrupt);
  return tenant;
}

}  // namespace penstock::rocksdb_store

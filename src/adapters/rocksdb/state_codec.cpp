#include "adapters/rocksdb/state_codec.h"

#include <algorithm>

namespace penstock::rocksdb_store {
namespace {

using domain::BucketContract;
using domain::Contract;
using domain::IdempotencyRecord;
using domain::OrderId;
using domain::TenantId;
using domain::TokenBucket;
using domain::TokenRate;

constexpr std::uint8_t kFormat = 1;
constexpr std::size_t kOrderIdBytes = 16;
/// Of a row in a record of changes: a byte for each text and number.
constexpr std::size_t kMinStockBytes = 3;
constexpr std::size_t kMinBucketBytes = 7;

void encode_rate(TokenRate rate, ByteWriter& out) {
  out.zigzag(rate.micro_tokens);
  out.zigzag(rate.period_ns);
}

void encode_bucket_contract(const BucketContract& contract, ByteWriter& out) {
  encode_rate(contract.rate, out);
  out.zigzag(contract.burst);
}

TokenRate read_rate(ByteReader& in) {
  TokenRate rate;
  rate.micro_tokens = in.zigzag();
  rate.period_ns = in.zigzag();
  return rate;
}

BucketContract read_bucket_contract(ByteReader& in) {
  BucketContract contract;
  contract.rate = read_rate(in);
  contract.burst = in.zigzag();
  if (in.ok() && !domain::is_valid(contract)) in.fail();
  return contract;
}

OrderId read_id(ByteReader& in) {
  OrderId::Bytes bytes{};
  in.raw(bytes.size()).copy(reinterpret_cast<char*>(bytes.data()), bytes.size());
  return OrderId(bytes);
}

domain::Status read_status(ByteReader& in) {
  const std::uint8_t number = in.u8();
  if (number < 1 || number > static_cast<std::uint8_t>(domain::Status::cancelled)) in.fail();
  return in.ok() ? static_cast<domain::Status>(number) : domain::Status::placed;
}

bool read_flag(ByteReader& in) {
  return in.bounded(1) == 1;
}

TokenBucket::State read_bucket_state(ByteReader& in) {
  TokenBucket::State state;
  state.used = in.zigzag();
  state.virtual_time = in.zigzag();
  state.remainder = in.zigzag();
  if (state.used < 0 || state.virtual_time < 0 || state.remainder < 0) in.fail();
  return state;
}

void encode_bucket_state(const TokenBucket::State& state, ByteWriter& out) {
  out.zigzag(state.used);
  out.zigzag(state.virtual_time);
  out.zigzag(state.remainder);
}

void encode_totals(const StockTotals& value, ByteWriter& out) {
  out.zigzag(value.received);
  out.zigzag(value.sold);
}

void read(ByteReader& in, StockTotals& value) {
  value.received = in.zigzag();
  value.sold = in.zigzag();
  if (value.sold < 0 || value.received < value.sold) in.fail();
}

void read(ByteReader& in, BucketRecord& value) {
  value.contract = read_bucket_contract(in);
  value.state = read_bucket_state(in);
  value.at.ns = in.zigzag();
}

void read(ByteReader& in, ChangesRecord& value) {
  value.at.ns = in.zigzag();
  const std::uint64_t stock = in.bounded(in.remaining() / kMinStockBytes);
  value.stock.reserve(stock);
  for (std::uint64_t i = 0; i < stock && in.ok(); ++i) {
    ChangesRecord::Stock& row = value.stock.emplace_back();
    row.key = in.text();
    read(in, row.totals);
  }
  const std::uint64_t buckets = in.bounded(in.remaining() / kMinBucketBytes);
  value.buckets.reserve(buckets);
  for (std::uint64_t i = 0; i < buckets && in.ok(); ++i) {
    ChangesRecord::Bucket& row = value.buckets.emplace_back();
    row.tenant = in.text();
    row.contract = read_bucket_contract(in);
    row.state = read_bucket_state(in);
  }
}

void read(ByteReader& in, DeliveryRecord& value) {
  value.tenant = TenantId::unchecked(std::string(in.text()));
  value.attempt = in.zigzag32();
  value.due.us = in.zigzag();
}

void read(ByteReader& in, NoteRecord& value) {
  value.at.us = in.zigzag();
  const auto reason = domain::reason_from(in.u8());
  if (!reason) in.fail();
  value.reason = reason.value_or(domain::Reason::none);
}

void read(ByteReader& in, BatchRecord& value) {
  const std::uint64_t tenants = in.bounded(in.remaining());
  value.tenants.reserve(tenants);
  for (std::uint64_t i = 0; i < tenants && in.ok(); ++i) {
    value.tenants.push_back(TenantId::unchecked(std::string(in.text())));
  }
  const std::uint64_t count = in.bounded(in.remaining() / (kOrderIdBytes + 2));
  value.entries.reserve(count);
  for (std::uint64_t i = 0; i < count && in.ok(); ++i) {
    BatchRecord::Entry& entry = value.entries.emplace_back();
    entry.order = read_id(in);
    entry.tenant = static_cast<std::uint32_t>(in.bounded(UINT32_MAX));
    entry.status = read_status(in);
    if (entry.tenant >= value.tenants.size()) in.fail();
  }
}

void read(ByteReader& in, ClockRecord& value) {
  value.limiter_time.ns = in.zigzag();
  value.wall.us = in.zigzag();
  value.next_batch = in.varint();
}

void read(ByteReader& in, RunRecord& value) {
  const std::uint8_t end = in.u8();
  if (end != static_cast<std::uint8_t>(LastEnd::unclean) &&
      end != static_cast<std::uint8_t>(LastEnd::clean)) {
    in.fail();
  }
  value.end = in.ok() ? static_cast<LastEnd>(end) : LastEnd::unclean;
  value.unclean_ends = in.zigzag32();
}

void read(ByteReader& in, IdempotencyRecord& value) {
  value.expires_at.us = in.zigzag();
  value.answer_format = in.u8();
  value.order = read_id(in);
  in.raw(value.fingerprint.size())
      .copy(reinterpret_cast<char*>(value.fingerprint.data()), value.fingerprint.size());
}

void read(ByteReader& in, Contract& value) {
  value.bucket = read_bucket_contract(in);
  value.weight = in.zigzag();
  if (read_flag(in)) value.guarantee = read_rate(in);
  if (!read_flag(in)) return;
  domain::Webhook& webhook = value.webhook.emplace();
  webhook.url = in.text();
  webhook.secret = in.text();
  webhook.disabled = read_flag(in);
}

void read(ByteReader& in, std::vector<OrderId>& value) {
  const std::uint64_t count = in.bounded(in.remaining() / kOrderIdBytes);
  value.reserve(count);
  for (std::uint64_t i = 0; i < count; ++i) value.push_back(read_id(in));
}

void read(ByteReader& in, domain::Status& value) {
  value = read_status(in);
}
void read(ByteReader& in, std::string& value) {
  value = in.text();
}
void read(ByteReader& in, std::uint64_t& value) {
  value = in.varint();
}

std::string_view bytes_of(const domain::Fingerprint& fingerprint) {
  return {reinterpret_cast<const char*>(fingerprint.data()), fingerprint.size()};
}

}  // namespace

void encode(const StockTotals& value, ByteWriter& out) {
  out.u8(kFormat);
  encode_totals(value, out);
}

void encode(const BucketRecord& value, ByteWriter& out) {
  out.u8(kFormat);
  encode_bucket_contract(value.contract, out);
  encode_bucket_state(value.state, out);
  out.zigzag(value.at.ns);
}

void encode(const ChangesRecord& value, ByteWriter& out) {
  out.u8(kFormat);
  out.zigzag(value.at.ns);
  out.varint(value.stock.size());
  for (const ChangesRecord::Stock& row : value.stock) {
    out.text(row.key);
    encode_totals(row.totals, out);
  }
  out.varint(value.buckets.size());
  for (const ChangesRecord::Bucket& row : value.buckets) {
    out.text(row.tenant);
    encode_bucket_contract(row.contract, out);
    encode_bucket_state(row.state, out);
  }
}

void encode(const DeliveryRecord& value, ByteWriter& out) {
  out.u8(kFormat);
  out.text(value.tenant.str());
  out.zigzag(value.attempt);
  out.zigzag(value.due.us);
}

void encode(const NoteRecord& value, ByteWriter& out) {
  out.u8(kFormat);
  out.zigzag(value.at.us);
  out.u8(static_cast<std::uint8_t>(value.reason));
}

void encode(const BatchRecord& value, ByteWriter& out) {
  out.u8(kFormat);
  out.varint(value.tenants.size());
  for (const TenantId& tenant : value.tenants) out.text(tenant.str());
  out.varint(value.entries.size());
  for (const BatchRecord::Entry& entry : value.entries) {
    out.raw(entry.order.view());
    out.varint(entry.tenant);
    out.u8(static_cast<std::uint8_t>(entry.status));
  }
}

void encode(const ClockRecord& value, ByteWriter& out) {
  out.u8(kFormat);
  out.zigzag(value.limiter_time.ns);
  out.zigzag(value.wall.us);
  out.varint(value.next_batch);
}

void encode(const RunRecord& value, ByteWriter& out) {
  out.u8(kFormat);
  out.u8(static_cast<std::uint8_t>(value.end));
  out.zigzag(value.unclean_ends);
}

void encode(const IdempotencyRecord& value, ByteWriter& out) {
  out.u8(kFormat);
  out.zigzag(value.expires_at.us);
  out.u8(value.answer_format);
  out.raw(value.order.view());
  out.raw(bytes_of(value.fingerprint));
}

void encode(const Contract& value, ByteWriter& out) {
  out.u8(kFormat);
  encode_bucket_contract(value.bucket, out);
  out.zigzag(value.weight);
  out.u8(value.guarantee ? 1 : 0);
  if (value.guarantee) encode_rate(*value.guarantee, out);
  out.u8(value.webhook ? 1 : 0);
  if (!value.webhook) return;
  out.text(value.webhook->url);
  out.text(value.webhook->secret);
  out.u8(value.webhook->disabled ? 1 : 0);
}

void encode(const std::vector<OrderId>& value, ByteWriter& out) {
  out.u8(kFormat);
  out.varint(value.size());
  for (const OrderId& id : value) out.raw(id.view());
}

void encode(domain::Status value, ByteWriter& out) {
  out.u8(kFormat);
  out.u8(static_cast<std::uint8_t>(value));
}

void encode(const std::string& value, ByteWriter& out) {
  out.u8(kFormat);
  out.text(value);
}

void encode(std::uint64_t value, ByteWriter& out) {
  out.u8(kFormat);
  out.varint(value);
}

template <typename Record>
std::expected<Record, DecodeError> decode(std::string_view key, std::string_view value) {
  const std::string_view payload = unsealed(key, value);
  if (payload.data() == nullptr) return std::unexpected(DecodeError::corrupt);
  ByteReader in(payload);
  if (in.u8() != kFormat) {
    return std::unexpected(in.ok() ? DecodeError::unknown_format : DecodeError::corrupt);
  }
  Record record{};
  read(in, record);
  if (!in.done()) return std::unexpected(DecodeError::corrupt);
  return record;
}

template std::expected<StockTotals, DecodeError> decode(std::string_view, std::string_view);
template std::expected<BucketRecord, DecodeError> decode(std::string_view, std::string_view);
template std::expected<ChangesRecord, DecodeError> decode(std::string_view, std::string_view);
template std::expected<DeliveryRecord, DecodeError> decode(std::string_view, std::string_view);
template std::expected<NoteRecord, DecodeError> decode(std::string_view, std::string_view);
template std::expected<BatchRecord, DecodeError> decode(std::string_view, std::string_view);
template std::expected<ClockRecord, DecodeError> decode(std::string_view, std::string_view);
template std::expected<RunRecord, DecodeError> decode(std::string_view, std::string_view);
template std::expected<IdempotencyRecord, DecodeError> decode(std::string_view, std::string_view);
template std::expected<Contract, DecodeError> decode(std::string_view, std::string_view);
template std::expected<std::vector<OrderId>, DecodeError> decode(std::string_view,
                                                                 std::string_view);
template std::expected<domain::Status, DecodeError> decode(std::string_view, std::string_view);
template std::expected<std::string, DecodeError> decode(std::string_view, std::string_view);
template std::expected<std::uint64_t, DecodeError> decode(std::string_view, std::string_view);

}  // namespace penstock::rocksdb_store

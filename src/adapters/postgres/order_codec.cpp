#include "adapters/postgres/order_codec.h"

#include <algorithm>
#include <cstdint>

#include "adapters/postgres/binary.h"
#include "adapters/postgres/order_json.h"

namespace penstock::postgres_store {
namespace {

using domain::Order;
using domain::Reason;

constexpr char kJsonbVersion = '\1';

void add_text(CompositeWriter& out, std::string_view text) {
  out.add(type_id::kText, text);
}
void add_json(CompositeWriter& out, const std::string& json) {
  out.add(type_id::kJsonb, kJsonbVersion + json);
}
void add_instant(CompositeWriter& out, domain::Instant at) {
  out.add(type_id::kTimestamp, to_binary(at));
}
template <typename Enumeration>
void add_enumerator(CompositeWriter& out, Enumeration value) {
  out.add(type_id::kInt2, to_binary(static_cast<std::int16_t>(value)));
}
void add_number(CompositeWriter& out, std::int64_t value) {
  out.add(type_id::kInt4, to_binary(static_cast<std::int32_t>(value)));
}

void add_dead_letter(CompositeWriter& out, const std::optional<domain::DeadLetter>& mark) {
  if (!mark) {
    for (int column = 0; column < 4; ++column) out.add_null(type_id::kInt2);
    out.add_null(type_id::kInt4);
    out.add_null(type_id::kTimestamp);
    out.add_null(type_id::kTimestamp);
    return;
  }
  add_enumerator(out, mark->state);
  add_enumerator(out, mark->stage);
  add_enumerator(out, mark->first_error);
  add_enumerator(out, mark->last_error);
  add_number(out, mark->attempts);
  add_instant(out, mark->first_failed_at);
  add_instant(out, mark->at);
}

/// Reads fields one after the other; after one that is missing where it may not be, or is out of
/// range, it stays failed.
class FieldReader {
 public:
  explicit FieldReader(Fields fields) : fields_(fields) {}

  bool is_next_null() const { return next_ >= fields_.size() || !fields_[next_]; }
  void skip(std::size_t count) { next_ += count; }
  std::string_view bytes() {
    const std::size_t at = next_++;
    if (at >= fields_.size() || !fields_[at]) {
      is_whole_ = false;
      return {};
    }
    return *fields_[at];
  }
  std::string text() { return std::string(bytes()); }
  /// jsonb's text, behind its format version.
  std::string_view json() {
    const std::string_view value = bytes();
    if (value.empty() || value[0] != kJsonbVersion) {
      is_whole_ = false;
      return {};
    }
    return value.substr(1);
  }
  std::int64_t integer() {
    const std::string_view value = bytes();
    if (value.size() != 2 && value.size() != 4 && value.size() != 8) {
      is_whole_ = false;
      return 0;
    }
    return integer_from(value);
  }
  template <typename Enumeration>
  Enumeration enumerator(std::int64_t last) {
    const std::int64_t value = integer();
    if (value < 0 || value > last) is_whole_ = false;
    return static_cast<Enumeration>(value);
  }
  Reason reason() {
    const auto reason = domain::reason_from(static_cast<std::uint8_t>(integer()));
    if (!reason) is_whole_ = false;
    return reason.value_or(Reason::none);
  }
  domain::Instant instant() {
    const std::string_view value = bytes();
    if (value.size() != 8) {
      is_whole_ = false;
      return {};
    }
    return instant_from(value);
  }
  template <typename Value>
  Value checked(std::optional<Value> value) {
    if (!value) is_whole_ = false;
    return std::move(value).value_or(Value{});
  }
  void require(bool condition) { is_whole_ = is_whole_ && condition; }
  bool is_whole() const { return is_whole_; }

 private:
  Fields fields_;
  std::size_t next_ = 0;
  bool is_whole_ = true;
};

void read_facts(FieldReader& in, Order& order) {
  const std::string_view id = in.bytes();
  in.require(id.size() == 16);
  if (id.size() == 16) order.id = order_id_from(id);
  in.skip(1);  // the month follows from the id
  order.tenant = domain::TenantId::unchecked(in.text());
  order.customer = domain::CustomerId::unchecked(in.text());
  order.total.minor_units = in.integer();
  order.total.currency = in.checked(domain::Currency::parse(in.bytes()));
  order.payment_method = in.text();
  order.correlation = domain::CorrelationId::unchecked(in.text());
  order.traceparent = in.text();
  order.created_at = in.instant();
  order.items = in.checked(parse_items(in.json()));
  order.metadata = in.checked(parse_metadata(in.json()));
}

void read_dead_letter(FieldReader& in, Order& order) {
  if (in.is_next_null()) {
    in.skip(7);
    return;
  }
  domain::DeadLetter mark;
  mark.state = in.enumerator<domain::DeadLetterState>(3);
  mark.stage = in.enumerator<domain::Stage>(domain::kStages);
  mark.first_error = in.reason();
  mark.last_error = in.reason();
  mark.attempts = static_cast<std::int32_t>(in.integer());
  mark.first_failed_at = in.instant();
  mark.at = in.instant();
  order.dead_letter = mark;
}

void read_state(FieldReader& in, Order& order) {
  order.updated_at = in.instant();
  order.status = in.enumerator<domain::Status>(7);
  order.version.number = static_cast<std::uint32_t>(in.integer());
  order.reason = in.reason();
  order.charge = in.enumerator<domain::Charge>(4);
  order.handover = in.enumerator<domain::Handover>(3);
  order.holds_stock = in.bytes() == "\1";
  order.capture_reference = in.text();
  order.key_generation = static_cast<std::uint16_t>(in.integer());
  order.charge_since = in.instant();
  order.attempts = static_cast<std::int32_t>(in.integer());
  order.first_error = in.reason();
  order.last_error = in.reason();
  order.first_failed_at = in.instant();
  order.interruptions = static_cast<std::int32_t>(in.integer());
  order.redrives = static_cast<std::int32_t>(in.integer());
  order.due = in.instant();
  read_dead_letter(in, order);
  order.timeline = in.checked(parse_events(in.json()));
}

}  // namespace

std::int16_t stage_number(domain::Status status) {
  const auto stage = domain::stage_of(status);
  return static_cast<std::int16_t>(stage ? static_cast<int>(*stage) : 0);
}

std::string encode_facts(const Order& order) {
  CompositeWriter out;
  out.add(type_id::kUuid, order.id.view());
  add_instant(out, order.id.created());
  add_text(out, order.tenant.str());
  add_text(out, order.customer.str());
  out.add(type_id::kInt8, to_binary(order.total.minor_units));
  add_text(out, order.total.currency.code());
  add_text(out, order.payment_method);
  add_text(out, order.correlation.str());
  add_text(out, order.traceparent);
  add_instant(out, order.created_at);
  add_json(out, items_json(order.items));
  add_json(out, metadata_json(order.metadata));
  return out.bytes();
}

std::string encode_state(const Order& order, domain::Version read, std::string_view receipt) {
  CompositeWriter out;
  out.add(type_id::kUuid, order.id.view());
  out.add(type_id::kInt2, to_binary(stage_number(order.status)));
  add_instant(out, order.updated_at);
  add_enumerator(out, order.status);
  add_number(out, order.version.number);
  add_enumerator(out, order.reason);
  add_enumerator(out, order.charge);
  add_enumerator(out, order.handover);
  out.add(type_id::kBool, to_binary(order.holds_stock));
  out.add(type_id::kBytea, order.capture_reference);
  add_number(out, order.key_generation);
  add_instant(out, order.charge_since);
  add_number(out, order.attempts);
  add_enumerator(out, order.first_error);
  add_enumerator(out, order.last_error);
  add_instant(out, order.first_failed_at);
  add_number(out, order.interruptions);
  add_number(out, order.redrives);
  add_instant(out, order.due);
  add_dead_letter(out, order.dead_letter);
  add_json(out, events_json(order.timeline, read));
  if (receipt.empty()) {
    out.add_null(type_id::kBytea);
  } else {
    out.add(type_id::kBytea, receipt);
  }
  return out.bytes();
}

std::optional<Order> decode_order(Fields fields) {
  if (fields.size() != kRecordColumns) return std::nullopt;
  FieldReader in(fields);
  Order order;
  read_facts(in, order);
  read_state(in, order);
  in.require(order.timeline.size() == order.version.number);
  if (!in.is_whole()) return std::nullopt;
  return order;
}

std::vector<std::optional<std::string_view>> fields_of(const Rows& rows, std::size_t row,
                                                       int first_column, int columns) {
  std::vector<std::optional<std::string_view>> fields(static_cast<std::size_t>(columns));
  for (int column = 0; column < columns; ++column) {
    if (rows.is_null(row, first_column + column)) continue;
    fields[static_cast<std::size_t>(column)] = rows.bytes(row, first_column + column);
  }
  return fields;
}

std::optional<std::vector<Order>> decode_orders(const Rows& rows) {
  std::vector<Order> orders;
  orders.reserve(rows.size());
  for (std::size_t row = 0; row < rows.size(); ++row) {
    auto order = decode_order(fields_of(rows, row, 0, kRecordColumns));
    if (!order) return std::nullopt;
    orders.push_back(*std::move(order));
  }
  return orders;
}

}  // namespace penstock::postgres_store

#include "adapters/postgres/binary.h"

#include <algorithm>
#include <array>

#include "domain/check.h"

namespace penstock::postgres_store {
namespace {

/// 2000-01-01 in microseconds since 1970.
constexpr std::int64_t kEpoch = 946'684'800'000'000;
constexpr std::uint32_t kNull = UINT32_MAX;

template <typename Unsigned>
void put(std::string& out, Unsigned value) {
  std::array<char, sizeof value> bytes{};
  for (std::size_t at = bytes.size(); at-- > 0;) {
    bytes.at(at) = static_cast<char>(value & 0xff);
    value = static_cast<Unsigned>(static_cast<std::uint64_t>(value) >> 8);
  }
  out.append(bytes.data(), bytes.size());
}

template <typename Unsigned>
std::string big_endian(Unsigned value) {
  std::string out;
  put(out, value);
  return out;
}

/// Takes fields off the front of a value; a field that is not there ends it for good.
class Cursor {
 public:
  explicit Cursor(std::string_view bytes) : rest_(bytes) {}

  std::optional<std::uint32_t> number() {
    const auto bytes = take(4);
    if (!bytes) return std::nullopt;
    return static_cast<std::uint32_t>(integer_from(*bytes));
  }
  std::optional<std::string_view> take(std::size_t length) {
    if (rest_.size() < length) return std::nullopt;
    const std::string_view taken = rest_.substr(0, length);
    rest_.remove_prefix(length);
    return taken;
  }
  /// A length and that many bytes; false if it is cut off.
  bool take_value(std::optional<std::string_view>& value) {
    const auto length = number();
    if (!length) return false;
    if (*length == kNull) {
      value.reset();
      return true;
    }
    value = take(*length);
    return value.has_value();
  }
  std::size_t left() const { return rest_.size(); }

 private:
  std::string_view rest_;
};

}  // namespace

std::string to_binary(bool value) {
  return std::string(1, value ? '\1' : '\0');
}
std::string to_binary(std::int16_t value) {
  return big_endian(static_cast<std::uint16_t>(value));
}
std::string to_binary(std::int32_t value) {
  return big_endian(static_cast<std::uint32_t>(value));
}
std::string to_binary(std::int64_t value) {
  return big_endian(static_cast<std::uint64_t>(value));
}
std::string to_binary(domain::Instant value) {
  return to_binary(value.us - kEpoch);
}
std::string to_binary(const domain::OrderId& value) {
  return std::string(value.view());
}

std::string interval_to_binary(domain::Duration value) {
  std::string out = to_binary(value.us);
  out.append(8, '\0');  // days and months
  return out;
}

std::int64_t integer_from(std::string_view bytes) {
  std::uint64_t value = 0;
  for (const char byte : bytes) value = value << 8 | static_cast<std::uint8_t>(byte);
  switch (bytes.size()) {
    case 2:
      return static_cast<std::int16_t>(value);
    case 4:
      return static_cast<std::int32_t>(value);
    case 8:
      return static_cast<std::int64_t>(value);
    default:
      PENSTOCK_CHECK(false, "a column is no integer");
      return 0;
  }
}

domain::Instant instant_from(std::string_view bytes) {
  return {integer_from(bytes) + kEpoch};
}

domain::OrderId order_id_from(std::string_view bytes) {
  domain::OrderId::Bytes id{};
  PENSTOCK_CHECK(bytes.size() == id.size(), "a column is no order id");
  std::ranges::transform(bytes, id.begin(), [](char byte) { return std::uint8_t(byte); });
  return domain::OrderId(id);
}

void ArrayWriter::add(std::string_view binary) {
  ++count_;
  put(elements_, static_cast<std::uint32_t>(binary.size()));
  elements_.append(binary);
}

void ArrayWriter::add_null() {
  ++count_;
  put(elements_, kNull);
}

std::string ArrayWriter::bytes() const {
  std::string out;
  out.reserve(elements_.size() + 20);
  put(out, std::uint32_t{count_ == 0 ? 0U : 1U});  // dimensions
  put(out, std::uint32_t{1});                      // there may be nulls
  put(out, type_);
  if (count_ == 0) return out;
  put(out, count_);
  put(out, std::uint32_t{1});  // the first index
  out.append(elements_);
  return out;
}

void CompositeWriter::add(TypeId type, std::string_view binary) {
  ++count_;
  put(fields_, type);
  put(fields_, static_cast<std::uint32_t>(binary.size()));
  fields_.append(binary);
}

void CompositeWriter::add_null(TypeId type) {
  ++count_;
  put(fields_, type);
  put(fields_, kNull);
}

std::string CompositeWriter::bytes() const {
  std::string out;
  out.reserve(fields_.size() + 4);
  put(out, count_);
  out.append(fields_);
  return out;
}

std::optional<std::vector<std::optional<std::string_view>>> array_from(std::string_view bytes) {
  Cursor cursor(bytes);
  const auto dimensions = cursor.number();
  if (!dimensions || !cursor.take(8)) return std::nullopt;
  std::vector<std::optional<std::string_view>> elements;
  if (*dimensions == 0) return elements;
  const auto count = cursor.number();
  if (*dimensions != 1 || !count || !cursor.take(4) || *count > cursor.left()) return std::nullopt;
  elements.resize(*count);
  for (auto& element : elements) {
    if (!cursor.take_value(element)) return std::nullopt;
  }
  return elements;
}

std::optional<std::vector<std::optional<std::string_view>>> composite_from(std::string_view bytes) {
  Cursor cursor(bytes);
  const auto count = cursor.number();
  if (!count || *count > cursor.left()) return std::nullopt;
  std::vector<std::optional<std::string_view>> fields(*count);
  for (auto& field : fields) {
    if (!cursor.take(4) || !cursor.take_value(field)) return std::nullopt;
  }
  return fields;
}

}  // namespace penstock::postgres_store

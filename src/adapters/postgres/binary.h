#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "domain/ids.h"
#include "domain/instant.h"

/// PostgreSQL's binary form of values, as parameters carry them and rows bring them: big-endian
/// integers, timestamps in microseconds since 2000, arrays and composites with the object ids of
/// their types (src/include/catalog/pg_type.dat).
namespace penstock::postgres_store {

using TypeId = std::uint32_t;

namespace type_id {
inline constexpr TypeId kBool = 16;
inline constexpr TypeId kBytea = 17;
inline constexpr TypeId kInt8 = 20;
inline constexpr TypeId kInt2 = 21;
inline constexpr TypeId kInt4 = 23;
inline constexpr TypeId kText = 25;
inline constexpr TypeId kTimestamp = 1184;
inline constexpr TypeId kUuid = 2950;
inline constexpr TypeId kJsonb = 3802;
}  // namespace type_id

std::string to_binary(bool value);
std::string to_binary(std::int16_t value);
std::string to_binary(std::int32_t value);
std::string to_binary(std::int64_t value);
std::string to_binary(domain::Instant value);
std::string to_binary(const domain::OrderId& value);
/// An interval of microseconds alone.
std::string interval_to_binary(domain::Duration value);

/// Reads an integer of the width of `bytes` (2, 4 or 8). Another width is a bug.
std::int64_t integer_from(std::string_view bytes);
domain::Instant instant_from(std::string_view bytes);
domain::OrderId order_id_from(std::string_view bytes);

/// Builds a one-dimensional array of one type; nothing is a null element.
class ArrayWriter {
 public:
  explicit ArrayWriter(TypeId type) : type_(type) {}

  void add(std::string_view binary);
  void add_null();
  std::size_t size() const { return count_; }
  /// The array's binary form.
  std::string bytes() const;

 private:
  TypeId type_;
  std::uint32_t count_ = 0;
  std::string elements_;
};

/// Builds a composite value, field by field in the type's order.
class CompositeWriter {
 public:
  void add(TypeId type, std::string_view binary);
  void add_null(TypeId type);
  std::string bytes() const;

 private:
  std::uint32_t count_ = 0;
  std::string fields_;
};

/// The elements of a one-dimensional array, views into `bytes`; a null element is nothing. An empty
/// array has none. Something else is nothing.
std::optional<std::vector<std::optional<std::string_view>>> array_from(std::string_view bytes);

/// The fields of a composite value, as array_from does.
std::optional<std::vector<std::optional<std::string_view>>> composite_from(std::string_view bytes);

}  // namespace penstock::postgres_store

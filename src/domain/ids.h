#pragma once

#include <array>
#include <bit>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "domain/instant.h"

namespace penstock::domain {

/// True if `text` is 1 to 128 characters of [A-Za-z0-9._:-], the form of every id a client chooses.
bool is_valid_name(std::string_view text);

/// A text of its own type, so that a tenant is never passed for a product. The value is valid once
/// `parse` returned it; `unchecked` is for text that was validated before it was stored.
template <typename Tag>
class Name {
 public:
  Name() = default;

  /// The name, if `text` has its form (Tag::is_valid).
  static std::optional<Name> parse(std::string_view text) {
    if (!Tag::is_valid(text)) return std::nullopt;
    return unchecked(std::string(text));
  }
  static Name unchecked(std::string text) {
    Name name;
    name.text_ = std::move(text);
    return name;
  }

  const std::string& str() const { return text_; }
  bool empty() const { return text_.empty(); }
  auto operator<=>(const Name&) const = default;

 private:
  std::string text_;
};

struct NameForm {
  static bool is_valid(std::string_view text) { return is_valid_name(text); }
};
struct TenantTag : NameForm {};
struct CustomerTag : NameForm {};
struct ProductTag : NameForm {};
/// Correlation ids: [A-Za-z0-9._-]{1,128}.
struct CorrelationTag {
  static bool is_valid(std::string_view text);
};
/// Idempotency keys: 1 to 255 printable ASCII characters.
struct IdempotencyTag {
  static bool is_valid(std::string_view text);
};

using TenantId = Name<TenantTag>;
using CustomerId = Name<CustomerTag>;
using ProductId = Name<ProductTag>;
using CorrelationId = Name<CorrelationTag>;
using IdempotencyKey = Name<IdempotencyTag>;

/// A UUIDv7 (RFC 9562): its first 48 bits are the order's creation in milliseconds, so an id names
/// the month that its order is kept in, and ids sort by creation.
class OrderId {
 public:
  using Bytes = std::array<std::uint8_t, 16>;

  OrderId() = default;
  explicit OrderId(const Bytes& bytes) : bytes_(bytes) {}

  /// Builds an id from a creation time and 128 random bits, of which the low 12 of `random_high`
  /// and the low 62 of `random_low` are used. A time before 1970 counts as 1970.
  static OrderId make(Instant created, std::uint64_t random_high, std::uint64_t random_low);

  /// Parses the 36-character form, lower or upper case; only version 7, variant 10.
  static std::optional<OrderId> parse(std::string_view text);

  /// The 36-character lower-case form.
  std::string str() const;
  static constexpr std::size_t kTextSize = 36;
  /// Appends what str returns.
  void append_to(std::string& out) const;
  /// True if `text` begins with what str returns, as an effect's key does.
  bool names(std::string_view text) const;

  /// The creation time, truncated to the millisecond.
  Instant created() const;
  Month month() const { return month_of(created()); }

  const Bytes& bytes() const { return bytes_; }
  std::string_view view() const {
    return {reinterpret_cast<const char*>(bytes_.data()), bytes_.size()};
  }

  /// By the bytes, first to last, eight at a time: ids are compared wherever orders are looked up.
  bool operator==(const OrderId& other) const {
    return word(0) == other.word(0) && word(8) == other.word(8);
  }
  std::strong_ordering operator<=>(const OrderId& other) const {
    if (const auto order = word(0) <=> other.word(0); order != 0) return order;
    return word(8) <=> other.word(8);
  }

 private:
  /// Eight bytes as the number that sorts as they do.
  std::uint64_t word(std::size_t at) const {
    std::uint64_t value = 0;
    std::memcpy(&value, bytes_.data() + at, sizeof value);
    return std::endian::native == std::endian::little ? std::byteswap(value) : value;
  }

  Bytes bytes_{};
};

/// The number of commits an order has seen; the first is 1.
struct Version {
  std::uint32_t number = 0;

  auto operator<=>(const Version&) const = default;
};

}  // namespace penstock::domain

template <typename Tag>
struct std::hash<penstock::domain::Name<Tag>> {
  std::size_t operator()(const penstock::domain::Name<Tag>& name) const noexcept {
    return std::hash<std::string>{}(name.str());
  }
};

template <>
struct std::hash<penstock::domain::OrderId> {
  std::size_t operator()(const penstock::domain::OrderId& id) const noexcept {
    // The tail is random, so it serves as the hash.
    std::uint64_t tail = 0;
    std::memcpy(&tail, std::span(id.bytes()).last<sizeof tail>().data(), sizeof tail);
    return static_cast<std::size_t>(tail);
  }
};

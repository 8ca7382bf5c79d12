#pragma once

#include <compare>
#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>

namespace penstock::domain {

/// A span of time in microseconds; may be negative.
struct Duration {
  std::int64_t us = 0;

  static constexpr Duration milliseconds(std::int64_t value) { return {value * 1000}; }
  static constexpr Duration seconds(std::int64_t value) { return {value * 1'000'000}; }
  static constexpr Duration hours(std::int64_t value) { return seconds(value * 3600); }
  constexpr auto operator<=>(const Duration&) const = default;
};

/// A point in time as it is stored: UTC microseconds since 1970. Never read from a clock here; the
/// caller passes it in.
struct Instant {
  std::int64_t us = 0;

  constexpr auto operator<=>(const Instant&) const = default;
  constexpr Instant operator+(Duration span) const { return {us + span.us}; }
  constexpr Instant operator-(Duration span) const { return {us - span.us}; }
  constexpr Duration operator-(Instant other) const { return {us - other.us}; }
};

/// A point on the process's monotonic clock (CLOCK_BOOTTIME), in nanoseconds. Comparable only under
/// one boot id.
struct MonotonicTime {
  std::int64_t ns = 0;

  constexpr auto operator<=>(const MonotonicTime&) const = default;
};

/// Both readings of one moment, passed into every poll.
struct Now {
  Instant wall;
  MonotonicTime monotonic;
};

/// A calendar month in UTC; the unit in which history is kept and dropped.
struct Month {
  std::int32_t year = 1970;
  std::int32_t month = 1;  ///< 1..12

  auto operator<=>(const Month&) const = default;
};

/// The month that contains `at`.
Month month_of(Instant at);

/// "2026-11"; a year beyond 9999 has more digits.
std::string to_string(Month month);

/// Parses "2026-11"; anything else is nothing.
std::optional<Month> parse_month(std::string_view text);

/// The first instant of `month`. A month outside 1..12, or a year that microseconds in 64 bits
/// cannot hold (+-290 000), is a bug and stops the process.
Instant start_of(Month month);

/// RFC 3339 with exactly six fractional digits: "2026-11-22T16:00:00.000000Z". What lies outside
/// the years 0 to 9999 is written as the first or last instant of them.
std::string to_rfc3339(Instant at);

/// Appends what to_rfc3339 returns.
void append_rfc3339(Instant at, std::string& out);

/// Parses RFC 3339 ("Z" or an offset, either case of T and Z), 0 to 6 fractional digits; nothing on
/// bad input. A leap second (":60") has no Instant and is bad input.
std::optional<Instant> parse_rfc3339(std::string_view text);

}  // namespace penstock::domain

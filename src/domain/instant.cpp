#include "domain/instant.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstring>

#include "domain/check.h"
#include "domain/digits.h"

namespace penstock::domain {
namespace {

constexpr std::int64_t kMicrosPerSecond = 1'000'000;
constexpr std::int64_t kSecondsPerDay = 86'400;
constexpr std::int64_t kMicrosPerDay = kSecondsPerDay * kMicrosPerSecond;
constexpr std::int64_t kMaxYear = 290'000;  // what 64 bits of microseconds hold, rounded down

struct Date {
  std::int64_t year = 1970;
  int month = 1;
  int day = 1;
};

constexpr std::int64_t floor_divide(std::int64_t value, std::int64_t divisor) {
  return value / divisor - (value % divisor < 0 ? 1 : 0);
}

/// The proleptic Gregorian date of a day counted from 1970-01-01, and back.
/// Source: H. Hinnant, "chrono-Compatible Low-Level Date Algorithms": years begin in March, so that
/// the leap day is the last of its year, and 400 years are one era of 146 097 days.
constexpr Date date_of(std::int64_t days) {
  days += 719'468;
  const std::int64_t era = floor_divide(days, 146'097);
  const auto day_of_era = static_cast<std::uint32_t>(days - era * 146'097);
  const std::uint32_t year_of_era =
      (day_of_era - day_of_era / 1460 + day_of_era / 36'524 - day_of_era / 146'096) / 365;
  const std::uint32_t day_of_year =
      day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
  const std::uint32_t march_month = (5 * day_of_year + 2) / 153;
  const std::uint32_t day = day_of_year - (153 * march_month + 2) / 5 + 1;
  const std::uint32_t month = march_month < 10 ? march_month + 3 : march_month - 9;
  return {era * 400 + year_of_era + (month <= 2 ? 1 : 0), static_cast<int>(month),
          static_cast<int>(day)};
}

constexpr std::int64_t days_of(Date date) {
  const std::int64_t year = date.year - (date.month <= 2 ? 1 : 0);
  const std::int64_t era = floor_divide(year, 400);
  const std::int64_t year_of_era = year - era * 400;
  const std::int64_t march_month = date.month > 2 ? date.month - 3 : date.month + 9;
  const std::int64_t day_of_year = (153 * march_month + 2) / 5 + date.day - 1;
  const std::int64_t day_of_era =
      year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
  return era * 146'097 + day_of_era - 719'468;
}

constexpr std::int64_t kFirstPrintable = days_of({0, 1, 1}) * kMicrosPerDay;
constexpr std::int64_t kLastPrintable = days_of({10'000, 1, 1}) * kMicrosPerDay - 1;

constexpr int days_in_month(std::int64_t year, std::int64_t month) {
  constexpr std::array<int, 12> kDays = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  const bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
  return month == 2 && leap ? 29 : kDays[static_cast<std::size_t>(month - 1)];
}

constexpr std::array<char, 200> kPairs = [] {
  std::array<char, 200> pairs{};
  for (std::size_t i = 0; i < 100; ++i) write_digits(&pairs[i * 2], i, 2);
  return pairs;
}();

void write_pair(char* out, std::uint32_t value) {
  std::memcpy(out, &kPairs[value * 2], 2);
}

/// Seconds east of UTC from "Z" or "+hh:mm" at the end of a time; nothing on bad input.
std::optional<std::int64_t> parse_offset(std::string_view text) {
  if (text == "Z" || text == "z") return 0;
  if (text.size() != 6 || (text[0] != '+' && text[0] != '-') || text[3] != ':') return std::nullopt;
  const std::int64_t hours = read_digits(text.data() + 1, 2);
  const std::int64_t minutes = read_digits(text.data() + 4, 2);
  if (hours < 0 || hours > 23 || minutes < 0 || minutes > 59) return std::nullopt;
  const std::int64_t seconds = hours * 3600 + minutes * 60;
  return text[0] == '-' ? -seconds : seconds;
}

/// Takes ".d" to ".dddddd" off the front as microseconds; zero if there is no point.
std::optional<std::int64_t> take_fraction(std::string_view& text) {
  if (text.empty() || text.front() != '.') return 0;
  std::size_t width = 0;
  while (width + 1 < text.size() && text[width + 1] >= '0' && text[width + 1] <= '9') ++width;
  if (width < 1 || width > 6) return std::nullopt;
  const std::int64_t value = read_digits(text.data() + 1, width) * kPowersOfTen[6 - width];
  text.remove_prefix(1 + width);
  return value;
}

}  // namespace

Month month_of(Instant at) {
  const Date date = date_of(floor_divide(at.us, kMicrosPerDay));
  return {static_cast<std::int32_t>(date.year), date.month};
}

std::string to_string(Month month) {
  std::string text = std::to_string(month.year);
  if (month.year >= 0 && text.size() < 4) text.insert(0, 4 - text.size(), '0');
  char pair[3] = {'-', '0', '0'};
  write_digits(pair + 1, static_cast<std::uint64_t>(month.month), 2);
  text.append(pair, sizeof pair);
  return text;
}

std::optional<Month> parse_month(std::string_view text) {
  if (text.size() != 7 || text[4] != '-') return std::nullopt;
  const std::int64_t year = read_digits(text.data(), 4);
  const std::int64_t month = read_digits(text.data() + 5, 2);
  if (year < 0 || month < 1 || month > 12) return std::nullopt;
  return Month{static_cast<std::int32_t>(year), static_cast<std::int32_t>(month)};
}

Instant start_of(Month month) {
  PENSTOCK_CHECK(month.month >= 1 && month.month <= 12, "a month is not of the calendar");
  PENSTOCK_CHECK(month.year >= -kMaxYear && month.year <= kMaxYear, "a year is out of range");
  return {days_of({month.year, month.month, 1}) * kMicrosPerDay};
}

std::string to_rfc3339(Instant at) {
  std::string text;
  append_rfc3339(at, text);
  return text;
}

void append_rfc3339(Instant at, std::string& out) {
  // "YYYY-MM-DDThh:mm:ss.uuuuuuZ"
  const std::int64_t us = std::clamp(at.us, kFirstPrintable, kLastPrintable);
  const std::int64_t days = floor_divide(us, kMicrosPerDay);
  const Date date = date_of(days);
  const auto of_day = static_cast<std::uint64_t>(us - days * kMicrosPerDay);
  const auto second = static_cast<std::uint32_t>(of_day / kMicrosPerSecond);
  const auto micros = static_cast<std::uint32_t>(of_day % kMicrosPerSecond);
  const auto year = static_cast<std::uint32_t>(date.year);
  char text[27] = {'0', '0', '0', '0', '-', '0', '0', '-', '0', '0', 'T', '0', '0', ':',
                   '0', '0', ':', '0', '0', '.', '0', '0', '0', '0', '0', '0', 'Z'};
  write_pair(text, year / 100);
  write_pair(text + 2, year % 100);
  write_pair(text + 5, static_cast<std::uint32_t>(date.month));
  write_pair(text + 8, static_cast<std::uint32_t>(date.day));
  write_pair(text + 11, second / 3600);
  write_pair(text + 14, second / 60 % 60);
  write_pair(text + 17, second % 60);
  write_pair(text + 20, micros / 10'000);
  write_pair(text + 22, micros / 100 % 100);
  write_pair(text + 24, micros % 100);
  out.append(text, sizeof text);
}

std::optional<Instant> parse_rfc3339(std::string_view text) {
  constexpr std::size_t kSecondsEnd = 19;  // "YYYY-MM-DDThh:mm:ss"
  if (text.size() <= kSecondsEnd || text[4] != '-' || text[7] != '-' ||
      (text[10] != 'T' && text[10] != 't') || text[13] != ':' || text[16] != ':') {
    return std::nullopt;
  }
  const std::int64_t year = read_digits(text.data(), 4);
  const std::int64_t month = read_digits(text.data() + 5, 2);
  const std::int64_t day = read_digits(text.data() + 8, 2);
  const std::int64_t hour = read_digits(text.data() + 11, 2);
  const std::int64_t minute = read_digits(text.data() + 14, 2);
  const std::int64_t second = read_digits(text.data() + 17, 2);
  if (year < 0 || month < 1 || month > 12 || day < 1 || day > days_in_month(year, month) ||
      hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 59) {
    return std::nullopt;
  }
  text.remove_prefix(kSecondsEnd);
  const std::optional<std::int64_t> fraction = take_fraction(text);
  if (!fraction) return std::nullopt;
  const std::optional<std::int64_t> offset = parse_offset(text);
  if (!offset) return std::nullopt;
  const std::int64_t days = days_of({year, static_cast<int>(month), static_cast<int>(day)});
  const std::int64_t of_day = hour * 3600 + minute * 60 + second - *offset;
  return Instant{(days * kSecondsPerDay + of_day) * kMicrosPerSecond + *fraction};
}

}  // namespace penstock::domain

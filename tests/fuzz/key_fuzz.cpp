// The small texts that clients send: ids, idempotency keys, cursors, instants, decimals, query
// parameters, trace contexts. What is read has one form; what is written is read as the same; and
// a number is exactly what was written. The first byte chooses the reader.

#include <algorithm>
#include <array>
#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include "api/base64url.h"
#include "api/caller.h"
#include "api/correlation.h"
#include "api/cursor.h"
#include "api/idempotency.h"
#include "api/query_parameters.h"
#include "domain/decimal.h"
#include "domain/digits.h"
#include "domain/ids.h"
#include "domain/instant.h"
#include "domain/int128.h"
#include "domain/limits.h"
#include "domain/money.h"
#include "domain/order.h"
#include "domain/token_bucket.h"
#include "net/json.h"
#include "net/json_decimal.h"
#include "net/url.h"
#include "pipeline/ingest.h"
#include "tests/fuzz/fuzz_input.h"

namespace {

namespace api = penstock::api;
namespace domain = penstock::domain;
namespace limits = penstock::domain::limits;
namespace net = penstock::net;
using api::CursorList;
using domain::Instant;
using penstock::fuzz::FuzzInput;

constexpr std::array kLists = {CursorList::orders, CursorList::dead_letters,
                               CursorList::owed_refunds, CursorList::tenants};

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
  }
  return out;
}

bool is_made_of(std::string_view text, std::string_view extra) {
  return std::ranges::all_of(text, [&](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           extra.contains(c);
  });
}

void check_names(std::string_view text) {
  const bool short_enough = !text.empty() && text.size() <= limits::kMaxNameBytes;
  FUZZ_CHECK(
      domain::TenantId::parse(text).has_value() == (short_enough && is_made_of(text, "._:-")),
      "a name is 1 to 128 of its characters");
  FUZZ_CHECK(
      domain::CorrelationId::parse(text).has_value() == (short_enough && is_made_of(text, "._-")),
      "a correlation id is 1 to 128 of its characters");
  if (const auto id = domain::OrderId::parse(text)) {
    FUZZ_CHECK(id->str() == lower(text), "an order id has one lower-case form");
    FUZZ_CHECK(domain::OrderId::parse(id->str()) == *id, "an order id is read as written");
    FUZZ_CHECK(id->created().us >= 0 && id->created().us % 1000 == 0, "an id's time is in ms");
  }
  if (const auto status = domain::parse_status(text)) {
    FUZZ_CHECK(domain::to_string(*status) == text, "a status has one form");
  }
  if (const auto stage = domain::parse_stage(text)) {
    FUZZ_CHECK(domain::to_string(*stage) == text, "a stage has one form");
  }
}

/// The key as an RFC 8941 string.
std::string quoted(std::string_view key) {
  std::string out = "\"";
  for (const char c : key) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out += '"';
}

std::optional<domain::IdempotencyKey> key_of_header(std::string_view value) {
  net::HttpHeaders headers;
  headers.add("Idempotency-Key", value);
  const auto key = api::idempotency_key_of(headers);
  FUZZ_CHECK(!key || key->has_value(), "a header gives a key or a problem");
  return key ? *key : std::nullopt;
}

void check_idempotency_key(std::string_view text) {
  const bool printable = std::ranges::all_of(text, [](char c) { return c >= ' ' && c <= '~'; });
  const bool is_key = printable && !text.empty() && text.size() <= limits::kMaxIdempotencyKeyBytes;
  const auto key = domain::IdempotencyKey::parse(text);
  FUZZ_CHECK(key.has_value() == is_key, "a key is 1 to 255 printable characters");
  FUZZ_CHECK(key_of_header(quoted(text)) == key, "a quoted key is the key");
  const auto bare = key_of_header(text);
  if (!text.starts_with('"')) {
    FUZZ_CHECK(bare == key, "a bare key is the key");
  } else if (bare) {
    FUZZ_CHECK(quoted(bare->str()) == text, "a quoted key has one form");
  }
  if (!key) return;
  const auto merged = api::merge_idempotency_keys(key, text);
  FUZZ_CHECK(merged && *merged == key, "the same key twice is one key");
  const auto conflict = api::merge_idempotency_keys(key, std::string(text) == "x" ? "y" : "x");
  FUZZ_CHECK(!conflict && conflict.error().code == domain::ErrorCode::idempotency_key_conflict,
             "two keys conflict");
  net::HttpHeaders doubled;
  doubled.add("Idempotency-Key", text);
  doubled.add("idempotency-key", text);
  FUZZ_CHECK(!api::idempotency_key_of(doubled), "a doubled header is refused");
}

void check_cursor(std::string_view text) {
  for (const CursorList list : kLists) {
    if (const auto position = api::decode_cursor(list, text)) {
      FUZZ_CHECK(api::encode_cursor(list, *position) == text, "a cursor has one form");
    }
    const std::string written = api::encode_cursor(list, text);
    if (written.size() > limits::kMaxCursorBytes) continue;
    for (const CursorList other : kLists) {
      const auto back = api::decode_cursor(other, written);
      FUZZ_CHECK(back.has_value() == (other == list), "a list's cursor is no other's");
      if (back) FUZZ_CHECK(*back == text, "a cursor is read as written");
    }
    std::string mangled = written;
    char& changed = mangled[text.size() % mangled.size()];
    changed = changed == 'A' ? 'B' : 'A';
    FUZZ_CHECK(!api::decode_cursor(list, mangled), "a mangled cursor is refused");
  }
  FUZZ_CHECK(api::decode_base64url(api::encode_base64url(text)) == text, "base64url round trip");
  if (const auto bytes = api::decode_base64url(text)) {
    FUZZ_CHECK(api::encode_base64url(*bytes) == text, "base64url has one form");
  }
}

/// Whether the text is as the picture: 'd' is a digit, any other character itself.
bool looks_like(std::string_view text, std::string_view picture) {
  return std::ranges::equal(text, picture, [](char c, char wanted) {
    return wanted == 'd' ? c >= '0' && c <= '9' : c == wanted;
  });
}

int number_at(std::string_view text, std::size_t at, std::size_t width = 2) {
  return std::stoi(std::string(text.substr(at, width)));
}

/// domain::parse_rfc3339, by way of the standard library's calendar.
std::optional<Instant> second_instant(std::string_view text) {
  using namespace std::chrono;
  std::string upper(text);
  std::ranges::replace(upper, 't', 'T');
  std::ranges::replace(upper, 'z', 'Z');
  text = upper;
  if (!looks_like(text.substr(0, 19), "dddd-dd-ddTdd:dd:dd")) return std::nullopt;
  const year_month_day date(year(number_at(text, 0, 4)),
                            month(static_cast<unsigned>(number_at(text, 5))),
                            day(static_cast<unsigned>(number_at(text, 8))));
  const std::array<int, 3> time = {number_at(text, 11), number_at(text, 14), number_at(text, 17)};
  if (!date.ok() || time[0] > 23 || time[1] > 59 || time[2] > 59) return std::nullopt;
  microseconds at =
      sys_days(date).time_since_epoch() + hours(time[0]) + minutes(time[1]) + seconds(time[2]);
  text.remove_prefix(19);
  const std::size_t zone_at = std::min(text.find_first_of("Z+-"), text.size());
  const std::string_view fraction = text.substr(0, zone_at);
  const std::string_view zone = text.substr(zone_at);
  constexpr std::string_view kPicture = ".dddddd";
  if (fraction.size() == 1 || fraction.size() > kPicture.size() ||
      !looks_like(fraction, kPicture.substr(0, fraction.size()))) {
    return std::nullopt;
  }
  std::string digits(fraction.empty() ? "" : fraction.substr(1));
  digits.resize(6, '0');
  at += microseconds(std::stol(digits));
  if (zone == "Z") return Instant{at.count()};
  if (!looks_like(zone, "+dd:dd") && !looks_like(zone, "-dd:dd")) return std::nullopt;
  const minutes offset = hours(number_at(zone, 1)) + minutes(number_at(zone, 4));
  if (number_at(zone, 1) > 23 || number_at(zone, 4) > 59) return std::nullopt;
  return Instant{(zone.front() == '-' ? at + offset : at - offset).count()};
}

void check_instant(std::string_view text) {
  FUZZ_CHECK(domain::parse_rfc3339(text) == second_instant(text), "two readers of times agree");
  // Years 0 to 9999, what an instant is written as.
  const Instant first = *domain::parse_rfc3339("0000-01-01T00:00:00Z");
  const Instant last = *domain::parse_rfc3339("9999-12-31T23:59:59.999999Z");
  if (const auto at = domain::parse_rfc3339(text)) {
    const auto again = domain::parse_rfc3339(domain::to_rfc3339(*at));
    FUZZ_CHECK(again == std::clamp(*at, first, last), "an instant is read as written");
    FUZZ_CHECK(text.size() >= 20 && text.size() <= 32, "an instant's text is bounded");
  }
  if (const auto month = domain::parse_month(text)) {
    FUZZ_CHECK(domain::to_string(*month) == text, "a month has one form");
    FUZZ_CHECK(domain::month_of(domain::start_of(*month)) == *month, "a month begins in itself");
  }
  FuzzInput input(reinterpret_cast<const std::uint8_t*>(text.data()), text.size());
  const Instant any{input.integer()};
  FUZZ_CHECK(domain::parse_rfc3339(domain::to_rfc3339(any)) == std::clamp(any, first, last),
             "any instant is written within the years that can be read");
  const domain::Month month = domain::month_of(any);
  FUZZ_CHECK(month.month >= 1 && month.month <= 12, "a month is of the calendar");
}

/// domain::parse_decimal, by way of net's exact decimals.
std::expected<std::int64_t, domain::DecimalError> second_opinion(std::string_view text,
                                                                 domain::DecimalForm form) {
  const auto decimal = net::parse_decimal(text);
  if (!decimal) return std::unexpected(domain::DecimalError::malformed);
  if (decimal->digits.empty()) return 0;
  if (decimal->negative) return std::unexpected(domain::DecimalError::negative);
  const std::int64_t shift = decimal->exponent + form.fraction_digits;
  if (shift < 0) return std::unexpected(domain::DecimalError::too_precise);
  if (static_cast<std::int64_t>(decimal->digits.size()) + shift > 19) {
    return std::unexpected(domain::DecimalError::too_large);
  }
  domain::Int128 value = 0;
  for (const char digit : decimal->digits) value = value * 10 + (digit - '0');
  for (std::int64_t i = 0; i < shift; ++i) value *= 10;
  if (value > form.maximum) return std::unexpected(domain::DecimalError::too_large);
  return static_cast<std::int64_t>(value);
}

bool has_long_exponent(std::string_view text) {
  const std::size_t at = text.find_first_of("eE");
  return at != std::string_view::npos && text.size() - at > 12;
}

void check_decimal(std::string_view text) {
  for (const domain::DecimalForm form :
       {domain::DecimalForm{.fraction_digits = 2, .maximum = limits::kMaxAmountMinor},
        domain::DecimalForm{.fraction_digits = 0, .maximum = 255},
        domain::DecimalForm{.fraction_digits = 18, .maximum = 1'000'000'000'000'000'000}}) {
    if (has_long_exponent(text)) continue;
    FUZZ_CHECK(domain::parse_decimal(text, form) == second_opinion(text, form),
               "two readers of decimals agree");
  }
  for (const std::string_view code : {"USD", "JPY", "KWD", "CLF"}) {
    const auto currency = domain::Currency::parse(code);
    const auto amount = domain::parse_amount(text, *currency);
    if (!amount) continue;
    FUZZ_CHECK(*amount >= 0 && *amount <= limits::kMaxAmountMinor, "an amount is bounded");
    const std::string written = domain::format_amount({*amount, *currency});
    FUZZ_CHECK(domain::parse_amount(written, *currency) == *amount, "an amount is read as written");
  }
  if (const auto currency = domain::Currency::parse(text)) {
    FUZZ_CHECK(
        currency->code() == text && currency->minor_digits() >= 0 && currency->minor_digits() <= 4,
        "a currency has its code");
  }
  if (const auto rate = domain::parse_rate_per_second(text)) {
    FUZZ_CHECK(domain::is_valid({.rate = *rate, .burst = 1}), "a rate that is read is valid");
    const auto again = domain::parse_rate_per_second(domain::format_rate_per_second(*rate));
    FUZZ_CHECK(again == *rate, "a rate is read as written");
  }
  if (const auto value = net::parse_decimal(text)) {
    std::string canonical;
    net::append_canonical(*value, canonical);
    if (!has_long_exponent(text)) {
      FUZZ_CHECK(net::parse_decimal(canonical) == *value, "a canonical number is the number");
    }
  }
}

void check_query(std::string_view text) {
  FUZZ_CHECK(net::percent_decode(net::percent_encode(text)) == text, "percent round trip");
  api::QueryParameters query(text, {"tenant_id", "created_after", "limit", "cursor", "status"});
  const std::size_t limit = query.page_limit();
  FUZZ_CHECK(limit >= 1 && limit <= limits::kMaxPage, "a page is bounded");
  if (const auto tenant = query.tenant()) {
    FUZZ_CHECK(domain::is_valid_name(tenant->str()), "a tenant has a name's form");
  }
  query.instant("created_after");
  query.read("status", domain::parse_status);
  query.order_cursor(CursorList::orders);
  if (const auto problem = query.problem()) {
    const std::string body =
        api::render_problem(*problem, "/orders", domain::CorrelationId::unchecked("c0ffee"));
    FUZZ_CHECK(net::JsonDocument::parse(body, {.max_bytes = std::size_t{1} << 22U}).has_value(),
               "a refusal is strict JSON");
    FUZZ_CHECK(domain::status_of(problem->code) == 400, "a bad query is the client's error");
  }
  if (const auto pairs = net::parse_query(text)) {
    std::string written;
    for (const auto& [name, value] : *pairs) {
      written += (written.empty() ? "" : "&") + net::percent_encode(name) + '=' +
                 net::percent_encode(value);
    }
    FUZZ_CHECK(net::parse_query(written) == pairs, "pairs are read as written");
  }
}

void check_headers(std::string_view text) {
  net::HttpHeaders headers;
  headers.add("traceparent", text);
  headers.add("X-Correlation-Id", text);
  headers.add("Authorization", text);
  const std::string_view trace = api::traceparent_of(headers);
  FUZZ_CHECK(trace.empty() || trace == text, "a trace context is passed on as it came");
  if (!trace.empty()) {
    FUZZ_CHECK(trace.size() == limits::kMaxTraceparentBytes && lower(trace) == trace &&
                   !trace.starts_with("ff") && trace.substr(3, 32) != std::string(32, '0') &&
                   trace.substr(36, 16) != std::string(16, '0') && is_made_of(trace, "-"),
               "a trace context has its form");
    std::string damaged(trace);
    damaged[3 + text.size() % 32] = 'G';
    FUZZ_CHECK(!penstock::pipeline::is_valid_traceparent(damaged), "upper case is no trace");
  }
  const auto correlation = api::correlation_of(headers, [] { return std::uint64_t{7}; });
  FUZZ_CHECK(domain::CorrelationId::parse(correlation.str()), "a correlation id always has a form");
  const auto token = api::bearer_token(headers);
  if (token) FUZZ_CHECK(text.ends_with(*token), "a token is the header's end");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  FuzzInput input(data, size);
  constexpr std::array kReaders = {check_names,   check_idempotency_key, check_cursor,
                                   check_instant, check_decimal,         check_query,
                                   check_headers};
  // Letters, so that corpora are readable: 'n' for names, 'k' for keys and so on.
  constexpr std::string_view kLetters = "nkcidqh";
  static_assert(kLetters.size() == kReaders.size());
  const std::uint8_t choice = input.byte();
  const std::size_t named = kLetters.find(static_cast<char>(choice));
  kReaders[named == std::string_view::npos ? choice % kReaders.size() : named](input.rest());
  return 0;
}

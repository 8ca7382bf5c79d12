#include "api/query_parameters.h"

#include <algorithm>
#include <charconv>

#include "domain/limits.h"
#include "net/json.h"
#include "net/url.h"

namespace penstock::api {
namespace {

std::optional<std::size_t> parse_limit(std::string_view text) {
  std::size_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < 1 ||
      value > domain::limits::kMaxPage) {
    return std::nullopt;
  }
  return value;
}

/// In a query a plus sign stands for a space, unless it is written %2B. No RFC 3339 time has a
/// space in front of its offset, so there it was meant as a plus: 2026-11-22T16:00:00+01:00.
std::string with_plus(std::string_view text) {
  constexpr std::size_t kOffsetLength = std::string_view("+01:00").size();
  std::string time(text);
  if (time.size() > kOffsetLength && time[time.size() - kOffsetLength] == ' ') {
    time[time.size() - kOffsetLength] = '+';
  }
  return time;
}

}  // namespace

QueryParameters::QueryParameters(std::string_view query,
                                 std::initializer_list<std::string_view> known) {
  if (query.empty()) return;
  auto pairs = net::parse_query(query);
  if (!pairs) {
    complain("", "malformed");
    return;
  }
  pairs_ = std::move(*pairs);
  for (auto pair = pairs_.begin(); pair != pairs_.end(); ++pair) {
    const std::string& name = pair->first;
    if (std::ranges::find(known, std::string_view(name)) == known.end()) {
      // A name of the client's own goes into the answer, so it has to be text.
      complain(net::is_valid_utf8(name) ? name : "", "unknown-parameter");
    } else if (std::any_of(pairs_.begin(), pair, [&](const auto& p) { return p.first == name; })) {
      complain(name, "repeated");
    }
  }
}

std::optional<domain::TenantId> QueryParameters::tenant() {
  return read("tenant_id", domain::TenantId::parse);
}

std::optional<domain::Instant> QueryParameters::instant(std::string_view name) {
  return read(name, [](std::string_view text) { return domain::parse_rfc3339(with_plus(text)); });
}

std::size_t QueryParameters::page_limit() {
  return read("limit", parse_limit).value_or(domain::limits::kDefaultPage);
}

std::optional<domain::OrderId> QueryParameters::order_cursor(CursorList list) {
  const auto text = find("cursor");
  if (!text) return std::nullopt;
  auto position = decode_order_cursor(list, *text);
  bad_cursor_ = !position;
  return position;
}

std::optional<domain::TenantId> QueryParameters::tenant_cursor() {
  const auto text = find("cursor");
  if (!text) return std::nullopt;
  const auto position = decode_cursor(CursorList::tenants, *text);
  auto tenant = position ? domain::TenantId::parse(*position) : std::nullopt;
  bad_cursor_ = !tenant;
  return tenant;
}

std::optional<Problem> QueryParameters::problem() const {
  if (!errors_.empty()) {
    return Problem{.code = domain::ErrorCode::invalid_parameter, .errors = errors_};
  }
  if (bad_cursor_) {
    return field_problem(domain::ErrorCode::invalid_cursor, "?cursor", "invalid",
                         "Use the next_cursor of a page of this list, unchanged.");
  }
  return std::nullopt;
}

std::optional<std::string_view> QueryParameters::find(std::string_view name) const {
  const auto found = std::ranges::find(
      pairs_, name, [](const auto& pair) { return std::string_view(pair.first); });
  if (found == pairs_.end()) return std::nullopt;
  return found->second;
}

void QueryParameters::complain(std::string_view name, std::string_view code) {
  std::string pointer = "?";
  pointer += name;
  errors_.push_back({std::move(pointer), std::string(code)});
}

std::optional<Problem> refuse_query(std::string_view query) {
  if (query.empty()) return std::nullopt;
  return QueryParameters(query, {}).problem();
}

}  // namespace penstock::api

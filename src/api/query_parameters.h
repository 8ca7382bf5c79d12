#pragma once

#include <cstddef>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "api/cursor.h"
#include "api/problem.h"
#include "domain/ids.h"
#include "domain/instant.h"

namespace penstock::api {

/// The query of a request, read strictly: an unknown or doubled parameter, a value of another form
/// or a broken escape is one `invalid-parameter` problem that lists them all; a cursor that this
/// server did not issue is `invalid-cursor`. Read all parameters, then ask `problem`.
class QueryParameters {
 public:
  QueryParameters(std::string_view query, std::initializer_list<std::string_view> known);

  /// The parameter as `parse` reads it (string_view -> optional); nothing where it is absent or
  /// wrong.
  template <typename Parse>
  auto read(std::string_view name, Parse parse) -> decltype(parse(std::string_view())) {
    const auto text = find(name);
    if (!text) return std::nullopt;
    auto value = parse(*text);
    if (!value) complain(name, "invalid");
    return value;
  }
  std::optional<domain::TenantId> tenant();
  std::optional<domain::Instant> instant(std::string_view name);
  /// `limit`: 1..kMaxPage, kDefaultPage where absent.
  std::size_t page_limit();
  std::optional<domain::OrderId> order_cursor(CursorList list);
  std::optional<domain::TenantId> tenant_cursor();

  /// What was wrong, if anything was.
  std::optional<Problem> problem() const;

 private:
  std::optional<std::string_view> find(std::string_view name) const;
  void complain(std::string_view name, std::string_view code);

  std::vector<std::pair<std::string, std::string>> pairs_;
  std::vector<FieldProblem> errors_;
  bool bad_cursor_ = false;
};

/// Refuses any query, for routes without parameters.
std::optional<Problem> refuse_query(std::string_view query);

}  // namespace penstock::api

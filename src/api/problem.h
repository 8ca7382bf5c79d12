#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "domain/error_code.h"
#include "domain/ids.h"
#include "net/http_server.h"

namespace penstock::api {

/// One wrong field: a JSON pointer (RFC 6901) into the body, or "?name" for a query parameter.
struct FieldProblem {
  std::string pointer;
  std::string code;      ///< "required", "wrong-type", "too-precise", ...
  std::string detail{};  ///< a sentence: what was sent, and what is allowed; may be empty
};

/// How many wrong fields one answer lists.
inline constexpr std::size_t kMaxListedFields = 100;

/// A refusal, before it is rendered as application/problem+json (RFC 9457).
struct Problem {
  domain::ErrorCode code;
  /// One sentence about this occurrence. Empty: that of the first wrong field, if there is one;
  /// else what is usually to be done about the code.
  std::string detail{};
  std::vector<FieldProblem> errors{};
  std::string headers{};  ///< more header lines, formatted ("Name: value\r\n" each)
};

/// The body: type, title, status, detail, instance (the path), code, correlation_id and, where
/// fields are wrong, errors. `type` is the relative reference /errors/<code>, which this server
/// answers.
std::string render_problem(const Problem& problem, std::string_view instance,
                           const domain::CorrelationId& correlation);

/// The same form for what the server itself refuses before there is a request; for
/// net::HttpServerOptions::problem_body.
std::string server_problem_body(const net::HttpProblem& problem);

/// "Retry-After: N\r\n" in seconds, rounded up, at least 1 (RFC 9110 section 10.2.3).
std::string retry_after_line(domain::Duration wait);

/// A problem about one field.
Problem field_problem(domain::ErrorCode code, std::string pointer, std::string_view field_code,
                      std::string_view detail);

}  // namespace penstock::api

#include "api/problem.h"

#include <algorithm>
#include <cstdint>
#include <utility>

#include <fmt/format.h>

#include "api/rate_limit_headers.h"
#include "net/json.h"
#include "net/json_writer.h"

namespace penstock::api {
namespace {

void open_problem(net::JsonWriter& writer, domain::ErrorCode code, std::string_view detail) {
  const std::string_view text = domain::to_string(code);
  std::string type = "/errors/";
  type += text;
  writer.begin_object()
      .member("type", type)
      .member("title", domain::title_of(code))
      .member("status", domain::status_of(code));
  if (!detail.empty()) writer.member("detail", detail);
  writer.member("code", text);
}

}  // namespace

std::string render_problem(const Problem& problem, std::string_view instance,
                           const domain::CorrelationId& correlation) {
  std::string body;
  net::JsonWriter writer(body);
  const bool tells = problem.detail.empty() && !problem.errors.empty();
  open_problem(writer, problem.code, tells ? problem.errors.front().detail : problem.detail);
  if (net::is_valid_utf8(instance)) writer.member("instance", instance);
  writer.member("correlation_id", correlation.str());
  if (!problem.errors.empty()) {
    writer.key("errors").begin_array();
    for (const FieldProblem& field : problem.errors) {
      writer.begin_object().member("pointer", field.pointer).member("code", field.code);
      if (!field.detail.empty()) writer.member("detail", field.detail);
      writer.end_object();
    }
    writer.end_array();
  }
  writer.end_object();
  return body;
}

std::string server_problem_body(const net::HttpProblem& problem) {
  // The server's own code for a full connection table has no page: to a client it is the same.
  const domain::ErrorCode code =
      domain::parse_error_code(problem.code)
          .value_or(problem.status == 503 ? domain::ErrorCode::reduced_capacity
                                          : domain::ErrorCode::bad_request);
  std::string body;
  net::JsonWriter writer(body);
  open_problem(writer, code, problem.detail);
  writer.end_object();
  return body;
}

std::string retry_after_line(domain::Duration wait) {
  return fmt::format("Retry-After: {}\r\n", std::max<std::int64_t>(whole_seconds_up(wait), 1));
}

Problem field_problem(domain::ErrorCode code, std::string pointer, std::string_view field_code,
                      std::string_view detail) {
  Problem problem{.code = code, .detail = std::string(detail)};
  problem.errors.push_back({std::move(pointer), std::string(field_code)});
  return problem;
}

}  // namespace penstock::api

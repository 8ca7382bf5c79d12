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

/// What there is to say of an occurrence that its place said nothing of.
std::string_view usual_detail(domain::ErrorCode code) {
  using domain::ErrorCode;
  switch (code) {
    case ErrorCode::unauthorized:
      return "Send one Authorization header with a valid key: Authorization: Bearer KEY.";
    case ErrorCode::not_found:
      return "Nothing with this path or id is visible to the caller.";
    case ErrorCode::method_not_allowed:
      return "The Allow header lists the methods of this resource.";
    case ErrorCode::order_already_terminal:
      return "Only an order that has not ended can be cancelled.";
    case ErrorCode::not_a_dead_letter:
      return "Only an open dead letter can be redriven or discarded.";
    case ErrorCode::stock_below_held:
      return "A product has at most 1 000 000 000 000 pieces, and no fewer than orders hold.";
    case ErrorCode::body_too_large:
      return "A body has at most 256 KiB.";
    case ErrorCode::unsupported_media_type:
      return "Send Content-Type: application/json.";
    case ErrorCode::idempotency_key_reused:
      return "Another order was sent under this key before. A new order needs a new key.";
    case ErrorCode::cost_exceeds_capacity:
      return "An order costs one token, and the tenant's bucket never holds one.";
    case ErrorCode::too_many_tenants:
      return "No further tenant can be added.";
    case ErrorCode::quota_exceeded:
      return "The tenant's rate and burst are used up. Retry-After says when an order passes.";
    case ErrorCode::reduced_capacity:
      return "Send the same request again after the time in Retry-After.";
    case ErrorCode::draining:
      return "Send the request again after the time in Retry-After, or to another server.";
    default:
      return domain::title_of(code);
  }
}

void open_problem(net::JsonWriter& writer, domain::ErrorCode code, std::string_view detail) {
  const std::string_view text = domain::to_string(code);
  std::string type = "/errors/";
  type += text;
  writer.begin_object()
      .member("type", type)
      .member("title", domain::title_of(code))
      .member("status", domain::status_of(code))
      .member("detail", detail.empty() ? usual_detail(code) : detail)
      .member("code", text);
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

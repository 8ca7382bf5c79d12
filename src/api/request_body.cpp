#include "api/request_body.h"

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "api/object_reader.h"
#include "domain/limits.h"

namespace penstock::api {
namespace {

bool is_json_media_type(std::string_view value) {
  std::string_view type = value.substr(0, value.find(';'));
  while (!type.empty() && (type.back() == ' ' || type.back() == '\t')) type.remove_suffix(1);
  return net::equals_ignoring_case(type, "application/json");
}

Problem media_type_problem() {
  return {.code = domain::ErrorCode::unsupported_media_type,
          .detail = "The body must be sent as Content-Type: application/json."};
}

Problem json_problem(const net::JsonError& error) {
  std::string code(net::to_string(error.code));
  std::ranges::replace(code, '_', '-');
  Problem problem = field_problem(domain::ErrorCode::malformed_json, error.pointer, code, "");
  problem.detail = fmt::format("The body is no strict JSON at byte {}: {}.", error.offset, code);
  return problem;
}

}  // namespace

std::expected<net::JsonDocument, Problem> read_json_object(const net::HttpRequest& request,
                                                           domain::ErrorCode not_an_object) {
  if (const auto type = request.headers.find("Content-Type")) {
    if (!is_json_media_type(*type) || request.headers.count("Content-Type") != 1) {
      return std::unexpected(media_type_problem());
    }
  }
  if (request.body.size() > domain::limits::kMaxBodyBytes) {
    return std::unexpected(Problem{.code = domain::ErrorCode::body_too_large});
  }
  auto document = net::JsonDocument::parse(
      request.body,
      {.max_bytes = domain::limits::kMaxBodyBytes, .max_depth = domain::limits::kMaxJsonDepth});
  if (!document) return std::unexpected(json_problem(document.error()));
  if (!document->root().is_object()) {
    return std::unexpected(
        field_problem(not_an_object, "", "wrong-type", "The body must be a JSON object."));
  }
  return std::move(*document);
}

std::optional<Problem> refuse_encoded_body(const net::HttpRequest& request) {
  if (request.body.empty()) return std::nullopt;
  for (std::size_t i = 0; i < request.headers.size(); ++i) {
    if (!net::equals_ignoring_case(request.headers.name(i), "Content-Encoding")) continue;
    const std::string_view coding = request.headers.value(i);
    if (net::equals_ignoring_case(coding, "identity")) continue;
    constexpr std::size_t kShownBytes = 40;
    return Problem{.code = domain::ErrorCode::unsupported_media_type,
                   .detail = fmt::format("Content-Encoding: {} is not supported; send the body "
                                         "without an encoding.",
                                         coding.substr(0, kShownBytes)),
                   .headers = "Accept-Encoding: identity\r\n"};
  }
  return std::nullopt;
}

std::optional<Problem> refuse_body(const net::HttpRequest& request) {
  if (request.body.empty()) return std::nullopt;
  const auto body = read_json_object(request, domain::ErrorCode::invalid_body);
  if (!body) return body.error();
  std::vector<FieldProblem> errors;
  const ObjectReader reader(body->root(), "", errors, {});
  if (errors.empty()) return std::nullopt;
  return Problem{.code = domain::ErrorCode::invalid_body, .errors = std::move(errors)};
}

}  // namespace penstock::api

#include "api/verdict.h"

#include <utility>

#include "api/rate_limit_headers.h"

namespace penstock::api {
namespace {

using domain::ErrorCode;
using pipeline::PlaceOutcome;
using pipeline::Refusal;

constexpr domain::Duration kShortly = domain::Duration::seconds(1);
constexpr std::size_t kUsualHeaderBytes = 256;

Problem plain(ErrorCode code) {
  return {.code = code};
}

Problem passing(ErrorCode code, domain::Duration retry_after) {
  Problem problem = plain(code);
  problem.headers = retry_after_line(retry_after);
  return problem;
}

Verdict placed(const pipeline::PlaceResult& result, PlacedAnswer answer) {
  net::HttpResponse response{.status = 202, .content_type = "application/json"};
  std::string& lines = response.formatted_headers;
  lines.reserve(kUsualHeaderBytes);
  lines += "Location: /orders/";
  result.order->id.append_to(lines);
  lines += "\r\n";
  if (result.outcome == PlaceOutcome::replayed) {
    lines += "Idempotent-Replayed: true\r\n";
    answer = PlacedAnswer(*result.order);
  } else {
    append_rate_limit_lines(result.contract, result.take, lines);
  }
  response.body = std::move(answer).fill(result.order->id, result.order->created_at);
  return response;
}

Problem quota_problem(const pipeline::PlaceResult& result, ErrorCode code) {
  Problem problem = plain(code);
  append_rate_limit_lines(result.contract, result.take, problem.headers);
  if (code == ErrorCode::quota_exceeded) {
    problem.headers +=
        retry_after_line(result.retry_after.us > 0 ? result.retry_after : result.take.wait);
  }
  return problem;
}

}  // namespace

net::HttpResponse json_response(int status, std::string body) {
  return {.status = status,
          .content_type = "application/json",
          .headers = {},
          .formatted_headers = {},
          .body = std::move(body)};
}

Verdict verdict_of(const pipeline::PlaceResult& result, PlacedAnswer answer) {
  switch (result.outcome) {
    case PlaceOutcome::accepted:
    case PlaceOutcome::replayed:
      if (!result.order) return Abandon{};
      return placed(result, std::move(answer));
    case PlaceOutcome::key_reused:
      return plain(ErrorCode::idempotency_key_reused);
    case PlaceOutcome::quota_exceeded:
      return quota_problem(result, ErrorCode::quota_exceeded);
    case PlaceOutcome::cost_exceeds_capacity:
      return quota_problem(result, ErrorCode::cost_exceeds_capacity);
    case PlaceOutcome::reduced_capacity:
      return passing(ErrorCode::reduced_capacity, result.retry_after);
    case PlaceOutcome::draining:
      return passing(ErrorCode::draining, result.retry_after);
    case PlaceOutcome::abandoned:
      return Abandon{};
  }
  return Abandon{};
}

Verdict verdict_of(Refusal refusal) {
  switch (refusal) {
    case Refusal::reduced_capacity:
      return passing(ErrorCode::reduced_capacity, kShortly);
    case Refusal::draining:
      return passing(ErrorCode::draining, kShortly);
    case Refusal::abandoned:
      return Abandon{};
    case Refusal::not_found:
      return not_found();
    case Refusal::already_terminal:
      return plain(ErrorCode::order_already_terminal);
    case Refusal::not_a_dead_letter:
      return plain(ErrorCode::not_a_dead_letter);
    case Refusal::stock_limit:
      return plain(ErrorCode::stock_below_held);
    case Refusal::too_many_tenants:
      return plain(ErrorCode::too_many_tenants);
    case Refusal::stale:
      return passing(ErrorCode::reduced_capacity, kShortly);
  }
  return Abandon{};
}

Problem problem_of(ports::StoreError error) {
  Problem problem = passing(ErrorCode::reduced_capacity, kShortly);
  problem.detail = error == ports::StoreError::corrupt
                       ? "A stored record is damaged; `penstock check` names it."
                       : "The store cannot be read at the moment.";
  return problem;
}

Problem not_found() {
  return {.code = ErrorCode::not_found};
}

}  // namespace penstock::api

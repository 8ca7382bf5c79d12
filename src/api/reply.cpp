#include "api/reply.h"

#include <utility>
#include <variant>

#include "api/context.h"

namespace penstock::api {

std::string_view Reply::path() const {
  const std::string_view target = request_.target;
  return target.substr(0, target.find('?'));
}

void Reply::give(Verdict verdict) noexcept {
  if (auto* response = std::get_if<net::HttpResponse>(&verdict)) return send(std::move(*response));
  if (const auto* problem = std::get_if<Problem>(&verdict)) return refuse(*problem);
  abandon();
}

void Reply::send(net::HttpResponse response) noexcept {
  try {
    hand_over(std::move(response));
  } catch (...) {
    abandon();
  }
}

void Reply::refuse(const Problem& problem) noexcept {
  try {
    context_->refusals.refused(problem.code, problem.detail, request_.correlation);
    hand_over({.status = domain::status_of(problem.code),
               .content_type = "application/problem+json",
               .headers = {},
               .formatted_headers = problem.headers,
               .body = render_problem(problem, path(), request_.correlation)});
  } catch (...) {
    abandon();
  }
}

void Reply::abandon() noexcept {
  constexpr int kNoAnswer = 0;
  if (!responder_) return;
  context_->counters.add(request_.route, kNoAnswer);
  responder_.abandon();
}

void Reply::hand_over(net::HttpResponse response) {
  response.formatted_headers += "X-Correlation-Id: ";
  response.formatted_headers += request_.correlation.str();
  response.formatted_headers += "\r\n";
  context_->counters.add(request_.route, response.status);
  responder_.send(std::move(response));
}

}  // namespace penstock::api

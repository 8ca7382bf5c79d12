#include <expected>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "api/correlation.h"
#include "api/idempotency.h"
#include "api/object_reader.h"
#include "api/placed_answer.h"
#include "api/query_parameters.h"
#include "api/rate_limit_headers.h"
#include "api/request_body.h"
#include "api/resources.h"
#include "api/submission.h"
#include "net/json_writer.h"

namespace penstock::api {
namespace {

constexpr std::string_view kPlace = "place_order";
constexpr std::string_view kPeek = "check_rate_limit";

net::HttpResponse bucket_response(const domain::TenantId& tenant,
                                  const pipeline::PeekResult& bucket) {
  std::string body;
  net::JsonWriter(body)
      .begin_object()
      .member("tenant_id", tenant.str())
      .member("limit", bucket.contract.burst)
      .member("remaining", bucket.take.remaining)
      .member("reset_seconds", whole_seconds_up(bucket.take.full_in))
      .member("allowed", bucket.take.remaining > 0)
      .end_object();
  net::HttpResponse response = json_response(200, std::move(body));
  append_rate_limit_lines(bucket.contract, bucket.take, response.formatted_headers);
  return response;
}

void look_at_bucket(Context& context, Call call, net::JsonView body) {
  std::vector<FieldProblem> errors;
  ObjectReader reader(body, "", errors);
  const auto named = reader.string("tenant_id", Presence::optional);
  if (!errors.empty()) {
    return call.reply.refuse(
        {.code = domain::ErrorCode::invalid_body, .errors = std::move(errors)});
  }
  auto tenant = choose_tenant(call.caller, {.named = named});
  if (!tenant) return call.reply.refuse(tenant.error());
  auto done = [reply = std::move(call.reply), tenant = *tenant](auto result) mutable {
    reply.answer([&]() -> Verdict {
      if (!result) return verdict_of(result.error());
      return bucket_response(tenant, *result);
    });
  };
  context.parts.intake.submit(
      pipeline::PeekRateLimit{.tenant = *std::move(tenant), .done = std::move(done)});
}

/// The body's action, or the problem with it.
std::expected<std::string_view, Problem> action_of(net::JsonView body) {
  std::vector<FieldProblem> errors;
  ObjectReader reader(body, "", errors);
  const std::string_view action = reader.string("action", Presence::optional).value_or(kPlace);
  if (errors.empty() && action != kPlace && action != kPeek) reader.complain("action", "unknown");
  if (errors.empty()) return action;
  return std::unexpected(
      Problem{.code = domain::ErrorCode::invalid_order, .errors = std::move(errors)});
}

}  // namespace

void place_order(Context& context, Call call) {
  if (const auto problem = refuse_query(call.query)) return call.reply.refuse(*problem);
  const auto body = read_json_object(call.request, domain::ErrorCode::invalid_order);
  if (!body) return call.reply.refuse(body.error());
  const auto action = action_of(body->root());
  if (!action) return call.reply.refuse(action.error());
  if (*action == kPeek) return look_at_bucket(context, std::move(call), body->root());

  const auto header_key = idempotency_key_of(call.request.headers);
  if (!header_key) return call.reply.refuse(header_key.error());
  auto submission = read_submission({.body = body->root(),
                                     .caller = call.caller,
                                     .header_key = *header_key,
                                     .correlation = call.reply.correlation(),
                                     .traceparent = traceparent_of(call.request.headers)});
  if (!submission) return call.reply.refuse(submission.error());
  PlacedAnswer answer(submission->draft);
  context.parts.intake.submit(pipeline::PlaceOrder{
      .draft = std::move(submission->draft),
      .idempotency = std::move(submission->idempotency),
      .done = [reply = std::move(call.reply),
               answer = std::move(answer)](const pipeline::PlaceResult& result) mutable {
        reply.answer([&] { return verdict_of(result, std::move(answer)); });
      }});
}

}  // namespace penstock::api

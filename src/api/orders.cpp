#include <utility>

#include <fmt/format.h>

#include "api/order_json.h"
#include "api/query_parameters.h"
#include "api/resources.h"
#include "api/stored_orders.h"
#include "domain/decimal.h"
#include "domain/limits.h"

namespace penstock::api {
namespace {

/// Seconds with at most three digits behind the point, 0..kMaxWaitSeconds.
std::optional<domain::Duration> parse_wait(std::string_view text) {
  const auto milliseconds = domain::parse_decimal(
      text, {.fraction_digits = 3, .maximum = domain::limits::kMaxWaitSeconds * 1000});
  if (!milliseconds) return std::nullopt;
  return domain::Duration::milliseconds(*milliseconds);
}

/// Runs on the answer thread: the pipeline's thread has better things to do than read.
void answer_with_order(const Context& context, const domain::OrderId& id, Reply& reply) {
  const auto found = context.parts.reader.find(id);
  if (!found) return reply.refuse(problem_of(found.error()));
  if (!*found) return reply.refuse(not_found());
  reply.send(json_response(200, order_body((*found)->order)));
}

}  // namespace

std::expected<ports::StoredOrder, Problem> find_order(const Context& context, const Caller& caller,
                                                      std::string_view id) {
  const auto order = domain::OrderId::parse(id);
  if (!order) return std::unexpected(not_found());
  auto found = context.parts.reader.find(*order);
  if (!found) return std::unexpected(problem_of(found.error()));
  if (!*found || !caller.reaches((*found)->order.tenant)) return std::unexpected(not_found());
  return **std::move(found);
}

void get_order(Context& context, Call call) {
  QueryParameters query(call.query, {"wait"});
  const auto wait = query.read("wait", parse_wait);
  if (const auto problem = query.problem()) return call.reply.refuse(*problem);
  const auto stored = find_order(context, call.caller, call.id);
  if (!stored) return call.reply.refuse(stored.error());
  if (!wait || wait->us == 0 || domain::is_terminal(stored->order.status)) {
    return call.reply.send(json_response(200, order_body(stored->order)));
  }
  const domain::OrderId id = stored->order.id;
  context.parts.intake.submit(pipeline::WaitForEnd{
      .order = id,
      .until = context.parts.clock.now().wall + *wait,
      .done = [&context, id, reply = std::move(call.reply)](std::monostate) mutable {
        context.answers.post([&context, id, reply = std::move(reply)]() mutable {
          answer_with_order(context, id, reply);
        });
      }});
}

void get_events(Context& context, Call call) {
  if (const auto problem = refuse_query(call.query)) return call.reply.refuse(*problem);
  const auto stored = find_order(context, call.caller, call.id);
  if (!stored) return call.reply.refuse(stored.error());
  call.reply.send(json_response(200, events_body(*stored)));
}

void get_receipt(Context& context, Call call) {
  if (const auto problem = refuse_query(call.query)) return call.reply.refuse(*problem);
  auto stored = find_order(context, call.caller, call.id);
  if (!stored) return call.reply.refuse(stored.error());
  if (stored->receipt.empty()) {
    Problem problem = not_found();
    problem.detail = fmt::format("The order is {}; only a fulfilled order has a receipt.",
                                 domain::to_string(stored->order.status));
    return call.reply.refuse(problem);
  }
  call.reply.send(json_response(200, std::move(stored->receipt)));
}

void get_why(Context& context, Call call) {
  if (const auto problem = refuse_query(call.query)) return call.reply.refuse(*problem);
  auto stored = find_order(context, call.caller, call.id);
  if (!stored) return call.reply.refuse(stored.error());
  const domain::OrderId id = stored->order.id;
  const auto stage = domain::stage_of(stored->order.status);
  context.parts.intake.submit(pipeline::AskProgress{
      .order = id,
      .done =
          [&context, order = std::move(stored->order),
           reply = std::move(call.reply)](pipeline::Progress progress) mutable {
            const domain::Instant now = context.parts.clock.now().wall;
            reply.send(json_response(200, why_body(order, progress, now)));
          },
      .stage = stage});
}

void cancel_order(Context& context, Call call) {
  if (const auto problem = refuse_query(call.query)) return call.reply.refuse(*problem);
  const auto stored = find_order(context, call.caller, call.id);
  if (!stored) return call.reply.refuse(stored.error());
  context.parts.intake.submit(pipeline::CancelOrder{
      .order = stored->order.id, .done = [reply = std::move(call.reply)](auto result) mutable {
        if (!result) return reply.give(verdict_of(result.error()));
        reply.send(json_response(202, order_body(*result)));
      }});
}

}  // namespace penstock::api

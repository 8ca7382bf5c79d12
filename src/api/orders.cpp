#include <memory>
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

/// After a wait that did not bring the order: as it is now stored.
Finish answer_with_order(const ports::OrderReader& reader, const domain::OrderId& id) {
  const auto found = reader.find(id);
  if (!found) return answer_with(problem_of(found.error()));
  if (!*found) return answer_with(not_found());
  return answer_with(json_response(200, order_body((*found)->order)));
}

struct Wait {
  domain::OrderId order;
  domain::Instant until;
  WaitPlaces::Place place;
  JobShare share;
};

void wait_for_end(Context& context, Wait wait, Reply reply) {
  const domain::OrderId id = wait.order;
  context.parts.intake.submit(pipeline::WaitForEnd{
      .order = id,
      .until = wait.until,
      .done = [&context, id, place = std::move(wait.place), share = std::move(wait.share),
               reply =
                   std::move(reply)](const std::shared_ptr<const domain::Order>& ended) mutable {
        if (ended) return reply.answer([&] { return json_response(200, order_body(*ended)); });
        // Bounded by the places: whoever was let in to wait is answered.
        context.pool.read_promised(
            Lane::reads, share, std::move(reply),
            [id, place = std::move(place)](const ports::OrderReader& reader) {
              return answer_with_order(reader, id);
            });
      }});
}

}  // namespace

std::expected<ports::StoredOrder, Problem> find_order(const Reads& reads, const ReadCall& call) {
  const auto order = domain::OrderId::parse(call.id);
  if (!order) return std::unexpected(not_found());
  auto found = reads.reader.find(*order);
  if (!found) return std::unexpected(problem_of(found.error()));
  if (!*found || !call.caller.reaches((*found)->order.tenant)) return std::unexpected(not_found());
  return **std::move(found);
}

Finish get_order(const Reads& reads, const ReadCall& call) {
  QueryParameters query(call.query, {"wait"});
  const auto wait = query.read("wait", parse_wait);
  if (auto problem = query.problem()) return answer_with(*std::move(problem));
  const auto stored = find_order(reads, call);
  if (!stored) return answer_with(stored.error());
  const domain::Order& order = stored->order;
  const bool waits = wait && wait->us > 0 && !domain::is_terminal(order.status);
  auto place = waits ? reads.context.waits.take(order.tenant.str()) : std::nullopt;
  if (!place) return answer_with(json_response(200, order_body(order)));
  return [&context = reads.context,
          wait = Wait{.order = order.id,
                      .until = reads.context.parts.clock.now().wall + *wait,
                      .place = *std::move(place),
                      .share = {.owner = "waits of " + order.tenant.str(), .address = ""}}](
             Reply reply) mutable { wait_for_end(context, std::move(wait), std::move(reply)); };
}

Finish get_events(const Reads& reads, const ReadCall& call) {
  if (auto problem = refuse_query(call.query)) return answer_with(*std::move(problem));
  const auto stored = find_order(reads, call);
  if (!stored) return answer_with(stored.error());
  return answer_with(json_response(200, events_body(*stored)));
}

Finish get_receipt(const Reads& reads, const ReadCall& call) {
  if (auto problem = refuse_query(call.query)) return answer_with(*std::move(problem));
  auto stored = find_order(reads, call);
  if (!stored) return answer_with(stored.error());
  if (stored->receipt.empty()) {
    Problem problem = not_found();
    problem.detail = fmt::format("The order is {}; only a fulfilled order has a receipt.",
                                 domain::to_string(stored->order.status));
    return answer_with(std::move(problem));
  }
  return answer_with(json_response(200, std::move(stored->receipt)));
}

Finish get_why(const Reads& reads, const ReadCall& call) {
  if (auto problem = refuse_query(call.query)) return answer_with(*std::move(problem));
  auto stored = find_order(reads, call);
  if (!stored) return answer_with(stored.error());
  return [&context = reads.context, stored = *std::move(stored)](Reply reply) mutable {
    const domain::OrderId id = stored.order.id;
    const auto stage = domain::stage_of(stored.order.status);
    domain::TenantId tenant = stored.order.tenant;
    context.parts.intake.submit(pipeline::AskProgress{
        .order = id,
        .done =
            [&context, stored = std::move(stored),
             reply = std::move(reply)](const pipeline::Progress& progress) mutable {
              reply.answer([&] {
                const domain::Instant now = context.parts.clock.now().wall;
                return json_response(200, why_body(stored, progress, now));
              });
            },
        .stage = stage,
        .tenant = std::move(tenant)});
  };
}

Finish cancel_order(const Reads& reads, const ReadCall& call) {
  if (auto problem = refuse_query(call.query)) return answer_with(*std::move(problem));
  const auto stored = find_order(reads, call);
  if (!stored) return answer_with(stored.error());
  return [&context = reads.context, id = stored->order.id](Reply reply) {
    context.parts.intake.submit(
        pipeline::CancelOrder{.order = id, .done = [reply = std::move(reply)](auto result) mutable {
                                reply.answer([&]() -> Verdict {
                                  if (!result) return verdict_of(result.error());
                                  return json_response(202, order_body(*result));
                                });
                              }});
  };
}

}  // namespace penstock::api

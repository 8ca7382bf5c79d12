#include "api/order_json.h"

#include "api/effect_names.h"
#include "domain/retry.h"

namespace penstock::api {
namespace {

void append_dead_letter(const domain::DeadLetter& mark, net::JsonWriter& writer) {
  writer.key("dead_letter_detail")
      .begin_object()
      .member("state", to_string(mark.state))
      .member("stage", domain::to_string(mark.stage))
      .member("attempts", mark.attempts);
  append_reason("first_error", mark.first_error, writer);
  append_reason("last_error", mark.last_error, writer);
  append_time("first_failed_at", mark.first_failed_at, writer);
  append_time("at", mark.at, writer);
  writer.end_object();
}

void append_event(const domain::Event& event, net::JsonWriter& writer) {
  writer.begin_object().member("version", event.version.number);
  append_time("at", event.at, writer);
  if (event.from) {
    writer.member("from", domain::to_string(*event.from));
  } else {
    writer.key("from").null();
  }
  writer.member("to", domain::to_string(event.to)).member("stage", domain::to_string(event.stage));
  append_reason("reason", event.reason, writer);
  writer.member("attempt", event.attempt).end_object();
}

void append_delivery(const ports::Delivered& delivery, domain::Status status,
                     net::JsonWriter& writer) {
  writer.begin_object().key("version").null();
  append_time("at", delivery.at, writer);
  writer.member("from", domain::to_string(status))
      .member("to", domain::to_string(status))
      .member("stage", domain::to_string(domain::Stage::notification));
  append_reason("reason", delivery.reason, writer);
  writer.member("attempt", delivery.attempt).end_object();
}

bool is_gateway_effect(domain::EffectKind kind) {
  switch (kind) {
    case domain::EffectKind::charge:
    case domain::EffectKind::find_charge:
    case domain::EffectKind::close_charge:
    case domain::EffectKind::refund:
      return true;
    case domain::EffectKind::fulfill:
    case domain::EffectKind::find_fulfillment:
    case domain::EffectKind::close_fulfillment:
      return false;
  }
  return false;
}

/// When the order is tried again, where that lies ahead.
std::optional<domain::Instant> next_retry(const domain::Order& order,
                                          const pipeline::Progress& progress, domain::Instant now) {
  if (domain::is_terminal(order.status) || domain::is_open_dead_letter(order)) return std::nullopt;
  if (progress.peer_away_since && progress.peer_next_try > now) return progress.peer_next_try;
  if (progress.next_try && *progress.next_try > now) return progress.next_try;
  if (order.due > now) return order.due;
  return std::nullopt;
}

/// The last attempt at the order's webhook, where it failed and another will be made.
const ports::Delivered* failed_delivery(const ports::StoredOrder& stored) {
  if (!domain::is_terminal(stored.order.status) || stored.deliveries.empty()) return nullptr;
  const ports::Delivered& last = stored.deliveries.back();
  return last.reason == domain::Reason::delivery_failed ? &last : nullptr;
}

/// When the webhook is tried again.
std::optional<domain::Instant> next_delivery(const ports::Delivered& failed) {
  const auto pause = domain::webhook_pause(failed.attempt + 1);
  if (!pause) return std::nullopt;
  return failed.at + *pause;
}

std::string_view waiting_for(const domain::Order& order, const pipeline::Progress& progress,
                             bool has_next_retry) {
  if (domain::is_terminal(order.status)) return "nothing";
  if (domain::is_open_dead_letter(order)) return "redrive-or-discard";
  if (progress.in_flight) {
    return !progress.effect || is_gateway_effect(*progress.effect) ? "gateway" : "fulfiller";
  }
  if (progress.peer_away_since) {
    return order.status == domain::Status::charged ? "fulfiller" : "gateway";
  }
  if (progress.runs_elsewhere) return "another-process";
  if (has_next_retry) return "retry";
  if (progress.at_bound) return "bound";
  return progress.careful_run ? "careful-run" : "turn";
}

/// Why the last effect settled nothing, and since when the peer answers nobody; null where it does.
void append_peer(const pipeline::Progress& progress, net::JsonWriter& writer) {
  writer.key("peer");
  if (progress.trouble == domain::Trouble::none && !progress.peer_away_since) {
    writer.null();
    return;
  }
  writer.begin_object()
      .member("trouble", to_string(progress.trouble))
      .member("detail", progress.detail);
  append_time("away_since", progress.peer_away_since, writer);
  writer.end_object();
}

}  // namespace

std::string_view to_string(domain::DeadLetterState state) {
  switch (state) {
    case domain::DeadLetterState::open:
      return "open";
    case domain::DeadLetterState::compensated:
      return "compensated";
    case domain::DeadLetterState::discarded:
      return "discarded";
  }
  return "open";
}

void append_next_cursor(CursorList list, const std::optional<domain::OrderId>& next,
                        net::JsonWriter& writer) {
  writer.key("next_cursor");
  if (next) {
    writer.string(encode_cursor(list, *next));
  } else {
    writer.null();
  }
}

void append_items(const domain::Order& order, net::JsonWriter& writer) {
  static thread_local std::string price;
  writer.key("items").begin_array();
  for (const domain::Item& item : order.items) {
    price.clear();
    domain::append_amount({.minor_units = item.price_minor, .currency = order.total.currency},
                          price);
    writer.begin_object()
        .member("product_id", item.product.str())
        .member("quantity", item.quantity)
        .member("price", price)
        .end_object();
  }
  writer.end_array();
}

void append_money(std::string_view name, domain::Money money, net::JsonWriter& writer) {
  static thread_local std::string amount;
  amount.clear();
  domain::append_amount(money, amount);
  writer.key(name)
      .begin_object()
      .member("amount", amount)
      .member("minor_units", money.minor_units)
      .member("currency", money.currency.code())
      .end_object();
}

void append_time(std::string_view name, std::optional<domain::Instant> at,
                 net::JsonWriter& writer) {
  writer.key(name);
  if (at) {
    writer.string(domain::to_rfc3339(*at));
  } else {
    writer.null();
  }
}

void append_reason(std::string_view name, domain::Reason reason, net::JsonWriter& writer) {
  writer.key(name);
  if (reason == domain::Reason::none) {
    writer.null();
  } else {
    writer.string(domain::to_string(reason));
  }
}

void append_order(const domain::Order& order, net::JsonWriter& writer) {
  writer.begin_object()
      .member("order_id", order.id.str())
      .member("status", domain::to_string(order.status))
      .member("dead_letter", order.dead_letter.has_value());
  if (order.reason != domain::Reason::none) append_reason("reason", order.reason, writer);
  writer.member("tenant_id", order.tenant.str()).member("customer_id", order.customer.str());
  append_items(order, writer);
  append_money("total", order.total, writer);
  writer.key("payment").begin_object().member("method", order.payment_method).end_object();
  writer.key("metadata").begin_object();
  for (const auto& [name, value] : order.metadata) writer.member(name, value);
  writer.end_object()
      .member("correlation_id", order.correlation.str())
      .member("version", order.version.number);
  append_time("created_at", order.created_at, writer);
  append_time("updated_at", order.updated_at, writer);
  writer.member("attempts", order.attempts).member("redrives", order.redrives);
  if (order.dead_letter) append_dead_letter(*order.dead_letter, writer);
  writer.end_object();
}

std::string order_body(const domain::Order& order) {
  std::string body;
  net::JsonWriter writer(body);
  append_order(order, writer);
  return body;
}

std::string events_body(const ports::StoredOrder& stored) {
  std::string body;
  net::JsonWriter writer(body);
  writer.begin_object().member("order_id", stored.order.id.str()).key("events").begin_array();
  for (const domain::Event& event : stored.order.timeline) append_event(event, writer);
  for (const ports::Delivered& delivery : stored.deliveries) {
    append_delivery(delivery, stored.order.status, writer);
  }
  writer.end_array().end_object();
  return body;
}

domain::Instant in_status_since(const domain::Order& order) {
  domain::Instant since = order.updated_at;
  for (auto event = order.timeline.rbegin(); event != order.timeline.rend(); ++event) {
    if (event->to != order.status) break;
    since = event->at;
  }
  return since;
}

std::string why_body(const ports::StoredOrder& stored, const pipeline::Progress& progress,
                     domain::Instant now) {
  const domain::Order& order = stored.order;
  const ports::Delivered* failed = failed_delivery(stored);
  auto retry = next_retry(order, progress, now);
  if (failed != nullptr) retry = next_delivery(*failed);
  const bool ended = domain::is_terminal(order.status);
  std::string body;
  net::JsonWriter writer(body);
  writer.begin_object()
      .member("order_id", order.id.str())
      .member("status", domain::to_string(order.status))
      .member("dead_letter", domain::is_open_dead_letter(order))
      .member("waiting_for",
              failed != nullptr ? "webhook" : waiting_for(order, progress, retry.has_value()));
  const auto stage =
      failed != nullptr ? domain::Stage::notification : domain::stage_of(order.status);
  if (stage) {
    writer.member("stage", domain::to_string(*stage));
  } else {
    writer.key("stage").null();
  }
  append_time("since", progress.since.value_or(in_status_since(order)), writer);
  // Attempts are counted when they fail; the one under way is the next.
  const bool trying = !ended && !domain::is_open_dead_letter(order);
  const auto failures =
      static_cast<std::int32_t>(order.status == domain::Status::cancelling ? progress.failures : 0);
  const std::int32_t attempt = std::max(order.attempts, failures) + (trying ? 1 : 0);
  writer.member("attempt", failed != nullptr ? failed->attempt + 1 : attempt);
  append_reason("last_error", failed != nullptr ? failed->reason : order.last_error, writer);
  append_time("next_retry_at", retry, writer);
  writer.member("in_flight", progress.in_flight);
  writer.key("effect");
  if (progress.effect) {
    writer.string(to_string(*progress.effect));
  } else {
    writer.null();
  }
  writer.member("unanswered", progress.unanswered);
  append_peer(progress, writer);
  append_reason("reason", order.reason, writer);
  writer.end_object();
  return body;
}

}  // namespace penstock::api

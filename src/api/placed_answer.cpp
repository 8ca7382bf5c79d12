#include "api/placed_answer.h"

#include <string_view>
#include <utility>

#include "api/order_json.h"
#include "domain/check.h"
#include "net/json_writer.h"

namespace penstock::api {
namespace {

// Text of the width of what will stand there.
constexpr std::string_view kBlankId = "00000000-0000-0000-0000-000000000000";
constexpr std::string_view kBlankTime = "0000-00-00T00:00:00.000000Z";
/// What a body of one item takes, ids of usual length included.
constexpr std::size_t kUsualBytes = 512;

}  // namespace

PlacedAnswer::PlacedAnswer(const domain::Order& order) {
  body_.reserve(kUsualBytes);
  net::JsonWriter writer(body_);
  // The offset of the next string's content, behind its quote.
  const auto blank = [&](std::string_view name, std::string_view text) {
    writer.key(name);
    const std::size_t at = body_.size() + 1;
    writer.string(text);
    return at;
  };
  writer.begin_object();
  id_at_ = blank("order_id", kBlankId);
  writer.member("status", domain::to_string(domain::Status::placed))
      .member("dead_letter", false)
      .member("tenant_id", order.tenant.str())
      .member("customer_id", order.customer.str());
  append_items(order, writer);
  append_money("total", order.total, writer);
  writer.member("correlation_id", order.correlation.str()).member("version", 1);
  created_at_ = blank("created_at", kBlankTime);
  updated_at_ = blank("updated_at", kBlankTime);
  writer.end_object();
}

std::string PlacedAnswer::fill(const domain::OrderId& id, domain::Instant created_at) && {
  static thread_local std::string text;
  text.clear();
  id.append_to(text);
  PENSTOCK_CHECK(text.size() == kBlankId.size(), "an id has 36 characters");
  body_.replace(id_at_, text.size(), text);
  text.clear();
  domain::append_rfc3339(created_at, text);
  PENSTOCK_CHECK(text.size() == kBlankTime.size(), "a time of the years 0 to 9999");
  body_.replace(created_at_, text.size(), text);
  body_.replace(updated_at_, text.size(), text);
  return std::move(body_);
}

}  // namespace penstock::api

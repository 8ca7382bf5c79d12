#include "pipeline/receipt.h"

#include <iterator>

#include <fmt/compile.h>
#include <fmt/format.h>

#include "domain/money.h"

namespace penstock::pipeline {

// Every text below is an id of [A-Za-z0-9._:-] or a number, so nothing needs escaping; the
// gateway's reference is the one text from outside and is reduced to that alphabet.
std::string render_receipt(const domain::Order& order) {
  std::string out;
  out.reserve(320 + order.items.size() * 96);
  auto at = std::back_inserter(out);
  fmt::format_to(at, FMT_COMPILE(R"({{"receipt_id":"rcpt_{}","order_id":"{}","tenant_id":"{}",)"),
                 order.id.str(), order.id.str(), order.tenant.str());
  fmt::format_to(at, FMT_COMPILE(R"("customer_id":"{}","issued_at":")"), order.customer.str());
  domain::append_rfc3339(order.updated_at, out);
  out += R"(","items":[)";
  bool first = true;
  for (const domain::Item& item : order.items) {
    if (!first) out += ',';
    first = false;
    fmt::format_to(at, FMT_COMPILE(R"({{"product_id":"{}","quantity":{},"unit_price":")"),
                   item.product.str(), item.quantity);
    domain::append_amount({item.price_minor, order.total.currency}, out);
    out += R"("})";
  }
  out += R"(],"total":{"amount":")";
  domain::append_amount(order.total, out);
  fmt::format_to(at, FMT_COMPILE(R"(","minor_units":{},"currency":"{}"}},"payment_reference":")"),
                 order.total.minor_units, order.total.currency.code());
  for (const char character : order.capture_reference) {
    if (domain::is_valid_name(std::string_view(&character, 1))) out += character;
  }
  out += R"("})";
  return out;
}

}  // namespace penstock::pipeline

#include "pipeline/receipt.h"

#include <string_view>

#include <fmt/format.h>

#include "domain/money.h"

namespace penstock::pipeline {
namespace {

template <typename Number>
void append_number(Number number, std::string& out) {
  const fmt::format_int digits(number);
  out.append(digits.data(), digits.size());
}

/// What of `text` is in the alphabet of ids; mostly all of it.
void append_reduced(std::string_view text, std::string& out) {
  if (domain::is_valid_name(text)) {
    out += text;
    return;
  }
  for (const char character : text) {
    if (domain::is_valid_name(std::string_view(&character, 1))) out += character;
  }
}

}  // namespace

// Every text below is an id of [A-Za-z0-9._:-] or a number, so nothing needs escaping; the
// gateway's reference is the one text from outside and is reduced to that alphabet.
std::string render_receipt(const domain::Order& order) {
  std::string out;
  out.reserve(320 + order.items.size() * 96);
  out += R"({"receipt_id":"rcpt_)";
  order.id.append_to(out);
  out += R"(","order_id":")";
  order.id.append_to(out);
  out += R"(","tenant_id":")";
  out += order.tenant.str();
  out += R"(","customer_id":")";
  out += order.customer.str();
  out += R"(","issued_at":")";
  domain::append_rfc3339(order.updated_at, out);
  out += R"(","items":[)";
  bool first = true;
  for (const domain::Item& item : order.items) {
    if (!first) out += ',';
    first = false;
    out += R"({"product_id":")";
    out += item.product.str();
    out += R"(","quantity":)";
    append_number(item.quantity, out);
    out += R"(,"unit_price":")";
    domain::append_amount({item.price_minor, order.total.currency}, out);
    out += R"("})";
  }
  out += R"(],"total":{"amount":")";
  domain::append_amount(order.total, out);
  out += R"(","minor_units":)";
  append_number(order.total.minor_units, out);
  out += R"(,"currency":")";
  out += order.total.currency.code();
  out += R"("},"payment_reference":")";
  append_reduced(order.capture_reference, out);
  out += R"("})";
  return out;
}

}  // namespace penstock::pipeline

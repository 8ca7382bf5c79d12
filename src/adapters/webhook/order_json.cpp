#include "adapters/webhook/order_json.h"

#include "domain/instant.h"
#include "domain/money.h"
#include "domain/reason.h"
#include "net/json_writer.h"

namespace penstock::webhook {

void append_order(const domain::Order& order, std::string& out) {
  net::JsonWriter writer(out);
  writer.begin_object()
      .member("order_id", order.id.str())
      .member("status", to_string(order.status))
      .member("tenant_id", order.tenant.str())
      .member("customer_id", order.customer.str());
  writer.key("items").begin_array();
  for (const domain::Item& item : order.items) {
    const domain::Money price{item.price_minor, order.total.currency};
    writer.begin_object()
        .member("product_id", item.product.str())
        .member("quantity", item.quantity)
        .member("price", domain::format_amount(price))
        .end_object();
  }
  writer.end_array();
  writer.key("total")
      .begin_object()
      .member("amount", domain::format_amount(order.total))
      .member("minor_units", order.total.minor_units)
      .member("currency", order.total.currency.code())
      .end_object();
  writer.key("metadata").begin_object();
  for (const auto& [name, value] : order.metadata) writer.member(name, value);
  writer.end_object();
  writer.member("correlation_id", order.correlation.str())
      .member("version", order.version.number)
      .member("created_at", domain::to_rfc3339(order.created_at))
      .member("updated_at", domain::to_rfc3339(order.updated_at));
  if (order.reason != domain::Reason::none) writer.member("reason", to_string(order.reason));
  writer.end_object();
}

}  // namespace penstock::webhook

#pragma once

#include "domain/order.h"

namespace penstock::webhook::testing {

/// A fulfilled order with every field filled in.
inline domain::Order fulfilled_order() {
  domain::Order order;
  const domain::Instant created{1'795'363'200'000'000};
  order.id = domain::OrderId::make(created, 1, 2);
  order.tenant = *domain::TenantId::parse("acme");
  order.customer = *domain::CustomerId::parse("cust-123");
  order.items = {
      {.product = *domain::ProductId::parse("PROD-001"), .quantity = 2, .price_minor = 1000}};
  order.total = {.minor_units = 2000, .currency = domain::Currency::usd()};
  order.payment_method = "pm_ok";
  order.metadata = {{"note", "say \"hi\"\n"}};
  order.correlation = *domain::CorrelationId::parse("corr-1");
  order.traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  order.created_at = created;
  order.updated_at = created + domain::Duration::seconds(1);
  order.status = domain::Status::fulfilled;
  order.version = {4};
  order.reason = domain::Reason::receipt_issued;
  return order;
}

}  // namespace penstock::webhook::testing

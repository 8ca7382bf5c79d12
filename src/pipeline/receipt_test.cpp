#include "pipeline/receipt.h"

#include <gtest/gtest.h>

#include "tests/contract/order_builder.h"

namespace penstock::pipeline {
namespace {

domain::Order fulfilled() {
  namespace steps = store_contract::steps;
  const domain::Instant now{1'763'827'200'000'000};
  domain::Order order =
      store_contract::OrderBuilder(1).item("PROD-1", 2, 1'050).item("PROD-2", 1, 5).placed(now);
  order = steps::next(order, now).next;
  order = steps::capture(order, now).next;
  return steps::next(order, now + domain::Duration::seconds(61)).next;
}

TEST(Receipt, IsTheseBytes) {
  domain::Order order = fulfilled();
  order.capture_reference = "cap_1";
  const std::string id = order.id.str();
  EXPECT_EQ(render_receipt(order),
            R"({"receipt_id":"rcpt_)" + id + R"(","order_id":")" + id +
                R"(","tenant_id":"acme","customer_id":"cust-1",)"
                R"("issued_at":"2025-11-22T16:01:01.000000Z","items":[)"
                R"({"product_id":"PROD-1","quantity":2,"unit_price":"10.50"},)"
                R"({"product_id":"PROD-2","quantity":1,"unit_price":"0.05"}],)"
                R"("total":{"amount":"21.05","minor_units":2105,"currency":"USD"},)"
                R"("payment_reference":"cap_1"})");
}

TEST(Receipt, NothingFromOutsideCanBreakItsForm) {
  domain::Order order = fulfilled();
  order.capture_reference = "a\"},{\\b\n:1";
  const std::string receipt = render_receipt(order);
  EXPECT_TRUE(receipt.ends_with(R"("payment_reference":"ab:1"})")) << receipt;
}

}  // namespace
}  // namespace penstock::pipeline

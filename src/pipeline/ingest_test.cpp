#include "pipeline/ingest.h"

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

#include "domain/limits.h"

namespace penstock::pipeline {
namespace {

namespace limits = domain::limits;

const std::string kTooLongName(limits::kMaxNameBytes + 1, 'a');
const std::string kTooLongText(limits::kMaxMetadataCharacters + 1, 'a');
/// So many characters of three bytes each.
std::string characters(std::size_t count) {
  std::string text;
  for (std::size_t i = 0; i < count; ++i) text += "\xE6\x97\xA5";
  return text;
}

const std::string kLongestInUtf8 = characters(limits::kMaxMetadataCharacters);
const std::string kTooLongInUtf8 = characters(limits::kMaxMetadataCharacters + 1);
const std::string kLongestText(limits::kMaxMetadataCharacters, 'a');
const std::string kTooLongMethod(limits::kMaxPaymentMethodBytes + 1, 'a');

Draft valid() {
  Draft draft;
  draft.tenant_id = "default";
  draft.customer_id = "cust-123";
  draft.items = {{"PROD-001", 2, "10.0"}};
  draft.correlation = domain::CorrelationId::unchecked("corr-1");
  return draft;
}

TEST(Ingest, MakesTheOrderOfAValidDraft) {
  Draft draft = valid();
  draft.items.push_back({"PROD-002", 3, "0.05"});
  draft.metadata = {{"a", "b"}};
  draft.traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  const auto order = make_order(draft);
  ASSERT_TRUE(order);
  EXPECT_EQ(order->tenant.str(), "default");
  EXPECT_EQ(order->customer.str(), "cust-123");
  ASSERT_EQ(order->items.size(), 2U);
  EXPECT_EQ(order->items[0].price_minor, 1'000);
  EXPECT_EQ(order->total.minor_units, 2'015);
  EXPECT_EQ(order->total.currency.code(), "USD");
  EXPECT_EQ(order->payment_method, "pm_ok");
  EXPECT_EQ(order->metadata.size(), 1U);
  EXPECT_EQ(order->correlation.str(), "corr-1");
  EXPECT_EQ(order->traceparent, draft.traceparent);
}

struct BrokenRule {
  const char* name;
  std::function<void(Draft&)> spoil;
  const char* pointer;
  const char* code;
};

TEST(Ingest, EachBrokenRuleIsToldByItsPointerAndCode) {
  const std::vector<BrokenRule> rules{
      {"no tenant", [](Draft& d) { d.tenant_id = ""; }, "/tenant_id", "required"},
      {"tenant form", [](Draft& d) { d.tenant_id = "a b"; }, "/tenant_id", "invalid"},
      {"tenant length", [](Draft& d) { d.tenant_id = kTooLongName; }, "/tenant_id", "invalid"},
      {"no customer", [](Draft& d) { d.customer_id = ""; }, "/customer_id", "required"},
      {"customer form", [](Draft& d) { d.customer_id = "a/b"; }, "/customer_id", "invalid"},
      {"currency", [](Draft& d) { d.currency = "ZZZ"; }, "/currency", "unknown-currency"},
      {"currency case", [](Draft& d) { d.currency = "usd"; }, "/currency", "unknown-currency"},
      {"no method", [](Draft& d) { d.payment_method = ""; }, "/payment/method", "invalid"},
      {"method quote", [](Draft& d) { d.payment_method = "a\"b"; }, "/payment/method", "invalid"},
      {"method backslash", [](Draft& d) { d.payment_method = "a\\"; }, "/payment/method",
       "invalid"},
      {"method blank", [](Draft& d) { d.payment_method = "a b"; }, "/payment/method", "invalid"},
      {"method length", [](Draft& d) { d.payment_method = kTooLongMethod; }, "/payment/method",
       "invalid"},
      {"no items", [](Draft& d) { d.items.clear(); }, "/items", "required"},
      {"many items", [](Draft& d) { d.items.assign(101, {"P", 1, "1"}); }, "/items", "too-many"},
      {"no product", [](Draft& d) { d.items[0].product_id = ""; }, "/items/0/product_id",
       "required"},
      {"product form", [](Draft& d) { d.items[0].product_id = "ä"; }, "/items/0/product_id",
       "invalid"},
      {"quantity 0", [](Draft& d) { d.items[0].quantity = 0; }, "/items/0/quantity",
       "out-of-range"},
      {"quantity -1", [](Draft& d) { d.items[0].quantity = -1; }, "/items/0/quantity",
       "out-of-range"},
      {"quantity high", [](Draft& d) { d.items[0].quantity = 1'000'001; }, "/items/0/quantity",
       "out-of-range"},
      {"price form", [](Draft& d) { d.items[0].price = "x"; }, "/items/0/price", "invalid"},
      {"no price", [](Draft& d) { d.items[0].price = ""; }, "/items/0/price", "invalid"},
      {"price sign", [](Draft& d) { d.items[0].price = "-1"; }, "/items/0/price", "negative"},
      {"price digits", [](Draft& d) { d.items[0].price = "1.001"; }, "/items/0/price",
       "too-precise"},
      {"price high", [](Draft& d) { d.items[0].price = "99999999999999999"; }, "/items/0/price",
       "out-of-range"},
      {"total high", [](Draft& d) { d.items[0] = {"P", 1'000'000, "9999999999999"}; }, "/items",
       "out-of-range"},
      {"metadata count", [](Draft& d) { d.metadata.assign(21, {"a", "b"}); }, "/metadata",
       "too-many"},
      {"metadata name", [](Draft& d) { d.metadata = {{"", "b"}}; }, "/metadata", "empty-name"},
      {"metadata long name", [](Draft& d) { d.metadata = {{kTooLongText, "b"}}; }, "/metadata",
       "too-long"},
      {"metadata value", [](Draft& d) { d.metadata = {{"a", kTooLongText}}; }, "/metadata/a",
       "too-long"},
      {"metadata pointer", [](Draft& d) { d.metadata = {{"a/~b", kTooLongText}}; },
       "/metadata/a~1~0b", "too-long"},
      {"metadata characters", [](Draft& d) { d.metadata = {{"a", kTooLongInUtf8}}; }, "/metadata/a",
       "too-long"},
  };
  for (const BrokenRule& rule : rules) {
    SCOPED_TRACE(rule.name);
    Draft draft = valid();
    rule.spoil(draft);
    const auto order = make_order(draft);
    ASSERT_FALSE(order);
    ASSERT_EQ(order.error().size(), 1U);
    EXPECT_EQ(order.error()[0].pointer, rule.pointer);
    EXPECT_EQ(order.error()[0].code, rule.code);
    EXPECT_TRUE(order.error()[0].detail.ends_with('.')) << order.error()[0].detail;
  }
}

TEST(Ingest, TakesWhatIsJustWithinTheLimits) {
  Draft draft = valid();
  draft.items.assign(limits::kMaxItemsPerOrder, {"PROD-001", limits::kMaxQuantity, "0"});
  draft.metadata.assign(limits::kMaxMetadataPairs, {kLongestText, kLongestText});
  EXPECT_TRUE(make_order(draft));
  draft.metadata.assign(limits::kMaxMetadataPairs, {kLongestInUtf8, kLongestInUtf8});
  EXPECT_TRUE(make_order(draft)) << "characters count, not bytes";
  draft.items = {{"P", 1, "10000000000000.00"}};
  EXPECT_TRUE(make_order(draft));
  draft.items = {{"P", 1, "10000000000000.01"}};
  EXPECT_FALSE(make_order(draft));
}

TEST(Ingest, ThePriceHasTheDigitsOfItsCurrency) {
  Draft draft = valid();
  draft.currency = "JPY";
  draft.items[0].price = "10";
  ASSERT_TRUE(make_order(draft));
  EXPECT_EQ(make_order(draft)->total.minor_units, 20);
  draft.items[0].price = "10.5";
  EXPECT_FALSE(make_order(draft));
}

TEST(Ingest, TellsEveryBrokenRuleAtOnceUpToAHundred) {
  Draft draft = valid();
  draft.tenant_id = "";
  draft.items = {{"", 0, "x"}};
  EXPECT_EQ(make_order(draft).error().size(), 4U);
  draft.items.assign(100, {"", 0, "x"});
  EXPECT_EQ(make_order(draft).error().size(), 100U);
}

TEST(Traceparent, IsTakenOnlyInItsStandardForm) {
  const std::string good = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  EXPECT_TRUE(is_valid_traceparent(good));
  EXPECT_TRUE(is_valid_traceparent("cc" + good.substr(2))) << "a later version";
  const auto with = [&good](std::size_t at, const std::string& text) {
    std::string changed = good;
    return changed.replace(at, text.size(), text);
  };
  for (const std::string& bad :
       {std::string(), good.substr(0, 54), good + "0", good + "-00", with(0, "ff"), with(0, "0G"),
        with(2, "_"), with(35, "_"), with(52, "_"), with(3, "0AF7"), with(36, "B7"), with(53, "0G"),
        with(3, std::string(32, '0')), with(36, std::string(16, '0'))}) {
    EXPECT_FALSE(is_valid_traceparent(bad)) << bad;
  }
}

}  // namespace
}  // namespace penstock::pipeline

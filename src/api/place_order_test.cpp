#include <algorithm>
#include <iterator>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "api/api_fixture.h"
#include "api/idempotency.h"
#include "api/placed_answer.h"
#include "api/submission.h"

namespace penstock::api {
namespace {

using pipeline::PlaceOutcome;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

constexpr std::string_view kOrder =
    R"({"customer_id":"cust-123","items":[{"product_id":"PROD-001","quantity":2,"price":10.0}]})";

class PlaceOrderTest : public ApiTest {
 protected:
  Answer place_with(std::vector<std::string> headers, std::string_view body = kOrder) {
    return send({.method = "POST", .target = "/orders", .body = body, .headers = headers});
  }
};

TEST_F(PlaceOrderTest, AnAcceptedOrderIsAnsweredWithItsImmutableFields) {
  const Answer answer = place_with({"X-Correlation-Id: corr-7"});
  EXPECT_EQ(answer.status, 202);
  EXPECT_EQ(answer.header("Content-Type"), "application/json");
  EXPECT_EQ(answer.header("Location"), "/orders/" + order_id().str());
  EXPECT_EQ(answer.body,
            R"({"order_id":")" + order_id().str() +
                R"(","status":"placed","dead_letter":false,"tenant_id":"default",)"
                R"("customer_id":"cust-123","items":[{"product_id":"PROD-001","quantity":2,)"
                R"("price":"10.00"}],"total":{"amount":"20.00","minor_units":2000,)"
                R"("currency":"USD"},"correlation_id":"corr-7","version":1,)"
                R"("created_at":"2026-11-22T16:00:00.000000Z",)"
                R"("updated_at":"2026-11-22T16:00:00.000000Z"})");
}

TEST_F(PlaceOrderTest, AnAcceptedOrderTellsTheRateLimitRoundedUp) {
  intake_.place.contract = {.rate = {.micro_tokens = 7'000'000}, .burst = 50};
  intake_.place.take = {.outcome = domain::Take::allowed,
                        .remaining = 3,
                        .wait = {},
                        .full_in = domain::Duration::milliseconds(1'001)};
  const Answer answer = place_with({});
  EXPECT_EQ(answer.header("RateLimit-Policy"), R"("tenant";q=50;w=8)");
  EXPECT_EQ(answer.header("RateLimit"), R"("tenant";r=3;t=2)");
}

TEST_F(PlaceOrderTest, EveryFieldReachesThePipeline) {
  const Answer answer =
      place_with({"traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
                  "X-Correlation-Id: corr-9"},
                 R"({"customer_id":"c","tenant_id":"acme","currency":"KWD","metadata":{"k":"v"},
          "items":[{"product_id":"P","quantity":3,"price":"0.125"}],
          "payment":{"method":"pm_decline"}})");
  ASSERT_EQ(answer.status, 202);
  const domain::Order& draft = intake_.draft.value();
  EXPECT_EQ(draft.tenant.str(), "acme");
  EXPECT_EQ(draft.total.minor_units, 375);
  EXPECT_EQ(draft.total.currency.code(), "KWD");
  EXPECT_EQ(draft.payment_method, "pm_decline");
  EXPECT_EQ(draft.metadata.at(0).second, "v");
  EXPECT_EQ(draft.correlation.str(), "corr-9");
  EXPECT_EQ(draft.traceparent, "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
  EXPECT_FALSE(intake_.claim.has_value());
}

TEST_F(PlaceOrderTest, AnInvalidCorrelationIdOrTraceparentIsReplacedAndIgnored) {
  const Answer answer =
      place_with({"X-Correlation-Id: no spaces", "traceparent: 00-ABC-b7ad6b7169203331-01"});
  EXPECT_EQ(answer.status, 202);
  EXPECT_EQ(answer.header("X-Correlation-Id"), "00000000000000010000000000000002");
  EXPECT_EQ(intake_.draft.value().correlation.str(), answer.header("X-Correlation-Id"));
  EXPECT_THAT(intake_.draft.value().traceparent, IsEmpty());
}

TEST_F(PlaceOrderTest, AReplayIsTheSameToTheByteHoweverFarTheOrderHasCome) {
  const Answer first = place_with({"X-Correlation-Id: corr-1", "Idempotency-Key: k"});
  domain::Order later = placed_order();
  later.status = domain::Status::fulfilled;
  later.version = {5};
  later.updated_at = kNow + domain::Duration::seconds(60);
  intake_.place = result(PlaceOutcome::replayed);
  intake_.place.order = later;
  const Answer replay = place_with({"X-Correlation-Id: corr-2", "Idempotency-Key: k"});
  EXPECT_EQ(replay.status, 202);
  EXPECT_EQ(replay.body, first.body);
  EXPECT_EQ(replay.header("Location"), first.header("Location"));
  EXPECT_EQ(replay.header("Idempotent-Replayed"), "true");
  EXPECT_THAT(first.header("Idempotent-Replayed"), IsEmpty());
  EXPECT_EQ(replay.header("X-Correlation-Id"), "corr-2");
}

TEST_F(PlaceOrderTest, QuotedAndBareKeysInHeaderAndBodyAreTheSame) {
  const std::string with_key = R"({"idempotency_key":"abc","customer_id":"cust-123",)"
                               R"("items":[{"product_id":"PROD-001","quantity":2,"price":10.0}]})";
  std::vector<ports::IdempotencyClaim> claims;
  for (const auto& [headers, body] : std::vector<std::pair<std::vector<std::string>, std::string>>{
           {{"Idempotency-Key: abc"}, std::string(kOrder)},
           {{"Idempotency-Key: \"abc\""}, std::string(kOrder)},
           {{}, with_key},
           {{"Idempotency-Key: \"abc\""}, with_key}}) {
    ASSERT_EQ(place_with(headers, body).status, 202);
    claims.push_back(intake_.claim.value());
  }
  for (const ports::IdempotencyClaim& claim : claims) {
    EXPECT_EQ(claim.key.str(), "abc");
    EXPECT_EQ(claim.fingerprint, claims.front().fingerprint);
  }
}

/// The fingerprint of an order as the API reads it from an open server's caller.
domain::Fingerprint fingerprint(std::string_view body) {
  const auto document = net::JsonDocument::parse(body).value();
  const Caller caller{.kind = Caller::Kind::open, .tenant = domain::TenantId::unchecked("default")};
  const std::optional<domain::IdempotencyKey> key = domain::IdempotencyKey::unchecked("k");
  const auto correlation = domain::CorrelationId::unchecked("c");
  const auto submission = read_submission({.body = document.root(),
                                           .caller = caller,
                                           .header_key = key,
                                           .correlation = correlation,
                                           .traceparent = ""});
  EXPECT_TRUE(submission.has_value()) << body;
  return submission ? submission->idempotency->fingerprint : domain::Fingerprint{};
}

/// An order of one item with more members: of the order, of its item.
std::string order_with(std::string_view more, std::string_view of_item = "") {
  return fmt::format(
      R"({{"customer_id":"c","items":[{{"product_id":"P","quantity":2,"price":10{}}}]{}}})",
      of_item, more);
}

TEST(FingerprintTest, SpellingAndStatedDefaultsDoNotMatter) {
  const auto base = fingerprint(order_with(""));
  for (const std::string& same :
       {std::string(R"( { "items" : [{"price":"1.00e1","quantity":2.0,"product_id":"\u0050"}],
                         "customer_id":"c" } )"),
        order_with(R"(,"idempotency_key":"k")"), order_with(R"(,"action":"place_order")"),
        order_with(R"(,"action":null)"), order_with(R"(,"tenant_id":"default")"),
        order_with(R"(,"tenant_id":null)"), order_with(R"(,"currency":"USD")"),
        order_with(R"(,"currency":null)"), order_with(R"(,"metadata":{})"),
        order_with(R"(,"metadata":null)"), order_with(R"(,"payment":{})"),
        order_with(R"(,"payment":null)"), order_with(R"(,"payment":{"method":null})"),
        order_with(R"(,"payment":{"method":"pm_ok"})"), order_with(R"(,"gift":null)"),
        order_with("", R"(,"colour":null)")}) {
    EXPECT_EQ(base, fingerprint(same)) << same;
  }
  EXPECT_EQ(fingerprint(order_with(R"(,"metadata":{"a":"1","b":"2"})")),
            fingerprint(order_with(R"(,"metadata":{"b":"2","a":"1"})")));
  EXPECT_EQ(fingerprint(order_with(R"(,"gift":{"to":[1.0]})")),
            fingerprint(order_with(R"(,"gift":{"to":[1]})")));
}

TEST(FingerprintTest, EveryOtherContentMatters) {
  std::vector<domain::Fingerprint> all;
  for (const std::string& body :
       {order_with(""),
        order_with(R"(,"tenant_id":"acme")"),
        order_with(R"(,"currency":"EUR")"),
        order_with(R"(,"payment":{"method":"pm_other"})"),
        order_with(R"(,"metadata":{"a":"1"})"),
        order_with(R"(,"metadata":{"a":"2"})"),
        order_with(R"(,"metadata":{"a":"","b":""})"),
        order_with(R"(,"metadata":{"a:b":""})"),
        order_with(R"(,"gift":true)"),
        order_with(R"(,"gift":1)"),
        order_with(R"(,"gift":1.0000000000000000001)"),
        order_with(R"(,"gift":{"to":null})"),
        order_with(R"(,"payment":{"gift":true})"),
        order_with("", R"(,"gift":true)"),
        order_with(R"(,"gift":{"idempotency_key":"k"})"),
        std::string(R"({"customer_id":"d","items":[{"product_id":"P","quantity":2,"price":10}]})"),
        std::string(R"({"customer_id":"c","items":[{"product_id":"Q","quantity":2,"price":10}]})"),
        std::string(R"({"customer_id":"c","items":[{"product_id":"P","quantity":3,"price":10}]})"),
        std::string(R"({"customer_id":"c","items":[{"product_id":"P","quantity":2,"price":9}]})"),
        std::string(R"({"customer_id":"c","items":[{"product_id":"P","quantity":1,"price":10},)"
                    R"({"product_id":"P","quantity":1,"price":10}]})")}) {
    all.push_back(fingerprint(body));
    EXPECT_EQ(std::ranges::count(all, all.back()), 1) << body;
  }
}

struct Refused {
  PlaceOutcome outcome;
  int status;
  std::string_view code;
  std::string_view retry_after;
};

TEST_F(PlaceOrderTest, EachOutcomeHasItsCodeAndRetryAfterIsRoundedUp) {
  for (const Refused& refused :
       {Refused{PlaceOutcome::key_reused, 422, "idempotency-key-reused", ""},
        Refused{PlaceOutcome::quota_exceeded, 429, "quota-exceeded", "3"},
        Refused{PlaceOutcome::cost_exceeds_capacity, 422, "cost-exceeds-capacity", ""},
        Refused{PlaceOutcome::reduced_capacity, 503, "temporarily-reduced-capacity", "3"},
        Refused{PlaceOutcome::draining, 503, "draining", "3"}}) {
    intake_.place = result(refused.outcome);
    intake_.place.retry_after = domain::Duration::milliseconds(2'001);
    const Answer answer = place_with({"X-Correlation-Id: corr-1"});
    EXPECT_EQ(answer.status, refused.status) << refused.code;
    EXPECT_EQ(answer.member("code"), refused.code);
    EXPECT_EQ(answer.header("Content-Type"), "application/problem+json");
    EXPECT_EQ(answer.header("Retry-After"), refused.retry_after) << refused.code;
    EXPECT_EQ(answer.member("correlation_id"), "corr-1");
    EXPECT_EQ(answer.member("instance"), "/orders");
    EXPECT_EQ(answer.member("type"), "/errors/" + std::string(refused.code));
    EXPECT_EQ(log_.lines(refused.code), 1U);
  }
}

TEST_F(PlaceOrderTest, RetryAfterIsAtLeastOneSecond) {
  intake_.place = result(PlaceOutcome::quota_exceeded);
  intake_.place.take.wait = {1};
  EXPECT_EQ(place_with({}).header("Retry-After"), "1");
}

TEST_F(PlaceOrderTest, AnUnknownOutcomeClosesTheConnectionWithoutAnAnswer) {
  intake_.place = result(PlaceOutcome::abandoned);
  const Answer answer = place_with({});
  EXPECT_EQ(answer.status, 0);
  EXPECT_THAT(answer.head, IsEmpty());
}

TEST_F(PlaceOrderTest, AFloodOfRefusalsIsSampledInTheLog) {
  for (int i = 0; i < 20; ++i) EXPECT_EQ(post("/orders", "{").status, 400);
  EXPECT_EQ(log_.lines("malformed-json"), static_cast<std::size_t>(RefusalLog::kLinesPerSecond));
}

TEST_F(PlaceOrderTest, APeekShowsTheBucketAndPlacesNothing) {
  intake_.place.contract = {.rate = {.micro_tokens = 10'000'000}, .burst = 100};
  intake_.place.take = {.outcome = domain::Take::allowed,
                        .remaining = 0,
                        .wait = {},
                        .full_in = domain::Duration::milliseconds(9'950)};
  const Answer answer = post("/orders", R"({"action":"check_rate_limit","tenant_id":"acme"})");
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.body,
            R"({"tenant_id":"acme","limit":100,"remaining":0,"reset_seconds":10,"allowed":false})");
  EXPECT_FALSE(intake_.draft.has_value());
  EXPECT_EQ(intake_.tenant.value().str(), "acme");
}

TEST_F(PlaceOrderTest, UnknownMembersAreIgnoredAndNullIsAbsent) {
  const Answer answer =
      post("/orders",
           R"({"customer_id":"c","tenant_id":null,"idempotency_key":null,"currency":null,
          "payment":null,"metadata":null,"action":null,"colour":{"is":["blue"]},
          "items":[{"product_id":"P","quantity":1,"price":1,"note":true}]})");
  EXPECT_EQ(answer.status, 202) << answer.body;
  EXPECT_FALSE(intake_.claim.has_value());
}

struct BadOrder {
  std::string_view what;
  std::string body;
  int status;
  std::string_view code;
  std::string_view pointer = "";
  std::string_view field = "";
  std::vector<std::string> headers = {};
};

/// A valid order in which one member is another.
std::string with(std::string_view member) {
  return R"({"customer_id":"c","items":[{"product_id":"P","quantity":1,"price":1}],)" +
         std::string(member) + "}";
}
std::string with_item(std::string_view item) {
  return R"({"customer_id":"c","items":[)" + std::string(item) + "]}";
}

std::vector<BadOrder> bad_items() {
  std::string many_items = R"({"product_id":"P","quantity":1,"price":1})";
  for (int i = 0; i < 100; ++i) many_items += R"(,{"product_id":"P","quantity":1,"price":1})";
  return {
      {"an empty body", "", 400, "malformed-json"},
      {"half a body", "{", 400, "malformed-json"},
      {"two values", "{}{}", 400, "malformed-json", "", "trailing-data"},
      {"a doubled member", R"({"a":1,"a":1})", 400, "malformed-json", "/a", "duplicate-member"},
      {"an array", "[]", 422, "invalid-order", "", "wrong-type"},
      {"nothing", "{}", 422, "invalid-order", "/customer_id", "required"},
      {"no items", R"({"customer_id":"c"})", 422, "invalid-order", "/items", "required"},
      {"empty items", R"({"customer_id":"c","items":[]})", 422, "invalid-order", "/items",
       "required"},
      {"items of another type", R"({"customer_id":"c","items":{}})", 422, "invalid-order", "/items",
       "wrong-type"},
      {"101 items", with_item(many_items), 422, "invalid-order", "/items", "too-many"},
      {"an item of another type", with_item("1"), 422, "invalid-order", "/items/0", "wrong-type"},
      {"no quantity", with_item(R"({"product_id":"P","price":1})"), 422, "invalid-order",
       "/items/0/quantity", "required"},
      {"half a piece", with_item(R"({"product_id":"P","quantity":1.5,"price":1})"), 422,
       "invalid-order", "/items/0/quantity", "not-an-integer"},
      {"a quantity as text", with_item(R"({"product_id":"P","quantity":"1","price":1})"), 422,
       "invalid-order", "/items/0/quantity", "wrong-type"},
      {"no piece", with_item(R"({"product_id":"P","quantity":0,"price":1})"), 422, "invalid-order",
       "/items/0/quantity", "out-of-range"},
      {"too many pieces", with_item(R"({"product_id":"P","quantity":1000001,"price":1})"), 422,
       "invalid-order", "/items/0/quantity", "out-of-range"},
      {"no price", with_item(R"({"product_id":"P","quantity":1})"), 422, "invalid-order",
       "/items/0/price", "required"},
      {"a negative price", with_item(R"({"product_id":"P","quantity":1,"price":-1})"), 422,
       "invalid-order", "/items/0/price", "negative"},
      {"a third digit of a cent", with_item(R"({"product_id":"P","quantity":1,"price":0.001})"),
       422, "invalid-order", "/items/0/price", "too-precise"},
      {"a price that is no number", with_item(R"({"product_id":"P","quantity":1,"price":"1,0"})"),
       422, "invalid-order", "/items/0/price", "invalid"},
      {"a price of another type", with_item(R"({"product_id":"P","quantity":1,"price":true})"), 422,
       "invalid-order", "/items/0/price", "wrong-type"},
      {"a product with a slash", with_item(R"({"product_id":"a/b","quantity":1,"price":1})"), 422,
       "invalid-order", "/items/0/product_id", "invalid"}};
}

std::vector<BadOrder> bad_members() {
  const std::string order(kOrder);
  return {
      {"an unknown currency", with(R"("currency":"XXX")"), 422, "invalid-order", "/currency",
       "unknown-currency"},
      {"a tenant with a space", with(R"("tenant_id":"a b")"), 422, "invalid-order", "/tenant_id",
       "invalid"},
      {"metadata of numbers", with(R"("metadata":{"a":1})"), 422, "invalid-order", "/metadata/a",
       "wrong-type"},
      {"a payment of another type", with(R"("payment":"pm_ok")"), 422, "invalid-order", "/payment",
       "wrong-type"},
      {"an empty method", with(R"("payment":{"method":""})"), 422, "invalid-order",
       "/payment/method", "invalid"},
      {"an unknown action", with(R"("action":"refund")"), 422, "invalid-order", "/action",
       "unknown"},
      {"an action of another type", with(R"("action":1)"), 422, "invalid-order", "/action",
       "wrong-type"},
      {"a key of another type", with(R"("idempotency_key":1)"), 422, "invalid-order",
       "/idempotency_key", "wrong-type"},
      {"an empty key", with(R"("idempotency_key":"")"), 400, "idempotency-key-invalid",
       "/idempotency_key", "invalid"},
      {"two different keys",
       with(R"("idempotency_key":"a")"),
       400,
       "idempotency-key-conflict",
       "/idempotency_key",
       "conflict",
       {"Idempotency-Key: \"b\""}},
      {"a key that is quoted by half",
       order,
       400,
       "idempotency-key-invalid",
       "",
       "invalid",
       {"Idempotency-Key: \"b"}},
      {"a doubled key header",
       order,
       400,
       "idempotency-key-invalid",
       "",
       "invalid",
       {"Idempotency-Key: a", "Idempotency-Key: a"}},
      {"a key of 256 characters",
       order,
       400,
       "idempotency-key-invalid",
       "",
       "invalid",
       {"Idempotency-Key: " + std::string(256, 'k')}},
      {"XML", order, 415, "unsupported-media-type", "", "", {"Content-Type: application/xml"}},
      {"a form",
       order,
       415,
       "unsupported-media-type",
       "",
       "",
       {"Content-Type: application/x-www-form-urlencoded"}},
  };
}

TEST_F(PlaceOrderTest, ABadOrderGetsItsCodeAndReachesNoIntake) {
  std::vector<BadOrder> all = bad_items();
  std::ranges::move(bad_members(), std::back_inserter(all));
  for (const BadOrder& bad : all) {
    const Answer answer = place_with(bad.headers, bad.body);
    EXPECT_EQ(answer.status, bad.status) << bad.what << answer.body;
    EXPECT_EQ(answer.member("code"), bad.code) << bad.what;
    EXPECT_EQ(answer.header("Content-Type"), "application/problem+json") << bad.what;
    if (!bad.field.empty()) {
      EXPECT_THAT(answer.body, HasSubstr(R"({"pointer":")" + std::string(bad.pointer) +
                                         R"(","code":")" + std::string(bad.field) + '"'))
          << bad.what;
    }
  }
  EXPECT_EQ(intake_.submitted(), 0U);
}

TEST_F(PlaceOrderTest, ABodyBeyondTheLimitIs413) {
  const Answer answer = place_with({}, std::string(domain::limits::kMaxBodyBytes + 1, ' '));
  EXPECT_EQ(answer.status, 413);
  EXPECT_EQ(answer.member("code"), "body-too-large");
  EXPECT_EQ(answer.member("type"), "/errors/body-too-large");
  EXPECT_EQ(intake_.submitted(), 0U);
}

TEST_F(PlaceOrderTest, AllWrongFieldsAreListedAndEachOnce) {
  const Answer answer = post(
      "/orders", R"({"customer_id":7,"items":[{"product_id":"a b","quantity":0,"price":"x"}]})");
  EXPECT_EQ(answer.status, 422);
  EXPECT_THAT(answer.body, HasSubstr(R"({"pointer":"/customer_id","code":"wrong-type"})"));
  EXPECT_THAT(answer.body, Not(HasSubstr(R"({"pointer":"/customer_id","code":"required"})")));
  EXPECT_THAT(answer.body, HasSubstr("/items/0/product_id"));
  EXPECT_THAT(answer.body, HasSubstr("/items/0/quantity"));
  EXPECT_THAT(answer.body, HasSubstr("/items/0/price"));
}

TEST_F(PlaceOrderTest, JsonWithParametersAndNoContentTypeAreBothTaken) {
  EXPECT_EQ(place_with({"Content-Type: Application/JSON; charset=utf-8"}).status, 202);
  EXPECT_EQ(place_with({}).status, 202);
}

TEST_F(PlaceOrderTest, AQueryOnPostOrdersIsRefused) {
  EXPECT_EQ(post("/orders?tenant_id=acme", kOrder).member("code"), "invalid-parameter");
  EXPECT_EQ(intake_.submitted(), 0U);
}

TEST(PlacedAnswerTest, ADraftAndAStoredOrderGiveTheSameBytes) {
  const domain::Order stored = placed_order();
  domain::Order draft = stored;
  draft.id = {};
  draft.created_at = {};
  EXPECT_EQ(PlacedAnswer(draft).fill(stored.id, stored.created_at),
            PlacedAnswer(stored).fill(stored.id, stored.created_at));
}

}  // namespace
}  // namespace penstock::api

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "api/api_fixture.h"

namespace penstock::api {
namespace {

using testing::HasSubstr;
using testing::Not;

class OperationsTest : public ApiTest {
 protected:
  struct Bad {
    std::string_view method;
    std::string_view target;
    std::string_view body;
    int status;
    std::string_view code;
    std::string_view field;
  };
};

TEST_F(OperationsTest, StockIsSetReadAndAddedTo) {
  Answer answer = put("/inventory/PROD-001", R"({"on_hand":7,"tenant_id":"acme"})");
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.body, R"({"tenant_id":"acme","product_id":"PROD-001","on_hand":7,)"
                         R"("reserved":0,"sold":0})");
  answer = get("/inventory/PROD-001");
  EXPECT_EQ(answer.body, R"({"tenant_id":"default","product_id":"PROD-001","on_hand":7,)"
                         R"("reserved":2,"sold":1})");
  answer = post("/inventory/PROD-001/restock", R"({"quantity":5})");
  EXPECT_EQ(answer.member("on_hand"), "12");
  EXPECT_EQ(intake_.tenant.value().str(), "default");
  EXPECT_EQ(get("/inventory/PROD-002").status, 404);
}

TEST_F(OperationsTest, AStockBeyondItsLimitIsAConflict) {
  intake_.refusal = pipeline::Refusal::stock_limit;
  const Answer answer = post("/inventory/P/restock", R"({"quantity":1})");
  EXPECT_EQ(answer.status, 409);
  EXPECT_EQ(answer.member("code"), "stock-limit");
}

TEST_F(OperationsTest, AContractIsStoredAndItsSecretNeverShown) {
  const Answer answer =
      put("/tenants/acme",
          R"({"rate_per_second":0.5,"burst":10,"guarantee_per_second":"0.25","weight":3,
              "webhook":{"url":"https://example.org/hook",
                         "secret":"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}})");
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.body,
            R"({"tenant_id":"acme","rate_per_second":0.5,"burst":10,"guarantee_per_second":0.25,)"
            R"("weight":3,"webhook":{"url":"https://example.org/hook","disabled":false}})");
  EXPECT_EQ(intake_.contract.value().webhook.value().secret,
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
  EXPECT_EQ(intake_.contract.value().bucket.burst, 10);
  reader_.known_contracts["acme"] = *intake_.contract;
  EXPECT_EQ(get("/tenants/acme").body, answer.body);
}

TEST_F(OperationsTest, AnUnknownTenantHasTheDefaultContract) {
  const Answer answer = get("/tenants/nobody");
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.member("rate_per_second"), "1000");
  EXPECT_EQ(answer.member("burst"), "2000");
}

TEST_F(OperationsTest, TenantsArePagedByName) {
  for (const char* const name : {"a", "b", "c"}) {
    reader_.known_contracts[name] = reader_.contract({}).value();
  }
  const Answer first = get("/tenants?limit=2");
  EXPECT_THAT(first.body, HasSubstr(R"("tenant_id":"b")"));
  EXPECT_THAT(first.body, Not(HasSubstr(R"("tenant_id":"c")")));
  const Answer second = get("/tenants?limit=2&cursor=" + first.member("next_cursor"));
  EXPECT_THAT(second.body, HasSubstr(R"("tenant_id":"c")"));
  EXPECT_EQ(second.member("next_cursor"), "null");
}

TEST_F(OperationsTest, TooManyTenantsIsItsOwnRefusal) {
  intake_.refusal = pipeline::Refusal::too_many_tenants;
  EXPECT_EQ(put("/tenants/a", R"({"rate_per_second":1,"burst":1})").member("code"),
            "too-many-tenants");
}

TEST_F(OperationsTest, ABadRequestGetsItsCodeAndReachesNoIntake) {
  for (const Bad& bad : {
           Bad{"PUT", "/inventory/P", R"({})", 422, "invalid-body", "/on_hand"},
           Bad{"PUT", "/inventory/P", R"({"on_hand":-1})", 422, "invalid-body", "/on_hand"},
           Bad{"PUT", "/inventory/P", R"({"on_hand":1.5})", 422, "invalid-body", "/on_hand"},
           Bad{"PUT", "/inventory/P", R"({"on_hand":1000000000001})", 422, "invalid-body",
               "/on_hand"},
           Bad{"PUT", "/inventory/P", R"({"on_hand":1,"tenant_id":"a b"})", 422, "invalid-body",
               "/tenant_id"},
           Bad{"PUT", "/inventory/P", R"(7)", 422, "invalid-body", ""},
           Bad{"PUT", "/inventory/P", R"(x)", 400, "malformed-json", ""},
           Bad{"PUT", "/inventory/a%20b", R"({"on_hand":1})", 404, "not-found", ""},
           Bad{"GET", "/inventory/P?tenant=x", "", 400, "invalid-parameter", "?tenant"},
           Bad{"POST", "/inventory/P/restock", R"({"quantity":0})", 422, "invalid-body",
               "/quantity"},
           Bad{"PUT", "/tenants/a", R"({})", 422, "invalid-contract", ""},
           Bad{"PUT", "/tenants/a", R"({"rate_per_second":0,"burst":1})", 422, "invalid-contract",
               "/rate_per_second"},
           Bad{"PUT", "/tenants/a", R"({"rate_per_second":1000001,"burst":1})", 422,
               "invalid-contract", "/rate_per_second"},
           Bad{"PUT", "/tenants/a", R"({"rate_per_second":1,"burst":0})", 422, "invalid-contract",
               "/burst"},
           Bad{"PUT", "/tenants/a", R"({"rate_per_second":1,"burst":1,"weight":1001})", 422,
               "invalid-contract", "/weight"},
           Bad{"PUT", "/tenants/a",
               R"({"rate_per_second":1,"burst":1,"guarantee_per_second":1.000000000001})", 422,
               "invalid-contract", "/guarantee_per_second"},
           Bad{"PUT", "/tenants/a", R"({"rate_per_second":1,"burst":1,"webhook":{"url":"x"}})", 422,
               "invalid-contract", "/webhook/url"},
           Bad{"PUT", "/tenants/a%20b", R"({"rate_per_second":1,"burst":1})", 404, "not-found", ""},
           Bad{"GET", "/dead-letters?stage=wait", "", 400, "invalid-parameter", "?stage"},
           Bad{"GET", "/dead-letters?error=oops", "", 400, "invalid-parameter", "?error"},
           Bad{"GET", "/dead-letters?cursor=x", "", 400, "invalid-cursor", "?cursor"},
           Bad{"POST", "/dead-letters/redrive", "", 400, "malformed-json", ""},
           Bad{"POST", "/dead-letters/redrive", R"({"order_ids":["x"]})", 422, "invalid-body",
               "/order_ids"},
           Bad{"POST", "/dead-letters/redrive", R"({"order_ids":[],"stage":"payment"})", 422,
               "invalid-body", "/order_ids"},
           Bad{"POST", "/dead-letters/redrive", R"({"rate_per_second":0})", 422, "invalid-body",
               "/rate_per_second"},
           Bad{"POST", "/dead-letters/x/discard", "", 404, "not-found", ""},
           Bad{"GET", "/owed-refunds?limit=0", "", 400, "invalid-parameter", "?limit"},
           Bad{"GET", "/unresolved-charges?cursor=x", "", 400, "invalid-parameter", "?cursor"},
           Bad{"GET", "/queues?x=1", "", 400, "invalid-parameter", "?x"},
       }) {
    const Answer answer = send({.method = bad.method, .target = bad.target, .body = bad.body});
    EXPECT_EQ(answer.status, bad.status) << bad.target << bad.body << answer.body;
    EXPECT_EQ(answer.member("code"), bad.code) << bad.target << bad.body;
    if (!bad.field.empty()) {
      EXPECT_THAT(answer.body, HasSubstr(R"("pointer":")" + std::string(bad.field) + "\""))
          << bad.target << bad.body;
    }
  }
  EXPECT_EQ(intake_.submitted(), 0U);
}

TEST_F(OperationsTest, QueuesShowStagesAndTotals) {
  pipeline::StageStatistics& payment =
      intake_.statistics.stages[static_cast<std::size_t>(domain::Stage::payment)];
  payment.depth.ready = 4;
  payment.in_flight = 2;
  payment.oldest_age = domain::Duration::milliseconds(1'500);
  payment.completed_per_second = 12.5;
  intake_.statistics.active = 6;
  intake_.statistics.ended[static_cast<std::size_t>(domain::Status::fulfilled)] = 9;
  const Answer answer = get("/queues");
  EXPECT_EQ(answer.status, 200);
  EXPECT_THAT(
      answer.body,
      HasSubstr(
          R"({"stage":"payment","depth":4,"in_flight":2,"oldest_age_seconds":1.500,)"
          R"("completed_per_second":12.500,"failed_per_second":0.000,)"
          R"("completed_total":0,"failed_total":0,"dead_letters":0,"paused":false,"trouble":""})"));
  EXPECT_EQ(answer.member("active"), "6");
  EXPECT_THAT(answer.body, HasSubstr(R"("ended":{"fulfilled":9,"rejected":0,"cancelled":0})"));
}

domain::Order dead_letter(std::uint64_t number) {
  domain::Order order = placed_order(number);
  order.dead_letter = domain::DeadLetter{.state = domain::DeadLetterState::open,
                                         .stage = domain::Stage::payment,
                                         .first_error = domain::Reason::gateway_unavailable,
                                         .last_error = domain::Reason::gateway_rejected,
                                         .attempts = 3,
                                         .first_failed_at = kNow,
                                         .at = kNow};
  return order;
}

TEST_F(OperationsTest, DeadLettersAreListedInPagesByFilter) {
  for (std::uint64_t number = 1; number <= 2; ++number) {
    reader_.replace({.order = dead_letter(number), .receipt = {}, .deliveries = {}});
  }
  const Answer first =
      get("/dead-letters?limit=1&tenant_id=default&stage=payment&error=gateway-rejected");
  EXPECT_EQ(first.status, 200);
  EXPECT_THAT(first.body,
              HasSubstr(R"({"order_id":")" + order_id(1).str() +
                        R"(","tenant_id":"default","stage":"payment","state":"open",)"
                        R"("status":"placed","attempts":3,"first_error":"gateway-unavailable",)"
                        R"("last_error":"gateway-rejected",)"));
  EXPECT_EQ(reader_.last_dead_letter_query.error, domain::Reason::gateway_rejected);
  const Answer second = get("/dead-letters?limit=1&cursor=" + first.member("next_cursor"));
  EXPECT_THAT(second.body, HasSubstr(order_id(2).str()));
  EXPECT_EQ(second.member("next_cursor"), "null");
}

TEST_F(OperationsTest, ARedriveByNameByFilterAndOfNothing) {
  const std::string named = R"({"order_ids":[")" + order_id(1).str() + R"("]})";
  Answer answer = post("/dead-letters/redrive", named);
  EXPECT_EQ(answer.status, 202);
  EXPECT_EQ(answer.body, R"({"redriven":1})");
  EXPECT_EQ(intake_.redriven.at(0), order_id(1));
  EXPECT_EQ(post("/dead-letters/redrive", R"({"tenant_id":"acme","stage":"payment"})").status, 202);
  EXPECT_EQ(intake_.redrive_filter.tenant.str(), "acme");
  EXPECT_EQ(intake_.redrive_filter.stage, domain::Stage::payment);
  const std::size_t before = intake_.submitted();
  for (const char* const body : {R"({"order_ids":[]})", R"({"order_ids":null})", R"({"eror":"x"})",
                                 "{}", R"({"all":false})", R"({"rate_per_second":5})"}) {
    EXPECT_EQ(post("/dead-letters/redrive", body).status, 422) << body;
  }
  EXPECT_EQ(intake_.submitted(), before);
  EXPECT_EQ(post("/dead-letters/redrive", R"({"all":true})").status, 202);
}

TEST_F(OperationsTest, ADiscardAnswersWithTheOrderOrWhyNot) {
  const std::string target = "/dead-letters/" + order_id().str() + "/discard";
  EXPECT_EQ(post(target, "").status, 202);
  intake_.refusal = pipeline::Refusal::not_a_dead_letter;
  EXPECT_EQ(post(target, "").member("code"), "not-a-dead-letter");
}

TEST_F(OperationsTest, OwedRefundsAndUnresolvedChargesHaveAnAge) {
  domain::Order order = placed_order();
  order.status = domain::Status::cancelling;
  order.charge = domain::Charge::captured;
  order.timeline.push_back({.version = {2},
                            .at = kNow - domain::Duration::seconds(90),
                            .from = domain::Status::charged,
                            .to = domain::Status::cancelling,
                            .stage = domain::Stage::payment,
                            .reason = domain::Reason::cancelled_by_request,
                            .attempt = 0});
  reader_.replace({.order = order, .receipt = {}, .deliveries = {}});
  EXPECT_THAT(get("/owed-refunds").body, HasSubstr(R"("age_seconds":90)"));
  EXPECT_THAT(get("/owed-refunds").body, HasSubstr(R"("amount":"20.00")"));
  EXPECT_THAT(get("/owed-refunds").body, HasSubstr(R"("attempts":0,"next_retry_at":null)"));
  intake_.unresolved.push_back({.order = order_id(),
                                .tenant = order.tenant,
                                .since = kNow - domain::Duration::seconds(5),
                                .unanswered = 3});
  EXPECT_THAT(get("/unresolved-charges").body, HasSubstr(R"("age_seconds":5,"unanswered":3)"));
}

TEST_F(OperationsTest, ReadinessFollowsTheIntakeAndHealthDoesNot) {
  intake_.is_ready = false;
  const Answer answer = get("/readyz");
  EXPECT_EQ(answer.status, 503);
  EXPECT_EQ(answer.member("code"), "draining");
  EXPECT_EQ(get("/healthz").status, 200);
}

TEST_F(OperationsTest, MetricsAreInThePrometheusTextFormat) {
  pipeline::StageStatistics& payment =
      intake_.statistics.stages[static_cast<std::size_t>(domain::Stage::payment)];
  payment.latency.add(domain::Duration::milliseconds(3));
  intake_.statistics.accepts[0] = 5;
  get("/healthz");
  const Answer answer = get("/metrics");
  EXPECT_EQ(answer.status, 200);
  EXPECT_THAT(answer.header("Content-Type"), HasSubstr("text/plain; version=0.0.4"));
  EXPECT_THAT(answer.body, HasSubstr("# TYPE penstock_stage_latency_seconds histogram"));
  EXPECT_THAT(answer.body,
              HasSubstr(R"(penstock_stage_latency_seconds_bucket{stage="payment",le="0.0025"} 0)"));
  EXPECT_THAT(answer.body,
              HasSubstr(R"(penstock_stage_latency_seconds_bucket{stage="payment",le="0.005"} 1)"));
  EXPECT_THAT(answer.body,
              HasSubstr(R"(penstock_stage_latency_seconds_bucket{stage="payment",le="+Inf"} 1)"));
  EXPECT_THAT(answer.body, HasSubstr(R"(penstock_order_requests_total{outcome="accepted"} 5)"));
  EXPECT_THAT(
      answer.body,
      HasSubstr(R"(penstock_http_requests_total{method="GET",route="/healthz",status="200"} 1)"));
}

TEST_F(OperationsTest, TheTypeOfAProblemCanBeLookedUp) {
  const Answer answer = get(get("/no-such-route").member("type"));
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.member("code"), "not-found");
  EXPECT_EQ(get("/errors/payment-declined").member("title"), "the gateway declined the charge");
  EXPECT_EQ(get("/errors/no-such-code").status, 404);
}

}  // namespace
}  // namespace penstock::api

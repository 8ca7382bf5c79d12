#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "api/api_fixture.h"
#include "api/cursor.h"
#include "domain/retry.h"

namespace penstock::api {
namespace {

using testing::HasSubstr;
using testing::Not;

class OrdersTest : public ApiTest {
 protected:
  static std::string path(std::uint64_t number = 1, std::string_view rest = "") {
    return "/orders/" + order_id(number).str() + std::string(rest);
  }
  void store(domain::Order order) {
    reader_.replace({.order = std::move(order), .receipt = {}, .deliveries = {}});
  }
};

domain::Order fulfilled_order() {
  domain::Order order = placed_order();
  order.status = domain::Status::fulfilled;
  order.version = {2};
  order.reason = domain::Reason::receipt_issued;
  order.timeline.push_back({.version = {2},
                            .at = kNow + domain::Duration::milliseconds(5),
                            .from = domain::Status::charged,
                            .to = domain::Status::fulfilled,
                            .stage = domain::Stage::fulfillment,
                            .reason = domain::Reason::receipt_issued,
                            .attempt = 1});
  return order;
}

TEST_F(OrdersTest, AStoredOrderIsShownWhole) {
  domain::Order order = placed_order();
  order.metadata.emplace_back("note", "caf\u00e9");
  store(order);
  const Answer answer = get(path());
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.body,
            R"({"order_id":")" + order_id().str() +
                R"(","status":"placed","dead_letter":false,"tenant_id":"default",)"
                R"("customer_id":"cust-123","items":[{"product_id":"PROD-001","quantity":2,)"
                R"("price":"10.00"}],"total":{"amount":"20.00","minor_units":2000,)"
                R"("currency":"USD"},"payment":{"method":"pm_ok"},"metadata":{"note":"café"},)"
                R"("correlation_id":"corr-1","version":1,)"
                R"("created_at":"2026-11-22T16:00:00.000000Z",)"
                R"("updated_at":"2026-11-22T16:00:00.000000Z","attempts":0,"redrives":0})");
}

TEST_F(OrdersTest, ADeadLetterIsMarkedWithItsDetail) {
  domain::Order order = placed_order();
  order.dead_letter = domain::DeadLetter{.state = domain::DeadLetterState::open,
                                         .stage = domain::Stage::payment,
                                         .first_error = domain::Reason::gateway_unavailable,
                                         .last_error = domain::Reason::gateway_unavailable,
                                         .attempts = 3,
                                         .first_failed_at = kNow,
                                         .at = kNow};
  order.reason = domain::Reason::dead_lettered;
  store(order);
  const Answer answer = get(path());
  EXPECT_EQ(answer.member("dead_letter"), "true");
  EXPECT_EQ(answer.member("reason"), "dead-lettered");
  EXPECT_THAT(answer.body, HasSubstr(R"("dead_letter_detail":{"state":"open","stage":"payment",)"));
  EXPECT_EQ(get(path(1, "/why")).member("waiting_for"), "redrive-or-discard");
}

TEST_F(OrdersTest, WhatIsNotStoredAndWhatIsNoIdAreBothNotFound) {
  for (const std::string& target :
       {path(), std::string("/orders/x"), path() + "0", path(1, "/events"), path(1, "/receipt"),
        path(1, "/why"), std::string("/orders/a%2Fb")}) {
    const Answer answer = get(target);
    EXPECT_EQ(answer.status, 404) << target;
    EXPECT_EQ(answer.member("code"), "not-found");
  }
  EXPECT_EQ(post("/orders/x/cancel", "").status, 404);
  EXPECT_EQ(post(path(1, "/cancel"), "").status, 404);
  EXPECT_EQ(intake_.submitted(), 0U);
}

TEST_F(OrdersTest, WaitingAnswersWithTheOrderAsItIsAtTheEnd) {
  store(placed_order());
  intake_.before_end_of_wait = [this] { store(fulfilled_order()); };
  const Answer answer = get(path(1, "?wait=2.5"));
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.member("status"), "fulfilled");
  EXPECT_EQ(intake_.wait_until.value(), kNow + domain::Duration::milliseconds(2'500));
}

TEST_F(OrdersTest, AnOrderThatEndedWhileItWasWaitedForIsNotReadAgain) {
  store(placed_order());
  intake_.ended = std::make_shared<const domain::Order>(fulfilled_order());
  const Answer answer = get(path(1, "?wait=2.5"));
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.member("status"), "fulfilled") << "the store still has it as placed";
  EXPECT_EQ(answer.member("order_id"), order_id().str());
}

TEST_F(OrdersTest, ATerminalOrderOrAWaitOfZeroIsAnsweredAtOnce) {
  store(fulfilled_order());
  EXPECT_EQ(get(path(1, "?wait=30")).member("status"), "fulfilled");
  store(placed_order());
  EXPECT_EQ(get(path(1, "?wait=0")).member("status"), "placed");
  EXPECT_EQ(intake_.submitted(), 0U);
}

TEST_F(OrdersTest, WrongQueryParametersAreRefusedAndReachNoIntake) {
  store(placed_order());
  for (const std::string_view query :
       {"?wait=31", "?wait=-1", "?wait=", "?wait=abc", "?wait=1&wait=1", "?what=1"}) {
    const Answer answer = get(path(1, query));
    EXPECT_EQ(answer.status, 400) << query;
    EXPECT_EQ(answer.member("code"), "invalid-parameter") << query;
  }
  EXPECT_EQ(intake_.submitted(), 0U);
}

TEST_F(OrdersTest, TheTimelineShowsTransitionsThenDeliveriesWithoutAVersion) {
  reader_.replace({.order = fulfilled_order(),
                   .receipt = R"({"receipt":1})",
                   .deliveries = {{.at = kNow + domain::Duration::seconds(1)},
                                  {.at = kNow + domain::Duration::seconds(2),
                                   .attempt = 1,
                                   .reason = domain::Reason::delivered}}});
  const Answer answer = get(path(1, "/events"));
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.body,
            R"({"order_id":")" + order_id().str() +
                R"(","events":[{"version":1,"at":"2026-11-22T16:00:00.000000Z","from":null,)"
                R"("to":"placed","stage":"ingest","reason":"accepted","attempt":0},)"
                R"({"version":2,"at":"2026-11-22T16:00:00.005000Z","from":"charged",)"
                R"("to":"fulfilled","stage":"fulfillment","reason":"receipt-issued","attempt":1},)"
                R"({"version":null,"at":"2026-11-22T16:00:01.000000Z","from":"fulfilled",)"
                R"("to":"fulfilled","stage":"notification","reason":"end-noted","attempt":1},)"
                R"({"version":null,"at":"2026-11-22T16:00:02.000000Z","from":"fulfilled",)"
                R"("to":"fulfilled","stage":"notification","reason":"delivered","attempt":1}]})");
}

TEST_F(OrdersTest, AReceiptIsTheStoredBytesAndNotThereBeforeFulfillment) {
  store(placed_order());
  EXPECT_EQ(get(path(1, "/receipt")).status, 404);
  reader_.replace({.order = fulfilled_order(), .receipt = R"({"receipt":1})", .deliveries = {}});
  const Answer answer = get(path(1, "/receipt"));
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.body, R"({"receipt":1})");
}

TEST_F(OrdersTest, WhyTellsARetryAndTheLastError) {
  domain::Order order = placed_order();
  order.status = domain::Status::reserved;
  order.attempts = 1;
  order.last_error = domain::Reason::gateway_unavailable;
  order.due = kNow + domain::Duration::seconds(3);
  store(order);
  const Answer answer = get(path(1, "/why"));
  EXPECT_EQ(answer.member("waiting_for"), "retry");
  EXPECT_EQ(answer.member("stage"), "payment");
  EXPECT_EQ(answer.member("attempt"), "2");
  EXPECT_EQ(answer.member("last_error"), "gateway-unavailable");
  EXPECT_EQ(answer.member("next_retry_at"), "2026-11-22T16:00:03.000000Z");
}

TEST_F(OrdersTest, WhyTellsTheGatewayThatHasNotAnswered) {
  domain::Order order = placed_order();
  order.status = domain::Status::reserved;
  store(order);
  intake_.progress.in_flight = true;
  intake_.progress.effect = domain::EffectKind::find_charge;
  intake_.progress.since = kNow;
  intake_.progress.unanswered = 2;
  const Answer answer = get(path(1, "/why"));
  EXPECT_EQ(answer.member("waiting_for"), "gateway");
  EXPECT_EQ(answer.member("effect"), "find-charge");
  EXPECT_EQ(answer.member("unanswered"), "2");
  EXPECT_EQ(answer.member("since"), "2026-11-22T16:00:00.000000Z");
}

TEST_F(OrdersTest, WhyTellsThatThePeerIsAwayAndWhenItIsAskedAgain) {
  domain::Order order = placed_order();
  order.status = domain::Status::reserved;
  store(order);
  EXPECT_EQ(get(path(1, "/why")).member("peer"), "null");
  intake_.progress.trouble = domain::Trouble::unreachable;
  intake_.progress.detail = "connection refused or host unreachable: 127.0.0.1:9";
  intake_.progress.peer_away_since = kNow;
  intake_.progress.peer_next_try = kNow + domain::Duration::seconds(5);
  const Answer answer = get(path(1, "/why"));
  EXPECT_EQ(answer.member("waiting_for"), "gateway");
  EXPECT_EQ(answer.member("next_retry_at"), "2026-11-22T16:00:05.000000Z");
  EXPECT_TRUE(
      answer.body.contains(R"("peer":{"trouble":"unreachable","detail":"connection refused)"))
      << answer.body;
  EXPECT_TRUE(answer.body.contains(R"("away_since":"2026-11-22T16:00:00.000000Z"})"));
}

TEST_F(OrdersTest, WhyTellsWhatElseAnOrderWaitsFor) {
  domain::Order order = placed_order();
  order.status = domain::Status::reserved;
  store(order);
  const auto waiting_for = [&] { return get(path(1, "/why")).member("waiting_for"); };
  EXPECT_EQ(waiting_for(), "turn");
  intake_.progress.careful_run = true;
  EXPECT_EQ(waiting_for(), "careful-run");
  intake_.progress.at_bound = true;
  EXPECT_EQ(waiting_for(), "bound");
  intake_.progress.runs_elsewhere = true;
  EXPECT_EQ(waiting_for(), "another-process");
}

TEST_F(OrdersTest, WhyOfATerminalOrderIsNothing) {
  store(fulfilled_order());
  const Answer answer = get(path(1, "/why"));
  EXPECT_EQ(answer.member("waiting_for"), "nothing");
  EXPECT_EQ(answer.member("stage"), "null");
}

TEST_F(OrdersTest, ACancelAnswersWithTheOrderAsStored) {
  store(placed_order());
  domain::Order cancelled = placed_order();
  cancelled.status = domain::Status::cancelled;
  intake_.changed_order = cancelled;
  const Answer answer = post(path(1, "/cancel"), "");
  EXPECT_EQ(answer.status, 202);
  EXPECT_EQ(answer.member("status"), "cancelled");
}

TEST_F(OrdersTest, RefusedCancelsHaveTheirCodes) {
  store(placed_order());
  for (const auto& [refusal, status, code] :
       {std::tuple{pipeline::Refusal::already_terminal, 409, "order-already-terminal"},
        std::tuple{pipeline::Refusal::not_found, 404, "not-found"},
        std::tuple{pipeline::Refusal::draining, 503, "draining"},
        std::tuple{pipeline::Refusal::reduced_capacity, 503, "temporarily-reduced-capacity"}}) {
    intake_.refusal = refusal;
    const Answer answer = post(path(1, "/cancel"), "");
    EXPECT_EQ(answer.status, status) << code;
    EXPECT_EQ(answer.member("code"), code);
    EXPECT_EQ(answer.header("Retry-After"), status == 503 ? "1" : "") << code;
  }
  intake_.refusal = pipeline::Refusal::abandoned;
  EXPECT_EQ(post(path(1, "/cancel"), "").status, 0);
}

TEST_F(OrdersTest, AStoreThatCannotBeReadIsATemporaryRefusal) {
  reader_.error = ports::StoreError::unavailable;
  for (const std::string& target : {path(), std::string("/orders"), std::string("/tenants"),
                                    std::string("/inventory/P"), std::string("/owed-refunds")}) {
    const Answer answer = get(target);
    EXPECT_EQ(answer.status, 503) << target;
    EXPECT_EQ(answer.header("Retry-After"), "1");
  }
}

TEST_F(OrdersTest, ADamagedRecordIsToldToTheCallerAndInTheLog) {
  reader_.error = ports::StoreError::corrupt;
  const Answer answer = get(path());
  EXPECT_EQ(answer.status, 503);
  EXPECT_THAT(answer.member("detail"), HasSubstr("damaged"));
  EXPECT_EQ(log_.details("damaged"), 1U);
}

TEST_F(OrdersTest, AListIsPagedNewestFirstByItsCursor) {
  for (std::uint64_t number = 1; number <= 3; ++number) store(placed_order(number));
  const Answer first =
      get("/orders?limit=2&tenant_id=default&status=placed"
          "&created_from=2026-11-01T00:00:00Z&created_to=2026-12-01T00:00:00Z");
  EXPECT_EQ(first.status, 200);
  EXPECT_THAT(first.body, HasSubstr(order_id(3).str()));
  EXPECT_THAT(first.body, HasSubstr(order_id(2).str()));
  EXPECT_THAT(first.body, Not(HasSubstr(order_id(1).str())));
  EXPECT_EQ(reader_.last_query.tenant.str(), "default");
  EXPECT_EQ(reader_.last_query.status, domain::Status::placed);
  EXPECT_EQ(reader_.last_query.created_from, domain::parse_rfc3339("2026-11-01T00:00:00Z"));
  EXPECT_EQ(reader_.last_query.created_to, domain::parse_rfc3339("2026-12-01T00:00:00Z"));
  const Answer second = get("/orders?limit=2&cursor=" + first.member("next_cursor"));
  EXPECT_THAT(second.body, HasSubstr(order_id(1).str()));
  EXPECT_EQ(second.member("next_cursor"), "null");
}

TEST_F(OrdersTest, AListRefusesWrongFiltersAndForeignCursors) {
  const std::string other = encode_cursor(CursorList::dead_letters, order_id());
  std::string mangled = encode_cursor(CursorList::orders, order_id());
  mangled[5] = mangled[5] == 'A' ? 'B' : 'A';
  for (const auto& [query, code] :
       {std::pair<std::string, std::string>{"limit=0", "invalid-parameter"},
        {"limit=501", "invalid-parameter"},
        {"limit=1x", "invalid-parameter"},
        {"status=done", "invalid-parameter"},
        {"created_from=yesterday", "invalid-parameter"},
        {"tenant_id=a%20b", "invalid-parameter"},
        {"page=2", "invalid-parameter"},
        {"cursor=", "invalid-cursor"},
        {"cursor=abc", "invalid-cursor"},
        {"cursor=" + mangled, "invalid-cursor"},
        {"cursor=" + other, "invalid-cursor"}}) {
    const Answer answer = get("/orders?" + query);
    EXPECT_EQ(answer.status, 400) << query;
    EXPECT_EQ(answer.member("code"), code) << query;
  }
}

TEST(CursorTest, EveryChangedCharacterIsNoticed) {
  const std::string cursor = encode_cursor(CursorList::orders, order_id());
  EXPECT_EQ(decode_order_cursor(CursorList::orders, cursor), order_id());
  for (std::size_t at = 0; at < cursor.size(); ++at) {
    std::string changed = cursor;
    changed[at] = changed[at] == 'A' ? 'B' : 'A';
    EXPECT_EQ(decode_order_cursor(CursorList::orders, changed), std::nullopt) << at;
    EXPECT_EQ(decode_order_cursor(CursorList::orders, cursor.substr(0, at)), std::nullopt) << at;
  }
}

TEST_F(OrdersTest, WhyTellsOfAWebhookThatIsTriedAgain) {
  domain::Order order = placed_order();
  order.status = domain::Status::fulfilled;
  ports::StoredOrder stored{.order = order, .receipt = {}, .deliveries = {}};
  stored.deliveries.push_back({.at = kNow});
  reader_.replace(stored);
  EXPECT_EQ(get(path(1, "/why")).member("waiting_for"), "nothing");
  stored.deliveries.push_back(
      {.at = kNow, .attempt = 1, .reason = domain::Reason::delivery_failed});
  reader_.replace(stored);
  const Answer answer = get(path(1, "/why"));
  EXPECT_EQ(answer.member("waiting_for"), "webhook");
  EXPECT_EQ(answer.member("stage"), "notification");
  EXPECT_EQ(answer.member("attempt"), "2");
  EXPECT_EQ(answer.member("last_error"), "delivery-failed");
  EXPECT_EQ(answer.member("next_retry_at"), domain::to_rfc3339(kNow + *domain::webhook_pause(2)));
  stored.deliveries.push_back({.at = kNow, .attempt = 2, .reason = domain::Reason::delivered});
  reader_.replace(stored);
  EXPECT_EQ(get(path(1, "/why")).member("waiting_for"), "nothing");
}

}  // namespace
}  // namespace penstock::api

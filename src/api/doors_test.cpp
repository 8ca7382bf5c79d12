#include <algorithm>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "api/api_fixture.h"
#include "api/key_guesses.h"
#include "api/request_counters.h"

// What a request says twice, half or in another form: each header and parameter that is read.
namespace penstock::api {
namespace {

using testing::HasSubstr;

constexpr std::string_view kOrder =
    R"({"customer_id":"c","items":[{"product_id":"P","quantity":1,"price":1}]})";

class DoorsTest : public ApiTest {
 protected:
  Answer place_with(std::vector<std::string> headers) {
    return send(
        {.method = "POST", .target = "/orders", .body = kOrder, .headers = std::move(headers)});
  }
};

TEST_F(DoorsTest, OneAuthorizationHeaderWithOneKeyLetsInAndNothingElse) {
  serve({.admin_key = "secret"});
  EXPECT_EQ(send({.target = "/queues", .headers = {"Authorization: Bearer secret"}}).status, 200);
  const std::vector<std::vector<std::string>> refused{
      {"Authorization: Bearer secret", "Authorization: Bearer secret"},
      {"Authorization: Bearer secret", "Authorization: Bearer wrong"},
      {"Authorization: Bearer wrong", "authorization: Bearer secret"},
      {"Authorization: Bearer secret", "AUTHORIZATION: Basic c2VjcmV0"},
      {"Authorization: Bearer secret", "Authorization:"},
      {"Authorization: Bearer secret, Bearer secret"},
      {"Authorization: Bearer wrong, Bearer secret"},
      {"Authorization: Bearer secret,"},
      {"Authorization: Bearer secret x"},
      {"Authorization: Bearer \"secret\""},
      {"Authorization: Bearer, secret"},
  };
  ASSERT_GT(KeyGuesses::kFree, 0);
  for (const auto& headers : refused) {
    const Answer answer = send({.target = "/queues", .headers = headers});
    EXPECT_TRUE(answer.status == 401 || answer.status == 429) << testing::PrintToString(headers);
  }
}

TEST_F(DoorsTest, WrongKeysAreSlowedDownAndTheRightOneIsNot) {
  serve({.admin_key = "secret"});
  const Sent wrong{.target = "/queues", .headers = {"Authorization: Bearer wrong"}};
  for (std::int64_t guess = 0; guess < KeyGuesses::kFree; ++guess) {
    EXPECT_EQ(send(wrong).status, 401);
  }
  for (int guess = 0; guess < 3; ++guess) {
    const Answer answer = send(wrong);
    EXPECT_EQ(answer.status, 429);
    EXPECT_EQ(answer.member("code"), "too-many-failures");
    EXPECT_EQ(answer.header("Retry-After"), "1");
    EXPECT_EQ(send({.target = "/queues", .headers = {"Authorization: Bearer secret"}}).status, 200);
    EXPECT_EQ(get("/queues").status, 401) << "no key is no guess";
    EXPECT_EQ(get("/healthz").status, 200);
  }
}

TEST_F(DoorsTest, AnIdempotencyKeyIsBareOrOneStringAndNothingElse) {
  struct Case {
    std::string header;
    std::string key;  ///< "" where it is refused
  };
  const std::vector<Case> cases{
      {"abc", "abc"},
      {"\"abc\"", "abc"},
      {"  \"abc\"  ", "abc"},
      {"a;b=1", "a;b=1"},
      {"\"a;b\"", "a;b"},
      {R"("a\"b")", "a\"b"},
      {R"("a\\b")", R"(a\b)"},
      {"\"a b\"", "a b"},
      {R"("a"b")", ""},
      {R"(a"b)", "a\"b"},
      {R"(a\b)", R"(a\b)"},
      {R"("abc)", ""},
      {R"(")", ""},
      {R"("")", ""},
      {"", ""},
      {R"("abc"x)", ""},
      {R"("abc";x=1)", ""},
      {R"("abc" "def")", ""},
      {R"("abc", "def")", ""},
      {R"("abc",)", ""},
      {R"("a\b")", ""},
      {R"("abc\")", ""},
      {"\"a\tb\"", ""},
      {"\"\xc3\xa4\"", ""},
      {"\xc3\xa4", ""},
      {std::string(256, 'k'), ""},
      {"\"" + std::string(256, 'k') + "\"", ""},
      {"\"" + std::string(255, 'k') + "\"", std::string(255, 'k')},
  };
  for (const Case& each : cases) {
    intake_.claim.reset();
    const Answer answer = place_with({"Idempotency-Key: " + each.header});
    SCOPED_TRACE(each.header);
    if (each.key.empty()) {
      EXPECT_EQ(answer.status, 400);
      EXPECT_EQ(answer.member("code"), "idempotency-key-invalid");
      EXPECT_FALSE(intake_.claim.has_value());
    } else {
      EXPECT_EQ(answer.status, 202);
      ASSERT_TRUE(intake_.claim.has_value());
      EXPECT_EQ(intake_.claim->key.str(), each.key);
    }
  }
}

TEST_F(DoorsTest, AHeaderThatStandsForOneThingIsNotTakenTwice) {
  struct Case {
    std::vector<std::string> headers;
    int status;
    std::string code;
  };
  const std::string json = "Content-Type: application/json";
  const std::vector<Case> cases{
      {{"Idempotency-Key: a", "Idempotency-Key: a"}, 400, "idempotency-key-invalid"},
      {{"Idempotency-Key: a", "idempotency-key: b"}, 400, "idempotency-key-invalid"},
      {{json}, 202, ""},
      {{json, json}, 415, "unsupported-media-type"},
      {{"Content-Type: application/json, application/json"}, 415, "unsupported-media-type"},
      {{"Content-Type: text/plain"}, 415, "unsupported-media-type"},
      {{"Content-Encoding: identity"}, 202, ""},
      {{"Content-Encoding: gzip"}, 415, "unsupported-media-type"},
      {{"Content-Encoding: identity, gzip"}, 415, "unsupported-media-type"},
      {{"Content-Encoding: identity", "Content-Encoding: br"}, 415, "unsupported-media-type"},
      {{"Host: localhost"}, 400, "bad-request"},
  };
  for (const Case& each : cases) {
    const Answer answer = place_with(each.headers);
    EXPECT_EQ(answer.status, each.status) << testing::PrintToString(each.headers);
    EXPECT_EQ(answer.member("code"), each.code) << testing::PrintToString(each.headers);
  }
}

TEST_F(DoorsTest, WhatOnlyNamesARequestIsIgnoredWhereItStandsTwice) {
  const std::string id = "X-Correlation-Id: mine";
  EXPECT_EQ(place_with({id}).header("X-Correlation-Id"), "mine");
  for (const std::vector<std::string>& headers :
       {std::vector{id, id}, std::vector{id, std::string("x-correlation-id: other")}}) {
    const Answer answer = place_with(headers);
    EXPECT_EQ(answer.status, 202);
    EXPECT_EQ(answer.header("X-Correlation-Id").size(), 32U) << "a new one";
  }
  const std::string parent = "traceparent: 00-0123456789abcdef0123456789abcdef-0123456789abcdef-01";
  EXPECT_EQ(place_with({parent}).status, 202);
  EXPECT_EQ("traceparent: " + intake_.draft.value().traceparent, parent);
  EXPECT_EQ(place_with({parent, parent}).status, 202);
  EXPECT_EQ(intake_.draft.value().traceparent, "");
}

TEST_F(DoorsTest, ATimeInAQueryMayHaveItsPlusSignAsItIsOrEscaped) {
  for (const std::string_view offset : {"+01:00", "%2B01:00", "%2b01:00"}) {
    const Answer answer = get("/orders?created_from=2026-11-22T17:00:00" + std::string(offset));
    EXPECT_EQ(answer.status, 200) << offset;
    EXPECT_EQ(reader_.last_query.created_from, kNow) << offset;
  }
  EXPECT_EQ(get("/orders?created_from=2026-11-22T15:00:00-01:00").status, 200);
  EXPECT_EQ(reader_.last_query.created_from, kNow);
}

TEST_F(DoorsTest, AQueryIsReadStrictly) {
  struct Case {
    std::string query;
    std::string pointer;
    std::string code;
  };
  const std::vector<Case> cases{
      {"limit=1&limit=1", "?limit", "repeated"},
      {"limit=1&limit=2", "?limit", "repeated"},
      {"Limit=1", "?Limit", "unknown-parameter"},
      {"limits=1", "?limits", "unknown-parameter"},
      {"limit=", "?limit", "invalid"},
      {"limit", "?limit", "invalid"},
      {"limit=0", "?limit", "invalid"},
      {"limit=501", "?limit", "invalid"},
      {"limit=+1", "?limit", "invalid"},
      {"tenant_id=", "?tenant_id", "invalid"},
      {"status=", "?status", "invalid"},
      {"status=PLACED", "?status", "invalid"},
      {"created_to=yesterday", "?created_to", "invalid"},
      {"created_to=2026-11-22 16:00:00Z", "", ""},
      {"created_to=2026-11-22T16:00:00", "?created_to", "invalid"},
      {"created_to=2026-11-22+16:00:00Z", "?created_to", "invalid"},
  };
  for (const Case& each : cases) {
    const Answer answer = get("/orders?" + each.query);
    EXPECT_EQ(answer.status, 400) << each.query;
    if (each.pointer.empty()) continue;
    EXPECT_EQ(answer.member("code"), "invalid-parameter") << each.query;
    EXPECT_THAT(answer.body, HasSubstr("\"pointer\":\"" + each.pointer + "\"")) << each.query;
    EXPECT_THAT(answer.body, HasSubstr("\"code\":\"" + each.code + "\"")) << each.query;
  }
}

TEST(RequestCounters, AStatusThatIsNotListedIsCountedAsOther) {
  RequestCounters counters;
  for (const int status : {201, 204, 304, 418, 500}) counters.add(3, status);
  counters.add(3, 503);
  const auto other = std::ranges::find(RequestCounters::kStatuses, RequestCounters::kOther);
  EXPECT_EQ(counters.get(3, static_cast<std::size_t>(other - RequestCounters::kStatuses.begin())),
            5U);
}

}  // namespace
}  // namespace penstock::api

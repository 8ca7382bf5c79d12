#include <algorithm>
#include <atomic>
#include <chrono>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "api/api_fixture.h"
#include "api/contract_change.h"

namespace penstock::api {
namespace {

using testing::HasSubstr;
using testing::Not;

constexpr std::string_view kHook =
    R"({"url":"https://example.org/hook","secret":"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"})";

class OperatorBodyTest : public ApiTest {
 protected:
  domain::Contract stored(const std::string& tenant) {
    return reader_.contract(domain::TenantId::unchecked(tenant)).value();
  }
  /// What was put last is in force.
  void keep(const std::string& tenant) { reader_.known_contracts[tenant] = *intake_.contract; }
};

/// An operator's route with a body that is right, and the members that it knows.
struct Body {
  std::string_view method;
  std::string target;
  std::string_view good;
  std::vector<std::string_view> members;
  std::vector<std::string_view> removable = {};  ///< of these null means something
};

std::vector<Body> bodies() {
  return {
      {"POST",
       "/dead-letters/redrive",
       R"("all":true)",
       {"order_ids", "tenant_id", "stage", "error", "all", "rate_per_second"}},
      {"POST", "/dead-letters/" + order_id().str() + "/discard", "", {}},
      {"PUT", "/inventory/P", R"("on_hand":1)", {"on_hand", "tenant_id"}},
      {"POST", "/inventory/P/restock", R"("quantity":1)", {"quantity", "tenant_id"}},
      {"PUT",
       "/tenants/acme",
       R"("burst":1)",
       {"tenant_id", "rate_per_second", "burst", "weight", "guarantee_per_second", "webhook"},
       {"weight", "guarantee_per_second", "webhook"}},
  };
}

TEST_F(OperatorBodyTest, WhatIsUnknownNullEmptyDoubledOrOfAnotherTypeIsRefusedEverywhere) {
  std::size_t refused = 0;
  const auto expect_refused = [&](const Body& body, const std::string& text,
                                  std::string_view field) {
    const Answer answer = send({.method = body.method, .target = body.target, .body = text});
    EXPECT_TRUE(answer.status == 422 || answer.status == 400) << text << answer.body;
    EXPECT_THAT(answer.body, HasSubstr(R"("pointer":")" + std::string(field) + "\"")) << text;
    ++refused;
  };
  for (const Body& body : bodies()) {
    const std::string good(body.good);
    const std::string comma = good.empty() ? "" : ",";
    expect_refused(body, "{" + good + comma + R"("no_such":1})", "/no_such");
    expect_refused(body, "{" + good + comma + R"("no_such":null})", "/no_such");
    expect_refused(body, "[]", "");
    expect_refused(body, "null", "");
    for (const std::string_view member : body.members) {
      const std::string name(member);
      // A name that is one letter short of a known one.
      expect_refused(body, "{\"" + name.substr(1) + "\":1}", "/" + name.substr(1));
      for (const char* const value : {"null", R"("")", "[]", "{}", "[[]]", R"({"x":{}})"}) {
        const bool removes = std::ranges::find(body.removable, member) != body.removable.end();
        if (removes && std::string_view(value) == "null") continue;
        const bool nested = member == "webhook" && std::string_view(value) == R"({"x":{}})";
        expect_refused(body, "{\"" + name + "\":" + value + "}",
                       nested ? "/webhook/x" : "/" + name);
      }
      expect_refused(body, "{\"" + name + "\":1,\"" + name + "\":1}", "/" + name);
    }
  }
  EXPECT_EQ(intake_.submitted(), 0U) << "nothing was done";
  EXPECT_GT(refused, 100U);
}

TEST_F(OperatorBodyTest, AllIsRedrivenOnlyWhereAllIsSaid) {
  for (const char* const body :
       {"{}", R"({"all":false})", R"({"rate_per_second":5})", R"({"all":"true"})", R"({"all":1})",
        R"({"all":true,"stage":"payment"})", R"({"all":true,"order_ids":["x"]})", R"({"eror":"x"})",
        R"({"order_ids":null})", R"({"order_ids":[]})", R"({"tenant_id":""})"}) {
    EXPECT_EQ(post("/dead-letters/redrive", body).status, 422) << body;
  }
  EXPECT_EQ(post("/dead-letters/redrive", "").status, 400);
  EXPECT_EQ(intake_.submitted(), 0U);
  EXPECT_EQ(post("/dead-letters/redrive", R"({"all":true,"rate_per_second":5})").status, 202);
  EXPECT_EQ(intake_.submitted(), 1U);
}

TEST_F(OperatorBodyTest, AMisspeltMemberIsAnsweredWithTheOneThatWasMeant) {
  const Answer answer = post("/dead-letters/redrive", R"({"eror":"x"})");
  EXPECT_THAT(answer.body, HasSubstr("Did you mean error?"));
  EXPECT_THAT(put("/inventory/P", R"({"onhand":1})").body, HasSubstr("Did you mean on_hand?"));
  EXPECT_THAT(put("/inventory/P", R"({"a/b~c":1})").body, HasSubstr(R"("pointer":"/a~1b~0c")"));
}

TEST_F(OperatorBodyTest, AFilterThatIsEmptyListsNothing) {
  for (const char* const target : {"/dead-letters?error=", "/dead-letters?stage=",
                                   "/dead-letters?tenant_id=", "/dead-letters?eror=x"}) {
    EXPECT_EQ(get(target).status, 400) << target;
  }
}

TEST_F(OperatorBodyTest, StockTakesItsTenantFromQueryOrBody) {
  EXPECT_EQ(put("/inventory/P?tenant_id=acme", R"({"on_hand":1})").status, 200);
  EXPECT_EQ(intake_.tenant.value().str(), "acme");
  EXPECT_EQ(post("/inventory/P/restock?tenant_id=b", R"({"quantity":1,"tenant_id":"b"})").status,
            200);
  EXPECT_EQ(intake_.tenant.value().str(), "b");
  const Answer answer = put("/inventory/P?tenant_id=acme", R"({"on_hand":1,"tenant_id":"b"})");
  EXPECT_EQ(answer.status, 400);
  EXPECT_EQ(answer.member("code"), "invalid-parameter");
}

TEST_F(OperatorBodyTest, EachActAndItsOutcomeIsLogged) {
  post("/dead-letters/redrive", R"({"all":true})");
  put("/inventory/P", R"({"on_hand":3})");
  put("/tenants/acme", R"({"webhook":)" + std::string(kHook) + "}");
  intake_.refusal = pipeline::Refusal::not_a_dead_letter;
  post("/dead-letters/" + order_id().str() + "/discard", "");
  EXPECT_EQ(log_.details("all: 0 redriven"), 1U);
  EXPECT_EQ(log_.details("product P: 3"), 1U);
  EXPECT_EQ(log_.details("webhook"), 1U);
  EXPECT_EQ(log_.details("c2VjcmV0"), 0U) << "no secret";
  EXPECT_GE(log_.lines("not-a-dead-letter"), 1U);
}

TEST_F(OperatorBodyTest, AnActWhoseOutcomeNobodyKnowsIsLoggedAsThat) {
  intake_.refusal = pipeline::Refusal::abandoned;
  EXPECT_EQ(post("/dead-letters/redrive", R"({"all":true})").status, 0);
  EXPECT_EQ(put("/inventory/P", R"({"on_hand":3})").status, 0);
  EXPECT_EQ(put("/tenants/acme", R"({"burst":3})").status, 0);
  EXPECT_EQ(log_.lines("outcome-unknown"), 3U);
}

TEST_F(OperatorBodyTest, AChangeThatTheStoreKeepsWaitingIsRefusedAndNotMadeLater) {
  Gate gate;
  std::atomic<bool> hangs{true};
  reader_.before_read = [&] {
    if (hangs) gate.pass();
  };
  ApiOptions options;
  options.reads.deadline = std::chrono::milliseconds(20);
  options.reads.sweep = std::chrono::milliseconds(5);
  serve(options);
  const Answer late = put("/tenants/acme", R"({"burst":3})");
  EXPECT_EQ(late.status, 503);
  EXPECT_EQ(late.header("Retry-After"), "1");
  hangs = false;
  gate.open();
  server_.reset();
  api_.reset();  // the job has ended
  EXPECT_EQ(intake_.submitted(), 0U);
  EXPECT_EQ(log_.details("burst"), 1U) << "it is in the operators' log";
  EXPECT_EQ(log_.lines("outcome-unknown"), 0U) << "nothing was done";
}

TEST_F(OperatorBodyTest, AContractKeepsWhatAPutDoesNotName) {
  ASSERT_EQ(put("/tenants/acme", R"({"rate_per_second":9,"burst":10,"guarantee_per_second":2,
                                     "weight":3,"webhook":)" +
                                     std::string(kHook) + "}")
                .status,
            200);
  keep("acme");
  const domain::Contract before = stored("acme");
  ASSERT_EQ(put("/tenants/acme", R"({"rate_per_second":11,"burst":20})").status, 200);
  domain::Contract expected = before;
  expected.bucket.rate = domain::parse_rate_per_second("11").value();
  expected.bucket.burst = 20;
  EXPECT_EQ(intake_.contract, expected);
  keep("acme");
  ASSERT_EQ(put("/tenants/acme", R"({"webhook":{"url":"https://example.org/2"}})").status, 200);
  expected.webhook->url = "https://example.org/2";
  EXPECT_EQ(intake_.contract, expected) << "a new URL keeps the secret";
  keep("acme");
  ASSERT_EQ(put("/tenants/acme", get("/tenants/acme").body).status, 200) << "what is read fits";
  EXPECT_EQ(intake_.contract, expected);
  ASSERT_EQ(
      put("/tenants/acme", R"({"webhook":null,"guarantee_per_second":null,"weight":null})").status,
      200);
  expected.webhook.reset();
  expected.guarantee.reset();
  expected.weight = 1;
  EXPECT_EQ(intake_.contract, expected) << "null removes";
}

TEST_F(OperatorBodyTest, AWholeContractThatWouldBreakARuleIsRefused) {
  put("/tenants/acme", R"({"rate_per_second":9,"guarantee_per_second":8})");
  keep("acme");
  EXPECT_THAT(put("/tenants/acme", R"({"rate_per_second":7})").body, HasSubstr("above-rate"));
  EXPECT_THAT(put("/tenants/acme", R"({"webhook":{"url":"https://example.org/"}})").body,
              HasSubstr("/webhook/secret"));
  EXPECT_THAT(
      put("/tenants/acme", R"({"webhook":{"secret":"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}})")
          .body,
      HasSubstr("/webhook/url"));
}

TEST_F(OperatorBodyTest, AChangeIsMadeToWhatIsInForceHoweverOftenOthersChangeIt) {
  intake_.reader_contract = [this] { return std::optional(stored("acme")); };
  int others = 3;
  intake_.before_put_contract = [this, &others] {
    if (others == 0) return;
    domain::Contract contract = stored("acme");
    contract.bucket.burst = 100 + --others;
    reader_.known_contracts["acme"] = contract;
  };
  ASSERT_EQ(put("/tenants/acme", R"({"weight":7})").status, 200);
  EXPECT_EQ(intake_.contract.value().weight, 7);
  EXPECT_EQ(intake_.contract.value().bucket.burst, 100) << "what others changed stays";
}

TEST_F(OperatorBodyTest, AContractThatNeverHoldsStillIsAPassingRefusal) {
  intake_.reader_contract = [] { return std::optional<domain::Contract>(); };
  const Answer answer = put("/tenants/acme", R"({"weight":7})");
  EXPECT_EQ(answer.status, 503);
  EXPECT_EQ(answer.member("code"), "temporarily-reduced-capacity");
  EXPECT_EQ(intake_.submitted(), 10U) << "it is tried as often as that";
  EXPECT_EQ(log_.details("weight"), 1U) << "one act, however often it was tried";
}

TEST_F(OperatorBodyTest, IfMatchStoresOnlyOverTheContractThatWasRead) {
  const std::string tag = get("/tenants/acme").header("ETag");
  ASSERT_FALSE(tag.empty());
  const auto put_if = [this](const std::string& match) {
    return send({.method = "PUT",
                 .target = "/tenants/acme",
                 .body = R"({"burst":5})",
                 .headers = {"If-Match: " + match}});
  };
  EXPECT_EQ(put_if("\"other\"").status, 412);
  EXPECT_EQ(put_if("\"other\"").member("code"), "precondition-failed");
  EXPECT_EQ(put_if("W/" + tag).status, 412) << "a weak tag never matches";
  EXPECT_EQ(put_if("\"a\", " + tag).status, 200);
  keep("acme");
  EXPECT_EQ(put_if(tag).status, 412) << "the contract is another by now";
  EXPECT_EQ(put_if("*").status, 200);
}

TEST_F(OperatorBodyTest, AnETagIsAnotherForEachChangeTheSecretIncluded) {
  domain::Contract one;
  one.webhook = domain::Webhook{.url = "https://a.example/",
                                .secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"};
  domain::Contract other = one;
  other.webhook->secret = "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
  EXPECT_NE(entity_tag(one), entity_tag(other));
  EXPECT_EQ(entity_tag(one), entity_tag(domain::Contract(one)));
}

TEST_F(OperatorBodyTest, AWebhookThatCanNeverWorkIsRefusedWhenItIsSet) {
  for (const char* const url :
       {"http://localhost/", "http://x.localhost/", "http://LOCALHOST./", "http://127.0.0.1:8080/",
        "http://127.1/", "http://2130706433/", "http://0x7f.1/", "http://10.1.2.3/",
        "http://169.254.169.254/", "http://[::1]/", "http://[::ffff:10.0.0.1]/",
        "http://[fe80::1]/", "http://0.0.0.0/", "https://192.168.0.1/"}) {
    const Answer answer =
        put("/tenants/a", R"({"webhook":{"url":")" + std::string(url) +
                              R"(","secret":"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}})");
    EXPECT_EQ(answer.status, 422) << url;
    EXPECT_THAT(answer.body, HasSubstr("private-address")) << url;
  }
  for (const char* const url :
       {"http://example.org/", "https://93.184.216.34/", "http://10.example/"}) {
    EXPECT_EQ(put("/tenants/a", R"({"webhook":{"url":")" + std::string(url) +
                                    R"(","secret":"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}})")
                  .status,
              200)
        << url;
  }
  for (const char* const secret :
       {"whsec_notbase64!", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaS", "whsec_c2VjcmV0",
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaS_", "bare text"}) {
    const Answer answer = put("/tenants/a", R"({"webhook":{"url":"https://a.example/","secret":")" +
                                                std::string(secret) + R"("}})");
    EXPECT_EQ(answer.status, 422) << secret;
    EXPECT_THAT(answer.body, HasSubstr("padded standard base64 of 24 to 64 bytes")) << secret;
    EXPECT_THAT(answer.body, HasSubstr(R"("pointer":"/webhook/secret","code":"invalid")"))
        << secret;
    EXPECT_THAT(answer.body, Not(HasSubstr(secret))) << "a secret is not repeated";
  }
}

TEST_F(OperatorBodyTest, APrivateWebhookMayBeSetWhereItMayBeReached) {
  serve({.admin_key = std::nullopt, .webhook_reach = WebhookReach::any});
  EXPECT_EQ(put("/tenants/a",
                R"({"webhook":{"url":"http://127.0.0.1/",
                         "secret":"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}})")
                .status,
            200);
}

}  // namespace
}  // namespace penstock::api

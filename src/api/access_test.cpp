#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "api/api_fixture.h"
#include "api/routes.h"

namespace penstock::api {
namespace {

using testing::HasSubstr;

constexpr std::string_view kOrder =
    R"({"customer_id":"c","items":[{"product_id":"P","quantity":1,"price":1}]})";

class AccessTest : public ApiTest {
 protected:
  Answer with_key(std::string_view key, std::string_view target, std::string_view method = "GET") {
    return send({.method = method,
                 .target = target,
                 .body = method == "POST" ? kOrder : "",
                 .headers = {"Authorization: Bearer " + std::string(key)}});
  }
};

/// The token is the tenant's name.
class TokenIsTenant : public Authenticator {
 public:
  std::optional<Caller> authenticate(const net::HttpHeaders& headers) const override {
    const auto token = bearer_token(headers);
    if (!token) return std::nullopt;
    return Caller{.kind = Caller::Kind::tenant,
                  .tenant = domain::TenantId::unchecked(std::string(*token))};
  }
};

TEST_F(AccessTest, WithAnAdminKeyEverythingButHealthNeedsIt) {
  serve({.admin_key = "secret"});
  for (const std::string_view target :
       {"/", "/orders", "/queues", "/metrics", "/tenants", "/no-such-route"}) {
    const Answer answer = get(target);
    EXPECT_EQ(answer.status, 401) << target;
    EXPECT_EQ(answer.member("code"), "unauthorized");
    EXPECT_EQ(answer.header("WWW-Authenticate"), "Bearer");
  }
  EXPECT_EQ(post("/orders", kOrder).status, 401);
  EXPECT_EQ(intake_.submitted(), 0U);
  EXPECT_EQ(get("/healthz").status, 200);
  EXPECT_EQ(get("/readyz").status, 200);
}

TEST_F(AccessTest, OnlyTheRightKeyInTheRightSchemeIsTaken) {
  serve({.admin_key = "secret"});
  EXPECT_EQ(with_key("secret", "/queues").status, 200);
  EXPECT_EQ(send({.target = "/queues", .headers = {"Authorization: bearer secret"}}).status, 200);
  for (const std::string_view line :
       {"Authorization: Bearer secre", "Authorization: Bearer secret2", "Authorization: Bearer ",
        "Authorization: Basic secret", "Authorization: secret"}) {
    EXPECT_EQ(send({.target = "/queues", .headers = {std::string(line)}}).status, 401) << line;
  }
}

TEST_F(AccessTest, AnOpenServerAsksForNoKey) {
  EXPECT_EQ(get("/queues").status, 200);
  EXPECT_EQ(post("/orders", kOrder).status, 202);
}

TEST_F(AccessTest, AnotherTenantsOrderIsTheSameAsAMissingOne) {
  const TokenIsTenant tenants;
  serve({}, &tenants);
  reader_.replace({.order = placed_order(1), .receipt = {}, .deliveries = {}});
  for (const std::string_view rest : {"", "/events", "/receipt", "/why", "?wait=1"}) {
    const auto ask = [&](std::uint64_t number) {
      return send({.target = "/orders/" + order_id(number).str() + std::string(rest),
                   .headers = {"Authorization: Bearer acme", "X-Correlation-Id: c"}});
    };
    const Answer foreign = ask(1);
    Answer missing = ask(2);
    EXPECT_EQ(foreign.status, 404);
    const std::size_t at = missing.body.find(order_id(2).str());
    ASSERT_NE(at, std::string::npos);
    missing.body.replace(at, order_id(1).str().size(), order_id(1).str());
    EXPECT_EQ(foreign.body, missing.body);
  }
  const std::string cancel = "/orders/" + order_id(1).str() + "/cancel";
  EXPECT_EQ(with_key("acme", cancel, "POST").status, 404);
  EXPECT_EQ(intake_.submitted(), 0U);
  EXPECT_EQ(with_key("default", "/orders/" + order_id(1).str()).status, 200);
}

TEST_F(AccessTest, ATenantPlacesOrdersForItselfAlone) {
  const TokenIsTenant tenants;
  serve({}, &tenants);
  EXPECT_EQ(with_key("acme", "/orders", "POST").status, 202);
  EXPECT_EQ(intake_.draft.value().tenant.str(), "acme");
  const std::size_t before = intake_.submitted();
  for (const std::string_view body : {R"({"tenant_id":"other","customer_id":"c","items":[]})",
                                      R"({"tenant_id":"other","action":"check_rate_limit"})"}) {
    const Answer answer = send({.method = "POST",
                                .target = "/orders",
                                .body = body,
                                .headers = {"Authorization: Bearer acme"}});
    EXPECT_EQ(answer.status, 403) << body;
    EXPECT_EQ(answer.member("code"), "forbidden");
  }
  EXPECT_EQ(intake_.submitted(), before);
}

TEST_F(AccessTest, ATenantSeesItsOwnListStockAndContractAndNoOperations) {
  const TokenIsTenant tenants;
  serve({}, &tenants);
  EXPECT_EQ(with_key("acme", "/orders").status, 200);
  EXPECT_EQ(reader_.last_query.tenant.str(), "acme");
  EXPECT_EQ(with_key("acme", "/orders?tenant_id=other").status, 403);
  EXPECT_EQ(with_key("acme", "/inventory/PROD-001?tenant_id=default").status, 403);
  EXPECT_EQ(with_key("acme", "/tenants/acme").status, 200);
  EXPECT_EQ(with_key("acme", "/tenants/other").status, 404);
  for (const std::string_view target : {"/tenants", "/queues", "/dead-letters", "/owed-refunds",
                                        "/unresolved-charges", "/metrics"}) {
    EXPECT_EQ(with_key("acme", target).status, 403) << target;
  }
}

TEST_F(AccessTest, AnUnknownPathIs404AndAWrongMethodNamesTheRightOnes) {
  EXPECT_EQ(get("/no-such-route").status, 404);
  EXPECT_EQ(get("/orders/").status, 404);
  EXPECT_EQ(get("//orders").status, 404);
  const Answer answer = send({.method = "DELETE", .target = "/orders"});
  EXPECT_EQ(answer.status, 405);
  EXPECT_EQ(answer.member("code"), "method-not-allowed");
  EXPECT_EQ(answer.header("Allow"), "POST, GET, HEAD");
  EXPECT_EQ(send({.method = "PURGE", .target = "/queues"}).header("Allow"), "GET, HEAD");
  EXPECT_EQ(intake_.submitted(), 0U);
}

TEST_F(AccessTest, HeadIsGetWithoutTheBody) {
  const Answer head = send({.method = "HEAD", .target = "/healthz"});
  EXPECT_EQ(head.status, 200);
  EXPECT_EQ(head.body, "");
  EXPECT_EQ(head.header("Content-Length"), get("/healthz").header("Content-Length"));
}

TEST_F(AccessTest, EveryRouteIsReachedByItsOwnPath) {
  for (std::size_t index = 0; index < routes().size(); ++index) {
    std::string path(routes()[index].pattern);
    if (const std::size_t hole = path.find("{id}"); hole != std::string::npos) {
      path.replace(hole, 4, "a%20b");
    }
    const Match matched = match(routes()[index].method, path);
    EXPECT_EQ(matched.route, index) << path;
    const bool has_hole = path.find("a%20b") != std::string::npos;
    EXPECT_EQ(matched.id, has_hole ? "a b" : "");
  }
}

TEST_F(AccessTest, TheRootNamesTheRoutes) {
  const Answer answer = get("/");
  EXPECT_EQ(answer.status, 200);
  EXPECT_THAT(answer.body, HasSubstr("\"POST /orders\""));
}

}  // namespace
}  // namespace penstock::api

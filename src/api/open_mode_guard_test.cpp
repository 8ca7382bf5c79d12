#include "api/open_mode_guard.h"

#include <gtest/gtest.h>

#include "api/api_fixture.h"

namespace penstock::api {
namespace {

constexpr std::string_view kOrder =
    R"({"customer_id":"c","items":[{"product_id":"P","quantity":1,"price":1}]})";

class OpenModeGuard : public ApiTest {
 protected:
  int status(std::vector<std::string> headers, std::string_view target = "/orders") {
    return send({.method = "POST", .target = target, .body = kOrder, .headers = std::move(headers)})
        .status;
  }
};

bool refused(std::initializer_list<net::HttpHeader> headers) {
  net::HttpRequest request;
  request.headers = headers;
  return refuse_web_page(request).has_value();
}

TEST(OpenModeGuardRule, AHostMustBeLocal) {
  for (const char* host : {"localhost", "LocalHost:9000", "127.0.0.1", "127.0.0.1:80",
                           "127.9.8.7:1", "[::1]", "[::1]:9000", "localhost:"}) {
    EXPECT_FALSE(refused({{.name = "Host", .value = host}})) << host;
  }
  for (const char* host :
       {"evil.example", "evil.example:9000", "localhost.evil.example", "127.0.0.1.evil.example",
        "127.1", "0.0.0.0", "10.0.0.1", "128.0.0.1", "[::2]", "[::ffff:10.0.0.1]", "::1", "",
        "localhost:80:80", "evil.example:localhost", "127.0.0.1:x"}) {
    EXPECT_TRUE(refused({{.name = "Host", .value = host}})) << host;
  }
  EXPECT_FALSE(refused({})) << "HTTP/1.0";
}

TEST(OpenModeGuardRule, AnOriginMustBeLocal) {
  for (const char* origin :
       {"http://localhost:3000", "https://localhost", "http://127.0.0.1:9000", "http://[::1]"}) {
    EXPECT_FALSE(refused({{.name = "origin", .value = origin}})) << origin;
  }
  for (const char* origin :
       {"https://evil.example", "null", "", "http://localhost.evil.example", "file://",
        "chrome-extension://localhost", "http://evil.example http://localhost", "localhost"}) {
    EXPECT_TRUE(refused({{.name = "origin", .value = origin}})) << origin;
  }
  EXPECT_TRUE(refused({{.name = "Origin", .value = "http://localhost"},
                       {.name = "Origin", .value = "http://evil.example"}}));
}

TEST(OpenModeGuardRule, AFetchMustNotComeFromAnotherSite) {
  for (const char* site : {"same-origin", "none"}) {
    EXPECT_FALSE(refused({{.name = "Sec-Fetch-Site", .value = site}})) << site;
  }
  for (const char* site : {"cross-site", "same-site", "Cross-Site", "x"}) {
    EXPECT_TRUE(refused({{.name = "Sec-Fetch-Site", .value = site}})) << site;
  }
}

TEST_F(OpenModeGuard, APageOfAnotherSitePlacesNoOrder) {
  serve({});
  for (const char* type : {"Content-Type: text/plain", "Content-Type: application/json",
                           "Content-Type: application/x-www-form-urlencoded", "X-None: 1"}) {
    EXPECT_EQ(status({"Origin: https://evil.example", type}), 403) << type;
    EXPECT_EQ(status({"Sec-Fetch-Site: cross-site", type}), 403) << type;
  }
  EXPECT_EQ(send({.target = "/orders", .headers = {"Sec-Fetch-Site: cross-site"}}).status, 403);
  EXPECT_EQ(intake_.submitted(), 0U);
}

TEST_F(OpenModeGuard, WithAKeyAnyHostIsServed) {
  serve({.admin_key = "secret"});
  EXPECT_EQ(send({.target = "/queues",
                  .headers = {"Authorization: Bearer secret", "Origin: https://shop.example"}})
                .status,
            200);
}

TEST_F(OpenModeGuard, AnEncodedBodyIsRefusedWithWhatIsTaken) {
  serve({});
  for (const char* coding : {"gzip", "br", "identity, gzip", "x"}) {
    const Answer answer = send({.method = "POST",
                                .target = "/orders",
                                .body = kOrder,
                                .headers = {"Content-Encoding: " + std::string(coding)}});
    EXPECT_EQ(answer.status, 415) << coding;
    EXPECT_EQ(answer.member("code"), "unsupported-media-type");
    EXPECT_EQ(answer.header("Accept-Encoding"), "identity");
  }
  EXPECT_EQ(intake_.submitted(), 0U);
}

}  // namespace
}  // namespace penstock::api

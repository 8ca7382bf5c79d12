#include "net/url.h"

#include <string>

#include <gtest/gtest.h>

namespace penstock::net {
namespace {

TEST(Url, SplitsIntoParts) {
  const auto url = parse_url("HTTPS://Api.Example.com:8443/v1/charges?a=%20b");
  ASSERT_TRUE(url.has_value());
  EXPECT_EQ(url->scheme, UrlScheme::https);
  EXPECT_EQ(url->host, "api.example.com");
  EXPECT_EQ(url->port, 8443);
  EXPECT_EQ(url->target, "/v1/charges?a=%20b");
  EXPECT_EQ(url->authority(), "api.example.com:8443");
}

TEST(Url, FillsInPortAndPath) {
  EXPECT_EQ(parse_url("http://h")->port, 80);
  EXPECT_EQ(parse_url("https://h")->port, 443);
  EXPECT_EQ(parse_url("http://h")->target, "/");
  EXPECT_EQ(parse_url("http://h?q=1")->target, "/?q=1");
  EXPECT_EQ(parse_url("https://h:443/")->authority(), "h");
}

TEST(Url, ReadsBracketedIpv6) {
  const auto url = parse_url("http://[::1]:9000/x");
  ASSERT_TRUE(url.has_value());
  EXPECT_EQ(url->host, "::1");
  EXPECT_EQ(url->authority(), "[::1]:9000");
}

TEST(Url, RefusesWhatIsNotPlain) {
  const auto error = [](std::string_view text) {
    const auto url = parse_url(text);
    EXPECT_FALSE(url.has_value()) << text;
    return url ? UrlError::too_long : url.error();
  };
  EXPECT_EQ(error("ftp://h/"), UrlError::unsupported_scheme);
  EXPECT_EQ(error("h/x"), UrlError::unsupported_scheme);
  EXPECT_EQ(error("http://u:p@h/"), UrlError::has_userinfo);
  EXPECT_EQ(error("http://good.example@evil/"), UrlError::has_userinfo);
  EXPECT_EQ(error("http:///x"), UrlError::invalid_host);
  EXPECT_EQ(error("http://a b/"), UrlError::invalid_host);
  EXPECT_EQ(error("http://[::1%25eth0]/"), UrlError::invalid_host);
  EXPECT_EQ(error("http://[1.2.3.4]/"), UrlError::invalid_host);
  EXPECT_EQ(error("http://h:0/"), UrlError::invalid_port);
  EXPECT_EQ(error("http://h:65536/"), UrlError::invalid_port);
  EXPECT_EQ(error("http://h:/"), UrlError::invalid_port);
  EXPECT_EQ(error("http://h:+1/"), UrlError::invalid_port);
  EXPECT_EQ(error("http://h/a b"), UrlError::invalid_target);
  EXPECT_EQ(error("http://h/\r\nX: y"), UrlError::invalid_target);
  EXPECT_EQ(error("http://h/#f"), UrlError::invalid_target);
  EXPECT_EQ(error("http://h/%zz"), UrlError::invalid_target);
  EXPECT_EQ(error("http://h/" + std::string(3000, 'a')), UrlError::too_long);
}

TEST(Url, RefusesBytesBehindANulInAnIpv6Literal) {
  const std::string hidden("[::1\0\r\nX-Injected: 1]", 21);
  EXPECT_EQ(parse_url("http://" + hidden + "/").error(), UrlError::invalid_host);
  EXPECT_FALSE(is_valid_authority(hidden));
}

TEST(Url, DecodesAndEncodesPercentEscapes) {
  EXPECT_EQ(percent_decode("a%2Fb+c%e2%82%ac"), "a/b+c\xE2\x82\xAC");
  EXPECT_FALSE(percent_decode("%2").has_value());
  EXPECT_FALSE(percent_decode("%2x").has_value());
  EXPECT_EQ(percent_encode("a/b c~"), "a%2Fb%20c~");
}

TEST(Url, SplitsAQuery) {
  const auto query = parse_query("a=1&b=x%26y&c&&d=e=f&s=a+b");
  ASSERT_TRUE(query.has_value());
  ASSERT_EQ(query->size(), 5U);
  EXPECT_EQ((*query)[1], (std::pair<std::string, std::string>("b", "x&y")));
  EXPECT_EQ((*query)[2], (std::pair<std::string, std::string>("c", "")));
  EXPECT_EQ((*query)[3], (std::pair<std::string, std::string>("d", "e=f")));
  EXPECT_EQ((*query)[4], (std::pair<std::string, std::string>("s", "a b")));
  EXPECT_FALSE(parse_query("a=%").has_value());
  std::string many;
  for (int i = 0; i < 65; ++i) many += "a=1&";
  EXPECT_FALSE(parse_query(many).has_value());
}

}  // namespace
}  // namespace penstock::net

#include "net/redaction.h"

#include <string>

#include <gtest/gtest.h>

namespace penstock::net {
namespace {

TEST(Redaction, shows_where_a_url_leads_and_nothing_else) {
  EXPECT_EQ(redacted("http://h:1"), "http://h:1");
  EXPECT_EQ(redacted("https://pay.example.com/v1/charges"), "https://pay.example.com/v1/charges");
  EXPECT_EQ(redacted("http://[::1]:80/"), "http://[::1]:80/");
  EXPECT_EQ(redacted("postgres://u:p@h:5432/db"), "postgres://********@h:5432/db");
  EXPECT_EQ(redacted("postgres://a,b:2/db?x=1"), "postgres://a,b:2/db?********");
  EXPECT_EQ(redacted("postgresql:///db?host=/run"), "postgresql:///db?********");
  EXPECT_EQ(redacted(""), "");
}

TEST(Redaction, shows_nothing_of_a_secret_wherever_it_stands) {
  for (std::string const text : {"postgres://u:CANARY@h/db",
                                 "postgres://CANARY@h/db",
                                 "postgres://u:a@CANARY@h/db",
                                 "postgres://u:CANARY@b@h/db",
                                 "postgres://u:a/CANARY@h/db",
                                 "postgres://u:CANARY/b@h/db",
                                 "postgres://u:12/CANARY@h/db",
                                 "postgres://u:CANARY#b@h/db",
                                 "postgres://u:a?CANARY@h/db",
                                 "postgres://u:CANARY%zz@h/db",
                                 "postgres://u:%zCANARY",
                                 "postgres://u:CANARY",
                                 "postgres://h/db?password=CANARY",
                                 "postgres://h/db?pass%77ord=CANARY",
                                 "postgres://h/db?x=1&PASSWORD=CANARY",
                                 "postgres://h/db#CANARY",
                                 "http://u:CANARY@h",
                                 "http://h/?token=CANARY",
                                 "http://h:1/a b CANARY",
                                 "host=h password=CANARY",
                                 "host=h password='CAN CANARY'",
                                 "CANARY",
                                 "postgres:u:CANARY@h",
                                 "//u:CANARY@h",
                                 "postgres://[::1:CANARY/db",
                                 "postgres://h:CANARY/db"}) {
    std::string const shown = redacted(text);
    EXPECT_EQ(shown.find("CANARY"), std::string::npos) << text << " -> " << shown;
    EXPECT_TRUE(is_masked(shown)) << text << " -> " << shown;
  }
}

TEST(Redaction, finds_secrets_in_what_a_library_says) {
  EXPECT_EQ(redacted_sentence("cannot reach postgres://u:p@h/db: refused"),
            "cannot reach postgres://******** refused");
  EXPECT_EQ(redacted_sentence("bad \"postgres://u:p@h/db\" here"),
            "bad \"postgres://********@h/db\" here");
  EXPECT_EQ(redacted_sentence("host=h password=x user=u"), "host=h password=******** user=u");
  EXPECT_EQ(redacted_sentence("token x@y, fine"), "token ******** fine");
  EXPECT_EQ(redacted_sentence("nothing to hide: 12 of 3"), "nothing to hide: 12 of 3");
}

}  // namespace
}  // namespace penstock::net

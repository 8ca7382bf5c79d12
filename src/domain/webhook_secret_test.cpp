#include "domain/webhook_secret.h"

#include <string>

#include <gtest/gtest.h>

namespace penstock::domain {
namespace {

/// "whsec_" and `groups` times four digits, then `end`.
std::string secret(int groups, const std::string& end = "") {
  std::string text = "whsec_";
  for (int group = 0; group < groups; ++group) text += "aB9+";
  return text + end;
}

TEST(WebhookSecret, HasOneFormOnly) {
  struct Row {
    const char* name;
    std::string text;
    bool taken;
  };
  const std::string good = secret(8);
  const Row rows[] = {
      {"of a library's own tests", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", true},
      {"24 bytes", secret(8), true},
      {"25 bytes", secret(8, "YQ=="), true},
      {"26 bytes", secret(8, "YWI="), true},
      {"64 bytes", secret(21, "/w=="), true},
      {"two while one is replaced", good + " " + secret(21, "/w=="), true},

      {"nothing", "", false},
      {"no key", "whsec_", false},
      {"1 byte", "whsec_YQ==", false},
      {"22 bytes", secret(7, "YQ=="), false},
      {"23 bytes", secret(7, "YWI="), false},
      {"65 bytes", secret(21, "//8="), false},
      {"66 bytes", secret(22), false},
      {"96 bytes", secret(32), false},
      {"bare text", "a secret of more than enough bytes", false},
      {"no prefix", good.substr(6), false},
      {"upper case prefix", "WHSEC_" + good.substr(6), false},
      {"prefix twice", "whsec_" + good, false},
      {"unpadded, 2 digits", secret(8, "YQ"), false},
      {"unpadded, 3 digits", secret(8, "YWI"), false},
      {"half of the padding", secret(8, "YQ="), false},
      {"too much padding", secret(8, "YQ==="), false},
      {"only padding at the end", secret(8, "===="), false},
      {"padding without need", secret(8, "="), false},
      {"padding in the middle", secret(4, "YQ==") + secret(5).substr(6), false},
      {"url-safe minus", secret(7, "aB9-"), false},
      {"url-safe underline", secret(7, "aB9_"), false},
      {"bits that stand for nothing, 1 byte", secret(8, "YR=="), false},
      {"bits that stand for nothing, 2 bytes", secret(8, "YWJ="), false},
      {"another character", secret(7, "aB9!"), false},
      {"not ASCII", secret(7, "\xc3\xa9\xc3\xa9"), false},
      {"NUL", secret(7, std::string("aB9\0", 4)), false},
      {"line end", good + "\n", false},
      {"space in front", " " + good, false},
      {"space behind", good + " ", false},
      {"two spaces between", good + "  " + good, false},
      {"three", good + " " + good + " " + good, false},
      {"the second is text", good + " secret", false},
      {"the second is short", good + " whsec_YQ==", false},
      {"the first is short", "whsec_YQ== " + good, false},
  };
  for (const Row& row : rows) EXPECT_EQ(is_webhook_secret(row.text), row.taken) << row.name;
}

}  // namespace
}  // namespace penstock::domain

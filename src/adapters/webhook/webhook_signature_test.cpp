#include "adapters/webhook/webhook_signature.h"

#include <string>

#include <gtest/gtest.h>

namespace penstock::webhook {
namespace {

// The vector that the Standard Webhooks libraries publish in their tests.
constexpr SignedContent kContent{.id = "msg_p5jXN8AQM9LWM0D4loKWxJek",
                                 .timestamp_s = 1614265330,
                                 .body = R"({"test": 2432232314})"};
constexpr const char* kSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
constexpr const char* kSignature = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";

TEST(WebhookSignature, IsThatOfTheStandardWebhooksVector) {
  EXPECT_EQ(sign(kSecret, kContent), kSignature);
}

TEST(WebhookSignature, ChangesWithEveryPartOfTheContent) {
  SignedContent other = kContent;
  other.id = "msg_2";
  EXPECT_NE(sign(kSecret, other), kSignature);
  other = kContent;
  other.timestamp_s += 1;
  EXPECT_NE(sign(kSecret, other), kSignature);
  other = kContent;
  other.body = R"({"test":2432232314})";
  EXPECT_NE(sign(kSecret, other), kSignature);
}

TEST(WebhookSignature, HasOneForEachOfTwoSecretsWhileOneIsReplaced) {
  const std::string other = "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
  const std::string both = sign(other + " " + kSecret, kContent);
  EXPECT_EQ(both, sign(other, kContent) + " " + kSignature);
}

TEST(WebhookSignature, TakesASecretOfAnotherFormAsItsOwnBytes) {
  // The decoded bytes of "whsec_dGV4dA==" are "text"; three characters need no padding.
  EXPECT_EQ(sign("text", kContent), sign("whsec_dGV4dA==", kContent));
  EXPECT_EQ(sign("sec", kContent), sign("whsec_c2Vj", kContent));
  EXPECT_EQ(sign("whsec_not base64!", kContent), sign("whsec_not base64!", kContent));
  EXPECT_NE(sign("two words", kContent), sign("two", kContent));
  EXPECT_EQ(sign("two words", kContent).find(' '), std::string::npos);
}

}  // namespace
}  // namespace penstock::webhook

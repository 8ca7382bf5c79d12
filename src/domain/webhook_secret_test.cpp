#include "domain/webhook_secret.h"

#include <gtest/gtest.h>

namespace penstock::domain {
namespace {

TEST(WebhookSecret, IsThePrefixAndPaddedStandardBase64) {
  for (const char* const good : {"whsec_c2VjcmV0", "whsec_MDEyMzQ1Njc4OWFiY2RlZg==",
                                 "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_+/+/",
                                 "whsec_YQ==", "whsec_YWI=", "whsec_YQ== whsec_YWI="}) {
    EXPECT_TRUE(is_webhook_secret(good)) << good;
  }
}

TEST(WebhookSecret, IsNothingThatALibraryReadsAsAnotherKeyOrNotAtAll) {
  for (const char* const bad :
       {"", "whsec_", "secret", "whsec_notbase64!", "whsec_YQ", "whsec_YQ=", "whsec_YQ===",
        "whsec_====", "whsec_-_-_", "whsec_YW=i", "whsec_YQ==\n", "WHSEC_YQ==", "c2VjcmV0",
        " whsec_YQ==", "whsec_YQ== ", "whsec_YQ==  whsec_YQ==", "whsec_YQ== secret",
        "whsec_YQ== whsec_YQ== whsec_YQ==", "whsec_\xc3\xa9\xc3\xa9"}) {
    EXPECT_FALSE(is_webhook_secret(bad)) << bad;
  }
}

}  // namespace
}  // namespace penstock::domain

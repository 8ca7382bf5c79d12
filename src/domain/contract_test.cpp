#include "domain/contract.h"

#include <gtest/gtest.h>

namespace penstock::domain {
namespace {

Contract agreed() {
  return {.bucket = {.rate = {.micro_tokens = 5'000'000, .period_ns = 1'000'000'000}, .burst = 10},
          .guarantee = std::nullopt,
          .webhook = Webhook{.url = "https://shop.example/hook",
                             .secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}};
}

TEST(Contract, HasOneShareAndAnEndpointThatIsServedUntilMoreIsSaid) {
  EXPECT_EQ(agreed().weight, 1);
  EXPECT_FALSE(agreed().webhook->disabled);
  EXPECT_FALSE(Contract{}.guarantee);
  EXPECT_FALSE(Contract{}.webhook);
}

TEST(Contract, IsAnotherOneByAnyOfItsTerms) {
  const auto changed = [](auto change) {
    Contract contract = agreed();
    change(contract);
    return contract != agreed();
  };
  EXPECT_EQ(agreed(), agreed());
  EXPECT_TRUE(changed([](Contract& contract) { contract.bucket.burst = 11; }));
  EXPECT_TRUE(changed([](Contract& contract) { contract.bucket.rate.micro_tokens = 1; }));
  EXPECT_TRUE(changed([](Contract& contract) { contract.bucket.rate.period_ns = 1; }));
  EXPECT_TRUE(changed([](Contract& contract) { contract.guarantee = contract.bucket.rate; }));
  EXPECT_TRUE(changed([](Contract& contract) { contract.weight = 2; }));
  EXPECT_TRUE(changed([](Contract& contract) { contract.webhook->url += "/2"; }));
  EXPECT_TRUE(changed([](Contract& contract) { contract.webhook->secret += "x"; }));
  EXPECT_TRUE(changed([](Contract& contract) { contract.webhook->disabled = true; }));
  EXPECT_TRUE(changed([](Contract& contract) { contract.webhook.reset(); }));
}

}  // namespace
}  // namespace penstock::domain

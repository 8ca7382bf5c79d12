#include "domain/idempotency.h"

#include <gtest/gtest.h>

namespace penstock::domain {
namespace {

constexpr Instant kExpires{1'000'000};

IdempotencyRecord record(std::uint8_t first_byte = 0xab) {
  IdempotencyRecord stored;
  stored.fingerprint[0] = first_byte;
  stored.fingerprint[31] = 0x01;
  stored.expires_at = kExpires;
  return stored;
}

TEST(Idempotency, ClaimsAKeyThatIsNotStored) {
  EXPECT_EQ(decide_idempotency(std::nullopt, record().fingerprint, Instant{0}),
            IdempotencyDecision::claim);
}

TEST(Idempotency, ReplaysTheSameRequest) {
  EXPECT_EQ(decide_idempotency(record(), record().fingerprint, Instant{0}),
            IdempotencyDecision::replay);
}

TEST(Idempotency, RefusesAKeyWithAnotherRequestInAnyByteOfTheFingerprint) {
  for (std::size_t i = 0; i < 32; ++i) {
    Fingerprint other = record().fingerprint;
    other[i] ^= 0x80;
    EXPECT_EQ(decide_idempotency(record(), other, Instant{0}), IdempotencyDecision::key_reused);
  }
}

TEST(Idempotency, ARecordIsOfTheFirstAnswerFormatUnlessItSaysOtherwise) {
  EXPECT_EQ(IdempotencyRecord{}.answer_format, 1);
}

TEST(Idempotency, CountsAnExpiredRecordAsAbsentFromTheVeryInstant) {
  const Fingerprint other = record(0xcd).fingerprint;
  EXPECT_EQ(decide_idempotency(record(), record().fingerprint, kExpires - Duration{1}),
            IdempotencyDecision::replay);
  EXPECT_EQ(decide_idempotency(record(), other, kExpires - Duration{1}),
            IdempotencyDecision::key_reused);
  EXPECT_EQ(decide_idempotency(record(), record().fingerprint, kExpires),
            IdempotencyDecision::claim);
  EXPECT_EQ(decide_idempotency(record(), other, kExpires), IdempotencyDecision::claim);
  EXPECT_EQ(decide_idempotency(record(), other, kExpires + Duration{1}),
            IdempotencyDecision::claim);
}

}  // namespace
}  // namespace penstock::domain

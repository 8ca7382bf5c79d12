#include "gateway/key_table.h"

#include <string>

#include <gtest/gtest.h>

#include "gateway/key_hash.h"

namespace penstock::gateway {
namespace {

KeyHash hash_of(int n) {
  return hash_key(std::to_string(n) + "/charge");
}

TEST(KeyHash, IsMurmurHash3OfTheReferenceImplementation) {
  EXPECT_EQ(hash_key(""), (KeyHash{0, 0}));
  EXPECT_EQ(hash_key("The quick brown fox jumps over the lazy dog"),
            (KeyHash{0xe34bbc7bbc071b6cULL, 0x7a433ca9c49a9347ULL}));
}

TEST(KeyHash, ComesBackFromTheReferenceMadeOfIt) {
  const KeyHash hash{0x0123456789abcdefULL, 0xfedcba9876543210ULL};
  EXPECT_EQ(capture_reference(hash), "pi_0123456789abcdeffedcba9876543210");
  EXPECT_EQ(refund_reference(hash), "re_0123456789abcdeffedcba9876543210");
  EXPECT_EQ(parse_capture_reference(capture_reference(hash)), hash);
}

TEST(KeyHash, IsNotReadFromAnythingElse) {
  for (const char* text :
       {"", "pi_", "re_0123456789abcdeffedcba9876543210", "pi_0123456789abcdeffedcba987654321",
        "pi_0123456789ABCDEFfedcba9876543210", "pi_0123456789abcdeffedcba98765432101"}) {
    EXPECT_FALSE(parse_capture_reference(text)) << text;
  }
}

TEST(KeyTable, FindsEveryKeyOfManyAndNoOther) {
  constexpr int kKeys = 200'000;
  KeyTable table;
  for (int n = 0; n < kKeys; ++n) {
    table.insert({.hash = hash_of(n), .minor_units = n, .state = KeyState::captured});
  }
  EXPECT_EQ(table.size(), std::size_t{kKeys});
  for (int n = 0; n < kKeys; ++n) {
    const KeyRecord* record = table.find(hash_of(n));
    ASSERT_NE(record, nullptr) << n;
    ASSERT_EQ(record->minor_units, n);
  }
  for (int n = kKeys; n < 2 * kKeys; ++n) ASSERT_EQ(table.find(hash_of(n)), nullptr) << n;
}

TEST(KeyTable, TakesAtMost46BytesAKeyOnceItIsLarge) {
  constexpr int kKeys = 1'000'000;
  KeyTable table;
  for (int n = 0; n < kKeys; ++n) {
    table.insert({.hash = hash_of(n), .state = KeyState::captured});
    if (n > kKeys / 2 && n % 1000 == 0) {
      ASSERT_LE(table.memory_bytes(), table.size() * 46) << n;
    }
  }
}

TEST(KeyTable, KeepsKeysApartThatShareAShardAndAPlace) {
  KeyTable table;
  for (std::uint64_t n = 0; n < 100; ++n) {
    table.insert({.hash = {~0ULL, n * 256}, .state = KeyState::closed});
  }
  for (std::uint64_t n = 0; n < 100; ++n) EXPECT_NE(table.find({~0ULL, n * 256}), nullptr);
  EXPECT_EQ(table.find({~0ULL, 100 * 256}), nullptr);
}

}  // namespace
}  // namespace penstock::gateway

#include "domain/ids.h"

#include <algorithm>
#include <cstdint>
#include <random>
#include <string>
#include <unordered_set>
#include <vector>

#include <gtest/gtest.h>

namespace penstock::domain {
namespace {

TEST(Name, IsOneTo128CharactersOfTheAllowedSet) {
  EXPECT_TRUE(is_valid_name("a"));
  EXPECT_TRUE(is_valid_name("PROD-001"));
  EXPECT_TRUE(is_valid_name("azAZ09._:-"));
  EXPECT_TRUE(is_valid_name(std::string(128, 'x')));
  EXPECT_FALSE(is_valid_name(std::string(129, 'x')));
  EXPECT_FALSE(is_valid_name(""));
}

TEST(Name, RefusesEveryOtherByte) {
  const std::string allowed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._:-";
  for (int byte = 0; byte < 256; ++byte) {
    const char c = static_cast<char>(byte);
    const bool expected = allowed.find(c) != std::string::npos;
    EXPECT_EQ(is_valid_name(std::string("a") + c), expected) << byte;
    EXPECT_EQ(CorrelationTag::is_valid(std::string("a") + c), expected && c != ':') << byte;
    EXPECT_EQ(IdempotencyTag::is_valid(std::string("a") + c), byte >= 0x20 && byte <= 0x7e) << byte;
  }
}

TEST(Name, OfACorrelationIsOneTo128Characters) {
  EXPECT_FALSE(CorrelationId::parse(""));
  EXPECT_TRUE(CorrelationId::parse(std::string(128, 'c')));
  EXPECT_FALSE(CorrelationId::parse(std::string(129, 'c')));
}

TEST(Name, OfAnIdempotencyKeyIsOneTo255Characters) {
  EXPECT_FALSE(IdempotencyKey::parse(""));
  EXPECT_TRUE(IdempotencyKey::parse(std::string(255, '~')));
  EXPECT_FALSE(IdempotencyKey::parse(std::string(256, '~')));
}

TEST(Name, KeepsItsText) {
  EXPECT_EQ(TenantId::parse("acme")->str(), "acme");
  EXPECT_FALSE(TenantId::parse("a b"));
  EXPECT_TRUE(TenantId().empty());
  EXPECT_FALSE(TenantId::unchecked("x").empty());
  EXPECT_LT(*ProductId::parse("a"), *ProductId::parse("b"));
  EXPECT_EQ(std::hash<TenantId>{}(*TenantId::parse("t")),
            std::hash<TenantId>{}(TenantId::unchecked("t")));
}

// RFC 9562, appendix A.6: 0x017F22E279B0 ms, rand_a 0xCC3, rand_b 0x18C4DC0C0C07398F.
TEST(OrderId, HasTheLayoutOfTheExampleInRfc9562) {
  const OrderId id = OrderId::make({0x017F22E279B0LL * 1000}, 0xCC3, 0x18C4DC0C0C07398F);
  EXPECT_EQ(id.str(), "017f22e2-79b0-7cc3-98c4-dc0c0c07398f");
  const OrderId::Bytes expected = {0x01, 0x7f, 0x22, 0xe2, 0x79, 0xb0, 0x7c, 0xc3,
                                   0x98, 0xc4, 0xdc, 0x0c, 0x0c, 0x07, 0x39, 0x8f};
  EXPECT_EQ(id.bytes(), expected);
  EXPECT_EQ(id.view(), std::string_view(reinterpret_cast<const char*>(expected.data()), 16));
  EXPECT_EQ(to_rfc3339(id.created()), "2022-02-22T19:22:22.000000Z");
  EXPECT_EQ(id.month(), (Month{2022, 2}));
}

TEST(OrderId, UsesSeventyFourRandomBitsAndLeavesVersionAndVariantAlone) {
  const Instant at{1'795'363'200'000'000};
  const std::uint64_t ones = ~std::uint64_t{0};
  EXPECT_EQ(OrderId::make(at, 0, 0).str().substr(13), "-7000-8000-000000000000");
  EXPECT_EQ(OrderId::make(at, ones, ones).str().substr(13), "-7fff-bfff-ffffffffffff");
  EXPECT_EQ(OrderId::make(at, ~std::uint64_t{0xfff}, ~(ones >> 2)), OrderId::make(at, 0, 0));
  for (int bit = 0; bit < 12; ++bit) {
    EXPECT_NE(OrderId::make(at, std::uint64_t{1} << bit, 0), OrderId::make(at, 0, 0)) << bit;
  }
  for (int bit = 0; bit < 62; ++bit) {
    EXPECT_NE(OrderId::make(at, 0, std::uint64_t{1} << bit), OrderId::make(at, 0, 0)) << bit;
  }
}

TEST(OrderId, KeepsItsCreationToTheMillisecond) {
  EXPECT_EQ(OrderId::make({1'795'363'200'123'999}, 1, 2).created().us, 1'795'363'200'123'000);
  EXPECT_EQ(OrderId::make({0}, 1, 2).created().us, 0);
  EXPECT_EQ(OrderId::make({999}, 1, 2).created().us, 0);
  EXPECT_EQ(OrderId::make({-1'000'000}, 1, 2).created().us, 0);
  const std::int64_t last = ((std::int64_t{1} << 48) - 1) * 1000;
  EXPECT_EQ(OrderId::make({last}, 1, 2).created().us, last);
  EXPECT_EQ(OrderId::make({last + 1000}, 1, 2).created().us, last);
}

TEST(OrderId, NamesTheMonthItWasCreatedIn) {
  const Instant december = start_of({2026, 12});
  EXPECT_EQ(OrderId::make(december, 0, 0).month(), (Month{2026, 12}));
  EXPECT_EQ(OrderId::make(december - Duration{1}, ~0ULL, ~0ULL).month(), (Month{2026, 11}));
}

TEST(OrderId, SortsByCreationWhateverTheRandomBits) {
  std::mt19937_64 random(3);
  OrderId previous = OrderId::make({1'700'000'000'000'000}, random(), random());
  for (std::int64_t step = 1; step < (std::int64_t{1} << 40); step *= 2) {
    const OrderId next = OrderId::make({1'700'000'000'000'000 + step * 1000}, random(), random());
    EXPECT_LT(previous, next);
    EXPECT_LT(previous.view(), next.view());
    EXPECT_LT(previous.str(), next.str());
    previous = next;
  }
}

TEST(OrderId, ComparesAsItsBytesDo) {
  std::mt19937_64 random(5);
  const OrderId id = OrderId::make({1'700'000'000'000'000}, random(), random());
  EXPECT_EQ(id, OrderId(id.bytes()));
  for (std::size_t byte = 0; byte < id.bytes().size(); ++byte) {
    OrderId::Bytes bytes = id.bytes();
    bytes[byte] ^= static_cast<std::uint8_t>(1 + random() % 255);
    const OrderId other(bytes);
    EXPECT_NE(id, other) << byte;
    EXPECT_EQ(id < other, id.view() < other.view()) << byte;
    EXPECT_EQ(other < id, other.view() < id.view()) << byte;
  }
}

TEST(OrderId, KnowsATextThatBeginsWithIt) {
  const OrderId id = OrderId::make({1'700'000'000'000'000}, 1, 2);
  const OrderId other = OrderId::make({1'700'000'000'000'000}, 1, 3);
  EXPECT_TRUE(id.names(id.str()));
  EXPECT_TRUE(id.names(id.str() + "/charge"));
  EXPECT_FALSE(other.names(id.str() + "/charge"));
  EXPECT_FALSE(id.names(id.str().substr(0, OrderId::kTextSize - 1)));
  EXPECT_FALSE(id.names(""));
}

TEST(OrderId, IsReadBackInEitherCase) {
  std::mt19937_64 random(4);
  for (int i = 0; i < 2000; ++i) {
    const OrderId id = OrderId::make({static_cast<std::int64_t>(random() % 4'000'000'000'000'000)},
                                     random(), random());
    std::string text = id.str();
    ASSERT_EQ(text.size(), 36U);
    ASSERT_EQ(OrderId::parse(text), id);
    std::ranges::transform(text, text.begin(),
                           [](char c) { return c >= 'a' ? static_cast<char>(c - 32) : c; });
    ASSERT_EQ(OrderId::parse(text), id);
  }
}

TEST(OrderId, IsNotReadFromAnotherForm) {
  const std::string good = "017f22e2-79b0-7cc3-98c4-dc0c0c07398f";
  ASSERT_TRUE(OrderId::parse(good));
  EXPECT_FALSE(OrderId::parse(""));
  EXPECT_FALSE(OrderId::parse(good + "0"));
  EXPECT_FALSE(OrderId::parse(good.substr(1)));
  EXPECT_FALSE(OrderId::parse("{" + good + "}"));
  EXPECT_FALSE(OrderId::parse("017f22e279b07cc398c4dc0c0c07398f"));
  for (std::size_t i = 0; i < good.size(); ++i) {
    for (const char bad : {'g', 'G', '/', ':', '@', '`', ' ', '\0', '\xff', '-', '0'}) {
      std::string text = good;
      text[i] = bad;
      const bool is_dash = good[i] == '-';
      const bool stays_valid =
          (is_dash && bad == '-') || (!is_dash && bad == '0' && i != 14 && i != 19);
      EXPECT_EQ(OrderId::parse(text).has_value(), stays_valid) << text;
    }
  }
}

TEST(OrderId, IsReadOnlyWithVersion7AndVariant10) {
  for (const char version : std::string("0123456789abcdef")) {
    for (const char variant : std::string("0123456789abcdef")) {
      std::string text = "017f22e2-79b0-7cc3-98c4-dc0c0c07398f";
      text[14] = version;
      text[19] = variant;
      const bool good = version == '7' && std::string("89ab").find(variant) != std::string::npos;
      EXPECT_EQ(OrderId::parse(text).has_value(), good) << text;
    }
  }
}

TEST(OrderId, AppendsWithoutTouchingWhatIsThere) {
  std::string text = "/orders/";
  OrderId::make({0x017F22E279B0LL * 1000}, 0xCC3, 0x18C4DC0C0C07398F).append_to(text);
  EXPECT_EQ(text, "/orders/017f22e2-79b0-7cc3-98c4-dc0c0c07398f");
}

TEST(Version, CountsCommitsFromNone) {
  EXPECT_EQ(Version{}.number, 0U);
  EXPECT_LT(Version{}, Version{1});
}

TEST(OrderId, HashesByItsRandomTail) {
  std::unordered_set<std::size_t> hashes;
  std::mt19937_64 random(5);
  for (int i = 0; i < 1000; ++i) {
    hashes.insert(std::hash<OrderId>{}(OrderId::make({1'000'000}, 0, random())));
  }
  EXPECT_EQ(hashes.size(), 1000U);
}

}  // namespace
}  // namespace penstock::domain

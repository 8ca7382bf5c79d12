#include "domain/stock.h"

#include <algorithm>
#include <cstdint>
#include <random>

#include <gtest/gtest.h>

#include "domain/limits.h"

namespace penstock::domain {
namespace {

constexpr std::int64_t kMax = limits::kMaxStock;

Stock stock_of(std::int64_t on_hand, std::int64_t reserved, std::int64_t sold) {
  return {.received = on_hand + reserved + sold, .reserved = reserved, .sold = sold};
}

TEST(Stock, IsEmptyAtFirst) {
  EXPECT_EQ(Stock().on_hand(), 0);
  EXPECT_EQ(Stock().reserve(1), std::unexpected(StockError::insufficient));
}

TEST(Stock, SetsWhatCanStillBeReserved) {
  Stock stock = stock_of(5, 3, 2);
  EXPECT_TRUE(stock.set_on_hand(7));
  EXPECT_EQ(stock, stock_of(7, 3, 2));
  EXPECT_TRUE(stock.set_on_hand(0));
  EXPECT_EQ(stock, stock_of(0, 3, 2));
  EXPECT_TRUE(stock.set_on_hand(kMax));
  EXPECT_EQ(stock, stock_of(kMax, 3, 2));
}

TEST(Stock, RefusesASetOutsideItsLimitAndChangesNothing) {
  Stock stock = stock_of(5, 3, 2);
  EXPECT_EQ(stock.set_on_hand(-1), std::unexpected(StockError::too_large));
  EXPECT_EQ(stock.set_on_hand(kMax + 1), std::unexpected(StockError::too_large));
  EXPECT_EQ(stock, stock_of(5, 3, 2));
}

TEST(Stock, RestocksWhatIsOnHand) {
  Stock stock = stock_of(5, 3, 2);
  EXPECT_TRUE(stock.restock(4));
  EXPECT_EQ(stock, stock_of(9, 3, 2));
  EXPECT_TRUE(stock.restock(0));
  EXPECT_EQ(stock, stock_of(9, 3, 2));
}

TEST(Stock, RestocksUpToItsLimitAndNotBeyond) {
  Stock stock = stock_of(kMax - 4, 3, 2);
  EXPECT_EQ(stock.restock(5), std::unexpected(StockError::too_large));
  EXPECT_EQ(stock.restock(-1), std::unexpected(StockError::too_large));
  EXPECT_EQ(stock.restock(INT64_MAX), std::unexpected(StockError::too_large));
  EXPECT_EQ(stock, stock_of(kMax - 4, 3, 2));
  EXPECT_TRUE(stock.restock(4));
  EXPECT_EQ(stock, stock_of(kMax, 3, 2));
}

TEST(Stock, RefusesWhatWouldOverflowTheCumulativeCount) {
  Stock stock = {.received = INT64_MAX - 3, .reserved = 0, .sold = INT64_MAX - 3};
  const Stock before = stock;
  EXPECT_EQ(stock.set_on_hand(4), std::unexpected(StockError::too_large));
  EXPECT_EQ(stock.restock(4), std::unexpected(StockError::too_large));
  EXPECT_EQ(stock, before);
  EXPECT_TRUE(stock.restock(3));
  EXPECT_EQ(stock.on_hand(), 3);
}

TEST(Stock, ReservesTheLastPieceAndNotOneMore) {
  Stock stock = stock_of(2, 0, 0);
  EXPECT_TRUE(stock.reserve(2));
  EXPECT_EQ(stock, stock_of(0, 2, 0));
  EXPECT_EQ(stock.reserve(1), std::unexpected(StockError::insufficient));
  EXPECT_EQ(stock, stock_of(0, 2, 0));
  EXPECT_TRUE(stock.reserve(0));
}

TEST(Stock, RefusesAReservationWholeWhereOnlyAPartIsThere) {
  Stock stock = stock_of(2, 1, 0);
  EXPECT_EQ(stock.reserve(3), std::unexpected(StockError::insufficient));
  EXPECT_EQ(stock.reserve(INT64_MAX), std::unexpected(StockError::insufficient));
  EXPECT_EQ(stock, stock_of(2, 1, 0));
}

TEST(Stock, ReleasesToWhatIsOnHandAndSellsFromWhatIsHeld) {
  Stock stock = stock_of(0, 5, 1);
  stock.release(2);
  EXPECT_EQ(stock, stock_of(2, 3, 1));
  stock.sell(3);
  EXPECT_EQ(stock, stock_of(2, 0, 4));
}

TEST(Stock, TakesBackHeldPiecesEvenAboveTheLimit) {
  Stock stock = stock_of(0, 5, 0);
  ASSERT_TRUE(stock.set_on_hand(kMax));
  stock.release(5);
  EXPECT_EQ(stock.on_hand(), kMax + 5);
  EXPECT_EQ(stock.restock(1), std::unexpected(StockError::too_large));
  EXPECT_EQ(stock.restock(0), std::unexpected(StockError::too_large));
}

TEST(StockDeathTest, StopsWhereMoreIsReleasedOrSoldThanIsHeld) {
  Stock stock = stock_of(9, 2, 9);
  EXPECT_DEATH(stock.release(3), "check failed");
  EXPECT_DEATH(stock.sell(3), "check failed");
  EXPECT_DEATH(stock.release(-1), "check failed");
  EXPECT_DEATH(stock.sell(-1), "check failed");
  EXPECT_DEATH((void)stock.reserve(-1), "check failed");
}

TEST(Stock, BalancesItsMovementsAtEveryStep) {
  std::mt19937_64 random(21);
  Stock stock;
  std::int64_t movements = 0;
  for (int i = 0; i < 100'000; ++i) {
    const auto pieces = static_cast<std::int64_t>(random() % 50);
    const Stock before = stock;
    switch (random() % 5) {
      case 0:
        if (stock.set_on_hand(pieces)) movements += pieces - before.on_hand();
        break;
      case 1:
        if (stock.restock(pieces)) movements += pieces;
        break;
      case 2:
        EXPECT_EQ(stock.reserve(pieces).has_value(), pieces <= before.on_hand());
        break;
      case 3:
        stock.release(std::min(pieces, before.reserved));
        break;
      default:
        stock.sell(std::min(pieces, before.reserved));
        break;
    }
    ASSERT_EQ(stock.received, movements);
    ASSERT_EQ(stock.received, stock.on_hand() + stock.reserved + stock.sold);
    ASSERT_GE(stock.on_hand(), 0);
    ASSERT_GE(stock.reserved, 0);
    ASSERT_GE(stock.sold, before.sold);
  }
}

}  // namespace
}  // namespace penstock::domain

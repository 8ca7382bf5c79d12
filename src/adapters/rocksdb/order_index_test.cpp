#include "adapters/rocksdb/order_index.h"

#include <random>
#include <unordered_map>
#include <vector>

#include <gtest/gtest.h>

#include "adapters/rocksdb/record_ring.h"

namespace penstock::rocksdb_store {
namespace {

using domain::OrderId;

// Against the standard map, with ids that collide often.
TEST(OrderIndex, HoldsWhatWasInsertedAndNotErased) {
  std::mt19937_64 random(3);
  OrderIndex index;
  std::unordered_map<OrderId, std::uint32_t> expected;
  std::vector<OrderId> ids;
  for (std::uint64_t i = 0; i < 5'000; ++i) ids.push_back(OrderId::make({0}, 0, i % 7 << 40 | i));
  for (std::uint32_t step = 0; step < 200'000; ++step) {
    const OrderId id = ids[random() % ids.size()];
    const auto found = expected.find(id);
    if (found == expected.end()) {
      index.insert(id).version = step;
      expected[id] = step;
    } else if (random() % 2 == 0) {
      index.erase(id);
      expected.erase(found);
    } else {
      ASSERT_NE(index.find(id), nullptr);
      ASSERT_EQ(index.find(id)->version, found->second);
    }
    ASSERT_EQ(index.size(), expected.size());
  }
  std::size_t visited = 0;
  index.for_each([&](const ActiveOrder& order) {
    ++visited;
    EXPECT_EQ(expected.at(order.id), order.version);
  });
  EXPECT_EQ(visited, expected.size());
  for (const OrderId& id : ids) EXPECT_EQ(index.find(id) != nullptr, expected.contains(id));
}

TEST(OrderIndex, ErasingWhatIsNotThereChangesNothing) {
  OrderIndex index;
  index.erase(OrderId::make({0}, 0, 1));
  EXPECT_EQ(index.size(), 0U);
}

TEST(RecordRing, GivesARecordUntilItsPlaceIsUsedAgainAndNoOtherVersionOfIt) {
  RecordRing ring(2);
  const OrderId first = OrderId::make({0}, 0, 1);
  const OrderId second = OrderId::make({0}, 0, 2);
  const std::uint32_t place = ring.keep(first, 1, "one");
  EXPECT_EQ(ring.find(place, first, 1), "one");
  EXPECT_EQ(ring.find(place, first, 2), "");
  EXPECT_EQ(ring.find(place, second, 1), "");
  EXPECT_EQ(ring.find(place + 1, first, 1), "");
  ring.keep(second, 1, "two");
  EXPECT_EQ(ring.find(place, first, 1), "one");
  ring.keep(first, 2, "three");
  EXPECT_EQ(ring.find(place, first, 1), "");
  EXPECT_EQ(ring.find(place, first, 2), "three");
}

}  // namespace
}  // namespace penstock::rocksdb_store

#include "adapters/rocksdb/published_ids.h"

#include <algorithm>
#include <random>
#include <set>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace penstock::rocksdb_store {
namespace {

using domain::OrderId;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

OrderId id_of(std::uint32_t number) {
  OrderId::Bytes bytes{};
  for (int i = 0; i < 4; ++i) bytes.at(i) = static_cast<std::uint8_t>(number >> (24 - 8 * i));
  return OrderId{bytes};
}

constexpr std::uint32_t kAny = PublishedIds::kAnyTenant;

TEST(PublishedIds, WhatIsNotPublishedIsNotSeen) {
  PublishedIds ids;
  ids.add(id_of(1), kAny);
  EXPECT_THAT(ids.before(id_of(9), kAny, 10).ids, IsEmpty());
  ids.publish();
  ids.remove(id_of(1));
  EXPECT_THAT(ids.before(id_of(9), kAny, 10).ids, ElementsAre(id_of(1)));
  ids.publish();
  EXPECT_THAT(ids.before(id_of(9), kAny, 10).ids, IsEmpty());
}

TEST(PublishedIds, AnyMixOfChangesReadsAsASetInBothDirections) {
  std::minstd_rand random(7);
  PublishedIds ids;
  std::set<std::uint32_t> model;
  for (int round = 0; round < 400; ++round) {
    for (int i = 0; i < 50; ++i) {
      const auto number = static_cast<std::uint32_t>(random() % 5'000 + 1);
      if (model.insert(number).second) {
        ids.add(id_of(number), kAny);
      } else {
        model.erase(number);
        ids.remove(id_of(number));
      }
    }
    ids.publish();
    ASSERT_EQ(ids.size(), model.size());
    const auto from = static_cast<std::uint32_t>(random() % 6'000);
    std::vector<OrderId> below;
    for (auto at = model.lower_bound(from); at != model.begin();) below.push_back(id_of(*--at));
    ASSERT_EQ(ids.before(id_of(from), kAny, 10'000).ids, below);
    std::vector<OrderId> above;
    for (auto at = model.upper_bound(from); at != model.end(); ++at) above.push_back(id_of(*at));
    ASSERT_EQ(ids.after(id_of(from), kAny, 10'000).ids, above);
  }
}

TEST(PublishedIds, ATenantsIdsAreFoundInBlocksOfBoundedWork) {
  PublishedIds ids;
  constexpr std::uint32_t kLooked = PublishedIds::kMaxLooked;
  constexpr std::uint32_t kIds = 3 * kLooked;
  for (std::uint32_t number = 1; number <= kIds; ++number) {
    ids.add(id_of(number), number == 5 ? 2U : 1U);
  }
  ids.publish();
  std::vector<OrderId> found;
  OrderId end = id_of(kIds + 1);
  for (std::uint32_t blocks = 0; blocks < 4; ++blocks) {
    const auto block = ids.before(end, 2, 10);
    found.insert(found.end(), block.ids.begin(), block.ids.end());
    if (block.is_last) break;
    EXPECT_EQ(block.reached, id_of(kIds + 1 - (blocks + 1) * kLooked));
    end = block.reached;
  }
  EXPECT_THAT(found, ElementsAre(id_of(5)));
  EXPECT_THAT(ids.after(id_of(0), 1, 4).ids, SizeIs(4));
}

}  // namespace
}  // namespace penstock::rocksdb_store

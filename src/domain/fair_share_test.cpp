#include "domain/fair_share.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace penstock::domain {
namespace {

constexpr std::size_t kGreed = SharedRoom::kGreed;

Share own() {
  return {.held = 0, .standing = Standing::own_contract};
}

/// Takes until the share is used up; returns how many places that were.
std::size_t take_all(SharedRoom& room, Share& share) {
  std::size_t taken = 0;
  while (room.has_place_for(share)) {
    room.take(share);
    ++taken;
  }
  return taken;
}

std::size_t reserve_of(std::size_t capacity, std::size_t parties) {
  const std::size_t parts = 1 + kGreed * parties;
  return (capacity + parts - 1) / parts;
}

TEST(FairShare, OneAloneHasMostOfTheRoomAndNotAllOfIt) {
  for (const std::size_t capacity : {16U, 20U, 50U, 256U, 10'000U, 1'000'000U}) {
    SharedRoom room(capacity);
    Share alone = own();
    const std::size_t taken = take_all(room, alone);
    EXPECT_EQ(taken, capacity - reserve_of(capacity, 1)) << capacity;
    EXPECT_GE(taken * 2, capacity) << capacity;
  }
}

TEST(FairShare, ARoomOfOnePlaceIsUsed) {
  SharedRoom room(1);
  Share first = own();
  Share second;
  EXPECT_EQ(take_all(room, first), 1U);
  EXPECT_FALSE(room.has_place_for(second));
  room.give_back(first);
  EXPECT_EQ(take_all(room, second), 1U);
}

TEST(FairShare, ASmallRoomIsForWhoeverComes) {
  SharedRoom room(SharedRoom::kLeastShared - 1);
  Share first;
  EXPECT_EQ(take_all(room, first), room.capacity());
  EXPECT_TRUE(room.is_group_full());
}

TEST(FairShare, ARoomWithoutPlacesLetsNobodyIn) {
  SharedRoom room(0);
  EXPECT_FALSE(room.has_place_for(own()));
  EXPECT_FALSE(room.has_place_for({}));
  EXPECT_TRUE(room.is_group_full());
}

TEST(FairShare, GreedyPartiesThatComeOneAfterTheOtherLeaveThePartOfTheirNumber) {
  constexpr std::size_t kCapacity = 10'000;
  SharedRoom room(kCapacity);
  std::vector<Share> parties(35, own());  // the square root of 10 000 / 8
  for (std::size_t n = 0; n < parties.size(); ++n) {
    EXPECT_GE(take_all(room, parties[n]), 1U) << n;
    EXPECT_GE(room.free(), kCapacity / (1 + kGreed * (n + 1))) << n;
  }
  EXPECT_GE(room.free(), 35U);
}

TEST(FairShare, ANewPartyFindsAPlaceBehindAsManyGreedyOnesAsTheRoomPromises) {
  for (const std::size_t capacity : {50U, 256U, 1'000U, 10'000U, 100'000U}) {
    SharedRoom room(capacity);
    std::vector<Share> parties;
    for (std::size_t n = 1; n * n * kGreed <= capacity; ++n) {
      parties.push_back(own());
      ASSERT_GE(take_all(room, parties.back()), 1U) << capacity << " party " << n;
      ASSERT_GE(room.free(), 1U) << capacity << " party " << n;
    }
  }
}

TEST(FairShare, WhatComesBackGoesToWhoHasLess) {
  SharedRoom room(900);
  Share early = own();
  Share late = own();
  take_all(room, early);
  const std::uint32_t first = early.held;
  take_all(room, late);
  EXPECT_LT(late.held * 10, early.held) << "it came late";
  // One place at a time comes back from the first; both want it.
  for (std::uint32_t i = 0; i < first / 2; ++i) {
    room.give_back(early);
    take_all(room, early);
    take_all(room, late);
  }
  EXPECT_NEAR(early.held, late.held, 2);
  EXPECT_GE(early.held + late.held, 900 - reserve_of(900, 2) - 2);
}

TEST(FairShare, WhatManyLeaveFreeABusyOneUses) {
  SharedRoom room(1'000);
  std::vector<Share> small(50, own());
  for (Share& each : small) room.take(each);
  Share busy = own();
  EXPECT_GE(take_all(room, busy), 800U);
}

TEST(FairShare, TenantsWithoutAContractAreOnePartyHoweverManyNamesThereAre) {
  SharedRoom room(10'000);
  std::vector<Share> names(5'000);
  for (Share& name : names) take_all(room, name);
  std::size_t together = 0;
  for (const Share& name : names) together += name.held;
  EXPECT_LE(together, 10'000 - reserve_of(10'000, 1));
  EXPECT_TRUE(room.is_group_full());
  EXPECT_EQ(room.parties(), 1U);
  Share contract = own();
  EXPECT_TRUE(room.has_place_for(contract));
  EXPECT_GE(take_all(room, contract), 500U);
}

TEST(FairShare, InsideTheGroupTheSameRuleShares) {
  SharedRoom room(10'000);
  std::vector<Share> hostile(10);
  for (Share& name : hostile) take_all(room, name);
  Share good;
  EXPECT_GE(take_all(room, good), 5U);
}

TEST(FairShare, AContractTakesItsTenantOutOfTheGroup) {
  SharedRoom room(100);
  Share tenant;
  Share other;
  room.take(tenant, 30);
  room.take(other, 10);
  EXPECT_EQ(room.parties(), 1U);
  room.set_standing(tenant, Standing::own_contract);
  EXPECT_EQ(room.parties(), 2U);
  EXPECT_EQ(room.used(), 40U);
  room.give_back(other, 10);
  EXPECT_EQ(room.parties(), 1U);
  room.set_standing(tenant, Standing::grouped);
  room.give_back(tenant, 30);
  EXPECT_EQ(room.parties(), 0U);
  EXPECT_EQ(room.used(), 0U);
}

TEST(FairShare, WhatWasThereBeforeTheBoundBecameSmallerIsCounted) {
  SharedRoom room(10);
  Share tenant = own();
  room.take(tenant, 25);
  EXPECT_EQ(room.free(), 0U);
  EXPECT_FALSE(room.has_place_for(tenant));
  EXPECT_FALSE(room.has_place_for(own()));
  room.give_back(tenant, 24);
  EXPECT_TRUE(room.has_place_for(own()));
}

TEST(FairShareDeathTest, RefusesToTakeBackWhatNobodyHolds) {
  SharedRoom room(10);
  Share tenant;
  EXPECT_DEATH(room.give_back(tenant), "check failed");
}

/// The rule word for word: take x places one by one as long as each single one is allowed.
bool may_take_one(std::size_t capacity, std::size_t free, std::size_t parties, std::size_t held) {
  if (free == 0) return false;
  if (held == 0) return true;
  return held + 1 <= kGreed * (free - 1) && (free - 1) * (1 + kGreed * parties) >= capacity;
}

TEST(FairShare, AllowancesAreTheRuleAppliedPlaceByPlace) {
  for (std::size_t capacity = 0; capacity < 40; ++capacity) {
    for (std::size_t free = 0; free <= capacity; ++free) {
      for (std::size_t parties = 1; parties < 6; ++parties) {
        for (std::size_t held = 0; held <= capacity - free; ++held) {
          std::size_t expected = 0;
          while (expected < free &&
                 may_take_one(capacity, free - expected, parties, held + expected)) {
            ++expected;
          }
          ASSERT_EQ(
              allowance({.capacity = capacity, .free = free, .parties = parties, .held = held}),
              expected)
              << capacity << ' ' << free << ' ' << parties << ' ' << held;
        }
      }
    }
  }
}

/// The counts are what the shares add up to, whatever happens; nobody gets in past the capacity;
/// and once all is given back the room is as new.
TEST(FairShare, CountsAreTheSumOfTheSharesOverRandomUse) {
  for (std::uint64_t seed = 0; seed < 60; ++seed) {
    std::mt19937_64 random(seed);
    const std::size_t capacity = 1 + random() % 400;
    SharedRoom room(capacity);
    std::vector<Share> shares(1 + random() % 60);
    for (int step = 0; step < 5'000; ++step) {
      Share& share = shares[random() % shares.size()];
      const std::uint64_t choice = random() % 100;
      if (choice < 60) {
        if (room.has_place_for(share)) room.take(share);
      } else if (choice < 97) {
        if (share.held > 0) room.give_back(share);
      } else {
        room.set_standing(share, choice == 98 ? Standing::grouped : Standing::own_contract);
      }
      std::size_t used = 0;
      std::size_t own_parties = 0;
      bool group = false;
      for (const Share& each : shares) {
        used += each.held;
        if (each.held == 0) continue;
        if (each.standing == Standing::own_contract) {
          ++own_parties;
        } else {
          group = true;
        }
      }
      ASSERT_EQ(room.used(), used);
      ASSERT_LE(used, capacity);
      ASSERT_EQ(room.parties(), own_parties + (group ? 1 : 0));
      if (room.free() > 0) {
        ASSERT_TRUE(room.has_place_for(own())) << "a newcomer";
      }
    }
    for (Share& share : shares) room.give_back(share, share.held);
    ASSERT_EQ(room.free(), capacity);
    ASSERT_EQ(room.parties(), 0U);
  }
}

/// The shortcut of a room that is half free says what the rule says.
TEST(FairShare, TheShortcutAgreesWithTheRule) {
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    std::mt19937_64 random(seed);
    const std::size_t capacity = 64 + random() % 1'000;
    SharedRoom room(capacity);
    std::vector<Share> shares(1 + random() % 80);
    std::size_t members = 0;
    std::size_t own_parties = 0;
    std::size_t group_used = 0;
    for (Share& share : shares) {
      share.standing = random() % 2 == 0 ? Standing::grouped : Standing::own_contract;
      const std::size_t left = capacity / 2 - room.used();
      room.take(share, static_cast<std::uint32_t>(random() % (left + 1)));
      if (share.held == 0) continue;
      if (share.standing == Standing::own_contract) {
        ++own_parties;
      } else {
        ++members;
        group_used += share.held;
      }
    }
    for (const Share& share : shares) {
      const std::size_t comes = share.held == 0 ? 1 : 0;
      ASSERT_TRUE(room.has_place_for(share));
      if (share.standing == Standing::own_contract) {
        ASSERT_GE(allowance({.capacity = capacity,
                             .free = room.free(),
                             .parties = room.parties() + comes,
                             .held = share.held}),
                  1U);
        continue;
      }
      const std::size_t group = allowance({.capacity = capacity,
                                           .free = room.free(),
                                           .parties = own_parties + 1,
                                           .held = group_used});
      ASSERT_GE(allowance({.capacity = group_used + group,
                           .free = group,
                           .parties = members + comes,
                           .held = share.held}),
                1U);
    }
  }
}

TEST(FairRoom, KeepsMemoryForThoseThatHoldPlacesOnly) {
  FairRoom<std::string> room(100);
  std::vector<FairRoom<std::string>::Holder*> held;
  held.push_back(room.take("a", Standing::grouped));
  held.push_back(room.take("a", Standing::grouped));
  held.push_back(room.take("b", Standing::own_contract));
  std::size_t seen = 0;
  room.for_each([&seen](const std::string&, const Share& share) { seen += share.held; });
  EXPECT_EQ(seen, 3U);
  for (auto* holder : held) room.give_back(holder);
  room.for_each([](const std::string& name, const Share&) { ADD_FAILURE() << name; });
  EXPECT_EQ(room.room().used(), 0U);
}

TEST(FairRoom, RefusesWhoIsAtItsShareAndKeepsNoTraceOfANameThatFoundNoPlace) {
  FairRoom<int> room(18);
  std::vector<FairRoom<int>::Holder*> held;
  while (auto* holder = room.take(1, Standing::own_contract)) held.push_back(holder);
  EXPECT_EQ(held.size(), 16U);
  EXPECT_FALSE(room.has_place_for(1, Standing::own_contract));
  EXPECT_TRUE(room.has_place_for(2, Standing::grouped));
  EXPECT_NE(room.take(2, Standing::grouped), nullptr);
  EXPECT_NE(room.take(4, Standing::own_contract), nullptr);
  EXPECT_EQ(room.take(3, Standing::own_contract), nullptr);
  std::size_t parties = 0;
  room.for_each([&parties](int, const Share&) { ++parties; });
  EXPECT_EQ(parties, 3U);
}

TEST(FairRoom, FollowsAContractThatWasMadeWhilePlacesAreHeld) {
  FairRoom<int> room(100);
  auto* first = room.take(1, Standing::grouped);
  room.take(2, Standing::grouped);
  EXPECT_EQ(room.room().parties(), 1U);
  auto* second = room.take(1, Standing::own_contract);
  EXPECT_EQ(first, second);
  EXPECT_EQ(room.room().parties(), 2U);
}

TEST(FairRoom, TakesAPlaceBeyondTheRoomWhereItMust) {
  FairRoom<int> room(1);
  EXPECT_NE(room.take_anyway(1, Standing::grouped), nullptr);
  auto* beyond = room.take_anyway(1, Standing::grouped);
  EXPECT_EQ(room.room().used(), 2U);
  EXPECT_EQ(room.take(2, Standing::own_contract), nullptr);
  room.give_back(beyond);
  EXPECT_EQ(room.room().used(), 1U);
}

}  // namespace
}  // namespace penstock::domain

#include "domain/fair_queue.h"

#include <algorithm>
#include <cstdint>
#include <deque>
#include <map>
#include <random>
#include <vector>

#include <gtest/gtest.h>

namespace penstock::domain {
namespace {

constexpr Instant kNow{1'000'000};

/// An entry that can be told apart: its order carries the tenant and a number.
FairQueue::Entry entry(std::uint32_t tenant, std::uint64_t number, Instant queued_at = kNow) {
  return {.order = OrderId::make({static_cast<std::int64_t>(tenant) * 1000}, 0, number),
          .version = 1,
          .queued_at = queued_at};
}

std::uint32_t tenant_of(const FairQueue::Entry& taken) {
  return static_cast<std::uint32_t>(taken.order.created().us / 1000);
}

std::vector<std::uint32_t> take_tenants(FairQueue& queue, int count) {
  std::vector<std::uint32_t> tenants;
  for (int i = 0; i < count; ++i) {
    const std::optional<FairQueue::Entry> taken = queue.pop(kNow);
    if (!taken) break;
    tenants.push_back(tenant_of(*taken));
  }
  return tenants;
}

void push_many(FairQueue& queue, std::uint32_t tenant, std::uint64_t count) {
  for (std::uint64_t i = 0; i < count; ++i) queue.push(tenant, entry(tenant, i));
}

using Tenants = std::vector<std::uint32_t>;

TEST(FairQueue, IsEmptyAtFirst) {
  FairQueue queue;
  EXPECT_FALSE(queue.pop(kNow));
  EXPECT_FALSE(queue.next_due());
  EXPECT_FALSE(queue.oldest());
  EXPECT_EQ(queue.ready(), 0U);
  EXPECT_EQ(queue.timed(), 0U);
}

TEST(FairQueue, KeepsTheEntryWhole) {
  FairQueue queue;
  FairQueue::Entry pushed = entry(7, 42, Instant{123});
  pushed.version = 9;
  queue.push(7, pushed);
  const std::optional<FairQueue::Entry> taken = queue.pop(kNow);
  ASSERT_TRUE(taken);
  EXPECT_EQ(taken->order, pushed.order);
  EXPECT_EQ(taken->version, 9U);
  EXPECT_EQ(taken->queued_at, Instant{123});
}

TEST(FairQueue, IsFirstInFirstOutInsideATenant) {
  FairQueue queue;
  for (std::uint64_t i = 0; i < 100; ++i) queue.push(1, entry(1, i));
  for (std::uint64_t i = 0; i < 100; ++i) {
    EXPECT_EQ(queue.pop(kNow)->order, entry(1, i).order);
    EXPECT_EQ(queue.ready(), 99 - i);
  }
  EXPECT_FALSE(queue.pop(kNow));
}

TEST(FairQueue, GivesEachTenantATurnWhateverTheLengthOfItsLine) {
  FairQueue queue;
  push_many(queue, 1, 1000);
  push_many(queue, 2, 2);
  push_many(queue, 3, 1);
  EXPECT_EQ(take_tenants(queue, 8), (Tenants{1, 2, 3, 1, 2, 1, 1, 1}));
}

TEST(FairQueue, GivesATenantItsWeightInOrdersATurn) {
  FairQueue queue;
  queue.set_weight(1, 3);
  queue.set_weight(2, 2);
  push_many(queue, 1, 7);
  push_many(queue, 2, 7);
  push_many(queue, 3, 7);
  EXPECT_EQ(take_tenants(queue, 14), (Tenants{1, 1, 1, 2, 2, 3, 1, 1, 1, 2, 2, 3, 1, 2}));
}

TEST(FairQueue, DoesNotLetAnEmptyTenantSaveUpTurns) {
  FairQueue queue;
  queue.set_weight(1, 4);
  push_many(queue, 1, 1);
  push_many(queue, 2, 20);
  EXPECT_EQ(take_tenants(queue, 5), (Tenants{1, 2, 2, 2, 2}));
  push_many(queue, 1, 9);
  EXPECT_EQ(take_tenants(queue, 7), (Tenants{2, 1, 1, 1, 1, 2, 1}));
}

TEST(FairQueue, PutsATenantThatComesBackBehindTheOthers) {
  FairQueue queue;
  push_many(queue, 1, 1);
  push_many(queue, 2, 2);
  push_many(queue, 3, 2);
  EXPECT_EQ(take_tenants(queue, 1), (Tenants{1}));
  push_many(queue, 1, 1);
  EXPECT_EQ(take_tenants(queue, 5), (Tenants{2, 3, 1, 2, 3}));
}

TEST(FairQueue, ShortensABegunTurnToASmallerWeightAndLeavesItToALargerOne) {
  FairQueue queue;
  queue.set_weight(1, 10);
  push_many(queue, 1, 40);
  push_many(queue, 2, 40);
  EXPECT_EQ(take_tenants(queue, 2), (Tenants{1, 1}));
  queue.set_weight(1, 2);
  EXPECT_EQ(take_tenants(queue, 6), (Tenants{1, 1, 2, 1, 1, 2}));
  EXPECT_EQ(take_tenants(queue, 1), (Tenants{1}));
  queue.set_weight(1, 4);
  EXPECT_EQ(take_tenants(queue, 7), (Tenants{1, 2, 1, 1, 1, 1, 2}));
}

TEST(FairQueue, KeepsTheWeightOfATenantWithoutEntries) {
  FairQueue queue;
  queue.set_weight(1, 2);
  push_many(queue, 1, 1);
  EXPECT_EQ(take_tenants(queue, 1), (Tenants{1}));
  push_many(queue, 1, 3);
  push_many(queue, 2, 3);
  EXPECT_EQ(take_tenants(queue, 4), (Tenants{1, 1, 2, 1}));
}

TEST(FairQueue, SetsAWeightBackToTheDefault) {
  FairQueue queue;
  queue.set_weight(1, 5);
  queue.set_weight(1, 1);
  queue.set_weight(9, 1);
  push_many(queue, 1, 3);
  push_many(queue, 2, 3);
  EXPECT_EQ(take_tenants(queue, 4), (Tenants{1, 2, 1, 2}));
}

TEST(FairQueueDeathTest, RefusesAWeightOfZero) {
  FairQueue queue;
  EXPECT_DEATH(queue.set_weight(1, 0), "check failed");
}

TEST(FairQueue, TakesATimedEntryNotBeforeItIsDue) {
  FairQueue queue;
  queue.push_at(1, entry(1, 1), Instant{500});
  EXPECT_EQ(queue.timed(), 1U);
  EXPECT_EQ(queue.ready(), 0U);
  EXPECT_EQ(queue.next_due(), Instant{500});
  EXPECT_FALSE(queue.pop(Instant{499}));
  ASSERT_TRUE(queue.pop(Instant{500}));
  EXPECT_EQ(queue.timed(), 0U);
  EXPECT_FALSE(queue.next_due());
}

TEST(FairQueue, TakesDueEntriesBeforeFirstClaimsAndByTheirTime) {
  FairQueue queue;
  queue.push(1, entry(1, 0));
  queue.push_at(1, entry(1, 30), Instant{30});
  queue.push_at(1, entry(1, 10), Instant{10});
  queue.push_at(1, entry(1, 20), Instant{20});
  queue.push_at(1, entry(1, 40), Instant{40});
  EXPECT_EQ(queue.next_due(), Instant{10});
  EXPECT_EQ(queue.pop(Instant{35})->order, entry(1, 10).order);
  EXPECT_EQ(queue.next_due(), Instant{40}) << "what was seen to be due waits no longer";
  EXPECT_EQ(queue.pop(Instant{35})->order, entry(1, 20).order);
  EXPECT_EQ(queue.pop(Instant{35})->order, entry(1, 30).order);
  EXPECT_EQ(queue.pop(Instant{35})->order, entry(1, 0).order);
  EXPECT_FALSE(queue.pop(Instant{39}));
  EXPECT_EQ(queue.pop(Instant{40})->order, entry(1, 40).order);
}

TEST(FairQueue, TakesEntriesDueTogetherInTheOrderTheyWerePushed) {
  FairQueue queue;
  for (std::uint64_t i = 0; i < 50; ++i) queue.push_at(1, entry(1, i), Instant{5});
  for (std::uint64_t i = 0; i < 50; ++i) EXPECT_EQ(queue.pop(kNow)->order, entry(1, i).order) << i;
}

TEST(FairQueue, ADueEntryComesInItsTenantsTurnAndBeforeItsFirstClaims) {
  FairQueue queue;
  queue.set_weight(1, 2);
  push_many(queue, 1, 4);
  push_many(queue, 2, 4);
  EXPECT_EQ(take_tenants(queue, 2), (Tenants{1, 1}));
  queue.push_at(9, entry(9, 1), Instant{0});
  queue.push_at(2, entry(2, 77), Instant{0});
  EXPECT_EQ(queue.next_tenant(kNow), 2U);
  EXPECT_EQ(queue.pop(kNow)->order, entry(2, 77).order);
  EXPECT_EQ(take_tenants(queue, 4), (Tenants{1, 1, 9, 2}));
}

TEST(FairQueue, DueEntriesOfOneTenantDoNotHoldUpAnother) {
  FairQueue queue;
  for (std::uint64_t i = 0; i < 100'000; ++i) queue.push_at(1, entry(1, i), Instant{5});
  push_many(queue, 2, 3);
  const Tenants taken = take_tenants(queue, 6);
  EXPECT_EQ(std::ranges::count(taken, 2U), 3);
  int rest = 0;
  while (queue.pop(kNow)) ++rest;
  EXPECT_EQ(rest, 100'000 - 3) << "and none is lost";
}

TEST(FairQueue, AllWithoutAContractShareOneTurn) {
  FairQueue queue;
  queue.set_standing(1, Standing::own_contract);
  push_many(queue, 1, 50);
  for (std::uint32_t name = 100; name < 150; ++name) push_many(queue, name, 5);
  const Tenants taken = take_tenants(queue, 40);
  EXPECT_EQ(std::ranges::count(taken, 1U), 20);
  EXPECT_EQ((Tenants{taken[1], taken[3], taken[5]}), (Tenants{100, 101, 102}));
}

TEST(FairQueue, ATenantChangesItsRoundWhereItStands) {
  FairQueue queue;
  for (std::uint32_t name = 1; name <= 3; ++name) push_many(queue, name, 6);
  queue.set_standing(2, Standing::own_contract);
  EXPECT_EQ(take_tenants(queue, 6), (Tenants{1, 2, 3, 2, 1, 2}));
  queue.set_standing(2, Standing::grouped);
  EXPECT_EQ(take_tenants(queue, 6), (Tenants{3, 1, 2, 3, 1, 2}));
  queue.set_standing(1, Standing::own_contract);
  queue.set_standing(2, Standing::own_contract);
  queue.set_standing(3, Standing::own_contract);
  int rest = 0;
  while (queue.pop(kNow)) ++rest;
  EXPECT_EQ(rest, 6);
  EXPECT_EQ(queue.tenants_held(), 3U);
}

TEST(FairQueue, WhoIsPassedOverKeepsItsLineAndHoldsUpNobody) {
  FairQueue queue;
  queue.set_standing(1, Standing::own_contract);
  queue.set_standing(2, Standing::own_contract);
  push_many(queue, 1, 3);
  push_many(queue, 2, 1);
  push_many(queue, 7, 1);
  push_many(queue, 8, 1);
  queue.push_at(1, entry(1, 9), Instant{0});
  ASSERT_EQ(queue.next_tenant(kNow), 1U);
  queue.pass_over();
  EXPECT_EQ(take_tenants(queue, 1), (Tenants{2}));
  ASSERT_EQ(queue.next_tenant(kNow), 7U);
  queue.pass_over();
  EXPECT_EQ(take_tenants(queue, 9), (Tenants{8}));
  EXPECT_FALSE(queue.pop(kNow));
  queue.end_pass();
  EXPECT_EQ(queue.next_tenant(kNow), 1U);
  EXPECT_EQ(queue.pop(kNow)->order, entry(1, 9).order);
  EXPECT_EQ(queue.next_tenant(kNow), 7U);
  queue.pass_over_group();
  EXPECT_EQ(queue.pop(kNow)->order, entry(1, 0).order);
  EXPECT_EQ(take_tenants(queue, 9), (Tenants{1, 1}));
  queue.end_pass();
  EXPECT_EQ(take_tenants(queue, 9), (Tenants{7}));
  queue.end_pass();
  EXPECT_FALSE(queue.pop(kNow));
}

TEST(FairQueue, AGroupThatIsPassedOverTakesMoreInAndComesBack) {
  FairQueue queue;
  push_many(queue, 1, 1);
  ASSERT_EQ(queue.next_tenant(kNow), 1U);
  queue.pass_over_group();
  push_many(queue, 2, 1);
  EXPECT_FALSE(queue.pop(kNow));
  queue.set_standing(1, Standing::own_contract);
  EXPECT_EQ(take_tenants(queue, 9), (Tenants{1}));
  queue.end_pass();
  EXPECT_EQ(take_tenants(queue, 9), (Tenants{2}));
}

TEST(FairQueue, KnowsTheOldestFirstClaimOverAllTenants) {
  FairQueue queue;
  queue.push(1, entry(1, 1, Instant{50}));
  EXPECT_EQ(queue.oldest(), Instant{50});
  queue.push(1, entry(1, 2, Instant{60}));
  queue.push(2, entry(2, 1, Instant{40}));
  queue.push(3, entry(3, 1, Instant{70}));
  queue.push_at(4, entry(4, 1, Instant{1}), Instant{INT64_MAX});
  EXPECT_EQ(queue.oldest(), Instant{40}) << "timed entries do not count";
  EXPECT_EQ(tenant_of(*queue.pop(kNow)), 1U);
  EXPECT_EQ(queue.oldest(), Instant{40});
  EXPECT_EQ(tenant_of(*queue.pop(kNow)), 2U);
  EXPECT_EQ(queue.oldest(), Instant{60});
  EXPECT_EQ(tenant_of(*queue.pop(kNow)), 3U);
  EXPECT_EQ(queue.oldest(), Instant{60});
  EXPECT_EQ(tenant_of(*queue.pop(kNow)), 1U);
  EXPECT_FALSE(queue.oldest());
}

TEST(FairQueue, HoldsNoMemoryForTenantsThatHaveNothing) {
  FairQueue queue;
  for (std::uint32_t tenant = 0; tenant < 10'000; ++tenant) {
    queue.push(tenant, entry(1, tenant));
    EXPECT_EQ(queue.tenants_held(), 1U);
    EXPECT_TRUE(queue.pop(kNow));
  }
  EXPECT_EQ(queue.tenants_held(), 0U);
  queue.set_weight(1, 1);
  EXPECT_EQ(queue.tenants_held(), 0U) << "the default";
  queue.set_weight(1, 2);
  EXPECT_EQ(queue.tenants_held(), 1U) << "its weight";
  push_many(queue, 1, 1);
  EXPECT_TRUE(queue.pop(kNow));
  EXPECT_EQ(queue.tenants_held(), 1U);
  queue.set_weight(1, 1);
  EXPECT_EQ(queue.tenants_held(), 0U);
  queue.set_weight(2, 2);
  push_many(queue, 2, 1);
  queue.set_weight(2, 1);
  EXPECT_EQ(queue.tenants_held(), 1U) << "its entry";
  EXPECT_TRUE(queue.pop(kNow));
  EXPECT_EQ(queue.tenants_held(), 0U);
}

TEST(FairQueue, UsesTheRoomOfTakenEntriesAgainAndGivesItBack) {
  FairQueue queue;
  push_many(queue, 1, 10);
  for (int i = 0; i < 10'000; ++i) {
    EXPECT_TRUE(queue.pop(kNow));
    push_many(queue, static_cast<std::uint32_t>(i % 7), 1);
    ASSERT_EQ(queue.ready(), 10U);
    ASSERT_EQ(queue.room_held(), 10U);
  }
  while (queue.pop(kNow)) {
  }
  EXPECT_EQ(queue.room_held(), 0U);
}

// Over any stretch in which two tenants always have entries, what they got differs from their
// weights by at most one turn each.
TEST(FairQueue, ServesBusyTenantsByTheirWeightsOverAnyStretch) {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    std::mt19937_64 random(seed);
    FairQueue queue;
    const std::uint32_t tenants = 2 + static_cast<std::uint32_t>(random() % 8);
    std::vector<std::uint32_t> weights(tenants);
    std::vector<std::uint64_t> served(tenants, 0);
    for (std::uint32_t t = 0; t < tenants; ++t) {
      weights[t] = 1 + static_cast<std::uint32_t>(random() % 20);
      queue.set_weight(t, weights[t]);
      push_many(queue, t, 50);
    }
    for (int i = 0; i < 20'000; ++i) {
      const std::uint32_t taken = tenant_of(*queue.pop(kNow));
      ++served[taken];
      queue.push(taken, entry(taken, 0));
      if (random() % 4 == 0) push_many(queue, static_cast<std::uint32_t>(random() % tenants), 1);
      for (std::uint32_t t = 1; t < tenants; ++t) {
        const double rounds = static_cast<double>(served[t]) / weights[t];
        const double first = static_cast<double>(served[0]) / weights[0];
        ASSERT_LE(std::abs(rounds - first), 1.0) << "seed " << seed << " tenant " << t;
      }
    }
  }
}

// The reference is the plain form: two deques a tenant, a list of turns, a sorted map of timed
// ones.
class PlainQueue {
 public:
  void push(std::uint32_t tenant, std::uint64_t number) {
    enter(tenant);
    lines_[tenant].claims.push_back(number);
  }
  void push_at(std::uint32_t tenant, std::uint64_t number, Instant due) {
    timed_.emplace(due, std::pair(tenant, number));
  }
  void set_weight(std::uint32_t tenant, std::uint32_t weight) { weights_[tenant] = weight; }

  std::optional<std::uint64_t> pop(Instant now) {
    while (!timed_.empty() && timed_.begin()->first <= now) {
      const auto [tenant, number] = timed_.begin()->second;
      timed_.erase(timed_.begin());
      enter(tenant);
      lines_[tenant].due.push_back(number);
    }
    if (turns_.empty()) return std::nullopt;
    const std::uint32_t tenant = turns_.front();
    Lines& lines = lines_[tenant];
    std::deque<std::uint64_t>& line = lines.due.empty() ? lines.claims : lines.due;
    const std::uint64_t number = line.front();
    line.pop_front();
    ++lines.taken;
    const std::uint32_t weight = weights_.contains(tenant) ? weights_[tenant] : 1;
    if (lines.taken >= weight || lines.is_empty()) {
      lines.taken = 0;
      turns_.pop_front();
      if (!lines.is_empty()) turns_.push_back(tenant);
    }
    return number;
  }

 private:
  struct Lines {
    std::deque<std::uint64_t> due;
    std::deque<std::uint64_t> claims;
    std::uint32_t taken = 0;
    bool is_empty() const { return due.empty() && claims.empty(); }
  };

  void enter(std::uint32_t tenant) {
    if (lines_[tenant].is_empty()) turns_.push_back(tenant);
  }

  std::map<std::uint32_t, Lines> lines_;
  std::map<std::uint32_t, std::uint32_t> weights_;
  std::deque<std::uint32_t> turns_;
  std::multimap<Instant, std::pair<std::uint32_t, std::uint64_t>> timed_;
};

TEST(FairQueue, AgreesWithAPlainOneOverRandomUse) {
  for (std::uint64_t seed = 0; seed < 30; ++seed) {
    std::mt19937_64 random(seed);
    FairQueue queue;
    PlainQueue plain;
    for (std::uint32_t t = 0; t < 6; ++t) {
      queue.set_weight(t, 1 + t);
      plain.set_weight(t, 1 + t);
    }
    std::int64_t now = 0;
    std::size_t held = 0;
    for (std::uint64_t i = 1; i < 20'000; ++i) {
      const auto tenant = static_cast<std::uint32_t>(random() % 9);
      now += static_cast<std::int64_t>(random() % 3);
      const std::uint64_t choice = random() % 100;
      // Long phases of filling and of draining, so that it empties and refills.
      const std::uint64_t fill = (i / 1000) % 2 == 0 ? 70 : 30;
      if (choice < fill) {
        ++held;
        if (choice % 5 == 0) {
          const Instant due{now + static_cast<std::int64_t>(random() % 500)};
          queue.push_at(tenant, entry(tenant, i), due);
          plain.push_at(tenant, i, due);
        } else {
          queue.push(tenant, entry(tenant, i));
          plain.push(tenant, i);
        }
      } else {
        const std::optional<FairQueue::Entry> taken = queue.pop({now});
        const std::optional<std::uint64_t> expected = plain.pop({now});
        ASSERT_EQ(taken.has_value(), expected.has_value());
        if (!taken) continue;
        --held;
        ASSERT_EQ(taken->order.view().substr(8), entry(0, *expected).order.view().substr(8));
      }
      ASSERT_EQ(queue.ready() + queue.timed(), held);
    }
  }
}

}  // namespace
}  // namespace penstock::domain

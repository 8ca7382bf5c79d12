#include "adapters/postgres/batch_split.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

namespace penstock::postgres_store {
namespace {

using ports::Command;

Command set_of(const std::string& tenant, std::int64_t pieces) {
  return ports::SetStock{.tenant = domain::TenantId::unchecked(tenant),
                         .product = domain::ProductId::unchecked("PROD-1"),
                         .on_hand = pieces};
}

std::vector<std::int64_t> pieces_of(std::span<Command> commands) {
  std::vector<std::int64_t> pieces;
  for (const Command& command : commands) {
    pieces.push_back(std::get<ports::SetStock>(command).on_hand);
  }
  return pieces;
}

TEST(BatchSplit, KeepsATenantsCommandsTogetherAndInTheirOrder) {
  std::vector<Command> commands{set_of("a", 1), set_of("b", 2), set_of("a", 3), set_of("b", 4)};
  BatchSplit split(commands, {.parts = 2});
  ASSERT_EQ(split.size(), 2U);
  std::vector<std::vector<std::int64_t>> parts{pieces_of(split.part(0)), pieces_of(split.part(1))};
  std::ranges::sort(parts);
  EXPECT_EQ(parts, (std::vector<std::vector<std::int64_t>>{{1, 3}, {2, 4}}));
}

TEST(BatchSplit, GivesTheLargestTenantAPartOfItsOwn) {
  std::vector<Command> commands{set_of("a", 1), set_of("b", 2), set_of("c", 3),
                                set_of("a", 4), set_of("a", 5), set_of("b", 6)};
  BatchSplit split(commands, {.parts = 2});
  ASSERT_EQ(split.size(), 2U);
  EXPECT_EQ(split.part(0).size(), 3U);
  EXPECT_EQ(split.part(1).size(), 3U);
}

TEST(BatchSplit, OneTenantOrASmallBatchIsOnePartAndStaysWhereItIs) {
  std::vector<Command> commands{set_of("a", 1), set_of("a", 2)};
  BatchSplit alone(commands, {.parts = 2});
  ASSERT_EQ(alone.size(), 1U);
  EXPECT_EQ(alone.part(0).data(), commands.data());
  commands.push_back(set_of("b", 3));
  EXPECT_EQ(BatchSplit(commands, {.parts = 2, .least_batch = 4}).size(), 1U);
  EXPECT_EQ(BatchSplit(commands, {.parts = 1}).size(), 1U);
}

TEST(BatchSplit, ResultsComeInTheOrderOfTheBatch) {
  std::vector<Command> commands{set_of("a", 1), set_of("b", 2), set_of("b", 3), set_of("a", 4),
                                set_of("c", 5)};
  BatchSplit split(commands, {.parts = 3});
  ASSERT_EQ(split.size(), 3U);
  std::vector<std::vector<ports::CommandResult>> results;
  for (std::size_t part = 0; part < split.size(); ++part) {
    results.emplace_back();
    for (const std::int64_t pieces : pieces_of(split.part(part))) {
      results.back().emplace_back(ports::StockResult{domain::Stock{.received = pieces}});
    }
  }
  std::vector<std::int64_t> merged;
  for (const ports::CommandResult& result : split.merge(std::move(results))) {
    merged.push_back(std::get<ports::StockResult>(result).stock->received);
  }
  EXPECT_EQ(merged, (std::vector<std::int64_t>{1, 2, 3, 4, 5}));
}

TEST(BatchSplit, WhatWasNotDoneGoesBackToItsPlaces) {
  std::vector<Command> commands{set_of("a", 1), set_of("b", 2), set_of("a", 3)};
  BatchSplit split(commands, {.parts = 2});
  ASSERT_EQ(split.size(), 2U);
  split.restore(commands);
  EXPECT_EQ(pieces_of(commands), (std::vector<std::int64_t>{1, 2, 3}));
  EXPECT_EQ(std::get<ports::SetStock>(commands[1]).tenant.str(), "b");
}

}  // namespace
}  // namespace penstock::postgres_store

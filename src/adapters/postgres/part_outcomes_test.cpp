#include "adapters/postgres/part_outcomes.h"

#include <initializer_list>
#include <vector>

#include <gtest/gtest.h>

namespace penstock::postgres_store {
namespace {

using ports::StoreError;

struct Failure {
  StoreError error = StoreError::unavailable;
};
using Outcomes = PartOutcomes<int, Failure>;

constexpr int kDone = 1;
const Outcomes::Outcome kUndone = std::unexpected(Failure{StoreError::unavailable});
const Outcomes::Outcome kUnknown = std::unexpected(Failure{StoreError::unknown_outcome});

Outcomes of(std::initializer_list<Outcomes::Outcome> parts) {
  Outcomes outcomes;
  for (const Outcomes::Outcome& part : parts) outcomes.add(part);
  return outcomes;
}

StoreError error_of(Outcomes outcomes) {
  return std::move(outcomes).together().error().error;
}

/// The parts that are done again.
std::vector<std::size_t> again(Outcomes outcomes) {
  std::vector<std::size_t> parts;
  outcomes.finish_what_was_begun([&](std::size_t part) -> Outcomes::Outcome {
    parts.push_back(part);
    return kDone;
  });
  return parts;
}

TEST(PartOutcomes, AreOneAnswerAPartWhereAllWereDone) {
  EXPECT_EQ(of({1, 2, 3}).together().value(), (std::vector{1, 2, 3}));
}

TEST(PartOutcomes, AreUnavailableOnlyWhereNothingWasDone) {
  EXPECT_EQ(error_of(of({kUndone, kUndone})), StoreError::unavailable);
  EXPECT_EQ(error_of(of({kDone, kUndone})), StoreError::unknown_outcome);
  EXPECT_EQ(error_of(of({kUndone, kDone})), StoreError::unknown_outcome);
  EXPECT_EQ(error_of(of({kUnknown, kUndone})), StoreError::unknown_outcome);
  EXPECT_EQ(error_of(of({kUndone, kUnknown})), StoreError::unknown_outcome);
}

TEST(PartOutcomes, TellWhatStopsTheStoreBeforeAnythingElse) {
  const Outcomes::Outcome corrupt = std::unexpected(Failure{StoreError::corrupt});
  EXPECT_EQ(error_of(of({kUndone, corrupt})), StoreError::corrupt);
  EXPECT_EQ(error_of(of({kDone, corrupt})), StoreError::corrupt);
  EXPECT_EQ(error_of(of({kUnknown, corrupt})), StoreError::corrupt);
  EXPECT_EQ(error_of(of({corrupt, kUnknown})), StoreError::corrupt);
}

TEST(PartOutcomes, WhatWasLeftOutIsDoneAgainWhereAnotherPartMayHaveBeenDone) {
  EXPECT_EQ(again(of({kUndone, kUndone})), std::vector<std::size_t>{});
  EXPECT_EQ(again(of({kDone, kUndone})), std::vector<std::size_t>{1});
  EXPECT_EQ(again(of({kUndone, kUnknown})), std::vector<std::size_t>{0});
  EXPECT_EQ(again(of({kDone, kUnknown})), std::vector<std::size_t>{});
}

}  // namespace
}  // namespace penstock::postgres_store

#include "pipeline/stage_pause.h"

#include <gtest/gtest.h>

namespace penstock::pipeline {
namespace {

using domain::Duration;
using domain::Instant;

TEST(StagePause, AnOpenStageHasItsUsualLimit) {
  const StagePause pause;
  EXPECT_FALSE(pause.paused({0}));
  EXPECT_EQ(pause.limit(500), 500U);
}

TEST(StagePause, GrowsWithEachPauseUpToFiveSeconds) {
  StagePause pause;
  Instant now{1'000'000};
  for (const std::int64_t milliseconds : {100, 200, 400, 800, 1'600, 3'200, 5'000, 5'000, 5'000}) {
    pause.peer_was_away(now);
    EXPECT_EQ(pause.until(), now + Duration::milliseconds(milliseconds));
    EXPECT_TRUE(pause.paused(now));
    now = pause.until();
    EXPECT_FALSE(pause.paused(now));
  }
}

TEST(StagePause, ManyRepliesOfOneOutageAreOnePause) {
  StagePause pause;
  const Instant now{1'000'000};
  for (int reply = 0; reply < 1'000; ++reply) pause.peer_was_away(now);
  EXPECT_EQ(pause.until(), now + Duration::milliseconds(100));
}

TEST(StagePause, AfterAPauseAFewProbeAndTheFirstAnswerOpensTheStage) {
  StagePause pause;
  pause.peer_was_away({1'000'000});
  EXPECT_EQ(pause.limit(500), 16U);
  EXPECT_EQ(pause.limit(3), 3U);
  pause.peer_answered();
  EXPECT_EQ(pause.limit(500), 500U);
  EXPECT_FALSE(pause.paused({1'000'001}));
  pause.peer_was_away({2'000'000});
  EXPECT_EQ(pause.until(), Instant{2'000'000} + Duration::milliseconds(100)) << "from the start";
}

}  // namespace
}  // namespace penstock::pipeline

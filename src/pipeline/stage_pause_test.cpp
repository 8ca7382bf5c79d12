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

using domain::Outcome;
using domain::OutcomeKind;
using domain::Trouble;

const Outcome kUnreachable{OutcomeKind::unavailable, {}, Trouble::unreachable, "refused"};
const Outcome kUnauthorized{OutcomeKind::unavailable, {}, Trouble::not_authorized, "HTTP 401"};
const Outcome kBusy{OutcomeKind::unavailable, {}, Trouble::overloaded, "HTTP 503"};
const Outcome kLost{OutcomeKind::unknown, {}, Trouble::no_answer, "no answer in time"};
const Outcome kAnswer{OutcomeKind::done, "ref"};

TEST(StagePause, WhatConcernsEveryOrderPausesAtOnceAndSaysWhy) {
  for (const Outcome& outcome : {kUnreachable, kUnauthorized}) {
    StagePause pause;
    pause.heard(kAnswer, {1'000'000});
    pause.heard(outcome, {1'100'000});
    EXPECT_TRUE(pause.paused({1'100'000}));
    EXPECT_EQ(pause.since(), Instant{1'100'000});
    EXPECT_EQ(pause.trouble(), outcome.trouble);
    EXPECT_EQ(pause.detail(), outcome.detail);
    pause.heard(outcome, {9'000'000});
    EXPECT_EQ(pause.since(), Instant{1'100'000}) << "of the outage, not of the last pause";
    pause.heard(kAnswer, {9'100'000});
    EXPECT_FALSE(pause.is_away());
  }
}

TEST(StagePause, TheTroubleOfOneOrderPausesNobodyWhileOthersAreServed) {
  StagePause pause;
  Instant now{1'000'000};
  for (int round = 0; round < 100; ++round) {
    pause.heard(kAnswer, now);
    for (int time = 0; time < 50; ++time) {
      now = now + Duration::milliseconds(90);
      pause.heard(time % 2 == 0 ? kBusy : kLost, now);
      EXPECT_FALSE(pause.is_away());
    }
  }
}

TEST(StagePause, APeerThatServesNobodyPausesTheStage) {
  StagePause busy;
  busy.heard(kBusy, {1'000'000});
  EXPECT_TRUE(busy.is_away()) << "it never answered anything else";
  for (int time = 1; time < 20; ++time) {
    busy.heard(kBusy, busy.until());
    EXPECT_LE(busy.until() - busy.since(), Duration::seconds(time + 1))
        << "it is asked each second";
  }
  StagePause lost;
  lost.heard(kAnswer, {1'000'000});
  lost.heard(kLost, {7'000'000});
  lost.heard(kLost, {7'000'000});
  EXPECT_FALSE(lost.is_away()) << "answers get lost now and then";
  lost.heard(kLost, {7'000'000});
  EXPECT_TRUE(lost.is_away());
  EXPECT_EQ(lost.trouble(), Trouble::no_answer);
}

}  // namespace
}  // namespace penstock::pipeline

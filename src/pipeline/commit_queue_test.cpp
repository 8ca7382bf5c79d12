#include "pipeline/commit_queue.h"

#include <cstddef>
#include <memory>
#include <optional>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "pipeline/testing/world.h"

namespace penstock::pipeline::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class CommitQueueTest : public ::testing::Test {
 protected:
  CommitQueueTest() : disk(make_disk({})) {
    disk->open(now);
    store.emplace(disk->store());
    queue.emplace(*store, std::size_t{1});
  }

  /// Adds a command whose result, or whose error, is kept.
  void ask() {
    queue->add(ports::PeekBucket{domain::TenantId::unchecked("acme")}, [this](auto result) {
      if (result) {
        answered += 1;
      } else {
        errors.push_back(result.error());
      }
    });
  }

  domain::Now now{.wall = kWorldStart, .monotonic = {}};
  std::unique_ptr<Disk> disk;
  std::optional<RecordingStore> store;
  std::optional<CommitQueue> queue;
  std::size_t answered = 0;
  std::vector<ports::StoreError> errors;
};

TEST_F(CommitQueueTest, EachFlushIsOneBoundedBatchInOrder) {
  for (int command = 0; command < 3; ++command) ask();
  queue->flush(now);
  EXPECT_EQ(answered, 1U);
  queue->flush(now);
  queue->flush(now);
  EXPECT_EQ(answered, 3U);
  EXPECT_THAT(store->batches, ElementsAre(1, 1, 1));
  EXPECT_TRUE(queue->empty());
}

TEST_F(CommitQueueTest, AFailedSyncIsToldToAllThatWaitAndToAllThatComeAfter) {
  for (int command = 0; command < 3; ++command) ask();
  disk->fail_next_write(ports::StoreError::stopped, FailedWrite::lost);
  queue->flush(now);
  EXPECT_THAT(errors, ElementsAre(ports::StoreError::stopped, ports::StoreError::stopped,
                                  ports::StoreError::stopped));
  EXPECT_EQ(queue->failure(), ports::StoreError::stopped);
  ask();
  EXPECT_EQ(errors.size(), 4U);
  queue->flush(now);
  EXPECT_THAT(store->batches, ElementsAre(1)) << "nothing is tried again";
}

TEST_F(CommitQueueTest, AStoreThatIsAwayIsAskedAgainAfterAPauseAndNotBefore) {
  store->away = true;
  ask();
  queue->flush(now);
  EXPECT_THAT(errors, ElementsAre(ports::StoreError::unavailable));
  store->away = false;
  ask();
  queue->flush(now);
  EXPECT_THAT(store->batches, IsEmpty());
  EXPECT_GT(queue->retry_at(), now.wall);
  now.wall = queue->retry_at();
  queue->flush(now);
  EXPECT_EQ(answered, 1U);
}

TEST_F(CommitQueueTest, WhatTheStoreRefusesHoldsUpNothingElseAndIsAskedForAgainLater) {
  store->refuses = true;
  std::size_t finished = 0;
  queue->add(ports::FinishTerminalBatch{.sequence = 1, .deliveries = {}},
             [&](auto result) { finished += result ? 1 : 0; });
  queue->flush(now);
  ask();
  queue->flush(now);
  EXPECT_THAT(errors, ElementsAre(ports::StoreError::unavailable)) << "a client may ask again";
  store->refuses = false;
  ask();
  queue->flush(now);
  EXPECT_EQ(answered, 1U);
  EXPECT_EQ(finished, 0U);
  now.wall = now.wall + kPauseAside;
  queue->flush(now);
  EXPECT_EQ(finished, 1U);
}

}  // namespace
}  // namespace penstock::pipeline::testing

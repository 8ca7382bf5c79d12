#pragma once

#include <cstddef>
#include <cstdint>

#include "domain/instant.h"

/// Every bound of the pipeline, in one place. A limit's relation to others is asserted below.
namespace penstock::domain::limits {

// What a client may send.
inline constexpr std::size_t kMaxNameBytes = 128;
inline constexpr std::size_t kMaxIdempotencyKeyBytes = 255;
inline constexpr std::size_t kMaxItemsPerOrder = 100;
inline constexpr std::int64_t kMaxQuantity = 1'000'000;
inline constexpr std::size_t kMaxMetadataPairs = 20;
inline constexpr std::size_t kMaxMetadataCharacters =
    500;  // of a name or a value; Unicode code points
inline constexpr std::size_t kMaxBodyBytes = 256 * 1024;
inline constexpr std::size_t kMaxJsonDepth = 16;
inline constexpr std::int64_t kMaxAmountMinor = 1'000'000'000'000'000;  // 1e15 minor units
inline constexpr std::int64_t kMaxStock = 1'000'000'000'000;
inline constexpr std::size_t kMaxPaymentMethodBytes = 128;
inline constexpr std::size_t kMaxTraceparentBytes = 55;
inline constexpr std::size_t kDefaultPage = 50;
inline constexpr std::size_t kMaxPage = 500;
inline constexpr std::size_t kMaxPageBytes = 1024 * 1024;  // of its orders, and as JSON
inline constexpr std::size_t kMaxCursorBytes = 1024;
inline constexpr std::int64_t kMaxWaitSeconds = 30;

// Contracts.
inline constexpr std::int64_t kMaxRatePerSecond = 1'000'000;
inline constexpr std::int64_t kMaxBurst = 10'000'000;
inline constexpr std::size_t kMaxTenants = 100'000;  // with a contract, and as many without
inline constexpr std::int64_t kMaxWeight = 1'000;

// The pipeline.
inline constexpr std::size_t kDefaultMaxActive = 1'000'000;
inline constexpr std::size_t kMaxBatch = 4096;         // commands in one commit
inline constexpr std::size_t kMaxMailbox = 65'536;     // requests waiting for the next batch
inline constexpr std::size_t kMailboxReserve = 1'024;  // of which none is taken by an order
inline constexpr std::size_t kMaxInFlight = 16'384;    // claimed orders of one stage
inline constexpr int kMaxAttempts = 3;                 // reported transient failures
inline constexpr int kUncleanEndsBeforeMarks = 3;
inline constexpr int kMaxInterruptionsAlone = 3;
inline constexpr std::size_t kMaxTimelineEvents = 256;
inline constexpr std::size_t kTimelineReserve = 32;      // kept free for compensation
inline constexpr std::size_t kMaxDeadLetters = 100'000;  // open ones; then the stage pauses
inline constexpr std::size_t kMaxOwedRefunds = 100'000;  // then the payment stage pauses
inline constexpr std::size_t kMaxRedriveBatch = 10'000;
inline constexpr std::size_t kMaxWaiters = 100'000;  // GET ...?wait

// Webhooks.
inline constexpr std::size_t kMaxWebhookUrlBytes = 2048;
inline constexpr std::size_t kMaxWebhookSecretBytes = 256;
inline constexpr std::size_t kMaxDeliveriesInFlight = 256;
inline constexpr std::size_t kMaxDeliveriesWaiting = 1'000'000;

// Times.
inline constexpr Duration kIdempotencyRetention = Duration::hours(7 * 24);
inline constexpr Duration kDeadLetterHold = Duration::hours(24);
inline constexpr Duration kGatewayKeyRetention = Duration::hours(24);
inline constexpr Duration kMinHistoryRetention = Duration::hours(31 * 24);
inline constexpr Duration kMaxClockBehind = Duration::hours(1);
inline constexpr Duration kMaxClockAhead = Duration::hours(24);

static_assert(kMaxPage >= kDefaultPage);
static_assert(kMaxPageBytes > kMaxBodyBytes, "an order of a full body fits a page");
static_assert(kMaxItemsPerOrder * kMaxNameBytes < kMaxBodyBytes, "a full order fits its body");
static_assert(kMaxMetadataPairs * 2 * kMaxMetadataCharacters * 4 < kMaxBodyBytes, "UTF-8");
static_assert(kMaxBatch <= kMaxMailbox);
static_assert(kMaxInFlight <= kDefaultMaxActive);
static_assert(kTimelineReserve * 2 < kMaxTimelineEvents);
static_assert(kMinHistoryRetention > kIdempotencyRetention, "a replay finds its order");
static_assert(kMaxAmountMinor < INT64_MAX / 2, "two amounts add without overflow");
static_assert(kMaxRatePerSecond * 1'000'000 < INT64_MAX / 1'000'000);

}  // namespace penstock::domain::limits

#include "adapters/postgres/wake_ups.h"

#include <atomic>
#include <memory>
#include <thread>

#include "adapters/postgres/postgres_fixture_test.h"

namespace penstock::postgres_store {
namespace {

using domain::Duration;
using domain::Stage;

constexpr auto kPause = std::chrono::milliseconds(5);

constexpr StageBits bit_of(Stage stage) {
  return StageBits{1} << static_cast<unsigned>(stage);
}

/// One process's end, which counts how often it was woken.
struct Listener {
  Listener(ConnectionOptions connection, StageBits announced, StageBits wanted)
      : ups({.connection = std::move(connection),
             .announced = announced,
             .wanted = wanted,
             .wake = [this] { woken += 1; },
             .least_pause = Duration::milliseconds(100)}) {
    // It is woken once when it begins to listen.
    while (woken == 0) std::this_thread::sleep_for(kPause);
  }
  std::atomic<int> woken{0};
  WakeUps ups;
};

class WakeUpTest : public PostgresTest {
 protected:
  std::unique_ptr<Listener> listener(StageBits announced, StageBits wanted) {
    ConnectionOptions connection = schema.connection_options();
    connection.name = "wake-ups";
    return std::make_unique<Listener>(connection, announced, wanted);
  }
  static void await(const Listener& listener, int woken) {
    while (listener.woken < woken) std::this_thread::sleep_for(kPause);
  }
};

TEST_F(WakeUpTest, WhoRunsAStageHearsOfItsWorkAndNobodyElseDoes) {
  const auto ingest = listener(bit_of(Stage::payment) | bit_of(Stage::fulfillment), 0);
  const auto payment = listener(0, bit_of(Stage::payment));
  const auto fulfillment = listener(0, bit_of(Stage::fulfillment));
  ingest->ups.announce(bit_of(Stage::payment));
  await(*payment, 2);
  ingest->ups.announce(bit_of(Stage::fulfillment) | bit_of(Stage::notification));
  await(*fulfillment, 2);
  EXPECT_EQ(payment->woken, 2);
  EXPECT_EQ(fulfillment->woken, 2);
  EXPECT_EQ(ingest->woken, 1) << "it wants nothing";
}

TEST_F(WakeUpTest, ItsOwnNewsAndWhatItDoesNotAnnounceAreNoNews) {
  const auto both = listener(bit_of(Stage::payment), bit_of(Stage::payment));
  const auto payment = listener(0, bit_of(Stage::payment));
  const auto others = listener(0, bit_of(Stage::fulfillment) | bit_of(Stage::inventory));
  both->ups.announce(bit_of(Stage::fulfillment));
  both->ups.announce(bit_of(Stage::payment));
  await(*payment, 2);
  // What is told from here on is heard behind that.
  const auto third = listener(bit_of(Stage::payment) | bit_of(Stage::inventory), 0);
  third->ups.announce(bit_of(Stage::payment) | bit_of(Stage::inventory));
  await(*both, 2);
  await(*others, 2);
  EXPECT_EQ(both->woken, 2) << "by the third's news";
  EXPECT_EQ(others->woken, 2) << "by the third's news";
}

TEST_F(WakeUpTest, ManyNewsWithinThePauseGoOutAsFew) {
  const auto ingest = listener(bit_of(Stage::payment), 0);
  const auto payment = listener(0, bit_of(Stage::payment));
  for (int news = 0; news < 1'000; ++news) ingest->ups.announce(bit_of(Stage::payment));
  await(*payment, 2);
  std::this_thread::sleep_for(50 * kPause);
  EXPECT_LE(payment->woken, 3) << "the first one, and those that came while it went out";
}

TEST_F(WakeUpTest, AConnectionThatBreaksIsOpenedAgainAndWakesForWhatWasMissed) {
  const auto ingest = listener(bit_of(Stage::payment), 0);
  const auto payment = listener(0, bit_of(Stage::payment));
  schema.execute(
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
      " WHERE application_name = 'wake-ups'");
  await(*payment, 2);
  const int before = payment->woken;
  ingest->ups.announce(bit_of(Stage::payment));
  await(*payment, before + 1);
}

}  // namespace
}  // namespace penstock::postgres_store

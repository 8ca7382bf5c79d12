#include <set>
#include <thread>
#include <vector>

#include <gtest/gtest.h>
#include <unistd.h>

#include "adapters/system/boot_id.h"
#include "adapters/system/process_usage.h"
#include "adapters/system/system_clock.h"
#include "adapters/system/system_random.h"

namespace penstock::system {
namespace {

TEST(SystemClock, never_goes_back_for_any_thread) {
  SystemClock clock;
  std::vector<std::thread> threads;
  for (int thread = 0; thread < 3; ++thread) {
    threads.emplace_back([&clock] {
      domain::Now last = clock.now();
      for (int reading = 0; reading < 20'000; ++reading) {
        domain::Now const now = clock.now();
        ASSERT_GE(now.wall, last.wall);
        ASSERT_GE(now.monotonic, last.monotonic);
        last = now;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

TEST(SystemClock, its_wall_time_is_of_this_century) {
  SystemClock clock;
  EXPECT_GT(clock.now().wall, domain::start_of({.year = 2026, .month = 1}));
}

TEST(SystemRandom, two_generators_differ_and_one_does_not_repeat_itself) {
  SystemRandom left;
  SystemRandom right;
  std::set<std::uint64_t> seen;
  for (int draw = 0; draw < 1000; ++draw) {
    seen.insert(left.next());
    seen.insert(right.next());
  }
  EXPECT_EQ(seen.size(), 2000U);
}

TEST(SystemRandom, gives_nothing_twice_over_many_refills) {
  SystemRandom random;
  std::set<std::uint64_t> seen;
  for (int draw = 0; draw < 100'000; ++draw) EXPECT_TRUE(seen.insert(random.next()).second);
}

TEST(SystemRandom, every_bit_is_set_about_half_of_the_time) {
  SystemRandom random;
  std::array<int, 64> ones{};
  for (int draw = 0; draw < 10'000; ++draw) {
    std::uint64_t const bits = random.next();
    for (std::size_t bit = 0; bit < 64; ++bit) ones.at(bit) += static_cast<int>((bits >> bit) & 1U);
  }
  // Ten standard deviations: never by chance.
  for (int const count : ones) EXPECT_NEAR(count, 5000, 500);
}

TEST(BootId, is_the_same_for_every_reader_of_this_boot) {
  EXPECT_FALSE(read_boot_id().empty());
  EXPECT_EQ(read_boot_id(), read_boot_id());
}

TEST(ProcessUsage, counts_this_process) {
  ProcessUsage const usage = read_own_usage();
  EXPECT_GT(usage.resident_bytes, 1024 * 1024);
  EXPECT_GE(usage.peak_resident_bytes, usage.resident_bytes);
  EXPECT_GE(usage.open_descriptors, 3);
  EXPECT_GE(usage.most_descriptors, usage.open_descriptors);
  // Ticks and whole seconds of the boot are a second apart from the clock at most.
  std::int64_t const now_us = SystemClock().now().wall.us;
  EXPECT_GT(usage.start_us, now_us - std::int64_t{24} * 3600 * 1'000'000);
  EXPECT_LE(usage.start_us, now_us + 2'000'000);
  EXPECT_GE(usage.cpu_us, 0);
}

TEST(ProcessUsage, a_process_that_is_not_there_has_none) {
  EXPECT_FALSE(read_process_usage(-1));
}

}  // namespace
}  // namespace penstock::system

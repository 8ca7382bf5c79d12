#include "simulation/world_distributed.h"

#include <cstdint>
#include <string>
#include <utility>

#include <gtest/gtest.h>

namespace penstock::simulation {
namespace {

RunOptions drawn(std::uint64_t seed) {
  RunOptions options;
  options.seed = seed;
  options.scenario = Scenario::drawn(seed, World::distributed);
  return options;
}

TEST(DistributedWorld, WithoutFaultsEveryOrderEndsAndNothingIsFound) {
  for (std::uint64_t seed = 1; seed <= 8; ++seed) {
    RunOptions options;
    options.seed = seed;
    const RunResult result = run_distributed_world(options);
    EXPECT_EQ(result.verdict, Verdict::clean) << seed << ": " << result.finding;
    EXPECT_GE(result.orders, 50U);
    EXPECT_EQ(result.crashes, 0U);
  }
}

TEST(DistributedWorld, DrawnWorldsAreClean) {
  std::uint64_t crashes = 0;
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    const RunResult result = run_distributed_world(drawn(seed));
    EXPECT_EQ(result.verdict, Verdict::clean) << seed << ": " << result.finding;
    crashes += result.crashes;
  }
  EXPECT_GT(crashes, 0U);
}

TEST(DistributedWorld, TheSameSeedMakesTheSameTrace) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    const RunResult first = run_distributed_world(drawn(seed));
    const RunResult again = run_distributed_world(drawn(seed));
    EXPECT_EQ(first.digest, again.digest) << seed;
    EXPECT_EQ(first.step, again.step) << seed;
    EXPECT_EQ(first.probes, again.probes) << seed;
    EXPECT_NE(first.digest, run_distributed_world(drawn(seed + 1'000)).digest);
  }
}

// A lease is for efficiency: versions, keys and close are what safety rests on.
TEST(DistributedWorld, LeasesThatEndAtOnceHarmNothing) {
  ProbeCounts probes;
  for (std::uint64_t seed = 1; seed <= 15; ++seed) {
    RunOptions options = drawn(seed);
    options.scenario.cluster.lease_seconds = 0.02;
    options.scenario.gateway.latency_ms = 30;
    const RunResult result = run_distributed_world(options);
    EXPECT_EQ(result.verdict, Verdict::clean) << seed << ": " << result.finding;
    probes.merge(result.probes);
  }
  EXPECT_GT(probes.of(Probe::lease_takeover), 0U);
  EXPECT_GT(probes.of(Probe::zombie_fenced), 0U);
}

TEST(DistributedWorld, HeldOrdersAndPartsThatLandAloneHarmNothing) {
  ProbeCounts probes;
  for (std::uint64_t seed = 1; seed <= 15; ++seed) {
    RunOptions options = drawn(seed);
    options.scenario.workload.tenants = 5;
    options.scenario.workload.burst = 20;
    ClusterFaults& cluster = options.scenario.cluster;
    cluster.holding = true;
    cluster.least_split_batch = 2;
    cluster.lose_request = cluster.lose_reply = 0.1;
    cluster.lease_seconds = 0.5;
    const RunResult result = run_distributed_world(options);
    EXPECT_EQ(result.verdict, Verdict::clean) << seed << ": " << result.finding;
    probes.merge(result.probes);
  }
  EXPECT_GT(probes.of(Probe::held_handed_out), 0U);
  EXPECT_GT(probes.of(Probe::held_unheard), 0U);
  EXPECT_GT(probes.of(Probe::part_landed_alone), 0U);
}

ProbeCounts probes_of_clean_runs(const std::string& file) {
  ProbeCounts probes;
  const auto scenario = read_scenario(PENSTOCK_REGRESSIONS "/" + file);
  EXPECT_TRUE(scenario) << (scenario ? "" : scenario.error());
  for (std::uint64_t seed = 1; scenario && seed <= 20; ++seed) {
    RunOptions options;
    options.seed = seed;
    options.scenario = *scenario;
    const RunResult result = run_distributed_world(options);
    EXPECT_EQ(result.verdict, Verdict::clean) << file << " " << seed << ": " << result.finding;
    probes.merge(result.probes);
  }
  return probes;
}

TEST(DistributedWorld, WhatWasFoundOnceStaysFixed) {
  EXPECT_GT(probes_of_clean_runs("dead-letter-behind-a-clock.toml").of(Probe::dead_letter), 0U);
  EXPECT_GT(probes_of_clean_runs("endpoint-gone-while-away.toml").of(Probe::webhook_gone), 0U);
}

class PlantedFlaw : public ::testing::TestWithParam<std::pair<std::string, Flaw>> {};

TEST_P(PlantedFlaw, OfTheDatabaseIsFound) {
  constexpr std::uint64_t kSeeds = 200;
  for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) {
    const RunResult result = run_distributed_world(drawn(seed), {.flaw = GetParam().second});
    if (result.verdict == Verdict::clean) continue;
    EXPECT_FALSE(result.finding.empty());
    EXPECT_FALSE(result.last_lines.empty());
    return;
  }
  FAIL() << "none of " << kSeeds << " seeds shows it";
}

INSTANTIATE_TEST_SUITE_P(Database, PlantedFlaw,
                         ::testing::Values(std::pair("IgnoresVersions", Flaw::ignores_versions),
                                           std::pair("ForgetsAccepts", Flaw::forgets_accepts),
                                           std::pair("ForgetsKeys", Flaw::forgets_keys),
                                           std::pair("DropsDeliveries", Flaw::drops_deliveries),
                                           std::pair("ReadsOldRecords", Flaw::reads_old_records),
                                           std::pair("DeniesParts", Flaw::denies_parts)),
                         [](const auto& instance) { return instance.param.first; });

}  // namespace
}  // namespace penstock::simulation

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "simulation/scenario.h"
#include "simulation/world_single.h"

// The single world: the same seed gives the same trace, the scenarios that are kept run clean, and
// a defect planted in the world itself does not stay unseen.
namespace penstock::simulation {
namespace {

namespace fs = std::filesystem;

RunResult run_drawn(std::uint64_t seed) {
  return run_single_world({.seed = seed, .scenario = Scenario::drawn(seed, World::single)});
}

TEST(SingleWorld, TheSameSeedGivesTheSameTrace) {
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    const RunResult first = run_drawn(seed);
    const RunResult second = run_drawn(seed);
    ASSERT_EQ(first.digest, second.digest) << "seed " << seed;
    ASSERT_EQ(first.step, second.step) << "seed " << seed;
    ASSERT_EQ(first.verdict, Verdict::clean) << "seed " << seed << ": " << first.finding;
    ASSERT_TRUE(first.probes == second.probes) << "seed " << seed;
  }
}

TEST(SingleWorld, AnotherSeedGivesAnotherTrace) {
  Scenario scenario;
  scenario.workload.orders = 50;
  const RunResult first = run_single_world({.seed = 1, .scenario = scenario});
  const RunResult second = run_single_world({.seed = 2, .scenario = scenario});
  EXPECT_NE(first.digest, second.digest);
}

// Steps of the clock add up over thousands of jumps and many restarts: a new process goes on from
// what is stored, so that nothing waits longer than twice its time.
TEST(SingleWorld, NoSumOfClockStepsHoldsWorkForDays) {
  for (const std::uint64_t seed : {20'033'429U, 20'163'200U}) {
    const RunResult result = run_drawn(seed);
    EXPECT_EQ(result.verdict, Verdict::clean) << "seed " << seed << ": " << result.finding;
  }
  const auto scenario = read_scenario(
      (fs::path(PENSTOCK_SIMULATION_DIRECTORY) / "regressions/clock-steps-over-restarts.toml")
          .string());
  ASSERT_TRUE(scenario) << scenario.error();
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    const RunResult result = run_single_world({.seed = seed, .scenario = *scenario});
    EXPECT_EQ(result.verdict, Verdict::clean) << "seed " << seed << ": " << result.finding;
  }
}

class ScenarioFile : public ::testing::TestWithParam<fs::path> {};

TEST_P(ScenarioFile, RunsCleanWithAtLeastFiftyOrders) {
  const auto scenario = read_scenario(GetParam().string());
  ASSERT_TRUE(scenario.has_value()) << scenario.error();
  EXPECT_EQ(scenario->name, GetParam().stem().string());
  for (std::uint64_t seed = 1; seed <= 4; ++seed) {
    const RunResult result = run_single_world({.seed = seed, .scenario = *scenario});
    EXPECT_EQ(result.verdict, Verdict::clean) << "seed " << seed << ": " << result.finding;
    EXPECT_GE(result.orders, 50U);
  }
}

std::vector<fs::path> scenario_files() {
  std::vector<fs::path> files;
  for (const char* folder : {"scenarios", "regressions"}) {
    for (const auto& entry :
         fs::directory_iterator(fs::path(PENSTOCK_SIMULATION_DIRECTORY) / folder)) {
      if (entry.path().extension() == ".toml") files.push_back(entry.path());
    }
  }
  std::ranges::sort(files);
  return files;
}

INSTANTIATE_TEST_SUITE_P(All, ScenarioFile, ::testing::ValuesIn(scenario_files()),
                         [](const auto& file) {
                           std::string name = file.param.stem().string();
                           std::ranges::replace(name, '-', '_');
                           return name;
                         });

struct Planted {
  std::string name;
  PlantedDefect defect;
  Verdict verdict;
};

class DefectOfTheWorld : public ::testing::TestWithParam<Planted> {};

/// A scenario in which each planted defect has its occasion.
Scenario occasion() {
  Scenario scenario;
  scenario.workload.orders = 80;
  scenario.workload.keyed = 1;
  scenario.workload.repeated = 0.6;
  scenario.workload.restocks = 20;
  scenario.workload.cancels = 0.2;
  scenario.workload.reads = 0.5;
  scenario.gateway.drop_reply = 0.2;
  scenario.gateway.act_late = 0.3;
  scenario.gateway.lose_request = 0.2;
  scenario.gateway.answer_twice = 0.2;
  scenario.gateway.transient = 0.2;
  scenario.notification.webhooks = 1;
  scenario.crash.between_polls = 2;
  scenario.policy.backoff_base_ms = 20;
  scenario.policy.backoff_cap_ms = 200;
  scenario.bounds.settle_hours = 2;
  return scenario;
}

TEST_P(DefectOfTheWorld, IsFoundWithinTwentySeeds) {
  int found = 0;
  for (std::uint64_t seed = 1; seed <= 20 && found == 0; ++seed) {
    const RunResult sound = run_single_world({.seed = seed, .scenario = occasion()});
    ASSERT_EQ(sound.verdict, Verdict::clean) << sound.finding;
    const RunResult result = run_single_world(
        {.seed = seed, .scenario = occasion(), .trace = nullptr, .defect = GetParam().defect});
    if (result.verdict == Verdict::clean) continue;
    found += 1;
    EXPECT_EQ(result.verdict, GetParam().verdict) << result.finding;
    EXPECT_FALSE(result.finding.empty());
    EXPECT_FALSE(result.last_lines.empty());
  }
  EXPECT_EQ(found, 1);
}

INSTANTIATE_TEST_SUITE_P(
    All, DefectOfTheWorld,
    ::testing::Values(
        Planted{"captures_twice", PlantedDefect::gateway_captures_twice, Verdict::safety},
        Planted{"ignores_close", PlantedDefect::gateway_ignores_close, Verdict::safety},
        Planted{"never_answers", PlantedDefect::gateway_never_answers, Verdict::liveness},
        Planted{"loses_acknowledged", PlantedDefect::store_loses_acknowledged, Verdict::safety},
        Planted{"applies_twice", PlantedDefect::store_applies_twice, Verdict::safety},
        Planted{"forgets_keys", PlantedDefect::store_forgets_keys, Verdict::safety},
        Planted{"sink_swallows", PlantedDefect::sink_swallows, Verdict::safety}),
    [](const auto& planted) { return planted.param.name; });

}  // namespace
}  // namespace penstock::simulation

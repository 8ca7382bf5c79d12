#include "simulation/runner.h"

#include <cstdlib>
#include <filesystem>
#include <sstream>
#include <stdexcept>
#include <string>

#include <gtest/gtest.h>
#include <unistd.h>

#include "simulation/totals.h"
#include "simulation/world_single.h"

namespace penstock::simulation {
namespace {

namespace fs = std::filesystem;

RunResult safe(const RunOptions& options) {
  RunResult result{.seed = options.seed, .digest = options.seed * 7, .orders = 3, .last_lines = {}};
  result.probes.hit(Probe::dead_letter);
  return result;
}

RunResult unsafe_at_three(const RunOptions& options) {
  RunResult result = safe(options);
  if (options.seed != 3) return result;
  result.verdict = Verdict::safety;
  result.finding = "one-capture: an order";
  result.last_lines = {"the last line"};
  return result;
}

RunResult aborts_at_three(const RunOptions& options) {
  if (options.seed == 3) std::abort();
  if (options.seed == 5) throw std::runtime_error("five");
  return unsafe_at_three(options);
}

std::string digest_line(const std::string& output) {
  return output.substr(output.find("digest"), 23);
}

TEST(Runner, ACleanRunEndsWithZeroAndItsFigures) {
  std::ostringstream out;
  EXPECT_EQ(run_seeds({.run = safe, .seeds = 10}, out), RunnerExit::clean);
  EXPECT_NE(out.str().find("10 seeds from 1, 30 orders"), std::string::npos) << out.str();
}

TEST(Runner, AFindingIsReportedWithAllThatMakesTheRunAgain) {
  std::ostringstream out;
  EXPECT_EQ(run_seeds({.run = unsafe_at_three, .seeds = 10, .orders = 77}, out),
            RunnerExit::unsafe);
  for (const char* part :
       {"seed 3: unsafe: one-capture: an order", "--world single --seed 3 --trace --orders 77",
        "orders = 77", "[gateway]", "the last line", "unsafe 1, not live 0, broken 0"}) {
    EXPECT_NE(out.str().find(part), std::string::npos) << part << " in " << out.str();
  }
}

TEST(Runner, ARunThatEndsItsProcessIsAFindingAndTheOthersGoOn) {
  std::ostringstream out;
  EXPECT_EQ(run_seeds({.run = aborts_at_three, .seeds = 10}, out), RunnerExit::broken);
  EXPECT_NE(out.str().find("seed 3: broken"), std::string::npos) << out.str();
  EXPECT_NE(out.str().find("seed 5: broken"), std::string::npos) << out.str();
  EXPECT_NE(out.str().find("10 seeds from 1, 24 orders"), std::string::npos) << out.str();
}

TEST(Runner, ProcessesAndShardsChangeNoDigest) {
  std::ostringstream one;
  run_seeds({.run = safe, .seeds = 50}, one);
  std::ostringstream three;
  run_seeds({.run = safe, .seeds = 50, .processes = 3}, three);
  EXPECT_EQ(digest_line(one.str()), digest_line(three.str()));
  std::ostringstream half;
  run_seeds({.run = safe, .seeds = 50, .processes = 2, .shard = 1, .shards = 2}, half);
  EXPECT_NE(half.str().find("25 seeds from 1, 75 orders"), std::string::npos) << half.str();
}

TEST(Runner, AMissingProbeFailsOnlyARunThatAsksForThem) {
  std::ostringstream out;
  EXPECT_EQ(run_seeds({.run = safe, .require_probes = true}, out), RunnerExit::probe_missing);
  EXPECT_NE(out.str().find("never reached: torn-batch"), std::string::npos);
  EXPECT_EQ(out.str().find("never reached: dead-letter ("), std::string::npos);
}

TEST(Runner, AResumedRunEndsAsOneThatWasNeverInterrupted) {
  const fs::path state =
      fs::temp_directory_path() / ("penstock-simulate-" + std::to_string(::getpid()));
  std::ostringstream whole;
  run_seeds({.run = unsafe_at_three, .seeds = 40}, whole);
  std::ostringstream first;
  EXPECT_EQ(run_seeds({.run = unsafe_at_three, .seeds = 20, .resume = state.string()}, first),
            RunnerExit::unsafe);
  std::ostringstream second;
  EXPECT_EQ(run_seeds({.run = unsafe_at_three, .seeds = 40, .resume = state.string()}, second),
            RunnerExit::unsafe);
  EXPECT_EQ(digest_line(whole.str()), digest_line(second.str()));
  std::ostringstream other;
  EXPECT_EQ(run_seeds({.run = safe, .first_seed = 9, .seeds = 40, .resume = state.string()}, other),
            RunnerExit::wrong_use);
  fs::remove(state);
}

TEST(Runner, AScenarioThatCannotBeReadIsWrongUse) {
  std::ostringstream out;
  EXPECT_EQ(run_seeds({.run = safe, .scenario = "/no/such/file.toml"}, out), RunnerExit::wrong_use);
}

TEST(Totals, AreReadBackAsTheyWereWritten) {
  Totals totals;
  RunResult result = unsafe_at_three({.seed = 3, .scenario = {}});
  totals.add(result);
  totals.add_broken(8);
  const auto read = parse_totals(to_text(totals));
  ASSERT_TRUE(read.has_value()) << read.error();
  EXPECT_TRUE(*read == totals);
  EXPECT_FALSE(parse_totals("seeds x\n").has_value());
  EXPECT_FALSE(parse_totals("seeds 1").has_value());
  EXPECT_FALSE(parse_totals("no_such_field 1\n").has_value());
}

TEST(Scenario, EveryDrawnOneIsValidAndReadsBackFromItsText) {
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    for (const World world : {World::single, World::distributed}) {
      const Scenario drawn = Scenario::drawn(seed, world);
      EXPECT_EQ(first_mistake(drawn), "") << seed;
      EXPECT_GE(drawn.workload.orders, 50);
      const auto read = parse_scenario(to_toml(drawn));
      ASSERT_TRUE(read.has_value()) << read.error();
      EXPECT_EQ(to_toml(*read), to_toml(drawn));
    }
  }
}

TEST(Scenario, AMistakeIsNamedWithItsField) {
  EXPECT_NE(parse_scenario("[gateway]\ndecline = 2.0\n").error().find("gateway.decline"),
            std::string::npos);
  EXPECT_NE(parse_scenario("[gateway]\ndeclines = 0.5\n").error().find("gateway.declines"),
            std::string::npos);
  EXPECT_NE(parse_scenario("[workload]\norders = 1.5\n").error().find("workload.orders"),
            std::string::npos);
  EXPECT_FALSE(parse_scenario("[workload]\nrate = 0\n").has_value());
}

}  // namespace
}  // namespace penstock::simulation

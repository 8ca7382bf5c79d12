#include "api/fair_jobs.h"

#include <cstdint>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace penstock::api {
namespace {

JobShare share(std::string owner, std::uint32_t line = 0) {
  std::string address = "of " + owner;
  return {.owner = std::move(owner), .address = std::move(address), .line = line};
}

/// Starts and ends jobs until none is left.
std::vector<std::string> run_all(FairJobs<std::string>& jobs) {
  std::vector<std::string> order;
  while (auto started = jobs.start()) {
    order.push_back(started->job);
    jobs.finish(started->owner);
  }
  return order;
}

TEST(FairJobs, OwnersTakeTurnsWhateverTheyHaveQueued) {
  FairJobs<std::string> jobs({});
  for (const char* job : {"a1", "a2", "a3", "a4"}) EXPECT_TRUE(jobs.push(share("a"), job));
  EXPECT_TRUE(jobs.push(share("b"), "b1"));
  EXPECT_TRUE(jobs.push(share("c"), "c1"));
  EXPECT_TRUE(jobs.push(share("b"), "b2"));
  EXPECT_EQ(jobs.waiting(), 7U);
  EXPECT_EQ(run_all(jobs), (std::vector<std::string>{"a1", "b1", "c1", "a2", "b2", "a3", "a4"}));
  EXPECT_EQ(jobs.waiting(), 0U);
}

TEST(FairJobs, TheLinesOfAnOwnerTakeTurnsToo) {
  FairJobs<std::string> jobs({});
  for (const char* job : {"list1", "list2", "list3"}) {
    EXPECT_TRUE(jobs.push(share("a", 1), job));
  }
  for (const char* job : {"one1", "one2"}) EXPECT_TRUE(jobs.push(share("a"), job));
  EXPECT_EQ(run_all(jobs), (std::vector<std::string>{"list1", "one1", "list2", "one2", "list3"}));
}

TEST(FairJobs, AnOwnerRunsAsManyAsItMayAndTheOthersGoOn) {
  FairJobs<std::string> jobs({.running_of_owner = 2});
  for (const char* job : {"a1", "a2", "a3"}) EXPECT_TRUE(jobs.push(share("a"), job));
  EXPECT_EQ(jobs.start()->job, "a1");
  EXPECT_EQ(jobs.start()->job, "a2");
  EXPECT_FALSE(jobs.has_next());
  EXPECT_EQ(jobs.start(), std::nullopt);
  EXPECT_TRUE(jobs.push(share("b"), "b1"));
  EXPECT_EQ(jobs.start()->job, "b1");
  jobs.finish("a");
  EXPECT_EQ(jobs.start()->job, "a3");
}

TEST(FairJobs, EachBoundRefusesAndLeavesTheJobToItsOwner) {
  const FairJobsBounds bounds{.waiting = 4, .waiting_of_owner = 2, .waiting_of_address = 3};
  FairJobs<std::string> jobs(bounds);
  const auto push = [&](std::string owner, std::string address) {
    std::string job = "job";
    const bool taken =
        jobs.push({.owner = std::move(owner), .address = std::move(address)}, std::move(job));
    EXPECT_EQ(job.empty(), taken);
    return taken;
  };
  EXPECT_TRUE(push("a", "x"));
  EXPECT_TRUE(push("a", "x"));
  EXPECT_FALSE(push("a", "y")) << "the owner has two";
  EXPECT_TRUE(push("b", "x"));
  EXPECT_FALSE(push("c", "x")) << "the address has three";
  EXPECT_TRUE(push("c", "y"));
  EXPECT_FALSE(push("d", "z")) << "four wait";
  jobs.push_promised({.owner = "d", .address = "z"}, "promised");
  EXPECT_EQ(jobs.waiting(), 5U);
  EXPECT_EQ(run_all(jobs).size(), 5U);
  EXPECT_TRUE(push("a", "x")) << "what ran makes room";
}

TEST(FairJobs, WhoHasNoJobTakesNoMemory) {
  FairJobs<std::string> jobs({});
  for (int name = 0; name < 100; ++name) {
    EXPECT_TRUE(jobs.push(share(std::to_string(name)), "job"));
  }
  EXPECT_EQ(jobs.owners_held(), 100U);
  run_all(jobs);
  EXPECT_EQ(jobs.owners_held(), 0U);
}

}  // namespace
}  // namespace penstock::api

#include <random>

#include "tests/contract/order_store_contract.h"

// The tenant's bucket, semantics 1: one atomic decision inside the accept.
namespace penstock::store_contract {
namespace {

using domain::Duration;
using domain::Take;
using ports::AcceptOutcome;

TEST_P(OrderStoreContract, ABucketAdmitsItsBurstAndNoMore) {
  options.default_contract = contract_of(10, 4);
  for (std::int64_t left = 3; left >= 0; --left) {
    const auto result = submit(accept_of(placed(order())));
    EXPECT_EQ(result.outcome, AcceptOutcome::accepted);
    EXPECT_EQ(result.take.outcome, Take::allowed);
    EXPECT_EQ(result.take.remaining, left);
    EXPECT_EQ(result.contract, options.default_contract.bucket);
  }
  EXPECT_EQ(submit(accept_of(placed(order()))).outcome, AcceptOutcome::denied);
}

TEST_P(OrderStoreContract, ABucketBindsInsideOneBatch) {
  options.default_contract = contract_of(10, 4);
  std::vector<ports::Command> commands;
  for (int number = 0; number < 10; ++number) commands.emplace_back(accept_of(placed(order())));
  int admitted = 0;
  for (const auto& result : apply(std::move(commands))) {
    admitted += std::get<ports::AcceptResult>(result).outcome == AcceptOutcome::accepted ? 1 : 0;
  }
  EXPECT_EQ(admitted, 4);
}

TEST_P(OrderStoreContract, ADenialTellsTheExactWait) {
  options.default_contract = contract_of(3, 1);
  ASSERT_EQ(submit(accept_of(placed(order()))).outcome, AcceptOutcome::accepted);
  pass(Duration::milliseconds(100));
  const auto denied = submit(accept_of(placed(order())));
  ASSERT_EQ(denied.outcome, AcceptOutcome::denied);
  EXPECT_EQ(denied.take.outcome, Take::denied);
  EXPECT_EQ(denied.take.remaining, 0);
  EXPECT_EQ(denied.take.wait, Duration{233'334});  // a third of a second, less 100 ms, rounded up
  EXPECT_EQ(denied.take.full_in, Duration{233'334});
  EXPECT_EQ(denied.contract, options.default_contract.bucket);
  pass(Duration{denied.take.wait.us - 1});
  EXPECT_EQ(submit(accept_of(placed(order()))).outcome, AcceptOutcome::denied);
  pass(Duration{1});
  EXPECT_EQ(submit(accept_of(placed(order()))).outcome, AcceptOutcome::accepted);
}

TEST_P(OrderStoreContract, DenialsWriteNothing) {
  options.default_contract = contract_of(1, 1);
  ASSERT_EQ(submit(accept_of(placed(order()))).outcome, AcceptOutcome::accepted);
  for (int knock = 0; knock < 9; ++knock) {
    pass(Duration::milliseconds(100));
    ASSERT_EQ(submit(accept_of(placed(order()))).outcome, AcceptOutcome::denied);
  }
  pass(Duration::milliseconds(100));
  EXPECT_EQ(submit(accept_of(placed(order()))).outcome, AcceptOutcome::accepted);
}

TEST_P(OrderStoreContract, APeekShowsTheBucketAndWritesNothing) {
  options.default_contract = contract_of(1, 3);
  for (int look = 0; look < 5; ++look) EXPECT_EQ(remaining(), 3);
  EXPECT_TRUE(reader().contracts({}, 10).value().empty());
  ASSERT_EQ(submit(accept_of(placed(order()))).outcome, AcceptOutcome::accepted);
  for (int look = 0; look < 5; ++look) {
    const auto result = apply_one<ports::AcceptResult>(ports::PeekBucket{tenant_named(kTenant)});
    EXPECT_EQ(result.take.remaining, 2);
    EXPECT_EQ(result.take.full_in, Duration::seconds(1));
    EXPECT_EQ(result.contract, options.default_contract.bucket);
    EXPECT_FALSE(result.order.has_value());
  }
  crash();
  EXPECT_EQ(remaining(), 2);
}

TEST_P(OrderStoreContract, TenantsDoNotShareABucket) {
  options.default_contract = contract_of(1, 1);
  EXPECT_EQ(submit(accept_of(placed(order().tenant("a")))).outcome, AcceptOutcome::accepted);
  EXPECT_EQ(submit(accept_of(placed(order().tenant("a")))).outcome, AcceptOutcome::denied);
  EXPECT_EQ(submit(accept_of(placed(order().tenant("b")))).outcome, AcceptOutcome::accepted);
}

TEST_P(OrderStoreContract, AnOrderRejectedForStockTakesItsToken) {
  options.default_contract = contract_of(1, 2);
  ASSERT_EQ(submit(reserving(order())).order.value().status, domain::Status::rejected);
  EXPECT_EQ(remaining(), 1);
}

TEST_P(OrderStoreContract, LaterStepsTakeNoToken) {
  options.default_contract = contract_of(1, 3);
  store_fulfilled(order());
  EXPECT_EQ(remaining(), 2);
}

TEST_P(OrderStoreContract, AChangedContractBindsAtOnceAndMintsNothing) {
  options.default_contract = contract_of(1, 2);
  ASSERT_EQ(submit(accept_of(placed(order()))).outcome, AcceptOutcome::accepted);
  ASSERT_EQ(submit(accept_of(placed(order()))).outcome, AcceptOutcome::accepted);
  put_contract(kTenant, contract_of(10, 100));
  EXPECT_EQ(remaining(), 0);
  const auto denied = submit(accept_of(placed(order())));
  EXPECT_EQ(denied.outcome, AcceptOutcome::denied);
  EXPECT_EQ(denied.take.wait, Duration::milliseconds(100));
  EXPECT_EQ(denied.contract, contract_of(10, 100).bucket);
  pass(Duration::seconds(1));
  EXPECT_EQ(remaining(), 10);
  put_contract(kTenant, contract_of(10, 4));
  EXPECT_EQ(remaining(), 4);
}

TEST_P(OrderStoreContract, AContractIsInForceForTheNextCommandOfItsBatch) {
  options.default_contract = contract_of(1, 5);
  const auto results =
      apply({ports::PutContract{.tenant = tenant_named(kTenant), .contract = contract_of(1, 1)},
             accept_of(placed(order())), accept_of(placed(order()))});
  EXPECT_EQ(std::get<ports::AcceptResult>(results[1]).outcome, AcceptOutcome::accepted);
  EXPECT_EQ(std::get<ports::AcceptResult>(results[2]).outcome, AcceptOutcome::denied);
}

TEST_P(OrderStoreContract, APartOfATokenIsKeptOverATake) {
  options.default_contract = contract_of(1, 2);
  options.default_contract.bucket.rate = {.micro_tokens = 1, .period_ns = 1'000'000};
  store_placed(order());
  pass({500});
  store_placed(order());
  pass({500});
  const auto denied = submit(accept_of(placed(order())));
  ASSERT_EQ(denied.outcome, AcceptOutcome::denied);
  EXPECT_EQ(denied.take.wait, Duration::milliseconds(999'999)) << "twice half a millisecond";
}

/// One who changes a part of a contract does not undo what another changed meanwhile.
TEST_P(OrderStoreContract, AContractIsReplacedOnlyWhereTheExpectedOneIsInForce) {
  const auto put = [&](const domain::Contract& contract, const domain::Contract& instead_of,
                       const std::string& tenant = kTenant) {
    return ports::PutContract{
        .tenant = tenant_named(tenant), .contract = contract, .instead_of = instead_of};
  };
  const auto outcome = [&](const ports::PutContract& command) {
    return apply_one<ports::PutOutcome>(command);
  };
  const auto in_force = [&] { return reader().contract(tenant_named(kTenant)).value(); };
  const domain::Contract none = options.default_contract;
  EXPECT_EQ(outcome(put(contract_of(1, 1), contract_of(9, 9))), ports::PutOutcome::stale);
  EXPECT_EQ(in_force(), none);
  domain::Contract full = contract_of(5, 6);
  full.guarantee = full.bucket.rate;
  full.weight = 3;
  full.webhook = domain::Webhook{.url = "https://a b.test/-", .secret = std::string("s\0 \xff", 4)};
  EXPECT_EQ(outcome(put(full, none)), ports::PutOutcome::stored) << "the default was in force";
  EXPECT_EQ(outcome(put(contract_of(1, 1), none)), ports::PutOutcome::stale);
  std::vector<domain::Contract> others(9, full);
  others[0].bucket.rate.micro_tokens += 1;
  others[1].bucket.rate.period_ns += 1;
  others[2].bucket.burst += 1;
  others[3].guarantee->micro_tokens -= 1;
  others[4].guarantee.reset();
  others[5].weight += 1;
  others[6].webhook->url += "-";
  others[7].webhook->secret += '0';
  others[8].webhook->disabled = true;
  for (const domain::Contract& other : others) {
    EXPECT_EQ(outcome(put(contract_of(1, 1), other)), ports::PutOutcome::stale);
  }
  full.webhook.reset();
  EXPECT_EQ(outcome(put(contract_of(1, 1), full)), ports::PutOutcome::stale);
  full = in_force();
  EXPECT_EQ(remaining(), 6) << "what is not stored does not bind either";
  crash();
  domain::Contract disabled = full;
  disabled.webhook->disabled = true;
  EXPECT_EQ(outcome(put(disabled, full)), ports::PutOutcome::stored);
  EXPECT_EQ(outcome(put(disabled, full)), ports::PutOutcome::stale) << "it landed already";
  EXPECT_EQ(outcome(put(contract_of(2, 2), disabled)), ports::PutOutcome::stored);
  EXPECT_EQ(in_force(), contract_of(2, 2));
}

TEST_P(OrderStoreContract, AnExpectedContractIsThatOfTheCommandBeforeInItsBatch) {
  const auto put = [&](int rate, std::optional<int> instead_of, const char* tenant) {
    ports::PutContract command{.tenant = tenant_named(tenant), .contract = contract_of(rate, 1)};
    if (instead_of) command.instead_of = contract_of(*instead_of, 1);
    return command;
  };
  store_placed(order().tenant("known"));  // without a contract of its own
  auto of_known = put(7, std::nullopt, "known");
  of_known.instead_of = options.default_contract;
  const auto results = apply({put(1, std::nullopt, kTenant), put(2, 1, kTenant), put(3, 1, kTenant),
                              put(4, std::nullopt, "other"), put(5, 3, "another"), of_known});
  using enum ports::PutOutcome;
  std::vector<ports::PutOutcome> outcomes;
  for (const auto& result : results) outcomes.push_back(std::get<ports::PutOutcome>(result));
  EXPECT_EQ(outcomes, (std::vector{stored, stored, stale, stored, stale, stored}));
  EXPECT_EQ(reader().contract(tenant_named(kTenant)).value(), contract_of(2, 1));
  EXPECT_EQ(reader().contract(tenant_named("another")).value(), options.default_contract);
  EXPECT_EQ(reader().contract(tenant_named("known")).value(), contract_of(7, 1));
}

TEST_P(OrderStoreContract, AClockThatGoesBackOnlyDenies) {
  options.default_contract = contract_of(1, 1);
  ASSERT_EQ(submit(accept_of(placed(order()))).outcome, AcceptOutcome::accepted);
  now.monotonic.ns -= 900'000'000'000;
  EXPECT_EQ(submit(accept_of(placed(order()))).outcome, AcceptOutcome::denied);
  now.monotonic.ns += 900'000'000'000;
  EXPECT_EQ(submit(accept_of(placed(order()))).outcome, AcceptOutcome::denied);
  pass(Duration::seconds(1));
  EXPECT_EQ(submit(accept_of(placed(order()))).outcome, AcceptOutcome::accepted);
}

TEST_P(OrderStoreContract, ATimeThatWentBackIsNotCountedTwiceOverARestart) {
  options.default_contract = contract_of(1, 10);
  store_placed(order());
  pass(Duration::seconds(10));
  for (int number = 0; number < 9; ++number) store_placed(order());
  now.monotonic.ns -= 5'000'000'000;
  store_placed(order());
  now.monotonic.ns += 5'000'000'000;
  crash(Boot::same);
  EXPECT_EQ(remaining(), 0);
}

TEST_P(OrderStoreContract, ABucketCountsTheTimeOfARestartUnderTheSameBoot) {
  options.default_contract = contract_of(2, 10);
  for (int number = 0; number < 10; ++number) store_placed(order());
  ASSERT_EQ(remaining(), 0);
  pass(Duration{2'499'999});
  crash(Boot::same);
  EXPECT_EQ(remaining(), 4);
  pass(Duration{1});
  EXPECT_EQ(remaining(), 5);
}

TEST_P(OrderStoreContract, ABucketCountsNothingOverAnotherBoot) {
  options.default_contract = contract_of(2, 10);
  for (int number = 0; number < 9; ++number) store_placed(order());
  now.wall = now.wall + Duration::seconds(3'000);
  now.monotonic = {5'000'000'000};
  crash(Boot::another);
  EXPECT_EQ(remaining(), 1);
  pass(Duration::seconds(1));
  EXPECT_EQ(remaining(), 3);
}

TEST_P(OrderStoreContract, AHigherMonotonicTimeOfAnotherBootCountsNothing) {
  options.default_contract = contract_of(2, 10);
  for (int number = 0; number < 10; ++number) store_placed(order());
  // A start leaves nothing on the way to where the bucket's row is.
  crash(Boot::same);
  pass(Duration::seconds(3'000));
  close(Boot::another);
  EXPECT_EQ(remaining(), 0);
  // Nor at the start after that one, which is under the boot of now.
  crash(Boot::same);
  EXPECT_EQ(remaining(), 0);
}

TEST_P(OrderStoreContract, RestartsNeverMint) {
  options.default_contract = contract_of(1, 3);
  for (int number = 0; number < 3; ++number) store_placed(order());
  for (int again = 0; again < 20; ++again) {
    if (again % 2 == 0) {
      crash(again % 4 == 0 ? Boot::same : Boot::another);
    } else {
      close(Boot::same);
    }
    ASSERT_EQ(submit(accept_of(placed(order()))).outcome, AcceptOutcome::denied) << again;
  }
}

TEST_P(OrderStoreContract, TwoRestartsCountTheTimeBetweenOnce) {
  options.default_contract = contract_of(1, 100);
  for (int number = 0; number < 100; ++number) store_placed(order());
  pass(Duration::seconds(10));
  crash(Boot::same);
  pass(Duration::seconds(10));
  crash(Boot::same);
  EXPECT_EQ(remaining(), 20);
}

TEST_P(OrderStoreContract, TheTimeOfAQuietTenantCountsWhileOthersAreBusy) {
  options.default_contract = contract_of(1, 10);
  for (int number = 0; number < 10; ++number) store_placed(order().tenant("quiet"));
  pass(Duration::seconds(10));
  store_placed(order().tenant("busy"));
  crash(Boot::same);
  EXPECT_EQ(remaining("quiet"), 10);
}

TEST_P(OrderStoreContract, AChangedContractKeepsTheBucketOverARestart) {
  options.default_contract = contract_of(1, 2);
  store_placed(order());
  put_contract(kTenant, contract_of(5, 50));
  crash(Boot::same);
  EXPECT_EQ(remaining(), 1);
  pass(Duration::seconds(2));
  crash(Boot::same);
  EXPECT_EQ(remaining(), 11);
  pass(Duration::seconds(1));
  EXPECT_EQ(remaining(), 16);
}

/// Semantics 6.18: in every window, admitted <= burst + rate * time, over restarts too.
TEST_P(OrderStoreContract, EveryWindowAdmitsAtMostBurstPlusRateTimesTime) {
  constexpr std::int64_t kRate = 7;
  constexpr std::int64_t kBurst = 9;
  options.default_contract = contract_of(kRate, kBurst);
  std::mt19937_64 random(18);
  std::vector<std::int64_t> admitted_at_us;
  std::int64_t elapsed_us = 0;
  for (int step = 0; step < 600; ++step) {
    const std::int64_t span = static_cast<std::int64_t>(random() % 200'000);
    pass({span});
    elapsed_us += span;
    if (random() % 40 == 0) crash(random() % 3 == 0 ? Boot::another : Boot::same);
    if (submit(accept_of(placed(order()))).outcome == AcceptOutcome::accepted) {
      admitted_at_us.push_back(elapsed_us);
    }
  }
  for (std::size_t first = 0; first < admitted_at_us.size(); ++first) {
    for (std::size_t last = first; last < admitted_at_us.size(); ++last) {
      const std::int64_t window_us = admitted_at_us[last] - admitted_at_us[first];
      const auto admitted = static_cast<std::int64_t>(last - first + 1);
      ASSERT_LE(admitted * 1'000'000, kBurst * 1'000'000 + kRate * window_us)
          << first << " to " << last;
    }
  }
  // It was offered ten orders a second: most of what the rate allows is admitted.
  EXPECT_GT(admitted_at_us.size(), 350U);
}

}  // namespace
}  // namespace penstock::store_contract

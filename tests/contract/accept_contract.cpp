#include <gmock/gmock.h>

#include "tests/contract/order_store_contract.h"

// Accepting: idempotency first, then the depth bound, then the bucket, then stock, then the write.
namespace penstock::store_contract {
namespace {

using domain::Duration;
using domain::Order;
using domain::Status;
using ports::AcceptOutcome;

TEST_P(OrderStoreContract, AnAcceptedOrderIsFoundAsItWasStored) {
  const Order placed_order = placed(order());
  const auto result = submit(accept_of(placed_order));
  EXPECT_EQ(result.outcome, AcceptOutcome::accepted);
  EXPECT_EQ(result.order, placed_order);
  const auto stored = found(placed_order);
  EXPECT_EQ(stored.order, placed_order);
  EXPECT_EQ(stored.receipt, "");
  EXPECT_TRUE(stored.deliveries.empty());
}

TEST_P(OrderStoreContract, AnUnknownOrderIsNotFound) {
  EXPECT_FALSE(find(placed(order())).has_value());
}

TEST_P(OrderStoreContract, AnOrderIsAcceptedAndReservedInOneCommit) {
  set_stock(5);
  const auto result = submit(reserving(order().item(kProduct, 2)));
  ASSERT_EQ(result.outcome, AcceptOutcome::accepted);
  EXPECT_EQ(result.order.value().status, Status::reserved);
  EXPECT_EQ(result.order->version.number, 2U);
  EXPECT_EQ(found(*result.order).order, *result.order);
  EXPECT_EQ(find_stock(), (domain::Stock{.received = 5, .reserved = 2, .sold = 0}));
}

TEST_P(OrderStoreContract, EveryFieldOfAnOrderComesBackAsItWas) {
  const std::string long_text(500, 'x');
  auto builder = order()
                     .tenant("T.:_-9")
                     .customer(std::string(128, 'c'))
                     .currency("KWD")
                     .payment_method("pm_" + std::string(125, 'm'))
                     .correlation(std::string(128, 'k'))
                     .traceparent("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
                     .metadata("empty", "")
                     .metadata("gift \"note\"", "gr\xc3\xbc\xc3\x9f dich\n")
                     .metadata("long", long_text);
  for (int line = 0; line < 100; ++line) {
    builder.item("P" + std::to_string(line), line == 0 ? 1'000'000 : line, line == 0 ? 0 : 7);
  }
  const Order stored = store_reserved(builder);
  EXPECT_EQ(found(stored).order, stored);
  EXPECT_EQ(stored.items.size(), 100U);
  EXPECT_EQ(stored.metadata.size(), 3U);
  EXPECT_EQ(stored.total.currency.code(), "KWD");
}

TEST_P(OrderStoreContract, AReplayComesBeforeTheBucketAndTakesNoToken) {
  options.default_contract = contract_of(1, 1);
  const auto first = submit(accept_of(placed(order()), "key"));
  ASSERT_EQ(first.outcome, AcceptOutcome::accepted);
  ASSERT_EQ(submit(accept_of(placed(order()), "other")).outcome, AcceptOutcome::denied);
  for (int again = 0; again < 5; ++again) {
    const auto replay = submit(accept_of(placed(order()), "key"));
    EXPECT_EQ(replay.outcome, AcceptOutcome::replayed);
    EXPECT_EQ(replay.order, first.order);
  }
  pass(Duration::seconds(1));
  EXPECT_EQ(submit(accept_of(placed(order()), "other")).outcome, AcceptOutcome::accepted);
  EXPECT_EQ(store().depth().active, 2U);
}

TEST_P(OrderStoreContract, AReplayWritesNoOrderAndHoldsNoStock) {
  set_stock(10);
  ASSERT_EQ(submit(reserving(order(), "key")).outcome, AcceptOutcome::accepted);
  const auto again = reserving(order(), "key");
  const Order second = again.commit.next;
  ASSERT_EQ(submit(again).outcome, AcceptOutcome::replayed);
  EXPECT_FALSE(find(second).has_value());
  EXPECT_EQ(find_stock()->reserved, 1);
}

TEST_P(OrderStoreContract, AReplayShowsTheOrderAsItIsNow) {
  set_stock(10);
  const Order reserved = submit(reserving(order(), "key")).order.value();
  const Order charged = commit_step(reserved, steps::capture(reserved, now.wall));
  EXPECT_EQ(submit(reserving(order(), "key")).order, charged);
  const Order fulfilled = commit_step(charged, steps::next(charged, now.wall));
  EXPECT_EQ(submit(reserving(order(), "key")).order, fulfilled);
}

TEST_P(OrderStoreContract, ARejectedOrderIsReplayedToo) {
  const Order rejected = submit(reserving(order(), "key")).order.value();
  ASSERT_EQ(rejected.status, Status::rejected);
  set_stock(10);
  const auto replay = submit(reserving(order(), "key"));
  EXPECT_EQ(replay.outcome, AcceptOutcome::replayed);
  EXPECT_EQ(replay.order, rejected);
  EXPECT_EQ(find_stock()->reserved, 0);
}

TEST_P(OrderStoreContract, AKeyWithAnotherFingerprintIsRefusedAndChangesNothing) {
  options.default_contract = contract_of(1, 2);
  set_stock(10);
  const Order first = submit(reserving(order(), "key", 1)).order.value();
  const auto other = reserving(order(), "key", 2);
  const Order second = other.commit.next;
  EXPECT_EQ(submit(other).outcome, AcceptOutcome::key_reused);
  EXPECT_FALSE(find(second).has_value());
  EXPECT_EQ(find_stock()->reserved, 1);
  EXPECT_EQ(remaining(), 1);
  const auto replay = submit(reserving(order(), "key", 1));
  EXPECT_EQ(replay.outcome, AcceptOutcome::replayed);
  EXPECT_EQ(replay.order, first);
}

TEST_P(OrderStoreContract, OneByteOfTheFingerprintMakesAnotherRequest) {
  auto first = accept_of(placed(order()), "key");
  auto second = accept_of(placed(order()), "key");
  second.idempotency->fingerprint = first.idempotency->fingerprint;
  second.idempotency->fingerprint.back() = 0x80;
  ASSERT_EQ(submit(std::move(first)).outcome, AcceptOutcome::accepted);
  EXPECT_EQ(submit(std::move(second)).outcome, AcceptOutcome::key_reused);
}

TEST_P(OrderStoreContract, KeysArePerTenant) {
  ASSERT_EQ(submit(accept_of(placed(order().tenant("a")), "key", 1)).outcome,
            AcceptOutcome::accepted);
  EXPECT_EQ(submit(accept_of(placed(order().tenant("b")), "key", 2)).outcome,
            AcceptOutcome::accepted);
  // Where tenant and key are joined without a border, these two are the same.
  ASSERT_EQ(submit(accept_of(placed(order().tenant("ab")), "c", 1)).outcome,
            AcceptOutcome::accepted);
  EXPECT_EQ(submit(accept_of(placed(order().tenant("a")), "bc", 2)).outcome,
            AcceptOutcome::accepted);
}

TEST_P(OrderStoreContract, KeysAreComparedWhole) {
  const std::string long_key(255, 'k');
  ASSERT_EQ(submit(accept_of(placed(order()), long_key, 1)).outcome, AcceptOutcome::accepted);
  EXPECT_EQ(submit(accept_of(placed(order()), long_key.substr(1), 2)).outcome,
            AcceptOutcome::accepted);
  EXPECT_EQ(submit(accept_of(placed(order()), "KEY", 1)).outcome, AcceptOutcome::accepted);
  EXPECT_EQ(submit(accept_of(placed(order()), "key", 2)).outcome, AcceptOutcome::accepted);
}

TEST_P(OrderStoreContract, WithoutAKeyNothingIsDeduplicated) {
  EXPECT_EQ(submit(accept_of(placed(order()))).outcome, AcceptOutcome::accepted);
  EXPECT_EQ(submit(accept_of(placed(order()))).outcome, AcceptOutcome::accepted);
  EXPECT_EQ(store().depth().active, 2U);
}

TEST_P(OrderStoreContract, AKeyLivesUntilItExpiresAndIsAbsentFromThatInstantOn) {
  options.idempotency_retention = Duration::seconds(600);
  ASSERT_EQ(submit(accept_of(placed(order()), "key", 1)).outcome, AcceptOutcome::accepted);
  pass(Duration{Duration::seconds(600).us - 1});
  EXPECT_EQ(submit(accept_of(placed(order()), "key", 1)).outcome, AcceptOutcome::replayed);
  EXPECT_EQ(submit(accept_of(placed(order()), "key", 2)).outcome, AcceptOutcome::key_reused);
  pass(Duration{1});
  const auto next = submit(accept_of(placed(order()), "key", 2));
  EXPECT_EQ(next.outcome, AcceptOutcome::accepted);
  // The new owner has the key for a whole retention again.
  pass(Duration{Duration::seconds(600).us - 1});
  const auto replay = submit(accept_of(placed(order()), "key", 2));
  EXPECT_EQ(replay.outcome, AcceptOutcome::replayed);
  EXPECT_EQ(replay.order, next.order);
}

TEST_P(OrderStoreContract, TheSameKeyTwiceInOneBatchGivesOneOrder) {
  set_stock(10);
  const auto first = reserving(order(), "key", 1);
  const auto second = reserving(order(), "key", 1);
  const auto third = reserving(order(), "key", 2);
  const auto elsewhere = reserving(order().tenant("globex"), "key", 2);
  const Order twin = second.commit.next;
  const auto results = apply({first, second, third, elsewhere});
  EXPECT_EQ(std::get<ports::AcceptResult>(results[0]).outcome, AcceptOutcome::accepted);
  EXPECT_EQ(std::get<ports::AcceptResult>(results[1]).outcome, AcceptOutcome::replayed);
  EXPECT_EQ(std::get<ports::AcceptResult>(results[1]).order,
            std::get<ports::AcceptResult>(results[0]).order);
  EXPECT_EQ(std::get<ports::AcceptResult>(results[2]).outcome, AcceptOutcome::key_reused);
  EXPECT_EQ(std::get<ports::AcceptResult>(results[3]).outcome, AcceptOutcome::accepted);
  EXPECT_FALSE(find(twin).has_value());
  EXPECT_EQ(find_stock()->reserved, 1);
}

TEST_P(OrderStoreContract, ADeniedRequestConsumesNeitherItsKeyNorStock) {
  options.default_contract = contract_of(1, 1);
  set_stock(10);
  ASSERT_EQ(submit(reserving(order())).outcome, AcceptOutcome::accepted);
  const auto denied = reserving(order(), "key", 1);
  const Order denied_order = denied.commit.next;
  ASSERT_EQ(submit(denied).outcome, AcceptOutcome::denied);
  EXPECT_FALSE(find(denied_order).has_value());
  EXPECT_EQ(find_stock()->reserved, 1);
  EXPECT_EQ(store().depth().active, 1U);
  pass(Duration::seconds(1));
  EXPECT_EQ(submit(reserving(order(), "key", 2)).outcome, AcceptOutcome::accepted);
}

TEST_P(OrderStoreContract, AFullStoreConsumesNeitherTokenNorKeyNorStock) {
  options.max_active = 1;
  options.default_contract = contract_of(1, 5);
  set_stock(10);
  const Order first = submit(reserving(order(), "first")).order.value();
  const auto refused = reserving(order(), "key", 1);
  const Order refused_order = refused.commit.next;
  EXPECT_EQ(submit(refused).outcome, AcceptOutcome::full);
  EXPECT_FALSE(find(refused_order).has_value());
  EXPECT_EQ(remaining(), 4);
  EXPECT_EQ(find_stock()->reserved, 1);
  // What is stored already is still answered.
  EXPECT_EQ(submit(reserving(order(), "first")).outcome, AcceptOutcome::replayed);
  const Order declined = commit_step(first, steps::decline(first, now.wall));
  EXPECT_EQ(submit(reserving(order(), "key", 1)).outcome, AcceptOutcome::full);
  commit_step(declined, steps::next(declined, now.wall));
  EXPECT_EQ(submit(reserving(order(), "key", 2)).outcome, AcceptOutcome::accepted);
}

TEST_P(OrderStoreContract, TheDepthBoundHoldsInsideOneBatch) {
  options.max_active = 3;
  std::vector<ports::Command> commands;
  for (const char* tenant : {"a", "b", "c", "d", "e"}) {
    put_contract(tenant, options.default_contract);
    commands.emplace_back(accept_of(placed(order().tenant(tenant))));
  }
  const auto results = apply(std::move(commands));
  for (std::size_t index = 0; index < results.size(); ++index) {
    EXPECT_EQ(std::get<ports::AcceptResult>(results[index]).outcome,
              index < 3 ? AcceptOutcome::accepted : AcceptOutcome::full);
  }
  EXPECT_EQ(store().depth().active, 3U);
}

TEST_P(OrderStoreContract, ATenantAtItsShareOfTheDepthIsRefusedAndOthersAreNot) {
  options.max_active = 45;
  put_contract("greedy", options.default_contract);
  put_contract("good", options.default_contract);
  const auto accept = [this](const char* tenant) {
    return submit(accept_of(placed(order().tenant(tenant)))).outcome;
  };
  std::vector<Order> of_greedy;
  for (int number = 0; number < 60; ++number) {
    const Order next = placed(order().tenant("greedy"));
    if (submit(accept_of(next)).outcome == AcceptOutcome::accepted) of_greedy.push_back(next);
  }
  // 1/9 of the room stays free of one party alone.
  EXPECT_EQ(of_greedy.size(), 40U);
  EXPECT_EQ(accept("good"), AcceptOutcome::accepted);
  EXPECT_EQ(accept("greedy"), AcceptOutcome::full);
  crash();
  EXPECT_EQ(accept("greedy"), AcceptOutcome::full);
  EXPECT_EQ(accept("good"), AcceptOutcome::accepted);
  for (std::size_t number = 0; number < 30; ++number) {
    commit_step(of_greedy[number], steps::cancel(of_greedy[number], now.wall));
  }
  EXPECT_EQ(accept("greedy"), AcceptOutcome::accepted);
}

TEST_P(OrderStoreContract, NamesWithoutAContractShareOnePartOfTheDepth) {
  options.max_active = 45;
  put_contract("good", options.default_contract);
  int accepted = 0;
  for (int name = 0; name < 60; ++name) {
    const auto next = accept_of(placed(order().tenant("name-" + std::to_string(name))));
    if (submit(next).outcome == AcceptOutcome::accepted) ++accepted;
  }
  EXPECT_EQ(accepted, 40);
  EXPECT_EQ(submit(accept_of(placed(order().tenant("good")))).outcome, AcceptOutcome::accepted);
  crash();
  EXPECT_EQ(submit(accept_of(placed(order().tenant("name-99")))).outcome, AcceptOutcome::full);
  EXPECT_EQ(submit(accept_of(placed(order().tenant("good")))).outcome, AcceptOutcome::accepted);
}

TEST_P(OrderStoreContract, AnOrderThatIsRejectedAtOnceTakesNoRoom) {
  options.max_active = 1;
  EXPECT_EQ(submit(reserving(order())).order.value().status, Status::rejected);
  EXPECT_EQ(submit(reserving(order())).order.value().status, Status::rejected);
  EXPECT_EQ(store().depth().active, 0U);
  EXPECT_EQ(submit(accept_of(placed(order()))).outcome, AcceptOutcome::accepted);
}

TEST_P(OrderStoreContract, ABatchOfNothingSucceeds) {
  EXPECT_TRUE(apply({}).empty());
}

TEST_P(OrderStoreContract, ALargestBatchIsOneCommit) {
  std::vector<ports::Command> commands;
  for (std::size_t number = 0; number < domain::limits::kMaxBatch; ++number) {
    commands.emplace_back(accept_of(placed(order()), "key-" + std::to_string(number)));
  }
  for (const auto& result : apply(std::move(commands))) {
    ASSERT_EQ(std::get<ports::AcceptResult>(result).outcome, AcceptOutcome::accepted);
  }
  EXPECT_EQ(store().depth().active, domain::limits::kMaxBatch);
}

TEST_P(OrderStoreContract, AfterAFailedSyncTheStoreStopsForGood) {
  const Order before = store_placed(order());
  const Order lost = placed(order());
  if (!under_test().fail_next_sync()) GTEST_SKIP() << "this store has no failing disk";
  std::vector<ports::Command> commands;
  commands.emplace_back(accept_of(lost));
  EXPECT_EQ(store().apply(commands, now).error(), ports::StoreError::stopped);
  std::vector<ports::Command> more;
  more.emplace_back(accept_of(placed(order())));
  EXPECT_EQ(store().apply(more, now).error(), ports::StoreError::stopped);
  EXPECT_FALSE(store().claim(domain::Stage::inventory, 10, now).has_value());
  EXPECT_FALSE(store().mark({}).has_value());
  EXPECT_FALSE(store().settled().has_value());
  crash();
  EXPECT_EQ(found(before).order, before);
  EXPECT_FALSE(find(lost).has_value());
}

}  // namespace
}  // namespace penstock::store_contract

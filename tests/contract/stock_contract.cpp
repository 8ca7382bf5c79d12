#include "tests/contract/order_store_contract.h"

// Stock, semantics 6.12 to 6.14: all items or none, no oversell, everything adds up.
namespace penstock::store_contract {
namespace {

using domain::Order;
using domain::Reason;
using domain::Status;
using domain::Stock;
using domain::StockError;

ports::SetStock set_to(std::int64_t on_hand, const char* product = kProduct) {
  return {.tenant = tenant_named(kTenant), .product = product_named(product), .on_hand = on_hand};
}

ports::Restock add(std::int64_t quantity, const char* product = kProduct) {
  return {.tenant = tenant_named(kTenant), .product = product_named(product), .quantity = quantity};
}

TEST_P(OrderStoreContract, AProductWithoutStockIsNothing) {
  EXPECT_FALSE(find_stock().has_value());
}

TEST_P(OrderStoreContract, SetAndRestockAnswerTheStockAfterThem) {
  EXPECT_EQ(apply_one<ports::StockResult>(set_to(10)).stock, (Stock{.received = 10}));
  EXPECT_EQ(apply_one<ports::StockResult>(add(5)).stock, (Stock{.received = 15}));
  EXPECT_EQ(apply_one<ports::StockResult>(set_to(7)).stock, (Stock{.received = 7}));
  EXPECT_EQ(find_stock(), (Stock{.received = 7}));
}

TEST_P(OrderStoreContract, ARestockIsEnoughForAProductToExist) {
  EXPECT_EQ(apply_one<ports::StockResult>(add(3)).stock, (Stock{.received = 3}));
  EXPECT_EQ(submit(reserving(order().item(kProduct, 3))).order.value().status, Status::reserved);
}

TEST_P(OrderStoreContract, StockOutsideItsLimitsIsRefusedAndChangesNothing) {
  set_stock(5);
  const auto too_large = std::unexpected(StockError::too_large);
  EXPECT_EQ(apply_one<ports::StockResult>(set_to(-1)).stock, too_large);
  EXPECT_EQ(apply_one<ports::StockResult>(set_to(domain::limits::kMaxStock + 1)).stock, too_large);
  EXPECT_EQ(apply_one<ports::StockResult>(add(-1)).stock, too_large);
  EXPECT_EQ(apply_one<ports::StockResult>(add(domain::limits::kMaxStock)).stock, too_large);
  EXPECT_EQ(find_stock(), (Stock{.received = 5}));
  EXPECT_EQ(apply_one<ports::StockResult>(set_to(-1, "NEW")).stock, too_large);
  EXPECT_FALSE(find_stock("NEW").has_value());
  EXPECT_EQ(submit(reserving(order().item("NEW"))).order.value().reason, Reason::unknown_product);
}

TEST_P(OrderStoreContract, StockIsPerTenantAndProduct) {
  set_stock(1, "P", "a");
  set_stock(2, "P", "b");
  set_stock(3, "bP", "a");
  set_stock(4, "P", "ab");
  EXPECT_EQ(find_stock("P", "a")->received, 1);
  EXPECT_EQ(find_stock("P", "b")->received, 2);
  EXPECT_EQ(find_stock("bP", "a")->received, 3);
  EXPECT_EQ(find_stock("P", "ab")->received, 4);
  EXPECT_EQ(submit(reserving(order().tenant("a").item("P", 2))).order.value().status,
            Status::rejected);
}

TEST_P(OrderStoreContract, ManyOrdersOfOneBatchNeverOversell) {
  set_stock(10);
  std::vector<ports::Command> commands;
  for (int number = 0; number < 8; ++number) {
    commands.emplace_back(reserving(order().item(kProduct, 3)));
  }
  commands.emplace_back(reserving(order().item(kProduct, 1)));
  std::size_t reserved = 0;
  for (const auto& result : apply(std::move(commands))) {
    const Order stored = std::get<ports::AcceptResult>(result).order.value();
    reserved += stored.status == Status::reserved ? 1 : 0;
  }
  EXPECT_EQ(reserved, 4U);  // three of three pieces, and the last piece
  EXPECT_EQ(find_stock(), (Stock{.received = 10, .reserved = 10}));
}

TEST_P(OrderStoreContract, LinesOfTheSameProductAddUp) {
  set_stock(3);
  const Order rejected =
      submit(reserving(order().item(kProduct, 2).item(kProduct, 2))).order.value();
  EXPECT_EQ(rejected.status, Status::rejected);
  EXPECT_EQ(find_stock(), (Stock{.received = 3}));
  const Order reserved =
      submit(reserving(order().item(kProduct, 2).item(kProduct, 1))).order.value();
  EXPECT_EQ(reserved.status, Status::reserved);
  EXPECT_EQ(find_stock(), (Stock{.received = 3, .reserved = 3}));
  const Order charged = commit_step(reserved, steps::capture(reserved, now.wall));
  commit_step(charged, steps::next(charged, now.wall));
  EXPECT_EQ(find_stock(), (Stock{.received = 3, .reserved = 0, .sold = 3}));
}

TEST_P(OrderStoreContract, AnOrderHoldsAllItsItemsOrNone) {
  set_stock(10, "A");
  set_stock(1, "B");
  set_stock(10, "C");
  const Order rejected =
      submit(reserving(order().item("A", 2).item("B", 2).item("C", 2))).order.value();
  EXPECT_EQ(rejected.status, Status::rejected);
  EXPECT_FALSE(rejected.holds_stock);
  EXPECT_EQ(find_stock("A"), (Stock{.received = 10}));
  EXPECT_EQ(find_stock("B"), (Stock{.received = 1}));
  EXPECT_EQ(find_stock("C"), (Stock{.received = 10}));
}

TEST_P(OrderStoreContract, ARejectionIsTheReservationsAlternative) {
  set_stock(1);
  const auto accept = reserving(order().item(kProduct, 2));
  const Order expected = domain::reject_instead(accept.commit.next, Reason::insufficient_stock);
  const auto result = submit(accept);
  EXPECT_EQ(result.outcome, ports::AcceptOutcome::accepted);
  EXPECT_EQ(result.order, expected);
  EXPECT_EQ(found(expected).order, expected);
  EXPECT_EQ(expected.version.number, 2U);
}

TEST_P(OrderStoreContract, ARejectionTellsUnknownProductsFromShortOnes) {
  set_stock(0, "EMPTY");
  set_stock(1, "ONE");
  const auto reason_of = [this](const OrderBuilder& builder) {
    return submit(reserving(builder)).order.value().reason;
  };
  EXPECT_EQ(reason_of(order().item("NEVER")), Reason::unknown_product);
  EXPECT_EQ(reason_of(order().item("EMPTY")), Reason::insufficient_stock);
  EXPECT_EQ(reason_of(order().item("ONE", 2)), Reason::insufficient_stock);
  EXPECT_EQ(reason_of(order().item("ONE").item("NEVER")), Reason::unknown_product);
  EXPECT_EQ(reason_of(order().item("EMPTY").item("NEVER")), Reason::unknown_product);
  EXPECT_FALSE(find_stock("NEVER").has_value());
}

TEST_P(OrderStoreContract, AReservationOfAClaimedOrderMayBeShort) {
  set_stock(1);
  store_placed(order());
  store_placed(order());
  const auto claimed = claim_orders(domain::Stage::inventory);
  ASSERT_EQ(claimed.size(), 2U);
  const auto results = apply({commit_of(claimed[0], steps::next(claimed[0], now.wall)),
                              commit_of(claimed[1], steps::next(claimed[1], now.wall))});
  EXPECT_EQ(std::get<ports::CommitResult>(results[0]).outcome, ports::CommitOutcome::committed);
  const auto& shortage = std::get<ports::CommitResult>(results[1]);
  EXPECT_EQ(shortage.outcome, ports::CommitOutcome::short_of_stock);
  ASSERT_TRUE(shortage.current.has_value());
  EXPECT_EQ(shortage.current->status, Status::rejected);
  EXPECT_EQ(shortage.current->reason, Reason::insufficient_stock);
  EXPECT_EQ(found(claimed[1]).order, *shortage.current);
  EXPECT_EQ(find_stock(), (Stock{.received = 1, .reserved = 1}));
  EXPECT_EQ(store().depth().active, 1U);
}

TEST_P(OrderStoreContract, ACancelledReservationGivesItsStockBack) {
  set_stock(5);
  const Order reserved = store_reserved(order().item(kProduct, 4));
  EXPECT_EQ(find_stock(), (Stock{.received = 5, .reserved = 4}));
  commit_step(reserved, steps::cancel(reserved, now.wall));
  EXPECT_EQ(find_stock(), (Stock{.received = 5}));
}

TEST_P(OrderStoreContract, AFulfilledOrderSellsWhatItHeld) {
  set_stock(5);
  store_fulfilled(order().item(kProduct, 4));
  EXPECT_EQ(find_stock(), (Stock{.received = 5, .reserved = 0, .sold = 4}));
  EXPECT_EQ(find_stock()->on_hand(), 1);
}

TEST_P(OrderStoreContract, WhatWasReleasedCanBeReservedByTheNextCommandOfTheBatch) {
  set_stock(1);
  const Order first = store_reserved(order());
  const auto results = apply(
      {reserving(order()), commit_of(first, steps::decline(first, now.wall)), reserving(order())});
  EXPECT_EQ(std::get<ports::AcceptResult>(results[0]).order.value().status, Status::rejected);
  EXPECT_EQ(std::get<ports::AcceptResult>(results[2]).order.value().status, Status::reserved);
  EXPECT_EQ(find_stock(), (Stock{.received = 1, .reserved = 1}));
}

TEST_P(OrderStoreContract, SettingStockLeavesWhatIsHeldAndSold) {
  set_stock(10);
  store_fulfilled(order().item(kProduct, 2));
  store_reserved(order().item(kProduct, 3));
  EXPECT_EQ(set_stock(1), (Stock{.received = 6, .reserved = 3, .sold = 2}));
  EXPECT_EQ(submit(reserving(order().item(kProduct, 2))).order.value().status, Status::rejected);
  EXPECT_EQ(submit(reserving(order().item(kProduct, 1))).order.value().status, Status::reserved);
}

TEST_P(OrderStoreContract, StockIsExactAfterACrash) {
  set_stock(10);
  set_stock(8, "OTHER");
  store_fulfilled(order().item(kProduct, 1));
  store_charged(order().item(kProduct, 2));
  store_reserved(order().item(kProduct, 1).item("OTHER", 2).item(kProduct, 2));
  store_owing(order().item(kProduct, 4));
  store_dead_letter(order().item("OTHER", 3));
  const Stock main{.received = 10, .reserved = 5, .sold = 1};
  const Stock other{.received = 8, .reserved = 5, .sold = 0};
  ASSERT_EQ(find_stock(), main);
  ASSERT_EQ(find_stock("OTHER"), other);
  crash();
  EXPECT_EQ(find_stock(), main);
  EXPECT_EQ(find_stock("OTHER"), other);
  close();
  EXPECT_EQ(find_stock(), main);
  EXPECT_EQ(submit(reserving(order().item("OTHER", 4))).order.value().status, Status::rejected);
  EXPECT_EQ(submit(reserving(order().item("OTHER", 3))).order.value().status, Status::reserved);
}

}  // namespace
}  // namespace penstock::store_contract

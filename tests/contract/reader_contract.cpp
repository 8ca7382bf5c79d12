#include <algorithm>
#include <atomic>
#include <set>
#include <thread>

#include <gmock/gmock.h>

#include "tests/contract/order_store_contract.h"

// The reader: pages without doubles or gaps, filters, lists for operators, contracts.
namespace penstock::store_contract {
namespace {

using domain::DeadLetterState;
using domain::Duration;
using domain::Order;
using domain::OrderId;
using domain::Reason;
using domain::Stage;
using domain::Status;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr int kMaxPages = 1'000;

/// All pages of a query; a page may be short, but never longer than asked for.
std::vector<Order> walk(const ports::OrderReader& reader, ports::OrderQuery query) {
  std::vector<Order> all;
  for (int page_number = 0; page_number < kMaxPages; ++page_number) {
    const auto page = reader.list(query).value();
    EXPECT_LE(page.orders.size(), query.limit);
    all.insert(all.end(), page.orders.begin(), page.orders.end());
    if (!page.next) return all;
    query.before = page.next;
  }
  ADD_FAILURE() << "the pages never end";
  return all;
}

std::vector<Order> walk_dead_letters(const ports::OrderReader& reader,
                                     ports::DeadLetterQuery query) {
  std::vector<Order> all;
  for (int page_number = 0; page_number < kMaxPages; ++page_number) {
    const auto page = reader.dead_letters(query).value();
    EXPECT_LE(page.orders.size(), query.limit);
    all.insert(all.end(), page.orders.begin(), page.orders.end());
    if (!page.next) return all;
    query.after = page.next;
  }
  ADD_FAILURE() << "the pages never end";
  return all;
}

std::vector<Order> newest_first(std::vector<Order> orders) {
  std::ranges::sort(orders, [](const Order& a, const Order& b) { return a.id > b.id; });
  return orders;
}

template <typename Predicate>
std::vector<OrderId> ids_where(const std::vector<Order>& orders, Predicate keep) {
  std::vector<OrderId> ids;
  for (const Order& order : orders) {
    if (keep(order)) ids.push_back(order.id);
  }
  return ids;
}

TEST_P(OrderStoreContract, PagesHaveNeitherDoublesNorGapsWhateverTheirSize) {
  const std::vector<Order> orders = store_history();
  for (const std::size_t limit : {1U, 2U, 5U, 7U, 71U, 72U, 73U, 500U}) {
    EXPECT_EQ(ids_of(walk(reader(), {.limit = limit})), ids_of(orders)) << "limit " << limit;
  }
  crash();
  EXPECT_EQ(walk(reader(), {.limit = 10}), orders);
}

TEST_P(OrderStoreContract, AListIsOneTenantsOrAll) {
  const std::vector<Order> orders = store_history();
  for (const char* tenant : {"acme", "globex"}) {
    const auto expected =
        ids_where(orders, [&](const Order& each) { return each.tenant == tenant_named(tenant); });
    EXPECT_EQ(ids_of(walk(reader(), {.tenant = tenant_named(tenant), .limit = 4})), expected);
  }
  EXPECT_THAT(walk(reader(), {.tenant = tenant_named("acm")}), IsEmpty());
  EXPECT_THAT(walk(reader(), {.tenant = tenant_named("acme0")}), IsEmpty());
}

TEST_P(OrderStoreContract, AListIsFilteredByStatus) {
  const std::vector<Order> orders = store_history();
  for (const Status status : {Status::placed, Status::reserved, Status::charged, Status::fulfilled,
                              Status::rejected, Status::cancelling}) {
    const auto expected =
        ids_where(orders, [&](const Order& each) { return each.status == status; });
    EXPECT_EQ(expected.size(), 12U);
    EXPECT_EQ(ids_of(walk(reader(), {.status = status, .limit = 5})), expected);
    const auto of_tenant = ids_where(orders, [&](const Order& each) {
      return each.status == status && each.tenant == tenant_named("globex");
    });
    EXPECT_EQ(
        ids_of(walk(reader(), {.tenant = tenant_named("globex"), .status = status, .limit = 3})),
        of_tenant);
  }
  EXPECT_THAT(walk(reader(), {.status = Status::cancelled}), IsEmpty());
}

TEST_P(OrderStoreContract, ARangeIncludesItsBeginAndNotItsEnd) {
  const std::vector<Order> orders = store_history();
  for (const std::size_t first : {0U, 20U, 44U, 71U}) {
    for (const std::size_t last : {0U, 13U, 47U, 71U}) {
      const domain::Instant from = orders[first].created_at;
      const domain::Instant to = orders[last].created_at;
      const auto within = [&](const Order& each) {
        return each.created_at >= from && each.created_at < to;
      };
      EXPECT_EQ(ids_of(walk(reader(), {.created_from = from, .created_to = to, .limit = 6})),
                ids_where(orders, within));
      const auto microsecond_later = [&](const Order& each) {
        return each.created_at > from && each.created_at <= to;
      };
      EXPECT_EQ(ids_of(walk(reader(), {.created_from = from + Duration{1},
                                       .created_to = to + Duration{1},
                                       .limit = 6})),
                ids_where(orders, microsecond_later));
    }
  }
}

TEST_P(OrderStoreContract, EveryFilterHoldsTogetherWithTheOthers) {
  const std::vector<Order> orders = store_history();
  const domain::Instant from = orders[60].created_at;
  const domain::Instant to = orders[5].created_at;
  const auto expected = ids_where(orders, [&](const Order& each) {
    return each.tenant == tenant_named(kTenant) && each.status == Status::fulfilled &&
           each.created_at >= from && each.created_at < to;
  });
  ASSERT_GT(expected.size(), 2U);
  EXPECT_EQ(ids_of(walk(reader(), {.tenant = tenant_named(kTenant),
                                   .status = Status::fulfilled,
                                   .created_from = from,
                                   .created_to = to,
                                   .limit = 2})),
            expected);
}

TEST_P(OrderStoreContract, ACursorMayNameAnyId) {
  const std::vector<Order> orders = store_history();
  const OrderId between = OrderId::make(orders[10].created_at + Duration::hours(1), 0, 0);
  const auto expected = ids_where(orders, [&](const Order& each) { return each.id < between; });
  EXPECT_EQ(ids_of(walk(reader(), {.before = between, .limit = 9})), expected);
  EXPECT_THAT(walk(reader(), {.before = orders.back().id}), IsEmpty());
}

TEST_P(OrderStoreContract, AWalkIsNotDisturbedByWhatHappensMeanwhile) {
  std::vector<Order> before;
  for (int number = 0; number < 10; ++number) before.push_back(store_reserved(order()));
  ports::OrderQuery query{.limit = 3};
  std::vector<OrderId> seen;
  for (std::size_t step = 0; step < 20; ++step) {
    const auto page = reader().list(query).value();
    for (const Order& each : page.orders) seen.push_back(each.id);
    if (!page.next) break;
    query.before = page.next;
    pass(Duration::milliseconds(1));
    store_placed(order());
    const Order& ended = before.at(step % before.size());
    const auto advance = found(ended).order.status == Status::reserved
                             ? steps::capture(ended, now.wall)
                             : steps::next(found(ended).order, now.wall);
    commit(found(ended).order, advance);
  }
  EXPECT_EQ(seen, ids_of(newest_first(before)));
}

TEST_P(OrderStoreContract, AnEmptyStoreListsNothing) {
  EXPECT_THAT(walk(reader(), {}), IsEmpty());
  EXPECT_THAT(walk_dead_letters(reader(), {}), IsEmpty());
  EXPECT_THAT(reader().owed_refunds({}, 10).value().orders, IsEmpty());
  EXPECT_THAT(reader().contracts({}, 10).value(), IsEmpty());
}

/// An order of at least 10 000 bytes.
OrderBuilder large(OrderBuilder builder) {
  for (std::size_t pair = 0; pair < domain::limits::kMaxMetadataPairs; ++pair) {
    builder.metadata("name-" + std::to_string(pair),
                     std::string(domain::limits::kMaxMetadataCharacters, 'x'));
  }
  return builder;
}

constexpr std::size_t kLargeBytes =
    domain::limits::kMaxMetadataPairs * domain::limits::kMaxMetadataCharacters;

TEST_P(OrderStoreContract, APageOfLargeOrdersEndsAtItsBoundInBytesAndTheListGoesOn) {
  std::vector<Order> orders;
  for (int number = 0; number < 12; ++number) orders.push_back(store_placed(large(order())));
  for (int number = 0; number < 12; ++number) orders.push_back(store_fulfilled(large(order())));
  for (const auto status : {std::optional<Status>(), std::optional(Status::fulfilled)}) {
    const ports::OrderQuery query{.status = status, .limit = 500, .max_bytes = 5 * kLargeBytes};
    const auto page = reader().list(query).value();
    EXPECT_GE(page.orders.size(), 3U);
    EXPECT_LE(page.orders.size(), 5U);
    const auto wanted = newest_first(orders);
    EXPECT_EQ(ids_of(walk(reader(), query)), ids_where(wanted, [&](const Order& each) {
                return !status || each.status == *status;
              }));
  }
  // However small the bound: a list that moves on by one order at least ends.
  EXPECT_EQ(walk(reader(), {.limit = 500, .max_bytes = 1}).size(), orders.size());
}

TEST_P(OrderStoreContract, OperatorsListsEndTheirPagesAtABoundInBytesToo) {
  std::vector<Order> dead;
  for (int number = 0; number < 6; ++number) dead.push_back(store_dead_letter(large(order())));
  const ports::DeadLetterQuery query{.limit = 500, .max_bytes = 3 * kLargeBytes};
  const auto page = reader().dead_letters(query).value();
  EXPECT_GE(page.orders.size(), 1U);
  EXPECT_LE(page.orders.size(), 3U);
  EXPECT_EQ(ids_of(walk_dead_letters(reader(), query)), ids_of(dead));

  constexpr std::size_t kMoreThanAPage = domain::limits::kMaxPageBytes / kLargeBytes + 5;
  for (std::size_t number = 0; number < kMoreThanAPage; ++number) store_owing(large(order()));
  const auto owed = reader().owed_refunds(std::nullopt, 500).value();
  EXPECT_LE(owed.orders.size(), domain::limits::kMaxPageBytes / kLargeBytes);
  ASSERT_TRUE(owed.next.has_value());
  const auto rest = reader().owed_refunds(owed.next, 500).value();
  EXPECT_EQ(owed.orders.size() + rest.orders.size(), kMoreThanAPage);
  EXPECT_EQ(rest.next, std::nullopt);
}

TEST_P(OrderStoreContract, DeadLettersAreListedWhileOpenAndAsTheRecordOfACompensation) {
  const Order open = store_dead_letter(order());
  const Order discarded = store_dead_letter(order());
  commit_step(discarded, domain::discard(discarded, now.wall).value());
  const Order redriven = store_dead_letter(order());
  commit_step(redriven, domain::redrive(redriven, now.wall).value());
  const Order given_up = store_dead_letter(order());
  const Order cancelling = commit_step(given_up, steps::cancel(given_up, now.wall));
  store_reserved(order());
  EXPECT_EQ(ids_of(walk_dead_letters(reader(), {})), ids_of({open, given_up}));
  const Order cancelled = commit_step(cancelling, steps::next(cancelling, now.wall));
  ASSERT_EQ(cancelled.status, Status::cancelled);
  ASSERT_EQ(cancelled.dead_letter.value().state, DeadLetterState::compensated);
  EXPECT_EQ(walk_dead_letters(reader(), {}), (std::vector{open, cancelled}));
  crash();
  EXPECT_EQ(walk_dead_letters(reader(), {}), (std::vector{open, cancelled}));
}

TEST_P(OrderStoreContract, DeadLettersAreFilteredAndPagedById) {
  std::vector<Order> marked;
  for (int number = 0; number < 9; ++number) {
    marked.push_back(store_dead_letter(order().tenant(number % 3 == 0 ? "globex" : "acme")));
  }
  for (int number = 0; number < 4; ++number) {
    const Order charged = store_charged(order());
    domain::Advance advance = steps::cancel(charged, now.wall);
    advance.next.dead_letter = domain::DeadLetter{.state = DeadLetterState::compensated,
                                                  .stage = Stage::fulfillment,
                                                  .first_error = Reason::gateway_rejected,
                                                  .last_error = Reason::fulfillment_unavailable};
    marked.push_back(commit_step(charged, advance));
  }
  for (const std::size_t limit : {1U, 4U, 13U, 100U}) {
    EXPECT_EQ(ids_of(walk_dead_letters(reader(), {.limit = limit})), ids_of(marked));
  }
  const auto expect_filtered = [&](ports::DeadLetterQuery query, auto keep) {
    query.limit = 2;
    EXPECT_EQ(ids_of(walk_dead_letters(reader(), query)), ids_where(marked, keep));
  };
  expect_filtered({.tenant = tenant_named("globex")},
                  [](const Order& each) { return each.tenant.str() == "globex"; });
  expect_filtered({.stage = Stage::fulfillment},
                  [](const Order& each) { return each.dead_letter->stage == Stage::fulfillment; });
  expect_filtered({.error = Reason::gateway_rejected}, [](const Order& each) {
    return each.dead_letter->last_error == Reason::gateway_rejected;
  });
  expect_filtered(
      {.tenant = tenant_named("acme"), .stage = Stage::payment, .error = Reason::gateway_rejected},
      [](const Order& each) {
        return each.tenant.str() == "acme" && each.dead_letter->stage == Stage::payment;
      });
  expect_filtered({.tenant = tenant_named("globex"), .stage = Stage::fulfillment},
                  [](const Order&) { return false; });
}

TEST_P(OrderStoreContract, OwedRefundsAreListedUntilTheyArePaid) {
  std::vector<Order> owing;
  for (int number = 0; number < 5; ++number) owing.push_back(store_owing(order()));
  const Order uncaptured = store_reserved(order());
  commit_step(uncaptured, steps::cancel(uncaptured, now.wall));
  store_charged(order());
  EXPECT_EQ(store().depth().owed_refunds, 5U);
  const auto first = reader().owed_refunds({}, 2).value();
  EXPECT_EQ(first.orders, (std::vector{owing[0], owing[1]}));
  ASSERT_TRUE(first.next.has_value());
  const auto rest = reader().owed_refunds(first.next, 10).value();
  EXPECT_EQ(rest.orders, (std::vector{owing[2], owing[3], owing[4]}));
  EXPECT_FALSE(rest.next.has_value());
  const Order paid = commit_step(owing[0], steps::refund(owing[0], now.wall));
  ASSERT_EQ(paid.status, Status::cancelled);
  EXPECT_EQ(store().depth().owed_refunds, 4U);
  EXPECT_EQ(ids_of(reader().owed_refunds({}, 10).value().orders),
            ids_of({owing[1], owing[2], owing[3], owing[4]}));
  crash();
  EXPECT_EQ(store().depth().owed_refunds, 4U);
  EXPECT_EQ(ids_of(reader().owed_refunds(owing[2].id, 10).value().orders),
            ids_of({owing[3], owing[4]}));
}

TEST_P(OrderStoreContract, ATenantWithoutAContractHasTheDefault) {
  options.default_contract = contract_of(17, 23);
  EXPECT_EQ(reader().contract(tenant_named("anybody")).value(), options.default_contract);
}

TEST_P(OrderStoreContract, AStoredContractIsKeptWhole) {
  domain::Contract contract{
      .bucket = {.rate = {.micro_tokens = 1'000'000, .period_ns = 86'400'000'000'000},
                 .burst = domain::limits::kMaxBurst},
      .guarantee = domain::TokenRate{.micro_tokens = 1, .period_ns = 86'400'000'000'000},
      .weight = domain::limits::kMaxWeight,
      .webhook = domain::Webhook{.url = "https://example.com/" + std::string(2'000, 'u'),
                                 .secret = std::string("whsec_\x01\xff\0x", 10),
                                 .disabled = true}};
  put_contract("acme", contract);
  EXPECT_EQ(reader().contract(tenant_named("acme")).value(), contract);
  EXPECT_EQ(reader().contract(tenant_named("acm")).value(), options.default_contract);
  crash();
  EXPECT_EQ(reader().contract(tenant_named("acme")).value(), contract);
  contract.webhook->disabled = false;
  contract.guarantee.reset();
  put_contract("acme", contract);
  EXPECT_EQ(reader().contract(tenant_named("acme")).value(), contract);
  contract.webhook.reset();
  put_contract("acme", contract);
  crash();
  EXPECT_EQ(reader().contract(tenant_named("acme")).value(), contract);
}

TEST_P(OrderStoreContract, ATenantStandsByItselfOnceItHasAContractOfItsOwn) {
  store_placed(order().tenant("acme"));
  EXPECT_EQ(reader().standing(tenant_named("acme")), domain::Standing::grouped);
  EXPECT_EQ(reader().standing(tenant_named("unknown")), domain::Standing::grouped);
  put_contract("acme", options.default_contract);
  const auto expect_standings = [this] {
    EXPECT_EQ(reader().standing(tenant_named("acme")), domain::Standing::own_contract);
    EXPECT_EQ(reader().standing(tenant_named("unknown")), domain::Standing::grouped);
  };
  expect_standings();
  crash();
  expect_standings();
}

TEST_P(OrderStoreContract, TenantsWithAContractOrAnOrderAreListedByName) {
  const domain::Contract stored = contract_of(5, 6);
  put_contract("m", stored);
  store_placed(order().tenant("z"));
  store_fulfilled(order().tenant("a"));
  store_placed(order().tenant("m"));
  put_contract("M", stored);
  const auto expect_listed = [&] {
    const auto all = reader().contracts({}, 10).value();
    ASSERT_THAT(all, ElementsAre(std::pair(tenant_named("M"), stored),
                                 std::pair(tenant_named("a"), options.default_contract),
                                 std::pair(tenant_named("m"), stored),
                                 std::pair(tenant_named("z"), options.default_contract)));
    EXPECT_EQ(reader().contracts({}, 2).value(), (std::vector{all[0], all[1]}));
    EXPECT_EQ(reader().contracts(tenant_named("a"), 2).value(), (std::vector{all[2], all[3]}));
    EXPECT_THAT(reader().contracts(tenant_named("z"), 2).value(), IsEmpty());
  };
  expect_listed();
  crash();
  expect_listed();
}

TEST_P(OrderStoreContract, TheNumberOfContractsIsBounded) {
  std::vector<ports::Command> commands;
  const auto flush = [&] {
    for (const auto& result : apply(std::move(commands))) {
      ASSERT_EQ(std::get<ports::PutOutcome>(result), ports::PutOutcome::stored);
    }
    commands.clear();
  };
  const domain::Contract contract = contract_of(1, 1);
  for (std::size_t number = 0; number < domain::limits::kMaxTenants; ++number) {
    commands.emplace_back(ports::PutContract{.tenant = tenant_named("t" + std::to_string(number)),
                                             .contract = contract});
    if (commands.size() == domain::limits::kMaxBatch) flush();
  }
  flush();
  const auto put = [&](const char* tenant) {
    return apply_one<ports::PutOutcome>(
        ports::PutContract{.tenant = tenant_named(tenant), .contract = contract_of(2, 2)});
  };
  EXPECT_EQ(put("one-more"), ports::PutOutcome::too_many_tenants);
  EXPECT_EQ(reader().contract(tenant_named("one-more")).value(), options.default_contract);
  EXPECT_EQ(put("t7"), ports::PutOutcome::stored);
  EXPECT_EQ(reader().contract(tenant_named("t7")).value(), contract_of(2, 2));
}

/// Semantics 6.20: what a reader on another thread sees is whole, and never older than what it saw.
TEST_P(OrderStoreContract, ReadersOnOtherThreadsSeeWholeOrdersThatNeverGoBack) {
  constexpr std::size_t kOrders = 30;
  std::vector<Order> orders;
  for (std::size_t number = 0; number < kOrders; ++number) {
    orders.push_back(store_reserved(order()));
  }
  const ports::OrderReader& other_side = reader();
  std::atomic<bool> is_done = false;
  std::atomic<int> failures = 0;
  const auto read = [&] {
    std::vector<std::uint32_t> versions(kOrders, 0);
    while (!is_done) {
      for (std::size_t index = 0; index < kOrders; ++index) {
        const auto stored = other_side.find(orders[index].id);
        const bool is_whole =
            stored && *stored &&
            (*stored)->order.timeline.size() == (*stored)->order.version.number &&
            (*stored)->order.version.number >= versions[index] &&
            (*stored)->receipt.empty() == ((*stored)->order.status != Status::fulfilled);
        if (!is_whole) ++failures;
        if (stored && *stored) versions[index] = (*stored)->order.version.number;
      }
      const auto page = other_side.list({.limit = kOrders});
      if (!page || page->orders.size() != kOrders) ++failures;
    }
  };
  std::vector<std::thread> threads;
  threads.emplace_back(read);
  threads.emplace_back(read);
  for (const Order& reserved : orders) {
    const Order charged = commit_step(reserved, steps::capture(reserved, now.wall));
    commit_step(charged, steps::next(charged, now.wall));
  }
  is_done = true;
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(failures, 0);
}

}  // namespace
}  // namespace penstock::store_contract

// What a page of a list costs: bounded by the page, whatever ended before. Counted in steps over
// RocksDB's keys, not in time.
#include "adapters/rocksdb/order_list.h"

#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rocksdb/perf_context.h>
#include <rocksdb/perf_level.h>

#include "adapters/rocksdb/rocks_store.h"
#include "adapters/rocksdb/temporary_directory.h"
#include "domain/limits.h"
#include "tests/contract/order_builder.h"

namespace penstock::rocksdb_store {
namespace {

using domain::Order;
using domain::OrderId;
using domain::Status;
using domain::TenantId;
using store_contract::OrderBuilder;
namespace steps = store_contract::steps;
using ::testing::SizeIs;

class OrderListTest : public ::testing::Test {
 protected:
  static constexpr int kEnded = 6'000;

  OrderListTest() {
    options.path = directory.path("store");
    options.boot_id = "boot";
    options.default_contract.bucket.burst = 100'000;
    options.now = {.wall = *domain::parse_rfc3339("2026-11-22T16:00:00Z"),
                   .monotonic = {1'000'000'000'000}};
    open();
  }
  void open() {
    store.reset();
    auto opened = RocksStore::open(options);
    if (!opened) throw std::runtime_error(opened.error().detail);
    store = std::move(*opened);
  }
  void apply(std::vector<ports::Command>& commands) {
    if (!store->apply(commands, options.now)) throw std::runtime_error("not applied");
    commands.clear();
  }
  std::vector<Order> accept(int orders, const std::string& tenant = "acme") {
    std::vector<Order> placed;
    std::vector<ports::Command> commands;
    for (int i = 0; i < orders; ++i) {
      placed.push_back(OrderBuilder(++numbers).tenant(tenant).placed(options.now.wall));
      ports::Accept command;
      command.commit.next = placed.back();
      commands.emplace_back(std::move(command));
      if (commands.size() == 500 || i + 1 == orders) apply(commands);
    }
    return placed;
  }
  void end(const std::vector<Order>& orders) {
    std::vector<ports::Command> commands;
    for (const Order& order : orders) {
      const domain::Advance advance = steps::cancel(order, options.now.wall);
      commands.emplace_back(ports::Commit{
          .next = advance.next, .read = order.version, .stock = advance.stock, .receipt = {}});
      if (commands.size() == 500 || &order == &orders.back()) apply(commands);
    }
  }
  /// The keys that RocksDB stepped over or skipped in a call.
  template <typename Call>
  static std::uint64_t keys_walked(Call call) {
    rocksdb::SetPerfLevel(rocksdb::PerfLevel::kEnableCount);
    rocksdb::get_perf_context()->Reset();
    call();
    const rocksdb::PerfContext& counted = *rocksdb::get_perf_context();
    const std::uint64_t keys = counted.internal_key_skipped_count +
                               counted.internal_delete_skipped_count +
                               counted.internal_recent_skipped_count;
    rocksdb::SetPerfLevel(rocksdb::PerfLevel::kDisable);
    return keys;
  }

  TemporaryDirectory directory;
  RocksStoreOptions options;
  std::unique_ptr<RocksStore> store;
  std::uint64_t numbers = 0;
};

TEST_F(OrderListTest, APageCostsWhatIsOnItWhateverEndedBefore) {
  const std::vector<Order> oldest = accept(3);
  end(accept(kEnded));
  const std::vector<Order> newest = accept(3);
  for (int run = 0; run < 2; ++run) {
    for (const char* const tenant : {"", "acme", "nobody"}) {
      for (const std::optional<Status> status :
           {std::optional<Status>(), std::optional(Status::placed)}) {
        SCOPED_TRACE(std::string(tenant) + (status ? " placed" : ""));
        ports::OrderQuery query;
        query.status = status;
        query.limit = 1;
        if (*tenant != '\0') query.tenant = TenantId::unchecked(tenant);
        ports::OrderPage page;
        const auto walked = keys_walked([&] { page = store->reader().list(query).value(); });
        EXPECT_LE(walked, 600U);
        const bool is_known = query.tenant.str() != "nobody";
        EXPECT_THAT(page.orders, SizeIs(is_known ? 1 : 0));
        if (is_known) {
          EXPECT_EQ(page.orders.at(0).id, newest.back().id);
        }
        // Behind the newest: an iterator over what was active would walk all that has ended.
        query.before = newest.front().id;
        const auto behind = keys_walked([&] { page = store->reader().list(query).value(); });
        EXPECT_LE(behind, status ? kMaxScanned + 600 : 600);
      }
    }
    store.reset();
    open();
  }
  // By pages, everything is found once.
  std::size_t found = 0;
  ports::OrderQuery query;
  query.status = Status::placed;
  query.limit = 2;
  OrderId last{OrderId::Bytes{0xff}};
  while (true) {
    const ports::OrderPage page = store->reader().list(query).value();
    for (const Order& order : page.orders) {
      EXPECT_LT(order.id, last);
      last = order.id;
      ++found;
    }
    if (!page.next) break;
    query.before = page.next;
  }
  EXPECT_EQ(found, oldest.size() + newest.size());
}

TEST_F(OrderListTest, ATenantsActiveOrdersAreFoundAmongThoseOfOthers) {
  const std::vector<Order> wanted = accept(1, "small");
  accept(6'000, "large");
  ports::OrderQuery query;
  query.tenant = TenantId::unchecked("small");
  query.limit = 10;
  std::size_t found = 0;
  int pages = 0;
  for (; pages < 3; ++pages) {
    const ports::OrderPage page = store->reader().list(query).value();
    found += page.orders.size();
    if (!page.next) break;
    query.before = page.next;
  }
  EXPECT_EQ(found, 1U);
  EXPECT_EQ(pages, 0) << "what is not the tenant's is passed over in memory";
}

TEST_F(OrderListTest, EveryOrderIsListedOncePageByPageAcrossBlocks) {
  std::vector<Order> some = accept(2'000);
  std::vector<Order> ended;
  for (std::size_t i = 0; i < some.size(); i += 2) ended.push_back(some[i]);
  end(ended);
  for (const std::size_t limit : {7UL, 500UL}) {
    ports::OrderQuery query;
    query.limit = limit;
    std::vector<OrderId> listed;
    while (true) {
      const ports::OrderPage page = store->reader().list(query).value();
      for (const Order& order : page.orders) listed.push_back(order.id);
      if (!page.next) break;
      query.before = page.next;
    }
    ASSERT_EQ(listed.size(), some.size());
    for (std::size_t i = 0; i < some.size(); ++i) {
      ASSERT_EQ(listed[i], some[some.size() - 1 - i].id);
    }
  }
}

}  // namespace
}  // namespace penstock::rocksdb_store

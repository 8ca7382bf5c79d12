#include "adapters/postgres/copy_target.h"

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "adapters/postgres/postgres_fixture_test.h"

// What a copy leaves behind, and when it may be opened.
namespace penstock::postgres_store {
namespace {

using domain::Duration;
using domain::Instant;
using domain::Order;
using domain::TenantId;

class CopyTargets : public PostgresTest {
 protected:
  std::unique_ptr<CopyTarget> target() {
    auto opened = CopyTarget::open(schema.connection_options());
    if (!opened) throw std::runtime_error("open: " + opened.error().detail);
    return *std::move(opened);
  }
  std::unique_ptr<CopyTarget> begun() {
    auto opened = target();
    if (!opened->begin("source")) throw std::runtime_error("begin");
    return opened;
  }
  template <typename Record>
  static std::vector<Record> one(Record record) {
    return {std::move(record)};
  }
  bool opens() { return PostgresStore::open(options()).has_value(); }
  ports::StoredOrder cancelled() {
    const Order placed = order().placed(now());
    auto cancelling = store_contract::steps::cancel(placed, now()).next;
    if (cancelling.status != domain::Status::cancelled) {
      cancelling = store_contract::steps::next(cancelling, now()).next;
    }
    return {.order = cancelling,
            .receipt = "receipt",
            .deliveries = {{.at = now(), .attempt = 1},
                           {.at = now(), .attempt = 1, .reason = domain::Reason::delivery_failed},
                           {.at = now(), .attempt = 2}}};
  }
  std::string month_of(const Order& each) { return domain::to_string(each.id.month()); }
  ports::CopiedKey key_of(const Order& each, Duration life) {
    return {.tenant = each.tenant,
            .key = domain::IdempotencyKey::unchecked("key"),
            .record = {.fingerprint = {1}, .order = each.id, .expires_at = now() + life}};
  }
  static Tally tally(CopyTarget& target) { return target.tally(now()).value(); }

  TenantId acme = TenantId::unchecked("acme");
  CopyPlace place{.step = "keys", .after = "somewhere"};
};

TEST_F(CopyTargets, NoProcessOpensOneBeforeItsEndAndEveryOneBehindIt) {
  const auto filled = begun();
  EXPECT_EQ(filled->progress().phase, CopyPhase::copying);
  EXPECT_EQ(filled->progress().source, "source");
  EXPECT_FALSE(opens());
  // Each mark alone keeps them out.
  schema.execute("UPDATE schema_versions SET version = 0 WHERE name = 'copy in progress'");
  EXPECT_FALSE(opens());
  schema.execute(
      "UPDATE schema_versions SET version = (SELECT max(version) + 1000 FROM schema_versions)"
      " WHERE name = 'copy in progress'");
  schema.execute("ALTER TABLE node_marks DISABLE TRIGGER copy_in_progress");
  EXPECT_FALSE(opens());
}

TEST_F(CopyTargets, OpensWhenItIsFinished) {
  auto filled = begun();
  ASSERT_TRUE(filled->finish());
  EXPECT_EQ(filled->progress().phase, CopyPhase::finished);
  filled.reset();
  EXPECT_EQ(target()->progress().phase, CopyPhase::finished) << "durably";
  EXPECT_TRUE(opens());
}

TEST_F(CopyTargets, IsNeverOpenedOnceItIsAbandoned) {
  auto filled = begun();
  ASSERT_TRUE(filled->abandon());
  filled.reset();
  EXPECT_EQ(target()->progress().phase, CopyPhase::abandoned);
  EXPECT_FALSE(opens());
}

TEST_F(CopyTargets, TakesNothingWhereSomethingIsOrAProcessRuns) {
  {
    const auto store = open(options());
    EXPECT_FALSE(target()->begin("source")) << "a process runs";
  }
  EXPECT_TRUE(opens());
  set_stock(*open(options()), "PROD-1", 1);
  EXPECT_FALSE(target()->begin("source")) << "not empty";
  EXPECT_TRUE(opens());
}

TEST_F(CopyTargets, GoesOnWhereItsLastPageEnded) {
  const Instant until = now();
  const ports::StoredOrder ended = cancelled();
  {
    const auto filled = begun();
    ASSERT_TRUE(filled->begin_pass(7, until));
    ASSERT_TRUE(filled->make_month(ended.order.id.month()));
    ASSERT_TRUE(filled->write_ended(one(ended), {.step = "2026-11", .after = "page"}));
    EXPECT_EQ(filled->progress().after, "page");
  }
  auto again = target();
  EXPECT_EQ(again->progress().pass_to, 7U);
  EXPECT_EQ(again->progress().copied_batches, 0U);
  EXPECT_EQ(again->progress().copied_until, std::nullopt);
  EXPECT_EQ(again->progress().step, "2026-11");
  EXPECT_EQ(again->progress().after, "page");
  ASSERT_TRUE(again->end_pass());
  again.reset();
  again = target();
  EXPECT_EQ(again->progress().pass_to, std::nullopt);
  EXPECT_EQ(again->progress().copied_batches, 7U);
  EXPECT_EQ(again->progress().copied_until, until);
  EXPECT_EQ(again->progress().step, "");
  EXPECT_EQ(again->progress().after, "");
}

TEST_F(CopyTargets, HoldsEndedOrdersWithTheirNotificationsOnceHoweverOftenTheyAreWritten) {
  const auto filled = begun();
  const ports::StoredOrder ended = cancelled();
  ASSERT_TRUE(filled->make_month(ended.order.id.month()));
  ASSERT_TRUE(filled->write_ended(one(ended), place));
  const Tally once = tally(*filled);
  EXPECT_EQ(once.at(month_of(ended.order) + " events of kind 2"), 3);
  EXPECT_EQ(once.at(month_of(ended.order) + " receipt bytes"), 7);
  EXPECT_EQ(once.at(month_of(ended.order) + " events of kind 1"),
            static_cast<std::int64_t>(ended.order.timeline.size()));
  ASSERT_TRUE(filled->write_ended(one(ended), place));
  EXPECT_EQ(tally(*filled), once);
  ASSERT_TRUE(filled->finish());
  const auto store = open(options());
  const auto found = store->reader().find(ended.order.id).value();
  ASSERT_TRUE(found.has_value());
  EXPECT_EQ(found->order, ended.order);
  ASSERT_EQ(found->deliveries.size(), 3U);
  for (std::size_t at = 0; at < 3; ++at) {
    EXPECT_EQ(found->deliveries[at].at, ended.deliveries[at].at);
    EXPECT_EQ(found->deliveries[at].attempt, ended.deliveries[at].attempt);
    EXPECT_EQ(found->deliveries[at].reason, ended.deliveries[at].reason);
  }
}

TEST_F(CopyTargets, AMonthThatIsClearedIsEmpty) {
  const auto filled = begun();
  const ports::StoredOrder ended = cancelled();
  ASSERT_TRUE(filled->make_month(ended.order.id.month()));
  ASSERT_TRUE(filled->write_ended(one(ended), place));
  ASSERT_TRUE(filled->clear_month(ended.order.id.month()));
  EXPECT_TRUE(tally(*filled).empty());
}

TEST_F(CopyTargets, AKeyLivesAsLongAsItDidAndTheLongerLifeCounts) {
  const auto filled = begun();
  const Order first = order().placed(now());
  const Order second = order().placed(now());
  const auto expiry = [&] {
    return schema.number(
        "SELECT (extract(epoch FROM expires_at) * 1000000)::bigint FROM idempotency_keys");
  };
  const ports::CopiedKey longer = key_of(second, Duration::hours(5));
  for (const ports::CopiedKey& each :
       {key_of(first, Duration::hours(3)), longer, key_of(first, Duration::hours(1))}) {
    ASSERT_TRUE(filled->write_keys(one(each), place));
  }
  EXPECT_EQ(expiry(), longer.record.expires_at.us);
  EXPECT_EQ(schema.number(fmt::format("SELECT count(*) FROM idempotency_keys WHERE order_id = '{}'",
                                      second.id.str())),
            1);
  EXPECT_EQ(tally(*filled), (Tally{{"keys", 1}}));
  EXPECT_TRUE(filled->tally(now() + Duration::hours(6)).value().empty()) << "it has expired then";
}

TEST_F(CopyTargets, HoldsWhatIsLiveAndCanBeFilledAgainFromNothing) {
  const auto filled = begun();
  const Order active = order().placed(now());
  const Order told = cancelled().order;
  const Instant due = now() + Duration::hours(1);
  const domain::BucketContract rate{.rate = {.micro_tokens = 1, .period_ns = 1'000'000'000},
                                    .burst = 5};
  domain::Contract contract;
  contract.bucket = rate;
  for (int time = 0; time < 2; ++time) {
    ASSERT_TRUE(filled->clear_live());
    EXPECT_TRUE(tally(*filled).empty());
    ASSERT_TRUE(
        filled->write_contracts(one(ports::CopiedContract{.tenant = acme, .contract = contract})));
    ASSERT_TRUE(filled->write_buckets(one(ports::CopiedBucket{
        .tenant = acme, .contract = rate, .state = {.used = 3, .virtual_time = 9}})));
    ASSERT_TRUE(filled->write_stock(
        one(ports::CopiedStock{.tenant = acme,
                               .product = domain::ProductId::unchecked("PROD-1"),
                               .stock = {.received = 9, .reserved = 2, .sold = 4}})));
    ASSERT_TRUE(filled->write_active(one(active)));
    ASSERT_TRUE(filled->write_batches(one(ports::TerminalBatch{
        .sequence = 41,
        .entries = {{.order = told.id, .tenant = acme, .status = told.status},
                    {.order = active.id, .tenant = acme, .status = told.status}}})));
    ASSERT_TRUE(filled->write_deliveries(
        one(ports::CopiedDelivery{.order = told.id, .tenant = acme, .attempt = 3, .due = due})));
  }
  EXPECT_EQ(tally(*filled), (Tally{{"active orders of status 1", 1},
                                   {"active minor units", 1'000},
                                   {"active versions", 1},
                                   {"active events", 1},
                                   {"contracts", 1},
                                   {"buckets", 1},
                                   {"tokens used", 3},
                                   {"products", 1},
                                   {"pieces received", 9},
                                   {"pieces reserved", 2},
                                   {"pieces sold", 4},
                                   {"terminal batches", 1},
                                   {"orders in terminal batches", 2},
                                   {"deliveries", 1},
                                   {"delivery attempts", 3}}));
  const std::int64_t before = schema.number("SELECT bucket_now_ns()");
  ASSERT_TRUE(filled->finish());
  EXPECT_EQ(schema.number("SELECT virtual_time FROM buckets WHERE used = 3"), 9);
  EXPECT_GE(schema.number("SELECT at_ns FROM buckets"), before) << "the move mints nothing";
  EXPECT_EQ(schema.number("SELECT sum(active)::bigint FROM active_counts"), 1);
  EXPECT_EQ(schema.number("SELECT (extract(epoch FROM due) * 1000000)::bigint FROM deliveries"),
            due.us);
  // The next terminal batch stands behind those that came over.
  EXPECT_EQ(schema.number("SELECT nextval(pg_get_serial_sequence('outbox', 'sequence'))"), 42);
}

}  // namespace
}  // namespace penstock::postgres_store

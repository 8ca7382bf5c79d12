#include "main/pipeline_thread.h"

#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "adapters/memory/memory_store.h"
#include "adapters/system/system_clock.h"
#include "adapters/system/system_random.h"
#include "domain/limits.h"
#include "main/demo_catalog.h"

namespace penstock::main {
namespace {

/// A gateway that captures whatever it is asked to, from a thread of nobody.
class YesGateway : public ports::PaymentGateway {
 public:
  void submit(std::span<ports::GatewayRequest> requests, domain::Now) override {
    for (const auto& request : requests) tickets_.push_back(request.ticket);
  }
  void poll(std::vector<ports::GatewayReply>& replies, domain::Now) override {
    for (std::uint64_t const ticket : tickets_) {
      replies.push_back(
          {.ticket = ticket, .outcome = {.kind = domain::OutcomeKind::done, .reference = "ch_1"}});
    }
    tickets_.clear();
  }
  std::optional<domain::Instant> next_due() const override {
    return tickets_.empty() ? std::nullopt : std::optional(domain::Instant{});
  }

 private:
  std::vector<std::uint64_t> tickets_;
};

class SilentLog : public ports::Log {
 public:
  bool enabled(ports::LogLevel) const override { return false; }
  void write(ports::LogLevel level, std::string_view,
             std::initializer_list<ports::LogField> fields) override {
    std::lock_guard const lock(mutex_);
    if (level != ports::LogLevel::error) return;
    for (const auto& field : fields) errors_.emplace_back(field.value.str());
  }
  std::vector<std::string> errors() const {
    std::lock_guard const lock(mutex_);
    return errors_;
  }

 private:
  mutable std::mutex mutex_;
  std::vector<std::string> errors_;
};

/// Counts answers of any thread; `wait_for` returns when there are that many.
class Answers {
 public:
  template <typename Result>
  pipeline::Done<Result> taker(std::vector<Result>& into) {
    return [this, &into](Result result) {
      std::lock_guard const lock(mutex_);
      into.push_back(std::move(result));
      ++count_;
      changed_.notify_all();
    };
  }
  void count_one() {
    std::lock_guard const lock(mutex_);
    ++count_;
    changed_.notify_all();
  }
  void wait_for(std::size_t count) {
    std::unique_lock lock(mutex_);
    ASSERT_TRUE(changed_.wait_for(lock, std::chrono::minutes(2), [&] { return count_ >= count; }))
        << "only " << count_ << " of " << count;
  }
  std::size_t count() const {
    std::lock_guard const lock(mutex_);
    return count_;
  }

 private:
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::size_t count_ = 0;
};

class PipelineThreadTest : public testing::Test {
 protected:
  PipelineThreadTest()
      : disk_(std::make_shared<memory_store::MemoryDisk>()),
        store_(disk_, {.boot_id = "boot", .now = clock_.now()}),
        thread_(clock_, log_, [this] { changed_.count_one(); }) {}

  void start() {
    thread_.start(
        {.store = store_, .reader = store_, .gateway = gateway_, .log = log_, .random = random_},
        {});
  }

  static domain::Order draft() {
    domain::Order order;
    order.tenant = domain::TenantId::unchecked("default");
    order.customer = domain::CustomerId::unchecked("cust-1");
    order.items = {
        {.product = domain::ProductId::unchecked("PROD-001"), .quantity = 1, .price_minor = 1000}};
    order.total = {.minor_units = 1000, .currency = domain::Currency::usd()};
    order.payment_method = "pm_ok";
    order.correlation = domain::CorrelationId::unchecked("c-1");
    return order;
  }

  void place(pipeline::Intake& intake) {
    intake.submit(pipeline::PlaceOrder{
        .draft = draft(), .idempotency = std::nullopt, .done = answers_.taker(placed_)});
  }

  system::SystemClock clock_;
  system::SystemRandom random_;
  SilentLog log_;
  YesGateway gateway_;
  std::shared_ptr<memory_store::MemoryDisk> disk_;
  memory_store::MemoryStore store_;
  Answers answers_;
  Answers changed_;
  std::vector<pipeline::PlaceResult> placed_;
  PipelineThread thread_;
};

TEST_F(PipelineThreadTest, an_order_handed_in_runs_through_to_fulfilled_by_itself) {
  start();
  ASSERT_TRUE(load_demo_catalog(thread_, store_));
  place(thread_);
  answers_.wait_for(1);
  ASSERT_EQ(placed_[0].outcome, pipeline::PlaceOutcome::accepted);
  std::vector<std::shared_ptr<const domain::Order>> ended;
  thread_.submit(pipeline::WaitForEnd{.order = placed_[0].order->id,
                                      .until = clock_.now().wall + domain::Duration::seconds(100),
                                      .done = answers_.taker(ended)});
  answers_.wait_for(2);
  auto const stored = store_.find(placed_[0].order->id);
  ASSERT_TRUE(stored && *stored);
  EXPECT_EQ((*stored)->order.status, domain::Status::fulfilled);
}

TEST_F(PipelineThreadTest, requests_of_many_threads_are_each_answered_once) {
  constexpr std::size_t kThreads = 4;
  constexpr std::size_t kOrders = 500;
  start();
  ASSERT_TRUE(load_demo_catalog(thread_, store_));
  std::vector<std::thread> clients;
  for (std::size_t client = 0; client < kThreads; ++client) {
    clients.emplace_back([this] {
      for (std::size_t order = 0; order < kOrders; ++order) place(thread_);
    });
  }
  for (std::thread& client : clients) client.join();
  answers_.wait_for(kThreads * kOrders);
  thread_.stop();
  EXPECT_EQ(answers_.count(), kThreads * kOrders);
  for (const auto& result : placed_) EXPECT_EQ(result.outcome, pipeline::PlaceOutcome::accepted);
}

TEST_F(PipelineThreadTest, a_full_mailbox_refuses_at_once_and_what_it_holds_is_answered_later) {
  // The thread is not started, so nothing is taken out.
  std::size_t const sent = domain::limits::kMaxMailbox + 3;
  std::vector<pipeline::Progress> progress;
  for (std::size_t request = 0; request < domain::limits::kMaxMailbox; ++request) {
    thread_.submit(pipeline::AskProgress{.order = {}, .done = answers_.taker(progress)});
  }
  EXPECT_EQ(answers_.count(), 0U);
  for (int order = 0; order < 3; ++order) place(thread_);
  ASSERT_EQ(placed_.size(), 3U);
  EXPECT_EQ(placed_[0].outcome, pipeline::PlaceOutcome::reduced_capacity);
  // An operator still gets in, and an answer that says something.
  thread_.submit(pipeline::AskProgress{.order = {}, .done = answers_.taker(progress)});
  EXPECT_TRUE(progress.empty());
  start();
  answers_.wait_for(sent + 1);
}

TEST_F(PipelineThreadTest, it_is_ready_only_while_it_takes_orders) {
  EXPECT_FALSE(thread_.ready());
  start();
  ASSERT_TRUE(load_demo_catalog(thread_, store_));
  EXPECT_TRUE(thread_.ready());
  thread_.drain();
  EXPECT_FALSE(thread_.ready());
  place(thread_);
  answers_.wait_for(1);
  EXPECT_EQ(placed_[0].outcome, pipeline::PlaceOutcome::draining);
  changed_.wait_for(1);
  EXPECT_TRUE(thread_.drained());
  thread_.stop();
  place(thread_);
  answers_.wait_for(2);
  EXPECT_EQ(placed_[1].outcome, pipeline::PlaceOutcome::draining);
}

TEST_F(PipelineThreadTest, a_store_that_stopped_abandons_what_has_no_answer_and_says_so) {
  start();
  ASSERT_TRUE(load_demo_catalog(thread_, store_));
  thread_.drain();
  changed_.wait_for(1);
  thread_.stop();
  PipelineThread failing(clock_, log_, [this] { changed_.count_one(); });
  disk_->next_fault = memory_store::SyncFault{.error = ports::StoreError::full_disk};
  place(failing);
  failing.start(
      {.store = store_, .reader = store_, .gateway = gateway_, .log = log_, .random = random_}, {});
  changed_.wait_for(2);
  answers_.wait_for(1);
  EXPECT_EQ(placed_[0].outcome, pipeline::PlaceOutcome::abandoned);
  EXPECT_EQ(failing.failure(), ports::StoreError::full_disk);
  EXPECT_FALSE(failing.ready());
  EXPECT_EQ(log_.errors(), std::vector<std::string>{"disk-full"});
  place(failing);
  answers_.wait_for(2);
  EXPECT_EQ(placed_[1].outcome, pipeline::PlaceOutcome::abandoned);
}

TEST_F(PipelineThreadTest, stopping_refuses_what_was_never_started) {
  place(thread_);
  thread_.stop();
  answers_.wait_for(1);
  EXPECT_EQ(placed_[0].outcome, pipeline::PlaceOutcome::draining);
}

TEST_F(PipelineThreadTest, the_demo_catalog_leaves_stock_that_was_set_before) {
  start();
  EXPECT_EQ(load_demo_catalog(thread_, store_), std::size_t{kDemoProducts});
  std::vector<std::expected<domain::Stock, pipeline::Refusal>> set;
  thread_.submit(pipeline::SetStock{.tenant = domain::TenantId::unchecked("default"),
                                    .product = domain::ProductId::unchecked("PROD-007"),
                                    .on_hand = 5,
                                    .done = answers_.taker(set)});
  answers_.wait_for(1);
  EXPECT_EQ(load_demo_catalog(thread_, store_), std::size_t{0});
  auto const stock = store_.stock(domain::TenantId::unchecked("default"),
                                  domain::ProductId::unchecked("PROD-007"));
  ASSERT_TRUE(stock && *stock);
  EXPECT_EQ((*stock)->on_hand(), 5);
}

}  // namespace
}  // namespace penstock::main

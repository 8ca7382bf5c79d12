#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "api/router.h"
#include "net/http_server.h"
#include "net/json.h"
#include "pipeline/request.h"
#include "ports/order_reader.h"

/// What the api's tests stand on: a real server over TCP on a free port, and in the pipeline's and
/// the store's place two fakes that record and say what a test tells them to.
namespace penstock::api {

inline constexpr domain::Instant kNow{1'795'363'200'000'000};  // 2026-11-22T16:00:00Z

/// An order id that is the same in each run; `number` tells ids apart and sorts them.
domain::OrderId order_id(std::uint64_t number = 1);

/// A valid placed order of one item, 20.00 USD; a test changes one field.
domain::Order placed_order(std::uint64_t number = 1);

/// A result of which only the outcome is set.
pipeline::PlaceResult result(pipeline::PlaceOutcome outcome);

/// Answers at once on the calling thread. Thread-safe.
class FakeIntake : public pipeline::Intake {
 public:
  void submit(pipeline::Request request) override;
  bool ready() const override { return is_ready; }

  /// How many requests reached it.
  std::size_t submitted() const { return submitted_; }

  std::atomic<bool> is_ready{true};
  /// What the next requests are answered; each has a default that is a success.
  pipeline::PlaceResult place = result(pipeline::PlaceOutcome::accepted);
  std::optional<pipeline::Refusal> refusal;
  std::optional<domain::Order> changed_order;
  domain::Stock stock{.received = 10, .reserved = 2, .sold = 1};
  pipeline::Progress progress;
  pipeline::Statistics statistics;
  std::vector<pipeline::Unresolved> unresolved;
  std::function<void()> before_end_of_wait;
  /// What a wait is answered with.
  std::shared_ptr<const domain::Order> ended;
  /// Called with each request, before it is answered. Set before the first one.
  std::function<void(const pipeline::Request&)> on_submit;
  std::function<void()> before_put_contract;
  /// The contract in force: a PutContract instead of another is refused as stale. Empty: none is.
  std::function<std::optional<domain::Contract>()> reader_contract;
  /// What it was asked last.
  std::optional<domain::Order> draft;
  std::optional<ports::IdempotencyClaim> claim;
  std::optional<domain::Contract> contract;
  std::optional<domain::TenantId> tenant;
  std::optional<domain::Instant> wait_until;
  std::vector<domain::OrderId> redriven;
  ports::DeadLetterQuery redrive_filter;

 private:
  void answer(pipeline::PlaceOrder& request);
  void answer(pipeline::PeekRateLimit& request);
  void answer(pipeline::CancelOrder& request);
  void answer(pipeline::WaitForEnd& request);
  void answer(pipeline::SetStock& request);
  void answer(pipeline::Restock& request);
  void answer(pipeline::PutContract& request);
  void answer(pipeline::Redrive& request);
  void answer(pipeline::Discard& request);
  void answer(pipeline::AskProgress& request);
  void answer(pipeline::ListUnresolved& request);
  void answer(pipeline::AskStatistics& request);

  std::mutex mutex_;
  std::atomic<std::size_t> submitted_{0};
};

/// A store in a map. Not for changes while a request is under way, but through `replace`.
class FakeReader : public ports::OrderReader {
 public:
  using Found = std::expected<std::optional<ports::StoredOrder>, ports::StoreError>;

  Found find(const domain::OrderId& order) const override;
  std::expected<ports::OrderPage, ports::StoreError> list(
      const ports::OrderQuery& query) const override;
  std::expected<ports::OrderPage, ports::StoreError> dead_letters(
      const ports::DeadLetterQuery& query) const override;
  std::expected<ports::OrderPage, ports::StoreError> owed_refunds(
      std::optional<domain::OrderId> after, std::size_t limit) const override;
  std::expected<std::optional<domain::Stock>, ports::StoreError> stock(
      const domain::TenantId& tenant, const domain::ProductId& product) const override;
  std::expected<domain::Contract, ports::StoreError> contract(
      const domain::TenantId& tenant) const override;
  domain::Standing standing(const domain::TenantId& tenant) const override {
    return known_contracts.contains(tenant.str()) ? domain::Standing::own_contract
                                                  : domain::Standing::grouped;
  }
  std::expected<std::vector<std::pair<domain::TenantId, domain::Contract>>, ports::StoreError>
  contracts(const domain::TenantId& after, std::size_t limit) const override;

  void replace(ports::StoredOrder stored);

  /// Called at the beginning of every read, on its thread; may block or throw. Set before the first
  /// request.
  std::function<void()> before_read;
  /// As before_read, for a read of one order.
  std::function<void(const domain::OrderId&)> before_find;
  std::optional<ports::StoreError> error;
  std::map<std::string, domain::Contract> known_contracts;
  mutable ports::OrderQuery last_query;
  mutable ports::DeadLetterQuery last_dead_letter_query;

 private:
  void begin_read() const {
    if (before_read) before_read();
  }
  ports::OrderPage page(const std::function<bool(const domain::Order&)>& wanted,
                        std::size_t limit) const;

  mutable std::mutex mutex_;
  std::map<domain::OrderId, ports::StoredOrder> orders_;
};

/// Keeps the codes of what was logged.
class FakeLog : public ports::Log {
 public:
  bool enabled(ports::LogLevel level) const override { return level >= ports::LogLevel::info; }
  void write(ports::LogLevel level, std::string_view message,
             std::initializer_list<ports::LogField> fields) override;
  std::size_t lines(std::string_view code) const;
  /// Lines whose detail has `part`.
  std::size_t details(std::string_view part) const;

 private:
  mutable std::mutex mutex_;
  std::vector<std::string> codes_;
  std::vector<std::string> details_;
};

class FakeClock : public ports::Clock {
 public:
  domain::Now now() override { return {.wall = kNow, .monotonic = {}}; }
};

/// An answer from the wire.
struct Answer {
  int status = 0;
  std::string head;
  std::string body;

  /// The header's value; "" where there is none.
  std::string header(std::string_view name) const;
  /// The text, or the number's or literal's text, at the member of the body's object; "" where
  /// there is none.
  std::string member(std::string_view name) const;
};

/// Holds those who pass it until it is opened.
class Gate {
 public:
  void open();
  /// Waits until it is open.
  void pass();
  /// How many have come to it.
  std::size_t arrived() const { return arrived_; }
  /// Waits until as many have come.
  void wait_for(std::size_t count);

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool open_ = false;
  std::atomic<std::size_t> arrived_{0};
};

struct Sent {
  std::string_view method = "GET";
  std::string_view target = "/";
  std::string_view body = {};
  std::vector<std::string> headers = {};  ///< whole lines without their end
};

class ApiTest : public testing::Test {
 protected:
  /// Serves with these options; called once by a test that wants others than the open server.
  void serve(ApiOptions options, const Authenticator* authenticator = nullptr);

  /// Sends on a connection of its own; status 0 where it was closed without an answer. Serves an
  /// open server if none was asked for.
  Answer send(const Sent& sent);
  /// The request as it goes over the wire, on a connection that closes or stays.
  static std::string text_of(const Sent& sent, bool keep_alive = false);
  Answer get(std::string_view target) { return send({.target = target}); }
  Answer post(std::string_view target, std::string_view body) {
    return send({.method = "POST", .target = target, .body = body});
  }
  Answer put(std::string_view target, std::string_view body) {
    return send({.method = "PUT", .target = target, .body = body});
  }
  void TearDown() override;

  FakeIntake intake_;
  FakeReader reader_;
  FakeLog log_;
  FakeClock clock_;
  std::atomic<std::uint64_t> random_{1};
  std::unique_ptr<Api> api_;
  std::unique_ptr<net::HttpServer> server_;
};

}  // namespace penstock::api

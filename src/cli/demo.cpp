#include "cli/demo.h"

#include <algorithm>
#include <map>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "cli/demo_server.h"
#include "domain/money.h"
#include "net/descriptor_limit.h"

namespace penstock::cli {
namespace {

constexpr int kFloodOrders = 60;
constexpr int kCrashOrders = 200;

class Demo {
 public:
  Demo(const DemoOptions& options, std::ostream& out)
      : server_(options.program), screen_(out, options.pace, options.colour) {}

  bool run(const StoreAuditor& audit) {
    server_.start_gateway();
    server_.start_server();
    screen_.line(
        fmt::format("a server on {} and a payment gateway of its own are up", server_.url()),
        Mark::quiet);
    stage_by_stage();
    declined();
    fails_twice();
    empty_shelf();
    flooded();
    cancelled();
    killed();
    balance(audit);
    return good_;
  }

 private:
  void expect(bool holds, std::string_view text) {
    good_ = good_ && holds;
    screen_.line(fmt::format("{} {}", holds ? "ok:" : "WRONG:", text),
                 holds ? Mark::good : Mark::bad);
  }

  std::string place(DemoOrder order) {
    order.key = fmt::format("demo-{}", ++keys_);
    DemoServer::Placed const placed = server_.place(order);
    if (placed.status == 202) acknowledged_.push_back(placed.order);
    return placed.order;
  }

  void show_timeline(const std::string& order) {
    for (const DemoEvent& event : server_.events_of(order)) {
      screen_.line(
          fmt::format("{:>12}  {:>10} -> {:<10} {}{}", event.stage,
                      event.from.empty() ? "." : event.from, event.to, event.reason,
                      event.attempt > 1 ? fmt::format(" (attempt {})", event.attempt) : ""));
      screen_.pause(std::chrono::milliseconds(250));
    }
  }

  /// Places an order, follows it to its end and shows how it went.
  void follow(const DemoOrder& order, std::string_view wanted, std::string_view meaning) {
    std::string const id = place(order);
    screen_.line(fmt::format("POST /orders -> 202, order {}", id), Mark::quiet);
    std::string const status = server_.wait_for_end(id);
    show_timeline(id);
    expect(status == wanted, meaning);
  }

  void stage_by_stage() {
    screen_.heading("One order, stage by stage");
    follow({.quantity = 2}, "fulfilled", "accepted, reserved, charged, fulfilled, told");
  }

  void declined() {
    screen_.heading("A declined card: what was held goes back");
    follow({.payment = "pm_decline"}, "cancelled", "the stock is back, nothing was charged");
  }

  void fails_twice() {
    screen_.heading("A payment that fails twice, then works");
    follow({.payment = "pm_fail_2"}, "fulfilled", "retried with backoff, charged once");
  }

  void empty_shelf() {
    screen_.heading("An empty shelf");
    server_.call(net::HttpMethod::put, "/inventory/LAST-ONE", R"({"on_hand":1})");
    follow({.product = "LAST-ONE", .quantity = 2}, "rejected", "two wanted, one there: refused");
  }

  void flooded() {
    screen_.heading("A tenant floods the server: 5 a second, 10 at once are agreed");
    server_.call(net::HttpMethod::put, "/tenants/flood", R"({"rate_per_second":5,"burst":10})");
    std::map<int, int> answers;
    int neighbours = 0;
    std::string retry_after;
    for (int order = 0; order < kFloodOrders; ++order) {
      DemoOrder flood{.key = fmt::format("flood-{}", order), .tenant = "flood"};
      DemoServer::Placed const placed = server_.place(flood);
      ++answers[placed.status];
      if (placed.status == 429 && retry_after.empty()) retry_after = placed.retry_after;
      if (placed.status == 202) acknowledged_.push_back(placed.order);
      if (order % 6 == 0) neighbours += place({}).empty() ? 0 : 1;
    }
    screen_.line(fmt::format("{} orders sent: {} accepted, {} answered 429, Retry-After: {}",
                             kFloodOrders, answers[202], answers[429], retry_after));
    expect(answers[202] >= 10 && answers[429] > 0, "the flood is throttled to its contract");
    expect(neighbours == (kFloodOrders + 5) / 6, "its neighbour had every order accepted");
  }

  void cancelled() {
    screen_.heading("Cancelled while the charge is under way");
    std::string const order = place({.payment = "pm_delay_1500"});
    ServerAnswer const answer = server_.call(net::HttpMethod::post, "/orders/" + order + "/cancel");
    screen_.line(fmt::format("POST /orders/{}/cancel -> {}", order, answer.status), Mark::quiet);
    std::string const status = server_.wait_for_end(order);
    show_timeline(order);
    expect(answer.status == 202 && status == "cancelled",
           "the charge was resolved or closed first; no money was kept");
  }

  void killed() {
    screen_.heading(fmt::format("kill -9 with {} orders under way", kCrashOrders));
    std::vector<std::string> orders;
    orders.reserve(kCrashOrders);
    for (int order = 0; order < kCrashOrders; ++order) {
      orders.push_back(place({.product = fmt::format("PROD-{:03}", 1 + order % 100),
                              .payment = order % 2 == 0 ? "pm_delay_600" : "pm_ok"}));
    }
    server_.kill_server();
    screen_.line("the server is dead; every order had its 202", Mark::bad);
    screen_.pause(std::chrono::milliseconds(1200));
    server_.start_server();
    int open = 0;
    for (const std::string& order : orders) {
      std::string const status = server_.status_of(order);
      open += status == "fulfilled" ? 0 : 1;
    }
    screen_.line(fmt::format("it is back on {}: {} orders were unfinished", server_.url(), open));
    int fulfilled = 0;
    for (const std::string& order : orders) {
      fulfilled += server_.wait_for_end(order) == "fulfilled" ? 1 : 0;
    }
    expect(fulfilled == kCrashOrders,
           fmt::format("{} of {} are fulfilled, none was lost", fulfilled, kCrashOrders));
    expect(open > 0, "some were in flight when it died");
  }

  void balance(const StoreAuditor& audit) {
    screen_.heading("The closing balance");
    int unfinished = 0;
    for (const std::string& order : acknowledged_) {
      std::string const status = server_.wait_for_end(order);
      bool const ended = status == "fulfilled" || status == "rejected" || status == "cancelled";
      unfinished += ended ? 0 : 1;
    }
    expect(unfinished == 0,
           fmt::format("each of the {} acknowledged orders has ended", acknowledged_.size()));
    expect(server_.stop_server(), "the server stopped cleanly");
    server_.stop_gateway();
    auto const report = audit(server_.data(), server_.ledger());
    if (!report) throw DemoFailure(report.error());
    show_money(*report);
    const checker::StockTotals& stock = report->stock;
    screen_.line(fmt::format("stock: received {} = on hand {} + reserved {} + sold {}",
                             stock.received, stock.on_hand, stock.reserved, stock.sold));
    expect(stock.received == stock.on_hand + stock.reserved + stock.sold && stock.reserved == 0,
           "every piece is accounted for");
    expect(report->orders == acknowledged_.size(), "what was acknowledged is stored, and no more");
    for (const checker::Finding& finding : report->findings) {
      screen_.line(fmt::format("{}: {}: {}", checker::to_string(finding.invariant), finding.subject,
                               finding.detail),
                   Mark::bad);
    }
    expect(report->clean(), fmt::format("penstock check: {} violations", report->violations()));
  }

  void show_money(const checker::Report& report) {
    bool balanced = !report.money.empty();
    for (auto const& [code, totals] : report.money) {
      auto const amount = [&code](std::int64_t minor_units) {
        return domain::format_amount(
            {.minor_units = minor_units, .currency = *domain::Currency::parse(code)});
      };
      screen_.line(
          fmt::format("gateway's ledger, {}: captured {} - refunded {}; fulfilled orders {}", code,
                      amount(totals.captured), amount(totals.refunded), amount(totals.fulfilled)));
      balanced = balanced && totals.captured - totals.refunded == totals.fulfilled;
    }
    expect(balanced, "the money agrees to the cent");
  }

  DemoServer server_;
  DemoScreen screen_;
  std::vector<std::string> acknowledged_;
  int keys_ = 0;
  bool good_ = true;
};

}  // namespace

ExitCode demo(const DemoOptions& options, const StoreAuditor& audit, std::ostream& out,
              std::ostream& complaints) {
  net::raise_descriptor_limit();
  try {
    return Demo(options, out).run(audit) ? ExitCode::done : ExitCode::failed;
  } catch (const DemoFailure& failure) {
    complaints << "penstock demo: " << failure.why() << '\n';
    return ExitCode::failed;
  }
}

}  // namespace penstock::cli

#include "cli/demo_server.h"

#include <csignal>
#include <utility>

#include <fmt/format.h>

#include "net/json.h"

namespace penstock::cli {
namespace {

constexpr std::chrono::seconds kStop{60};
constexpr int kWaits = 4;  ///< of 30 seconds each

net::JsonDocument document_of(const ServerAnswer& answer) {
  auto document = net::JsonDocument::parse(answer.body);
  if (!document) throw DemoFailure(fmt::format("the server answered no JSON: {}", answer.body));
  return *std::move(document);
}

std::string text(const net::JsonView& object, std::string_view name) {
  auto const value = object.find(name);
  return value ? std::string(value->as_string().value_or("")) : "";
}

}  // namespace

DemoServer::DemoServer(std::string program) : program_(std::move(program)) {}

void DemoServer::start_gateway() {
  auto started = start_listening({.arguments = {program_, "gateway", "--listen", "127.0.0.1:0",
                                                "--ledger", ledger(), "--latency", "15"},
                                  .log_path = directory_.path() + "/gateway.log"});
  if (!started) throw DemoFailure(started.error());
  gateway_ = std::move(*started);
}

void DemoServer::start_server() {
  auto started = start_listening(
      {.arguments = {program_, "serve", "--listen", "127.0.0.1:0", "--data", data(), "--gateway",
                     gateway_->url, "--demo-catalog", "--retry-base", "300ms", "--retry-cap", "1s"},
       .log_path = directory_.path() + "/server.log"});
  if (!started) throw DemoFailure(started.error());
  server_ = std::move(*started);
  client_ = std::make_unique<ServerClient>(ServerAccess{.url = server_->url, .key = ""});
}

void DemoServer::kill_server() {
  server_->process.kill();
  client_.reset();
}

bool DemoServer::stop_server() {
  client_.reset();
  server_->process.send(SIGTERM);
  return server_->process.wait(kStop) == 0;
}

void DemoServer::stop_gateway() {
  gateway_->process.send(SIGTERM);
  gateway_->process.wait(kStop);
}

ServerAnswer DemoServer::call(net::HttpMethod method, const std::string& target,
                              const std::string& body) {
  auto answer = client_->call(method, target, body);
  if (!answer) throw DemoFailure(answer.error());
  return *std::move(answer);
}

DemoServer::Placed DemoServer::place(const DemoOrder& order) {
  ServerAnswer const answer =
      call(net::HttpMethod::post, "/orders",
           fmt::format(R"({{"customer_id":"demo","tenant_id":"{}","idempotency_key":"{}",)"
                       R"("items":[{{"product_id":"{}","quantity":{},"price":"{}"}}],)"
                       R"("payment":{{"method":"{}"}}}})",
                       order.tenant, order.key, order.product, order.quantity, order.price,
                       order.payment));
  Placed placed{.status = answer.status, .order = "", .retry_after = answer.retry_after};
  if (answer.status == 202) {
    placed.order = text(document_of(answer).root(), "order_id");
  } else if (answer.status != 429) {
    throw DemoFailure(fmt::format("an order was answered {}: {}", answer.status, answer.body));
  }
  return placed;
}

std::string DemoServer::status_of(const std::string& order) {
  return text(document_of(call(net::HttpMethod::get, "/orders/" + order)).root(), "status");
}

std::string DemoServer::wait_for_end(const std::string& order) {
  std::string status;
  for (int wait = 0; wait < kWaits; ++wait) {
    ServerAnswer const answer = call(net::HttpMethod::get, "/orders/" + order + "?wait=30");
    status = text(document_of(answer).root(), "status");
    if (status == "fulfilled" || status == "rejected" || status == "cancelled") break;
  }
  return status;
}

std::vector<DemoEvent> DemoServer::events_of(const std::string& order) {
  net::JsonDocument const document =
      document_of(call(net::HttpMethod::get, "/orders/" + order + "/events"));
  std::vector<DemoEvent> events;
  auto const list = document.root().find("events");
  if (!list) return events;
  for (const net::JsonView event : list->items()) {
    auto const attempt = event.find("attempt");
    events.push_back({.from = text(event, "from"),
                      .to = text(event, "to"),
                      .stage = text(event, "stage"),
                      .reason = text(event, "reason"),
                      .attempt = attempt ? attempt->as_int64().value_or(0) : 0});
  }
  return events;
}

}  // namespace penstock::cli

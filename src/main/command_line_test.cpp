#include <chrono>
#include <csignal>
#include <fstream>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "cli/child_process.h"
#include "cli/server_access.h"
#include "domain/order.h"
#include "main/store_audit.h"
#include "net/json.h"

namespace penstock::main {
namespace {

using cli::ChildProcess;
using std::chrono::minutes;

/// The real program on a directory of its own.
class CommandLine : public testing::Test {
 protected:
  struct Ended {
    int code = -1;
    std::string text;  ///< both of its outputs
  };

  std::string log() const { return directory_.path() + "/log"; }
  std::string data() const { return directory_.path() + "/data"; }

  std::string text_of_log() const {
    std::ostringstream text;
    text << std::ifstream(log()).rdbuf();
    return std::move(text).str();
  }

  Ended run(std::vector<std::string> arguments,
            std::vector<std::pair<std::string, std::string>> environment = {}) {
    arguments.insert(arguments.begin(), PENSTOCK_PROGRAM);
    auto process = ChildProcess::start({.arguments = std::move(arguments),
                                        .log_path = log(),
                                        .environment = std::move(environment)});
    if (!process) return {.code = -1, .text = process.error()};
    auto const code = process->wait(minutes(2));
    return {.code = code.value_or(-1), .text = text_of_log()};
  }

  cli::ListeningProcess serve(std::vector<std::string> more = {}, const std::string& name = "log") {
    std::vector<std::string> arguments{PENSTOCK_PROGRAM, "serve",           "--listen",
                                       "127.0.0.1:0",    "--data",          data(),
                                       "--demo-catalog", "--drain-seconds", "60"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    auto started = cli::start_listening(
        {.arguments = std::move(arguments), .log_path = directory_.path() + "/" + name});
    if (!started) throw std::runtime_error(started.error());
    return std::move(*started);
  }

  static std::string place(cli::ServerClient& client, const std::string& method) {
    auto const answer =
        client.call(net::HttpMethod::post, "/orders",
                    R"({"customer_id":"c","items":[{"product_id":"PROD-001","quantity":2,)"
                    R"("price":10.0}],"payment":{"method":")" +
                        method + "\"}}");
    if (!answer || answer->status != 202) return "";
    auto const document = net::JsonDocument::parse(answer->body);
    return std::string(*document->root().find("order_id")->as_string());
  }

  static std::string status_at_end(cli::ServerClient& client, const std::string& order) {
    auto const answer = client.call(net::HttpMethod::get, "/orders/" + order + "?wait=30");
    if (!answer) return answer.error();
    auto const document = net::JsonDocument::parse(answer->body);
    return std::string(*document->root().find("status")->as_string());
  }

  cli::TemporaryDirectory directory_;
};

TEST_F(CommandLine, wrong_use_ends_with_two_and_says_why) {
  struct Case {
    std::vector<std::string> arguments;
    const char* why;
  };
  for (const Case& wrong :
       {Case{{}, "command is required"},
        Case{{"nonsense"}, "unknown command nonsense"},
        Case{{"serv"}, "did you mean serve?"},
        Case{{"orders", "lsit"}, "did you mean list?"},
        Case{{"serve", "--drain-second", "1"}, "did you mean --drain-seconds?"},
        Case{{"simulate", "--world", "foo"}, "needs single or distributed"},
        Case{{"serve", "--config", "/"}, "is a directory"},
        Case{{"serve", "--no-such-flag"}, "no-such-flag"},
        Case{{"serve", "--drain-seconds", "x"}, "drain-seconds"},
        Case{{"serve", "--listen", "0.0.0.0:0"}, "PENSTOCK_ADMIN_KEY"},
        Case{{"serve", "--store", "aws:"}, "not in this build"},
        Case{{"serve", "--stages", "ingest"}, "postgres"},
        Case{{"worker", "--store", "postgres://h/d"}, "--stage"},
        Case{{"worker", "--store", "postgres://h/d", "--stage", "ingest"}, "penstock serve"},
        Case{{"worker", "--store", "memory:", "--stage", "fulfillment"}, "postgres"},
        Case{{"migrate", "--store", "rocksdb:x"}, "postgres"},
        Case{{"migrate"}, "--store"},
        Case{{"serve", "--config", "/nowhere.toml"}, "/nowhere.toml"},
        Case{{"bench", "--batch", "2"}, "batch"},
        Case{{"bench", "--duration", "0"}, "--orders"},
        Case{{"gateway", "--listen", "x"}, "--listen"},
        Case{{"gateway", "--decline", "1.5"}, "decline"}}) {
    Ended const ended = run(wrong.arguments);
    EXPECT_EQ(ended.code, 2) << ended.text;
    EXPECT_NE(ended.text.find(wrong.why), std::string::npos) << ended.text;
  }
}

TEST_F(CommandLine, help_and_version_end_with_zero) {
  EXPECT_EQ(run({"--help"}).code, 0);
  EXPECT_EQ(run({"serve", "--help"}).code, 0);
  EXPECT_EQ(run({"--version"}).text, "0.1.0\n");
}

TEST_F(CommandLine, print_config_shows_values_and_sources_but_no_secret) {
  std::ofstream(directory_.path() + "/p.toml") << "drain-seconds = 7\n";
  Ended const ended = run(
      {"serve", "--print-config", "--config", directory_.path() + "/p.toml", "--max-active", "99"},
      {{"PENSTOCK_ADMIN_KEY", "swordfish-swordfish-swordfish"}, {"PENSTOCK_HTTP_THREADS", "2"}});
  EXPECT_EQ(ended.code, 0);
  EXPECT_NE(ended.text.find("drain-seconds = 7  # file "), std::string::npos) << ended.text;
  EXPECT_NE(ended.text.find("max-active = 99  # flag --max-active"), std::string::npos);
  EXPECT_NE(ended.text.find("http-threads = 2  # environment"), std::string::npos);
  EXPECT_EQ(ended.text.find("swordfish"), std::string::npos);
}

TEST_F(CommandLine, explain_and_check_tell_by_their_exit_code) {
  EXPECT_EQ(run({"explain", "no-such-code"}).code, 1);
  EXPECT_EQ(run({"check", "--data", data()}).code, 1);
}

TEST_F(CommandLine, an_order_is_fulfilled_and_the_stopped_store_is_clean) {
  auto server = serve();
  std::string order;
  {
    cli::ServerClient client({.url = server.url, .key = ""});
    order = place(client, "pm_ok");
    ASSERT_FALSE(order.empty());
    EXPECT_EQ(status_at_end(client, order), "fulfilled");
  }
  server.process.send(SIGTERM);
  EXPECT_EQ(server.process.wait(minutes(2)), 0) << text_of_log();
  auto const report = audit_store({.data_directory = data(), .ledger_path = ""});
  ASSERT_TRUE(report) << report.error();
  EXPECT_TRUE(report->clean());
  EXPECT_EQ(report->orders, 1U);
  EXPECT_EQ(report->movements, 1U);
  EXPECT_EQ(run({"check", "--data", data()}).code, 0);
}

TEST_F(CommandLine, a_killed_server_goes_on_where_it_was_and_sets_no_stock_again) {
  std::string order;
  {
    auto server = serve();
    cli::ServerClient client({.url = server.url, .key = ""});
    order = place(client, "pm_delay_2000");
    ASSERT_FALSE(order.empty());
    server.process.kill();
  }
  auto server = serve();
  cli::ServerClient client({.url = server.url, .key = ""});
  EXPECT_EQ(status_at_end(client, order), "fulfilled");
  auto const stock = client.call(net::HttpMethod::get, "/inventory/PROD-001");
  ASSERT_TRUE(stock);
  auto const document = net::JsonDocument::parse(stock->body);
  EXPECT_EQ(document->root().find("on_hand")->as_int64(), 999'998);
}

TEST_F(CommandLine, a_drain_refuses_new_orders_and_finishes_what_is_in_flight) {
  auto server = serve();
  cli::ServerClient client({.url = server.url, .key = ""});
  std::string const order = place(client, "pm_delay_3000");
  ASSERT_FALSE(order.empty());
  server.process.send(SIGTERM);
  // Until the signal has arrived the server may still say that it is ready.
  int readiness = 200;
  for (int look = 0; look < 1000 && readiness == 200; ++look) {
    auto const answer = client.call(net::HttpMethod::get, "/readyz");
    ASSERT_TRUE(answer) << answer.error();
    readiness = answer->status;
  }
  EXPECT_EQ(readiness, 503);
  EXPECT_EQ(place(client, "pm_ok"), "");
  EXPECT_EQ(server.process.wait(minutes(2)), 0) << text_of_log();
  auto const report = audit_store({.data_directory = data(), .ledger_path = ""});
  ASSERT_TRUE(report);
  EXPECT_TRUE(report->clean());
  EXPECT_EQ(report->orders_by_status.at(static_cast<std::size_t>(domain::Status::fulfilled)), 1U);
}

TEST_F(CommandLine, a_second_signal_ends_the_drain_at_once_and_loses_nothing) {
  std::string order;
  {
    auto server = serve();
    cli::ServerClient client({.url = server.url, .key = ""});
    order = place(client, "pm_delay_55000");
    ASSERT_FALSE(order.empty());
    server.process.send(SIGTERM);
    auto answer = client.call(net::HttpMethod::get, "/readyz");
    while (answer && answer->status == 200) answer = client.call(net::HttpMethod::get, "/readyz");
    server.process.send(SIGTERM);
    EXPECT_EQ(server.process.wait(minutes(2)), 0) << text_of_log();
  }
  auto const report = audit_store({.data_directory = data(), .ledger_path = ""});
  ASSERT_TRUE(report);
  EXPECT_TRUE(report->clean());
  EXPECT_EQ(report->orders, 1U);
}

TEST_F(CommandLine, a_data_directory_in_use_is_refused_with_its_code) {
  auto server = serve({}, "first");
  Ended const ended = run({"serve", "--listen", "127.0.0.1:0", "--data", data()});
  EXPECT_EQ(ended.code, 1);
  EXPECT_NE(ended.text.find("store-locked"), std::string::npos) << ended.text;
}

TEST_F(CommandLine, a_memory_store_serves_without_a_data_directory) {
  auto server = serve({"--store", "memory:"});
  cli::ServerClient client({.url = server.url, .key = ""});
  EXPECT_EQ(status_at_end(client, place(client, "pm_ok")), "fulfilled");
  server.process.send(SIGTERM);
  EXPECT_EQ(server.process.wait(minutes(2)), 0) << text_of_log();
}

}  // namespace
}  // namespace penstock::main

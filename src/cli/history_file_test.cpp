#include "cli/history_file.h"

#include <cstdio>
#include <fstream>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <unistd.h>

namespace penstock::cli {
namespace {

using checker::Event;

constexpr std::string_view kHeader =
    R"({"event":"history","format":1,"default_contract":{"rate_per_second":"2.5","burst":7}})"
    "\n";
constexpr std::string_view kOrder = "019ab3f2-1111-7000-8000-000000000001";

/// A file of a test, gone with it.
class HistoryFileTest : public ::testing::Test {
 protected:
  ~HistoryFileTest() override { std::remove(path_.c_str()); }

  std::expected<std::vector<Event>, std::string> read(const std::string& lines) {
    std::ofstream(path_) << kHeader << lines;
    auto file = HistoryFile::open(path_);
    if (!file) return std::unexpected(file.error());
    options_ = file->options();
    std::vector<Event> events;
    while (true) {
      auto event = file->next();
      if (!event) return std::unexpected(event.error());
      if (!*event) break;
      events.push_back(std::move(**event));
    }
    quiescence_ = file->quiescence();
    return events;
  }

  std::string path_ = ::testing::TempDir() + "history-file-" + std::to_string(::getpid()) + "-" +
                      ::testing::UnitTest::GetInstance()->current_test_info()->name();
  checker::HistoryOptions options_;
  checker::Quiescence quiescence_ = checker::Quiescence::not_claimed;
};

TEST_F(HistoryFileTest, a_place_and_its_answer_are_read_as_the_api_means_them) {
  auto const events =
      read(R"({"at":5,"event":"invoke","operation":1,"tenant":"acme","request":"place","key":"k",)"
           R"("body":{"customer_id":"c","currency":"JPY","metadata":{"b":"2","a":"1"},)"
           R"("items":[{"product_id":"p","quantity":2,"price":"700"},)"
           R"({"product_id":"q","quantity":1,"price":5}]}})"
           "\n"
           R"({"at":6,"event":"complete","operation":1,"http":202,"replayed":true,"order_id":")" +
           std::string(kOrder) + R"(","order_tenant":"acme","body_digest":"00ff","remaining":3})" +
           "\n"
           R"({"at":6,"event":"quiescent"})"
           "\n");
  ASSERT_TRUE(events) << events.error();
  ASSERT_EQ(events->size(), 3U);
  auto const& invoke = std::get<checker::Invoke>(events->at(0).what);
  auto const& place = std::get<checker::PlaceRequest>(invoke.request);
  EXPECT_EQ(invoke.tenant.str(), "acme");
  EXPECT_EQ(place.key->str(), "k");
  EXPECT_EQ(place.content.total.minor_units, 1405);
  EXPECT_EQ(place.content.total.currency.code(), "JPY");
  EXPECT_EQ(place.content.payment_method, "pm_ok");
  EXPECT_EQ(place.content.items.size(), 2U);
  auto const& answer = std::get<checker::Complete>(events->at(1).what);
  EXPECT_EQ(answer.result, checker::Result::ok);
  EXPECT_EQ(answer.order->str(), kOrder);
  EXPECT_EQ(answer.freshness, checker::Freshness::replayed);
  EXPECT_EQ(answer.remaining_tokens, 3);
  EXPECT_NE(answer.body_digest, 0U);
  EXPECT_EQ(quiescence_, checker::Quiescence::reached);
  EXPECT_EQ(options_.default_contract->burst, 7);
  EXPECT_EQ(options_.store, checker::StoreTap::final_only);
}

TEST_F(HistoryFileTest, what_an_answer_means_is_told_by_its_status_and_code) {
  auto const result_of = [&](const std::string& members) {
    auto const events = read(R"({"at":1,"event":"invoke","operation":1,"request":"redrive"})"
                             "\n"
                             R"({"at":1,"event":"complete","operation":1)" +
                             members + "}\n");
    return std::get<checker::Complete>(events.value().at(1).what);
  };
  EXPECT_EQ(result_of("").result, checker::Result::unknown);
  EXPECT_EQ(result_of(R"(,"http":500)").result, checker::Result::unknown);
  EXPECT_EQ(result_of(R"(,"http":503)").refusal, checker::Refusal::reduced_capacity);
  EXPECT_EQ(result_of(R"(,"http":429,"code":"quota-exceeded")").refusal,
            checker::Refusal::quota_exceeded);
  EXPECT_EQ(result_of(R"(,"http":409,"code":"order-already-terminal")").refusal,
            checker::Refusal::already_terminal);
  EXPECT_EQ(result_of(R"(,"http":418,"code":"teapot")").refusal, checker::Refusal::other);
  EXPECT_EQ(result_of(R"(,"http":200,"status":"fulfilled","version":4)").version.number, 4U);
  EXPECT_EQ(result_of(R"(,"http":200,"on_hand":1,"reserved":2,"sold":3)").stock->received, 6);
}

TEST_F(HistoryFileTest, every_request_has_its_line) {
  std::string const about = R"(,"order_id":")" + std::string(kOrder) + R"("})";
  std::string const begin = R"({"at":1,"event":"invoke","tenant":"t","operation":)";
  auto const events =
      read(begin + R"(1,"request":"read")" + about + "\n" + begin + R"(2,"request":"cancel")" +
           about + "\n" + begin + R"(3,"request":"discard")" + about + "\n" + begin +
           R"(4,"request":"redrive"})"
           "\n" +
           begin +
           R"(5,"request":"set_stock","product_id":"p","on_hand":9})"
           "\n" +
           begin +
           R"(6,"request":"restock","product_id":"p","quantity":9})"
           "\n" +
           begin +
           R"(7,"request":"put_contract","rate_per_second":0.5,"burst":2})"
           "\n"
           R"({"at":1,"event":"subscribed","tenant":"t"})"
           "\n"
           R"({"at":1,"event":"unsubscribed","tenant":"t"})"
           "\n"
           R"({"at":1,"event":"crashed"})"
           "\n"
           R"({"at":1,"event":"started"})"
           "\n");
  ASSERT_TRUE(events) << events.error();
  EXPECT_EQ(events->size(), 11U);
}

TEST_F(HistoryFileTest, a_line_that_cannot_be_meant_is_named) {
  for (std::string const line :
       {R"({"at":1,"event":"nothing"})", R"({"event":"started"})", "{", R"({"at":1})",
        R"({"at":1,"event":"invoke","operation":1,"request":"read","order_id":"x"})",
        R"({"at":1,"event":"complete","operation":1,"http":200})",
        R"({"at":1,"event":"invoke","operation":1,"request":"set_stock","on_hand":1})",
        R"({"at":1,"event":"invoke","operation":1,"tenant":"t","request":"place","body":{}})"}) {
    auto const events = read(line + "\n");
    ASSERT_FALSE(events) << line;
    EXPECT_NE(events.error().find("line 2"), std::string::npos) << events.error();
  }
  auto const backwards = read(R"({"at":2,"event":"started"})"
                              "\n"
                              R"({"at":1,"event":"started"})"
                              "\n");
  ASSERT_FALSE(backwards);
  EXPECT_NE(backwards.error().find("line 3: it goes back in time"), std::string::npos);
}

TEST_F(HistoryFileTest, a_file_without_its_header_is_refused) {
  std::ofstream(path_) << R"({"at":1,"event":"started"})" << '\n';
  EXPECT_FALSE(HistoryFile::open(path_));
  EXPECT_FALSE(HistoryFile::open(path_ + "-missing"));
}

TEST(ParseDelivery, a_line_of_the_receiver_is_read_whole_or_not_at_all) {
  std::string const line = R"({"webhook_id":"msg_1","order_id":")" + std::string(kOrder) +
                           R"(","status":"cancelled","signature":"valid","answer":204})";
  auto const delivered = parse_delivery(line);
  ASSERT_TRUE(delivered);
  EXPECT_EQ(delivered->webhook_id, "msg_1");
  EXPECT_EQ(delivered->status, domain::Status::cancelled);
  EXPECT_EQ(delivered->signature, checker::Signature::valid);
  EXPECT_EQ(delivered->answer, checker::ReceiverAnswer::accepted);
  EXPECT_FALSE(parse_delivery(line.substr(0, line.size() - 1)));
  EXPECT_FALSE(parse_delivery("{}"));
}

}  // namespace
}  // namespace penstock::cli

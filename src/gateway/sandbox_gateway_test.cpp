#include "gateway/sandbox_gateway.h"

#include <csignal>
#include <fstream>
#include <map>
#include <string>
#include <utility>

#include <gtest/gtest.h>
#include <sys/resource.h>

#include "gateway/sandbox_fixture_test.h"

namespace penstock::gateway {
namespace {

using domain::EffectKind;
using domain::OutcomeKind;
using testing::at_ms;
using testing::charge;
using testing::close;
using testing::find;
using testing::refund;

/// A gateway and the outcomes it gave, by ticket.
class SandboxGatewayTest : public ::testing::Test {
 protected:
  void open(SandboxGatewayOptions options = {}) {
    options.ledger_path = path_;
    auto opened = SandboxGateway::open(options);
    ASSERT_TRUE(opened) << to_string(opened.error());
    gateway_ = std::move(*opened);
  }

  void submit(ports::GatewayRequest request, std::int64_t ms) {
    gateway_->submit({&request, 1}, at_ms(ms));
  }

  /// The kinds of the replies that arrived, by ticket.
  std::map<std::uint64_t, OutcomeKind> poll(std::int64_t ms) {
    std::vector<ports::GatewayReply> replies;
    gateway_->poll(replies, at_ms(ms));
    std::map<std::uint64_t, OutcomeKind> kinds;
    for (const auto& reply : replies) {
      EXPECT_TRUE(kinds.emplace(reply.ticket, reply.outcome.kind).second) << "two replies";
    }
    return kinds;
  }

  std::size_t ledger_lines() const {
    std::ifstream file(path_);
    std::size_t lines = 0;
    for (std::string line; std::getline(file, line);) ++lines;
    return lines;
  }

  using Kinds = std::map<std::uint64_t, OutcomeKind>;

  testing::TemporaryDirectory directory_;
  std::string path_ = directory_.file("ledger");
  std::unique_ptr<SandboxGateway> gateway_;
};

TEST_F(SandboxGatewayTest, AnswersAGroupOnlyWhenItsLinesAreInTheLedger) {
  open();
  EXPECT_EQ(gateway_->next_due(), std::nullopt);
  for (std::uint64_t n = 0; n < 700; ++n) submit(charge(n), 0);
  EXPECT_EQ(ledger_lines(), 0u);
  EXPECT_EQ(gateway_->next_due(), at_ms(0).wall);
  const Kinds kinds = poll(0);
  EXPECT_EQ(kinds.size(), 700u);
  EXPECT_EQ(ledger_lines(), 700u);
  EXPECT_EQ(gateway_->next_due(), std::nullopt);
}

TEST_F(SandboxGatewayTest, DecidesRequestsInTheOrderTheyWereSubmitted) {
  open();
  submit(close(1), 0);
  auto late = charge(1);
  late.ticket = 2;
  submit(late, 0);
  EXPECT_EQ(poll(0), (Kinds{{1, OutcomeKind::closed}, {2, OutcomeKind::closed}}));
  EXPECT_EQ(ledger_lines(), 0u);
}

TEST_F(SandboxGatewayTest, ActsAndAnswersWhenTheLatencyHasPassedAndNotBefore) {
  open({.faults = {.latency = domain::Duration::milliseconds(500)}});
  submit(charge(1), 0);
  submit(charge(2, "pm_delay_1000"), 0);
  EXPECT_EQ(gateway_->next_due(), at_ms(500).wall);
  EXPECT_EQ(poll(499), Kinds{});
  EXPECT_EQ(ledger_lines(), 0u);
  EXPECT_EQ(poll(500), (Kinds{{1, OutcomeKind::done}}));
  EXPECT_EQ(gateway_->next_due(), at_ms(1500).wall);
  EXPECT_EQ(poll(1500), (Kinds{{2, OutcomeKind::done}}));
}

TEST_F(SandboxGatewayTest, LetsACloseOvertakeADelayedChargeWhichThenFails) {
  open();
  submit(charge(1, "pm_delay_1000"), 0);
  auto closing = close(1);
  closing.ticket = 2;
  submit(closing, 10);
  EXPECT_EQ(poll(10), (Kinds{{2, OutcomeKind::closed}}));
  EXPECT_EQ(poll(1000), (Kinds{{1, OutcomeKind::closed}}));
  EXPECT_EQ(ledger_lines(), 0u);
}

TEST_F(SandboxGatewayTest, ForgetsWhatWasNotDueWhenItEnds) {
  open({.faults = {.latency = domain::Duration::milliseconds(500)}});
  submit(charge(1), 0);
  EXPECT_EQ(poll(100), Kinds{});
  gateway_.reset();
  open();
  submit(find(1), 200);
  EXPECT_EQ(poll(200), (Kinds{{1, OutcomeKind::not_found}}));
}

TEST_F(SandboxGatewayTest, ProcessesNoMoreAtOnceThanItsConcurrency) {
  open({.faults = {.latency = domain::Duration::milliseconds(100), .concurrency = 2}});
  for (std::uint64_t n = 1; n <= 5; ++n) submit(charge(n), 0);
  EXPECT_EQ(poll(100), (Kinds{{1, OutcomeKind::done}, {2, OutcomeKind::done}}));
  EXPECT_EQ(poll(199), Kinds{});
  EXPECT_EQ(poll(200), (Kinds{{3, OutcomeKind::done}, {4, OutcomeKind::done}}));
  EXPECT_EQ(poll(300), (Kinds{{5, OutcomeKind::done}}));
}

TEST_F(SandboxGatewayTest, WorksOffEveryoneWhereConcurrencyIsOneAndLatencyIsNone) {
  open({.faults = {.concurrency = 1}});
  for (std::uint64_t n = 0; n < 100; ++n) submit(charge(n), 0);
  EXPECT_EQ(poll(0).size(), 100u);
}

TEST_F(SandboxGatewayTest, SaysUnavailableBeyondItsBound) {
  open({.faults = {.latency = domain::Duration::milliseconds(100)}, .max_pending = 2});
  for (std::uint64_t n = 1; n <= 3; ++n) submit(charge(n), 0);
  EXPECT_EQ(gateway_->next_due(), at_ms(0).wall);
  EXPECT_EQ(poll(0), (Kinds{{3, OutcomeKind::unavailable}}));
  EXPECT_EQ(poll(100).size(), 2u);
}

TEST_F(SandboxGatewayTest, DecidesABoundedGroupInAPollAndTheRestInTheNext) {
  constexpr std::size_t kMore = 100;
  open();
  for (std::uint64_t n = 0; n < SandboxGateway::kMaxGroup + kMore; ++n) submit(charge(n), 0);
  EXPECT_EQ(poll(0).size(), SandboxGateway::kMaxGroup);
  EXPECT_EQ(gateway_->next_due(), at_ms(0).wall);
  EXPECT_EQ(poll(0).size(), kMore);
}

TEST_F(SandboxGatewayTest, KnowsEverythingAfterARestart) {
  open();
  submit(charge(1), 0);
  submit(close(2), 0);
  submit(charge(3, "pm_decline"), 0);
  submit(charge(4, "pm_drop_reply"), 0);
  EXPECT_EQ(poll(0).at(4), OutcomeKind::unknown);
  gateway_.reset();
  open();
  submit(refund(1), 0);
  submit(charge(2), 0);
  submit(find(3), 0);
  submit(find(4), 0);
  EXPECT_EQ(poll(0), (Kinds{{1, OutcomeKind::done},
                            {2, OutcomeKind::closed},
                            {3, OutcomeKind::refused},
                            {4, OutcomeKind::done}}));
  EXPECT_EQ(ledger_lines(), 3u);
}

TEST_F(SandboxGatewayTest, NeverAnswersDoneAfterAFailedWrite) {
  open();
  submit(charge(1), 0);
  EXPECT_EQ(poll(0), (Kinds{{1, OutcomeKind::done}}));

  ::signal(SIGXFSZ, SIG_IGN);
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  const rlimit small{.rlim_cur = 10, .rlim_max = before.rlim_max};
  submit(charge(2), 0);
  submit(find(1), 0);
  submit(charge(3, "pm_delay_1000"), 0);
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
  const Kinds kinds = poll(0);
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);

  EXPECT_EQ(
      kinds,
      (Kinds{{1, OutcomeKind::unknown}, {2, OutcomeKind::unknown}, {3, OutcomeKind::unavailable}}));
  EXPECT_TRUE(gateway_->has_failed());
  submit(find(1), 0);
  EXPECT_EQ(poll(0), (Kinds{{1, OutcomeKind::unavailable}}));
  EXPECT_EQ(ledger_lines(), 1u);
}

}  // namespace
}  // namespace penstock::gateway

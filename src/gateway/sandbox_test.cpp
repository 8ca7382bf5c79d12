#include "gateway/sandbox.h"

#include <algorithm>
#include <string>
#include <string_view>

#include <gtest/gtest.h>

#include "gateway/sandbox_fixture_test.h"

namespace penstock::gateway {
namespace {

using domain::Outcome;
using domain::OutcomeKind;
using testing::charge;
using testing::close;
using testing::find;
using testing::refund;

constexpr std::string_view kAt = "2026-11-22T16:00:00.000000Z";

Outcome decide(Sandbox& sandbox, const ports::GatewayRequest& request) {
  return sandbox.decide(request, kAt);
}

OutcomeKind kind_of(Sandbox& sandbox, const ports::GatewayRequest& request) {
  return decide(sandbox, request).kind;
}

/// A sandbox after a restart: it remembers what the lines say.
Sandbox restarted(const Sandbox& before, const SandboxFaults& faults = {}) {
  Sandbox sandbox(faults);
  std::string scratch;
  for (std::string_view text :
       {std::string_view(before.movements()), std::string_view(before.keys())}) {
    for (; !text.empty(); text.remove_prefix(text.find('\n') + 1)) {
      const auto line = parse_line(text.substr(0, text.find('\n')), scratch);
      EXPECT_TRUE(line && sandbox.restore(*line));
    }
  }
  return sandbox;
}

TEST(Sandbox, CapturesOnceUnderAKeyAndAnswersTheSameAgain) {
  Sandbox sandbox({});
  const Outcome first = decide(sandbox, charge(1));
  EXPECT_EQ(first.kind, OutcomeKind::done);
  EXPECT_TRUE(first.reference.starts_with("pi_"));
  EXPECT_EQ(decide(sandbox, charge(1)), first);
  EXPECT_EQ(decide(sandbox, find(1)), first);
  const std::string capture =
      R"({"type":"capture","order_id":")" + testing::order_id(1).str() +
      R"(","idempotency_key":")" + charge(1).key +
      R"(","minor_units":2000,"currency":"USD","at":"2026-11-22T16:00:00.000000Z",)" +
      R"("method":"pm_ok","check":")";
  EXPECT_TRUE(sandbox.movements().starts_with(capture)) << sandbox.movements();
  EXPECT_EQ(std::ranges::count(sandbox.movements(), '\n'), 1);
}

TEST(Sandbox, RefusesAKeyWithOtherParametersAsPermanent) {
  Sandbox sandbox({});
  ASSERT_EQ(kind_of(sandbox, charge(1)), OutcomeKind::done);
  auto other = charge(1);
  other.amount.minor_units += 1;
  EXPECT_EQ(kind_of(sandbox, other), OutcomeKind::permanent);
  other = charge(1);
  other.amount.currency = *domain::Currency::parse("EUR");
  EXPECT_EQ(kind_of(sandbox, other), OutcomeKind::permanent);
  other = charge(1);
  other.order = testing::order_id(2);
  EXPECT_EQ(kind_of(sandbox, other), OutcomeKind::permanent);
  EXPECT_EQ(kind_of(sandbox, charge(1, "pm_decline")), OutcomeKind::permanent);
  other = refund(1);
  other.key = charge(1).key;
  EXPECT_EQ(kind_of(sandbox, other), OutcomeKind::permanent);
  EXPECT_EQ(kind_of(sandbox, charge(1)), OutcomeKind::done);
}

TEST(Sandbox, MeetsItsCallersWithTheFaultThatTheMethodNames) {
  Sandbox sandbox({});
  for (int again = 0; again < 3; ++again) {
    EXPECT_EQ(kind_of(sandbox, charge(1, "pm_reject")), OutcomeKind::permanent);
    EXPECT_EQ(kind_of(sandbox, charge(2, "pm_closed")), OutcomeKind::closed);
    EXPECT_EQ(kind_of(sandbox, charge(3, "pm_busy")), OutcomeKind::unavailable);
  }
  EXPECT_EQ(sandbox.movements(), "");
}

TEST(Sandbox, RefusesWhatNoGatewayCouldCharge) {
  Sandbox sandbox({});
  EXPECT_EQ(kind_of(sandbox, charge(1, "pm_unknown")), OutcomeKind::refused);
  auto request = charge(1);
  request.amount.minor_units = 0;
  EXPECT_EQ(kind_of(sandbox, request), OutcomeKind::permanent);
  request = charge(1);
  request.key = "";
  EXPECT_EQ(kind_of(sandbox, request), OutcomeKind::permanent);
  request = charge(1);
  request.key = "line\nbreak";
  EXPECT_EQ(kind_of(sandbox, request), OutcomeKind::permanent);
  request.kind = domain::EffectKind::fulfill;
  EXPECT_EQ(kind_of(sandbox, request), OutcomeKind::permanent);
  EXPECT_EQ(sandbox.movements(), "");
}

TEST(Sandbox, ClosesAnUnknownKeySoThatALateChargeNeverActs) {
  Sandbox sandbox({});
  EXPECT_EQ(kind_of(sandbox, find(1)), OutcomeKind::not_found);
  EXPECT_EQ(kind_of(sandbox, close(1)), OutcomeKind::closed);
  EXPECT_EQ(kind_of(sandbox, charge(1)), OutcomeKind::closed);
  EXPECT_EQ(kind_of(sandbox, find(1)), OutcomeKind::closed);
  EXPECT_EQ(kind_of(sandbox, close(1)), OutcomeKind::closed);
  EXPECT_EQ(sandbox.movements(), "");
}

TEST(Sandbox, AnswersTheCloseOfACapturedKeyWithTheCapture) {
  Sandbox sandbox({});
  const Outcome captured = decide(sandbox, charge(1));
  EXPECT_EQ(decide(sandbox, close(1)), captured);
  EXPECT_EQ(decide(sandbox, charge(1)), captured);
}

TEST(Sandbox, KeepsADeclineUnderItsKey) {
  Sandbox sandbox({});
  EXPECT_EQ(kind_of(sandbox, charge(1, "pm_decline")), OutcomeKind::refused);
  EXPECT_EQ(kind_of(sandbox, charge(1, "pm_decline")), OutcomeKind::refused);
  EXPECT_EQ(kind_of(sandbox, find(1)), OutcomeKind::refused);
  EXPECT_EQ(kind_of(sandbox, close(1)), OutcomeKind::closed);
  EXPECT_EQ(sandbox.movements(), "");
}

TEST(Sandbox, RemembersKeysOverARestart) {
  Sandbox before({});
  const Outcome captured = decide(before, charge(1));
  decide(before, close(2));
  decide(before, charge(3, "pm_decline"));
  decide(before, charge(4));
  const Outcome refunded = decide(before, refund(4));

  Sandbox after = restarted(before);
  EXPECT_EQ(after.size(), before.size());
  EXPECT_EQ(decide(after, charge(1)), captured);
  EXPECT_EQ(kind_of(after, charge(2)), OutcomeKind::closed);
  EXPECT_EQ(kind_of(after, charge(3, "pm_decline")), OutcomeKind::refused);
  EXPECT_EQ(decide(after, refund(4)), refunded);
  auto again = refund(4);
  again.key += ".2";
  EXPECT_EQ(kind_of(after, again), OutcomeKind::refused);
  auto other = charge(1);
  other.amount.minor_units = 1;
  EXPECT_EQ(kind_of(after, other), OutcomeKind::permanent);
  EXPECT_EQ(after.movements(), "");
}

TEST(Sandbox, DoesNotRestoreContradictions) {
  Sandbox sandbox({});
  const std::string order = testing::order_id(1).str();
  LedgerLine line{.type = LineType::refund,
                  .order_id = order,
                  .key = "refund",
                  .minor_units = 10,
                  .currency = "USD",
                  .at = kAt,
                  .payment_intent = hash_key("charge")};
  EXPECT_FALSE(sandbox.restore(line)) << "nothing was captured";
  const LedgerLine capture{.type = LineType::capture,
                           .order_id = order,
                           .key = "charge",
                           .minor_units = 9,
                           .currency = "USD",
                           .at = kAt,
                           .method = "pm_ok"};
  EXPECT_TRUE(sandbox.restore(capture));
  EXPECT_FALSE(sandbox.restore(capture)) << "a key acts once";
  EXPECT_FALSE(sandbox.restore(line)) << "more than was captured";
  line.minor_units = 9;
  EXPECT_TRUE(sandbox.restore(line));
}

TEST(Sandbox, PaysBackOnceAndNeverMoreThanWasCaptured) {
  Sandbox sandbox({});
  EXPECT_EQ(kind_of(sandbox, refund(1)), OutcomeKind::refused) << "nothing captured";
  const Outcome captured = decide(sandbox, charge(1));
  auto request = refund(1);
  request.reference = captured.reference;
  auto greedy = request;
  greedy.amount.minor_units += 1;
  EXPECT_EQ(kind_of(sandbox, greedy), OutcomeKind::refused);
  auto foreign = request;
  foreign.amount.currency = *domain::Currency::parse("JPY");
  EXPECT_EQ(kind_of(sandbox, foreign), OutcomeKind::refused);
  const Outcome refunded = decide(sandbox, request);
  EXPECT_EQ(refunded.kind, OutcomeKind::done);
  EXPECT_TRUE(refunded.reference.starts_with("re_"));
  EXPECT_EQ(decide(sandbox, request), refunded);
  auto second = request;
  second.key += ".2";
  EXPECT_EQ(kind_of(sandbox, second), OutcomeKind::refused);
  EXPECT_EQ(decide(sandbox, find(1)), captured) << "a refund does not undo the capture";
}

TEST(Sandbox, RefusesARefundWhoseReferenceAndChargeKeyDisagree) {
  Sandbox sandbox({});
  const Outcome first = decide(sandbox, charge(1));
  decide(sandbox, charge(2));
  auto request = refund(2);
  request.reference = first.reference;
  EXPECT_EQ(kind_of(sandbox, request), OutcomeKind::permanent);
  request.reference = "nonsense";
  EXPECT_EQ(kind_of(sandbox, request), OutcomeKind::permanent);
}

TEST(Sandbox, FailsNTimesAnOrderAlsoUnderAnotherKey) {
  Sandbox sandbox({});
  EXPECT_EQ(kind_of(sandbox, charge(1, "pm_fail_3")), OutcomeKind::transient);
  EXPECT_EQ(kind_of(sandbox, charge(1, "pm_fail_3")), OutcomeKind::transient);
  auto redriven = charge(1, "pm_fail_3");
  redriven.key += ".1";
  EXPECT_EQ(kind_of(sandbox, redriven), OutcomeKind::transient);
  EXPECT_EQ(kind_of(sandbox, redriven), OutcomeKind::done);
  EXPECT_EQ(kind_of(sandbox, charge(2, "pm_fail_0")), OutcomeKind::done);
}

TEST(Sandbox, ActsBeforeItLosesTheReplyAndLosesItOnce) {
  Sandbox sandbox({});
  EXPECT_EQ(kind_of(sandbox, charge(1, "pm_drop_reply")), OutcomeKind::unknown);
  EXPECT_FALSE(sandbox.movements().empty());
  EXPECT_EQ(kind_of(sandbox, find(1)), OutcomeKind::done);
  EXPECT_EQ(kind_of(sandbox, charge(1, "pm_drop_reply")), OutcomeKind::done);
}

TEST(Sandbox, DelaysOnlyTheChargeThatAsksForIt) {
  const Sandbox sandbox({.latency = domain::Duration::milliseconds(20)});
  EXPECT_EQ(sandbox.processing_time(charge(1)), domain::Duration::milliseconds(20));
  EXPECT_EQ(sandbox.processing_time(charge(1, "pm_delay_100")),
            domain::Duration::milliseconds(120));
  auto asking = charge(1, "pm_delay_100");
  asking.kind = domain::EffectKind::find_charge;
  EXPECT_EQ(sandbox.processing_time(asking), domain::Duration::milliseconds(20));
}

/// How many of 20 000 charges end so.
int count_of(const SandboxFaults& faults, OutcomeKind kind) {
  Sandbox sandbox(faults);
  int count = 0;
  for (std::uint64_t n = 0; n < 20'000; ++n) count += kind_of(sandbox, charge(n)) == kind ? 1 : 0;
  return count;
}

TEST(Sandbox, FailsInTheSharesItWasTold) {
  EXPECT_NEAR(count_of({.decline = 0.25}, OutcomeKind::refused), 5'000, 300);
  EXPECT_NEAR(count_of({.fail = 0.25}, OutcomeKind::transient), 5'000, 300);
  EXPECT_NEAR(count_of({.drop_reply = 0.25}, OutcomeKind::unknown), 5'000, 300);
  EXPECT_EQ(count_of({.decline = 1}, OutcomeKind::refused), 20'000);
  EXPECT_EQ(count_of({.fail = 1}, OutcomeKind::transient), 20'000);
  EXPECT_EQ(count_of({.drop_reply = 1}, OutcomeKind::unknown), 20'000);
  EXPECT_EQ(count_of({}, OutcomeKind::done), 20'000);
}

TEST(Sandbox, DeclinesTheSameKeysInAnyOrderUnderOneSeed) {
  Sandbox forward({.decline = 0.5});
  Sandbox backward({.decline = 0.5});
  for (std::uint64_t n = 0; n < 1'000; ++n) decide(forward, charge(n));
  for (std::uint64_t n = 1'000; n-- > 0;) {
    EXPECT_EQ(decide(backward, charge(n)), decide(forward, charge(n))) << n;
  }
}

TEST(PaymentMethod, IsReadExactly) {
  EXPECT_EQ(parse_payment_method("pm_ok")->kind, MethodKind::pays);
  EXPECT_EQ(parse_payment_method("pm_fail_12")->failures, 12u);
  EXPECT_EQ(parse_payment_method("pm_delay_600000")->delay, domain::Duration::seconds(600));
  for (const char* text :
       {"", "pm_", "pm_ok ", "PM_OK", "pm_fail_", "pm_fail_-1", "pm_fail_1x", "pm_fail_1000001",
        "pm_delay_600001", "pm_delay_99999999999", "pm_visa"}) {
    EXPECT_FALSE(parse_payment_method(text)) << text;
  }
}

}  // namespace
}  // namespace penstock::gateway

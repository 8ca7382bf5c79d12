#include "checker/attempt_rules.h"

#include <string>
#include <utility>

#include <fmt/format.h>

namespace penstock::checker {
namespace {

using domain::DeadLetterState;
using domain::Event;
using domain::Order;
using domain::Reason;
using domain::Status;

/// One run of a stage, as far as the events tell.
struct Run {
  int failures = 0;
  bool permanent = false;    ///< an error that is tried once only
  bool interrupted = false;  ///< it ended its process too often, alone
  Reason first = Reason::none;
  Reason last = Reason::none;
};

/// A reported failure of a stage's effect: the order stays where it is, and is tried again.
bool is_failure(const Event& event) {
  bool const tried = event.to == Status::reserved || event.to == Status::charged;
  return tried && event.from == event.to &&
         (event.reason == Reason::gateway_unavailable || event.reason == Reason::gateway_rejected ||
          event.reason == Reason::charge_key_closed ||
          event.reason == Reason::fulfillment_unavailable);
}

class Replay {
 public:
  Replay(const Order& order, int max_attempts, Report& report)
      : order_(order), max_attempts_(max_attempts), report_(report) {}

  void follow(const Event& event) {
    if (is_failure(event)) return fail(event);
    switch (event.reason) {
      case Reason::dead_lettered:
        expect_attempt(event, run_.failures);
        break;
      case Reason::payment_captured:
      case Reason::receipt_issued:
        expect_attempt(event, run_.failures + 1);
        break;
      case Reason::interrupted:
        run_.interrupted = event.from == event.to;
        break;
      case Reason::redriven:
        run_ = {};
        break;
      default:
        break;
    }
    if (event.from == event.to) return;
    bool const goes_on = event.to == Status::charged || event.to == Status::fulfilled;
    if (run_.interrupted && goes_on) {
      report_.add(Invariant::interrupted_stays_out, order_.id.str(),
                  fmt::format("version {} goes on to {}", event.version.number,
                              domain::to_string(event.to)));
    }
    run_ = {};
  }

  void finish() {
    if (!order_.dead_letter || order_.dead_letter->state != DeadLetterState::open) return;
    const domain::DeadLetter& mark = *order_.dead_letter;
    // What ended the process has no event of its own in every stage.
    bool const interrupted = mark.last_error == Reason::interrupted;
    bool const first_fits =
        mark.first_error == run_.first ||
        (run_.failures == 0 && interrupted && mark.first_error == Reason::interrupted);
    // The key that no other follows, for want of room in the timeline, is no attempt.
    bool const keys_used_up = mark.last_error == Reason::charge_key_expired;
    if (!(first_fits || keys_used_up) ||
        !(mark.last_error == run_.last || interrupted || keys_used_up) ||
        mark.attempts != run_.failures) {
      report_.add(
          Invariant::dead_letter_consistent, order_.id.str(),
          fmt::format("it says {} then {} in {} attempts, its timeline {} then {} in {}",
                      domain::to_string(mark.first_error), domain::to_string(mark.last_error),
                      mark.attempts, domain::to_string(run_.first), domain::to_string(run_.last),
                      run_.failures));
    }
  }

 private:
  void complain(const Event& event, std::string_view what) {
    report_.add(Invariant::bounded_attempts, order_.id.str(),
                fmt::format("version {}: {}", event.version.number, what));
  }
  void expect_attempt(const Event& event, int expected) {
    if (event.attempt == expected) return;
    complain(event, fmt::format("attempt {} of its run is numbered {}", expected, event.attempt));
  }
  void fail(const Event& event) {
    if (run_.permanent) {
      complain(event, "another attempt after a permanent error");
    } else if (run_.failures >= max_attempts_) {
      complain(event, fmt::format("another attempt after {}", run_.failures));
    }
    run_.failures += 1;
    run_.permanent = run_.permanent || event.reason == Reason::gateway_rejected;
    if (run_.first == Reason::none) run_.first = event.reason;
    run_.last = event.reason;
    expect_attempt(event, run_.failures);
  }

  const Order& order_;
  int max_attempts_;
  Report& report_;
  Run run_;
};

}  // namespace

void check_attempts(const Order& order, int max_attempts, Report& report) {
  Replay replay(order, max_attempts, report);
  for (const Event& event : order.timeline) replay.follow(event);
  replay.finish();
}

ClaimedFailures claimed_failures(const Order& order) {
  ClaimedFailures claimed;
  for (const Event& event : order.timeline) {
    if (event.reason == Reason::fulfillment_refused && event.from == Status::charged) {
      ++claimed.refused_handovers;
    } else if (is_failure(event) && event.reason == Reason::gateway_rejected) {
      ++claimed.rejected_charges;
    } else if (is_failure(event) && event.reason != Reason::charge_key_closed) {
      ++(event.to == Status::charged ? claimed.of_handovers : claimed.of_charges);
    }
  }
  return claimed;
}

}  // namespace penstock::checker

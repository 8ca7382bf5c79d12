#include "pipeline/careful_run.h"

#include <algorithm>

#include "domain/limits.h"
#include "domain/saga.h"

namespace penstock::pipeline {
namespace {

constexpr std::size_t kMarkedAtOnce = 64;
constexpr domain::Duration kLongEnough = domain::Duration::seconds(60);

}  // namespace

CarefulRun::CarefulRun(ports::OrderStore& store, domain::Now now)
    : store_(store), started_(now.wall) {
  const ports::Recovery recovery = store.recovery();
  careful_ = recovery.unclean_ends >= domain::limits::kUncleanEndsBeforeMarks;
  settled_ = recovery.unclean_ends == 0;
}

std::size_t CarefulRun::limit(std::size_t usual) const {
  return careful_ ? std::min(usual, kMarkedAtOnce) : usual;
}

CarefulRun::Verdict CarefulRun::verdict(const domain::Order& order) const {
  // The counts of an order are reset by every commit of it, so they say "in a row".
  constexpr auto kAlone = domain::limits::kUncleanEndsBeforeMarks;
  if (order.interruptions >= kAlone + domain::limits::kMaxInterruptionsAlone) {
    return was_interrupted(order) ? Verdict::run_alone : Verdict::give_up;
  }
  return order.interruptions >= kAlone ? Verdict::run_alone : Verdict::run;
}

bool CarefulRun::mark(std::span<const domain::OrderId> orders) {
  if (!careful_ || (orders.empty() && !marked_)) return true;
  const bool stored = store_.mark(orders).has_value();
  marked_ = !stored || !orders.empty();
  return stored;
}

void CarefulRun::look(domain::Now now, bool nothing_waits) {
  if (settled_ || (!nothing_waits && now.wall - started_ < kLongEnough)) return;
  if (!mark({})) return;
  careful_ = false;
  settled_ = store_.settled().has_value();
}

}  // namespace penstock::pipeline

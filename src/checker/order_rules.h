#pragma once

#include "checker/attempt_rules.h"
#include "checker/report.h"
#include "domain/order.h"

namespace penstock::checker {

enum class ReceiptPresence { absent, present };

/// Everything that one record can break by itself: versions and times, transitions (replayed
/// against an automaton of the checker's own, so that a defect of the product's is not its own
/// judge), one terminal state, attempts, receipt, held stock, the sum of its lines, where its money
/// is said to be, dead letter. Findings go to `report` under the order's id. Pure.
void check_order(const domain::Order& order, ReceiptPresence receipt, Report& report,
                 int max_attempts = kMaxAttempts);

}  // namespace penstock::checker

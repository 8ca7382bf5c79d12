#pragma once

#include "checker/event.h"
#include "checker/order_state.h"
#include "checker/report.h"

namespace penstock::checker {

/// The digest of a tenant's order content, by which a stored order is recognised.
std::uint64_t content_digest(const domain::TenantId& tenant, const OrderContent& content);
std::uint64_t content_digest(const domain::Order& order);

/// Judges a record against the one that it replaces: its version is newer, its past is what was
/// stored before, what may not change did not, and everything `check_order` asks of one record.
/// Leaves the new status, version and charge in `state`; the caller looks at their old values
/// first.
void follow_commit(const CommittedView& commit, Step step, int max_attempts, OrderState& state,
                   Report& report);

/// Judges the record that the store holds at its end against what was committed, where commits
/// are followed, and against what clients were shown of it.
enum class CommitsKnown : std::uint8_t { yes, no };
void check_final_record(const domain::Order& order, CommitsKnown commits, OrderState& state,
                        Report& report);

}  // namespace penstock::checker

#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>

#include "domain/ids.h"
#include "domain/money.h"
#include "domain/order.h"

namespace penstock::checker {

/// Tenants by number, in the order in which the history names them.
using TenantNumber = std::uint32_t;
inline constexpr TenantNumber kNoTenant = UINT32_MAX;

/// A place in the history: how many events came before.
using Step = std::uint64_t;

/// What a history knows of one order: all that later events can still contradict.
struct OrderState {
  /// By version, the status that a commit or a read showed; 0 where none did. Few versions, so it
  /// stays inside the string.
  std::string statuses;
  Step first_stored = 0;
  Step ended = 0;
  std::uint64_t content = 0;     ///< digest of tenant and content; of a claim until it is stored
  std::uint64_t immutable = 0;   ///< digest of what no commit may change
  std::uint64_t timeline = 0;    ///< digest of the events up to `stored`
  std::uint64_t webhook_id = 0;  ///< digest of the id it was delivered under
  std::uint64_t reference = 0;   ///< digest of the gateway's reference of its capture; 0: unknown
  std::int64_t total = 0;
  std::int64_t asked = -1;  ///< the first amount the gateway was asked for, or moved
  std::int64_t captured = 0;
  std::int64_t refunded = 0;
  std::uint32_t stored = 0;  ///< version of the last commit
  std::uint32_t seen = 0;    ///< the newest version that a client was shown
  TenantNumber tenant = kNoTenant;
  std::int32_t closed_generation = -1;  ///< the newest charge key that the gateway gave up
  std::int32_t opened_generation = -1;  ///< the newest charge key that a commit justified
  std::uint16_t captures = 0;
  std::uint16_t failed_charges = 0;    ///< that the gateway told of
  std::uint16_t rejected_charges = 0;  ///< that it told of
  std::uint16_t failed_handovers = 0;  ///< that the fulfiller told of
  domain::Currency currency;
  domain::Currency asked_currency;
  domain::Status status = domain::Status::placed;  ///< as stored
  domain::Charge charge = domain::Charge::none;    ///< as stored
  std::int8_t in_flight = 0;  ///< totals that the ledger is ahead of the record: -1, 0, 1
  bool acknowledged : 1 = false;
  bool acknowledged_fresh : 1 = false;
  bool keyed : 1 = false;
  bool cancel_acknowledged : 1 = false;
  bool cancel_refused : 1 = false;
  bool in_final_store : 1 = false;
  bool delivery_owed : 1 = false;
  bool delivered : 1 = false;
  bool delivery_excused : 1 = false;  ///< pending or given up at the end
  bool delivered_status_known : 1 = false;
  bool handover_refused : 1 = false;  ///< the fulfiller said so
  bool dead_letter_open : 1 = false;  ///< as stored
  domain::Status delivered_status = domain::Status::placed;

  /// The newest version that a read invoked now must not fall behind.
  std::uint32_t floor() const { return stored > seen ? stored : seen; }
};

using OrderTable = std::unordered_map<domain::OrderId, OrderState>;

inline bool has_ended(domain::Status status) {
  return status == domain::Status::fulfilled || status == domain::Status::rejected ||
         status == domain::Status::cancelled;
}

}  // namespace penstock::checker

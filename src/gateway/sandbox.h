#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>

#include "domain/ids.h"
#include "domain/instant.h"
#include "domain/saga.h"
#include "gateway/key_table.h"
#include "gateway/ledger_line.h"
#include "gateway/payment_method.h"
#include "ports/payment_gateway.h"

namespace penstock::gateway {

/// What the gateway does wrong on purpose. Shares are of 0 to 1.
struct SandboxFaults {
  double decline = 0;          ///< of charge keys: declined, always the same ones under one seed
  double fail = 0;             ///< of charges and refunds that would act: transient failure instead
  double drop_reply = 0;       ///< of charges and refunds that acted: the answer is lost
  domain::Duration latency{};  ///< before each request is processed
  std::size_t concurrency = 0;  ///< requests in process at one time, others wait; 0: no bound
  std::uint64_t seed = 1;       ///< of the shares
};

/// The rules of the sandbox payment gateway, without files, time or sockets: one decision a
/// request, the lines that make it durable aside for the caller. A caller answers only after it
/// has stored them. Not thread-safe.
///
/// - Under one key: a request with the parameters of the one that acted (order, amount, currency;
///   a charge's method; a refund's capture) gets the same answer; with others it is `permanent`.
///   Only captures, refunds, declines and closes are remembered; a transient failure is not.
/// - charge: `done` with the capture's reference, `refused` (declined), `closed` under a closed
///   key, `transient` (a fault), `permanent` (an unknown method, a bad key or amount).
/// - find_charge: `done`, `refused`, `closed`, or `not_found`.
/// - close_charge: `done` if the key captured; else `closed`, and no charge under it acts any more.
/// - refund: `done` with a reference; `refused` where nothing was captured under the charge's key,
///   the amount is more than the capture or in another currency, or another key paid it back.
/// - pm_fail_N counts per order, in memory, so that a redrive under a new key counts on. An order
///   beyond kMaxCountedOrders is `unavailable`.
/// - `unknown` says that the request acted and its answer is to be lost.
class Sandbox {
 public:
  explicit Sandbox(const SandboxFaults& faults);

  /// Makes room for the keys that a ledger of that size holds.
  void reserve_for_ledger(std::uint64_t bytes);

  /// Takes a stored line back in; false if it contradicts an earlier one.
  bool restore(const LedgerLine& line);

  /// Decides one request; `at` (RFC 3339) goes into its lines.
  domain::Outcome decide(const ports::GatewayRequest& request, std::string_view at);

  /// How long the request is in process before it is decided.
  domain::Duration processing_time(const ports::GatewayRequest& request) const;

  /// The lines of the decisions since the last clear_lines, for the ledger and its keys file.
  const std::string& movements() const { return movements_; }
  const std::string& keys() const { return keys_; }
  void clear_lines();

  /// Keys remembered.
  std::size_t size() const { return table_.size(); }
  std::size_t memory_bytes() const { return table_.memory_bytes(); }

  static constexpr std::size_t kMaxCountedOrders = 1'000'000;

 private:
  struct Request;

  domain::Outcome charge(const Request& request);
  domain::Outcome charge_under_new_key(const Request& request);
  domain::Outcome refund(const Request& request);
  domain::Outcome find(KeyHash hash);
  domain::Outcome close(const Request& request);
  domain::Outcome capture(const Request& request, const PaymentMethod& method);
  bool fails_at_first(const domain::OrderId& order, std::uint32_t failures);
  void remember(const Request& request, KeyState state);
  bool draw(double share);

  SandboxFaults faults_;
  KeyTable table_;
  std::unordered_map<domain::OrderId, std::uint32_t> failures_;
  std::uint64_t random_;
  std::string movements_;
  std::string keys_;
};

}  // namespace penstock::gateway

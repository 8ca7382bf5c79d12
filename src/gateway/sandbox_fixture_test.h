#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include <stdlib.h>

#include "domain/ids.h"
#include "domain/instant.h"
#include "domain/money.h"
#include "ports/payment_gateway.h"

/// What the tests of the gateway and of its client build on: valid requests of which a test changes
/// one field, and a directory of its own.
namespace penstock::gateway::testing {

/// 2026-11-22T16:00:00Z.
inline constexpr domain::Instant kStart{1'795'363'200'000'000};

inline domain::Now at_ms(std::int64_t ms) {
  return {.wall = kStart + domain::Duration::milliseconds(ms), .monotonic = {ms * 1'000'000}};
}

/// The n-th order of a test.
inline domain::OrderId order_id(std::uint64_t n) {
  return domain::OrderId::make(kStart, 7, n);
}

inline ports::GatewayRequest charge(std::uint64_t n, std::string method = "pm_ok") {
  ports::GatewayRequest request;
  request.ticket = n;
  request.kind = domain::EffectKind::charge;
  request.order = order_id(n);
  request.key = request.order.str() + "/charge";
  request.amount = {.minor_units = 2000, .currency = domain::Currency::usd()};
  request.method = std::move(method);
  return request;
}

inline ports::GatewayRequest find(std::uint64_t n) {
  ports::GatewayRequest request = charge(n);
  request.kind = domain::EffectKind::find_charge;
  return request;
}

inline ports::GatewayRequest close(std::uint64_t n) {
  ports::GatewayRequest request = charge(n);
  request.kind = domain::EffectKind::close_charge;
  return request;
}

inline ports::GatewayRequest refund(std::uint64_t n) {
  ports::GatewayRequest request = charge(n);
  request.kind = domain::EffectKind::refund;
  request.charge_key = request.key;
  request.key = request.order.str() + "/refund";
  return request;
}

/// A directory that goes when the test ends.
class TemporaryDirectory {
 public:
  TemporaryDirectory() {
    std::string form = (std::filesystem::temp_directory_path() / "penstock-XXXXXX").string();
    if (::mkdtemp(form.data()) != nullptr) path_ = form;
  }
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  ~TemporaryDirectory() {
    std::error_code ignored;
    if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
  }

  std::string file(const std::string& name) const { return (path_ / name).string(); }

 private:
  std::filesystem::path path_;
};

}  // namespace penstock::gateway::testing

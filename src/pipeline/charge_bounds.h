#pragma once

#include <cstddef>
#include <functional>
#include <unordered_set>

#include "domain/ids.h"
#include "domain/instant.h"
#include "ports/log.h"
#include "ports/order_reader.h"
#include "ports/order_store.h"

namespace penstock::pipeline {

/// Whose charges are held back because open dead letters or owed refunds are at a bound: a tenant's
/// share of them, the group's, or, as a last resort, that of all (domain/fair_share.h over
/// kMaxDeadLetters, kMaxOwedRefunds). Charges fill these, closes and refunds empty them. A line is
/// logged when it begins for a tenant and when it ends. Not thread-safe.
class ChargeBounds {
 public:
  ChargeBounds(const ports::OrderStore& store, const ports::OrderReader& reader, ports::Log& log)
      : store_(store), reader_(reader), log_(log) {}

  /// Looks at the store's depths, at most once in kLook.
  void look(domain::Now now);

  bool holds_back(const domain::TenantId& tenant) const;
  /// Charges of all tenants are held back.
  bool holds_back_all() const { return is_total_; }
  /// Tenants that are held back by name; the group counts as one.
  std::size_t held_back() const { return tenants_.size() + (is_group_ ? 1 : 0); }

 private:
  static constexpr domain::Duration kLook = domain::Duration::milliseconds(100);

  void tell(const std::unordered_set<domain::TenantId>& before, bool group_before,
            bool total_before);

  const ports::OrderStore& store_;
  const ports::OrderReader& reader_;
  ports::Log& log_;
  domain::Instant looked_at_;
  std::unordered_set<domain::TenantId> tenants_;
  bool is_group_ = false;
  bool is_total_ = false;
};

}  // namespace penstock::pipeline

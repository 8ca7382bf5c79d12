#pragma once

#include <chrono>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_set>

#include "domain/ids.h"
#include "domain/instant.h"

namespace penstock::postgres_store {

/// The names of the tenants with a contract of their own, as they were at most `age` ago: for
/// questions that are asked for every order. While they cannot be had, the last known ones count.
/// Thread-safe; one caller at a time waits for the answer, the others go by the last one. Bounded
/// by the tenants that the store admits.
class ContractNames {
 public:
  using Names = std::unordered_set<std::string>;

  explicit ContractNames(domain::Duration age) : age_(age.us) {}

  /// `ask()` returns the names, or nothing where they cannot be had.
  template <typename Ask>
  bool contains(const domain::TenantId& tenant, Ask ask) {
    const auto now = std::chrono::steady_clock::now();
    std::shared_ptr<const Names> names;
    bool is_mine_to_ask = false;
    {
      const std::lock_guard lock(mutex_);
      names = names_;
      is_mine_to_ask = now >= due_;
      if (is_mine_to_ask) due_ = now + age_;
    }
    if (is_mine_to_ask) {
      if (std::optional<Names> asked = ask()) {
        names = std::make_shared<const Names>(*std::move(asked));
        const std::lock_guard lock(mutex_);
        names_ = names;
      }
    }
    return names->contains(tenant.str());
  }

 private:
  std::chrono::microseconds age_;
  std::mutex mutex_;
  std::shared_ptr<const Names> names_ = std::make_shared<const Names>();
  std::chrono::steady_clock::time_point due_;
};

}  // namespace penstock::postgres_store

#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

#include "domain/limits.h"

namespace penstock::api {

/// Counts the requests that wait for an order's end (?wait), so that one tenant's never take all
/// the pipeline's kMaxWaiters places. Thread-safe. 100 bytes a tenant that waits.
class WaitPlaces {
 public:
  static constexpr std::size_t kMaxOfTenant = domain::limits::kMaxWaiters / 10;

  explicit WaitPlaces(std::size_t most_of_tenant = kMaxOfTenant)
      : most_of_tenant_(most_of_tenant) {}

  /// A place, given back when it is destroyed; outlived by the WaitPlaces.
  class Place {
   public:
    Place(WaitPlaces& places, std::string tenant) : places_(&places), tenant_(std::move(tenant)) {}
    Place(Place&& other) noexcept
        : places_(std::exchange(other.places_, nullptr)), tenant_(std::move(other.tenant_)) {}
    Place& operator=(Place&&) = delete;
    ~Place() {
      if (places_ != nullptr) places_->give_back(tenant_);
    }

   private:
    WaitPlaces* places_;
    std::string tenant_;
  };

  /// Nothing where the tenant has as many as it may.
  std::optional<Place> take(const std::string& tenant) {
    const std::lock_guard lock(mutex_);
    std::size_t& taken = taken_[tenant];
    if (taken >= most_of_tenant_) return std::nullopt;
    ++taken;
    return std::optional<Place>(std::in_place, *this, tenant);
  }

 private:
  void give_back(const std::string& tenant) {
    const std::lock_guard lock(mutex_);
    const auto found = taken_.find(tenant);
    if (--found->second == 0) taken_.erase(found);
  }

  std::size_t most_of_tenant_;
  std::mutex mutex_;
  std::map<std::string, std::size_t, std::less<>> taken_;
};

}  // namespace penstock::api

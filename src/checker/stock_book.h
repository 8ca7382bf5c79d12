#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>

#include "checker/event.h"
#include "checker/order_state.h"
#include "checker/report.h"
#include "domain/int128.h"

namespace penstock::checker {

/// Stock per tenant and product. Where commits are followed: the sums of movements, kept from the
/// orders and the sets, and compared with every record that the store shows. Else: what the
/// acknowledged sets and restocks alone say of the end.
class StockBook {
 public:
  explicit StockBook(Report& report) : report_(report) {}

  // Commits are followed.
  void committed(const domain::Order& order, std::optional<domain::Status> before,
                 TenantNumber tenant);
  void set(const StockSet& set, TenantNumber tenant);
  void restocked(const Restocked& restocked, TenantNumber tenant);
  void shown(const StockNow& now, TenantNumber tenant);
  /// The record at the end; `check_missing` finds what has no record.
  void check_final(const StockNow& now, TenantNumber tenant);
  void check_missing();

  // Only the store at its end is known.
  struct Change {
    enum class Kind : std::uint8_t { set, restock } kind = Kind::set;
    TenantNumber tenant = kNoTenant;
    const domain::ProductId* product = nullptr;
    std::int64_t quantity = 0;
    Step invoked = 0;  ///< where the operation began
  };
  void change_began(const Change& change);
  void change_acknowledged(const Change& change, const std::optional<domain::Stock>& stock);
  void change_refused(const Change& change);
  void change_unknown(const Change& change);
  void check_against_changes(const StockNow& now, TenantNumber tenant);

 private:
  struct Shelf {
    domain::TenantId tenant;
    domain::ProductId product;
    domain::Int128 received = 0;
    domain::Int128 reserved = 0;
    domain::Int128 sold = 0;
    bool in_final_store = false;

    // From the client's side: what was received is in base .. base + perhaps.
    domain::Int128 base = 0;
    domain::Int128 perhaps = 0;
    Step overlapped = 0;  ///< the last time two changes ran at once
    std::uint32_t running = 0;
    bool certain = false;
    bool set_unknown = false;  ///< a set may still happen

    domain::Int128 on_hand() const { return received - reserved - sold; }
  };
  struct Key {
    TenantNumber tenant;
    std::string product;
    bool operator==(const Key&) const = default;
  };
  struct KeyHash {
    std::size_t operator()(const Key& key) const noexcept {
      return std::hash<std::string>{}(key.product) ^ (std::size_t{key.tenant} << 40);
    }
  };

  Shelf& shelf_of(TenantNumber tenant, const domain::ProductId& product);
  void compare(Shelf& shelf, const domain::Stock& stock, std::string_view where);

  Report& report_;
  std::unordered_map<Key, Shelf, KeyHash> shelves_;
};

}  // namespace penstock::checker

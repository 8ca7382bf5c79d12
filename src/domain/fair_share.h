#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <unordered_map>
#include <utility>

#include "domain/check.h"

/// Fair shares of a room that several parties use: places in flight, active orders, dead letters,
/// waiting requests. Nothing is configured a party and no party has a fixed part:
///
/// - a party may take a place while what it then holds is at most kGreed times what is then free
///   (the dynamic threshold of A. Choudhury, E. Hahne, IEEE/ACM Transactions on Networking, 1998);
/// - with n parties in the room, 1/(1 + kGreed * n) of it stays free, which is what that threshold
///   leaves when n parties are at it together. Here it holds whoever came first, so that greedy
///   parties who come one after the other leave the n-th part and not a power of it;
/// - a party that holds nothing gets a place as long as one is free.
///
/// One party alone has 8/9 of the room, n greedy ones have an equal part each once places come
/// back, and what some leave free others use. Of a room of C places, the first sqrt(C / kGreed)
/// greedy parties, in any order and without giving anything back, leave at least C / (1 + kGreed n)
/// places free; from there on each new party gets one place until none is left.
///
/// There are two levels. A tenant with a contract of its own is a party; all tenants without one
/// are together one party, the group. What the group holds and may still take is a room of its own,
/// shared by the same rule: who invents names takes from the group alone.
namespace penstock::domain {

/// What a tenant counts as.
enum class Standing : std::uint8_t {
  grouped,       ///< one of those without a contract of their own
  own_contract,  ///< a party by itself
};

/// What one tenant holds of one room. Whoever owns the room keeps it with what it knows of the
/// tenant; only SharedRoom changes it.
struct Share {
  std::uint32_t held = 0;
  Standing standing = Standing::grouped;
};

/// How many places a party may take one after the other.
struct PartyView {
  std::size_t capacity = 0;  ///< of the room
  std::size_t free = 0;      ///< places that nobody holds
  std::size_t parties = 0;   ///< that hold places, this one included
  std::size_t held = 0;      ///< by this one
};
std::size_t allowance(const PartyView& view);

/// The counts of one room. Which tenant holds what is with the caller, in a Share each. O(1), no
/// memory of its own. Not thread-safe.
class SharedRoom {
 public:
  /// A party may hold this many times what is free.
  static constexpr std::size_t kGreed = 8;
  /// A smaller room is not worth sharing: its places are for whoever comes.
  static constexpr std::size_t kLeastShared = 16;

  explicit SharedRoom(std::size_t capacity) : capacity_(capacity) {}

  /// Whether the tenant's share has a place left.
  bool has_place_for(const Share& share) const;
  /// How many places the tenant may take one after the other while nobody else does.
  std::size_t places_for(const Share& share) const;
  /// Whether no tenant of the group may take a place, whatever it holds.
  bool is_group_full() const { return group_allowance() == 0; }

  /// Takes places, asked or not: what was there before a bound became smaller has its place too.
  void take(Share& share, std::uint32_t places = 1);
  /// Gives places back. More than are held is a bug.
  void give_back(Share& share, std::uint32_t places = 1);
  /// Counts what the tenant holds for the other level: its contract was made, or went.
  void set_standing(Share& share, Standing standing);

  std::size_t capacity() const { return capacity_; }
  std::size_t used() const { return used_; }
  std::size_t free() const { return capacity_ > used_ ? capacity_ - used_ : 0; }
  /// Parties that hold places; the group counts once.
  std::size_t parties() const { return own_parties_ + (group_used_ > 0 ? 1 : 0); }

 private:
  std::size_t group_allowance() const;
  void enter(const Share& share);
  void leave(const Share& share);

  std::size_t capacity_;
  std::size_t used_ = 0;
  std::size_t own_parties_ = 0;  ///< with a contract of their own, holding places
  std::size_t group_used_ = 0;
  std::size_t members_ = 0;  ///< of the group, holding places
};

/// A SharedRoom that keeps the shares itself, by the tenant's name or number, or by whatever else
/// the parties are. Memory for those that hold places only. Not thread-safe.
template <typename Key>
class FairRoom {
 public:
  /// Where a place is counted; lives until it is given back.
  using Holder = std::pair<const Key, Share>;

  explicit FairRoom(std::size_t capacity) : room_(capacity) {}

  /// Takes a place within the key's share; null where it has none left. `standing` is what the key
  /// counts as now; places that it took as something else are counted for it too from now on.
  Holder* take(const Key& key, Standing standing) {
    const auto found = shares_.find(key);
    if (found == shares_.end()) {
      if (!room_.has_place_for({.held = 0, .standing = standing})) return nullptr;
      return take_in(*shares_.emplace(key, Share{.held = 0, .standing = standing}).first);
    }
    room_.set_standing(found->second, standing);
    return room_.has_place_for(found->second) ? take_in(*found) : nullptr;
  }

  /// Takes a place in any case, beyond the share and beyond the room.
  Holder* take_anyway(const Key& key, Standing standing) {
    Holder& holder = *shares_.try_emplace(key, Share{.held = 0, .standing = standing}).first;
    room_.set_standing(holder.second, standing);
    return take_in(holder);
  }

  /// Gives back one place that `take` gave out.
  void give_back(Holder* holder) {
    room_.give_back(holder->second);
    if (holder->second.held == 0) shares_.erase(shares_.find(holder->first));
  }

  /// Whether the key's share has a place left.
  bool has_place_for(const Key& key, Standing standing) const {
    const auto found = shares_.find(key);
    const std::uint32_t held = found == shares_.end() ? 0 : found->second.held;
    return room_.has_place_for({.held = held, .standing = standing});
  }

  const SharedRoom& room() const { return room_; }

  /// Calls visit(key, share) for all that hold places, in no order.
  template <typename Visit>
  void for_each(Visit visit) const {
    for (const auto& [key, share] : shares_) visit(key, share);
  }

 private:
  Holder* take_in(Holder& holder) {
    room_.take(holder.second);
    return &holder;
  }

  SharedRoom room_;
  std::unordered_map<Key, Share> shares_;
};

}  // namespace penstock::domain

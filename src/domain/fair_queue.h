#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <queue>
#include <unordered_map>
#include <vector>

#include "domain/ids.h"
#include "domain/instant.h"

namespace penstock::domain {

/// The wake-ups of one stage: first claims in first-in-first-out order inside a tenant, tenants by
/// deficit round robin with their weights (M. Shreedhar, G. Varghese, 1995, every order of size 1),
/// and timed entries (retries, holds) that come first once they are due, since they were claimed
/// before. An entry only says "look at this order": the owner drops what is stale when it is taken.
/// Not thread-safe. Bounded by the number of active orders its owner admits. 40 bytes an entry, 48
/// a timed one; a tenant without entries and with the weight 1 takes none, and the room of taken
/// entries is used again, and given back when the queue is empty.
class FairQueue {
 public:
  struct Entry {
    OrderId order;
    std::uint32_t version = 0;  ///< of the order when it was queued; another one makes it stale
    Instant queued_at;
  };

  /// `tenant` is the owner's number of the tenant, `weight` >= 1 (else a bug) orders a round. A
  /// turn that has begun is shortened to a smaller weight, a larger one counts from the next turn.
  /// The default is 1.
  void set_weight(std::uint32_t tenant, std::uint32_t weight);
  /// Adds an entry for a first claim, last of its tenant's. O(1).
  void push(std::uint32_t tenant, Entry entry);
  /// Adds a timed entry, not to be taken before `due`. O(log timed()).
  void push_at(Entry entry, Instant due);

  /// Takes the next entry: of the timed ones with due <= now the one due first (the one pushed
  /// first where two are due together), else the first of the tenant whose turn it is; or nothing.
  std::optional<Entry> pop(Instant now);

  /// When a timed entry becomes due next; nothing if none is waiting.
  std::optional<Instant> next_due() const;

  /// When the entry that waits longest among first claims was queued, taking each tenant's to be
  /// pushed in order of queued_at; stale ones count until taken. O(tenants with entries).
  std::optional<Instant> oldest() const;

  /// Entries ready for a first claim, and timed ones (stale ones count until taken).
  std::size_t ready() const { return ready_; }
  std::size_t timed() const { return timed_.size(); }

  /// Tenants that take memory: those with a first claim waiting or a weight other than 1.
  std::size_t tenants_held() const { return tenants_.size(); }
  /// First claims there is room for without growing: at most the largest ready() since it was zero.
  std::size_t room_held() const { return nodes_.size(); }

 private:
  /// A first claim in its tenant's line, which runs through `nodes_`.
  struct Node {
    Entry entry;
    std::uint32_t next = 0;
  };
  /// A tenant with entries, or with a weight other than 1.
  struct Tenant {
    std::uint32_t head = 0;  ///< of its line; only where length > 0
    std::uint32_t tail = 0;
    std::uint32_t length = 0;
    std::uint32_t weight = 1;
    std::uint32_t deficit = 0;  ///< orders left in the turn that has begun
  };
  struct Timed {
    Instant due;
    std::uint64_t sequence = 0;
    Entry entry;
    std::strong_ordering operator<=>(const Timed& other) const {
      if (const auto order = due <=> other.due; order != 0) return order;
      return sequence <=> other.sequence;
    }
  };

  std::uint32_t take_node(const Entry& entry);
  Entry pop_front(Tenant& tenant);

  std::unordered_map<std::uint32_t, Tenant> tenants_;
  std::deque<std::uint32_t> round_;  ///< the tenants with entries; the first has the turn
  std::deque<Node> nodes_;           ///< a deque, as it grows without moving what is there
  std::uint32_t free_ = kNone;       ///< the taken nodes, linked by `next`
  std::priority_queue<Timed, std::vector<Timed>, std::greater<>> timed_;
  std::uint64_t next_sequence_ = 0;
  std::size_t ready_ = 0;

  static constexpr std::uint32_t kNone = UINT32_MAX;
};

}  // namespace penstock::domain

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

#include "domain/fair_share.h"
#include "domain/ids.h"
#include "domain/instant.h"

namespace penstock::domain {

/// The wake-ups of one stage, tenants by deficit round robin with their weights (M. Shreedhar,
/// G. Varghese, 1995, every order of size 1). A tenant with a contract of its own has a turn in the
/// round; all others share one turn, which goes round among them. In its turn a tenant has its
/// timed entries (retries, holds) that are due first, since they were claimed before, then its
/// first claims, first in, first out. An entry only says "look at this order": the owner drops what
/// is stale when it is taken. Not thread-safe. Bounded by the number of active orders its owner
/// admits. 40 bytes an entry, 48 a timed one; a tenant without entries, without a contract of its
/// own and with the weight 1 takes none, and the room of taken entries is used again, and given
/// back when the queue is empty.
class FairQueue {
 public:
  struct Entry {
    OrderId order;
    std::uint32_t version = 0;  ///< of the order when it was queued; another one makes it stale
    std::uint32_t tenant = 0;   ///< set by push and push_at
    Instant queued_at;
  };

  /// Sets what the tenant counts as in the round. The default is grouped. O(tenants with entries)
  /// where it changes.
  void set_standing(std::uint32_t tenant, Standing standing);
  /// `tenant` is the owner's number of the tenant, `weight` >= 1 (else a bug) orders a turn. A
  /// turn that has begun is shortened to a smaller weight, a larger one counts from the next turn.
  /// The default is 1.
  void set_weight(std::uint32_t tenant, std::uint32_t weight);
  /// Adds an entry for a first claim, last of its tenant's. O(1).
  void push(std::uint32_t tenant, Entry entry);
  /// Adds a timed entry, not to be taken before `due`. O(log timed()).
  void push_at(std::uint32_t tenant, Entry entry, Instant due);

  /// The tenant whose turn it is, if anybody has an entry to take. O(1) amortized, but for what
  /// became due: O(log timed()) each.
  std::optional<std::uint32_t> next_tenant(Instant now);
  /// Takes the next entry of that tenant, or nothing.
  std::optional<Entry> pop(Instant now);

  /// Leaves the tenant whose turn it is (see next_tenant) out of the round until `end_pass`; its
  /// entries keep their places. O(1).
  void pass_over();
  /// The same for all tenants that are grouped, where one of them has the turn. O(1).
  void pass_over_group();
  /// Lets all who were left out in again, behind the others. O(left out).
  void end_pass();

  /// When a timed entry becomes due next; nothing if none is waiting. What pop and next_tenant have
  /// seen to be due waits no longer.
  std::optional<Instant> next_due() const;

  /// When the entry that waits longest was queued, or was due, taking each tenant's to be pushed in
  /// order of queued_at; stale ones count until taken, timed ones from when they were seen to be
  /// due. O(tenants with entries).
  std::optional<Instant> oldest() const;

  /// Entries ready to be taken, and timed ones that nobody has seen to be due (stale ones count
  /// until taken).
  std::size_t ready() const { return ready_; }
  std::size_t timed() const { return timed_.size(); }

  /// Tenants that take memory: those with an entry waiting, a contract or a weight other than 1.
  std::size_t tenants_held() const { return tenants_.size(); }
  /// Entries there is room for without growing: at most the largest ready() since it was zero.
  std::size_t room_held() const { return nodes_.size(); }

 private:
  /// An entry in one of its tenant's lines, which run through `nodes_`.
  struct Node {
    Entry entry;
    std::uint32_t next = 0;
  };
  struct Line {
    std::uint32_t head = 0;  ///< only where length > 0
    std::uint32_t tail = 0;
    std::uint32_t length = 0;
  };
  /// A tenant with entries, a contract of its own, or a weight other than 1.
  struct Tenant {
    Line due{};     ///< timed entries, by the time that they were due
    Line claims{};  ///< first claims
    std::uint32_t weight = 1;
    std::uint32_t deficit = 0;  ///< orders left in the turn that has begun
    Standing standing = Standing::grouped;
    bool is_waiting() const { return due.length + claims.length > 0; }
    bool is_plain() const { return weight == 1 && standing == Standing::grouped; }
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
  void append(const Entry& entry, Line Tenant::* line);
  Entry pop_front(Line& line);
  void move_due(Instant now);
  void enter_round(std::uint32_t number, Standing standing);
  void leave_round(std::uint32_t number, Standing standing);
  void end_group_turn();

  std::unordered_map<std::uint32_t, Tenant> tenants_;
  /// Those with a contract of their own that have entries, and kGroup; the first has the turn.
  std::deque<std::uint32_t> round_;
  std::deque<std::uint32_t> group_round_;  ///< the grouped ones with entries
  std::vector<std::uint32_t> passed_;      ///< left out of their rounds
  bool is_group_passed_ = false;           ///< left out of the round
  std::deque<Node> nodes_;                 ///< a deque, as it grows without moving what is there
  std::uint32_t free_ = kNone;             ///< the taken nodes, linked by `next`
  std::priority_queue<Timed, std::vector<Timed>, std::greater<>> timed_;
  std::uint64_t next_sequence_ = 0;
  std::size_t ready_ = 0;

  static constexpr std::uint32_t kNone = UINT32_MAX;
  static constexpr std::uint32_t kGroup = UINT32_MAX;
};

}  // namespace penstock::domain

#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "checker/event.h"
#include "checker/order_state.h"
#include "checker/report.h"

namespace penstock::checker {

/// Which submissions explain which orders. A submission without a key explains at most one order of
/// its content; all submissions under one key together explain one, as long as the key lives. What
/// was refused explains none. Submissions of the same content are interchangeable until they are
/// acknowledged, so counting decides exactly.
class SubmissionBook {
 public:
  struct Options {
    bool store_followed = true;
    domain::Duration key_retention;
  };
  SubmissionBook(const Options& options, OrderTable& orders, Report& report)
      : options_(options), orders_(orders), report_(report) {}

  struct Key;
  struct Slot;
  /// A place in flight, as the caller keeps it.
  struct Place {
    TenantNumber tenant = kNoTenant;
    Step invoked = 0;
    std::uint64_t content = 0;
    Key* key = nullptr;  ///< stable; nothing without a key
    std::uint64_t fingerprint = 0;
    std::uint64_t number = 0;  ///< of the operation, for findings
  };

  /// A place as it is sent.
  struct Submission {
    const domain::IdempotencyKey* key = nullptr;  ///< null without one
    const domain::Fingerprint& fingerprint;       ///< only where keyed
    std::uint64_t content = 0;                    ///< digest of tenant and content
  };
  Place began(const Submission& submission, TenantNumber tenant);
  void refused(const Place& place, Refusal refusal, domain::Instant at);
  void acknowledged(const Place& place, const Complete& answer, Step now, domain::Instant at);

  // Commits are followed.
  void first_committed(const domain::OrderId& order);
  void key_stored(const KeyStored& stored, TenantNumber tenant, Step now);
  void key_answered(const KeyAnswered& answered, TenantNumber tenant);
  /// The store's clock showed this time: keys that ended by then are nobody's.
  void wall_shown(domain::Instant wall) { wall_ = std::max(wall_, wall); }
  /// The store's group is over: every new order must be explained.
  void group_ended();

  // The end.
  void final_key(TenantNumber tenant, const domain::IdempotencyKey& key,
                 const domain::IdempotencyRecord& record);
  /// Once every record of the end is known.
  void check_final_keys();
  /// Every order of the table that was stored must be explained. Where commits are not followed.
  void check_all();

  struct Slot {
    std::uint64_t fingerprint = 0;
    std::uint64_t content = 0;
    std::uint32_t live = 0;  ///< submissions that were not refused
  };
  /// What a key named until it expired and was taken over.
  struct Life {
    domain::OrderId order;
    std::uint64_t answer = 0;  ///< as of Key
    Step ended = 0;
  };
  struct Key {
    Slot first;
    std::vector<Slot> others;  ///< of other payloads: rare
    std::uint64_t text = 0;    ///< digest of the key alone, whoever uses it
    std::uint64_t winner = 0;  ///< fingerprint that the key belongs to; 0: none known yet
    std::uint64_t answer = 0;  ///< digest of its answer; 0: none known yet
    domain::OrderId order;
    std::vector<Life> former;    ///< rare as well
    Step acknowledged = 0;       ///< the first answer of this life
    domain::Instant answered;    ///< its time
    domain::Instant expires_at;  ///< on the store's wall clock, where commits are followed
  };

 private:
  struct Claims {
    std::int32_t submitted = 0;  ///< without a key, neither refused nor acknowledged
    std::int32_t stored = 0;     ///< orders that nobody was told of
  };
  struct Late {
    Key* key;
    std::uint64_t fingerprint;
    domain::OrderId order;
  };

  Key& key_of(TenantNumber tenant, std::string_view text);
  static Slot* slot_of(Key& key, std::uint64_t fingerprint);
  bool certainly_lives(const Key& key, domain::Instant at) const;
  void acknowledged_keyed(const Place& place, const Complete& answer, OrderState& order, Step now,
                          domain::Instant at);
  void acknowledged_unkeyed(const Place& place, const Complete& answer, OrderState& order);
  void refused_as_reused(const Place& place, domain::Instant at);
  void explain(const domain::OrderId& id, OrderState& order);
  void explain_keyed(const Late& late);
  bool other_tenant_uses(const Key& key) const;

  Options options_;
  OrderTable& orders_;
  Report& report_;
  domain::Instant wall_{};                            ///< the latest that the store showed
  std::unordered_map<std::uint64_t, Claims> claims_;  ///< by content
  std::unordered_map<std::uint64_t, Key> keys_;       ///< by tenant and key
  std::vector<domain::OrderId> new_orders_;           ///< of the present group
  std::vector<Late> new_keys_;
  std::vector<Late> final_keys_;
};

}  // namespace penstock::checker

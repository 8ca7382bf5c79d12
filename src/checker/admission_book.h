#pragma once

#include <cstdint>
#include <optional>
#include <unordered_map>
#include <vector>

#include "checker/order_state.h"
#include "checker/report.h"
#include "domain/instant.h"
#include "domain/int128.h"
#include "domain/token_bucket.h"

namespace penstock::checker {

/// Every window of length w admits at most burst + rate * w, per tenant, whatever happens to
/// processes and clocks. With V(t) the integral of the rate over true time and N(a, b) what was
/// admitted in [a, b], that is N(a, b) + V(a) - burst(a) <= V(b) for all a <= b.
///
/// Where the moment of each admission is known (`admitted`), the greatest left side over all a is
/// one number, which only admissions and changes of the contract move: O(1). Where only an interval
/// is known in which it happened (`attempt_*`), an admission counts in those windows that hold its
/// whole interval, which are all that can be held against it; the maximum is the root of a tree
/// over the attempts that are not older than one still running: O(log of those).
class AdmissionBook {
 public:
  struct Options {
    std::optional<domain::BucketContract> default_contract;
    domain::Duration clock_error;
  };
  AdmissionBook(const Options& options, Report& report) : options_(options), report_(report) {}

  // Commits are followed.
  void contract_stored(TenantNumber tenant, const domain::BucketContract& contract,
                       domain::Instant at);
  void admitted(TenantNumber tenant, const domain::TenantId& name, domain::Instant at);

  // Only clients are heard. An attempt is named by what `attempt_began` returned.
  using Attempt = std::uint64_t;
  Attempt attempt_began(TenantNumber tenant, domain::Instant at);
  void attempt_admitted(TenantNumber tenant, const domain::TenantId& name, Attempt attempt,
                        domain::Instant at);
  /// Refused, replayed or unknown: it counts in no window.
  void attempt_void(TenantNumber tenant, Attempt attempt);
  void put_began(TenantNumber tenant, const domain::BucketContract& contract, Step invoked,
                 domain::Instant at);
  void put_acknowledged(TenantNumber tenant, Step invoked, Step now, domain::Instant at);
  void put_refused(TenantNumber tenant, Step invoked, domain::Instant at);

  /// The burst that is certainly not exceeded by a told number of remaining tokens.
  std::optional<std::int64_t> burst_of(TenantNumber tenant) const;

 private:
  struct Node {
    domain::Int128 sum = 0;   ///< admitted by the attempts below it
    domain::Int128 best = 0;  ///< the greatest left side of a window that begins at one of them
  };
  struct Candidate {
    domain::BucketContract contract;
    Step invoked = 0;
    Step acknowledged = 0;  ///< 0: not yet, and perhaps never
  };
  struct Lane {
    std::optional<domain::BucketContract> contract;  ///< in force, or the widest that may be
    std::vector<Candidate> candidates;
    domain::Instant since;             ///< when `virtual_start` was V
    domain::Int128 virtual_start = 0;  ///< V(since)
    domain::Int128 greatest = 0;       ///< of windows whose begin is settled
    bool any = false;                  ///< `greatest` holds a window

    std::vector<Node> nodes;     ///< a complete binary tree, leaves in its second half
    std::vector<char> finished;  ///< by leaf
    Attempt first = 0;           ///< the attempt of leaf 0
    std::size_t used = 0;        ///< leaves in use
    std::size_t settled = 0;     ///< leaves at the front that are finished
  };

  Lane& lane_of(TenantNumber tenant);
  domain::Int128 virtual_time(const Lane& lane, domain::Instant at) const;
  domain::Int128 window_from(const Lane& lane, domain::Instant at) const;
  void change_contract(Lane& lane, const std::optional<domain::BucketContract>& contract,
                       domain::Instant at);
  void widen(Lane& lane, domain::Instant at);
  static void update(Lane& lane, std::size_t leaf, const Node& node);
  static void make_room(Lane& lane);
  static void finish(Lane& lane, std::size_t leaf);
  void judge(Lane& lane, domain::Int128 greatest, const domain::TenantId& name, domain::Instant at);

  Options options_;
  Report& report_;
  std::unordered_map<TenantNumber, Lane> lanes_;
};

}  // namespace penstock::checker

#include "checker/admission_book.h"

#include <algorithm>

#include <fmt/format.h>

#include "domain/check.h"

namespace penstock::checker {
namespace {

using domain::BucketContract;
using domain::Instant;
using domain::Int128;

/// V is counted in parts of a micro-token, so that a change of the rate loses less than a part.
constexpr std::int64_t kParts = 1'000'000'000;
constexpr Int128 kOrder = static_cast<Int128>(domain::kMicroTokensPerToken) * kParts;
constexpr std::size_t kFirstLeaves = 64;
/// The history's microseconds are cut off; a window may be this much longer than it looks.
constexpr std::int64_t kTruncatedMicroseconds = 1;

/// rate * microseconds, in parts, rounded up.
Int128 grown(const BucketContract& contract, std::int64_t microseconds) {
  Int128 const product =
      static_cast<Int128>(contract.rate.micro_tokens) * microseconds * 1'000;  // nanoseconds
  Int128 const period = contract.rate.period_ns;
  Int128 const rest = product % period;
  return product / period * kParts + (rest * kParts + period - 1) / period;
}

bool is_faster(const BucketContract& left, const BucketContract& right) {
  return static_cast<Int128>(left.rate.micro_tokens) * right.rate.period_ns >
         static_cast<Int128>(right.rate.micro_tokens) * left.rate.period_ns;
}

}  // namespace

AdmissionBook::Lane& AdmissionBook::lane_of(TenantNumber tenant) {
  auto const [at, added] = lanes_.try_emplace(tenant);
  if (added) at->second.contract = options_.default_contract;
  return at->second;
}

Int128 AdmissionBook::virtual_time(const Lane& lane, Instant at) const {
  return lane.virtual_start +
         grown(*lane.contract, std::max<std::int64_t>((at - lane.since).us, 0));
}

/// V(a) - burst(a), of a window that begins now.
Int128 AdmissionBook::window_from(const Lane& lane, Instant at) const {
  return virtual_time(lane, at) - lane.contract->burst * kOrder -
         grown(*lane.contract, options_.clock_error.us + kTruncatedMicroseconds);
}

void AdmissionBook::change_contract(Lane& lane, const std::optional<BucketContract>& contract,
                                    Instant at) {
  if (contract == lane.contract) return;
  if (lane.contract) lane.virtual_start = virtual_time(lane, at);
  lane.since = at;
  lane.contract = contract;
}

void AdmissionBook::judge(Lane& lane, Int128 greatest, const domain::TenantId& name, Instant at) {
  Int128 const excess = greatest - virtual_time(lane, at);
  if (excess <= 0) return;
  report_.add(Invariant::admitted_within_contract, name.str(),
              fmt::format("{:.6f} orders more than its contract allows were admitted by {} us",
                          static_cast<double>(excess) / static_cast<double>(kOrder), at.us));
}

void AdmissionBook::contract_stored(TenantNumber tenant, const BucketContract& contract,
                                    Instant at) {
  Lane& lane = lane_of(tenant);
  // A window that begins at the end of the old epoch, and one at the start of the new: a burst that
  // was small for a while is not given back.
  if (lane.any) lane.greatest = std::max(lane.greatest, window_from(lane, at));
  change_contract(lane, contract, at);
  if (lane.any) lane.greatest = std::max(lane.greatest, window_from(lane, at));
}

void AdmissionBook::admitted(TenantNumber tenant, const domain::TenantId& name, Instant at) {
  Lane& lane = lane_of(tenant);
  if (!lane.contract) return;
  Int128 const begins = window_from(lane, at);
  lane.greatest = (lane.any ? std::max(lane.greatest, begins) : begins) + kOrder;
  lane.any = true;
  judge(lane, lane.greatest, name, at);
  // One finding for one excess: the next window begins as if this had been the limit.
  lane.greatest = std::min(lane.greatest, virtual_time(lane, at));
}

void AdmissionBook::update(Lane& lane, std::size_t leaf, const Node& node) {
  std::size_t at = lane.nodes.size() / 2 + leaf;
  lane.nodes[at] = node;
  for (at /= 2; at > 0; at /= 2) {
    const Node& left = lane.nodes[2 * at];
    const Node& right = lane.nodes[2 * at + 1];
    lane.nodes[at] = {left.sum + right.sum, std::max(left.best + right.sum, right.best)};
  }
}

/// Folds what is finished at the front into `greatest`, and doubles the tree if that is not enough.
void AdmissionBook::make_room(Lane& lane) {
  std::size_t const leaves = lane.nodes.size() / 2;
  std::vector<Node> kept;
  for (std::size_t leaf = lane.settled; leaf < lane.used; ++leaf) {
    kept.push_back(lane.nodes[leaves + leaf]);
  }
  Int128 behind = 0;
  for (const Node& node : kept) behind += node.sum;
  for (std::size_t leaf = lane.settled; leaf-- > 0;) {
    const Node& node = lane.nodes[leaves + leaf];
    behind += node.sum;
    Int128 const window = node.best - node.sum + behind;
    lane.greatest = lane.any ? std::max(lane.greatest, window) : window;
    lane.any = true;
  }
  std::size_t const wanted = std::max(kFirstLeaves, kept.size() * 2 > leaves ? leaves * 2 : leaves);
  // Nothing is no window: far below every V, and far from where 128 bits end.
  Node const nothing{0, -(static_cast<Int128>(1) << 120)};
  lane.nodes.assign(wanted * 2, nothing);
  std::copy(kept.begin(), kept.end(), lane.nodes.begin() + static_cast<std::ptrdiff_t>(wanted));
  for (std::size_t at = wanted; --at > 0;) {
    const Node& left = lane.nodes[2 * at];
    const Node& right = lane.nodes[2 * at + 1];
    lane.nodes[at] = {left.sum + right.sum, std::max(left.best + right.sum, right.best)};
  }
  lane.finished.erase(lane.finished.begin(),
                      lane.finished.begin() + static_cast<std::ptrdiff_t>(lane.settled));
  lane.finished.resize(wanted, 0);
  lane.first += lane.settled;
  lane.used -= lane.settled;
  lane.settled = 0;
}

AdmissionBook::Attempt AdmissionBook::attempt_began(TenantNumber tenant, Instant at) {
  Lane& lane = lane_of(tenant);
  if (lane.used * 2 == lane.nodes.size()) make_room(lane);
  std::size_t const leaf = lane.used++;
  Int128 const window = lane.contract ? window_from(lane, at) : -(static_cast<Int128>(1) << 120);
  update(lane, leaf, {0, window});
  return lane.first + leaf;
}

void AdmissionBook::finish(Lane& lane, std::size_t leaf) {
  lane.finished[leaf] = 1;
  while (lane.settled < lane.used && lane.finished[lane.settled] != 0) ++lane.settled;
}

void AdmissionBook::attempt_admitted(TenantNumber tenant, const domain::TenantId& name,
                                     Attempt attempt, Instant at) {
  Lane& lane = lane_of(tenant);
  std::size_t const leaf = attempt - lane.first;
  Node node = lane.nodes[lane.nodes.size() / 2 + leaf];
  node.sum += kOrder;
  node.best += kOrder;
  update(lane, leaf, node);
  finish(lane, leaf);
  if (lane.any) lane.greatest += kOrder;
  if (!lane.contract) return;
  Int128 const greatest =
      lane.any ? std::max(lane.greatest, lane.nodes[1].best) : lane.nodes[1].best;
  judge(lane, greatest, name, at);
}

void AdmissionBook::attempt_void(TenantNumber tenant, Attempt attempt) {
  Lane& lane = lane_of(tenant);
  finish(lane, attempt - lane.first);
}

/// The fastest rate and the greatest burst of all contracts that may be in force.
void AdmissionBook::widen(Lane& lane, Instant at) {
  std::optional<BucketContract> widest =
      lane.candidates.empty() ? options_.default_contract : std::nullopt;
  for (const Candidate& candidate : lane.candidates) {
    if (!widest) widest = candidate.contract;
    widest->burst = std::max(widest->burst, candidate.contract.burst);
    if (is_faster(candidate.contract, *widest)) widest->rate = candidate.contract.rate;
  }
  change_contract(lane, widest, at);
}

void AdmissionBook::put_began(TenantNumber tenant, const BucketContract& contract, Step invoked,
                              Instant at) {
  Lane& lane = lane_of(tenant);
  if (lane.candidates.empty()) {
    if (!options_.default_contract) return lane.candidates.push_back({contract, invoked, 0});
    lane.candidates.push_back({*options_.default_contract, 0, 0});
    lane.candidates.back().acknowledged = 1;
  }
  lane.candidates.push_back({contract, invoked, 0});
  widen(lane, at);
}

void AdmissionBook::put_acknowledged(TenantNumber tenant, Step invoked, Step now, Instant at) {
  Lane& lane = lane_of(tenant);
  std::erase_if(lane.candidates, [&](const Candidate& candidate) {
    return candidate.acknowledged != 0 && candidate.acknowledged < invoked;
  });
  for (Candidate& candidate : lane.candidates) {
    if (candidate.invoked == invoked) candidate.acknowledged = now;
  }
  widen(lane, at);
}

void AdmissionBook::put_refused(TenantNumber tenant, Step invoked, Instant at) {
  Lane& lane = lane_of(tenant);
  std::erase_if(lane.candidates,
                [&](const Candidate& candidate) { return candidate.invoked == invoked; });
  widen(lane, at);
}

std::optional<std::int64_t> AdmissionBook::burst_of(TenantNumber tenant) const {
  auto const at = lanes_.find(tenant);
  if (at == lanes_.end() || !at->second.contract) {
    return options_.default_contract ? std::optional(options_.default_contract->burst)
                                     : std::nullopt;
  }
  return at->second.contract->burst;
}

}  // namespace penstock::checker

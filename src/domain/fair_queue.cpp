#include "domain/fair_queue.h"

#include <algorithm>

#include "domain/check.h"

namespace penstock::domain {
namespace {

/// Timed entries that one call moves to their tenants' lines: a storm of them is no long stop.
constexpr std::size_t kMaxMoved = 256;

}  // namespace

void FairQueue::set_standing(std::uint32_t tenant, Standing standing) {
  const auto found = tenants_.find(tenant);
  if (found == tenants_.end()) {
    if (standing != Standing::grouped) tenants_.emplace(tenant, Tenant{.standing = standing});
    return;
  }
  Tenant& known = found->second;
  if (known.standing == standing) return;
  if (known.is_waiting()) {
    leave_round(tenant, known.standing);
    enter_round(tenant, standing);
  }
  known.standing = standing;
  if (known.is_plain() && !known.is_waiting()) tenants_.erase(found);
}

void FairQueue::set_weight(std::uint32_t tenant, std::uint32_t weight) {
  PENSTOCK_CHECK(weight >= 1, "a tenant of weight zero would never be served");
  const auto found = tenants_.find(tenant);
  if (found == tenants_.end()) {
    if (weight > 1) tenants_.emplace(tenant, Tenant{.weight = weight});
    return;
  }
  found->second.weight = weight;
  found->second.deficit = std::min(found->second.deficit, weight);
  if (found->second.is_plain() && !found->second.is_waiting()) tenants_.erase(found);
}

std::uint32_t FairQueue::take_node(const Entry& entry) {
  if (free_ == kNone) {
    PENSTOCK_CHECK(nodes_.size() < kNone, "a stage has more entries than orders can be active");
    nodes_.push_back({entry, kNone});
    return static_cast<std::uint32_t>(nodes_.size() - 1);
  }
  const std::uint32_t node = free_;
  free_ = nodes_[node].next;
  nodes_[node] = {entry, kNone};
  return node;
}

void FairQueue::append(const Entry& entry, Line Tenant::* line) {
  const std::uint32_t node = take_node(entry);
  Tenant& tenant = tenants_[entry.tenant];
  if (!tenant.is_waiting()) enter_round(entry.tenant, tenant.standing);
  Line& to = tenant.*line;
  if (to.length == 0) {
    to.head = node;
  } else {
    nodes_[to.tail].next = node;
  }
  to.tail = node;
  ++to.length;
  ++ready_;
}

void FairQueue::push(std::uint32_t tenant, Entry entry) {
  entry.tenant = tenant;
  append(entry, &Tenant::claims);
}

void FairQueue::push_at(std::uint32_t tenant, Entry entry, Instant due) {
  entry.tenant = tenant;
  timed_.push({due, next_sequence_++, entry});
}

void FairQueue::move_due(Instant now) {
  if (timed_.empty()) return;
  for (std::size_t moved = 0; moved < kMaxMoved; ++moved) {
    if (timed_.empty() || timed_.top().due > now) break;
    Entry entry = timed_.top().entry;
    entry.queued_at = timed_.top().due;
    timed_.pop();
    append(entry, &Tenant::due);
  }
  if (timed_.empty()) timed_ = {};  // its room, which a storm of retries may have made large
}

void FairQueue::enter_round(std::uint32_t number, Standing standing) {
  if (standing == Standing::own_contract) {
    round_.push_back(number);
    return;
  }
  if (group_round_.empty() && !is_group_passed_) round_.push_back(kGroup);
  group_round_.push_back(number);
}

void FairQueue::leave_round(std::uint32_t number, Standing standing) {
  std::deque<std::uint32_t>& round = standing == Standing::own_contract ? round_ : group_round_;
  round.erase(std::ranges::find(round, number));
  if (standing == Standing::grouped && group_round_.empty() && !is_group_passed_) {
    round_.erase(std::ranges::find(round_, kGroup));
  }
}

/// The group's turn is one order.
void FairQueue::end_group_turn() {
  round_.pop_front();
  if (!group_round_.empty()) round_.push_back(kGroup);
}

FairQueue::Entry FairQueue::pop_front(Line& line) {
  const std::uint32_t node = line.head;
  const Entry entry = nodes_[node].entry;
  line.head = nodes_[node].next;
  --line.length;
  --ready_;
  if (ready_ == 0) {
    nodes_.clear();
    free_ = kNone;
  } else {
    nodes_[node].next = free_;
    free_ = node;
  }
  return entry;
}

std::optional<std::uint32_t> FairQueue::next_tenant(Instant now) {
  move_due(now);
  if (round_.empty()) return std::nullopt;
  return round_.front() == kGroup ? group_round_.front() : round_.front();
}

std::optional<FairQueue::Entry> FairQueue::pop(Instant now) {
  const auto number = next_tenant(now);
  if (!number) return std::nullopt;
  const auto found = tenants_.find(*number);
  Tenant& tenant = found->second;
  const bool is_grouped = tenant.standing == Standing::grouped;
  std::deque<std::uint32_t>& round = is_grouped ? group_round_ : round_;
  // Entries cost one and a turn's quantum is a whole number, so a turn never leaves a deficit over.
  if (tenant.deficit == 0) tenant.deficit = tenant.weight;
  --tenant.deficit;
  const Entry entry = pop_front(tenant.due.length > 0 ? tenant.due : tenant.claims);
  if (!tenant.is_waiting()) {
    round.pop_front();
    tenant.deficit = 0;
    if (tenant.is_plain()) tenants_.erase(found);
  } else if (tenant.deficit == 0) {
    round.pop_front();
    round.push_back(*number);
  }
  if (is_grouped) end_group_turn();
  return entry;
}

void FairQueue::pass_over() {
  const bool is_grouped = round_.front() == kGroup;
  std::deque<std::uint32_t>& round = is_grouped ? group_round_ : round_;
  passed_.push_back(round.front());
  tenants_.find(round.front())->second.deficit = 0;
  round.pop_front();
  if (is_grouped && group_round_.empty()) round_.pop_front();
}

void FairQueue::pass_over_group() {
  is_group_passed_ = true;
  round_.pop_front();
}

void FairQueue::end_pass() {
  if (is_group_passed_) {
    is_group_passed_ = false;
    if (!group_round_.empty()) round_.push_back(kGroup);
  }
  for (const std::uint32_t number : passed_) {
    enter_round(number, tenants_.find(number)->second.standing);
  }
  passed_.clear();
}

std::optional<Instant> FairQueue::next_due() const {
  if (timed_.empty()) return std::nullopt;
  return timed_.top().due;
}

std::optional<Instant> FairQueue::oldest() const {
  std::optional<Instant> oldest;
  const auto look_at = [&](std::uint32_t number) {
    if (number == kGroup) return;
    const Tenant& tenant = tenants_.find(number)->second;
    for (const Line* line : {&tenant.due, &tenant.claims}) {
      if (line->length == 0) continue;
      const Instant head = nodes_[line->head].entry.queued_at;
      if (!oldest || head < *oldest) oldest = head;
    }
  };
  std::ranges::for_each(round_, look_at);
  std::ranges::for_each(group_round_, look_at);
  return oldest;
}

}  // namespace penstock::domain

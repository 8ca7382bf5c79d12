#include "domain/fair_queue.h"

#include <algorithm>

#include "domain/check.h"

namespace penstock::domain {

void FairQueue::set_weight(std::uint32_t tenant, std::uint32_t weight) {
  PENSTOCK_CHECK(weight >= 1, "a tenant of weight zero would never be served");
  const auto found = tenants_.find(tenant);
  if (found == tenants_.end()) {
    if (weight > 1) tenants_.emplace(tenant, Tenant{.weight = weight});
    return;
  }
  found->second.weight = weight;
  found->second.deficit = std::min(found->second.deficit, weight);
  if (weight == 1 && found->second.length == 0) tenants_.erase(found);
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

void FairQueue::push(std::uint32_t tenant, Entry entry) {
  const std::uint32_t node = take_node(entry);
  Tenant& line = tenants_[tenant];
  if (line.length == 0) {
    line.head = node;
    round_.push_back(tenant);
  } else {
    nodes_[line.tail].next = node;
  }
  line.tail = node;
  ++line.length;
  ++ready_;
}

void FairQueue::push_at(Entry entry, Instant due) {
  timed_.push({due, next_sequence_++, entry});
}

FairQueue::Entry FairQueue::pop_front(Tenant& tenant) {
  const std::uint32_t node = tenant.head;
  const Entry entry = nodes_[node].entry;
  tenant.head = nodes_[node].next;
  --tenant.length;
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

std::optional<FairQueue::Entry> FairQueue::pop(Instant now) {
  if (!timed_.empty() && timed_.top().due <= now) {
    const Entry entry = timed_.top().entry;
    timed_.pop();
    if (timed_.empty()) timed_ = {};  // its room, which a storm of retries may have made large
    return entry;
  }
  if (round_.empty()) return std::nullopt;
  const std::uint32_t number = round_.front();
  const auto found = tenants_.find(number);
  Tenant& tenant = found->second;
  // Entries cost one and a turn's quantum is a whole number, so a turn never leaves a deficit over.
  if (tenant.deficit == 0) tenant.deficit = tenant.weight;
  --tenant.deficit;
  const Entry entry = pop_front(tenant);
  if (tenant.length == 0) {
    round_.pop_front();
    tenant.deficit = 0;
    if (tenant.weight == 1) tenants_.erase(found);
  } else if (tenant.deficit == 0) {
    round_.pop_front();
    round_.push_back(number);
  }
  return entry;
}

std::optional<Instant> FairQueue::next_due() const {
  if (timed_.empty()) return std::nullopt;
  return timed_.top().due;
}

std::optional<Instant> FairQueue::oldest() const {
  std::optional<Instant> oldest;
  for (const std::uint32_t number : round_) {
    const Instant head = nodes_[tenants_.find(number)->second.head].entry.queued_at;
    if (!oldest || head < *oldest) oldest = head;
  }
  return oldest;
}

}  // namespace penstock::domain

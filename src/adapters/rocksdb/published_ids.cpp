#include "adapters/rocksdb/published_ids.h"

#include <algorithm>
#include <functional>

namespace penstock::rocksdb_store {

using domain::OrderId;

std::uint32_t PublishedIds::tenant_hash(std::string_view tenant) {
  const auto hash = static_cast<std::uint32_t>(std::hash<std::string_view>{}(tenant));
  return hash == kAnyTenant ? 1 : hash;
}

void PublishedIds::add(const OrderId& id, std::uint32_t tenant) {
  changes_.push_back({.entry = {.id = id, .tenant = tenant}, .is_added = true});
}

void PublishedIds::remove(const OrderId& id) {
  changes_.push_back({.entry = {.id = id}, .is_added = false});
}

void PublishedIds::publish() {
  if (changes_.empty()) return;
  const std::lock_guard lock(mutex_);
  for (const Change& change : changes_) {
    if (change.is_added) {
      insert(change.entry);
    } else {
      erase(change.entry.id);
    }
  }
  changes_.clear();
}

std::size_t PublishedIds::chunk_of(const OrderId& id) const {
  const auto behind = std::ranges::upper_bound(
      chunks_, id, {}, [](const Chunk& chunk) -> const OrderId& { return chunk.front().id; });
  const auto position = static_cast<std::size_t>(behind - chunks_.begin());
  return position == 0 ? 0 : position - 1;
}

void PublishedIds::insert(const Entry& entry) {
  if (chunks_.empty()) chunks_.emplace_back().reserve(kChunk);
  // Ids rise, so that nearly every one belongs at the end.
  const bool is_newest = chunks_.back().empty() || chunks_.back().back().id < entry.id;
  std::size_t at = is_newest ? chunks_.size() - 1 : chunk_of(entry.id);
  if (chunks_[at].size() == kChunk) {
    Chunk upper;
    upper.reserve(kChunk);
    if (!is_newest) {
      const auto half = chunks_[at].begin() + kChunk / 2;
      upper.assign(half, chunks_[at].end());
      chunks_[at].erase(half, chunks_[at].end());
    }
    chunks_.insert(chunks_.begin() + static_cast<std::ptrdiff_t>(at) + 1, std::move(upper));
    if (is_newest || !(entry.id < chunks_[at + 1].front().id)) ++at;
  }
  Chunk& chunk = chunks_[at];
  const auto place =
      is_newest ? chunk.end() : std::ranges::lower_bound(chunk, entry.id, {}, &Entry::id);
  if (place != chunk.end() && place->id == entry.id) return;
  chunk.insert(place, entry);
  ++size_;
}

void PublishedIds::erase(const OrderId& id) {
  if (chunks_.empty()) return;
  const std::size_t at = chunk_of(id);
  Chunk& chunk = chunks_[at];
  const auto place = std::ranges::lower_bound(chunk, id, {}, &Entry::id);
  if (place == chunk.end() || place->id != id) return;
  chunk.erase(place);
  --size_;
  if (chunk.empty()) chunks_.erase(chunks_.begin() + static_cast<std::ptrdiff_t>(at));
}

PublishedIds::Block PublishedIds::before(const OrderId& end, std::uint32_t tenant,
                                         std::size_t limit) const {
  Block block;
  const std::lock_guard lock(mutex_);
  if (chunks_.empty()) return block;
  std::size_t looked = 0;
  for (std::size_t at = chunk_of(end) + 1; at-- > 0;) {
    const Chunk& chunk = chunks_[at];
    const auto first = std::ranges::lower_bound(chunk, end, {}, &Entry::id);
    for (auto entry = first; entry != chunk.begin();) {
      if (block.ids.size() == limit || looked == kMaxLooked) {
        block.is_last = false;
        return block;
      }
      --entry;
      ++looked;
      block.reached = entry->id;
      const bool matches =
          tenant == kAnyTenant || entry->tenant == kAnyTenant || entry->tenant == tenant;
      if (matches) block.ids.push_back(entry->id);
    }
  }
  return block;
}

PublishedIds::Block PublishedIds::after(const OrderId& begin, std::uint32_t tenant,
                                        std::size_t limit) const {
  Block block;
  const std::lock_guard lock(mutex_);
  if (chunks_.empty()) return block;
  std::size_t looked = 0;
  for (std::size_t at = chunk_of(begin); at < chunks_.size(); ++at) {
    const Chunk& chunk = chunks_[at];
    for (auto entry = std::ranges::upper_bound(chunk, begin, {}, &Entry::id); entry != chunk.end();
         ++entry) {
      if (block.ids.size() == limit || looked == kMaxLooked) {
        block.is_last = false;
        return block;
      }
      ++looked;
      block.reached = entry->id;
      const bool matches =
          tenant == kAnyTenant || entry->tenant == kAnyTenant || entry->tenant == tenant;
      if (matches) block.ids.push_back(entry->id);
    }
  }
  return block;
}

std::size_t PublishedIds::size() const {
  const std::lock_guard lock(mutex_);
  return size_;
}

}  // namespace penstock::rocksdb_store

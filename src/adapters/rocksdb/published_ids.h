#pragma once

#include <cstddef>
#include <cstdint>
#include <mutex>
#include <string_view>
#include <vector>

#include "domain/ids.h"

namespace penstock::rocksdb_store {

/// The ids of a list that orders leave again, sorted, in memory: the active orders, the dead
/// letters, the owed refunds. In RocksDB each one that left is a tombstone that an iterator walks,
/// so that a page would cost what ended before it. 20 bytes an id.
///
/// One thread changes and publishes; any thread reads what was published. A read holds the lock for
/// kMaxLooked ids at most.
class PublishedIds {
 public:
  /// Looked at by one read, whether they match or not.
  static constexpr std::size_t kMaxLooked = 32'768;
  /// Of an entry whose tenant is not known: every tenant's list has it.
  static constexpr std::uint32_t kAnyTenant = 0;

  /// What a list is filtered by, besides the id; not kAnyTenant. Two names may share it.
  static std::uint32_t tenant_hash(std::string_view tenant);

  /// The next changes to publish. The writer's thread; an id is added once and removed once.
  void add(const domain::OrderId& id, std::uint32_t tenant);
  void remove(const domain::OrderId& id);
  void publish();

  /// A part of the list, in the order that it is read in.
  struct Block {
    std::vector<domain::OrderId> ids;
    domain::OrderId reached;  ///< the last id that was looked at; everything up to it is in `ids`
    bool is_last = true;      ///< nothing is behind
  };
  /// Those below `end`, newest first; `tenant` kAnyTenant is all. At most `limit`.
  Block before(const domain::OrderId& end, std::uint32_t tenant, std::size_t limit) const;
  /// Those above `begin`, oldest first.
  Block after(const domain::OrderId& begin, std::uint32_t tenant, std::size_t limit) const;

  std::size_t size() const;

 private:
  static constexpr std::size_t kChunk = 256;

  struct Entry {
    domain::OrderId id;
    std::uint32_t tenant = kAnyTenant;
  };
  struct Change {
    Entry entry;
    bool is_added = true;
  };
  using Chunk = std::vector<Entry>;  ///< sorted, never empty

  /// The chunk where `id` is or belongs.
  std::size_t chunk_of(const domain::OrderId& id) const;
  void insert(const Entry& entry);
  void erase(const domain::OrderId& id);

  std::vector<Change> changes_;
  mutable std::mutex mutex_;
  std::vector<Chunk> chunks_;
  std::size_t size_ = 0;
};

/// The lists of a store that orders leave again.
struct PublishedLists {
  PublishedIds active;
  PublishedIds dead_letters;
  PublishedIds owed_refunds;

  void publish() {
    active.publish();
    dead_letters.publish();
    owed_refunds.publish();
  }
};

}  // namespace penstock::rocksdb_store

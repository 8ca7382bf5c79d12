#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <list>
#include <optional>
#include <vector>

#include "adapters/postgres/connection.h"
#include "adapters/postgres/postgres_store_options.h"
#include "adapters/postgres/reachability.h"
#include "adapters/postgres/writer_session.h"

namespace penstock::postgres_store {

/// The writing connections of a node. The first one does everything; the parts of a batch that have
/// nothing to do with each other may be done by all at once, each in a transaction of its own, and
/// their commits share what the disk is waited for. Not thread-safe.
class WriterLanes {
 public:
  /// `reachability` outlives the lanes and is told what the first one meets.
  WriterLanes(const PostgresStoreOptions& options, Reachability& reachability);

  /// How many parts of a batch may be done at once now: as many as there are connections, or one
  /// while only the first may be used.
  std::size_t usable() const;

  /// What came of a part: its rows, or why the database would not do it while it works; then
  /// nothing was done of it.
  struct PartAnswer {
    std::vector<Rows> rows;
    std::optional<Failure> refusal;
  };

  /// Each part in a transaction of its own, at the same time; at most usable() of them, and at
  /// least one. What nothing was done of on a further connection is done again on the first one.
  /// `unavailable`: nothing was done of any part. `unknown_outcome`: each part was done, or was
  /// not, or may still be.
  std::expected<std::vector<PartAnswer>, Failure> commit(std::vector<std::vector<Call>> parts);

  WriterSession& first() { return first_; }
  std::uint64_t round_trips() const;

 private:
  std::vector<WriterSession*> sessions(std::size_t count);

  WriterSession first_;
  std::list<WriterSession> further_;
};

}  // namespace penstock::postgres_store

#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "ports/order_store.h"

namespace penstock::postgres_store {

/// A batch in parts that have nothing to do with each other: all of a tenant's commands are in one
/// part, in their order. So no part waits for a row that another one has locked.
class BatchSplit {
 public:
  struct Limits {
    std::size_t parts = 1;
    std::size_t least_batch = 2;  ///< a smaller one is one part
  };

  /// Into at most `limits.parts`, of about equal numbers of commands. Where there is more than one,
  /// moves `commands` into them; else the one part is `commands`, which has to live on.
  BatchSplit(std::span<ports::Command> commands, Limits limits);

  std::size_t size() const { return parts_.empty() ? 1 : parts_.size(); }
  std::span<ports::Command> part(std::size_t number) {
    return parts_.empty() ? whole_ : std::span(parts_[number].commands);
  }

  /// Puts the commands back where they were.
  void restore(std::span<ports::Command> commands);
  /// One result a command, of each part's, in the order of the batch.
  std::vector<ports::CommandResult> merge(std::vector<std::vector<ports::CommandResult>> results);

 private:
  struct Part {
    std::vector<ports::Command> commands;
    std::vector<std::size_t> places;  ///< of each in the batch
  };

  std::span<ports::Command> whole_;
  std::vector<Part> parts_;
};

}  // namespace penstock::postgres_store

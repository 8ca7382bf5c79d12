#pragma once

#include <functional>
#include <optional>
#include <span>
#include <unordered_map>
#include <variant>
#include <vector>

#include "adapters/memory/memory_disk.h"
#include "checker/event.h"
#include "domain/contract.h"
#include "domain/ids.h"
#include "domain/instant.h"
#include "ports/order_reader.h"
#include "ports/order_store.h"
#include "simulation/surroundings.h"

namespace penstock::simulation {

/// What a tap beside a store can look up once a group is durable. All of the moment behind it.
struct TapSource {
  const memory_store::MemoryDisk& disk;
  const ports::OrderReader& reader;
  std::function<ports::StoreDepth()> depth;
};

/// Takes what a tap has to tell, one by one; what it is given is gone when it returns.
using TapListener = std::function<void(const checker::OccurrencePointer&)>;

/// Turns one group of commands into what the judge is told of it, and fires the probes that commits
/// can show. Made before the group is applied, as commands are moved from. One thread.
class StoreTap {
 public:
  /// `asked_at` is the true time of the clock that the group is applied with; absent: when it is
  /// durable.
  explicit StoreTap(std::span<const ports::Command> commands,
                    std::optional<domain::Instant> asked_at = std::nullopt);

  /// Of the group, once it is durable.
  struct Taken {
    std::span<const ports::CommandResult> results;
    domain::Now now;
    checker::ProcessId process;
  };
  /// Tells what became durable, in the order of the commands. `told` is the last version of each
  /// order that the judge knows of, and is brought up to date.
  void tell(const Taken& taken, const TapSource& source,
            std::unordered_map<domain::OrderId, domain::Version>& told, Surroundings& around,
            const TapListener& listener) const;

 private:
  struct Accepted {
    domain::OrderId order;
    domain::TenantId tenant;
    std::optional<domain::IdempotencyKey> key;
  };
  struct Committed {
    domain::OrderId order;
    bool moves_stock = false;
  };
  using Seen = std::variant<std::monostate, Accepted, Committed, ports::SetStock, ports::Restock,
                            ports::PutContract>;

  std::vector<Seen> seen_;
  std::optional<domain::Instant> asked_at_;
};

}  // namespace penstock::simulation

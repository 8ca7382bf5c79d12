#include "adapters/postgres/batch_split.h"

#include <algorithm>
#include <functional>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <variant>

namespace penstock::postgres_store {
namespace {

/// Whose command it is. What ends terminal batches and attempts is nobody's, and all of it in one
/// part: attempts at a delivery follow each other.
std::string_view tenant_of(const ports::Command& command) {
  struct Visitor {
    std::string_view operator()(const ports::Accept& accept) const {
      return accept.commit.next.tenant.str();
    }
    std::string_view operator()(const ports::Commit& commit) const {
      return commit.next.tenant.str();
    }
    std::string_view operator()(const ports::PeekBucket& peek) const { return peek.tenant.str(); }
    std::string_view operator()(const ports::SetStock& set) const { return set.tenant.str(); }
    std::string_view operator()(const ports::Restock& restock) const {
      return restock.tenant.str();
    }
    std::string_view operator()(const ports::PutContract& put) const { return put.tenant.str(); }
    std::string_view operator()(const ports::FinishTerminalBatch&) const { return {}; }
    std::string_view operator()(const ports::DeliveryAttempt&) const { return {}; }
  };
  return std::visit(Visitor{}, command);
}

struct Share {
  std::size_t commands = 0;
  std::size_t part = 0;
};
using Shares = std::unordered_map<std::string_view, Share>;

/// Gives each tenant its part: the largest first, each to the part that has least.
void distribute(Shares& shares, std::size_t parts) {
  std::vector<std::pair<std::size_t, std::string_view>> largest_first;
  for (const auto& [tenant, share] : shares) largest_first.emplace_back(share.commands, tenant);
  std::ranges::sort(largest_first, std::greater{});
  std::vector<std::size_t> loads(parts, 0);
  for (const auto& [commands, tenant] : largest_first) {
    const auto least = std::ranges::min_element(loads);
    *least += commands;
    shares[tenant].part = static_cast<std::size_t>(least - loads.begin());
  }
}

}  // namespace

BatchSplit::BatchSplit(std::span<ports::Command> commands, Limits limits) : whole_(commands) {
  if (limits.parts < 2 || commands.size() < limits.least_batch) return;
  Shares shares;
  for (const ports::Command& command : commands) shares[tenant_of(command)].commands += 1;
  if (shares.size() < 2) return;
  parts_.resize(std::min(limits.parts, shares.size()));
  distribute(shares, parts_.size());
  // Before the commands move, and the names that are looked up with them.
  std::vector<std::size_t> part_of;
  part_of.reserve(commands.size());
  for (const ports::Command& command : commands) {
    part_of.push_back(shares.at(tenant_of(command)).part);
  }
  for (std::size_t at = 0; at < commands.size(); ++at) {
    Part& part = parts_[part_of[at]];
    part.commands.push_back(std::move(commands[at]));
    part.places.push_back(at);
  }
}

void BatchSplit::restore(std::span<ports::Command> commands) {
  for (Part& part : parts_) {
    for (std::size_t at = 0; at < part.places.size(); ++at) {
      commands[part.places[at]] = std::move(part.commands[at]);
    }
  }
}

std::vector<ports::CommandResult> BatchSplit::merge(
    std::vector<std::vector<ports::CommandResult>> results) {
  if (parts_.empty()) return std::move(results.front());
  std::vector<ports::CommandResult> merged(whole_.size(), std::monostate{});
  for (std::size_t number = 0; number < parts_.size(); ++number) {
    const Part& part = parts_[number];
    for (std::size_t at = 0; at < part.places.size(); ++at) {
      merged[part.places[at]] = std::move(results[number][at]);
    }
  }
  return merged;
}

}  // namespace penstock::postgres_store

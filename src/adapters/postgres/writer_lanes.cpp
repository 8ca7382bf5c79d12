#include "adapters/postgres/writer_lanes.h"

#include <algorithm>
#include <utility>

namespace penstock::postgres_store {

using ports::StoreError;

WriterLanes::WriterLanes(const PostgresStoreOptions& options, Reachability& reachability)
    : first_(options, reachability) {
  for (std::size_t number = 2; number <= options.writer_connections; ++number) {
    further_.emplace_back(options, number);
  }
}

std::uint64_t WriterLanes::round_trips() const {
  std::uint64_t sum = first_.round_trips();
  for (const WriterSession& session : further_) sum += session.round_trips();
  return sum;
}

std::size_t WriterLanes::usable() const {
  const auto is_usable = [](const WriterSession& session) { return session.is_usable(); };
  return std::ranges::all_of(further_, is_usable) ? further_.size() + 1 : 1;
}

std::vector<WriterSession*> WriterLanes::sessions(std::size_t count) {
  std::vector<WriterSession*> chosen{&first_};
  for (WriterSession& session : further_) {
    if (chosen.size() < count) chosen.push_back(&session);
  }
  return chosen;
}

// Where one part was done, or may have been, the others are not left undone without another try.
void WriterLanes::finish_what_was_begun(std::span<WriterSession* const> chosen,
                                        std::vector<Outcome>& outcomes) {
  const auto is_undone = [](const Outcome& outcome) {
    return !outcome && outcome.error().error == StoreError::unavailable;
  };
  if (std::ranges::all_of(outcomes, is_undone)) return;
  for (std::size_t part = 0; part < outcomes.size(); ++part) {
    if (is_undone(outcomes[part])) outcomes[part] = first_.commit(chosen[part]->take_calls());
  }
}

std::expected<std::vector<std::vector<Rows>>, Failure> WriterLanes::commit(
    std::vector<std::vector<Call>> parts) {
  const std::vector<WriterSession*> chosen = sessions(parts.size());
  first_.start_commit(std::move(parts.front()));
  if (first_.connection() == nullptr) {
    // The node's name is the first connection's: without it nothing is done.
    return std::unexpected(first_.finish_commit({}).error());
  }
  for (std::size_t part = 1; part < parts.size(); ++part) {
    chosen[part]->start_commit(std::move(parts[part]));
  }
  std::vector<Outcome> outcomes;
  for (std::size_t part = 0; part < parts.size(); ++part) {
    std::vector<Connection*> others;
    for (std::size_t later = part + 1; later < parts.size(); ++later) {
      if (Connection* connection = chosen[later]->connection()) others.push_back(connection);
    }
    outcomes.push_back(chosen[part]->finish_commit(others));
  }
  finish_what_was_begun(chosen, outcomes);
  std::vector<std::vector<Rows>> answers;
  const Failure* failure = nullptr;
  bool is_part_done = false;
  for (Outcome& outcome : outcomes) {
    if (outcome) {
      answers.push_back(*std::move(outcome));
      is_part_done = true;
    } else if (failure == nullptr || outcome.error().error != StoreError::unavailable) {
      failure = &outcome.error();
    }
  }
  if (failure == nullptr) return answers;
  Failure told = *failure;
  if (is_part_done && told.error == StoreError::unavailable) {
    told.error = StoreError::unknown_outcome;
  }
  return std::unexpected(std::move(told));
}

}  // namespace penstock::postgres_store

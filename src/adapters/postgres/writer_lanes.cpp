#include "adapters/postgres/writer_lanes.h"

#include <algorithm>
#include <utility>

#include "adapters/postgres/part_outcomes.h"

namespace penstock::postgres_store {

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

namespace {

std::expected<WriterLanes::PartAnswer, Failure> answer_of(
    std::expected<std::vector<Rows>, Failure> rows) {
  if (rows) return WriterLanes::PartAnswer{.rows = *std::move(rows), .refusal = std::nullopt};
  if (rows.error().error == ports::StoreError::unavailable && rows.error().is_refusal()) {
    return WriterLanes::PartAnswer{.rows = {}, .refusal = std::move(rows.error())};
  }
  return std::unexpected(std::move(rows.error()));
}

}  // namespace

std::expected<std::vector<WriterLanes::PartAnswer>, Failure> WriterLanes::commit(
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
  PartOutcomes<PartAnswer, Failure> outcomes;
  for (std::size_t part = 0; part < parts.size(); ++part) {
    std::vector<Connection*> others;
    for (std::size_t later = part + 1; later < parts.size(); ++later) {
      if (Connection* connection = chosen[later]->connection()) others.push_back(connection);
    }
    outcomes.add(answer_of(chosen[part]->finish_commit(others)));
  }
  outcomes.finish_what_was_begun(
      [&](std::size_t part) { return answer_of(first_.commit(chosen[part]->take_calls())); });
  return std::move(outcomes).together();
}

}  // namespace penstock::postgres_store

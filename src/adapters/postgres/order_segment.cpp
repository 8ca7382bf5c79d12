#include "adapters/postgres/order_segment.h"

#include <algorithm>
#include <variant>

#include "adapters/postgres/binary.h"
#include "adapters/postgres/order_answer.h"
#include "adapters/postgres/order_codec.h"
#include "adapters/postgres/statements.h"
#include "domain/check.h"
#include "domain/saga.h"

namespace penstock::postgres_store {
namespace {

/// The move's number in apply_orders.
std::int32_t number_of(domain::StockMove move) {
  switch (move) {
    case domain::StockMove::none:
      return 0;
    case domain::StockMove::reserve:
      return 1;
    case domain::StockMove::release:
      return 2;
    case domain::StockMove::sell:
      return 3;
  }
  return 0;
}

void check_commit(const ports::Commit& commit) {
  const domain::Order& next = commit.next;
  PENSTOCK_CHECK(next.version > commit.read && next.timeline.size() == next.version.number,
                 "a commit carries every event up to its version");
  PENSTOCK_CHECK(commit.receipt.empty() == (next.status != domain::Status::fulfilled),
                 "exactly a fulfilled order has a receipt");
  PENSTOCK_CHECK(next.timeline.back().to == next.status, "the timeline ends in the order's status");
}

template <typename Places>
std::string names(const Places& places, auto name_of) {
  ArrayWriter out(type_id::kText);
  for (const auto& [key, place] : places) out.add(name_of(key));
  return out.bytes();
}

}  // namespace

OrderSegment::OrderSegment(std::span<ports::Command> commands, std::vector<std::size_t> indices,
                           CallContext& context)
    : commands_(commands), indices_(std::move(indices)) {
  gather();
  choose_held(context);
}

void OrderSegment::choose_held(CallContext& context) {
  holds_.assign(writes_.size(), false);
  for (std::size_t write = 0; write < writes_.size(); ++write) {
    const ports::Accept* accept = accept_of(writes_[write]);
    if (accept == nullptr || context.hold_at_most == 0 || !context.hold_stage) continue;
    const domain::Order& next = accept->commit.next;
    if (domain::stage_of(next.status) != context.hold_stage || next.due > next.updated_at) continue;
    holds_[write] = true;
    context.hold_at_most -= 1;
  }
}

const ports::Accept* OrderSegment::accept_of(std::size_t index) const {
  return std::get_if<ports::Accept>(&commands_[index]);
}

const ports::Commit* OrderSegment::commit_of(std::size_t index) const {
  if (const ports::Accept* accept = accept_of(index)) return &accept->commit;
  return std::get_if<ports::Commit>(&commands_[index]);
}

void OrderSegment::gather() {
  std::size_t claims = 0;
  for (const std::size_t index : indices_) {
    if (const auto* peek = std::get_if<ports::PeekBucket>(&commands_[index])) {
      tenants_.add(peek->tenant.str());
      continue;
    }
    const ports::Commit& commit = *commit_of(index);
    const Text tenant = commit.next.tenant.str();
    check_commit(commit);
    writes_.push_back(index);
    orders_.add(commit.next.id);
    if (const ports::Accept* accept = accept_of(index)) {
      PENSTOCK_CHECK(commit.read.number == 0, "an order is accepted from nothing");
      tenants_.add(tenant);
      if (accept->idempotency) {
        keys_.add({tenant, accept->idempotency->key.str()});
        ++claims;
      }
    }
    if (commit.stock == domain::StockMove::none) continue;
    for (const domain::Item& item : commit.next.items) products_.add({tenant, item.product.str()});
  }
  is_plain_ = writes_.size() == orders_.size() && claims == keys_.size();
  orders_.number();
  tenants_.number();
  products_.number();
  keys_.number();
}

Call OrderSegment::call(const PostgresStoreOptions& options, const CallContext& context) const {
  const domain::BucketContract& bucket = options.default_contract.bucket;
  Parameters parameters;
  parameters.add(options.node).add(context.counter);
  if (context.hold_stage) {
    parameters.add(to_binary(static_cast<std::int16_t>(*context.hold_stage)));
  } else {
    parameters.add_null();
  }
  parameters.add(interval_to_binary(options.lease))
      .add(to_binary(static_cast<std::int64_t>(options.max_active)))
      .add(to_binary(static_cast<std::int64_t>(domain::limits::kMaxTenants)))
      .add(interval_to_binary(options.idempotency_retention))
      .add(to_binary(bucket.rate.micro_tokens))
      .add(to_binary(bucket.rate.period_ns))
      .add(to_binary(bucket.burst));
  add_order_arrays(parameters, context.types);
  add_command_arrays(parameters);
  add_line_arrays(parameters);
  add_name_arrays(parameters);
  add_order_sums(parameters);
  add_other_sums(parameters);
  add_tenant_rooms(parameters, context);
  return {.statement = &statements::kApplyOrders, .parameters = std::move(parameters)};
}

void OrderSegment::add_order_arrays(Parameters& parameters, const CompositeTypes& types) const {
  ArrayWriter ids(type_id::kUuid);
  std::vector<const domain::Order*> facts(orders_.size(), nullptr);
  for (const auto& [id, place] : orders_) ids.add(id.view());
  std::vector<const ports::Commit*> states;
  for (const std::size_t index : writes_) {
    const ports::Commit& commit = *commit_of(index);
    states.push_back(&commit);
    if (accept_of(index) == nullptr) continue;
    const domain::Order*& fact = facts[static_cast<std::size_t>(orders_[commit.next.id]) - 1];
    PENSTOCK_CHECK(fact == nullptr, "an order id is accepted once");
    fact = &commit.next;
  }
  if (is_plain_) std::ranges::sort(states, {}, [](const auto* commit) { return commit->next.id; });
  ArrayWriter all_states(types.state);
  for (const ports::Commit* commit : states) {
    all_states.add(encode_state(commit->next, commit->read, commit->receipt));
  }
  ArrayWriter all_facts(types.facts);
  for (const domain::Order* order : facts) {
    if (order == nullptr) {
      all_facts.add_null();
    } else {
      all_facts.add(encode_facts(*order));
    }
  }
  parameters.add(ids.bytes()).add(all_facts.bytes()).add(all_states.bytes());
}

void OrderSegment::add_command_arrays(Parameters& parameters) const {
  ArrayWriter orders(type_id::kInt4);
  ArrayWriter reads(type_id::kInt4);
  ArrayWriter moves(type_id::kInt4);
  ArrayWriter tenants(type_id::kInt4);
  ArrayWriter keys(type_id::kInt4);
  ArrayWriter fingerprints(type_id::kBytea);
  ArrayWriter versions(type_id::kInt4);
  ArrayWriter stages(type_id::kInt2);
  ArrayWriter holds(type_id::kBool);
  for (std::size_t write = 0; write < writes_.size(); ++write) {
    const std::size_t index = writes_[write];
    const ports::Commit& commit = *commit_of(index);
    const ports::Accept* accept = accept_of(index);
    versions.add(to_binary(static_cast<std::int32_t>(commit.next.version.number)));
    stages.add(to_binary(stage_number(commit.next.status)));
    holds.add(to_binary(static_cast<bool>(holds_[write])));
    const Text tenant = commit.next.tenant.str();
    orders.add(to_binary(orders_[commit.next.id]));
    reads.add(to_binary(static_cast<std::int32_t>(commit.read.number)));
    moves.add(to_binary(number_of(commit.stock)));
    tenants.add(to_binary(accept == nullptr ? 0 : tenants_[tenant]));
    if (accept != nullptr && accept->idempotency) {
      const auto& print = accept->idempotency->fingerprint;
      keys.add(to_binary(keys_[{tenant, accept->idempotency->key.str()}]));
      fingerprints.add({reinterpret_cast<const char*>(print.data()), print.size()});
    } else {
      keys.add(to_binary(std::int32_t{0}));
      fingerprints.add_null();
    }
  }
  parameters.add(orders.bytes()).add(reads.bytes()).add(moves.bytes()).add(tenants.bytes());
  parameters.add(keys.bytes()).add(fingerprints.bytes());
  parameters.add(versions.bytes()).add(stages.bytes()).add(holds.bytes());
}

void OrderSegment::add_line_arrays(Parameters& parameters) const {
  ArrayWriter ends(type_id::kInt4);
  ArrayWriter products(type_id::kInt4);
  ArrayWriter pieces(type_id::kInt8);
  for (const std::size_t index : writes_) {
    const ports::Commit& commit = *commit_of(index);
    if (commit.stock != domain::StockMove::none) {
      for (const domain::Item& item : commit.next.items) {
        products.add(to_binary(products_[{commit.next.tenant.str(), item.product.str()}]));
        pieces.add(to_binary(static_cast<std::int64_t>(item.quantity)));
      }
    }
    ends.add(to_binary(static_cast<std::int32_t>(products.size())));
  }
  parameters.add(ends.bytes()).add(products.bytes()).add(pieces.bytes());
}

void OrderSegment::add_name_arrays(Parameters& parameters) const {
  const auto whole = [](const Text& name) { return name; };
  const auto first = [](const Pair& pair) { return pair.first; };
  const auto second = [](const Pair& pair) { return pair.second; };
  parameters.add(names(tenants_, whole))
      .add(names(products_, first))
      .add(names(products_, second))
      .add(names(keys_, first))
      .add(names(keys_, second));
}

// What the server needs where it carries out every command as it stands.
void OrderSegment::add_order_sums(Parameters& parameters) const {
  struct Of {
    int commits = 0;
    bool ends = false;
    std::int32_t read = 0;
    std::int32_t place = 0;
  };
  std::vector<Of> all(orders_.size());
  ArrayWriter outcomes(type_id::kInt2);
  ArrayWriter state_of(type_id::kInt4);
  std::int32_t ended = 0;
  for (const std::size_t index : writes_) {
    const ports::Commit& commit = *commit_of(index);
    const ports::Accept* accept = accept_of(index);
    Of& of = all[static_cast<std::size_t>(orders_[commit.next.id]) - 1];
    const bool is_terminal = stage_number(commit.next.status) == 0;
    of.commits += 1;
    of.read = static_cast<std::int32_t>(commit.read.number);
    of.ends = accept == nullptr && is_terminal && commit.stock != domain::StockMove::reserve;
    if (is_terminal) of.place = ++ended;
    outcomes.add(to_binary(OrderAnswer::as_it_stands(
        accept != nullptr ? OrderAnswer::Kind::accept : OrderAnswer::Kind::commit)));
    state_of.add(to_binary(is_plain_ ? orders_[commit.next.id]
                                     : static_cast<std::int32_t>(state_of.size()) + 1));
  }
  ArrayWriter ends(type_id::kBool);
  ArrayWriter reads(type_id::kInt4);
  ArrayWriter places(type_id::kInt4);
  for (const Of& of : all) {
    ends.add(to_binary(of.ends && of.commits == 1));
    reads.add(to_binary(of.read));
    places.add(to_binary(of.place));
  }
  parameters.add(to_binary(is_plain_)).add(state_of.bytes());
  parameters.add(ends.bytes()).add(reads.bytes()).add(places.bytes()).add(outcomes.bytes());
}

void OrderSegment::add_tenant_rooms(Parameters& parameters, const CallContext& context) const {
  ArrayWriter rooms(type_id::kInt8);
  for (const auto& [tenant, place] : tenants_) {
    std::int64_t room = INT64_MAX;
    if (context.tenant_rooms != nullptr) {
      const auto found = context.tenant_rooms->find(tenant);
      room = found == context.tenant_rooms->end() ? 0 : found->second;
    }
    rooms.add(to_binary(room));
  }
  parameters.add(rooms.bytes());
}

void OrderSegment::add_other_sums(Parameters& parameters) const {
  struct Moves {
    std::int64_t reserved = 0;
    std::int64_t released = 0;
    std::int64_t sold = 0;
  };
  std::vector<std::int64_t> orders(tenants_.size(), 0);
  std::vector<Moves> moves(products_.size());
  std::vector<const ports::Accept*> claims(keys_.size(), nullptr);
  const auto at = [](std::int32_t place) { return static_cast<std::size_t>(place) - 1; };
  for (const std::size_t index : writes_) {
    const ports::Commit& commit = *commit_of(index);
    const Text tenant = commit.next.tenant.str();
    if (const ports::Accept* accept = accept_of(index)) {
      orders[at(tenants_[tenant])] += 1;
      if (accept->idempotency) claims[at(keys_[{tenant, accept->idempotency->key.str()}])] = accept;
    }
    if (commit.stock == domain::StockMove::none) continue;
    for (const domain::Item& item : commit.next.items) {
      Moves& move = moves[at(products_[{tenant, item.product.str()}])];
      if (commit.stock == domain::StockMove::reserve) move.reserved += item.quantity;
      if (commit.stock == domain::StockMove::release) move.released += item.quantity;
      if (commit.stock == domain::StockMove::sell) move.sold += item.quantity;
    }
  }
  ArrayWriter tenant_orders(type_id::kInt8);
  for (const std::int64_t count : orders) tenant_orders.add(to_binary(count));
  ArrayWriter reserved(type_id::kInt8);
  ArrayWriter released(type_id::kInt8);
  ArrayWriter sold(type_id::kInt8);
  for (const Moves& move : moves) {
    reserved.add(to_binary(move.reserved));
    released.add(to_binary(move.released));
    sold.add(to_binary(move.sold));
  }
  ArrayWriter key_orders(type_id::kUuid);
  ArrayWriter key_prints(type_id::kBytea);
  for (const ports::Accept* accept : claims) {
    const auto& print = accept->idempotency->fingerprint;
    key_orders.add(accept->commit.next.id.view());
    key_prints.add({reinterpret_cast<const char*>(print.data()), print.size()});
  }
  parameters.add(tenant_orders.bytes());
  parameters.add(reserved.bytes()).add(released.bytes()).add(sold.bytes());
  parameters.add(key_orders.bytes()).add(key_prints.bytes());
}

std::vector<std::size_t> OrderSegment::tenant_places() const {
  std::vector<std::size_t> places;
  for (const std::size_t index : indices_) {
    if (const auto* peek = std::get_if<ports::PeekBucket>(&commands_[index])) {
      places.push_back(static_cast<std::size_t>(tenants_[peek->tenant.str()]) - 1);
    } else if (const ports::Accept* accept = accept_of(index)) {
      places.push_back(static_cast<std::size_t>(tenants_[accept->commit.next.tenant.str()]) - 1);
    } else {
      places.push_back(0);
    }
  }
  return places;
}

bool OrderSegment::read(const Rows& rows, std::vector<ports::CommandResult>& results) {
  auto answer = OrderAnswer::from(rows, {.commands = writes_.size(), .tenants = tenants_.size()});
  if (!answer) return false;
  // The places are found by text of the commands, which are moved from below.
  const std::vector<std::size_t> tenants = tenant_places();
  std::size_t write = 0;
  for (std::size_t at = 0; at < indices_.size(); ++at) {
    const std::size_t index = indices_[at];
    ports::Command& command = commands_[index];
    if (auto* accept = std::get_if<ports::Accept>(&command)) {
      results[index] = answer->accept(write++, tenants[at], *accept);
    } else if (auto* commit = std::get_if<ports::Commit>(&command)) {
      results[index] = answer->commit(write++, *commit);
    } else {
      results[index] = answer->peek(tenants[at]);
    }
  }
  held_ = answer->take_held();
  active_ = answer->active();
  return answer->is_whole();
}

}  // namespace penstock::postgres_store

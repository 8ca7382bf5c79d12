#include "adapters/postgres/batch.h"

#include <algorithm>
#include <array>
#include <iterator>
#include <map>
#include <string>
#include <string_view>

#include "adapters/postgres/binary.h"
#include "adapters/postgres/statements.h"
#include "domain/limits.h"

namespace penstock::postgres_store {
namespace {

using Product = std::pair<std::string_view, std::string_view>;

/// A SetStock or Restock as one shape.
struct StockCommand {
  Product product;
  bool is_set = false;
  std::int64_t pieces = 0;
};

StockCommand stock_command(const ports::Command& command) {
  if (const auto* set = std::get_if<ports::SetStock>(&command)) {
    return {
        .product = {set->tenant.str(), set->product.str()}, .is_set = true, .pieces = set->on_hand};
  }
  const auto& restock = std::get<ports::Restock>(command);
  return {.product = {restock.tenant.str(), restock.product.str()},
          .is_set = false,
          .pieces = restock.quantity};
}

/// All of a contract, as contract_text of the schema writes it.
std::string contract_text(const domain::Contract& contract) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text = std::to_string(contract.bucket.rate.micro_tokens) + ' ' +
                     std::to_string(contract.bucket.rate.period_ns) + ' ' +
                     std::to_string(contract.bucket.burst) + ' ';
  if (const auto& guarantee = contract.guarantee) {
    text += std::to_string(guarantee->micro_tokens) + ' ' + std::to_string(guarantee->period_ns);
  } else {
    text += "- -";
  }
  text += ' ' + std::to_string(contract.weight);
  if (!contract.webhook) return text + " - - -";
  text += contract.webhook->disabled ? " off " : " on ";
  for (const char byte : contract.webhook->secret) {
    text += kDigits[static_cast<unsigned char>(byte) >> 4U];
    text += kDigits[static_cast<unsigned char>(byte) & 15U];
  }
  return text + ' ' + contract.webhook->url;
}

void add_optional(ArrayWriter& out, const std::optional<std::int64_t>& value) {
  if (value) {
    out.add(to_binary(*value));
  } else {
    out.add_null();
  }
}

}  // namespace

Batch::Batch(std::span<ports::Command> commands, const PostgresStoreOptions& options,
             CallContext context)
    : commands_(commands), options_(options), context_(std::move(context)) {
  divide();
  for (const Segment& segment : segments_) {
    if (segment.kind != Kind::orders) continue;
    order_segments_.emplace_back(commands_, segment.commands, context_);
  }
}

std::vector<domain::Order> Batch::take_held() {
  std::vector<domain::Order> held;
  for (OrderSegment& segment : order_segments_) {
    std::ranges::move(segment.take_held(), std::back_inserter(held));
  }
  return held;
}

std::optional<std::size_t> Batch::active() const {
  if (order_segments_.empty()) return std::nullopt;
  return order_segments_.back().active();
}

void Batch::divide() {
  for (std::size_t index = 0; index < commands_.size(); ++index) {
    const ports::Command& command = commands_[index];
    if (std::holds_alternative<ports::FinishTerminalBatch>(command)) {
      finishes_.push_back(index);
      continue;
    }
    if (std::holds_alternative<ports::DeliveryAttempt>(command)) {
      add_attempt(index);
      continue;
    }
    Kind kind = Kind::orders;
    if (std::holds_alternative<ports::SetStock>(command) ||
        std::holds_alternative<ports::Restock>(command)) {
      kind = Kind::stock;
    } else if (std::holds_alternative<ports::PutContract>(command)) {
      kind = Kind::contracts;
    }
    if (segments_.empty() || !joins(segments_.back(), kind, command)) {
      segments_.push_back({.kind = kind, .commands = {}});
      named_.clear();
    }
    if (const auto* put = std::get_if<ports::PutContract>(&command)) named_.insert(put->tenant);
    segments_.back().commands.push_back(index);
  }
}

void Batch::add_attempt(std::size_t index) {
  const auto& attempt = std::get<ports::DeliveryAttempt>(commands_[index]);
  if (attempts_.empty() || attempted_.contains(attempt.order)) {
    attempts_.emplace_back();
    attempted_.clear();
  }
  attempted_.insert(attempt.order);
  attempts_.back().push_back(index);
}

bool Batch::joins(const Segment& segment, Kind kind, const ports::Command& command) const {
  if (segment.kind != kind) return false;
  const auto* put = std::get_if<ports::PutContract>(&command);
  return put == nullptr || !named_.contains(put->tenant);
}

std::vector<Call> Batch::calls() const {
  std::vector<Call> calls;
  auto order_segment = order_segments_.begin();
  for (const Segment& segment : segments_) {
    switch (segment.kind) {
      case Kind::orders:
        calls.push_back((order_segment++)->call(options_, context_));
        break;
      case Kind::stock:
        calls.push_back(stock_call(segment.commands));
        break;
      case Kind::contracts:
        calls.push_back(contracts_call(segment.commands));
        break;
    }
  }
  if (const Indices whole = finishes_of(ports::BatchPart::whole); !whole.empty()) {
    calls.push_back(finish_call(whole, statements::kFinishOutbox));
  }
  if (const Indices told = finishes_of(ports::BatchPart::deliveries); !told.empty()) {
    calls.push_back(finish_call(told, statements::kTellOutbox));
  }
  if (const Indices copied = finishes_of(ports::BatchPart::copies); !copied.empty()) {
    calls.push_back(drop_call(copied));
  }
  for (const Indices& indices : attempts_) calls.push_back(attempts_call(indices));
  return calls;
}

Call Batch::stock_call(const Indices& indices) const {
  Places<Product> products;
  for (const std::size_t index : indices) products.add(stock_command(commands_[index]).product);
  products.number();
  ArrayWriter tenants(type_id::kText);
  ArrayWriter names(type_id::kText);
  for (const auto& [product, place] : products) {
    tenants.add(product.first);
    names.add(product.second);
  }
  ArrayWriter places(type_id::kInt4);
  ArrayWriter sets(type_id::kBool);
  ArrayWriter pieces(type_id::kInt8);
  for (const std::size_t index : indices) {
    const StockCommand command = stock_command(commands_[index]);
    places.add(to_binary(products[command.product]));
    sets.add(to_binary(command.is_set));
    pieces.add(to_binary(command.pieces));
  }
  Parameters parameters;
  parameters.add(tenants.bytes()).add(names.bytes()).add(places.bytes()).add(sets.bytes());
  parameters.add(pieces.bytes()).add(to_binary(domain::limits::kMaxStock));
  return {.statement = &statements::kSetStock, .parameters = std::move(parameters)};
}

Call Batch::contracts_call(const Indices& indices) const {
  std::map<std::string_view, const ports::PutContract*> puts;
  for (const std::size_t index : indices) {
    const auto& put = std::get<ports::PutContract>(commands_[index]);
    puts.emplace(put.tenant.str(), &put);
  }
  ArrayWriter tenants(type_id::kText);
  ArrayWriter urls(type_id::kText);
  ArrayWriter secrets(type_id::kBytea);
  ArrayWriter disabled(type_id::kBool);
  ArrayWriter instead_of(type_id::kText);
  ArrayWriter instead_of_none(type_id::kBool);
  // rate, period, burst, guarantee's rate and period, weight
  std::vector<ArrayWriter> numbers(6, ArrayWriter(type_id::kInt8));
  for (const auto& [tenant, put] : puts) {
    const domain::Contract* const contract = &put->contract;
    tenants.add(tenant);
    if (put->instead_of) {
      instead_of.add(contract_text(*put->instead_of));
    } else {
      instead_of.add_null();
    }
    instead_of_none.add(to_binary(put->instead_of == options_.default_contract));
    const auto& guarantee = contract->guarantee;
    const std::optional<std::int64_t> values[] = {
        contract->bucket.rate.micro_tokens,
        contract->bucket.rate.period_ns,
        contract->bucket.burst,
        guarantee ? std::optional(guarantee->micro_tokens) : std::nullopt,
        guarantee ? std::optional(guarantee->period_ns) : std::nullopt,
        contract->weight};
    for (std::size_t column = 0; column < numbers.size(); ++column) {
      add_optional(numbers[column], values[column]);
    }
    if (const auto& webhook = contract->webhook) {
      urls.add(webhook->url);
      secrets.add(webhook->secret);
      disabled.add(to_binary(webhook->disabled));
    } else {
      urls.add_null();
      secrets.add_null();
      disabled.add_null();
    }
  }
  Parameters parameters;
  parameters.add(tenants.bytes());
  for (const ArrayWriter& column : numbers) parameters.add(column.bytes());
  parameters.add(urls.bytes()).add(secrets.bytes()).add(disabled.bytes());
  parameters.add(to_binary(static_cast<std::int64_t>(domain::limits::kMaxTenants)));
  parameters.add(instead_of.bytes()).add(instead_of_none.bytes());
  return {.statement = &statements::kPutContracts, .parameters = std::move(parameters)};
}

Batch::Indices Batch::finishes_of(ports::BatchPart part) const {
  Indices indices;
  for (const std::size_t index : finishes_) {
    if (std::get<ports::FinishTerminalBatch>(commands_[index]).part == part) {
      indices.push_back(index);
    }
  }
  return indices;
}

Call Batch::drop_call(const Indices& indices) const {
  ArrayWriter sequences(type_id::kInt8);
  for (const std::size_t index : indices) {
    const auto& finish = std::get<ports::FinishTerminalBatch>(commands_[index]);
    sequences.add(to_binary(static_cast<std::int64_t>(finish.sequence)));
  }
  Parameters parameters;
  parameters.add(sequences.bytes());
  return {.statement = &statements::kDropOutbox, .parameters = std::move(parameters)};
}

Call Batch::finish_call(const Indices& indices, const Statement& statement) const {
  ArrayWriter sequences(type_id::kInt8);
  ArrayWriter delivery_batches(type_id::kInt8);
  ArrayWriter deliveries(type_id::kUuid);
  for (const std::size_t index : indices) {
    const auto& finish = std::get<ports::FinishTerminalBatch>(commands_[index]);
    const std::string sequence = to_binary(static_cast<std::int64_t>(finish.sequence));
    sequences.add(sequence);
    for (const domain::OrderId& order : finish.deliveries) {
      delivery_batches.add(sequence);
      deliveries.add(order.view());
    }
  }
  Parameters parameters;
  parameters.add(sequences.bytes()).add(delivery_batches.bytes()).add(deliveries.bytes());
  return {.statement = &statement, .parameters = std::move(parameters)};
}

Call Batch::attempts_call(const Indices& indices) const {
  ArrayWriter orders(type_id::kUuid);
  ArrayWriter attempts(type_id::kInt4);
  ArrayWriter reasons(type_id::kInt2);
  ArrayWriter dues(type_id::kTimestamp);
  for (const std::size_t index : indices) {
    const auto& ended = std::get<ports::DeliveryAttempt>(commands_[index]);
    orders.add(ended.order.view());
    attempts.add(to_binary(ended.attempt));
    reasons.add(to_binary(static_cast<std::int16_t>(ended.reason)));
    if (ended.next_due) {
      dues.add(to_binary(*ended.next_due));
    } else {
      dues.add_null();
    }
  }
  Parameters parameters;
  parameters.add(orders.bytes()).add(attempts.bytes()).add(reasons.bytes()).add(dues.bytes());
  return {.statement = &statements::kEndAttempts, .parameters = std::move(parameters)};
}

std::optional<std::vector<ports::CommandResult>> Batch::results(std::span<const Rows> rows) {
  std::vector<ports::CommandResult> results(commands_.size(), std::monostate{});
  auto order_segment = order_segments_.begin();
  std::size_t call = 0;
  for (const Segment& segment : segments_) {
    if (call == rows.size()) return std::nullopt;
    const Rows& answer = rows[call++];
    bool is_whole = false;
    switch (segment.kind) {
      case Kind::orders:
        is_whole = (order_segment++)->read(answer, results);
        break;
      case Kind::stock:
        is_whole = read_stock(segment.commands, answer, results);
        break;
      case Kind::contracts:
        is_whole = read_contracts(segment.commands, answer, results);
        break;
    }
    if (!is_whole) return std::nullopt;
  }
  return results;
}

bool Batch::read_stock(const Indices& indices, const Rows& rows,
                       std::vector<ports::CommandResult>& results) const {
  if (rows.size() != indices.size()) return false;
  for (std::size_t row = 0; row < rows.size(); ++row) {
    if (rows.boolean(row, 0)) {
      results[indices[row]] = ports::StockResult{std::unexpected(domain::StockError::too_large)};
    } else {
      results[indices[row]] = ports::StockResult{domain::Stock{.received = rows.integer(row, 1),
                                                               .reserved = rows.integer(row, 2),
                                                               .sold = rows.integer(row, 3)}};
    }
  }
  return true;
}

bool Batch::read_contracts(const Indices& indices, const Rows& rows,
                           std::vector<ports::CommandResult>& results) const {
  if (rows.size() != indices.size()) return false;
  std::map<std::string_view, std::size_t> by_name;  // the order of the answer
  for (const std::size_t index : indices) {
    by_name.emplace(std::get<ports::PutContract>(commands_[index]).tenant.str(), index);
  }
  constexpr std::array kOutcomes{ports::PutOutcome::stored, ports::PutOutcome::too_many_tenants,
                                 ports::PutOutcome::stale};
  std::size_t row = 0;
  for (const auto& [tenant, index] : by_name) {
    const auto outcome = static_cast<std::size_t>(rows.integer(row++, 0));
    if (outcome >= kOutcomes.size()) return false;
    results[index] = kOutcomes[outcome];
  }
  return true;
}

}  // namespace penstock::postgres_store

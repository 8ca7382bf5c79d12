#include "domain/order.h"

#include <array>

namespace penstock::domain {
namespace {

constexpr std::array<std::string_view, 8> kStatusTexts{
    "", "placed", "reserved", "charged", "fulfilled", "rejected", "cancelling", "cancelled"};
constexpr std::array<std::string_view, 6> kStageTexts{"",        "ingest",      "inventory",
                                                      "payment", "fulfillment", "notification"};

template <typename Enum, std::size_t N>
std::optional<Enum> parse_in(const std::array<std::string_view, N>& texts, std::string_view text) {
  for (std::size_t index = 1; index < N; ++index) {
    if (texts[index] == text) return static_cast<Enum>(index);
  }
  return std::nullopt;
}

}  // namespace

std::string_view to_string(Status status) {
  return kStatusTexts.at(static_cast<std::size_t>(status));
}

std::string_view to_string(Stage stage) {
  return kStageTexts.at(static_cast<std::size_t>(stage));
}

std::optional<Status> parse_status(std::string_view text) {
  return parse_in<Status>(kStatusTexts, text);
}

std::optional<Stage> parse_stage(std::string_view text) {
  return parse_in<Stage>(kStageTexts, text);
}

bool is_terminal(Status status) {
  return status == Status::fulfilled || status == Status::rejected || status == Status::cancelled;
}

bool is_legal(Status from, Status to) {
  if (from == to) return !is_terminal(from);
  switch (from) {
    case Status::placed:
      return to == Status::reserved || to == Status::rejected || to == Status::cancelling ||
             to == Status::cancelled;
    case Status::reserved:
      return to == Status::charged || to == Status::cancelling;
    case Status::charged:
      return to == Status::fulfilled || to == Status::cancelling;
    case Status::cancelling:
      return to == Status::cancelled;
    case Status::fulfilled:
    case Status::rejected:
    case Status::cancelled:
      break;
  }
  return false;
}

std::optional<Stage> stage_of(Status status) {
  switch (status) {
    case Status::placed:
      return Stage::inventory;
    case Status::reserved:
    case Status::cancelling:
      return Stage::payment;
    case Status::charged:
      return Stage::fulfillment;
    case Status::fulfilled:
    case Status::rejected:
    case Status::cancelled:
      return std::nullopt;
  }
  return std::nullopt;
}

bool is_open_dead_letter(const Order& order) {
  return order.dead_letter && order.dead_letter->state == DeadLetterState::open;
}

bool owes_refund(const Order& order) {
  return order.status == Status::cancelling && order.charge == Charge::captured;
}

std::optional<std::int64_t> total_of(const std::vector<Item>& items) {
  std::int64_t total = 0;
  for (const Item& item : items) {
    const auto line = multiply_amount(item.price_minor, item.quantity);
    if (!line) return std::nullopt;
    const auto sum = add_amounts(total, *line);
    if (!sum) return std::nullopt;
    total = *sum;
  }
  return total;
}

}  // namespace penstock::domain

#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "domain/ids.h"
#include "domain/instant.h"
#include "domain/money.h"
#include "domain/reason.h"

namespace penstock::domain {

/// Stored by number: append only.
enum class Status : std::uint8_t {
  placed = 1,
  reserved = 2,
  charged = 3,
  fulfilled = 4,
  rejected = 5,
  cancelling = 6,
  cancelled = 7,
};

enum class Stage : std::uint8_t {
  ingest = 1,
  inventory = 2,
  payment = 3,
  fulfillment = 4,
  notification = 5,
};
inline constexpr std::size_t kStages = 5;

std::string_view to_string(Status status);
std::string_view to_string(Stage stage);
std::optional<Status> parse_status(std::string_view text);
std::optional<Stage> parse_stage(std::string_view text);

/// fulfilled, rejected, cancelled: nothing follows.
bool is_terminal(Status status);

/// The automaton of semantics 4: placed -> reserved | rejected | cancelling | cancelled;
/// reserved -> charged | cancelling; charged -> fulfilled | cancelling; cancelling -> cancelled;
/// and every non-terminal status to itself (an attempt, a mark, a redrive).
bool is_legal(Status from, Status to);

/// The stage whose queue an order in this status is in: placed in inventory; reserved and
/// cancelling (it waits for money) in payment; charged in fulfillment; terminal in none.
std::optional<Stage> stage_of(Status status);

struct Item {
  ProductId product;
  std::int32_t quantity = 1;     ///< 1..kMaxQuantity
  std::int64_t price_minor = 0;  ///< of one piece, minor units of the order's currency, >= 0

  bool operator==(const Item&) const = default;
};

/// One commit of an order, as its timeline shows it.
struct Event {
  Version version;
  Instant at;
  std::optional<Status> from;  ///< absent on the first
  Status to = Status::placed;
  Stage stage = Stage::ingest;
  Reason reason = Reason::none;
  std::int32_t attempt = 0;  ///< of the stage, 1-based; 0 where there was none

  bool operator==(const Event&) const = default;
};

/// Where the order's money is, as far as the record knows. Stored by number.
enum class Charge : std::uint8_t {
  none = 0,  ///< no charge was ever asked for under the present key
  open = 1,  ///< one may be in flight: to be asked for or closed before anything is decided
  captured = 2,
  closed = 3,  ///< declined, or closed at the gateway: it can never capture
  refunded = 4,
};

/// Whether the fulfiller may act. Stored by number.
enum class Handover : std::uint8_t { none = 0, open = 1, accepted = 2, closed = 3 };

enum class DeadLetterState : std::uint8_t { open = 1, compensated = 2, discarded = 3 };

/// A mark on an order that a stage gave up.
struct DeadLetter {
  DeadLetterState state = DeadLetterState::open;
  Stage stage = Stage::payment;
  Reason first_error = Reason::none;
  Reason last_error = Reason::none;
  std::int32_t attempts = 0;
  Instant first_failed_at;
  Instant at;

  bool operator==(const DeadLetter&) const = default;
};

/// The order: the truth that every queue entry, message and timer points to.
struct Order {
  OrderId id;
  TenantId tenant;
  CustomerId customer;
  std::vector<Item> items;  ///< 1..kMaxItemsPerOrder, at most one order of lines a product
  Money total;
  std::string payment_method;
  std::vector<std::pair<std::string, std::string>> metadata;
  CorrelationId correlation;
  std::string traceparent;  ///< valid W3C form or empty
  Instant created_at;

  Instant updated_at;
  Status status = Status::placed;
  Version version;
  Reason reason = Reason::none;  ///< of the last change that had one worth showing
  Charge charge = Charge::none;
  Handover handover = Handover::none;
  bool holds_stock = false;
  std::string capture_reference;     ///< the gateway's, once captured
  std::uint16_t key_generation = 0;  ///< 0 uses "<id>/charge", n uses "<id>/charge.n"
  Instant charge_since;              ///< when the present charge key came into use
  std::int32_t attempts = 0;         ///< reported transient failures of the present stage
  Reason first_error = Reason::none;
  Reason last_error = Reason::none;
  Instant first_failed_at;
  std::int32_t interruptions = 0;  ///< claims in a row that ended with the process
  std::int32_t redrives = 0;
  Instant due;  ///< not to be claimed before
  std::optional<DeadLetter> dead_letter;
  std::vector<Event> timeline;  ///< oldest first; event n has version n + 1

  bool operator==(const Order&) const = default;
};

/// True while the order is a dead letter that waits for redrive or discard.
bool is_open_dead_letter(const Order& order);

/// True if captured money has to be paid back and was not yet.
bool owes_refund(const Order& order);

/// The sum of quantity * price over the items, if it stays within limits.
std::optional<std::int64_t> total_of(const std::vector<Item>& items);

}  // namespace penstock::domain

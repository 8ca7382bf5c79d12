#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

/// Why an order moved, waits or ended. Stored by number: append only. A reason's page is
/// docs/errors/<text>.md, as an error code's.
///
/// X(number, enumerator, "text", "what it means")
#define PENSTOCK_REASONS(X)                                                                        \
  X(0, none, "", "no particular reason")                                                           \
  X(1, accepted, "accepted", "the order was accepted and stored")                                  \
  X(2, stock_reserved, "stock-reserved", "every item is held")                                     \
  X(3, insufficient_stock, "insufficient-stock", "an item is short; nothing was held")             \
  X(4, unknown_product, "unknown-product", "no stock was ever set for an item; nothing was held")  \
  X(5, payment_captured, "payment-captured", "the gateway captured the total")                     \
  X(6, nothing_to_charge, "nothing-to-charge", "the total is zero")                                \
  X(7, payment_declined, "payment-declined", "the gateway declined the charge")                    \
  X(8, gateway_unavailable, "gateway-unavailable", "the gateway reported a transient failure")     \
  X(9, gateway_rejected, "gateway-rejected", "the gateway refused the request as invalid")         \
  X(10, charge_key_expired, "charge-key-expired",                                                  \
    "the charge key outlived the gateway's retention, was closed and replaced")                    \
  X(11, receipt_issued, "receipt-issued", "the receipt is stored; the order is fulfilled")         \
  X(12, fulfillment_refused, "fulfillment-refused", "the fulfiller refused the order")             \
  X(13, fulfillment_unavailable, "fulfillment-unavailable",                                        \
    "the fulfiller reported a transient failure")                                                  \
  X(14, cancelled_by_request, "cancelled-by-request", "somebody asked to cancel the order")        \
  X(15, charge_resolved_captured, "charge-resolved-captured",                                      \
    "the charge in flight turned out to be captured; it will be refunded")                         \
  X(16, refunded, "refunded", "the captured total was paid back")                                  \
  X(17, nothing_held, "nothing-held", "no money was captured; stock is back")                      \
  X(18, dead_lettered, "dead-lettered", "three attempts failed; waits for redrive or discard")     \
  X(19, dead_letter_expired, "dead-letter-expired",                                                \
    "nobody redrove the dead letter within its hold; compensated")                                 \
  X(20, discarded, "discarded", "an operator gave the dead letter up")                             \
  X(21, redriven, "redriven", "an operator sent the dead letter through again")                    \
  X(22, interrupted, "interrupted", "the process ended three times while it ran this order alone") \
  X(23, refund_refused, "refund-refused", "the gateway refused the refund; still owed")            \
  X(24, outcome_unknown, "outcome-unknown", "the gateway's answer was lost; it is being asked")    \
  X(25, delivered, "delivered", "the webhook was sent, and answered 2xx")                          \
  X(26, delivery_failed, "delivery-failed", "a notification attempt failed")                       \
  X(27, delivery_gave_up, "delivery-gave-up", "the delivery schedule is exhausted")                \
  X(28, endpoint_gone, "endpoint-gone", "the webhook answered 410 and was disabled")               \
  X(29, charge_key_closed, "charge-key-closed",                                                    \
    "the gateway says that the charge key is closed; counted as an attempt")                       \
  X(30, end_noted, "end-noted",                                                                    \
    "notification took note of the order's end; a webhook is told by attempts of its own")

namespace penstock::domain {

enum class Reason : std::uint8_t {
#define X(number, name, text, meaning) name = number,
  PENSTOCK_REASONS(X)
#undef X
};

/// "payment-declined"; "" for none.
std::string_view to_string(Reason reason);
/// One sentence for people.
std::string_view meaning_of(Reason reason);
std::optional<Reason> parse_reason(std::string_view text);
/// The reason stored as `number`, if there is one.
std::optional<Reason> reason_from(std::uint8_t number);

}  // namespace penstock::domain

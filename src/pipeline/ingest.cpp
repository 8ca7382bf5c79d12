#include "pipeline/ingest.h"

#include <algorithm>
#include <limits>
#include <optional>

#include <fmt/format.h>

#include "domain/limits.h"
#include "domain/money.h"

namespace penstock::pipeline {
namespace {

namespace limits = domain::limits;

constexpr std::size_t kMaxListedErrors = 100;

/// Collects broken rules; an order with one is never made.
class Complaints {
 public:
  void add(std::string pointer, std::string_view code) {
    if (errors_.size() < kMaxListedErrors) errors_.push_back({std::move(pointer), code});
  }
  bool any() const { return !errors_.empty(); }
  std::vector<FieldError> take() { return std::move(errors_); }

 private:
  std::vector<FieldError> errors_;
};

template <typename Id>
Id name_in(std::string_view text, std::string_view pointer, Complaints& complaints) {
  auto id = Id::parse(text);
  if (!id) complaints.add(std::string(pointer), text.empty() ? "required" : "invalid");
  return id ? std::move(*id) : Id{};
}

std::string_view code_of(domain::MoneyError error) {
  switch (error) {
    case domain::MoneyError::malformed:
      return "invalid";
    case domain::MoneyError::negative:
      return "negative";
    case domain::MoneyError::too_precise:
      return "too-precise";
    case domain::MoneyError::too_large:
      return "out-of-range";
  }
  return "invalid";
}

std::string item_pointer(std::size_t index, std::string_view member) {
  return fmt::format("/items/{}/{}", index, member);
}

domain::Item item_of(const DraftItem& draft, std::size_t index, domain::Currency currency,
                     Complaints& complaints) {
  domain::Item item;
  if (auto product = domain::ProductId::parse(draft.product_id)) {
    item.product = std::move(*product);
  } else {
    complaints.add(item_pointer(index, "product_id"),
                   draft.product_id.empty() ? "required" : "invalid");
  }
  if (draft.quantity < 1 || draft.quantity > limits::kMaxQuantity) {
    complaints.add(item_pointer(index, "quantity"), "out-of-range");
  } else {
    item.quantity = static_cast<std::int32_t>(draft.quantity);
  }
  if (const auto price = domain::parse_amount(draft.price, currency)) {
    item.price_minor = *price;
  } else {
    complaints.add(item_pointer(index, "price"), code_of(price.error()));
  }
  return item;
}

void check_metadata(const Draft& draft, domain::Order& order, Complaints& complaints) {
  if (draft.metadata.size() > limits::kMaxMetadataPairs) {
    complaints.add("/metadata", "too-many");
    return;
  }
  for (const auto& [name, value] : draft.metadata) {
    if (name.empty() || name.size() > limits::kMaxMetadataBytes ||
        value.size() > limits::kMaxMetadataBytes) {
      complaints.add("/metadata", "too-long");
      return;
    }
    order.metadata.emplace_back(name, value);
  }
}

/// A gateway's token: printable ASCII without quotes, so that it is safe in any protocol.
bool is_valid_payment_method(std::string_view text) {
  return !text.empty() && text.size() <= limits::kMaxPaymentMethodBytes &&
         std::ranges::all_of(text, [](char character) {
           return character > ' ' && character <= '~' && character != '"' && character != '\\';
         });
}

bool is_lower_hex(std::string_view text) {
  return std::ranges::all_of(text, [](char character) {
    return (character >= '0' && character <= '9') || (character >= 'a' && character <= 'f');
  });
}

bool is_all_zero(std::string_view text) {
  return text.find_first_not_of('0') == text.npos;
}

}  // namespace

std::expected<domain::Order, std::vector<FieldError>> make_order(const Draft& draft) {
  Complaints complaints;
  domain::Order order;
  order.tenant = name_in<domain::TenantId>(draft.tenant_id, "/tenant_id", complaints);
  order.customer = name_in<domain::CustomerId>(draft.customer_id, "/customer_id", complaints);
  const auto currency = domain::Currency::parse(draft.currency);
  if (!currency) complaints.add("/currency", "unknown-currency");
  order.total.currency = currency.value_or(domain::Currency::usd());
  if (is_valid_payment_method(draft.payment_method)) {
    order.payment_method = draft.payment_method;
  } else {
    complaints.add("/payment/method", "invalid");
  }
  if (draft.items.empty()) {
    complaints.add("/items", "required");
  } else if (draft.items.size() > limits::kMaxItemsPerOrder) {
    complaints.add("/items", "too-many");
  } else {
    order.items.reserve(draft.items.size());
    for (std::size_t index = 0; index < draft.items.size(); ++index) {
      order.items.push_back(item_of(draft.items[index], index, order.total.currency, complaints));
    }
  }
  check_metadata(draft, order, complaints);
  if (!complaints.any()) {
    if (const auto total = domain::total_of(order.items)) {
      order.total.minor_units = *total;
    } else {
      complaints.add("/items", "out-of-range");
    }
  }
  if (complaints.any()) return std::unexpected(complaints.take());
  order.correlation = draft.correlation;
  order.traceparent = draft.traceparent;
  return order;
}

bool is_valid_traceparent(std::string_view text) {
  // version "-" trace-id "-" parent-id "-" flags; a later version may append after another dash.
  if (text.size() < limits::kMaxTraceparentBytes) return false;
  const std::string_view version = text.substr(0, 2);
  if (!is_lower_hex(version) || version == "ff") return false;
  if (text.size() > limits::kMaxTraceparentBytes) return false;
  if (text[2] != '-' || text[35] != '-' || text[52] != '-') return false;
  const std::string_view trace = text.substr(3, 32);
  const std::string_view parent = text.substr(36, 16);
  return is_lower_hex(trace) && is_lower_hex(parent) && is_lower_hex(text.substr(53, 2)) &&
         !is_all_zero(trace) && !is_all_zero(parent);
}

}  // namespace penstock::pipeline

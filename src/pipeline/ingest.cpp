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
  void add(std::string pointer, std::string_view code, std::string detail) {
    if (errors_.size() >= kMaxListedErrors) return;
    errors_.push_back({std::move(pointer), code, std::move(detail)});
  }
  bool any() const { return !errors_.empty(); }
  std::vector<FieldError> take() { return std::move(errors_); }

 private:
  std::vector<FieldError> errors_;
};

/// The value as a message shows it, cut to what helps.
std::string quoted(std::string_view value) {
  constexpr std::size_t kShown = 40;  // bytes; cut before a character, not inside one
  if (value.size() <= kShown) return fmt::format("\"{}\"", value);
  std::size_t end = kShown;
  while (end > 0 && (static_cast<unsigned char>(value[end]) & 0xC0) == 0x80) --end;
  return fmt::format("\"{}...\" ({} bytes)", value.substr(0, end), value.size());
}

void add_name(std::string_view text, std::string pointer, Complaints& complaints) {
  const std::string_view member = std::string_view(pointer).substr(pointer.rfind('/') + 1);
  const std::string rule =
      fmt::format("1 to {} characters of A-Z a-z 0-9 . _ : -", limits::kMaxNameBytes);
  if (text.empty()) {
    std::string detail = fmt::format("{} is required: {}.", member, rule);
    return complaints.add(std::move(pointer), "required", std::move(detail));
  }
  std::string detail = fmt::format("{} {} is not {}.", member, quoted(text), rule);
  complaints.add(std::move(pointer), "invalid", std::move(detail));
}

template <typename Id>
Id name_in(std::string_view text, std::string_view pointer, Complaints& complaints) {
  auto id = Id::parse(text);
  if (!id) add_name(text, std::string(pointer), complaints);
  return id ? std::move(*id) : Id{};
}

void add_price(std::string_view text, std::size_t index, domain::Currency currency,
               domain::MoneyError error, Complaints& complaints) {
  std::string pointer = fmt::format("/items/{}/price", index);
  switch (error) {
    case domain::MoneyError::malformed:
      return complaints.add(std::move(pointer), "invalid",
                            fmt::format("price {} is not a decimal number.", quoted(text)));
    case domain::MoneyError::negative:
      return complaints.add(std::move(pointer), "negative",
                            fmt::format("price {} is below 0.", quoted(text)));
    case domain::MoneyError::too_precise:
      return complaints.add(std::move(pointer), "too-precise",
                            fmt::format("price {} has more decimal digits than {} has ({}).",
                                        quoted(text), currency.code(), currency.minor_digits()));
    case domain::MoneyError::too_large:
      return complaints.add(std::move(pointer), "out-of-range",
                            fmt::format("price {} is above the limit of {} minor units.",
                                        quoted(text), limits::kMaxAmountMinor));
  }
}

domain::Item item_of(const DraftItem& draft, std::size_t index, domain::Currency currency,
                     Complaints& complaints) {
  domain::Item item;
  if (auto product = domain::ProductId::parse(draft.product_id)) {
    item.product = std::move(*product);
  } else {
    add_name(draft.product_id, fmt::format("/items/{}/product_id", index), complaints);
  }
  if (draft.quantity < 1 || draft.quantity > limits::kMaxQuantity) {
    complaints.add(
        fmt::format("/items/{}/quantity", index), "out-of-range",
        fmt::format("quantity {} is not 1 to {}.", draft.quantity, limits::kMaxQuantity));
  } else {
    item.quantity = static_cast<std::int32_t>(draft.quantity);
  }
  if (const auto price = domain::parse_amount(draft.price, currency)) {
    item.price_minor = *price;
  } else {
    add_price(draft.price, index, currency, price.error(), complaints);
  }
  return item;
}

/// True where well-formed UTF-8 has more code points than a name or a value of metadata may.
bool is_too_long(std::string_view text) {
  if (text.size() <= limits::kMaxMetadataCharacters) return false;
  const auto continues = [](char byte) {
    return (static_cast<unsigned char>(byte) & 0xC0) == 0x80;
  };
  const auto characters =
      text.size() - static_cast<std::size_t>(std::ranges::count_if(text, continues));
  return characters > limits::kMaxMetadataCharacters;
}

void check_metadata(const Draft& draft, domain::Order& order, Complaints& complaints) {
  if (draft.metadata.size() > limits::kMaxMetadataPairs) {
    complaints.add("/metadata", "too-many",
                   fmt::format("metadata has more than {} pairs.", limits::kMaxMetadataPairs));
    return;
  }
  for (const auto& [name, value] : draft.metadata) {
    if (name.empty()) {
      complaints.add("/metadata", "empty-name", "metadata has a pair whose name is empty.");
    } else if (is_too_long(name) || is_too_long(value)) {
      complaints.add(metadata_pointer(name), "too-long",
                     fmt::format("The {} of metadata {} has more than {} characters.",
                                 is_too_long(name) ? "name" : "value", quoted(name),
                                 limits::kMaxMetadataCharacters));
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

/// The currency that is meant, where only the case is wrong.
std::string currency_hint(std::string_view text) {
  std::string upper(text);
  for (char& character : upper) {
    if (character >= 'a' && character <= 'z') character = static_cast<char>(character - 'a' + 'A');
  }
  if (!domain::Currency::parse(upper)) return {};
  return fmt::format(" Write \"{}\".", upper);
}

}  // namespace

std::string metadata_pointer(std::string_view name) {
  std::string pointer = "/metadata";
  if (name.empty() || is_too_long(name)) return pointer;
  pointer += '/';
  for (const char character : name) {
    if (character == '~') {
      pointer += "~0";
    } else if (character == '/') {
      pointer += "~1";
    } else {
      pointer += character;
    }
  }
  return pointer;
}

std::expected<domain::Order, std::vector<FieldError>> make_order(const Draft& draft) {
  Complaints complaints;
  domain::Order order;
  order.tenant = name_in<domain::TenantId>(draft.tenant_id, "/tenant_id", complaints);
  order.customer = name_in<domain::CustomerId>(draft.customer_id, "/customer_id", complaints);
  const auto currency = domain::Currency::parse(draft.currency);
  if (!currency) {
    complaints.add("/currency", "unknown-currency",
                   fmt::format("currency {} is not an active ISO 4217 code.{}",
                               quoted(draft.currency), currency_hint(draft.currency)));
  }
  order.total.currency = currency.value_or(domain::Currency::usd());
  if (is_valid_payment_method(draft.payment_method)) {
    order.payment_method = draft.payment_method;
  } else {
    complaints.add("/payment/method", "invalid",
                   fmt::format("payment.method {} is not 1 to {} printable ASCII characters "
                               "without blank, quote and backslash.",
                               quoted(draft.payment_method), limits::kMaxPaymentMethodBytes));
  }
  if (draft.items.empty()) {
    complaints.add("/items", "required", "items is required: 1 item or more.");
  } else if (draft.items.size() > limits::kMaxItemsPerOrder) {
    complaints.add("/items", "too-many",
                   fmt::format("items has more than {} items.", limits::kMaxItemsPerOrder));
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
      complaints.add("/items", "out-of-range",
                     fmt::format("The total of all items is above the limit of {} minor units.",
                                 limits::kMaxAmountMinor));
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

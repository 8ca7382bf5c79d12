#include "api/idempotency.h"

#include <algorithm>
#include <array>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "api/sha256.h"
#include "net/json_canonical.h"
#include "net/json_writer.h"

namespace penstock::api {
namespace {

constexpr std::string_view kOrderRoute = "POST\n/orders\n";
// What the order as it was understood says; the rest of a body is taken as it was sent.
constexpr std::array<std::string_view, 8> kOrderMembers{"tenant_id", "customer_id",    "items",
                                                        "currency",  "payment",        "metadata",
                                                        "action",    "idempotency_key"};
constexpr std::array<std::string_view, 1> kPaymentMembers{"method"};
constexpr std::array<std::string_view, 3> kItemMembers{"product_id", "quantity", "price"};
/// A canonical body larger than this gives its buffer back.
constexpr std::size_t kKeptBufferBytes = 16 * 1024;

Problem invalid_key(std::string_view pointer, std::string_view detail) {
  return field_problem(domain::ErrorCode::idempotency_key_invalid, std::string(pointer), "invalid",
                       detail);
}

/// The content of an RFC 8941 section 3.3.3 string; nothing where `text` is none.
std::optional<std::string> unquote(std::string_view text) {
  if (text.size() < 2 || text.front() != '"' || text.back() != '"') return std::nullopt;
  std::string content;
  text = text.substr(1, text.size() - 2);
  for (std::size_t at = 0; at < text.size(); ++at) {
    if (text[at] == '"') return std::nullopt;
    if (text[at] == '\\') {
      ++at;
      if (at == text.size() || (text[at] != '"' && text[at] != '\\')) return std::nullopt;
    }
    content += text[at];
  }
  return content;
}

template <typename Number>
void append_number(Number number, std::string& out) {
  const fmt::format_int digits(number);
  out.append(digits.data(), digits.size());
}

/// One line a fact. Names, currencies and payment methods hold no line end; metadata is quoted.
void append_understood(const domain::Order& order, std::string& out) {
  for (const std::string_view fact :
       {std::string_view(order.tenant.str()), std::string_view(order.customer.str()),
        order.total.currency.code(), std::string_view(order.payment_method)}) {
    out += fact;
    out += '\n';
  }
  for (const domain::Item& item : order.items) {
    out += item.product.str();
    out += ' ';
    append_number(item.quantity, out);
    out += ' ';
    append_number(item.price_minor, out);
    out += '\n';
  }
  std::vector<std::pair<std::string_view, std::string_view>> pairs(order.metadata.begin(),
                                                                   order.metadata.end());
  std::ranges::sort(pairs);
  for (const auto& [name, value] : pairs) {
    net::append_json_string(name, out);
    out += ':';
    net::append_json_string(value, out);
    out += '\n';
  }
}

/// The members that the API does not know, each object's with its place.
void append_unknown(net::JsonView body, std::string& out) {
  const auto append = [&out](net::JsonView object, std::span<const std::string_view> known,
                             std::string_view place, std::size_t index) {
    const std::size_t before = out.size();
    out += place;
    append_number(index, out);
    if (!net::canonical_rest(object, known, out)) out.resize(before);
  };
  append(body, kOrderMembers, "order", 0);
  if (const auto payment = body.find("payment")) append(*payment, kPaymentMembers, "payment", 0);
  if (const auto items = body.find("items")) {
    std::size_t index = 0;
    for (const net::JsonView item : items->items()) append(item, kItemMembers, "item", index++);
  }
}

}  // namespace

std::expected<std::optional<domain::IdempotencyKey>, Problem> idempotency_key_of(
    const net::HttpHeaders& headers) {
  const auto value = headers.find("Idempotency-Key");
  if (!value) return std::nullopt;
  if (headers.count("Idempotency-Key") != 1) {
    return std::unexpected(invalid_key("", "The Idempotency-Key header is there more than once."));
  }
  std::optional<std::string> text;
  if (value->starts_with('"')) {
    text = unquote(*value);
  } else {
    text = std::string(*value);
  }
  auto key = text ? domain::IdempotencyKey::parse(*text) : std::nullopt;
  if (!key) {
    return std::unexpected(invalid_key(
        "",
        "The Idempotency-Key header must hold 1 to 255 printable ASCII characters, bare "
        "or as one string in double quotes (RFC 8941), and nothing else; in a string, "
        "quotes and backslashes are escaped with a backslash."));
  }
  return key;
}

std::expected<std::optional<domain::IdempotencyKey>, Problem> merge_idempotency_keys(
    std::optional<domain::IdempotencyKey> header, std::optional<std::string_view> body) {
  if (!body) return header;
  auto key = domain::IdempotencyKey::parse(*body);
  if (!key) {
    return std::unexpected(invalid_key(
        "/idempotency_key", "idempotency_key is no key of 1 to 255 printable characters."));
  }
  if (header && *header != *key) {
    return std::unexpected(field_problem(domain::ErrorCode::idempotency_key_conflict,
                                         "/idempotency_key", "conflict", ""));
  }
  return key;
}

domain::Fingerprint fingerprint_of_order(net::JsonView body, const domain::Order& order) {
  static thread_local std::string canonical;
  canonical.clear();
  append_understood(order, canonical);
  append_unknown(body, canonical);
  const domain::Fingerprint fingerprint = sha256({kOrderRoute, canonical});
  if (canonical.capacity() > kKeptBufferBytes) std::string().swap(canonical);
  return fingerprint;
}

}  // namespace penstock::api

#include "cli/order_template.h"

#include <fmt/format.h>

namespace penstock::cli {
namespace {

constexpr std::size_t kKeyDigits = 12;
constexpr std::size_t kCustomerDigits = 6;
constexpr std::size_t kTenantDigits = 5;
constexpr std::size_t kProductDigits = 6;

void write_digits(std::uint64_t number, char* at, std::size_t digits) {
  for (std::size_t index = digits; index-- > 0; number /= 10) {
    at[index] = static_cast<char>('0' + number % 10);
  }
}

}  // namespace

std::string OrderTemplate::tenant_name(std::uint32_t tenant) {
  return fmt::format("bench-{:0{}}", tenant, kTenantDigits);
}

std::string OrderTemplate::product_name(std::uint32_t product) {
  return fmt::format("BENCH-{:0{}}", product, kProductDigits);
}

OrderTemplate::OrderTemplate(const OrderTemplateOptions& options) {
  std::string body;
  auto const put = [&body](std::string_view before, std::size_t digits) {
    body += before;
    std::size_t const at = body.size();
    body.append(digits, '0');
    return at;
  };
  customer_at_ = put(R"({"customer_id":"cust-)", kCustomerDigits);
  tenant_at_ = put(R"(","tenant_id":"bench-)", kTenantDigits);
  product_at_ = put(R"(","items":[{"product_id":"BENCH-)", kProductDigits);
  key_at_ =
      put(fmt::format(R"(","quantity":1,"price":10.0}}],"idempotency_key":"{}-)", options.run),
          kKeyDigits);
  body += fmt::format(R"(","payment":{{"method":"{}"}}}})", options.payment_method);
  std::string const key = options.admin_key.empty()
                              ? ""
                              : fmt::format("Authorization: Bearer {}\r\n", options.admin_key);
  std::string const head = fmt::format(
      "POST /orders HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\n{}"
      "Content-Length: {}\r\n\r\n",
      options.authority, key, body.size());
  for (std::size_t* at : {&customer_at_, &tenant_at_, &product_at_, &key_at_}) *at += head.size();
  text_ = head + body;
}

void OrderTemplate::fill(const Numbers& numbers, std::string& request) const {
  request = text_;
  write_digits(numbers.order, request.data() + customer_at_, kCustomerDigits);
  write_digits(numbers.tenant, request.data() + tenant_at_, kTenantDigits);
  write_digits(numbers.product, request.data() + product_at_, kProductDigits);
  write_digits(numbers.order, request.data() + key_at_, kKeyDigits);
}

}  // namespace penstock::cli

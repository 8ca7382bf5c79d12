#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace penstock::cli {

/// What the orders of a load look like; every field has a fixed width, so that a request is made by
/// writing digits into a ready text.
struct OrderTemplateOptions {
  std::string authority;  ///< the Host header
  std::string admin_key;  ///< empty: none
  std::string run;        ///< tells the keys of two runs apart: 1 to 16 of [A-Za-z0-9]
  std::string payment_method = "pm_ok";
};

/// A POST /orders request, ready but for its numbers.
class OrderTemplate {
 public:
  explicit OrderTemplate(const OrderTemplateOptions& options);

  struct Numbers {
    std::uint64_t order = 0;    ///< below 10^12: names the idempotency key and the customer
    std::uint32_t tenant = 0;   ///< below 10^5
    std::uint32_t product = 0;  ///< below 10^6
  };

  /// Writes the request of these numbers over `request`; cheap where it held one before.
  void fill(const Numbers& numbers, std::string& request) const;

  static std::string tenant_name(std::uint32_t tenant);
  static std::string product_name(std::uint32_t product);

 private:
  std::string text_;
  std::size_t key_at_ = 0;
  std::size_t customer_at_ = 0;
  std::size_t tenant_at_ = 0;
  std::size_t product_at_ = 0;
};

}  // namespace penstock::cli

#include "net/address_policy.h"

#include <algorithm>
#include <array>
#include <cstddef>

namespace penstock::net {
namespace {

constexpr std::size_t kIpv4Bytes = 4;
constexpr std::size_t kIpv6Bytes = 16;

struct Ipv4Range {
  std::array<std::uint8_t, kIpv4Bytes> prefix;
  unsigned bits;
};

constexpr std::array kRefusedIpv4 = {
    Ipv4Range{{0, 0, 0, 0}, 8},        // "this network" (RFC 791)
    Ipv4Range{{10, 0, 0, 0}, 8},       // private (RFC 1918)
    Ipv4Range{{100, 64, 0, 0}, 10},    // shared, carrier-grade NAT (RFC 6598)
    Ipv4Range{{127, 0, 0, 0}, 8},      // loopback
    Ipv4Range{{169, 254, 0, 0}, 16},   // link-local, cloud metadata
    Ipv4Range{{172, 16, 0, 0}, 12},    // private
    Ipv4Range{{192, 0, 0, 0}, 24},     // protocol assignments (RFC 6890)
    Ipv4Range{{192, 0, 2, 0}, 24},     // documentation
    Ipv4Range{{192, 31, 196, 0}, 24},  // AS112
    Ipv4Range{{192, 52, 193, 0}, 24},  // AMT
    Ipv4Range{{192, 88, 99, 0}, 24},   // 6to4 relay anycast
    Ipv4Range{{192, 168, 0, 0}, 16},   // private
    Ipv4Range{{192, 175, 48, 0}, 24},  // AS112
    Ipv4Range{{198, 18, 0, 0}, 15},    // benchmarking (RFC 2544)
    Ipv4Range{{198, 51, 100, 0}, 24},  // documentation
    Ipv4Range{{203, 0, 113, 0}, 24},   // documentation
    Ipv4Range{{224, 0, 0, 0}, 4},      // multicast
    Ipv4Range{{240, 0, 0, 0}, 4},      // reserved, broadcast
};

/// Refused inside 2000::/3; everything outside of it is refused anyway.
struct Ipv6Range {
  std::array<std::uint8_t, 6> prefix;
  unsigned bits;
};

constexpr std::array kRefusedIpv6 = {
    Ipv6Range{{0x20, 0x01, 0x00, 0x00, 0, 0}, 23},        // protocol assignments, Teredo
    Ipv6Range{{0x20, 0x01, 0x0d, 0xb8, 0, 0}, 32},        // documentation
    Ipv6Range{{0x3f, 0xff, 0x00, 0x00, 0, 0}, 20},        // documentation (RFC 9637)
    Ipv6Range{{0x26, 0x20, 0x00, 0x4f, 0x80, 0x00}, 48},  // AS112
};

template <std::size_t N>
bool has_prefix(std::span<const std::uint8_t> address, const std::array<std::uint8_t, N>& prefix,
                unsigned bits) {
  const std::size_t whole = bits / 8;
  if (!std::equal(prefix.begin(), prefix.begin() + whole, address.begin())) return false;
  const unsigned rest = bits % 8;
  if (rest == 0) return true;
  const auto mask = static_cast<std::uint8_t>(0xFFU << (8 - rest));
  return (address[whole] & mask) == (prefix[whole] & mask);
}

bool is_public_ipv4(std::span<const std::uint8_t> address) {
  return std::none_of(kRefusedIpv4.begin(), kRefusedIpv4.end(), [&](const Ipv4Range& range) {
    return has_prefix(address, range.prefix, range.bits);
  });
}

bool is_public_ipv6(std::span<const std::uint8_t> address) {
  constexpr std::array<std::uint8_t, 12> kMapped = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF};
  constexpr std::array<std::uint8_t, 12> kNat64 = {0x00, 0x64, 0xFF, 0x9B, 0, 0, 0, 0, 0, 0, 0, 0};
  if (has_prefix(address, kMapped, 96) || has_prefix(address, kNat64, 96)) {
    return is_public_ipv4(address.subspan(12));
  }
  constexpr std::array<std::uint8_t, 2> k6to4 = {0x20, 0x02};
  if (has_prefix(address, k6to4, 16)) return is_public_ipv4(address.subspan(2, kIpv4Bytes));
  // Teredo (2001::/32) lies in the refused 2001::/23; compatible (::/96), unspecified, loopback,
  // unique-local, link-local, site-local and multicast lie outside of global unicast 2000::/3.
  if ((address[0] & 0xE0U) != 0x20U) return false;
  return std::none_of(kRefusedIpv6.begin(), kRefusedIpv6.end(), [&](const Ipv6Range& range) {
    return has_prefix(address, range.prefix, range.bits);
  });
}

}  // namespace

bool is_public_unicast(std::span<const std::uint8_t> address) {
  if (address.size() == kIpv4Bytes) return is_public_ipv4(address);
  if (address.size() == kIpv6Bytes) return is_public_ipv6(address);
  return false;
}

}  // namespace penstock::net

#include "net/address_policy.h"

#include <array>
#include <string>
#include <vector>

#include <arpa/inet.h>
#include <gtest/gtest.h>

namespace penstock::net {
namespace {

bool is_public(const std::string& text) {
  const bool ipv6 = text.find(':') != std::string::npos;
  std::vector<std::uint8_t> bytes(ipv6 ? 16 : 4);
  EXPECT_EQ(inet_pton(ipv6 ? AF_INET6 : AF_INET, text.c_str(), bytes.data()), 1) << text;
  return is_public_unicast(bytes);
}

TEST(AddressPolicy, LetsPublicAddressesPass) {
  for (const char* text :
       {"1.1.1.1", "8.8.8.8", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0",
        "172.15.255.255", "172.32.0.0", "192.167.255.255", "198.17.255.255", "198.20.0.0",
        "223.255.255.255", "2606:4700:4700::1111", "2a00:1450:4001::1", "64:ff9b::8.8.8.8",
        "::ffff:8.8.8.8", "2002:808:808::1"}) {
    EXPECT_TRUE(is_public(text)) << text;
  }
}

TEST(AddressPolicy, RefusesSpecialPurposeIpv4) {
  for (const char* text :
       {"0.0.0.0",        "0.1.2.3",         "10.0.0.1",        "100.64.0.1",  "100.127.255.255",
        "127.0.0.1",      "127.255.255.255", "169.254.169.254", "172.16.0.1",  "172.31.255.255",
        "192.0.0.8",      "192.0.2.1",       "192.88.99.1",     "192.168.1.1", "198.18.0.1",
        "198.19.255.255", "198.51.100.1",    "203.0.113.7",     "224.0.0.1",   "239.1.1.1",
        "240.0.0.1",      "255.255.255.255"}) {
    EXPECT_FALSE(is_public(text)) << text;
  }
}

TEST(AddressPolicy, RefusesSpecialPurposeIpv6) {
  for (const char* text :
       {"::", "::1", "fe80::1", "fec0::1", "fc00::1", "fd12:3456::1", "ff02::1", "2001:db8::1",
        "3fff::1", "100::1", "2001::1", "2001:2::1", "5f00::1", "4000::1"}) {
    EXPECT_FALSE(is_public(text)) << text;
  }
}

TEST(AddressPolicy, RefusesIpv6FormsThatEmbedARefusedIpv4) {
  for (const char* text :
       {"::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "::127.0.0.1",
        "64:ff9b::10.0.0.1", "64:ff9b:1::10.0.0.1",
        "2002:7f00:1::", "2002:a00:1::", "2002:c0a8:101::1", "2001:0:7f00:1::1"}) {
    EXPECT_FALSE(is_public(text)) << text;
  }
}

TEST(AddressPolicy, RefusesWhatIsNoAddress) {
  EXPECT_FALSE(is_public_unicast({}));
  EXPECT_FALSE(is_public_unicast(std::array<std::uint8_t, 5>{8, 8, 8, 8, 8}));
}

}  // namespace
}  // namespace penstock::net

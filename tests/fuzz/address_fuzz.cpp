// Where a webhook may go. The first byte chooses: an address in bytes is judged as a second table
// judges it; a private IPv4 address in any spelling that the resolver understands is refused; a URL
// that was read is written and read again as the same.

#include <algorithm>
#include <array>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netdb.h>
#include <netinet/in.h>

#include "net/address_policy.h"
#include "net/url.h"
#include "tests/fuzz/fuzz_input.h"

namespace {

using penstock::fuzz::FuzzInput;
using penstock::net::is_public_unicast;
using penstock::net::parse_url;
using Bytes = std::vector<std::uint8_t>;

/// Special-purpose blocks of the IANA registries that a public address is never in, as their RFCs
/// write them.
constexpr std::array kSpecial = {
    "0.0.0.0/8",      "10.0.0.0/8",     "100.64.0.0/10",   "127.0.0.0/8",     "169.254.0.0/16",
    "172.16.0.0/12",  "192.0.0.0/24",   "192.0.2.0/24",    "192.31.196.0/24", "192.52.193.0/24",
    "192.88.99.0/24", "192.168.0.0/16", "192.175.48.0/24", "198.18.0.0/15",   "198.51.100.0/24",
    "203.0.113.0/24", "224.0.0.0/4",    "240.0.0.0/4",     "::/96",           "64:ff9b:1::/48",
    "100::/64",       "2001::/23",      "2001:db8::/32",   "3fff::/20",       "2620:4f:8000::/48",
    "5f00::/16",      "fc00::/7",       "fe80::/10",       "fec0::/10",       "ff00::/8"};
/// Where the last or, in 6to4, the third to sixth bytes are an IPv4 address.
constexpr std::array kEmbedding = {"::ffff:0:0/96", "64:ff9b::/96"};
constexpr const char* k6to4 = "2002::/16";
constexpr const char* kGlobalUnicast = "2000::/3";

bool is_in(const Bytes& address, std::string_view block) {
  const std::size_t slash = block.find('/');
  const std::string network(block.substr(0, slash));
  const bool is_ipv6 = network.find(':') != std::string::npos;
  if (address.size() != (is_ipv6 ? 16U : 4U)) return false;
  std::array<std::uint8_t, 16> prefix{};
  FUZZ_CHECK(inet_pton(is_ipv6 ? AF_INET6 : AF_INET, network.c_str(), prefix.data()) == 1,
             "the table is well-formed");
  const auto length = static_cast<std::size_t>(std::stoul(std::string(block.substr(slash + 1))));
  for (std::size_t bit = 0; bit < length; ++bit) {
    const auto mask = static_cast<std::uint8_t>(0x80U >> (bit % 8));
    if ((address[bit / 8] & mask) != (prefix[bit / 8] & mask)) return false;
  }
  return true;
}

bool is_public(const Bytes& address) {
  if (address.size() != 4 && address.size() != 16) return false;
  const auto holds = [&](const char* block) { return is_in(address, block); };
  if (std::ranges::any_of(kEmbedding, holds))
    return is_public({address.begin() + 12, address.end()});
  if (holds(k6to4)) return is_public({address.begin() + 2, address.begin() + 6});
  if (std::ranges::any_of(kSpecial, holds)) return false;
  return address.size() == 4 || holds(kGlobalUnicast);
}

void check_bytes(FuzzInput& input) {
  Bytes address;
  // Half of the IPv6 addresses begin as one of the blocks does, else almost none would.
  const std::uint8_t shape = input.byte();
  if ((shape & 1U) == 0) {
    address.assign(4, 0);
  } else {
    address.assign(16, 0);
  }
  for (std::uint8_t& byte : address) byte = input.byte();
  if ((shape & 2U) != 0) {
    const std::array kAll = {"::/96",        "64:ff9b:1::/48",    "2001::/23",     "2001:db8::/32",
                             "3fff::/20",    "2620:4f:8000::/48", "::ffff:0:0/96", "64:ff9b::/96",
                             "2002::/16",    "192.31.196.0/24",   "100.64.0.0/10", "172.16.0.0/12",
                             "198.18.0.0/15"};
    const std::string_view block = kAll[input.below(kAll.size())];
    const bool is_ipv6 = block.find(':') != std::string_view::npos;
    std::array<std::uint8_t, 16> prefix{};
    inet_pton(is_ipv6 ? AF_INET6 : AF_INET, std::string(block.substr(0, block.find('/'))).c_str(),
              prefix.data());
    const auto whole = std::stoul(std::string(block.substr(block.find('/') + 1))) / 8;
    address.resize(is_ipv6 ? 16 : 4);
    std::copy(prefix.begin(), prefix.begin() + static_cast<std::ptrdiff_t>(whole), address.begin());
  }
  FUZZ_CHECK(is_public_unicast(address) == is_public(address), "two tables of addresses agree");
  if (address.size() == 16) address.resize(input.below(16));
  if (address.size() != 4) {
    FUZZ_CHECK(!is_public_unicast(address), "an address of no known length is refused");
  }
}

/// One number of a dotted address, as inet_aton(3) takes it.
std::string spelled(std::uint32_t number, std::uint64_t how) {
  switch (how % 4) {
    case 0:
      return fmt::format("0x{:x}", number);
    case 1:
      return fmt::format("0{:o}", number);
    case 2:
      return fmt::format("0X{:08X}", number);
    default:
      return fmt::format("{}", number);
  }
}

/// The address in one of its many spellings, as a URL writes a host.
std::string spelling_of(std::uint32_t address, FuzzInput& input) {
  const auto part = [&](unsigned shift, std::uint32_t mask) {
    return spelled(address >> shift & mask, input.byte());
  };
  switch (input.below(9)) {
    case 0:
      return part(0, 0xffffffff);
    case 1:
      return part(24, 0xff) + '.' + part(0, 0xffffff);
    case 2:
      return part(24, 0xff) + '.' + part(16, 0xff) + '.' + part(0, 0xffff);
    case 3:
      return part(24, 0xff) + '.' + part(16, 0xff) + '.' + part(8, 0xff) + '.' + part(0, 0xff);
    case 4:
      return fmt::format("[::ffff:{:x}:{:x}]", address >> 16, address & 0xffff);
    case 5:
      return fmt::format("[0:0:0:0:0:FFFF:{}.{}.{}.{}]", address >> 24, address >> 16 & 0xff,
                         address >> 8 & 0xff, address & 0xff);
    case 6:
      return fmt::format("[64:ff9b::{:x}:{:x}]", address >> 16, address & 0xffff);
    case 7:
      return fmt::format("[2002:{:x}:{:x}::1]", address >> 16, address & 0xffff);
    default:
      return fmt::format("[::{:x}:{:x}]", address >> 16, address & 0xffff);
  }
}

/// What a name stands for without asking anybody: every spelling of an address, in bytes.
std::vector<Bytes> resolved(const std::string& host) {
  addrinfo hints{};
  hints.ai_flags = AI_NUMERICHOST;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  std::vector<Bytes> addresses;
  if (getaddrinfo(host.c_str(), nullptr, &hints, &found) != 0) return addresses;
  for (const addrinfo* at = found; at != nullptr; at = at->ai_next) {
    const bool is_ipv6 = at->ai_family == AF_INET6;
    Bytes& address = addresses.emplace_back(is_ipv6 ? 16 : 4);
    if (is_ipv6) {
      sockaddr_in6 socket{};
      std::memcpy(&socket, at->ai_addr, sizeof socket);
      std::memcpy(address.data(), &socket.sin6_addr, address.size());
    } else {
      sockaddr_in socket{};
      std::memcpy(&socket, at->ai_addr, sizeof socket);
      std::memcpy(address.data(), &socket.sin_addr, address.size());
    }
  }
  freeaddrinfo(found);
  return addresses;
}

void check_spelling(FuzzInput& input) {
  constexpr std::array<std::uint32_t, 8> kPrivate = {0x7f000001, 0x0a000000, 0xa9fea9fe,
                                                     0xc0a80000, 0xac100000, 0x00000000,
                                                     0x64400000, 0xe0000000};
  constexpr std::array<std::uint32_t, 8> kFree = {0xffffff, 0xffffff, 0xffff,   0xffff,
                                                  0xfffff,  0xffffff, 0x3fffff, 0xfffffff};
  const std::size_t which = input.below(kPrivate.size());
  const std::uint32_t address =
      kPrivate[which] | (static_cast<std::uint32_t>(input.number()) & kFree[which]);
  const auto url = parse_url("http://" + spelling_of(address, input) + "/hook");
  if (!url) return;
  for (const Bytes& bytes : resolved(url->host)) {
    FUZZ_CHECK(!is_public_unicast(bytes), "a private address is refused in every spelling");
  }
}

void check_url(std::string_view text) {
  using namespace penstock::net;
  const auto url = parse_url(text);
  if (!url) {
    FUZZ_CHECK(!to_string(url.error()).empty(), "an error has a name");
    return;
  }
  FUZZ_CHECK(!url->host.empty() && url->port != 0, "a URL has host and port");
  FUZZ_CHECK(url->host.find_first_of("@/?#\\%[] \t\r\n") == std::string::npos &&
                 url->host.find('\0') == std::string::npos,
             "a host is a host alone");
  FUZZ_CHECK(is_valid_origin_form(url->target), "a target is in origin-form");
  FUZZ_CHECK(url->target.find_first_of("\r\n #") == std::string::npos, "a target is one word");
  FUZZ_CHECK(is_valid_authority(url->authority()), "an authority is a Host header's");
  const std::string written =
      (url->scheme == UrlScheme::https ? "https://" : "http://") + url->authority() + url->target;
  const auto again = parse_url(written);
  if (written.size() > 2048) return;
  FUZZ_CHECK(again && again->scheme == url->scheme && again->host == url->host &&
                 again->port == url->port && again->target == url->target,
             "a URL is read as written");
  FUZZ_CHECK(again->authority() == url->authority(), "an authority has one form");
  for (const Bytes& bytes : resolved(url->host)) {
    FUZZ_CHECK(is_public_unicast(bytes) == is_public(bytes), "two tables of addresses agree");
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  FuzzInput input(data, size);
  switch (input.byte()) {
    case 'b':
      check_bytes(input);
      break;
    case 's':
      check_spelling(input);
      break;
    default:
      check_url(std::string_view(reinterpret_cast<const char*>(data), size));
      break;
  }
  return 0;
}

#pragma once

#include <cstdint>
#include <span>

namespace penstock::net {

/// Whether an address is public unicast: one that a request on behalf of a customer may go to.
/// `address` holds 4 (IPv4) or 16 (IPv6) bytes in network order; any other length is refused.
/// Refused are the special-purpose ranges of the IANA registries (RFC 6890 and its successors):
/// unspecified and 0/8, loopback, private, shared 100.64/10, link-local, protocol assignments,
/// documentation, benchmarking, multicast, reserved 240/4 and broadcast, unique-local,
/// discard-only; and IPv6 forms which embed such an IPv4 address (mapped, compatible, 6to4,
/// NAT64, Teredo). Pure.
bool is_public_unicast(std::span<const std::uint8_t> address);

}  // namespace penstock::net

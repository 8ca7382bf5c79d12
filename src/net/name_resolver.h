#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>

namespace penstock::net {

/// Turns names into addresses for one event loop. The system's lookup cannot be interrupted and may
/// take tens of seconds, so each runs on a thread of its own, at most `kLookups` at a time: one
/// name that hangs delays no other, and nobody waits for it at the end. All methods belong to the
/// loop's thread.
class NameResolver {
 public:
  using Endpoints = std::vector<boost::asio::ip::tcp::endpoint>;
  /// Called on the loop; empty where the name has no address.
  using Callback = std::function<void(Endpoints)>;
  /// What the system knows of a name; blocks.
  using Lookup = std::function<Endpoints(const std::string& host, std::uint16_t port)>;

  static constexpr std::size_t kLookups = 32;

  explicit NameResolver(boost::asio::io_context& io) : NameResolver(io, system_lookup) {}
  NameResolver(boost::asio::io_context& io, Lookup lookup);
  NameResolver(const NameResolver&) = delete;
  NameResolver& operator=(const NameResolver&) = delete;
  /// Closes.
  ~NameResolver();

  void resolve(const std::string& host, std::uint16_t port, Callback callback);
  /// No callback is called any more. Waits for no lookup.
  void close();

  static Endpoints system_lookup(const std::string& host, std::uint16_t port);

 private:
  struct Shared;
  std::shared_ptr<Shared> shared_;
};

}  // namespace penstock::net

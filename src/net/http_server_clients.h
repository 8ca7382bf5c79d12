#pragma once

#include <atomic>
#include <cstddef>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include <boost/asio/ip/address.hpp>

namespace penstock::net {

/// What one client address has open or in memory here. An IPv6 client is its /64 network, which
/// is what one customer of a provider has at least.
struct ClientAccount {
  std::atomic<std::size_t> connections{0};
  std::atomic<std::size_t> request_bytes{0};
  std::atomic<std::size_t> answer_bytes{0};
};

/// All client addresses with an open connection. Thread-safe; a lock is taken where a connection
/// opens and where it closes, and nowhere else.
class ClientBook {
 public:
  /// Counts one connection of an address, from enter() to its own end. Movable.
  class Visit {
   public:
    Visit() = default;
    Visit(ClientBook& book, std::string key, std::shared_ptr<ClientAccount> account);
    Visit(Visit&& other) noexcept;
    Visit& operator=(Visit&& other) noexcept;
    ~Visit();

    /// Ends the count; the account stays usable.
    void end();
    ClientAccount& account() const { return *account_; }

   private:
    ClientBook* book_ = nullptr;
    std::string key_;
    std::shared_ptr<ClientAccount> account_;
  };

  Visit enter(const boost::asio::ip::address& address);
  /// Addresses that have a connection open.
  std::size_t size() const;

 private:
  void leave(const std::string& key);

  mutable std::mutex mutex_;
  std::map<std::string, std::shared_ptr<ClientAccount>> accounts_;
};

/// Bytes in memory that all clients share, with a dynamic threshold (Choudhury and Hahne, 1998):
/// an address may hold as much as is still free for all. One alone gets half of the room, two get
/// a third each, and there is always something left for who comes next. Thread-safe.
class SharedRoom {
 public:
  explicit SharedRoom(std::size_t limit_bytes) : limit_(limit_bytes) {}

  std::size_t used() const { return used_.load(std::memory_order_relaxed); }
  /// Whether an address that holds `held` bytes may take `more`.
  bool fits(std::size_t held, std::size_t more) const {
    const std::size_t taken = used();
    return taken < limit_ && held + more <= limit_ - taken;
  }
  /// Whether an address that holds `held` bytes is past half of what it may hold, or all are.
  bool is_tight(std::size_t held) const { return used() > limit_ / 2 || !fits(2 * held, 0); }

  /// Changes what is counted for one holder, in its account too, from `counted` to `held`.
  void recount(std::size_t& counted, std::size_t held, std::atomic<std::size_t>& account) {
    if (counted == held) return;
    used_.fetch_add(held - counted, std::memory_order_relaxed);
    account.fetch_add(held - counted, std::memory_order_relaxed);
    counted = held;
  }

 private:
  const std::size_t limit_;
  std::atomic<std::size_t> used_{0};
};

}  // namespace penstock::net

#include "net/http_server_clients.h"

#include <utility>

#include <boost/asio/ip/address_v4.hpp>
#include <boost/asio/ip/address_v6.hpp>

namespace penstock::net {
namespace {

namespace ip = boost::asio::ip;

template <typename Bytes>
std::string first_bytes(const Bytes& bytes, std::size_t count) {
  std::string key;
  for (std::size_t i = 0; i < count; ++i) key += static_cast<char>(bytes[i]);
  return key;
}

std::string key_of(const ip::address& address) {
  constexpr std::size_t kV4Bytes = 4;
  constexpr std::size_t kNetworkBytes = 8;
  if (address.is_v4()) return first_bytes(address.to_v4().to_bytes(), kV4Bytes);
  const ip::address_v6 v6 = address.to_v6();
  if (v6.is_v4_mapped()) {
    return first_bytes(ip::make_address_v4(ip::v4_mapped, v6).to_bytes(), kV4Bytes);
  }
  return first_bytes(v6.to_bytes(), kNetworkBytes);
}

}  // namespace

ClientBook::Visit::Visit(ClientBook& book, std::string key, std::shared_ptr<ClientAccount> account)
    : book_(&book), key_(std::move(key)), account_(std::move(account)) {}

ClientBook::Visit::Visit(Visit&& other) noexcept
    : book_(std::exchange(other.book_, nullptr)),
      key_(std::move(other.key_)),
      account_(std::move(other.account_)) {}

ClientBook::Visit& ClientBook::Visit::operator=(Visit&& other) noexcept {
  if (this != &other) {
    end();
    book_ = std::exchange(other.book_, nullptr);
    key_ = std::move(other.key_);
    account_ = std::move(other.account_);
  }
  return *this;
}

ClientBook::Visit::~Visit() {
  end();
}

void ClientBook::Visit::end() {
  if (auto* const book = std::exchange(book_, nullptr)) book->leave(key_);
}

ClientBook::Visit ClientBook::enter(const ip::address& address) {
  std::string key = key_of(address);
  const std::lock_guard lock(mutex_);
  std::shared_ptr<ClientAccount>& account = accounts_[key];
  if (!account) account = std::make_shared<ClientAccount>();
  account->connections.fetch_add(1, std::memory_order_relaxed);
  return {*this, std::move(key), account};
}

void ClientBook::leave(const std::string& key) {
  const std::lock_guard lock(mutex_);
  const auto found = accounts_.find(key);
  if (found->second->connections.fetch_sub(1, std::memory_order_relaxed) == 1) {
    accounts_.erase(found);
  }
}

std::size_t ClientBook::size() const {
  const std::lock_guard lock(mutex_);
  return accounts_.size();
}

}  // namespace penstock::net

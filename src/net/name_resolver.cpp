#include "net/name_resolver.h"

#include <cstring>
#include <deque>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>

#include <boost/asio/ip/address_v4.hpp>
#include <boost/asio/ip/address_v6.hpp>
#include <boost/asio/post.hpp>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>

namespace penstock::net {
namespace {

namespace ip = boost::asio::ip;

}  // namespace

/// Outlives the resolver as long as a lookup runs.
struct NameResolver::Shared {
  struct Job {
    std::string host;
    std::uint16_t port;
    Callback callback;
  };

  /// One thread's work: lookups, as long as some wait.
  static void work(const std::shared_ptr<Shared>& shared) {
    std::unique_lock lock(shared->mutex);
    while (shared->io != nullptr && !shared->jobs.empty()) {
      Job job = std::move(shared->jobs.front());
      shared->jobs.pop_front();
      lock.unlock();
      Endpoints found = shared->lookup(job.host, job.port);
      lock.lock();
      shared->answer(std::move(job.callback), std::move(found));
    }
    --shared->threads;
  }

  /// Under the lock: the loop is there as long as `io` says so.
  void answer(Callback callback, Endpoints found) const {
    if (io == nullptr) return;
    boost::asio::post(*io, [call = std::move(callback), addresses = std::move(found)]() mutable {
      call(std::move(addresses));
    });
  }

  explicit Shared(Lookup wanted) : lookup(std::move(wanted)) {}

  const Lookup lookup;
  std::mutex mutex;
  boost::asio::io_context* io = nullptr;  ///< null once closed
  std::deque<Job> jobs;
  std::size_t threads = 0;
};

NameResolver::NameResolver(boost::asio::io_context& io, Lookup lookup)
    : shared_(std::make_shared<Shared>(std::move(lookup))) {
  shared_->io = &io;
}

NameResolver::~NameResolver() {
  close();
}

void NameResolver::resolve(const std::string& host, std::uint16_t port, Callback callback) {
  const std::lock_guard lock(shared_->mutex);
  shared_->jobs.push_back({.host = host, .port = port, .callback = std::move(callback)});
  if (shared_->threads == kLookups) return;
  try {
    std::thread([shared = shared_] { Shared::work(shared); }).detach();
    ++shared_->threads;
  } catch (const std::system_error&) {
    if (shared_->threads > 0) return;  // another one takes it over
    shared_->answer(std::move(shared_->jobs.back().callback), {});
    shared_->jobs.pop_back();
  }
}

void NameResolver::close() {
  const std::lock_guard lock(shared_->mutex);
  shared_->io = nullptr;
  shared_->jobs.clear();
}

NameResolver::Endpoints NameResolver::system_lookup(const std::string& host, std::uint16_t port) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* first = nullptr;
  if (::getaddrinfo(host.c_str(), nullptr, &hints, &first) != 0) return {};
  Endpoints endpoints;
  for (const addrinfo* each = first; each != nullptr; each = each->ai_next) {
    if (each->ai_family == AF_INET) {
      sockaddr_in v4{};
      std::memcpy(&v4, each->ai_addr, sizeof(v4));
      endpoints.emplace_back(ip::address_v4(ntohl(v4.sin_addr.s_addr)), port);
    } else if (each->ai_family == AF_INET6) {
      sockaddr_in6 v6{};
      std::memcpy(&v6, each->ai_addr, sizeof(v6));
      ip::address_v6::bytes_type bytes{};
      std::memcpy(bytes.data(), &v6.sin6_addr, bytes.size());
      endpoints.emplace_back(ip::address_v6(bytes, v6.sin6_scope_id), port);
    }
  }
  ::freeaddrinfo(first);
  return endpoints;
}

}  // namespace penstock::net

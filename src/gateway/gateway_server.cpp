#include "gateway/gateway_server.h"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <ctime>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "gateway/gateway_wire.h"
#include "gateway/sandbox_gateway.h"

namespace penstock::gateway {
namespace {

constexpr std::size_t kMaxBodyBytes = std::size_t{16} * 1024;
/// A client keeps a connection for each charge in flight, and it may rest between bursts.
constexpr std::chrono::minutes kIdleTimeout{10};

/// The present moment, never going back.
class WallClock {
 public:
  domain::Now now() {
    const auto since_epoch = std::chrono::system_clock::now().time_since_epoch();
    const std::int64_t us =
        std::chrono::duration_cast<std::chrono::microseconds>(since_epoch).count();
    latest_.us = std::max(latest_.us, us);
    timespec monotonic{};
    ::clock_gettime(CLOCK_BOOTTIME, &monotonic);
    return {.wall = latest_,
            .monotonic = {std::int64_t{monotonic.tv_sec} * 1'000'000'000 + monotonic.tv_nsec}};
  }

 private:
  domain::Instant latest_;
};

struct Arrival {
  ports::GatewayRequest request;
  net::Responder responder;
};

net::HttpServerOptions http_options(const GatewayServerOptions& options) {
  net::HttpServerOptions http;
  http.address = options.address;
  http.port = options.port;
  http.limits.connections = options.max_connections;
  http.limits.body_bytes = kMaxBodyBytes;
  http.limits.idle_timeout = kIdleTimeout;
  return http;
}

}  // namespace

std::string to_string(const GatewayServerError& error) {
  return std::visit([](auto reason) { return std::string(to_string(reason)); }, error);
}

struct GatewayServer::Impl {
  explicit Impl(GatewayServerOptions given)
      : options(std::move(given)), http(http_options(options)) {}

  /// On the sockets' thread.
  void take(net::HttpRequest&& http_request, net::Responder responder) {
    if (http_request.path() == "/healthz") {
      responder.send({.status = 200, .content_type = "text/plain", .body = "ok\n"});
      return;
    }
    auto request = read_request(http_request);
    if (!request) {
      responder.send(std::move(request.error()));
      return;
    }
    {
      const std::scoped_lock lock(mutex);
      if (arrivals.size() < options.max_pending) {
        const bool was_empty = arrivals.empty();
        arrivals.push_back({std::move(*request), std::move(responder)});
        if (was_empty) arrived.notify_one();
        return;
      }
    }
    responder.send(answer_for(*request, {domain::OutcomeKind::unavailable, {}}));
  }

  /// Sleeps until there is something to do; false once it is to end.
  bool wait_for_work(std::vector<Arrival>& taken) {
    std::unique_lock lock(mutex);
    while (!stopping && arrivals.empty()) {
      const std::optional<domain::Instant> due = sandbox->next_due();
      const domain::Instant now = clock.now().wall;
      if (due && *due <= now) break;
      if (due) {
        arrived.wait_for(lock, std::chrono::microseconds((*due - now).us));
      } else {
        arrived.wait(lock);
      }
    }
    taken.swap(arrivals);
    return !stopping;
  }

  void submit(std::vector<Arrival>& taken) {
    std::vector<ports::GatewayRequest> requests;
    requests.reserve(taken.size());
    for (Arrival& arrival : taken) {
      std::size_t slot = in_flight.size();
      if (free_slots.empty()) {
        in_flight.emplace_back();
      } else {
        slot = free_slots.back();
        free_slots.pop_back();
      }
      arrival.request.ticket = slot;
      in_flight[slot].request.kind = arrival.request.kind;
      in_flight[slot].responder = std::move(arrival.responder);
      requests.push_back(std::move(arrival.request));
    }
    taken.clear();
    sandbox->submit(requests, clock.now());
  }

  void answer(const std::vector<ports::GatewayReply>& replies) {
    for (const ports::GatewayReply& reply : replies) {
      Arrival& asked = in_flight[reply.ticket];
      if (reply.outcome.kind == domain::OutcomeKind::unknown || sandbox->has_failed()) {
        asked.responder.abandon();
      } else {
        asked.responder.send(answer_for(asked.request, reply.outcome));
      }
      asked.responder = {};
      free_slots.push_back(reply.ticket);
    }
  }

  void work() {
    std::vector<Arrival> taken;
    std::vector<ports::GatewayReply> replies;
    bool was_told = false;
    while (wait_for_work(taken)) {
      submit(taken);
      replies.clear();
      sandbox->poll(replies, clock.now());
      answer(replies);
      if (sandbox->has_failed() && !was_told) {
        was_told = true;
        if (options.on_failure) options.on_failure(LedgerError::cannot_write);
      }
    }
  }

  GatewayServerOptions options;
  std::unique_ptr<SandboxGateway> sandbox;
  WallClock clock;                      // the worker's
  std::vector<Arrival> in_flight;       // by ticket; the worker's
  std::vector<std::size_t> free_slots;  // the worker's

  std::mutex mutex;
  std::condition_variable arrived;
  std::vector<Arrival> arrivals;  // under mutex
  bool stopping = false;          // under mutex

  net::HttpServer http;
  std::thread worker;
};

GatewayServer::GatewayServer(GatewayServerOptions options)
    : impl_(std::make_unique<Impl>(std::move(options))) {}

GatewayServer::~GatewayServer() {
  stop();
}

std::expected<void, GatewayServerError> GatewayServer::start() {
  auto sandbox = SandboxGateway::open({.ledger_path = impl_->options.ledger_path,
                                       .faults = impl_->options.faults,
                                       .max_pending = impl_->options.max_pending});
  if (!sandbox) return std::unexpected(sandbox.error());
  impl_->sandbox = std::move(*sandbox);
  Impl* impl = impl_.get();
  const auto listening =
      impl->http.start([impl](net::HttpRequest&& request, net::Responder responder) {
        impl->take(std::move(request), std::move(responder));
      });
  if (!listening) return std::unexpected(listening.error());
  impl->worker = std::thread([impl] { impl->work(); });
  return {};
}

std::uint16_t GatewayServer::port() const {
  return impl_->http.port();
}

void GatewayServer::stop() {
  {
    const std::scoped_lock lock(impl_->mutex);
    impl_->stopping = true;
    impl_->arrived.notify_one();
  }
  if (impl_->worker.joinable()) impl_->worker.join();
  impl_->http.stop();
}

}  // namespace penstock::gateway

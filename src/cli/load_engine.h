#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cli/latency_histogram.h"
#include "cli/load_socket.h"
#include "cli/order_template.h"

namespace penstock::cli {

/// What to load a server with.
struct LoadOptions {
  LoadTarget target;
  std::string admin_key;  ///< empty: none
  std::string run = "0";  ///< names the run's idempotency keys
  double rate = 0;        ///< orders a second, open loop; 0: closed loop
  std::size_t connections = 64;
  double duration_seconds = 10;  ///< 0: until `orders` are sent
  std::uint64_t orders = 0;      ///< 0: no bound
  std::uint32_t tenants = 1;
  std::uint32_t products = 100;
  double declined_share = 0;    ///< of orders whose payment method the sandbox declines
  double sampled_share = 0.01;  ///< of accepted orders that are followed to their end
  double settle_seconds = 300;  ///< at most, for the backlog after the last order
};

/// The server's own counters at one moment of the run.
struct LoadMark {
  double at_seconds = 0;  ///< since the first intended start
  std::uint64_t ended = 0;
  std::uint64_t active = 0;
  std::uint64_t accepted = 0;  ///< answers counted here
};

/// What a run measured. Latencies run from the moment a request was meant to start, so that a
/// stalled server is charged for the orders that it kept from being sent.
struct LoadResult {
  std::uint64_t sent = 0;
  std::uint64_t accepted = 0;
  std::uint64_t unanswered = 0;          ///< the connection broke, or no answer came
  std::map<int, std::uint64_t> refused;  ///< by status, all but 202
  LatencyHistogram accept;               ///< of accepted orders: to the 202
  LatencyHistogram end_to_end;           ///< of sampled orders: to their terminal commit's time
  std::uint64_t samples_lost = 0;        ///< followed orders that did not end in time
  std::vector<LoadMark> marks;           ///< first at 0, then about every 250 ms, last at the end
  double load_seconds = 0;               ///< first intended start to last answer
  double whole_seconds = 0;              ///< until nothing was active any more
  bool settled = false;                  ///< whether the backlog was gone in time
};

/// Drives one run from one thread: raw non-blocking sockets, epoll, requests that are ready but for
/// their digits. About the cost of the kernel's share of a request.
class LoadEngine {
 public:
  explicit LoadEngine(LoadOptions options);
  ~LoadEngine();
  LoadEngine(const LoadEngine&) = delete;
  LoadEngine& operator=(const LoadEngine&) = delete;

  /// Gives every tenant a contract that does not bind and every product a billion pieces. The error
  /// is a sentence.
  std::optional<std::string> prepare();

  /// Runs the load and waits for the backlog. `progress` is called with each mark.
  LoadResult run(const std::function<void(const LoadMark&)>& progress);

 private:
  enum class Role : std::uint8_t { orders, samples, counters };

  struct Connection {
    LoadSocket socket;
    Role role = Role::orders;
    std::string request;
    std::int64_t intended_ns = 0;
    std::int64_t sampled_start_us = 0;
    std::int64_t sampled_give_up_ns = 0;
    std::string sampled_order;
  };
  struct Sample {
    std::string order;
    std::int64_t start_us = 0;  ///< wall
    std::int64_t give_up_ns = 0;
  };
  struct Rest {
    std::size_t connection = 0;
    std::int64_t until_ns = 0;
  };

  void start(std::size_t index);
  void watch(std::size_t index);
  void finished(std::size_t index, LoadSocket::Progress progress, const LoadAnswer& answer);
  void order_answered(std::size_t index, const LoadAnswer& answer);
  void sample_answered(Connection& connection, const LoadAnswer& answer);
  void counters_answered(const LoadAnswer& answer);
  void send_due_orders();
  void send_order(std::size_t index, std::int64_t intended_ns);
  void send_sample();
  void ask_counters();
  void count_before_the_load();
  bool may_send(std::int64_t now_ns) const;
  /// Open loop: when the next order is meant to start, since the beginning.
  std::int64_t intended_offset() const;
  void wait(std::int64_t until_ns);
  std::int64_t next_moment() const;
  bool in_flight(Role role) const;
  std::string plain_request(std::string_view method, std::string_view target,
                            std::string_view body) const;
  std::optional<std::string> put_all(std::vector<std::string> requests);

  LoadOptions options_;
  OrderTemplate approved_;
  OrderTemplate declined_;
  int epoll_ = -1;
  std::vector<Connection> connections_;  ///< orders first, then samples, then the one for counters
  std::vector<std::size_t> idle_;        ///< of role orders
  std::deque<Rest> resting_;             ///< refused just now
  std::deque<Sample> samples_;
  std::function<void(const LoadMark&)> progress_;
  LoadResult result_;
  std::vector<std::string> setup_;
  std::string setup_error_;
  bool preparing_ = false;
  std::size_t setup_next_ = 0;
  std::size_t setup_open_ = 0;
  std::uint64_t random_ = 0x9E3779B97F4A7C15;
  std::int64_t begin_ns_ = 0;
  std::int64_t end_ns_ = 0;
  std::int64_t last_answer_ns_ = 0;
  std::int64_t next_counters_ns_ = 0;
  std::int64_t wall_offset_us_ = 0;
};

}  // namespace penstock::cli

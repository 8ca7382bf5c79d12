#include "cli/load_engine.h"

#include <algorithm>
#include <cmath>
#include <ctime>
#include <utility>

#include <fmt/format.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "domain/instant.h"
#include "domain/order.h"
#include "net/json.h"

namespace penstock::cli {
namespace {

constexpr std::int64_t kSecond = 1'000'000'000;
constexpr std::size_t kSampleConnections = 32;
/// Contracts and stock that are set at once before the load.
constexpr std::size_t kMaxSetupRequests = 32;
constexpr std::size_t kMaxSamples = 200'000;
constexpr std::int64_t kCountersEvery = kSecond / 4;
/// Once nothing is sent any more: the end of the backlog is told to within this.
constexpr std::int64_t kCountersAtEnd = kSecond / 50;
/// So long without an answer is no slow server.
constexpr std::int64_t kSilence = 30 * kSecond;
/// A refused client does not come back at once: that would measure the refusal.
constexpr std::int64_t kRest = kSecond / 20;
constexpr std::int64_t kLeastWait = 50'000;
constexpr int kEvents = 512;

std::int64_t nanoseconds_of(clockid_t clock) {
  timespec reading{};
  ::clock_gettime(clock, &reading);
  return std::int64_t{reading.tv_sec} * kSecond + reading.tv_nsec;
}

std::int64_t now_ns() {
  return nanoseconds_of(CLOCK_MONOTONIC);
}

std::int64_t to_ns(double seconds) {
  return static_cast<std::int64_t>(std::llround(seconds * static_cast<double>(kSecond)));
}

std::uint64_t member(const net::JsonView& object, std::string_view name) {
  auto const value = object.find(name);
  auto const number = value ? value->as_int64() : std::nullopt;
  return static_cast<std::uint64_t>(number.value_or(0));
}

OrderTemplateOptions template_of(const LoadOptions& options, std::string method) {
  return {.authority = options.target.authority,
          .admin_key = options.admin_key,
          .run = options.run,
          .payment_method = std::move(method)};
}

}  // namespace

LoadEngine::LoadEngine(LoadOptions options)
    : options_(std::move(options)),
      approved_(template_of(options_, "pm_ok")),
      declined_(template_of(options_, "pm_decline")),
      epoll_(::epoll_create1(EPOLL_CLOEXEC)) {
  std::size_t const all = options_.connections + kSampleConnections + 1;
  connections_.resize(all);
  for (std::size_t index = options_.connections; index < all; ++index) {
    connections_[index].role = index + 1 < all ? Role::samples : Role::counters;
  }
}

LoadEngine::~LoadEngine() {
  ::close(epoll_);
}

std::string LoadEngine::plain_request(std::string_view method, std::string_view target,
                                      std::string_view body) const {
  std::string const key = options_.admin_key.empty()
                              ? ""
                              : fmt::format("Authorization: Bearer {}\r\n", options_.admin_key);
  return fmt::format(
      "{} {} HTTP/1.1\r\nHost: {}\r\n{}Content-Type: application/json\r\n"
      "Content-Length: {}\r\n\r\n{}",
      method, target, options_.target.authority, key, body.size(), body);
}

std::optional<std::string> LoadEngine::prepare() {
  std::vector<std::string> contracts;
  std::vector<std::string> stock;
  for (std::uint32_t tenant = 0; tenant < options_.tenants; ++tenant) {
    std::string const name = OrderTemplate::tenant_name(tenant);
    contracts.push_back(plain_request("PUT", "/tenants/" + name,
                                      R"({"rate_per_second":1000000,"burst":10000000})"));
    for (std::uint32_t product = 0; product < options_.products; ++product) {
      stock.push_back(
          plain_request("PUT", "/inventory/" + OrderTemplate::product_name(product),
                        fmt::format(R"({{"on_hand":1000000000,"tenant_id":"{}"}})", name)));
    }
  }
  if (auto failed = put_all(std::move(contracts))) return failed;
  return put_all(std::move(stock));
}

std::optional<std::string> LoadEngine::put_all(std::vector<std::string> requests) {
  setup_ = std::move(requests);
  setup_next_ = 0;
  setup_open_ = 0;
  setup_error_.clear();
  preparing_ = true;
  idle_.clear();
  // A server refuses one operator that asks for very much at once.
  for (std::size_t index = std::min(options_.connections, kMaxSetupRequests); index-- > 0;) {
    idle_.push_back(index);
  }
  while ((setup_next_ < setup_.size() || setup_open_ > 0) && setup_error_.empty()) {
    while (setup_next_ < setup_.size() && !idle_.empty()) {
      std::size_t const index = idle_.back();
      idle_.pop_back();
      connections_[index].request = setup_[setup_next_++];
      ++setup_open_;
      start(index);
    }
    wait(now_ns() + kSecond);
  }
  preparing_ = false;
  if (setup_error_.empty()) return std::nullopt;
  return setup_error_;
}

void LoadEngine::start(std::size_t index) {
  Connection& connection = connections_[index];
  LoadSocket::Progress const progress =
      connection.socket.start(options_.target, connection.request);
  if (progress == LoadSocket::Progress::failed) {
    finished(index, progress, {});
    return;
  }
  watch(index);
}

void LoadEngine::watch(std::size_t index) {
  Connection& connection = connections_[index];
  if (!connection.socket.renewed()) return;
  epoll_event event{};
  // Edge-triggered: a request is one write, and room for the rest of it is told once.
  event.events = EPOLLIN | EPOLLOUT | EPOLLET;
  event.data.u64 = index;
  ::epoll_ctl(epoll_, EPOLL_CTL_ADD, connection.socket.descriptor(), &event);
}

void LoadEngine::wait(std::int64_t until_ns) {
  std::array<epoll_event, kEvents> events{};
  std::int64_t const left = std::max(kLeastWait, until_ns - now_ns());
  timespec const timeout{.tv_sec = left / kSecond, .tv_nsec = left % kSecond};
  int const ready = ::epoll_pwait2(epoll_, events.data(), kEvents, &timeout, nullptr);
  for (int index = 0; index < ready; ++index) {
    auto const number =
        static_cast<std::size_t>(events.at(static_cast<std::size_t>(index)).data.u64);
    LoadSocket& socket = connections_[number].socket;
    if (!socket.busy()) {
      // Nothing is expected here: the server has closed an idle connection.
      if ((events.at(static_cast<std::size_t>(index)).events & EPOLLIN) != 0) socket.close();
      continue;
    }
    LoadAnswer answer;
    LoadSocket::Progress const progress = socket.advance(answer);
    if (progress != LoadSocket::Progress::waiting) finished(number, progress, answer);
  }
}

void LoadEngine::finished(std::size_t index, LoadSocket::Progress progress,
                          const LoadAnswer& answer) {
  Connection& connection = connections_[index];
  bool const answered = progress == LoadSocket::Progress::answered;
  if (connection.role == Role::counters) {
    if (answered) counters_answered(answer);
  } else if (connection.role == Role::samples) {
    if (answered) {
      sample_answered(connection, answer);
    } else {
      ++result_.samples_lost;
    }
  } else if (preparing_) {
    --setup_open_;
    if (!answered) setup_error_ = "the server cannot be reached";
    if (answered && answer.status >= 300) {
      setup_error_ = fmt::format("the server answered {}: {}", answer.status, answer.body);
    }
    idle_.push_back(index);
  } else if (answered) {
    order_answered(index, answer);
  } else {
    ++result_.unanswered;
    resting_.push_back({.connection = index, .until_ns = now_ns() + kRest});
  }
}

void LoadEngine::order_answered(std::size_t index, const LoadAnswer& answer) {
  Connection& connection = connections_[index];
  std::int64_t const now = now_ns();
  last_answer_ns_ = now;
  if (answer.status != 202) {
    ++result_.refused[answer.status];
    resting_.push_back({.connection = index, .until_ns = now + kRest});
    return;
  }
  ++result_.accepted;
  result_.accept.add((now - connection.intended_ns) / 1000);
  idle_.push_back(index);
  auto const every = options_.sampled_share > 0
                         ? static_cast<std::uint64_t>(std::llround(1 / options_.sampled_share))
                         : 0;
  if (every == 0 || result_.accepted % every != 0 || samples_.size() >= kMaxSamples) return;
  constexpr std::string_view kLocation = "Location: /orders/";
  std::size_t const at = answer.head.find(kLocation);
  if (at == std::string_view::npos) return;
  constexpr std::size_t kIdSize = 36;
  samples_.push_back({.order = std::string(answer.head.substr(at + kLocation.size(), kIdSize)),
                      .start_us = connection.intended_ns / 1000 + wall_offset_us_,
                      .give_up_ns = now + to_ns(options_.settle_seconds)});
}

void LoadEngine::sample_answered(Connection& connection, const LoadAnswer& answer) {
  auto const document = net::JsonDocument::parse(answer.body);
  auto const text = [&document](std::string_view name) -> std::string_view {
    auto const value = document->root().find(name);
    return value ? value->as_string().value_or("") : "";
  };
  if (answer.status != 200 || !document) {
    ++result_.samples_lost;
    return;
  }
  auto const status = domain::parse_status(text("status"));
  auto const updated = domain::parse_rfc3339(text("updated_at"));
  if (status && updated && domain::is_terminal(*status)) {
    result_.end_to_end.add(updated->us - connection.sampled_start_us);
  } else if (now_ns() < connection.sampled_give_up_ns) {
    samples_.push_front({.order = connection.sampled_order,
                         .start_us = connection.sampled_start_us,
                         .give_up_ns = connection.sampled_give_up_ns});
  } else {
    ++result_.samples_lost;
  }
}

void LoadEngine::counters_answered(const LoadAnswer& answer) {
  auto const document = net::JsonDocument::parse(answer.body);
  if (answer.status != 200 || !document) return;
  LoadMark mark{.at_seconds = static_cast<double>(now_ns() - begin_ns_) / 1e9,
                .active = member(document->root(), "active"),
                .accepted = result_.accepted};
  if (auto const ended = document->root().find("ended")) {
    for (std::string_view const status : {"fulfilled", "rejected", "cancelled"}) {
      mark.ended += member(*ended, status);
    }
  }
  result_.marks.push_back(mark);
  progress_(mark);
}

bool LoadEngine::may_send(std::int64_t now) const {
  if (options_.orders > 0 && result_.sent >= options_.orders) return false;
  if (options_.rate == 0 || options_.duration_seconds <= 0) return now < end_ns_;
  // An order that was meant to start in time is sent even if the server kept it waiting beyond the
  // end: to leave it out would hide the wait.
  return begin_ns_ + intended_offset() < end_ns_ && now < end_ns_ + to_ns(options_.settle_seconds);
}

std::int64_t LoadEngine::intended_offset() const {
  return to_ns(static_cast<double>(result_.sent) / options_.rate);
}

void LoadEngine::send_due_orders() {
  std::int64_t now = now_ns();
  while (!resting_.empty() && resting_.front().until_ns <= now) {
    idle_.push_back(resting_.front().connection);
    resting_.pop_front();
  }
  while (!idle_.empty() && may_send(now)) {
    std::int64_t intended = now;
    if (options_.rate > 0) {
      intended = begin_ns_ + intended_offset();
      if (intended > now) return;
    }
    std::size_t const index = idle_.back();
    idle_.pop_back();
    send_order(index, intended);
    if (options_.rate == 0) now = now_ns();
  }
}

void LoadEngine::send_order(std::size_t index, std::int64_t intended_ns) {
  Connection& connection = connections_[index];
  // xorshift64* (Vigna, 2016): which product, and which orders are declined.
  random_ ^= random_ >> 12;
  random_ ^= random_ << 25;
  random_ ^= random_ >> 27;
  std::uint64_t const drawn = random_ * 0x2545F4914F6CDD1D;
  bool const declined =
      static_cast<double>(drawn >> 11) / static_cast<double>(std::uint64_t{1} << 53) <
      options_.declined_share;
  const OrderTemplate& order = declined ? declined_ : approved_;
  order.fill({.order = result_.sent,
              .tenant = static_cast<std::uint32_t>(result_.sent % options_.tenants),
              .product = static_cast<std::uint32_t>((drawn >> 16) % options_.products)},
             connection.request);
  ++result_.sent;
  connection.intended_ns = intended_ns;
  start(index);
}

void LoadEngine::send_sample() {
  for (std::size_t index = options_.connections;
       index + 1 < connections_.size() && !samples_.empty(); ++index) {
    Connection& connection = connections_[index];
    if (connection.socket.busy()) continue;
    Sample sample = std::move(samples_.front());
    samples_.pop_front();
    connection.request = plain_request("GET", "/orders/" + sample.order + "?wait=30", "");
    connection.sampled_order = std::move(sample.order);
    connection.sampled_start_us = sample.start_us;
    connection.sampled_give_up_ns = sample.give_up_ns;
    start(index);
  }
}

void LoadEngine::ask_counters() {
  std::int64_t const now = now_ns();
  Connection& connection = connections_.back();
  if (now < next_counters_ns_ || connection.socket.busy()) return;
  next_counters_ns_ = now + kCountersEvery;
  connection.request = plain_request("GET", "/queues", "");
  start(connections_.size() - 1);
}

bool LoadEngine::in_flight(Role role) const {
  return std::ranges::any_of(connections_, [role](const Connection& connection) {
    return connection.role == role && connection.socket.busy();
  });
}

std::int64_t LoadEngine::next_moment() const {
  std::int64_t next = std::min(next_counters_ns_, now_ns() + kSecond / 10);
  if (!resting_.empty()) next = std::min(next, resting_.front().until_ns);
  if (options_.rate > 0 && !idle_.empty()) {
    next = std::min(next, begin_ns_ + intended_offset());
  }
  return next;
}

void LoadEngine::count_before_the_load() {
  next_counters_ns_ = 0;
  begin_ns_ = now_ns();
  while (result_.marks.empty() && now_ns() - begin_ns_ < kSecond) {
    ask_counters();
    wait(now_ns() + kCountersAtEnd);
  }
  for (LoadMark& mark : result_.marks) mark.at_seconds = 0;
}

LoadResult LoadEngine::run(const std::function<void(const LoadMark&)>& progress) {
  progress_ = progress;
  result_ = {};
  idle_.clear();
  for (std::size_t index = options_.connections; index-- > 0;) idle_.push_back(index);
  count_before_the_load();
  begin_ns_ = now_ns();
  wall_offset_us_ = (nanoseconds_of(CLOCK_REALTIME) - begin_ns_) / 1000;
  last_answer_ns_ = begin_ns_;
  end_ns_ =
      options_.duration_seconds > 0 ? begin_ns_ + to_ns(options_.duration_seconds) : INT64_MAX;
  next_counters_ns_ = begin_ns_ + kCountersEvery;
  while (may_send(now_ns()) || in_flight(Role::orders)) {
    ask_counters();
    send_due_orders();
    send_sample();
    wait(next_moment());
  }
  result_.load_seconds = static_cast<double>(last_answer_ns_ - begin_ns_) / 1e9;
  // A mark that was asked for before the last answer may not count it yet.
  std::size_t const marks_before = result_.marks.size() + 1;
  next_counters_ns_ = 0;
  std::int64_t const give_up = now_ns() + to_ns(options_.settle_seconds);
  std::size_t marks_seen = result_.marks.size();
  std::int64_t last_mark_ns = now_ns();
  // A server that tells its counters no more has ended, and so has its backlog.
  while (now_ns() < give_up && now_ns() < last_mark_ns + kSilence) {
    if (result_.marks.size() != marks_seen) {
      marks_seen = result_.marks.size();
      last_mark_ns = now_ns();
    }
    bool const counted = result_.marks.size() > marks_before;
    result_.settled = counted && result_.marks.back().active == 0;
    if (result_.settled && samples_.empty() && !in_flight(Role::samples)) break;
    next_counters_ns_ = std::min(next_counters_ns_, now_ns() + kCountersAtEnd);
    ask_counters();
    send_sample();
    wait(next_counters_ns_);
  }
  for (const LoadMark& mark : result_.marks) {
    result_.whole_seconds = mark.at_seconds;
    if (mark.at_seconds > result_.load_seconds && mark.active == 0) break;
  }
  result_.samples_lost += samples_.size();
  return std::move(result_);
}

}  // namespace penstock::cli

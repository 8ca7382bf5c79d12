#include "adapters/postgres/wake_ups.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <string>
#include <tuple>
#include <utility>

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "domain/check.h"

namespace penstock::postgres_store {
namespace {

using std::chrono::milliseconds;

/// A connection that broke without a word is met by the next look at the latest.
constexpr milliseconds kLongestSleep{1'000};

/// How often it is seen whether a connection on which nothing is said still leads to a server.
constexpr std::chrono::seconds kAskAlive{10};

constexpr Statement kTell{.name = "tell", .sql = "SELECT pg_notify($1, $2)"};
constexpr std::array kStatements{kTell};

std::string channel_of(const ConnectionOptions& options) {
  return "penstock " + options.schema;
}

std::chrono::microseconds micros(domain::Duration span) {
  return std::chrono::microseconds(span.us);
}

StageBits stages_in(const std::string& payload) {
  StageBits stages = 0;
  std::from_chars(payload.data(), payload.data() + payload.size(), stages);
  return stages;
}

}  // namespace

WakeUps::WakeUps(WakeUpOptions options)
    : options_(std::move(options)), bell_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  PENSTOCK_CHECK(bell_ >= 0, "the system gives an event descriptor");
  thread_ = std::thread([this] { run(); });
}

WakeUps::~WakeUps() {
  stopping_ = true;
  static_cast<void>(::eventfd_write(bell_, 1));
  thread_.join();
  ::close(bell_);
}

void WakeUps::announce(StageBits stages) {
  stages &= options_.announced;
  if (stages == 0) return;
  // Rung once for all that comes before it goes out.
  if (waiting_.fetch_or(stages) == 0) static_cast<void>(::eventfd_write(bell_, 1));
}

void WakeUps::run() {
  while (!stopping_) {
    if (connected()) {
      tell();
      hear();
    }
    sleep();
  }
}

bool WakeUps::connected() {
  if (connection_ && connection_->is_alive()) return true;
  connection_.reset();
  if (Clock::now() < next_try_) return false;
  next_try_ = Clock::now() + micros(options_.reconnect_pause);
  auto opened = Connection::open(options_.connection, kStatements);
  if (!opened) return false;
  // A wake-up that is lost is harmless, so none waits for the disk.
  const auto listening = (*opened)->execute("SET synchronous_commit = off; LISTEN " +
                                            quoted_name(channel_of(options_.connection)));
  if (!listening) return false;
  connection_ = *std::move(opened);
  // What was told while nobody listened is unknown.
  options_.wake();
  return true;
}

void WakeUps::hear() {
  StageBits heard = 0;
  for (const Notice& notice : connection_->take_notices()) {
    if (notice.sender_pid != connection_->backend_pid()) heard |= stages_in(notice.payload);
  }
  if ((heard & options_.wanted) != 0) options_.wake();
}

void WakeUps::tell() {
  if (waiting_.load() == 0 && Clock::now() >= told_at_ + kAskAlive) {
    told_at_ = Clock::now();
    std::ignore = connection_->execute("SELECT 1");
    return;
  }
  if (waiting_.load() == 0 || Clock::now() < told_at_ + micros(options_.least_pause)) return;
  told_at_ = Clock::now();
  const StageBits stages = waiting_.exchange(0);
  // What could not be told is found by polling.
  std::ignore = connection_->run(
      kTell, Parameters().add(channel_of(options_.connection)).add(std::to_string(stages)));
}

milliseconds WakeUps::patience() const {
  Clock::time_point until = Clock::now() + kLongestSleep;
  if (!connection_) {
    until = std::min(until, next_try_);
  } else if (waiting_.load() != 0) {
    until = std::min(until, told_at_ + micros(options_.least_pause));
  }
  const auto left = std::chrono::ceil<milliseconds>(until - Clock::now());
  return std::max(left, milliseconds::zero());
}

void WakeUps::sleep() {
  const bool has_connection = connection_ != nullptr;
  std::array<pollfd, 2> watched{
      {{.fd = bell_, .events = POLLIN, .revents = 0}, {.fd = -1, .events = POLLIN, .revents = 0}}};
  if (has_connection) watched[1].fd = connection_->socket();
  // libpq may hold what was read with an answer: those are taken before, in `hear`.
  static_cast<void>(::poll(watched.data(), watched.size(), static_cast<int>(patience().count())));
  eventfd_t rung = 0;
  static_cast<void>(::eventfd_read(bell_, &rung));
}

}  // namespace penstock::postgres_store

#include "tests/postgres/relay.h"

#include <array>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <stdexcept>

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

namespace penstock::postgres_testing {
namespace {

constexpr int kTickMs = 10;

sockaddr_un address_of(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) throw std::runtime_error("a socket's path is long");
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  return address;
}

/// A NoticeResponse of the frontend/backend protocol 3.0.
std::string notice() {
  const std::string end(1, '\0');
  const std::string fields =
      "SWARNING" + end + "VWARNING" + end + "C57P01" + end + "Mgoing down" + end + end;
  return "N" + std::string(3, '\0') + static_cast<char>(fields.size() + 4) + fields;
}

void close_once(int& descriptor) {
  if (descriptor >= 0) close(descriptor);
  descriptor = -1;
}

}  // namespace

Relay::Relay(const std::string& server_directory)
    : server_path_(server_directory + "/.s.PGSQL.5432") {
  std::string pattern = (std::filesystem::temp_directory_path() / "penstock-relay-XXXXXX").string();
  if (mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("mkdtemp failed");
  directory_ = pattern;
  const sockaddr_un address = address_of(directory_ + "/.s.PGSQL.5432");
  listener_ = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (listener_ < 0 ||
      bind(listener_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      listen(listener_, 4) != 0) {
    throw std::runtime_error("the relay cannot listen");
  }
  thread_ = std::thread([this] { run(); });
}

Relay::~Relay() {
  is_over_ = true;
  thread_.join();
  end_client();
  close_once(server_);
  close_once(listener_);
  std::error_code ignored;
  std::filesystem::remove_all(directory_, ignored);
}

void Relay::cut() {
  is_to_cut_ = true;
  while (is_to_cut_) std::this_thread::sleep_for(std::chrono::milliseconds(kTickMs));
}

void Relay::break_off() {
  breaks_off_ = true;
  while (!is_down_) std::this_thread::sleep_for(std::chrono::milliseconds(kTickMs));
}

void Relay::run() {
  while (!is_over_) {
    if (is_to_cut_) {
      end_client();
      loses_answers_ = false;
      is_to_cut_ = false;
    }
    if (breaks_off_ && client_ >= 0) go_down();
    // A client that is served keeps others waiting at the door.
    std::array<pollfd, 3> ready{{{client_ < 0 ? listener_ : -1, POLLIN, 0},
                                 {client_, POLLIN, 0},
                                 {client_ < 0 ? -1 : server_, POLLIN, 0}}};
    if (poll(ready.data(), ready.size(), kTickMs) <= 0) continue;
    if (ready[0].revents != 0) take_client();
    if (ready[1].revents != 0) pass(client_, server_, false);
    if (ready[2].revents != 0 && client_ >= 0) pass(server_, client_, true);
  }
}

void Relay::take_client() {
  client_ = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
  close_once(server_);
  const sockaddr_un address = address_of(server_path_);
  server_ = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (connect(server_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    end_client();
  }
}

void Relay::pass(int from, int to, bool is_answer) {
  std::array<char, 16'384> bytes{};
  const ssize_t received = recv(from, bytes.data(), bytes.size(), 0);
  if (received <= 0) {
    end_client();
    close_once(server_);
    return;
  }
  if (is_answer && loses_answers_) return;
  for (ssize_t sent = 0; sent < received;) {
    const ssize_t step =
        send(to, bytes.data() + sent, static_cast<std::size_t>(received - sent), MSG_NOSIGNAL);
    if (step <= 0) return;
    sent += step;
  }
}

void Relay::go_down() {
  shutdown(client_, SHUT_RD);
  is_down_ = true;
  const std::string told = notice();
  while (!is_over_ && send(client_, told.data(), told.size(), MSG_NOSIGNAL) > 0) {
    std::this_thread::sleep_for(std::chrono::milliseconds(kTickMs));
  }
  end_client();
  close_once(server_);
  breaks_off_ = false;
}

void Relay::end_client() {
  close_once(client_);
}

}  // namespace penstock::postgres_testing

#include "adapters/postgres/connect.h"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstddef>
#include <string_view>
#include <utility>
#include <vector>

#include <poll.h>

namespace penstock::postgres_store {
namespace {

using ports::StoreError;

struct FreeOptions {
  void operator()(PQconninfoOption* options) const { PQconninfoFree(options); }
};
using ParsedUrl = std::unique_ptr<PQconninfoOption, FreeOptions>;

/// One host of a URL that names several; empty: whatever the URL says.
struct Host {
  std::string host;
  std::string hostaddr;
  std::string port;
};

std::string value_of(const ParsedUrl& url, std::string_view keyword) {
  for (const PQconninfoOption* each = url.get(); each->keyword != nullptr; ++each) {
    if (keyword == each->keyword && each->val != nullptr) return each->val;
  }
  return {};
}

std::vector<std::string> split(std::string_view list) {
  std::vector<std::string> parts;
  for (;;) {
    const std::size_t comma = std::min(list.find(','), list.size());
    parts.emplace_back(list.substr(0, comma));
    if (comma == list.size()) return parts;
    list.remove_prefix(comma + 1);
  }
}

std::expected<ParsedUrl, Failure> parse(const std::string& text) {
  char* message = nullptr;
  ParsedUrl url(PQconninfoParse(text.c_str(), &message));
  const std::unique_ptr<char, decltype(&PQfreemem)> freed(message, &PQfreemem);
  if (!url) return std::unexpected(failure_to_read_url(message == nullptr ? "" : message));
  if (value_of(url, "host").find('@') != std::string::npos) {
    return std::unexpected(
        failure_to_read_url("it has a second @; an @ of a user or password is written %40"));
  }
  return url;
}

/// One entry where the URL names one host, or lists of different lengths that libpq refuses.
std::vector<Host> hosts_of(const ParsedUrl& url) {
  const std::vector<std::string> hosts = split(value_of(url, "host"));
  const std::vector<std::string> addresses = split(value_of(url, "hostaddr"));
  const std::vector<std::string> ports = split(value_of(url, "port"));
  const std::size_t count = std::max(hosts.size(), addresses.size());
  const auto fits = [&](std::size_t size) { return size == 1 || size == count; };
  if (count == 1 || !fits(hosts.size()) || !fits(addresses.size()) || !fits(ports.size())) {
    return {Host{}};
  }
  const auto at = [](const std::vector<std::string>& list, std::size_t place) {
    return list.size() == 1 ? list.front() : list[place];
  };
  std::vector<Host> all;
  all.reserve(count);
  for (std::size_t place = 0; place < count; ++place) {
    all.push_back(
        {.host = at(hosts, place), .hostaddr = at(addresses, place), .port = at(ports, place)});
  }
  return all;
}

std::chrono::microseconds host_timeout(const ParsedUrl& url, domain::Duration standard) {
  const std::string text = value_of(url, "connect_timeout");
  std::int64_t seconds = 0;
  std::from_chars(text.data(), text.data() + text.size(), seconds);
  const domain::Duration wanted = domain::Duration::seconds(seconds);
  const bool is_shorter = seconds > 0 && seconds < 3'600 && wanted < standard;
  return std::chrono::microseconds(is_shorter ? wanted.us : standard.us);
}

ServerConnection start(const ConnectOptions& options, const Host& host) {
  const std::string tcp_timeout =
      std::to_string(std::max<std::int64_t>(1, options.tcp_timeout.us / 1'000));
  // What stands before the URL is a default that it may change; what stands behind is not.
  std::vector<const char*> names{"tcp_user_timeout", "keepalives_idle", "keepalives_interval",
                                 "keepalives_count", "dbname"};
  std::vector<const char*> values{tcp_timeout.c_str(), "5", "2", "3", options.url.c_str()};
  const auto add = [&](const char* name, const char* value) {
    names.push_back(name);
    values.push_back(value);
  };
  add("target_session_attrs", "read-write");
  add("application_name", options.name.c_str());
  add("client_encoding", "UTF8");
  // An empty value would be the default's.
  if (!host.host.empty()) add("host", host.host.c_str());
  if (!host.hostaddr.empty()) add("hostaddr", host.hostaddr.c_str());
  if (!host.port.empty()) add("port", host.port.c_str());
  add(nullptr, nullptr);
  return ServerConnection(PQconnectStartParams(names.data(), values.data(), 1));
}

std::string address_of(PGconn* connection) {
  const char* host = PQhost(connection);
  const char* port = PQport(connection);
  return "\"" + std::string(host == nullptr ? "" : host) + "\", port " +
         std::string(port == nullptr ? "" : port);
}

Failure no_answer(PGconn* connection, std::chrono::microseconds patience) {
  const auto seconds = std::chrono::duration<double>(patience).count();
  std::string text = std::to_string(seconds);
  text.resize(text.find('.') + 2);
  return {.error = StoreError::unavailable,
          .sql_state = {},
          .detail = "connection to server at " + address_of(connection) +
                    " failed: no session within " + text + " s",
          .is_connecting = true};
}

std::expected<ServerConnection, Failure> connect_to(const ConnectOptions& options, const Host& host,
                                                    std::chrono::microseconds patience) {
  const Deadline deadline(Deadline::Clock::now() + patience, options.last_call);
  ServerConnection connection = start(options, host);
  if (!connection) {
    return std::unexpected(Failure{.error = StoreError::unavailable,
                                   .sql_state = {},
                                   .detail = "no memory for a connection",
                                   .is_connecting = true});
  }
  // Errors come back as failures; a notice has no reader. Verbose ones tell the SQLSTATE, which
  // libpq keeps to itself while it connects.
  PQsetNoticeProcessor(connection.get(), [](void*, const char*) {}, nullptr);
  PQsetErrorVerbosity(connection.get(), PQERRORS_VERBOSE);
  PostgresPollingStatusType state =
      PQstatus(connection.get()) == CONNECTION_BAD ? PGRES_POLLING_FAILED : PGRES_POLLING_WRITING;
  while (state == PGRES_POLLING_READING || state == PGRES_POLLING_WRITING) {
    const auto events = static_cast<short>(state == PGRES_POLLING_READING ? POLLIN : POLLOUT);
    pollfd socket{.fd = PQsocket(connection.get()), .events = events, .revents = 0};
    const int ready = ::poll(&socket, 1, deadline.slice_ms());
    if (ready > 0) {
      state = PQconnectPoll(connection.get());
    } else if (deadline.is_over()) {
      return std::unexpected(no_answer(connection.get(), patience));
    }
  }
  if (state != PGRES_POLLING_OK) {
    return std::unexpected(failure_to_connect(PQerrorMessage(connection.get())));
  }
  PQsetErrorVerbosity(connection.get(), PQERRORS_DEFAULT);
  PQsetnonblocking(connection.get(), 1);
  return connection;
}

}  // namespace

std::expected<ServerConnection, Failure> connect_for_writing(const ConnectOptions& options) {
  const auto url = parse(options.url);
  if (!url) return std::unexpected(url.error());
  const std::chrono::microseconds patience = host_timeout(*url, options.host_timeout);
  Failure all;
  for (const Host& host : hosts_of(*url)) {
    auto connected = connect_to(options, host, patience);
    if (connected) return connected;
    if (all.detail.empty()) {
      all = std::move(connected.error());
    } else {
      all.detail += "; " + connected.error().detail;
    }
  }
  return std::unexpected(std::move(all));
}

}  // namespace penstock::postgres_store

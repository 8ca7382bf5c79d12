#include "main/setting_table.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <system_error>
#include <utility>

#include <fmt/format.h>

#include "domain/limits.h"
#include "domain/token_bucket.h"
#include "net/redaction.h"

namespace penstock::main {
namespace {

using domain::Duration;
namespace limits = domain::limits;

constexpr std::int64_t kDayUs = Duration::hours(24).us;

constexpr std::array kTable{
    SettingRow{.name = "listen",
               .standard = "127.0.0.1:9000",
               .value = "ADDR:PORT",
               .help = "where to serve; loopback only unless an admin key is set"},
    SettingRow{
        .name = "admin-key",
        .value = "KEY",
        .help = "the first admin key, at least 24 characters; without one the server is open",
        .secrecy = Secrecy::secret},
    SettingRow{.name = "data",
               .standard = "./penstock-data",
               .value = "DIR",
               .help = "the data directory: store and sandbox ledger"},
    SettingRow{.name = "store",
               .value = "URL",
               .help = "rocksdb:DIR, postgres://... or memory:; empty: rocksdb in the data "
                       "directory",
               .secrecy = Secrecy::password_in_url},
    SettingRow{.name = "stages",
               .standard = "all",
               .value = "STAGES",
               .help = "what runs here: ingest, inventory, payment, fulfillment, notification"},
    SettingRow{.name = "node",
               .value = "NAME",
               .help = "of this process on a shared database; empty: the host with the port or "
                       "the stages"},
    SettingRow{.name = "lease",
               .kind = SettingKind::duration,
               .standard = "60s",
               .value = "TIME",
               .help = "on a shared database: when others take over what a process holds that "
                       "does not come back",
               .least = Duration::seconds(1).us,
               .most = Duration::hours(1).us},
    SettingRow{
        .name = "store-timeout",
        .kind = SettingKind::duration,
        .standard = "10s",
        .value = "TIME",
        .help = "on a shared database: how long one call of it may take, whatever it waits for",
        .least = Duration::milliseconds(100).us,
        .most = Duration::seconds(600).us},
    SettingRow{.name = "gateway",
               .standard = "sandbox",
               .value = "sandbox|URL",
               .help = "the payment gateway: in process, or its base URL",
               .secrecy = Secrecy::password_in_url},
    SettingRow{.name = "gateway-timeout",
               .kind = SettingKind::duration,
               .standard = "30s",
               .value = "TIME",
               .help = "after it a gateway's outcome is unknown",
               .least = Duration::milliseconds(1).us,
               .most = Duration::hours(1).us},
    SettingRow{.name = "gateway-key-retention",
               .kind = SettingKind::duration,
               .standard = "24h",
               .value = "TIME",
               .help = "how long the gateway remembers an idempotency key; older ones are closed",
               .least = Duration::hours(2).us,
               .most = 365 * kDayUs},
    SettingRow{.name = "max-payments-in-flight",
               .kind = SettingKind::integer,
               .standard = "10000",
               .value = "N",
               .help = "charges and refunds without an answer at one time",
               .least = 1,
               .most = limits::kMaxInFlight},
    SettingRow{.name = "fulfiller-hook",
               .value = "URL",
               .help = "who accepts or refuses charged orders; empty: every order is accepted",
               .secrecy = Secrecy::password_in_url},
    SettingRow{
        .name = "receipts", .value = "DIR", .help = "copies of receipts as files; empty: none"},
    SettingRow{.name = "webhook-allow-private",
               .kind = SettingKind::on_off,
               .standard = "false",
               .help = "deliver webhooks to private addresses too"},
    SettingRow{.name = "demo-catalog",
               .kind = SettingKind::on_off,
               .standard = "false",
               .help = "stock for PROD-001 to PROD-100 of tenant default where none was set"},
    SettingRow{.name = "default-rate",
               .kind = SettingKind::rate,
               .standard = "1000",
               .value = "N",
               .help = "orders a second of a tenant without a contract"},
    SettingRow{.name = "default-burst",
               .kind = SettingKind::integer,
               .standard = "2000",
               .value = "N",
               .help = "burst of a tenant without a contract",
               .least = 1,
               .most = limits::kMaxBurst},
    SettingRow{.name = "max-active",
               .kind = SettingKind::integer,
               .standard = "1000000",
               .value = "N",
               .help = "orders that have not ended; beyond it new ones get a 503",
               .least = 1,
               .most = 10'000'000},
    SettingRow{.name = "drain-seconds",
               .kind = SettingKind::integer,
               .standard = "30",
               .value = "N",
               .help = "how long SIGTERM waits for what is in flight",
               .least = 0,
               .most = 3600},
    SettingRow{.name = "shutdown-delay",
               .kind = SettingKind::integer,
               .standard = "0",
               .value = "N",
               .help = "seconds that SIGTERM serves on with /readyz at 503, before it drains: for "
                       "balancers",
               .least = 0,
               .most = 3600},
    SettingRow{.name = "dead-letter-hold",
               .kind = SettingKind::duration,
               .standard = "24h",
               .value = "TIME",
               .help = "how long a dead letter waits for a redrive before it is compensated",
               .most = 365 * kDayUs},
    SettingRow{.name = "retry-base",
               .kind = SettingKind::duration,
               .standard = "1s",
               .value = "TIME",
               .help = "backoff after the first failed attempt, at most",
               .most = kDayUs},
    SettingRow{.name = "retry-cap",
               .kind = SettingKind::duration,
               .standard = "60s",
               .value = "TIME",
               .help = "backoff after any failed attempt, at most",
               .most = kDayUs},
    SettingRow{.name = "accept-clock",
               .kind = SettingKind::on_off,
               .standard = "false",
               .help = "start although the wall clock is far from the last stored time"},
    SettingRow{.name = "http-threads",
               .kind = SettingKind::integer,
               .standard = "1",
               .value = "N",
               .help = "threads that serve HTTP",
               .least = 1,
               .most = 64},
    SettingRow{.name = "read-threads",
               .kind = SettingKind::integer,
               .standard = "3",
               .value = "N",
               .help = "threads that read the store for clients; one caller never has all of them",
               .least = 1,
               .most = 64},
    SettingRow{.name = "max-connections",
               .kind = SettingKind::integer,
               .standard = "10000",
               .value = "N",
               .help = "open client connections; for a further one the longest idle one is closed",
               .least = 1,
               .most = 100'000},
    SettingRow{.name = "max-connections-per-address",
               .kind = SettingKind::integer,
               .standard = "0",
               .value = "N",
               .help = "of these, for one client address; 0: nine tenths",
               .least = 0,
               .most = 100'000},
    SettingRow{.name = "idle-timeout",
               .kind = SettingKind::duration,
               .standard = "75s",
               .value = "TIME",
               .help = "how long a client connection stays open without a request",
               .least = Duration::seconds(1).us,
               .most = Duration::hours(1).us},
    SettingRow{.name = "history-months",
               .kind = SettingKind::integer,
               .standard = "0",
               .value = "N",
               .help = "months of ended orders that are kept before the present one; 0: all",
               .least = 0,
               .most = 1'200},
    SettingRow{.name = "memory-budget",
               .kind = SettingKind::integer,
               .standard = "320",
               .value = "MIB",
               .help = "memory tables and block cache of the store, in MiB",
               .least = 16,
               .most = 65'536},
    SettingRow{.name = "log-level",
               .kind = SettingKind::choice,
               .standard = "info",
               .value = "LEVEL",
               .help = "debug, info, warning or error",
               .choices = "debug|info|warning|error"},
};

bool is_control(char letter) {
  auto const code = static_cast<unsigned char>(letter);
  return code < 0x20 || code == 0x7F;
}

bool is_key_letter(char letter) {
  return letter > ' ' && letter < '\x7F';
}

std::optional<std::string> why_no_key(std::string_view value) {
  if (!std::ranges::all_of(value, is_key_letter)) {
    return "needs printable ASCII without spaces, tabs or line ends";
  }
  if (value.size() < kLeastKeyBytes || value.size() > kMostKeyBytes) {
    return fmt::format("needs {} to {} characters and has {}", kLeastKeyBytes, kMostKeyBytes,
                       value.size());
  }
  return std::nullopt;
}

std::optional<std::string> why_no_text(const SettingRow& row, std::string_view value) {
  if (value.empty()) {
    if (row.standard.empty()) return std::nullopt;
    return "needs a value";
  }
  if (row.secrecy != Secrecy::shown && net::is_masked(value)) {
    return "is what --print-config shows in place of the value; give the value itself";
  }
  if (row.secrecy == Secrecy::secret) return why_no_key(value);
  if (std::ranges::any_of(value, is_control)) {
    return "needs text without line ends, tabs or other control characters";
  }
  return std::nullopt;
}

bool is_choice(std::string_view choices, std::string_view value) {
  while (!choices.empty()) {
    std::size_t const end = choices.find('|');
    if (choices.substr(0, end) == value) return true;
    choices.remove_prefix(end == std::string_view::npos ? choices.size() : end + 1);
  }
  return false;
}

std::optional<std::int64_t> parse_integer(std::string_view text) {
  std::int64_t number = 0;
  auto const [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return number;
}

std::optional<std::string> why_no_integer(const SettingRow& row, std::string_view value) {
  auto const number = parse_integer(value);
  if (number && *number >= row.least && *number <= row.most) return std::nullopt;
  return fmt::format("needs an integer from {} to {}", row.least, row.most);
}

std::optional<std::string> why_no_duration(const SettingRow& row, std::string_view value) {
  auto const duration = parse_duration(value);
  if (!duration) return "needs a time such as 500ms, 30s, 15m, 24h or 7d";
  if (duration->us >= row.least && duration->us <= row.most) return std::nullopt;
  return fmt::format("needs a time from {} to {} seconds", static_cast<double>(row.least) / 1e6,
                     row.most / 1'000'000);
}

}  // namespace

std::span<const SettingRow> setting_table() {
  return kTable;
}

const SettingRow* find_setting(std::string_view name) {
  auto const* const row = std::ranges::find(kTable, name, &SettingRow::name);
  return row == kTable.end() ? nullptr : row;
}

std::string environment_name(const SettingRow& row) {
  std::string name = "PENSTOCK_";
  for (char const letter : row.name) {
    name += letter == '-' ? '_' : static_cast<char>(std::toupper(letter));
  }
  return name;
}

std::optional<std::string> why_invalid(const SettingRow& row, std::string_view value) {
  switch (row.kind) {
    case SettingKind::text:
      return why_no_text(row, value);
    case SettingKind::on_off:
      if (value == "true" || value == "false") return std::nullopt;
      return "needs true or false";
    case SettingKind::integer:
      return why_no_integer(row, value);
    case SettingKind::duration:
      return why_no_duration(row, value);
    case SettingKind::rate:
      if (domain::parse_rate_per_second(value)) return std::nullopt;
      return fmt::format("needs a rate above 0 and at most {} a second", limits::kMaxRatePerSecond);
    case SettingKind::choice:
      if (is_choice(row.choices, value)) return std::nullopt;
      return fmt::format("needs one of {}", row.choices);
  }
  return std::nullopt;
}

std::string shown_url(std::string_view text) {
  bool const is_plain = text == "sandbox" || text == "memory:" || text.starts_with("rocksdb:");
  bool const is_url = text.find("://") != std::string_view::npos;
  return is_plain && !is_url ? std::string(text) : net::redacted(text);
}

std::optional<domain::Duration> parse_duration(std::string_view text) {
  constexpr std::array<std::pair<std::string_view, std::int64_t>, 7> kUnits{{{"", 1'000'000},
                                                                             {"us", 1},
                                                                             {"ms", 1'000},
                                                                             {"s", 1'000'000},
                                                                             {"m", 60'000'000},
                                                                             {"h", 3'600'000'000},
                                                                             {"d", kDayUs}}};
  constexpr std::int64_t kLongestUs = 36'525 * kDayUs;
  std::size_t const digits = std::min(text.find_first_not_of("0123456789"), text.size());
  auto const number = parse_integer(text.substr(0, digits));
  if (!number) return std::nullopt;
  for (auto const& [unit, us] : kUnits) {
    if (unit != text.substr(digits)) continue;
    if (*number > kLongestUs / us) return std::nullopt;
    return Duration{*number * us};
  }
  return std::nullopt;
}

}  // namespace penstock::main

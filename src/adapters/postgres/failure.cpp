#include "adapters/postgres/failure.h"

#include <algorithm>
#include <array>

#include <libpq-fe.h>

namespace penstock::postgres_store {
namespace {

using ports::StoreError;

constexpr std::size_t kStateLength = 5;

template <std::size_t Count>
bool is_one_of(std::string_view value, const std::array<std::string_view, Count>& values) {
  return std::ranges::find(values, value) != values.end();
}

StoreError error_of(std::string_view sql_state) {
  // XX001 and XX002: a page or an index entry does not match its checksum or form. Everything else
  // is the server's or its operator's trouble, and leaves what is stored as it was.
  return sql_state == "XX001" || sql_state == "XX002" ? StoreError::corrupt
                                                      : StoreError::unavailable;
}

bool is_sql_state(std::string_view text) {
  return text.size() == kStateLength && std::ranges::all_of(text, [](char each) {
           return (each >= '0' && each <= '9') || (each >= 'A' && each <= 'Z');
         });
}

/// The SQLSTATE of "FATAL:  28P01: ...", and where its text begins.
std::string_view state_in(std::string_view message, std::size_t& text_at) {
  for (const std::string_view severity : {"FATAL:  ", "ERROR:  ", "PANIC:  "}) {
    const std::size_t at = message.find(severity);
    if (at == std::string_view::npos) continue;
    const std::string_view state = message.substr(at + severity.size()).substr(0, kStateLength);
    const std::size_t behind = at + severity.size() + kStateLength;
    if (!is_sql_state(state) || message.substr(behind, 2) != ": ") continue;
    text_at = behind + 2;
    return state;
  }
  return {};
}

/// One line, without the server's source location.
std::string one_line(std::string_view message) {
  std::string out;
  while (!message.empty()) {
    const std::size_t end = std::min(message.find('\n'), message.size());
    std::string_view line = message.substr(0, end);
    message.remove_prefix(std::min(end + 1, message.size()));
    while (!line.empty() && (line.front() == '\t' || line.front() == ' ')) line.remove_prefix(1);
    if (line.empty() || line.starts_with("LOCATION:")) continue;
    if (!out.empty()) out += "; ";
    out += line;
  }
  return out;
}

}  // namespace

bool Failure::is_refusal() const {
  // Cardinality, data, integrity, external routines, access or names, views with a check, limits
  // of the server, RAISE of a function.
  constexpr std::array<std::string_view, 9> kClasses{"21", "22", "23", "38", "39",
                                                     "42", "44", "54", "P0"};
  return is_one_of(std::string_view(sql_state).substr(0, 2), kClasses);
}

bool Failure::is_server_out_of_service() const {
  constexpr std::array<std::string_view, 6> kClasses{"08", "25", "28", "53", "57", "58"};
  return sql_state != "57014" && is_one_of(std::string_view(sql_state).substr(0, 2), kClasses);
}

Failure failure_of_result(const pg_result& result) {
  const auto field = [&](int code) -> std::string_view {
    const char* text = PQresultErrorField(&result, code);
    return text == nullptr ? std::string_view{} : std::string_view(text);
  };
  const std::string_view state = field(PG_DIAG_SQLSTATE);
  std::string detail(field(PG_DIAG_MESSAGE_PRIMARY));
  if (const std::string_view context = field(PG_DIAG_CONTEXT); !context.empty()) {
    detail += " (" + std::string(context) + ")";
  }
  return {.error = error_of(state), .sql_state = std::string(state), .detail = std::move(detail)};
}

Failure failure_to_connect(std::string_view message) {
  std::size_t text_at = 0;
  const std::string_view state = state_in(message, text_at);
  std::string detail = one_line(message);
  if (!state.empty()) {
    // The state is told beside the text, which keeps libpq's words about the host.
    const std::string told = std::string(state) + ": ";
    if (const std::size_t at = detail.find(told); at != std::string::npos) {
      detail.erase(at, told.size());
    }
  }
  // libpq's own word where target_session_attrs is not met.
  const bool is_read_only = state.empty() && detail.find("session is read-only") != detail.npos;
  return {.error = error_of(state),
          .sql_state = is_read_only ? "25006" : std::string(state),
          .detail = std::move(detail),
          .is_connecting = true};
}

Failure failure_to_read_url(std::string_view message) {
  std::string detail = one_line(message);
  const std::size_t first = detail.find('"');
  const std::size_t last = detail.rfind('"');
  if (first != std::string::npos && last > first) detail.replace(first, last - first + 1, "...");
  // Whatever the form of the message, a secret is no part of its fixed words.
  return {.error = StoreError::unavailable,
          .sql_state = {},
          .detail = "the store's URL cannot be read: " + detail,
          .is_connecting = true};
}

}  // namespace penstock::postgres_store

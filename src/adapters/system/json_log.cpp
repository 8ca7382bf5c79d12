#include "adapters/system/json_log.h"

#include <array>
#include <utility>

#include <fmt/format.h>

#include "adapters/system/log_writer.h"

namespace penstock::system {
namespace {

constexpr std::array<std::string_view, 4> kLevels{"debug", "info", "warning", "error"};
constexpr std::string_view kReplacement = "\\ufffd";

/// The length of the well-formed UTF-8 sequence at the start of `text` (Unicode 15, table 3-7); 0
/// if there is none.
std::size_t sequence_length(std::string_view text) {
  auto const byte = [&](std::size_t index) { return static_cast<unsigned char>(text[index]); };
  unsigned char const first = byte(0);
  std::size_t length = 0;
  unsigned char low = 0x80;
  unsigned char high = 0xBF;
  if (first >= 0xC2 && first <= 0xDF) length = 2;
  if (first >= 0xE0 && first <= 0xEF) length = 3;
  if (first >= 0xF0 && first <= 0xF4) length = 4;
  if (length == 0 || text.size() < length) return 0;
  if (first == 0xE0) low = 0xA0;
  if (first == 0xED) high = 0x9F;
  if (first == 0xF0) low = 0x90;
  if (first == 0xF4) high = 0x8F;
  if (byte(1) < low || byte(1) > high) return 0;
  for (std::size_t index = 2; index < length; ++index) {
    if ((byte(index) & 0xC0) != 0x80) return 0;
  }
  return length;
}

void append_quoted(std::string_view text, std::string& out) {
  out += '"';
  while (!text.empty()) {
    auto const first = static_cast<unsigned char>(text.front());
    std::size_t used = 1;
    if (first == '"' || first == '\\') {
      out += '\\';
      out += text.front();
    } else if (first == '\n') {
      out += "\\n";
    } else if (first < 0x20 || first == 0x7F) {
      fmt::format_to(std::back_inserter(out), "\\u{:04x}", first);
    } else if (first < 0x80) {
      out += text.front();
    } else if (std::size_t const length = sequence_length(text); length > 0) {
      used = length;
      out.append(text.substr(0, length));
    } else {
      out += kReplacement;
    }
    text.remove_prefix(used);
  }
  out += '"';
}

void append_member(std::string_view name, const ports::LogValue& value, std::string& out) {
  out += ',';
  append_quoted(name, out);
  out += ':';
  if (value.is_number()) {
    value.append_to(out);
  } else {
    append_quoted(value.text(), out);
  }
}

void begin_line(ports::Clock& clock, ports::LogLevel level, std::string_view message,
                std::string& out) {
  out += R"({"time":")";
  domain::append_rfc3339(clock.now().wall, out);
  out += '"';
  append_member("level", to_string(level), out);
  append_member("message", message, out);
}

}  // namespace

std::string_view to_string(ports::LogLevel level) {
  return kLevels.at(static_cast<std::size_t>(level));
}

std::optional<ports::LogLevel> parse_log_level(std::string_view text) {
  for (std::size_t index = 0; index < kLevels.size(); ++index) {
    if (kLevels.at(index) == text) return static_cast<ports::LogLevel>(index);
  }
  return std::nullopt;
}

JsonLog::JsonLog(ports::Clock& clock, ports::LogLevel level, int descriptor)
    : clock_(clock), level_(level) {
  auto tell_lost = [&clock](std::uint64_t lines) {
    std::string line;
    begin_line(clock, ports::LogLevel::warning,
               fmt::format("{} log lines were dropped: the log was not read, or could not be "
                           "written",
                           lines),
               line);
    append_member("dropped", lines, line);
    return line += "}\n";
  };
  writer_ = std::make_shared<LogWriter>(descriptor, kMaxLogBacklogBytes, std::move(tell_lost));
  writer_->start();
}

JsonLog::~JsonLog() {
  writer_->stop(kLastLogLines);
}

void JsonLog::write(ports::LogLevel level, std::string_view message,
                    std::initializer_list<ports::LogField> fields) {
  if (!enabled(level)) return;
  static thread_local std::string line;
  line.clear();
  begin_line(clock_, level, message, line);
  for (const ports::LogField& field : fields) {
    if (field.value.is_number() || !field.value.text().empty()) {
      append_member(field.name, field.value, line);
    }
  }
  line += "}\n";
  writer_->add(line,
               level >= ports::LogLevel::warning ? LogWriter::Hurry::yes : LogWriter::Hurry::no);
}

std::uint64_t JsonLog::dropped() const {
  return writer_->lost();
}

bool JsonLog::flush(std::chrono::milliseconds longest) {
  return writer_->flush(longest);
}

}  // namespace penstock::system

#include "adapters/system/json_log.h"

#include <array>
#include <cerrno>
#include <chrono>

#include <fmt/format.h>
#include <unistd.h>

namespace penstock::system {
namespace {

constexpr std::array<std::string_view, 4> kLevels{"debug", "info", "warning", "error"};
constexpr std::chrono::milliseconds kGathering{20};
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

void append_member(std::string_view name, std::string_view value, std::string& out) {
  out += ',';
  append_quoted(name, out);
  out += ':';
  append_quoted(value, out);
}

void write_all(int descriptor, std::string_view bytes) {
  while (!bytes.empty()) {
    ssize_t const written = ::write(descriptor, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return;  // nowhere left to complain to
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
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
    : clock_(clock), level_(level), descriptor_(descriptor), writer_([this] { run(); }) {}

JsonLog::~JsonLog() {
  {
    std::lock_guard const lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_one();
  writer_.join();
  flush();
}

void JsonLog::write(ports::LogLevel level, std::string_view message,
                    std::initializer_list<ports::LogField> fields) {
  if (!enabled(level)) return;
  static thread_local std::string line;
  line.clear();
  line += R"({"time":")";
  domain::append_rfc3339(clock_.now().wall, line);
  line += '"';
  append_member("level", to_string(level), line);
  append_member("message", message, line);
  for (const ports::LogField& field : fields) {
    if (!field.value.empty()) append_member(field.name, field.value, line);
  }
  line += "}\n";
  bool wake = false;
  {
    std::lock_guard const lock(mutex_);
    if (waiting_.size() + line.size() > kMaxLogBacklogBytes) {
      ++dropped_;
      return;
    }
    // Behind a line that waits the writer is awake, or whoever left it there flushes.
    wake = waiting_.empty();
    append_dropped_line();
    waiting_ += line;
  }
  if (level >= ports::LogLevel::warning) {
    flush();
  } else if (wake) {
    changed_.notify_one();
  }
}

void JsonLog::append_dropped_line() {
  if (dropped_ == 0) return;
  waiting_ += R"({"time":")";
  domain::append_rfc3339(clock_.now().wall, waiting_);
  fmt::format_to(std::back_inserter(waiting_),
                 R"(","level":"warning","message":"{} log lines were dropped"}})"
                 "\n",
                 dropped_);
  dropped_ = 0;
}

void JsonLog::flush() {
  std::lock_guard const writing(writing_);
  std::string lines;
  {
    std::lock_guard const lock(mutex_);
    lines.swap(waiting_);
  }
  write_all(descriptor_, lines);
}

void JsonLog::run() {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    changed_.wait(lock, [this] { return stopping_ || !waiting_.empty(); });
    // Lines that follow soon share the write.
    changed_.wait_for(lock, kGathering, [this] { return stopping_; });
    lock.unlock();
    flush();
    lock.lock();
  }
}

}  // namespace penstock::system

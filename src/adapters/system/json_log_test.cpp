#include "adapters/system/json_log.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include <fcntl.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "adapters/system/system_clock.h"
#include "adapters/system/system_random.h"
#include "net/json.h"

namespace penstock::system {
namespace {

/// A pipe whose reading end is drained to the end by `read_all`.
class Pipe {
 public:
  Pipe() { EXPECT_EQ(::pipe(ends_.data()), 0); }
  ~Pipe() {
    close_writer();
    ::close(ends_[0]);
  }
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;

  int writer() const { return ends_[1]; }
  int reader() const { return ends_[0]; }
  void close_writer() {
    if (ends_[1] >= 0) ::close(ends_[1]);
    ends_[1] = -1;
  }
  std::string read_all() {
    close_writer();
    std::string text;
    std::array<char, 65536> chunk{};
    for (ssize_t got = 0; (got = ::read(ends_[0], chunk.data(), chunk.size())) > 0;) {
      text.append(chunk.data(), static_cast<std::size_t>(got));
    }
    return text;
  }

 private:
  std::array<int, 2> ends_{-1, -1};
};

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::size_t at = 0;
  while (at < text.size()) {
    std::size_t const end = text.find('\n', at);
    EXPECT_NE(end, std::string::npos) << "a line is cut off";
    if (end == std::string::npos) break;
    lines.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  return lines;
}

std::string member(const std::string& line, std::string_view name) {
  auto const document = net::JsonDocument::parse(line);
  EXPECT_TRUE(document.has_value()) << line;
  if (!document) return "";
  auto const value = document->root().find(name);
  return value ? std::string(value->as_string().value_or("")) : "absent";
}

TEST(JsonLog, writes_one_object_a_line_with_time_level_message_and_fields_in_order) {
  Pipe pipe;
  SystemClock clock;
  {
    JsonLog log(clock, ports::LogLevel::info, pipe.writer());
    log.write(ports::LogLevel::info, "ready", {{"order_id", "7"}, {"stage", ""}, {"code", "x"}});
  }
  auto const lines = lines_of(pipe.read_all());
  ASSERT_EQ(lines.size(), 1U);
  EXPECT_TRUE(domain::parse_rfc3339(member(lines[0], "time")));
  EXPECT_TRUE(lines[0].ends_with(R"(,"level":"info","message":"ready","order_id":"7","code":"x"})"))
      << lines[0];
}

TEST(JsonLog, leaves_out_what_is_below_its_level) {
  Pipe pipe;
  SystemClock clock;
  {
    JsonLog log(clock, ports::LogLevel::warning, pipe.writer());
    EXPECT_FALSE(log.enabled(ports::LogLevel::info));
    EXPECT_TRUE(log.enabled(ports::LogLevel::error));
    log.write(ports::LogLevel::info, "quiet", {});
    log.write(ports::LogLevel::error, "loud", {});
  }
  auto const lines = lines_of(pipe.read_all());
  ASSERT_EQ(lines.size(), 1U);
  EXPECT_EQ(member(lines[0], "message"), "loud");
}

/// Reads until `wanted` has come; a reader that waits for ever is stopped by its runner.
std::string read_until(int descriptor, std::string_view wanted) {
  std::string text;
  while (text.find(wanted) == std::string::npos) {
    std::array<char, 4096> chunk{};
    ssize_t const got = ::read(descriptor, chunk.data(), chunk.size());
    EXPECT_GT(got, 0) << text;
    if (got <= 0) break;
    text.append(chunk.data(), static_cast<std::size_t>(got));
  }
  return text;
}

TEST(JsonLog, a_warning_leaves_behind_what_was_logged_before_it) {
  Pipe pipe;
  SystemClock clock;
  JsonLog log(clock, ports::LogLevel::debug, pipe.writer());
  log.write(ports::LogLevel::debug, "before", {});
  log.write(ports::LogLevel::warning, "now", {});
  std::string const text = read_until(pipe.reader(), "now");
  EXPECT_LT(text.find("before"), text.find("now"));
}

TEST(JsonLog, numbers_stay_numbers) {
  Pipe pipe;
  SystemClock clock;
  {
    JsonLog log(clock, ports::LogLevel::info, pipe.writer());
    log.write(ports::LogLevel::info, "n",
              {{"attempt", std::uint32_t{2}},
               {"change", -7},
               {"most", ~std::uint64_t{0}},
               {"none", 0},
               {"text", "2"}});
  }
  EXPECT_NE(pipe.read_all().find(
                R"("attempt":2,"change":-7,"most":18446744073709551615,"none":0,"text":"2"})"),
            std::string::npos);
}

TEST(JsonLog, an_info_line_leaves_without_a_further_call) {
  Pipe pipe;
  SystemClock clock;
  JsonLog log(clock, ports::LogLevel::info, pipe.writer());
  log.write(ports::LogLevel::info, "started", {});
  std::array<char, 4096> chunk{};
  EXPECT_GT(::read(pipe.reader(), chunk.data(), chunk.size()), 0);
}

TEST(JsonLog, an_info_line_leaves_also_where_a_warning_went_while_the_writer_slept) {
  Pipe pipe;
  SystemClock clock;
  JsonLog log(clock, ports::LogLevel::info, pipe.writer());
  for (int round = 0; round < 20; ++round) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
    log.write(ports::LogLevel::warning, "w", {});
    log.write(ports::LogLevel::info, "i", {});
    // A reader that waits for ever is stopped by its runner.
    std::string text;
    while (text.find("\"i\"") == std::string::npos) {
      char letter = 0;
      ASSERT_EQ(::read(pipe.reader(), &letter, 1), 1);
      text += letter;
    }
  }
}

TEST(JsonLog, escapes_whatever_it_is_given_so_that_a_line_is_always_json) {
  Pipe pipe;
  SystemClock clock;
  std::string const nasty =
      std::string("a\"b\\c\nd\x01\x7f\xff\xc3\xa9\xed\xa0\x80\xf0\x9f\x98\x80") +
      std::string(1, '\0') + "e\xe2\x82";
  {
    JsonLog log(clock, ports::LogLevel::info, pipe.writer());
    log.write(ports::LogLevel::info, nasty, {{"field\n", nasty}});
  }
  auto const lines = lines_of(pipe.read_all());
  ASSERT_EQ(lines.size(), 1U);
  std::string const message = member(lines[0], "message");
  EXPECT_NE(message.find("a\"b\\c\nd"), std::string::npos);
  EXPECT_NE(message.find("\xc3\xa9"), std::string::npos);
  EXPECT_NE(message.find("\xf0\x9f\x98\x80"), std::string::npos);
}

TEST(JsonLog, lines_of_many_threads_stay_whole) {
  constexpr int kThreads = 4;
  constexpr int kLines = 2000;
  Pipe pipe;
  SystemClock clock;
  std::string text;
  std::thread reader([&] {
    std::array<char, 65536> chunk{};
    for (ssize_t got = 0; (got = ::read(pipe.reader(), chunk.data(), chunk.size())) > 0;) {
      text.append(chunk.data(), static_cast<std::size_t>(got));
    }
  });
  {
    JsonLog log(clock, ports::LogLevel::debug, pipe.writer());
    std::vector<std::thread> writers;
    for (int thread = 0; thread < kThreads; ++thread) {
      writers.emplace_back([&log] {
        for (int line = 0; line < kLines; ++line) {
          log.write(ports::LogLevel::debug, "step", {{"attempt", std::to_string(line)}});
        }
      });
    }
    for (std::thread& writer : writers) writer.join();
  }
  pipe.close_writer();
  reader.join();
  auto const lines = lines_of(text);
  EXPECT_EQ(lines.size(), std::size_t{kThreads} * kLines);
  for (const std::string& line : lines) ASSERT_EQ(member(line, "message"), "step");
}

TEST(JsonLog, a_reader_that_stops_reading_drops_lines_and_is_told_how_many) {
  Pipe pipe;
  SystemClock clock;
  std::string text;
  std::atomic<bool> read_on{false};
  std::thread reader([&] {
    read_on.wait(false);
    std::array<char, 65536> chunk{};
    for (ssize_t got = 0; (got = ::read(pipe.reader(), chunk.data(), chunk.size())) > 0;) {
      text.append(chunk.data(), static_cast<std::size_t>(got));
    }
  });
  constexpr int kLines = 10'000;
  std::string const kilobyte(1024, 'x');
  std::uint64_t dropped = 0;
  {
    JsonLog log(clock, ports::LogLevel::debug, pipe.writer());
    for (int line = 0; line < kLines; ++line) log.write(ports::LogLevel::debug, kilobyte, {});
    dropped = log.dropped();
    read_on = true;
    read_on.notify_one();
    EXPECT_TRUE(log.flush(std::chrono::minutes(2)));
    log.write(ports::LogLevel::info, "after", {});
    EXPECT_TRUE(log.flush(std::chrono::minutes(2)));
  }
  pipe.close_writer();
  reader.join();
  auto const lines = lines_of(text);
  EXPECT_GT(dropped, 0U);
  std::uint64_t told = 0;
  for (const std::string& line : lines) {
    auto const document = net::JsonDocument::parse(line);
    ASSERT_TRUE(document) << line;
    if (auto const count = document->root().find("dropped")) told += *count->as_int64();
  }
  EXPECT_EQ(told, dropped);
  auto const kept = std::ranges::count_if(
      lines, [&](const std::string& line) { return member(line, "message") == kilobyte; });
  EXPECT_EQ(static_cast<std::uint64_t>(kept) + dropped, std::uint64_t{kLines});
  EXPECT_EQ(member(lines.back(), "message"), "after");
}

TEST(JsonLog, nobody_waits_for_a_pipe_that_is_never_read_and_neither_does_the_end) {
  Pipe pipe;
  SystemClock clock;
  std::string const kilobyte(1024, 'x');
  JsonLog log(clock, ports::LogLevel::info, pipe.writer());
  for (int line = 0; line < 10'000; ++line) log.write(ports::LogLevel::error, kilobyte, {});
  EXPECT_GT(log.dropped(), 0U);
  EXPECT_FALSE(log.flush(std::chrono::milliseconds(1)));
}

TEST(JsonLog, what_a_full_disk_refuses_is_counted) {
  int const full = ::open("/dev/full", O_WRONLY | O_CLOEXEC);
  ASSERT_GE(full, 0);
  SystemClock clock;
  {
    JsonLog log(clock, ports::LogLevel::info, full);
    for (int line = 0; line < 5; ++line) log.write(ports::LogLevel::warning, "w", {});
    EXPECT_TRUE(log.flush(std::chrono::minutes(2)));
    EXPECT_EQ(log.dropped(), 5U);
  }
  ::close(full);
}

TEST(JsonLog, a_reader_that_comes_back_is_told_what_it_missed) {
  system::SystemRandom random;
  std::string const path =
      (std::filesystem::temp_directory_path() / fmt::format("log-fifo-{}", random.next())).string();
  ASSERT_EQ(::mkfifo(path.c_str(), 0600), 0);
  int const first = ::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  int const writer = ::open(path.c_str(), O_WRONLY | O_CLOEXEC);
  SystemClock clock;
  {
    JsonLog log(clock, ports::LogLevel::info, writer);
    ::close(first);
    log.write(ports::LogLevel::warning, "unseen", {});
    log.write(ports::LogLevel::warning, "unseen", {});
    EXPECT_TRUE(log.flush(std::chrono::minutes(2)));
    EXPECT_EQ(log.dropped(), 2U);
    int const second = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    log.write(ports::LogLevel::warning, "seen", {});
    std::string const text = read_until(second, "\"dropped\":2");
    EXPECT_NE(text.find("\"seen\""), std::string::npos);
    EXPECT_EQ(text.find("unseen"), std::string::npos);
    ::close(second);
  }
  ::close(writer);
  std::filesystem::remove(path);
}

TEST(JsonLog, levels_are_read_back_as_they_are_written) {
  for (auto const level : {ports::LogLevel::debug, ports::LogLevel::info, ports::LogLevel::warning,
                           ports::LogLevel::error}) {
    EXPECT_EQ(parse_log_level(to_string(level)), level);
  }
  EXPECT_FALSE(parse_log_level("INFO"));
}

}  // namespace
}  // namespace penstock::system

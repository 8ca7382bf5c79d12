#include "net/json_writer.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstddef>
#include <cstring>

namespace penstock::net {
namespace {

constexpr std::size_t kInt64Text = 20;

constexpr std::array<bool, 256> kNeedsEscape = [] {
  std::array<bool, 256> table{};
  for (std::size_t c = 0; c < 0x20; ++c) table[c] = true;
  table['"'] = true;
  table['\\'] = true;
  return table;
}();

void append_escape(char c, std::string& out) {
  constexpr std::string_view kHex = "0123456789abcdef";
  switch (c) {
    case '"':
      out += "\\\"";
      return;
    case '\\':
      out += "\\\\";
      return;
    case '\b':
      out += "\\b";
      return;
    case '\t':
      out += "\\t";
      return;
    case '\n':
      out += "\\n";
      return;
    case '\f':
      out += "\\f";
      return;
    case '\r':
      out += "\\r";
      return;
    default:
      out += "\\u00";
      out += kHex[static_cast<unsigned char>(c) >> 4U];
      out += kHex[static_cast<unsigned char>(c) & 0x0FU];
  }
}

bool needs_escape(std::string_view text) {
  constexpr std::uint64_t kOnes = 0x0101010101010101ULL;
  constexpr std::uint64_t kHighs = 0x8080808080808080ULL;
  while (text.size() >= sizeof(std::uint64_t)) {
    std::uint64_t block = 0;
    std::memcpy(&block, text.data(), sizeof(block));
    // A byte's high bit is set where it is below 0x20, a quote or a backslash ("has zero byte").
    const std::uint64_t quote = block ^ (kOnes * '"');
    const std::uint64_t backslash = block ^ (kOnes * '\\');
    const std::uint64_t found = ((block - kOnes * 0x20) & ~block) | ((quote - kOnes) & ~quote) |
                                ((backslash - kOnes) & ~backslash);
    if ((found & kHighs) != 0) return true;
    text.remove_prefix(sizeof(block));
  }
  return std::any_of(text.begin(), text.end(),
                     [](char c) { return kNeedsEscape[static_cast<unsigned char>(c)]; });
}

void append_escaped(std::string_view text, std::string& out) {
  std::size_t copied = 0;
  for (std::size_t at = 0; at < text.size(); ++at) {
    if (!kNeedsEscape[static_cast<unsigned char>(text[at])]) continue;
    out.append(text, copied, at - copied);
    append_escape(text[at], out);
    copied = at + 1;
  }
  out.append(text, copied);
}

/// The text in quotes, and `after` behind them. Nearly all texts need no escape: they are written
/// in one step.
void append_quoted(std::string_view text, std::string_view after, std::string& out) {
  if (needs_escape(text)) {
    out += '"';
    append_escaped(text, out);
    out += '"';
    out += after;
    return;
  }
  const std::size_t before = out.size();
  const std::size_t size = before + text.size() + 2 + after.size();
  if (size > out.capacity()) out.reserve(std::max(size, 2 * out.capacity()));
  out.resize_and_overwrite(size, [&](char* bytes, std::size_t) {
    char* at = bytes + before;
    *at++ = '"';
    at = std::copy(text.begin(), text.end(), at);
    *at++ = '"';
    std::copy(after.begin(), after.end(), at);
    return size;
  });
}

template <typename Integer>
void append_integer(Integer value, std::string& out) {
  std::array<char, kInt64Text> text{};
  const auto result = std::to_chars(text.data(), text.data() + text.size(), value);
  out.append(text.data(), static_cast<std::size_t>(result.ptr - text.data()));
}

}  // namespace

void append_json_string(std::string_view text, std::string& out) {
  append_quoted(text, "", out);
}

JsonWriter& JsonWriter::key(std::string_view name) {
  separate();
  append_quoted(name, ":", out_);
  comma_ = false;
  return *this;
}

JsonWriter& JsonWriter::string(std::string_view text) {
  separate();
  append_json_string(text, out_);
  return *this;
}

JsonWriter& JsonWriter::boolean(bool value) {
  return raw(value ? "true" : "false");
}

JsonWriter& JsonWriter::null() {
  return raw("null");
}

JsonWriter& JsonWriter::raw(std::string_view json) {
  separate();
  out_ += json;
  return *this;
}

JsonWriter& JsonWriter::signed_number(std::int64_t value) {
  separate();
  append_integer(value, out_);
  return *this;
}

JsonWriter& JsonWriter::unsigned_number(std::uint64_t value) {
  separate();
  append_integer(value, out_);
  return *this;
}

JsonWriter& JsonWriter::open(char bracket) {
  separate();
  out_ += bracket;
  comma_ = false;
  return *this;
}

JsonWriter& JsonWriter::close(char bracket) {
  out_ += bracket;
  comma_ = true;
  return *this;
}

}  // namespace penstock::net

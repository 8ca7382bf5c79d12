#pragma once

#include <concepts>
#include <cstdint>
#include <string>
#include <string_view>

namespace penstock::net {

/// Appends `text` as a JSON string with its quotes. Escapes what RFC 8785 section 3.2.2.2
/// escapes and nothing else; `text` must be UTF-8, which is not checked here.
void append_json_string(std::string_view text, std::string& out);

/// Writes JSON straight to the end of a string: no document in between, commas are set for the
/// caller. Nesting is the caller's: each begin_ has its end_, members have a key. Borrows `out`,
/// which must outlive the writer. Not thread-safe.
///
///     JsonWriter writer(out);
///     writer.begin_object().member("id", id).member("version", 3).end_object();
class JsonWriter {
 public:
  explicit JsonWriter(std::string& out) : out_(out) {}

  JsonWriter& begin_object() { return open('{'); }
  JsonWriter& end_object() { return close('}'); }
  JsonWriter& begin_array() { return open('['); }
  JsonWriter& end_array() { return close(']'); }

  /// A member's name; its value is the next thing written.
  JsonWriter& key(std::string_view name);

  JsonWriter& string(std::string_view text);
  JsonWriter& boolean(bool value);
  JsonWriter& null();
  /// An integer of any width, in decimal.
  template <std::integral Integer>
    requires(!std::same_as<Integer, bool>)
  JsonWriter& number(Integer value) {
    if constexpr (std::signed_integral<Integer>) return signed_number(value);
    return unsigned_number(value);
  }
  /// Text which already is JSON (a number kept exactly, a stored document); taken as it is.
  JsonWriter& raw(std::string_view json);

  JsonWriter& member(std::string_view name, std::string_view text) {
    return key(name).string(text);
  }
  JsonWriter& member(std::string_view name, const char* text) { return key(name).string(text); }
  JsonWriter& member(std::string_view name, std::same_as<bool> auto value) {
    return key(name).boolean(value);
  }
  template <std::integral Integer>
    requires(!std::same_as<Integer, bool>)
  JsonWriter& member(std::string_view name, Integer value) {
    return key(name).number(value);
  }

 private:
  JsonWriter& open(char bracket);
  JsonWriter& close(char bracket);
  JsonWriter& signed_number(std::int64_t value);
  JsonWriter& unsigned_number(std::uint64_t value);
  void separate() {
    if (comma_) out_ += ',';
    comma_ = true;
  }

  std::string& out_;
  bool comma_ = false;
};

}  // namespace penstock::net

#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace penstock::net {

/// What a JSON text was refused for. Closed: each needs its own answer to a client.
enum class JsonErrorCode : std::uint8_t {
  syntax,               ///< not JSON (RFC 8259), or cut off
  trailing_data,        ///< a second value, or garbage, after the first
  duplicate_member,     ///< an object names a member twice
  too_deep,             ///< nested deeper than JsonLimits::max_depth
  too_large,            ///< longer than JsonLimits::max_bytes
  invalid_utf8,         ///< not well-formed UTF-8
  lone_surrogate,       ///< an escape names half a surrogate pair
  number_out_of_range,  ///< an exponent too large to be read exactly
};

/// The code as it is written in answers and logs, e.g. "duplicate_member".
std::string_view to_string(JsonErrorCode code);

/// Why and where a text was refused.
struct JsonError {
  JsonErrorCode code{};
  /// JSON pointer (RFC 6901) of the value being read; "" is the document itself.
  std::string pointer{};
  /// Bytes from the start of the text.
  std::size_t offset = 0;
};

/// What one parse may cost.
struct JsonLimits {
  std::size_t max_bytes = std::size_t{256} * 1024;
  /// Arrays and objects open at one time; a scalar document has depth 0.
  std::size_t max_depth = 16;
};

enum class JsonKind : std::uint8_t { null, boolean, number, string, array, object };

namespace detail {
/// One value in the document's preorder tape: a container is followed by its children.
struct JsonNode {
  std::string_view name{};
  std::string_view text{};
  std::uint32_t span = 1;
  std::uint32_t count = 0;
  JsonKind kind = JsonKind::null;
};
}  // namespace detail

class JsonChildren;

/// A value inside a JsonDocument: a pointer, cheap to copy, valid as long as the document lives.
/// Reading is safe from any number of threads. An accessor called on another kind of value gives
/// the empty answer of its type (nullopt, "", no children): callers test by the accessor.
class JsonView {
 public:
  JsonKind kind() const { return node_->kind; }
  bool is_object() const { return kind() == JsonKind::object; }
  bool is_array() const { return kind() == JsonKind::array; }
  bool is_string() const { return kind() == JsonKind::string; }
  bool is_number() const { return kind() == JsonKind::number; }
  bool is_null() const { return kind() == JsonKind::null; }

  /// The member's name where this value is an object's member, else "".
  std::string_view name() const { return node_->name; }
  /// The decoded string; nullopt for any other kind.
  std::optional<std::string_view> as_string() const;
  /// true or false; nullopt for any other kind.
  std::optional<bool> as_bool() const;
  /// The number exactly as it was written ("1.50", "-0", "1e3"); "" for any other kind.
  std::string_view number_text() const;
  /// The number as an exact integer; nullopt for another kind, a fraction or an overflow.
  std::optional<std::int64_t> as_int64() const;

  /// How many items or members a container has; 0 for scalars.
  std::size_t size() const { return node_->count; }
  /// The array's items, in order; empty for any other kind.
  JsonChildren items() const;
  /// The object's members in input order (each has name()); empty for any other kind.
  JsonChildren members() const;
  /// The object's member of this name; nullopt where absent or not an object. Linear in size().
  std::optional<JsonView> find(std::string_view name) const;

 private:
  friend class JsonDocument;
  friend class JsonChildren;
  explicit JsonView(const detail::JsonNode* node) : node_(node) {}
  const detail::JsonNode* node_;
};

/// A forward range over the children of one container.
class JsonChildren {
 public:
  class iterator {
   public:
    using value_type = JsonView;
    using difference_type = std::ptrdiff_t;
    using iterator_category = std::forward_iterator_tag;
    using reference = JsonView;
    using pointer = void;

    iterator() = default;
    JsonView operator*() const { return JsonView(node_); }
    iterator& operator++() {
      node_ += node_->span;
      return *this;
    }
    iterator operator++(int) {
      iterator before = *this;
      ++*this;
      return before;
    }
    bool operator==(const iterator&) const = default;

   private:
    friend class JsonChildren;
    explicit iterator(const detail::JsonNode* node) : node_(node) {}
    const detail::JsonNode* node_ = nullptr;
  };

  iterator begin() const { return iterator(first_); }
  iterator end() const { return iterator(last_); }
  bool empty() const { return first_ == last_; }

 private:
  friend class JsonView;
  JsonChildren(const detail::JsonNode* first, const detail::JsonNode* last)
      : first_(first), last_(last) {}
  const detail::JsonNode* first_;
  const detail::JsonNode* last_;
};

/// A parsed, immutable JSON text (RFC 8259, strict: no comments, no trailing commas, no byte
/// order mark, no duplicate members at any depth, well-formed UTF-8, no lone surrogates).
/// Numbers keep their source text and never pass through a double. Owns all that its views show;
/// moving it keeps views valid.
class JsonDocument {
 public:
  /// Parses `text` whole. The text need not outlive the call.
  static std::expected<JsonDocument, JsonError> parse(std::string_view text,
                                                      const JsonLimits& limits = {});

  JsonDocument(JsonDocument&&) noexcept = default;
  JsonDocument& operator=(JsonDocument&&) noexcept = default;
  JsonDocument(const JsonDocument&) = delete;
  JsonDocument& operator=(const JsonDocument&) = delete;
  ~JsonDocument() = default;

  /// The document's one value.
  JsonView root() const { return JsonView(nodes_.data()); }

 private:
  JsonDocument() = default;
  std::vector<char> bytes_;
  std::vector<detail::JsonNode> nodes_;
};

/// A JSON number's text as an exact integer. "2.0", "2e0" and "20e-1" are 2; nullopt for a
/// fraction, an overflow of int64, or text which is not a JSON number.
std::optional<std::int64_t> as_int64(std::string_view number_text);

/// Whether bytes are well-formed UTF-8 (Unicode 15, table 3-7: no surrogates, no overlong forms).
bool is_valid_utf8(std::string_view bytes);

}  // namespace penstock::net

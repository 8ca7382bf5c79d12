#include "net/json.h"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <limits>
#include <memory>
#include <set>
#include <utility>

#include <boost/json/basic_parser_impl.hpp>

#include "net/json_decimal.h"

namespace penstock::net {
namespace {

using boost::json::error;
using boost::json::error_code;
using boost::json::string_view;
using detail::JsonNode;

/// Up to here names are compared one by one; beyond, an ordered set keeps the check from being
/// quadratic (and, unlike a hash table, cannot be attacked by chosen names).
constexpr std::uint32_t kLinearNameSearch = 16;
constexpr std::size_t kBytesPerNodeEstimate = 10;

struct Frame {
  std::uint32_t node = 0;
  std::string_view name{};
  std::unique_ptr<std::set<std::string_view>> names{};
};

std::string_view to_std(string_view text) {
  return {text.data(), text.size()};
}

/// Receives Boost.JSON's events and writes the preorder tape.
class TapeBuilder {
 public:
  static constexpr std::size_t max_object_size = std::numeric_limits<std::uint32_t>::max();
  static constexpr std::size_t max_array_size = std::numeric_limits<std::uint32_t>::max();
  static constexpr std::size_t max_key_size = std::numeric_limits<std::uint32_t>::max();
  static constexpr std::size_t max_string_size = std::numeric_limits<std::uint32_t>::max();

  /// `decoded` has room for every string of the source once unescaped.
  TapeBuilder(std::string_view source, char* decoded, std::vector<JsonNode>& nodes)
      : source_(source), decoded_(decoded), nodes_(nodes) {}

  bool duplicate_found() const { return duplicate_; }

  std::string pointer() const {
    std::string path;
    for (const Frame& frame : frames_) {
      path += '/';
      if (nodes_[frame.node].kind == JsonKind::array) {
        path += std::to_string(nodes_[frame.node].count);
        continue;
      }
      for (const char c : frame.name) {
        if (c == '~') {
          path += "~0";
        } else if (c == '/') {
          path += "~1";
        } else {
          path += c;
        }
      }
    }
    return path;
  }

  bool on_document_begin(error_code&) { return true; }
  bool on_document_end(error_code&) { return true; }
  bool on_object_begin(error_code&) { return open(JsonKind::object); }
  bool on_array_begin(error_code&) { return open(JsonKind::array); }
  bool on_object_end(std::size_t, error_code&) { return close(); }
  bool on_array_end(std::size_t, error_code&) { return close(); }

  bool on_key_part(string_view part, std::size_t, error_code&) { return collect(part); }
  bool on_key(string_view last, std::size_t, error_code& ec) {
    Frame& frame = frames_.back();
    frame.name = finish(last);
    if (is_new_name(frame)) return true;
    duplicate_ = true;
    ec = error::syntax;
    return false;
  }
  bool on_string_part(string_view part, std::size_t, error_code&) { return collect(part); }
  bool on_string(string_view last, std::size_t, error_code&) {
    return scalar(JsonKind::string, finish(last));
  }

  bool on_number_part(string_view part, error_code&) {
    if (number_begin_ == nullptr) number_begin_ = part.data();
    return true;
  }
  bool on_int64(std::int64_t, string_view last, error_code&) { return number(last); }
  bool on_uint64(std::uint64_t, string_view last, error_code&) { return number(last); }
  bool on_double(double, string_view last, error_code&) { return number(last); }
  bool on_bool(bool value, error_code&) {
    return scalar(JsonKind::boolean, value ? std::string_view("true") : std::string_view("false"));
  }
  bool on_null(error_code&) { return scalar(JsonKind::null, "null"); }
  bool on_comment_part(string_view, error_code&) { return false; }
  bool on_comment(string_view, error_code&) { return false; }

 private:
  bool in_source(const char* p) const {
    return p >= source_.data() && p < source_.data() + source_.size();
  }

  bool collect(string_view part) {
    std::memcpy(decoded_ + collected_, part.data(), part.size());
    collected_ += part.size();
    return true;
  }

  std::string_view finish(string_view last) {
    if (collected_ == 0 && !last.empty() && in_source(last.data())) return to_std(last);
    collect(last);
    const std::string_view text(decoded_, collected_);
    decoded_ += collected_;
    collected_ = 0;
    return text;
  }

  /// The source is one buffer, so a number given in parts is still one stretch of it.
  bool number(string_view last) {
    const char* begin = number_begin_ != nullptr ? number_begin_ : last.data();
    const char* end = last.data() + last.size();
    number_begin_ = nullptr;
    return scalar(JsonKind::number, {begin, static_cast<std::size_t>(end - begin)});
  }

  std::string_view next_name() const {
    if (frames_.empty() || nodes_[frames_.back().node].kind != JsonKind::object) return {};
    return frames_.back().name;
  }

  bool scalar(JsonKind kind, std::string_view text) {
    nodes_.push_back({.name = next_name(), .text = text, .kind = kind});
    count_child();
    return true;
  }

  bool open(JsonKind kind) {
    nodes_.push_back({.name = next_name(), .kind = kind});
    frames_.push_back({.node = static_cast<std::uint32_t>(nodes_.size() - 1)});
    return true;
  }

  bool close() {
    JsonNode& node = nodes_[frames_.back().node];
    node.span = static_cast<std::uint32_t>(nodes_.size()) - frames_.back().node;
    frames_.pop_back();
    count_child();
    return true;
  }

  void count_child() {
    if (!frames_.empty()) ++nodes_[frames_.back().node].count;
  }

  bool is_new_name(Frame& frame) {
    const std::uint32_t count = nodes_[frame.node].count;
    if (frame.names) return frame.names->insert(frame.name).second;
    const JsonNode* child = nodes_.data() + frame.node + 1;
    for (std::uint32_t i = 0; i < count; ++i, child += child->span) {
      if (child->name == frame.name) return false;
    }
    if (count < kLinearNameSearch) return true;
    frame.names = std::make_unique<std::set<std::string_view>>();
    child = nodes_.data() + frame.node + 1;
    for (std::uint32_t i = 0; i < count; ++i, child += child->span) {
      frame.names->insert(child->name);
    }
    frame.names->insert(frame.name);
    return true;
  }

  std::string_view source_;
  char* decoded_;
  std::size_t collected_ = 0;
  const char* number_begin_ = nullptr;
  std::vector<JsonNode>& nodes_;
  std::vector<Frame> frames_;
  bool duplicate_ = false;
};

JsonErrorCode to_code(const error_code& ec) {
  if (ec == error::too_deep) return JsonErrorCode::too_deep;
  if (ec == error::extra_data) return JsonErrorCode::trailing_data;
  if (ec == error::exponent_overflow) return JsonErrorCode::number_out_of_range;
  if (ec == error::illegal_leading_surrogate || ec == error::illegal_trailing_surrogate ||
      ec == error::expected_utf16_escape) {
    return JsonErrorCode::lone_surrogate;
  }
  return JsonErrorCode::syntax;
}

/// Whether an escape names half a surrogate pair. Boost.JSON calls some of these mere syntax
/// errors, so the text is looked at again once it has been refused.
bool has_lone_surrogate(std::string_view text) {
  const auto escape_value = [&](std::size_t at) -> unsigned {
    if (at + 6 > text.size() || text[at] != '\\' || text[at + 1] != 'u') return 0;
    unsigned value = 0;
    const char* end = text.data() + at + 6;
    const auto [stop, status] = std::from_chars(text.data() + at + 2, end, value, 16);
    return status == std::errc() && stop == end ? value : 0;
  };
  const auto is_within = [](unsigned value, unsigned low, unsigned high) {
    return value >= low && value <= high;
  };
  for (std::size_t at = text.find('\\'); at < text.size(); at = text.find('\\', at)) {
    const unsigned value = escape_value(at);
    if (is_within(value, 0xDC00, 0xDFFF)) return true;
    const bool leads = is_within(value, 0xD800, 0xDBFF);
    if (leads && !is_within(escape_value(at + 6), 0xDC00, 0xDFFF)) return true;
    at += leads ? 12 : 2;
  }
  return false;
}

/// Bytes of the well-formed sequence at the start of `rest`; 0 where there is none.
std::size_t utf8_sequence(std::string_view rest) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(rest[i]); };
  const auto within = [&](std::size_t i, unsigned low, unsigned high) {
    return i < rest.size() && byte(i) >= low && byte(i) <= high;
  };
  const unsigned lead = byte(0);
  if (lead < 0x80) return 1;
  if (lead >= 0xC2 && lead <= 0xDF) return within(1, 0x80, 0xBF) ? 2 : 0;
  if (lead >= 0xE0 && lead <= 0xEF) {
    const unsigned low = lead == 0xE0 ? 0xA0 : 0x80;
    const unsigned high = lead == 0xED ? 0x9F : 0xBF;
    return within(1, low, high) && within(2, 0x80, 0xBF) ? 3 : 0;
  }
  if (lead >= 0xF0 && lead <= 0xF4) {
    const unsigned low = lead == 0xF0 ? 0x90 : 0x80;
    const unsigned high = lead == 0xF4 ? 0x8F : 0xBF;
    return within(1, low, high) && within(2, 0x80, 0xBF) && within(3, 0x80, 0xBF) ? 4 : 0;
  }
  return 0;
}

std::size_t first_invalid_utf8(std::string_view bytes) {
  std::size_t at = 0;
  while (at < bytes.size()) {
    std::uint64_t block = 0;
    if (at + sizeof(block) <= bytes.size()) {
      std::memcpy(&block, bytes.data() + at, sizeof(block));
      if ((block & 0x8080808080808080ULL) == 0) {
        at += sizeof(block);
        continue;
      }
    }
    const std::size_t length = utf8_sequence(bytes.substr(at));
    if (length == 0) return at;
    at += length;
  }
  return std::string_view::npos;
}

}  // namespace

std::string_view to_string(JsonErrorCode code) {
  switch (code) {
    case JsonErrorCode::syntax:
      return "syntax";
    case JsonErrorCode::trailing_data:
      return "trailing_data";
    case JsonErrorCode::duplicate_member:
      return "duplicate_member";
    case JsonErrorCode::too_deep:
      return "too_deep";
    case JsonErrorCode::too_large:
      return "too_large";
    case JsonErrorCode::invalid_utf8:
      return "invalid_utf8";
    case JsonErrorCode::lone_surrogate:
      return "lone_surrogate";
    case JsonErrorCode::number_out_of_range:
      return "number_out_of_range";
  }
  return "syntax";
}

std::optional<std::string_view> JsonView::as_string() const {
  if (!is_string()) return std::nullopt;
  return node_->text;
}

std::optional<bool> JsonView::as_bool() const {
  if (kind() != JsonKind::boolean) return std::nullopt;
  return node_->text.size() == std::string_view("true").size();
}

std::string_view JsonView::number_text() const {
  return is_number() ? node_->text : std::string_view();
}

std::optional<std::int64_t> JsonView::as_int64() const {
  return net::as_int64(number_text());
}

JsonChildren JsonView::items() const {
  return is_array() ? JsonChildren(node_ + 1, node_ + node_->span) : JsonChildren(node_, node_);
}

JsonChildren JsonView::members() const {
  return is_object() ? JsonChildren(node_ + 1, node_ + node_->span) : JsonChildren(node_, node_);
}

std::optional<JsonView> JsonView::find(std::string_view name) const {
  for (const JsonView member : members()) {
    if (member.name() == name) return member;
  }
  return std::nullopt;
}

std::expected<JsonDocument, JsonError> JsonDocument::parse(std::string_view text,
                                                           const JsonLimits& limits) {
  if (text.size() > limits.max_bytes) {
    return std::unexpected(JsonError{.code = JsonErrorCode::too_large, .offset = limits.max_bytes});
  }
  if (const std::size_t at = first_invalid_utf8(text); at != std::string_view::npos) {
    return std::unexpected(JsonError{.code = JsonErrorCode::invalid_utf8, .offset = at});
  }
  JsonDocument document;
  // First half: the source, which views point into. Second half: strings that had escapes; their
  // decoded form is never longer than the source.
  document.bytes_.resize(text.size() * 2 + 1);
  std::copy(text.begin(), text.end(), document.bytes_.begin());
  document.nodes_.reserve(text.size() / kBytesPerNodeEstimate + 2);

  boost::json::parse_options options;
  options.max_depth = limits.max_depth;
  boost::json::basic_parser<TapeBuilder> parser(
      options, std::string_view(document.bytes_.data(), text.size()),
      document.bytes_.data() + text.size(), document.nodes_);
  error_code ec;
  const std::size_t consumed = parser.write_some(false, document.bytes_.data(), text.size(), ec);
  if (!ec && consumed < text.size()) ec = error::extra_data;
  if (!ec) return document;
  JsonErrorCode code =
      parser.handler().duplicate_found() ? JsonErrorCode::duplicate_member : to_code(ec);
  if (code == JsonErrorCode::syntax && has_lone_surrogate(text)) {
    code = JsonErrorCode::lone_surrogate;
  }
  return std::unexpected(
      JsonError{.code = code, .pointer = parser.handler().pointer(), .offset = consumed});
}

std::optional<std::int64_t> as_int64(std::string_view number_text) {
  std::int64_t value = 0;
  const char* end = number_text.data() + number_text.size();
  if (number_text.find_first_of(".eE") == std::string_view::npos) {
    const std::size_t sign = number_text.starts_with('-') ? 1 : 0;
    if (number_text.size() > sign + 1 && number_text[sign] == '0') return std::nullopt;
    const auto [stop, status] = std::from_chars(number_text.data(), end, value);
    if (status != std::errc() || stop != end || number_text.empty()) return std::nullopt;
    return value;
  }
  const std::optional<JsonDecimal> decimal = parse_decimal(number_text);
  constexpr std::int64_t kMaxDigits = std::numeric_limits<std::int64_t>::digits10 + 1;
  if (!decimal || decimal->exponent < 0 || decimal->exponent > kMaxDigits) return std::nullopt;
  std::string plain = decimal->negative ? "-" : "";
  plain += decimal->digits.empty() ? "0" : decimal->digits;
  plain.append(static_cast<std::size_t>(decimal->exponent), '0');
  const char* plain_end = plain.data() + plain.size();
  const auto [stop, status] = std::from_chars(plain.data(), plain_end, value);
  if (status != std::errc() || stop != plain_end) return std::nullopt;
  return value;
}

bool is_valid_utf8(std::string_view bytes) {
  return first_invalid_utf8(bytes) == std::string_view::npos;
}

}  // namespace penstock::net

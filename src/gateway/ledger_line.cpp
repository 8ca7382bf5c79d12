#include "gateway/ledger_line.h"

#include <array>
#include <charconv>
#include <cstddef>
#include <system_error>

namespace penstock::gateway {
namespace {

constexpr std::string_view kOrderId = R"(","order_id":")";
constexpr std::string_view kKey = R"(","idempotency_key":")";
constexpr std::string_view kMinorUnits = R"(","minor_units":)";
constexpr std::string_view kCurrency = R"(,"currency":")";
constexpr std::string_view kAt = R"(","at":")";
constexpr std::string_view kMethod = R"(","method":")";
constexpr std::string_view kPaymentIntent = R"(","payment_intent":"pi_)";
constexpr std::string_view kCheck = R"(","check":")";
constexpr std::string_view kEnd = R"("})";

struct Opening {
  LineType type;
  std::string_view text;
};
constexpr std::array<Opening, 4> kOpenings = {{
    {LineType::capture, R"({"type":"capture)"},
    {LineType::refund, R"({"type":"refund)"},
    {LineType::closed, R"({"type":"closed)"},
    {LineType::declined, R"({"type":"declined)"},
}};

constexpr std::size_t kOrderIdSize = 36;
constexpr std::size_t kCurrencySize = 3;
constexpr std::size_t kHexSize = 32;

/// Keys are printable ASCII, so only these two need an escape.
void append_escaped(std::string_view key, std::string& out) {
  if (key.find_first_of("\"\\") == std::string_view::npos) {
    out += key;
    return;
  }
  for (const char character : key) {
    if (character == '"' || character == '\\') out += '\\';
    out += character;
  }
}

/// Takes parts off the front of a line; after the first mismatch every further answer is empty.
class Reader {
 public:
  explicit Reader(std::string_view text) : rest_(text) {}

  bool expect(std::string_view part) {
    if (!rest_.starts_with(part)) return fail();
    rest_.remove_prefix(part.size());
    return true;
  }

  std::string_view take(std::size_t size) {
    if (rest_.size() < size) {
      fail();
      return {};
    }
    const std::string_view part = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return part;
  }

  /// Up to the next quote that no backslash escapes.
  std::string_view take_string(std::string& scratch) {
    const std::size_t end = rest_.find_first_of("\"\\");
    if (end == std::string_view::npos) {
      fail();
      return {};
    }
    if (rest_[end] == '"') return take(end);
    scratch.clear();
    while (!rest_.empty() && rest_.front() != '"') {
      if (rest_.front() == '\\') rest_.remove_prefix(1);
      if (rest_.empty()) break;
      scratch += rest_.front();
      rest_.remove_prefix(1);
    }
    return scratch;
  }

  std::int64_t take_number() {
    std::int64_t value = 0;
    const auto [end, error] = std::from_chars(rest_.data(), rest_.data() + rest_.size(), value);
    if (error != std::errc{}) {
      fail();
      return 0;
    }
    rest_.remove_prefix(static_cast<std::size_t>(end - rest_.data()));
    return value;
  }

  bool is_at_end() const { return good_ && rest_.empty(); }

 private:
  bool fail() {
    good_ = false;
    rest_ = {};
    return false;
  }

  std::string_view rest_;
  bool good_ = true;
};

bool has_method(LineType type) {
  return type == LineType::capture || type == LineType::declined;
}

}  // namespace

void append_line(const LedgerLine& line, std::string& out) {
  const std::size_t begin = out.size();
  char number[24];
  const char* number_end = std::to_chars(number, number + sizeof number, line.minor_units).ptr;
  out += kOpenings[static_cast<std::size_t>(line.type)].text;
  out += kOrderId;
  out += line.order_id;
  out += kKey;
  append_escaped(line.key, out);
  out += kMinorUnits;
  out.append(number, static_cast<std::size_t>(number_end - number));
  out += kCurrency;
  out += line.currency;
  out += kAt;
  out += line.at;
  if (has_method(line.type)) {
    out += kMethod;
    out += line.method;
  }
  if (line.payment_intent) {
    out += kPaymentIntent;
    append_hex(*line.payment_intent, out);
  }
  const KeyHash check = hash_key(std::string_view(out).substr(begin));
  out += kCheck;
  append_hex(check, out);
  out += kEnd;
  out += '\n';
}

std::optional<LedgerLine> parse_line(std::string_view text, std::string& scratch) {
  std::string unused;
  for (const Opening& opening : kOpenings) {
    if (!text.starts_with(opening.text)) continue;
    Reader reader(text);
    LedgerLine line{.type = opening.type};
    reader.expect(opening.text);
    reader.expect(kOrderId);
    line.order_id = reader.take(kOrderIdSize);
    reader.expect(kKey);
    line.key = reader.take_string(scratch);
    reader.expect(kMinorUnits);
    line.minor_units = reader.take_number();
    reader.expect(kCurrency);
    line.currency = reader.take(kCurrencySize);
    reader.expect(kAt);
    line.at = reader.take_string(unused);
    if (has_method(line.type)) {
      reader.expect(kMethod);
      line.method = reader.take_string(unused);
    }
    if (line.type == LineType::refund) {
      reader.expect(kPaymentIntent);
      line.payment_intent = parse_hex(reader.take(kHexSize));
    }
    reader.expect(kCheck);
    reader.take(kHexSize);
    reader.expect(kEnd);
    if (!reader.is_at_end() || line.key.empty()) return std::nullopt;
    // Numbers, escapes and the check have one form each: the one that is written.
    std::string written;
    append_line(line, written);
    written.pop_back();
    if (written != text) return std::nullopt;
    return line;
  }
  return std::nullopt;
}

}  // namespace penstock::gateway

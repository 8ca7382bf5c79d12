#include "adapters/rocksdb/byte_codec.h"

#include <algorithm>
#include <array>

namespace penstock::rocksdb_store {
namespace {

constexpr std::uint32_t kPolynomial = 0x82f63b78;  // Castagnoli, reflected

constexpr std::array<std::uint32_t, 256> kCrcTable = [] {
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t byte = 0; byte < table.size(); ++byte) {
    std::uint32_t crc = byte;
    for (int bit = 0; bit < 8; ++bit) crc = (crc & 1) != 0 ? crc >> 1 ^ kPolynomial : crc >> 1;
    table[byte] = crc;
  }
  return table;
}();

std::uint32_t crc32c_by_table(std::uint32_t crc, std::string_view data) {
  for (const char c : data) {
    crc = crc >> 8 ^ kCrcTable[(crc ^ static_cast<std::uint8_t>(c)) & 0xff];
  }
  return crc;
}

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) std::uint32_t crc32c_by_instruction(std::uint32_t crc,
                                                                      std::string_view data) {
  std::uint64_t wide = crc;
  while (data.size() >= 8) {
    std::uint64_t word = 0;
    std::memcpy(&word, data.data(), sizeof word);
    wide = __builtin_ia32_crc32di(wide, word);
    data.remove_prefix(8);
  }
  crc = static_cast<std::uint32_t>(wide);
  for (const char c : data) crc = __builtin_ia32_crc32qi(crc, static_cast<unsigned char>(c));
  return crc;
}

bool has_crc_instruction() {
  static const bool has = __builtin_cpu_supports("sse4.2") != 0;
  return has;
}
#endif

/// How an identifier is stored; the low two bits of its first varint.
enum Form : std::uint8_t { kPlain = 0, kHexadecimal = 1, kUuid = 2, kTraceparent = 3 };

constexpr std::size_t kUuidText = 36;
constexpr std::size_t kUuidBytes = 16;
constexpr std::size_t kTraceparentText = 55;
constexpr std::size_t kTraceparentBytes = 26;
constexpr std::size_t kLeastHexText = 8;

constexpr std::array<std::int8_t, 256> kNibbles = [] {
  std::array<std::int8_t, 256> nibbles{};
  nibbles.fill(-1);
  for (int i = 0; i < 16; ++i) {
    nibbles[static_cast<std::uint8_t>("0123456789abcdef"[i])] = static_cast<std::int8_t>(i);
  }
  return nibbles;
}();

int nibble_of(char c) {
  return kNibbles[static_cast<std::uint8_t>(c)];
}

bool is_hexadecimal(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return nibble_of(c) >= 0; });
}

bool is_uuid_dash(std::size_t at) {
  return at == 8 || at == 13 || at == 18 || at == 23;
}
bool is_trace_dash(std::size_t at) {
  return at == 2 || at == 35 || at == 52;
}

template <typename IsDash>
bool is_dashed(std::string_view text, IsDash is_dash) {
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (is_dash(i) ? text[i] != '-' : nibble_of(text[i]) < 0) return false;
  }
  return true;
}

Form form_of(std::string_view text) {
  if (text.size() == kUuidText && is_dashed(text, is_uuid_dash)) return kUuid;
  if (text.size() == kTraceparentText && is_dashed(text, is_trace_dash)) return kTraceparent;
  if (text.size() >= kLeastHexText && text.size() % 2 == 0 && is_hexadecimal(text)) {
    return kHexadecimal;
  }
  return kPlain;
}

template <typename IsDash>
std::string digits_of(std::string_view bytes, IsDash is_dash) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  text.reserve(bytes.size() * 2 + 4);
  for (const char c : bytes) {
    const auto byte = static_cast<std::uint8_t>(c);
    if (is_dash(text.size())) text += '-';
    text += kDigits[byte >> 4];
    text += kDigits[byte & 0xf];
  }
  return text;
}

}  // namespace

std::uint32_t crc32c(std::uint32_t crc, std::string_view data) {
#if defined(__x86_64__)
  if (has_crc_instruction()) return ~crc32c_by_instruction(~crc, data);
#endif
  return ~crc32c_by_table(~crc, data);
}

void ByteWriter::grow(std::size_t count) {
  bytes_.resize(std::max<std::size_t>({256, bytes_.size() * 2, size_ + count}));
}

void ByteWriter::hexadecimal(std::string_view digits) {
  make_room(digits.size() / 2);
  // Every dash stands between two bytes.
  for (std::size_t i = 0; i + 1 < digits.size();) {
    if (digits[i] == '-') {
      ++i;
      continue;
    }
    bytes_[size_++] = static_cast<char>(nibble_of(digits[i]) << 4 | nibble_of(digits[i + 1]));
    i += 2;
  }
}

void ByteWriter::identifier(std::string_view bytes) {
  const Form form = form_of(bytes);
  const std::size_t count = form == kHexadecimal ? bytes.size() / 2 : bytes.size();
  const bool has_count = form == kPlain || form == kHexadecimal;
  varint((has_count ? count : 0) << 2 | form);
  if (form == kPlain) {
    raw(bytes);
  } else {
    hexadecimal(bytes);
  }
}

std::uint64_t ByteReader::long_varint() {
  std::uint64_t value = 0;
  for (unsigned shift = 0; shift < 64; shift += 7) {
    const std::uint8_t byte = u8();
    if (!ok_) return 0;
    // The tenth byte has room for one bit; a last byte of zero says what a shorter form says too.
    const bool too_large = shift == 63 && byte > 1;
    const bool too_long = shift > 0 && byte == 0;
    if (too_large || too_long) break;
    value |= static_cast<std::uint64_t>(byte & 0x7f) << shift;
    if (byte < 0x80) return value;
  }
  fail();
  return 0;
}

std::int32_t ByteReader::zigzag32() {
  const std::int64_t value = zigzag();
  if (value < INT32_MIN || value > INT32_MAX) fail();
  return ok_ ? static_cast<std::int32_t>(value) : 0;
}

std::uint32_t ByteReader::big32() {
  std::uint32_t value = 0;
  for (const char c : raw(4)) value = value << 8 | static_cast<std::uint8_t>(c);
  return value;
}

std::uint64_t ByteReader::big64() {
  const std::uint64_t high = big32();
  return high << 32 | big32();
}

std::string ByteReader::identifier() {
  const std::uint64_t head = varint();
  const auto form = static_cast<Form>(head & 3);
  const std::uint64_t count = head >> 2;
  switch (form) {
    case kPlain: {
      const std::string_view text = raw(count);
      if (form_of(text) != kPlain) fail();
      return std::string(text);
    }
    case kHexadecimal:
      if (count < kLeastHexText / 2) fail();
      return digits_of(raw(count), [](std::size_t) { return false; });
    case kUuid:
      if (count != 0) fail();
      return digits_of(raw(kUuidBytes), is_uuid_dash);
    case kTraceparent:
      if (count != 0) fail();
      return digits_of(raw(kTraceparentBytes), is_trace_dash);
  }
  return {};
}

std::string_view unsealed(std::string_view key, std::string_view value) {
  if (value.size() < kSealBytes) return {};
  const std::string_view payload = value.substr(0, value.size() - kSealBytes);
  std::uint32_t stored = 0;
  for (std::size_t i = 0; i < kSealBytes; ++i) {
    stored |= static_cast<std::uint32_t>(static_cast<std::uint8_t>(value[payload.size() + i]))
              << (8 * i);
  }
  if (crc32c(crc32c(0, key), payload) != stored) return {};
  return payload;
}

}  // namespace penstock::rocksdb_store

#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

/// The bytes of keys and values. Every stored value is
///
///   payload | CRC-32C over key and payload, 4 bytes little-endian
///
/// so that a flipped byte, or a value that stands under another key, is told from a record.
namespace penstock::rocksdb_store {

/// CRC-32C (Castagnoli, RFC 3720) of `data`, continued from `crc` (0 at the start). Thread-safe.
std::uint32_t crc32c(std::uint32_t crc, std::string_view data);

inline constexpr std::size_t kSealBytes = 4;
inline constexpr std::size_t kMaxVarintBytes = 10;

/// Appends numbers and texts to a buffer that keeps its room when it is cleared. Not thread-safe.
class ByteWriter {
 public:
  void u8(std::uint8_t value) { *room(1) = static_cast<char>(value); }

  /// LEB128: seven bits a byte, low ones first.
  void varint(std::uint64_t value) {
    if (value < 0x80) return u8(static_cast<std::uint8_t>(value));
    make_room(kMaxVarintBytes);
    while (value >= 0x80) {
      bytes_[size_++] = static_cast<char>(value | 0x80);
      value >>= 7;
    }
    bytes_[size_++] = static_cast<char>(value);
  }

  /// A signed number whose small absolute values are short.
  void zigzag(std::int64_t value) {
    varint(static_cast<std::uint64_t>(value) << 1 ^ static_cast<std::uint64_t>(value >> 63));
  }

  void fixed32(std::uint32_t value) {
    char* out = room(4);
    for (int i = 0; i < 4; ++i) out[i] = static_cast<char>(value >> (8 * i));
  }

  /// Big-endian, so that keys sort by number.
  void big32(std::uint32_t value) {
    char* out = room(4);
    for (int i = 0; i < 4; ++i) out[i] = static_cast<char>(value >> (24 - 8 * i));
  }
  void big64(std::uint64_t value) {
    big32(static_cast<std::uint32_t>(value >> 32));
    big32(static_cast<std::uint32_t>(value));
  }

  void raw(std::string_view bytes) {
    if (!bytes.empty()) std::memcpy(room(bytes.size()), bytes.data(), bytes.size());
  }
  /// Length and bytes.
  void text(std::string_view bytes) {
    varint(bytes.size());
    raw(bytes);
  }
  /// As `text`, with the common forms of identifiers (hexadecimal, UUID, traceparent) in half.
  void identifier(std::string_view bytes);

  std::size_t size() const { return size_; }
  /// The bytes from `from` on; valid until the next write.
  std::string_view view(std::size_t from = 0) const { return {bytes_.data() + from, size_ - from}; }
  void clear() { size_ = 0; }

 private:
  void make_room(std::size_t count) {
    if (size_ + count > bytes_.size()) grow(count);
  }
  char* room(std::size_t count) {
    make_room(count);
    char* out = bytes_.data() + size_;
    size_ += count;
    return out;
  }
  void grow(std::size_t count);
  void hexadecimal(std::string_view digits);

  std::string bytes_;
  std::size_t size_ = 0;
};

/// Takes numbers and texts off bytes that may be anything: past the end or on a bad form every
/// further read gives zero or nothing and `ok` is false. A bad form is any but the one that
/// ByteWriter writes, so a value has one stored form. Allocates at most what it was given.
class ByteReader {
 public:
  explicit ByteReader(std::string_view bytes) : rest_(bytes) {}

  bool ok() const { return ok_; }
  /// True if everything was read and nothing failed.
  bool done() const { return ok_ && rest_.empty(); }
  std::size_t remaining() const { return rest_.size(); }
  void fail() {
    ok_ = false;
    rest_ = {};
  }

  std::uint8_t u8() {
    if (rest_.empty()) {
      fail();
      return 0;
    }
    const auto value = static_cast<std::uint8_t>(rest_.front());
    rest_.remove_prefix(1);
    return value;
  }
  std::uint64_t varint() {
    if (!rest_.empty() && static_cast<std::uint8_t>(rest_.front()) < 0x80) return u8();
    return long_varint();
  }
  std::int64_t zigzag() {
    const std::uint64_t value = varint();
    return static_cast<std::int64_t>(value >> 1 ^ (~(value & 1) + 1));
  }
  /// A varint that must be at most `maximum`.
  std::uint64_t bounded(std::uint64_t maximum) {
    const std::uint64_t value = varint();
    if (value > maximum) fail();
    return ok_ ? value : 0;
  }
  /// A zigzag number that must fit 32 bits.
  std::int32_t zigzag32();
  std::uint32_t big32();
  std::uint64_t big64();
  std::string_view raw(std::size_t count) {
    if (count > rest_.size()) {
      fail();
      return {};
    }
    const std::string_view bytes = rest_.substr(0, count);
    rest_.remove_prefix(count);
    return bytes;
  }
  std::string_view text() { return raw(varint()); }
  std::string identifier();

 private:
  std::uint64_t long_varint();

  std::string_view rest_;
  bool ok_ = true;
};

/// The payload of a stored value, if its checksum fits it and `key`; nothing else is trusted.
/// `data() == nullptr` says that it does not.
std::string_view unsealed(std::string_view key, std::string_view value);

}  // namespace penstock::rocksdb_store

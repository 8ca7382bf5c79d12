#include "adapters/rocksdb/log_records.h"

#include <cstring>
#include <utility>

#include "adapters/rocksdb/byte_codec.h"

namespace penstock::rocksdb_store {
namespace {

/// Read at a time; a whole number of blocks.
constexpr std::size_t kLogReadBytes = 32 * kLogBlockBytes;
constexpr std::size_t kTypeAt = 6;

std::uint32_t little_endian(std::string_view bytes) {
  std::uint32_t value = 0;
  for (std::size_t i = bytes.size(); i-- > 0;) {
    value = value << 8 | static_cast<std::uint8_t>(bytes[i]);
  }
  return value;
}

/// RocksDB stores checksums so, since a checksum over bytes that hold checksums is a weak one.
std::uint32_t masked(std::uint32_t crc) {
  return (crc >> 15 | crc << 17) + 0xa282ead8U;
}

}  // namespace

std::expected<LogReader, rocksdb::Status> LogReader::open(rocksdb::Env& env,
                                                          const std::string& path) {
  std::unique_ptr<rocksdb::SequentialFile> file;
  rocksdb::Status status = env.NewSequentialFile(path, &file, rocksdb::EnvOptions());
  if (!status.ok()) return std::unexpected(std::move(status));
  return LogReader(std::move(file));
}

rocksdb::Status LogReader::fill() {
  buffer_.resize(kLogReadBytes);
  buffered_ = 0;
  next_block_ = 0;
  while (buffered_ < kLogReadBytes) {
    rocksdb::Slice read;
    char* const to = buffer_.data() + buffered_;
    const rocksdb::Status status = file_->Read(kLogReadBytes - buffered_, &read, to);
    if (!status.ok()) return status;
    if (read.empty()) break;
    // A file may answer from memory of its own.
    if (read.data() != to) std::memcpy(to, read.data(), read.size());
    buffered_ += read.size();
  }
  return {};
}

std::expected<bool, rocksdb::Status> LogReader::read_block() {
  block_offset_ += block_.size();
  block_ = {};
  at_ = 0;
  if (next_block_ >= buffered_) {
    if (rocksdb::Status status = fill(); !status.ok()) return std::unexpected(std::move(status));
  }
  block_ = std::string_view(buffer_.data(), buffered_).substr(next_block_, kLogBlockBytes);
  next_block_ += block_.size();
  return !block_.empty();
}

std::optional<Fragment> LogReader::intact_at(std::size_t at) const {
  if (block_.size() - at < kFragmentHeaderBytes) return std::nullopt;
  const auto number = static_cast<std::uint8_t>(block_[at + kTypeAt]);
  const auto type = static_cast<FragmentType>(number);
  if (type < FragmentType::full || type > FragmentType::last) return std::nullopt;
  const std::size_t length = little_endian(block_.substr(at + 4, 2));
  const std::size_t end = at + kFragmentHeaderBytes + length;
  const bool begins_block = type == FragmentType::middle || type == FragmentType::last;
  const bool fills_block = type == FragmentType::first || type == FragmentType::middle;
  if (end > block_.size() || (begins_block && at != 0)) return std::nullopt;
  if (fills_block && end != kLogBlockBytes) return std::nullopt;
  const std::string_view covered = block_.substr(at + kTypeAt, 1 + length);
  if (masked(crc32c(0, covered)) != little_endian(block_.substr(at, 4))) return std::nullopt;
  return Fragment{.type = type, .offset = block_offset_ + at, .payload = covered.substr(1)};
}

std::expected<LogPosition, rocksdb::Status> LogReader::next() {
  // What is too short for a header means nothing at the end of a whole block, and is a header that
  // was cut off elsewhere.
  if (at_ + kFragmentHeaderBytes > kLogBlockBytes || at_ == block_.size()) {
    const auto more = read_block();
    if (!more) return std::unexpected(more.error());
    if (!*more) return LogPosition::end;
  }
  const auto found = intact_at(at_);
  if (!found) {
    search_from_ = at_ + 1;
    return LogPosition::damage;
  }
  fragment_ = *found;
  at_ += kFragmentHeaderBytes + fragment_.payload.size();
  search_from_ = at_;
  return LogPosition::fragment;
}

bool LogReader::is_torn() const {
  const std::string_view rest = block_.substr(at_);
  const std::string_view header = rest.substr(0, kFragmentHeaderBytes);
  // Room that was never written, or less than says what was.
  if (header.find_first_not_of('\0') == std::string_view::npos) return true;
  if (header.size() < kFragmentHeaderBytes) return true;
  const std::size_t length = little_endian(header.substr(4, 2));
  // No fragment goes on in the next block.
  if (kFragmentHeaderBytes + length <= rest.size() || block_.size() == kLogBlockBytes) return false;
  // A checksum that holds for some length shows that the one that is stored is wrong.
  const std::uint32_t stored = little_endian(header.substr(0, 4));
  std::uint32_t crc = 0;
  for (std::size_t at = kTypeAt; at < rest.size(); ++at) {
    crc = crc32c(crc, rest.substr(at, 1));
    if (masked(crc) == stored) return false;
  }
  return true;
}

std::expected<bool, rocksdb::Status> LogReader::search() {
  while (true) {
    for (std::size_t at = search_from_; at < block_.size(); ++at) {
      const auto found = intact_at(at);
      if (!found) continue;
      fragment_ = *found;
      search_from_ = at + 1;
      return true;
    }
    const auto more = read_block();
    if (!more) return std::unexpected(more.error());
    if (!*more) return false;
    search_from_ = 0;
  }
}

}  // namespace penstock::rocksdb_store

#pragma once

#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include <rocksdb/env.h>

/// The file format that RocksDB's write-ahead logs and its manifest share (version 7.8, without
/// recycled files and without compression; "Write Ahead Log File Format" in RocksDB's wiki).
///
///   file      blocks of 32 KiB, the last one shorter
///   block     fragments, then fewer than 7 bytes that mean nothing
///   fragment  CRC-32C over type and payload, masked, 4 bytes | length of the payload, 2 bytes
///             | type, 1 byte | payload
///
/// Numbers are little-endian. A record is one `full` fragment, or one `first`, any number of
/// `middle` and one `last`; a `first` and a `middle` reach to the end of their block, a `middle`
/// and a `last` begin one.
namespace penstock::rocksdb_store {

inline constexpr std::size_t kLogBlockBytes = 32U << 10;
inline constexpr std::size_t kFragmentHeaderBytes = 7;

enum class FragmentType : std::uint8_t { full = 1, first = 2, middle = 3, last = 4 };

/// An intact piece of a record.
struct Fragment {
  FragmentType type = FragmentType::full;
  std::uint64_t offset = 0;  ///< of its header in the file
  std::string_view payload;  ///< valid until the reader moves on

  bool begins_record() const { return type == FragmentType::full || type == FragmentType::first; }
};

enum class LogPosition : std::uint8_t { fragment, damage, end };

/// Reads a log from its beginning to its end, once. Holds one buffer of kLogReadBytes. Not
/// thread-safe.
class LogReader {
 public:
  static std::expected<LogReader, rocksdb::Status> open(rocksdb::Env& env, const std::string& path);

  /// Moves on by a fragment and says what is there. Does not pass damage.
  std::expected<LogPosition, rocksdb::Status> next();
  /// What `next` or `search` found last.
  const Fragment& fragment() const { return fragment_; }
  /// After `damage`: where it begins.
  std::uint64_t offset() const { return block_offset_ + at_; }

  /// After `damage`, where nothing intact is behind it: whether it is what a write leaves that did
  /// not reach its end. False where all of a fragment is there and some of it is wrong, be it the
  /// length that says where it ends.
  bool is_torn() const;

  /// Looks at every byte from here on, or from behind what it found last, for the header of an
  /// intact fragment: a damaged length says nothing of where the next one is. False at the end of
  /// the file. The bytes of a record may hold what looks like a fragment. No `next` comes after it.
  std::expected<bool, rocksdb::Status> search();

 private:
  explicit LogReader(std::unique_ptr<rocksdb::SequentialFile> file) : file_(std::move(file)) {}

  /// False where the file has ended.
  std::expected<bool, rocksdb::Status> read_block();
  rocksdb::Status fill();
  /// The fragment whose header is at `at` in the block, if it is intact.
  std::optional<Fragment> intact_at(std::size_t at) const;

  std::unique_ptr<rocksdb::SequentialFile> file_;
  std::string buffer_;
  std::size_t buffered_ = 0;
  std::size_t next_block_ = 0;  ///< in the buffer
  std::string_view block_;
  std::uint64_t block_offset_ = 0;
  std::size_t at_ = 0;           ///< in the block
  std::size_t search_from_ = 0;  ///< in the block
  Fragment fragment_;
};

}  // namespace penstock::rocksdb_store

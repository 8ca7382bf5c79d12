#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include <rocksdb/env.h>
#include <rocksdb/file_system.h>

/// A disk under RocksDB that remembers everything it was asked for, and what a power cut at any of
/// these moments could leave of it.
namespace penstock::torture {

enum class StepKind : std::uint8_t {
  make_file,       ///< `name` is a new, empty file
  append,          ///< `data` at the end of the file
  sync,            ///< everything in the file is durable
  truncate,        ///< the file ends at `size`
  make_directory,  ///< `name`
  rename,          ///< `name` becomes `other`, and what was there goes
  link,            ///< `other` is another name of `name`'s file
  remove,          ///< `name` goes
  sync_directory,  ///< every name directly in `name` is as it is now
};

/// One thing that the disk was asked for and did.
struct DiskStep {
  StepKind kind = StepKind::append;
  std::uint32_t file = 0;  ///< of make_file, append, sync and truncate
  std::string name;
  std::string other;
  std::string data;
  std::uint64_t size = 0;
};

/// What becomes of the bytes that no sync covered.
enum class LostData : std::uint8_t {
  none,       ///< the kernel had written everything
  all,        ///< files end where their last sync found their end
  torn,       ///< files end at any byte behind that
  holes,      ///< files keep their length, some sectors are zero
  scrambled,  ///< files keep their length, some sectors hold other bytes
};

/// What becomes of new names, renames and removals that no sync of their directory covered.
enum class LostNames : std::uint8_t {
  none,
  all,
  from_some_on,  ///< a journal that ends early: the later ones are lost
};

struct CutOptions {
  std::size_t steps = 0;  ///< how many steps the disk lived to see
  LostData data = LostData::all;
  LostNames names = LostNames::all;
  std::uint64_t seed = 1;  ///< of what is random in it
};

/// Files by their path, as they are found when power is back.
using DiskContent = std::map<std::string, std::string>;

/// What a power cut after the first `steps` of `history` leaves. The same options give the same.
/// `before` is what was on the disk, durable, when the history began.
DiskContent cut(const std::vector<DiskStep>& history, const CutOptions& options,
                const DiskContent& before = {});

/// A file system in memory that records. The files of its beginning are durable. Thread-safe.
class RecordedDisk {
 public:
  explicit RecordedDisk(const DiskContent& before = {});
  ~RecordedDisk();
  RecordedDisk(const RecordedDisk&) = delete;
  RecordedDisk& operator=(const RecordedDisk&) = delete;

  /// What RocksDB writes to; lives as long as the disk.
  rocksdb::Env* env() { return env_.get(); }
  /// Steps so far.
  std::size_t steps() const;
  std::vector<DiskStep> history() const;
  /// Every file as it is now, synced or not.
  DiskContent content() const;

 private:
  class Files;

  std::unique_ptr<rocksdb::Env> memory_;
  std::shared_ptr<Files> files_;
  std::unique_ptr<rocksdb::Env> env_;
};

}  // namespace penstock::torture

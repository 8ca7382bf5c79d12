#include "adapters/rocksdb/table_checksum.h"

#include <algorithm>
#include <expected>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <rocksdb/options.h>
#include <rocksdb/sst_file_reader.h>

#include "adapters/rocksdb/byte_codec.h"

namespace penstock::rocksdb_store {
namespace {

/// Stored in the manifest beside each checksum: what it is called never changes its meaning.
constexpr const char* kChecksumName = "penstock.crc32c-of-all-and-end";
constexpr std::size_t kReadBytes = 256U << 10;

/// Takes a table from its beginning to its end.
class Checksums {
 public:
  void take(std::string_view bytes) {
    all_ = crc32c(all_, bytes);
    if (bytes.size() >= kTableEndBytes) end_.clear();
    end_ += bytes.substr(bytes.size() - std::min(bytes.size(), kTableEndBytes));
    if (end_.size() > kTableEndBytes) end_.erase(0, end_.size() - kTableEndBytes);
  }
  std::string all() const { return fmt::format("{:08x}", all_); }
  std::string end() const { return fmt::format("{:08x}", crc32c(0, end_)); }

 private:
  std::uint32_t all_ = 0;
  std::string end_;
};

class TableChecksum final : public rocksdb::FileChecksumGenerator {
 public:
  void Update(const char* data, std::size_t size) override { sums_.take({data, size}); }
  void Finalize() override {}
  std::string GetChecksum() const override { return sums_.all() + sums_.end(); }
  const char* Name() const override { return kChecksumName; }

 private:
  Checksums sums_;
};

class TableChecksums final : public rocksdb::FileChecksumGenFactory {
 public:
  const char* Name() const override { return "penstock.TableChecksums"; }
  std::unique_ptr<rocksdb::FileChecksumGenerator> CreateFileChecksumGenerator(
      const rocksdb::FileChecksumGenContext&) override {
    return std::make_unique<TableChecksum>();
  }
};

rocksdb::Status check_blocks(rocksdb::Env& env, const std::string& path) {
  rocksdb::Options options;
  options.env = &env;
  rocksdb::SstFileReader reader(options);
  const rocksdb::Status opened = reader.Open(path);
  return opened.ok() ? reader.VerifyChecksum() : opened;
}

/// The checksums of a table from `offset` on.
std::expected<Checksums, rocksdb::Status> read_from(rocksdb::Env& env, const std::string& path,
                                                    std::uint64_t offset) {
  std::unique_ptr<rocksdb::SequentialFile> file;
  rocksdb::Status status = env.NewSequentialFile(path, &file, rocksdb::EnvOptions());
  if (status.ok() && offset > 0) status = file->Skip(offset);
  if (!status.ok()) return std::unexpected(std::move(status));
  std::vector<char> room(kReadBytes);
  Checksums sums;
  while (true) {
    rocksdb::Slice read;
    status = file->Read(room.size(), &read, room.data());
    if (!status.ok()) return std::unexpected(std::move(status));
    if (read.empty()) return sums;
    sums.take(read.ToStringView());
  }
}

}  // namespace

std::shared_ptr<rocksdb::FileChecksumGenFactory> table_checksums() {
  return std::make_shared<TableChecksums>();
}

rocksdb::Status check_table(rocksdb::Env& env, const LiveTable& table, TableCheck check) {
  std::uint64_t size = 0;
  const rocksdb::Status found = env.GetFileSize(table.path, &size);
  if (!found.ok()) return found;
  if (size != table.size) {
    return rocksdb::Status::Corruption(
        fmt::format("the table has {} bytes, {} are recorded", size, table.size));
  }
  const bool is_whole = check == TableCheck::whole;
  if (table.checksum_name != kChecksumName) {
    return is_whole ? check_blocks(env, table.path) : rocksdb::Status();
  }
  const std::uint64_t end_at = size - std::min<std::uint64_t>(size, kTableEndBytes);
  const auto sums = read_from(env, table.path, is_whole ? 0 : end_at);
  if (!sums) return sums.error();
  const bool is_sound = is_whole ? sums->all() + sums->end() == table.checksum
                                 : table.checksum.ends_with(sums->end());
  if (is_sound) return {};
  return rocksdb::Status::Corruption("the bytes of the table are not those that were written");
}

}  // namespace penstock::rocksdb_store

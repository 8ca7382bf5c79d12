#include "adapters/rocksdb/table_checksum.h"

#include <cstdint>
#include <string_view>
#include <vector>

#include <fmt/format.h>
#include <rocksdb/options.h>
#include <rocksdb/sst_file_reader.h>

#include "adapters/rocksdb/byte_codec.h"

namespace penstock::rocksdb_store {
namespace {

/// Stored in the manifest beside each checksum: what it is called never changes its meaning.
constexpr const char* kChecksumName = "penstock.crc32c";
constexpr std::size_t kReadBytes = 256U << 10;

std::string stored_form(std::uint32_t crc) {
  return fmt::format("{:08x}", crc);
}

class TableChecksum final : public rocksdb::FileChecksumGenerator {
 public:
  void Update(const char* data, std::size_t size) override { crc_ = crc32c(crc_, {data, size}); }
  void Finalize() override {}
  std::string GetChecksum() const override { return stored_form(crc_); }
  const char* Name() const override { return kChecksumName; }

 private:
  std::uint32_t crc_ = 0;
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

}  // namespace

std::shared_ptr<rocksdb::FileChecksumGenFactory> table_checksums() {
  return std::make_shared<TableChecksums>();
}

rocksdb::Status check_table(rocksdb::Env& env, const rocksdb::LiveFileMetaData& table) {
  const std::string path = table.db_path + table.name;
  if (table.file_checksum_func_name != kChecksumName) return check_blocks(env, path);
  std::unique_ptr<rocksdb::SequentialFile> file;
  rocksdb::Status status = env.NewSequentialFile(path, &file, rocksdb::EnvOptions());
  if (!status.ok()) return status;
  std::vector<char> room(kReadBytes);
  std::uint32_t crc = 0;
  std::uint64_t size = 0;
  while (true) {
    rocksdb::Slice read;
    status = file->Read(room.size(), &read, room.data());
    if (!status.ok()) return status;
    if (read.empty()) break;
    crc = crc32c(crc, {read.data(), read.size()});
    size += read.size();
  }
  if (size != table.size) {
    return rocksdb::Status::Corruption(
        fmt::format("the table has {} bytes, {} are recorded", size, table.size));
  }
  if (stored_form(crc) != table.file_checksum) {
    return rocksdb::Status::Corruption("the bytes of the table are not those that were written");
  }
  return {};
}

}  // namespace penstock::rocksdb_store

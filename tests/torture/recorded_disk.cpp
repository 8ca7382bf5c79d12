#include "tests/torture/recorded_disk.h"

#include <algorithm>
#include <random>
#include <set>
#include <stdexcept>
#include <utility>

namespace penstock::torture {
namespace {

using rocksdb::FSDirectory;
using rocksdb::FSWritableFile;
using rocksdb::IODebugContext;
using rocksdb::IOOptions;
using rocksdb::IOStatus;

constexpr std::size_t kSector = 512;

std::string parent_of(const std::string& path) {
  const std::size_t slash = path.find_last_of('/');
  return slash == 0 || slash == std::string::npos ? "/" : path.substr(0, slash);
}

/// One spelling a path: no doubled slash, none at the end.
std::string plain(const std::string& path) {
  std::string out;
  for (const char c : path) {
    if (c != '/' || out.empty() || out.back() != '/') out += c;
  }
  if (out.size() > 1 && out.back() == '/') out.pop_back();
  return out;
}

}  // namespace

namespace {

/// Plays steps and keeps apart what is so and what is durable.
class Platter {
 public:
  explicit Platter(const DiskContent& before) {
    for (const auto& [path, bytes] : before) {
      files_.push_back({.bytes = bytes, .synced = bytes.size()});
      durable_[path] = files_.size() - 1;
    }
  }

  void play(const DiskStep& step) {
    switch (step.kind) {
      case StepKind::make_file:
        numbers_[step.file] = files_.size();
        files_.emplace_back();
        change(step.name, {.added = step.name, .file = files_.size() - 1});
        return;
      case StepKind::append:
        file(step).bytes += step.data;
        return;
      case StepKind::sync:
        file(step).synced = file(step).bytes.size();
        return;
      case StepKind::truncate:
        file(step).bytes.resize(step.size);
        file(step).synced = std::min<std::size_t>(file(step).synced, step.size);
        return;
      case StepKind::make_directory:
        change(step.name, {.added = step.name, .file = kDirectory});
        return;
      case StepKind::rename:
        change(step.other, {.removed = step.name, .added = step.other, .file = find(step.name)});
        return;
      case StepKind::link:
        change(step.other, {.added = step.other, .file = find(step.name)});
        return;
      case StepKind::remove:
        change(step.name, {.removed = step.name, .file = kNothing});
        return;
      case StepKind::sync_directory:
        for (const Change& one : std::exchange(pending_[step.name], {})) apply(one, durable_);
        return;
    }
  }

  DiskContent after_cut(const CutOptions& options) {
    std::mt19937_64 random(options.seed);
    std::map<std::string, std::size_t> names = durable_;
    for (const auto& [directory, changes] : pending_) {
      std::size_t kept = options.names == LostNames::none ? changes.size() : 0;
      if (options.names == LostNames::from_some_on) kept = random() % (changes.size() + 1);
      for (std::size_t i = 0; i < kept; ++i) apply(changes[i], names);
    }
    DiskContent content;
    for (const auto& [path, number] : names) {
      if (number == kDirectory || !is_reachable(path, names)) continue;
      content[path] = bytes_after(files_[number], options.data, random);
    }
    return content;
  }

 private:
  static constexpr std::size_t kDirectory = static_cast<std::size_t>(-1);
  static constexpr std::size_t kNothing = static_cast<std::size_t>(-2);

  struct File {
    std::string bytes;
    std::size_t synced = 0;
  };
  struct Change {
    std::string removed;
    std::string added;
    std::size_t file = kNothing;
  };

  File& file(const DiskStep& step) { return files_.at(numbers_.at(step.file)); }

  static void apply(const Change& change, std::map<std::string, std::size_t>& names) {
    if (!change.removed.empty()) names.erase(change.removed);
    if (!change.added.empty()) names[change.added] = change.file;
  }

  void change(const std::string& path, Change made) {
    pending_[parent_of(path)].push_back(std::move(made));
  }

  /// What a name means now.
  std::size_t find(const std::string& path) const {
    const auto changes = pending_.find(parent_of(path));
    std::map<std::string, std::size_t> names;
    if (const auto found = durable_.find(path); found != durable_.end()) names.insert(*found);
    if (changes != pending_.end()) {
      for (const Change& one : changes->second) apply(one, names);
    }
    const auto found = names.find(path);
    if (found == names.end()) throw std::logic_error("no such file: " + path);
    return found->second;
  }

  /// Whether every directory above is there; those that the history did not make are.
  bool is_reachable(const std::string& path,
                    const std::map<std::string, std::size_t>& names) const {
    for (std::string above = parent_of(path); above != "/"; above = parent_of(above)) {
      if (was_made(above) && !names.contains(above)) return false;
    }
    return true;
  }

  bool was_made(const std::string& directory) const {
    const auto changes = pending_.find(parent_of(directory));
    if (changes == pending_.end()) return false;
    return std::ranges::any_of(changes->second, [&](const Change& one) {
      return one.added == directory && one.file == kDirectory;
    });
  }

  static std::string bytes_after(const File& file, LostData lost, std::mt19937_64& random) {
    std::string bytes = file.bytes;
    const std::size_t loose = bytes.size() - file.synced;
    if (loose == 0 || lost == LostData::none) return bytes;
    if (lost == LostData::all) return bytes.substr(0, file.synced);
    if (lost == LostData::torn) return bytes.substr(0, file.synced + random() % (loose + 1));
    for (std::size_t at = file.synced; at < bytes.size();) {
      // A sector is written whole or not, but only its bytes behind the last sync are at stake.
      const std::size_t end = std::min(bytes.size(), (at / kSector + 1) * kSector);
      const bool is_lost = random() % 2 == 0;
      for (; at < end; ++at) {
        if (!is_lost) continue;
        bytes[at] = lost == LostData::holes ? '\0' : static_cast<char>(random());
      }
    }
    return bytes;
  }

  std::vector<File> files_;
  std::map<std::uint32_t, std::size_t> numbers_;  ///< of a step's file
  std::map<std::string, std::size_t> durable_;
  std::map<std::string, std::vector<Change>> pending_;  ///< by directory, since its last sync
};

}  // namespace

DiskContent cut(const std::vector<DiskStep>& history, const CutOptions& options,
                const DiskContent& before) {
  Platter platter(before);
  for (std::size_t i = 0; i < options.steps; ++i) platter.play(history.at(i));
  return platter.after_cut(options);
}

class RecordedDisk::Files final : public rocksdb::FileSystemWrapper {
 public:
  explicit Files(const std::shared_ptr<rocksdb::FileSystem>& memory) : FileSystemWrapper(memory) {}

  static const char* kClassName() { return "RecordedDisk"; }
  const char* Name() const override { return kClassName(); }

  std::size_t steps() const {
    const std::lock_guard lock(mutex_);
    return history_.size();
  }
  std::vector<DiskStep> history() const {
    const std::lock_guard lock(mutex_);
    return history_;
  }
  DiskContent content() const {
    const std::lock_guard lock(mutex_);
    DiskContent content;
    for (const std::string& name : names_) {
      const IOStatus status = rocksdb::ReadFileToString(target(), name, &content[name]);
      if (!status.ok()) throw std::runtime_error(status.ToString());
    }
    return content;
  }
  void add_name(const std::string& name) { names_.insert(name); }

  IOStatus NewWritableFile(const std::string& name, const rocksdb::FileOptions& options,
                           std::unique_ptr<FSWritableFile>* file, IODebugContext* debug) override {
    const std::lock_guard lock(mutex_);
    const IOStatus status = target()->NewWritableFile(name, options, file, debug);
    if (!status.ok()) return status;
    names_.insert(plain(name));
    add({.kind = StepKind::make_file, .file = ++last_file_, .name = plain(name)});
    *file = std::make_unique<File>(*this, last_file_, std::move(*file));
    return status;
  }
  // RocksDB is not asked to recycle or to reopen files; a step of that kind would go unseen.
  IOStatus ReopenWritableFile(const std::string&, const rocksdb::FileOptions&,
                              std::unique_ptr<FSWritableFile>*, IODebugContext*) override {
    return IOStatus::NotSupported("reopen");
  }
  IOStatus ReuseWritableFile(const std::string&, const std::string&, const rocksdb::FileOptions&,
                             std::unique_ptr<FSWritableFile>*, IODebugContext*) override {
    return IOStatus::NotSupported("reuse");
  }
  IOStatus NewRandomRWFile(const std::string&, const rocksdb::FileOptions&,
                           std::unique_ptr<rocksdb::FSRandomRWFile>*, IODebugContext*) override {
    return IOStatus::NotSupported("random writes");
  }
  IOStatus Truncate(const std::string&, std::size_t, const IOOptions&, IODebugContext*) override {
    return IOStatus::NotSupported("truncate by name");
  }

  IOStatus NewDirectory(const std::string& name, const IOOptions& options,
                        std::unique_ptr<FSDirectory>* directory, IODebugContext* debug) override {
    const IOStatus status = target()->NewDirectory(name, options, directory, debug);
    if (status.ok()) *directory = std::make_unique<Directory>(*this, name, std::move(*directory));
    return status;
  }
  IOStatus CreateDir(const std::string& name, const IOOptions& options,
                     IODebugContext* debug) override {
    const std::lock_guard lock(mutex_);
    const IOStatus status = target()->CreateDir(name, options, debug);
    if (status.ok()) add({.kind = StepKind::make_directory, .name = plain(name)});
    return status;
  }
  IOStatus CreateDirIfMissing(const std::string& name, const IOOptions& options,
                              IODebugContext* debug) override {
    const std::lock_guard lock(mutex_);
    const bool is_there = target()->FileExists(name, options, debug).ok();
    const IOStatus status = target()->CreateDirIfMissing(name, options, debug);
    if (status.ok() && !is_there) add({.kind = StepKind::make_directory, .name = plain(name)});
    return status;
  }
  IOStatus RenameFile(const std::string& from, const std::string& to, const IOOptions& options,
                      IODebugContext* debug) override {
    const std::lock_guard lock(mutex_);
    const IOStatus status = target()->RenameFile(from, to, options, debug);
    // The info log is not recorded: nothing of it matters.
    if (!status.ok() || !names_.contains(plain(from))) return status;
    names_.erase(plain(from));
    names_.insert(plain(to));
    add({.kind = StepKind::rename, .name = plain(from), .other = plain(to)});
    return status;
  }
  IOStatus LinkFile(const std::string& from, const std::string& to, const IOOptions& options,
                    IODebugContext* debug) override {
    const std::lock_guard lock(mutex_);
    const IOStatus status = target()->LinkFile(from, to, options, debug);
    if (!status.ok()) return status;
    names_.insert(plain(to));
    add({.kind = StepKind::link, .name = plain(from), .other = plain(to)});
    return status;
  }
  IOStatus DeleteFile(const std::string& name, const IOOptions& options,
                      IODebugContext* debug) override {
    const std::lock_guard lock(mutex_);
    const IOStatus status = target()->DeleteFile(name, options, debug);
    if (!status.ok() || names_.erase(plain(name)) == 0) return status;
    add({.kind = StepKind::remove, .name = plain(name)});
    return status;
  }

 private:
  class File final : public rocksdb::FSWritableFileOwnerWrapper {
   public:
    File(Files& owner, std::uint32_t number, std::unique_ptr<FSWritableFile>&& file)
        : FSWritableFileOwnerWrapper(std::move(file)), owner_(owner), number_(number) {}

    IOStatus Append(const rocksdb::Slice& data, const IOOptions& options,
                    IODebugContext* debug) override {
      const std::lock_guard lock(owner_.mutex_);
      const IOStatus status = FSWritableFileOwnerWrapper::Append(data, options, debug);
      if (status.ok()) {
        owner_.add({.kind = StepKind::append, .file = number_, .data = data.ToString()});
      }
      return status;
    }
    IOStatus Append(const rocksdb::Slice& data, const IOOptions& options,
                    const rocksdb::DataVerificationInfo&, IODebugContext* debug) override {
      return Append(data, options, debug);
    }
    IOStatus Truncate(std::uint64_t size, const IOOptions& options,
                      IODebugContext* debug) override {
      const std::lock_guard lock(owner_.mutex_);
      const IOStatus status = FSWritableFileOwnerWrapper::Truncate(size, options, debug);
      if (status.ok()) {
        owner_.add({.kind = StepKind::truncate, .file = number_, .size = size});
      }
      return status;
    }
    IOStatus Sync(const IOOptions& options, IODebugContext* debug) override {
      const std::lock_guard lock(owner_.mutex_);
      const IOStatus status = FSWritableFileOwnerWrapper::Sync(options, debug);
      if (status.ok()) owner_.add({.kind = StepKind::sync, .file = number_});
      return status;
    }
    IOStatus Fsync(const IOOptions& options, IODebugContext* debug) override {
      return Sync(options, debug);
    }
    // Asks the kernel to begin writing and promises nothing.
    IOStatus RangeSync(std::uint64_t, std::uint64_t, const IOOptions&, IODebugContext*) override {
      return IOStatus::OK();
    }

   private:
    Files& owner_;
    std::uint32_t number_;
  };

  class Directory final : public rocksdb::FSDirectoryWrapper {
   public:
    Directory(Files& owner, const std::string& name, std::unique_ptr<FSDirectory>&& directory)
        : FSDirectoryWrapper(std::move(directory)), owner_(owner), name_(plain(name)) {}

    IOStatus Fsync(const IOOptions& options, IODebugContext* debug) override {
      const std::lock_guard lock(owner_.mutex_);
      const IOStatus status = FSDirectoryWrapper::Fsync(options, debug);
      if (status.ok()) owner_.add({.kind = StepKind::sync_directory, .name = name_});
      return status;
    }
    IOStatus FsyncWithDirOptions(const IOOptions& options, IODebugContext* debug,
                                 const rocksdb::DirFsyncOptions&) override {
      return Fsync(options, debug);
    }

   private:
    Files& owner_;
    std::string name_;
  };

  void add(DiskStep step) { history_.push_back(std::move(step)); }

  mutable std::mutex mutex_;
  std::vector<DiskStep> history_;
  std::set<std::string> names_;
  std::uint32_t last_file_ = 0;
};

RecordedDisk::RecordedDisk(const DiskContent& before)
    : memory_(rocksdb::NewMemEnv(rocksdb::Env::Default())),
      files_(std::make_shared<Files>(memory_->GetFileSystem())),
      env_(rocksdb::NewCompositeEnv(files_)) {
  std::set<std::string> directories;
  for (const auto& [path, bytes] : before) {
    for (std::string above = parent_of(path); above != "/"; above = parent_of(above)) {
      if (!directories.insert(above).second) break;
    }
  }
  for (const std::string& directory : directories) {
    memory_->CreateDirIfMissing(directory).PermitUncheckedError();
  }
  for (const auto& [path, bytes] : before) {
    const auto status = rocksdb::WriteStringToFile(memory_.get(), bytes, path, true);
    if (!status.ok()) throw std::runtime_error(status.ToString());
    files_->add_name(path);
  }
}

RecordedDisk::~RecordedDisk() = default;

std::size_t RecordedDisk::steps() const {
  return files_->steps();
}

std::vector<DiskStep> RecordedDisk::history() const {
  return files_->history();
}

DiskContent RecordedDisk::content() const {
  return files_->content();
}

}  // namespace penstock::torture

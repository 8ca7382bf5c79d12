#include "adapters/system/receipt_files.h"

#include <cerrno>
#include <set>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <unistd.h>

namespace penstock::system {
namespace {

/// A descriptor that closes itself.
class Descriptor {
 public:
  explicit Descriptor(int number) : number_(number) {}
  ~Descriptor() {
    if (number_ >= 0) ::close(number_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;

  bool is_open() const { return number_ >= 0; }
  int number() const { return number_; }

 private:
  int number_;
};

bool write_bytes(int descriptor, std::string_view bytes) {
  while (!bytes.empty()) {
    ssize_t const written = ::write(descriptor, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
  return true;
}

bool sync_folder(const std::filesystem::path& folder) {
  Descriptor const entry(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  return entry.is_open() && ::fsync(entry.number()) == 0;
}

}  // namespace

std::string folder_of(const domain::TenantId& tenant) {
  std::string name = tenant.str();
  if (name.starts_with('.')) name.replace(0, 1, "%2E");
  return name;
}

std::optional<std::string> why_unusable(const std::filesystem::path& folder) {
  std::error_code failed;
  std::filesystem::create_directories(folder, failed);
  if (failed) return failed.message();
  if (!std::filesystem::is_directory(folder, failed)) return "it is not a directory";
  if (::access(folder.c_str(), W_OK | X_OK) != 0) return std::generic_category().message(errno);
  return std::nullopt;
}

ReceiptFiles::ReceiptFiles(std::filesystem::path folder, std::function<void()> wake)
    : folder_(std::move(folder)), wake_(std::move(wake)), writer_([this] { run(); }) {}

ReceiptFiles::~ReceiptFiles() {
  {
    std::lock_guard const lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_one();
  writer_.join();
}

void ReceiptFiles::submit(std::span<ports::ReceiptCopy> copies) {
  {
    std::lock_guard const lock(mutex_);
    for (ports::ReceiptCopy& copy : copies) {
      if (waiting_.size() < kMaxWaitingReceipts) {
        waiting_.push_back(std::move(copy));
      } else {
        ready_.push_back({.ticket = copy.ticket, .outcome = ports::CopyOutcome::failed});
      }
    }
  }
  changed_.notify_one();
}

void ReceiptFiles::poll(std::vector<ports::CopyReply>& replies) {
  std::lock_guard const lock(mutex_);
  replies.insert(replies.end(), ready_.begin(), ready_.end());
  ready_.clear();
}

void ReceiptFiles::run() {
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [this] { return stopping_ || !waiting_.empty(); });
    if (stopping_) return;
    auto const copies = std::exchange(waiting_, {});
    lock.unlock();
    auto const replies = write_all(copies);
    lock.lock();
    ready_.insert(ready_.end(), replies.begin(), replies.end());
    lock.unlock();
    wake_();
    lock.lock();
  }
}

std::vector<ports::CopyReply> ReceiptFiles::write_all(std::span<const ports::ReceiptCopy> copies) {
  std::vector<ports::CopyReply> replies;
  std::set<std::string> folders;
  for (const ports::ReceiptCopy& copy : copies) {
    errno = 0;
    bool const written = write_file(copy);
    int const error = errno;
    if (written) folders.insert(folder_of(copy.tenant));
    replies.push_back(
        {.ticket = copy.ticket,
         .outcome = written ? ports::CopyOutcome::stored : ports::CopyOutcome::failed});
    if (!written) replies.back().error = std::generic_category().message(error);
  }
  bool synced = sync_folder(folder_) || copies.empty();
  for (const std::string& name : folders) synced = sync_folder(folder_ / name) && synced;
  if (!synced) {
    for (ports::CopyReply& reply : replies) {
      reply.outcome = ports::CopyOutcome::failed;
      if (reply.error.empty()) reply.error = "a folder could not be synced";
    }
  }
  return replies;
}

bool ReceiptFiles::write_file(const ports::ReceiptCopy& copy) {
  std::filesystem::path const folder = folder_ / folder_of(copy.tenant);
  std::error_code failed;
  std::filesystem::create_directories(folder, failed);
  if (failed) {
    errno = failed.value();
    return false;
  }
  std::filesystem::path const final_name = folder / (copy.order.str() + ".json");
  std::filesystem::path const draft_name = folder / ("." + copy.order.str() + ".draft");
  {
    Descriptor const file(
        ::open(draft_name.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640));
    if (!file.is_open()) return false;
    if (!write_bytes(file.number(), copy.receipt) || ::fsync(file.number()) != 0) {
      int const error = errno;
      ::unlink(draft_name.c_str());
      errno = error;
      return false;
    }
  }
  return ::rename(draft_name.c_str(), final_name.c_str()) == 0;
}

}  // namespace penstock::system

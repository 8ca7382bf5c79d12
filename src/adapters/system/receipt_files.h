#pragma once

#include <condition_variable>
#include <cstddef>
#include <filesystem>
#include <functional>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "domain/ids.h"
#include "ports/receipt_store.h"

namespace penstock::system {

/// Copies that wait to be written; one more is answered `failed` at once (the caller tries again).
inline constexpr std::size_t kMaxWaitingReceipts = 16'384;

/// A tenant's name as a folder's: as it is, but for a leading '.', which becomes "%2E".
std::string folder_of(const domain::TenantId& tenant);

/// Why copies cannot be made in this folder, as far as that can be seen; made if it is not there.
std::optional<std::string> why_unusable(const std::filesystem::path& folder);

/// Copies of receipts as files, FOLDER/<tenant>/<order id>.json. A file is written under another
/// name, synced (fsync(2)) and renamed, so that it is whole or absent whenever it is looked at; the
/// folder's own entry is synced before the copy is answered as stored. Writes on one thread of its
/// own; `wake` is called from it after replies became ready.
class ReceiptFiles : public ports::ReceiptStore {
 public:
  ReceiptFiles(std::filesystem::path folder, std::function<void()> wake);
  /// Writes nothing more; copies without a reply are forgotten.
  ~ReceiptFiles() override;
  ReceiptFiles(const ReceiptFiles&) = delete;
  ReceiptFiles& operator=(const ReceiptFiles&) = delete;

  void submit(std::span<ports::ReceiptCopy> copies) override;
  void poll(std::vector<ports::CopyReply>& replies) override;

 private:
  void run();
  std::vector<ports::CopyReply> write_all(std::span<const ports::ReceiptCopy> copies);
  bool write_file(const ports::ReceiptCopy& copy);

  std::filesystem::path folder_;
  std::function<void()> wake_;
  std::mutex mutex_;  ///< guards what follows it
  std::condition_variable changed_;
  std::vector<ports::ReceiptCopy> waiting_;
  std::vector<ports::CopyReply> ready_;
  bool stopping_ = false;
  std::thread writer_;
};

}  // namespace penstock::system

#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "domain/ids.h"

namespace penstock::ports {

struct ReceiptCopy {
  std::uint64_t ticket = 0;
  domain::OrderId order;
  domain::TenantId tenant;
  std::string receipt;
};

enum class CopyOutcome : std::uint8_t { stored, failed };

struct CopyReply {
  std::uint64_t ticket = 0;
  CopyOutcome outcome = CopyOutcome::failed;
  std::string error{};  ///< for the log: why it failed
};

/// Where copies of receipts go (files, objects). The truth is the store's. A copy is whole or
/// absent, and writing it again is harmless. Asynchronous; one reply a request; one thread calls.
class ReceiptStore {
 public:
  virtual ~ReceiptStore() = default;
  virtual void submit(std::span<ReceiptCopy> copies) = 0;
  virtual void poll(std::vector<CopyReply>& replies) = 0;
};

}  // namespace penstock::ports

#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

namespace penstock::simulation {

/// The sockets of one process to one peer: what arrives after the process ended is lost. Kept alive
/// by the replies on their way. One thread.
template <typename Reply>
class ReplyBox {
 public:
  explicit ReplyBox(std::function<void()> wake) : wake_(std::move(wake)) {}

  /// The process ended.
  void close() {
    open_ = false;
    arrived_.clear();
  }
  bool open() const { return open_; }

  void deliver(Reply reply) {
    if (!open_) return;
    arrived_.push_back(std::move(reply));
    wake_();
  }
  /// Appends what arrived.
  void take(std::vector<Reply>& replies) {
    for (Reply& reply : arrived_) replies.push_back(std::move(reply));
    arrived_.clear();
  }

 private:
  std::function<void()> wake_;
  bool open_ = true;
  std::vector<Reply> arrived_;
};

}  // namespace penstock::simulation

#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <functional>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "net/http_server.h"

namespace penstock::webhook::testing {

/// An endpoint on a free loopback port that keeps what it was sent and answers as it is told.
class HttpSink {
 public:
  using Answer = std::function<void(const net::HttpRequest&, net::Responder)>;

  explicit HttpSink(Answer answer) : answer_(std::move(answer)), server_({}) {
    const auto started = server_.start([this](net::HttpRequest&& request, net::Responder reply) {
      {
        const std::scoped_lock lock(mutex_);
        requests_.push_back(request);
      }
      answer_(request, std::move(reply));
    });
    EXPECT_TRUE(started);
  }

  /// Answers everything with that status and body.
  explicit HttpSink(int status, std::string body = {})
      : HttpSink([status, text = std::move(body)](const net::HttpRequest&, net::Responder reply) {
          reply.send({.status = status, .content_type = "application/json", .body = text});
        }) {}

  std::string url(const std::string& path = "/hook") const {
    return "http://127.0.0.1:" + std::to_string(server_.port()) + path;
  }

  std::vector<net::HttpRequest> requests() {
    const std::scoped_lock lock(mutex_);
    return requests_;
  }

 private:
  Answer answer_;
  std::mutex mutex_;
  std::vector<net::HttpRequest> requests_;
  net::HttpServer server_;
};

/// Wakes a test's thread from an adapter's.
class Alarm {
 public:
  void ring() {
    const std::scoped_lock lock(mutex_);
    rung_ = true;
    ringing_.notify_one();
  }

  /// Waits for a ring since the last wait; false only where the test hangs.
  bool wait() {
    std::unique_lock lock(mutex_);
    const bool in_time = ringing_.wait_for(lock, std::chrono::minutes(2), [this] { return rung_; });
    rung_ = false;
    return in_time;
  }

 private:
  std::mutex mutex_;
  std::condition_variable ringing_;
  bool rung_ = false;
};

/// Polls `adapter` until so many replies are there.
template <typename Reply, typename Adapter>
std::vector<Reply> take(Adapter& adapter, Alarm& alarm, std::size_t count) {
  std::vector<Reply> replies;
  for (adapter.poll(replies); replies.size() < count; adapter.poll(replies)) {
    if (!alarm.wait()) break;
  }
  EXPECT_EQ(replies.size(), count);
  return replies;
}

}  // namespace penstock::webhook::testing

#pragma once

#include <chrono>
#include <expected>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "net/http_client.h"
#include "net/http_message.h"

namespace penstock::cli {

/// Which running server, and with which key.
struct ServerAccess {
  std::string url = "http://127.0.0.1:9000";
  std::string key;  ///< empty: none
};

struct ServerAnswer {
  int status = 0;
  std::string body;
  std::string retry_after{};  ///< seconds, as the server wrote them; empty where it did not
  std::string entity_tag{};   ///< the ETag header; empty where there is none

  bool ok() const { return status >= 200 && status < 300; }
};

/// One request at a time to a running server, blocking.
class ServerClient {
 public:
  explicit ServerClient(ServerAccess access);

  /// The error is a sentence: no answer came. `body` is sent as JSON unless empty.
  std::expected<ServerAnswer, std::string> call(net::HttpMethod method, const std::string& target,
                                                const std::string& body = "");

  /// Sent with each call from now on.
  void add_header(net::HttpHeader header) { headers_.push_back(std::move(header)); }

 private:
  ServerAccess access_;
  std::vector<net::HttpHeader> headers_;
  net::HttpClient client_;
};

}  // namespace penstock::cli

#include "net/http_client.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <future>
#include <utility>

#include <boost/asio/ssl/context.hpp>

#include "net/http_client_thread.h"
#include "net/url.h"

namespace penstock::net {
namespace {

bool is_clients_own(std::string_view name) {
  constexpr std::array<std::string_view, 4> kOwn = {"Host", "Content-Length", "Transfer-Encoding",
                                                    "Connection"};
  return std::any_of(kOwn.begin(), kOwn.end(),
                     [&](std::string_view own) { return equals_ignoring_case(own, name); });
}

bool has_body(const HttpClientRequest& request) {
  return !request.body.empty() || request.method == HttpMethod::post ||
         request.method == HttpMethod::put || request.method == HttpMethod::patch;
}

/// The request as it goes over the wire; nullopt where a header could break it apart.
std::optional<std::string> wire_text(const HttpClientRequest& request, const Url& url,
                                     std::string_view user_agent) {
  constexpr std::size_t kHeadEstimate = 256;
  std::string text;
  text.reserve(kHeadEstimate + url.target.size() + request.body.size());
  text.append(to_string(request.method)).append(" ").append(url.target);
  text.append(" HTTP/1.1\r\nHost: ").append(url.authority()).append("\r\n");
  bool names_agent = user_agent.empty();
  for (const HttpHeader& header : request.headers) {
    if (!is_token(header.name) || !is_valid_header_value(header.value)) return std::nullopt;
    if (is_clients_own(header.name)) return std::nullopt;
    names_agent = names_agent || equals_ignoring_case(header.name, "User-Agent");
    text.append(header.name).append(": ").append(header.value).append("\r\n");
  }
  if (!names_agent) text.append("User-Agent: ").append(user_agent).append("\r\n");
  if (has_body(request)) {
    text.append("Content-Length: ").append(std::to_string(request.body.size())).append("\r\n");
  }
  return text.append("\r\n").append(request.body);
}

}  // namespace

std::string_view to_string(HttpClientError error) {
  switch (error) {
    case HttpClientError::invalid_request:
      return "invalid_request";
    case HttpClientError::unresolved:
      return "unresolved";
    case HttpClientError::address_refused:
      return "address_refused";
    case HttpClientError::connect_failed:
      return "connect_failed";
    case HttpClientError::connect_timeout:
      return "connect_timeout";
    case HttpClientError::tls_failed:
      return "tls_failed";
    case HttpClientError::overloaded:
      return "overloaded";
    case HttpClientError::stopped_before_sending:
      return "stopped_before_sending";
    case HttpClientError::timeout:
      return "timeout";
    case HttpClientError::connection_lost:
      return "connection_lost";
    case HttpClientError::malformed_response:
      return "malformed_response";
    case HttpClientError::response_too_large:
      return "response_too_large";
    case HttpClientError::stopped:
      return "stopped";
  }
  return "connection_lost";
}

std::string_view in_words(HttpClientError error) {
  switch (error) {
    case HttpClientError::invalid_request:
      return "the request cannot be written as HTTP";
    case HttpClientError::unresolved:
      return "the host name has no address";
    case HttpClientError::address_refused:
      return "the host's addresses are not allowed";
    case HttpClientError::connect_failed:
      return "connection refused or host unreachable";
    case HttpClientError::connect_timeout:
      return "no connection in time";
    case HttpClientError::tls_failed:
      return "TLS handshake failed or certificate not trusted";
    case HttpClientError::overloaded:
      return "too many requests are waiting for a connection";
    case HttpClientError::timeout:
      return "no answer in time";
    case HttpClientError::connection_lost:
      return "connection closed before the whole answer";
    case HttpClientError::malformed_response:
      return "the answer is not HTTP";
    case HttpClientError::response_too_large:
      return "the answer is too large";
    case HttpClientError::stopped_before_sending:
    case HttpClientError::stopped:
      break;
  }
  return "this process is stopping";
}

Delivery delivery(HttpClientError error) {
  switch (error) {
    case HttpClientError::invalid_request:
    case HttpClientError::unresolved:
    case HttpClientError::address_refused:
    case HttpClientError::connect_failed:
    case HttpClientError::connect_timeout:
    case HttpClientError::tls_failed:
    case HttpClientError::overloaded:
    case HttpClientError::stopped_before_sending:
      return Delivery::not_sent;
    case HttpClientError::timeout:
    case HttpClientError::connection_lost:
    case HttpClientError::malformed_response:
    case HttpClientError::response_too_large:
    case HttpClientError::stopped:
      break;
  }
  return Delivery::unknown;
}

struct HttpClient::Impl {
  explicit Impl(HttpClientOptions wanted)
      : options(std::move(wanted)), tls(boost::asio::ssl::context::tls_client) {
    boost::system::error_code ec;
    using Tls = boost::asio::ssl::context;
    tls.set_options(Tls::default_workarounds | Tls::no_tlsv1 | Tls::no_tlsv1_1, ec);
    // Where the authorities cannot be loaded none is trusted, and https fails as tls_failed.
    if (options.ca_file.empty()) {
      tls.set_default_verify_paths(ec);
    } else {
      tls.load_verify_file(options.ca_file, ec);
    }
    const std::size_t count = std::max<std::size_t>(options.threads, 1);
    const std::size_t share = std::max<std::size_t>(options.max_connections / count, 1);
    for (std::size_t i = 0; i < count; ++i) {
      threads.push_back(std::make_unique<HttpClientThread>(options, tls, share));
    }
  }

  const HttpClientOptions options;
  boost::asio::ssl::context tls;
  std::vector<std::unique_ptr<HttpClientThread>> threads;
  std::atomic<std::size_t> next{0};
};

HttpClient::HttpClient(HttpClientOptions options)
    : impl_(std::make_unique<Impl>(std::move(options))) {}

HttpClient::~HttpClient() {
  stop();
}

void HttpClient::send(const HttpClientRequest& request, HttpClientCallback callback) {
  const auto refuse = [&] { callback(std::unexpected(HttpClientError::invalid_request)); };
  auto url = parse_url(request.url);
  if (!url || request.method == HttpMethod::other) return refuse();
  auto wire = wire_text(request, *url, impl_->options.user_agent);
  if (!wire) return refuse();
  auto exchange = std::make_unique<HttpExchange>();
  exchange->origin = (url->scheme == UrlScheme::https ? "https://" : "http://") + url->authority();
  exchange->url = std::move(*url);
  exchange->method = request.method;
  exchange->wire = std::move(*wire);
  exchange->reply_body = request.reply_body;
  exchange->deadline = HttpExchange::Clock::now() + request.timeout;
  exchange->callback = std::move(callback);
  const std::size_t index = impl_->next.fetch_add(1, std::memory_order_relaxed);
  impl_->threads[index % impl_->threads.size()]->submit(std::move(exchange));
}

HttpClientResult HttpClient::call(const HttpClientRequest& request) {
  auto promise = std::make_shared<std::promise<HttpClientResult>>();
  std::future<HttpClientResult> result = promise->get_future();
  send(request, [promise](HttpClientResult arrived) { promise->set_value(std::move(arrived)); });
  return result.get();
}

void HttpClient::stop() {
  for (const auto& thread : impl_->threads) thread->stop();
}

}  // namespace penstock::net

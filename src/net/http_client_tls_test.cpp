// The client's trust decisions, against a TLS server made here: OpenSSL's own calls on a blocking
// socket, and a certificate signed by itself for one name.
#include <array>
#include <atomic>
#include <filesystem>
#include <memory>
#include <string>
#include <thread>

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/http_client.h"

namespace penstock::net {
namespace {

template <auto Free>
struct Releaser {
  template <typename T>
  void operator()(T* object) const {
    Free(object);
  }
};
using Key = std::unique_ptr<EVP_PKEY, Releaser<EVP_PKEY_free>>;
using Certificate = std::unique_ptr<X509, Releaser<X509_free>>;
using Context = std::unique_ptr<SSL_CTX, Releaser<SSL_CTX_free>>;
using Session = std::unique_ptr<SSL, Releaser<SSL_free>>;

Certificate sign_for(EVP_PKEY* key, const std::string& name) {
  constexpr long kOneHour = 3600;
  Certificate certificate(X509_new());
  X509_set_version(certificate.get(), X509_VERSION_3);
  ASN1_INTEGER_set(X509_get_serialNumber(certificate.get()), 1);
  X509_gmtime_adj(X509_getm_notBefore(certificate.get()), -kOneHour);
  X509_gmtime_adj(X509_getm_notAfter(certificate.get()), kOneHour);
  X509_set_pubkey(certificate.get(), key);
  X509_NAME* subject = X509_get_subject_name(certificate.get());
  const auto* text = reinterpret_cast<const unsigned char*>(name.c_str());
  X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, text, -1, -1, 0);
  X509_set_issuer_name(certificate.get(), subject);
  const std::string names = "DNS:" + name;
  X509_EXTENSION* extension =
      X509V3_EXT_conf_nid(nullptr, nullptr, NID_subject_alt_name, names.c_str());
  X509_add_ext(certificate.get(), extension, -1);
  X509_EXTENSION_free(extension);
  X509_sign(certificate.get(), key, EVP_sha256());
  return certificate;
}

/// Serves one connection after another until it is destroyed: one request, one answer, the end.
class TlsServer {
 public:
  explicit TlsServer(const std::string& certified_name)
      : key_(EVP_EC_gen("P-256")),
        certificate_(sign_for(key_.get(), certified_name)),
        context_(SSL_CTX_new(TLS_server_method())),
        listener_(socket(AF_INET, SOCK_STREAM, 0)) {
    SSL_CTX_use_certificate(context_.get(), certificate_.get());
    SSL_CTX_use_PrivateKey(context_.get(), key_.get());
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    EXPECT_EQ(bind(listener_, reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(listen(listener_, 16), 0);
    EXPECT_EQ(getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size), 0);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { run(); });
  }
  TlsServer(const TlsServer&) = delete;
  TlsServer& operator=(const TlsServer&) = delete;
  ~TlsServer() {
    shutdown(listener_, SHUT_RDWR);
    thread_.join();
    close(listener_);
  }

  std::uint16_t port() const { return port_; }
  int requests() const { return requests_; }
  /// The name the last client asked for (Server Name Indication).
  std::string asked_name() const { return asked_name_; }
  void write_certificate(const std::filesystem::path& path) const {
    FILE* file = fopen(path.c_str(), "w");
    ASSERT_NE(file, nullptr);
    PEM_write_X509(file, certificate_.get());
    fclose(file);
  }

 private:
  void run() {
    for (;;) {
      const int client = accept(listener_, nullptr, nullptr);
      if (client < 0) return;
      serve(client);
      close(client);
    }
  }

  void serve(int client) {
    const Session session(SSL_new(context_.get()));
    SSL_set_fd(session.get(), client);
    if (SSL_accept(session.get()) != 1) return;
    const char* name = SSL_get_servername(session.get(), TLSEXT_NAMETYPE_host_name);
    asked_name_ = name == nullptr ? "" : name;
    std::array<char, 4096> request{};
    if (SSL_read(session.get(), request.data(), static_cast<int>(request.size())) <= 0) return;
    ++requests_;
    const std::string reply = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecret";
    SSL_write(session.get(), reply.data(), static_cast<int>(reply.size()));
    SSL_shutdown(session.get());
  }

  Key key_;
  Certificate certificate_;
  Context context_;
  int listener_;
  std::uint16_t port_ = 0;
  std::atomic<int> requests_{0};
  std::string asked_name_;
  std::thread thread_;
};

class HttpClientTls : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "penstock_tls_XXXXXX";
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    directory = pattern;
  }
  void TearDown() override { std::filesystem::remove_all(directory); }

  HttpClientResult call(const TlsServer& server, const std::string& host) const {
    HttpClient client({.ca_file = directory / "ca.pem"});
    return client.call({.url = "https://" + host + ":" + std::to_string(server.port()) + "/"});
  }

  std::filesystem::path directory;
};

TEST_F(HttpClientTls, TrustsACertificateOfItsAuthorityForTheHost) {
  std::string asked;
  {
    const TlsServer server("localhost");
    server.write_certificate(directory / "ca.pem");
    const auto result = call(server, "localhost");
    ASSERT_TRUE(result.has_value()) << to_string(result.error());
    EXPECT_EQ(result->body, "secret");
    asked = server.asked_name();
  }
  EXPECT_EQ(asked, "localhost");
}

TEST_F(HttpClientTls, SendsNothingToAHostTheCertificateDoesNotName) {
  const TlsServer server("other.example");
  server.write_certificate(directory / "ca.pem");
  for (const std::string host : {"localhost", "127.0.0.1"}) {
    const auto result = call(server, host);
    ASSERT_FALSE(result.has_value());
    EXPECT_EQ(result.error(), HttpClientError::tls_failed);
    EXPECT_EQ(delivery(result.error()), Delivery::not_sent);
  }
  EXPECT_EQ(server.requests(), 0);
}

TEST_F(HttpClientTls, SendsNothingUnderACertificateNobodyVouchesFor) {
  const TlsServer trusted("localhost");
  trusted.write_certificate(directory / "ca.pem");
  const TlsServer server("localhost");
  EXPECT_EQ(call(server, "localhost").error(), HttpClientError::tls_failed);
  std::filesystem::remove(directory / "ca.pem");
  EXPECT_EQ(call(server, "localhost").error(), HttpClientError::tls_failed);
  EXPECT_EQ(server.requests(), 0);
}

}  // namespace
}  // namespace penstock::net

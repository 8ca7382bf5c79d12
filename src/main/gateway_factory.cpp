#include "main/gateway_factory.h"

#include <filesystem>
#include <string>
#include <system_error>
#include <utility>

#include "adapters/gateway_http/http_gateway.h"
#include "cli/child_process.h"
#include "domain/check.h"
#include "domain/error_code.h"
#include "gateway/sandbox_gateway.h"

namespace penstock::main {
namespace {

namespace fs = std::filesystem;

/// The sandbox in process; tells once when it can act no more.
class WatchedSandbox final : public ports::PaymentGateway {
 public:
  WatchedSandbox(std::unique_ptr<gateway::SandboxGateway> sandbox,
                 std::unique_ptr<cli::TemporaryDirectory> own_directory,
                 std::function<void()> failed, ports::Log& log)
      : sandbox_(std::move(sandbox)),
        own_directory_(std::move(own_directory)),
        failed_(std::move(failed)),
        log_(log) {}
  ~WatchedSandbox() override {
    sandbox_.reset();  // before its directory goes
  }
  WatchedSandbox(const WatchedSandbox&) = delete;
  WatchedSandbox& operator=(const WatchedSandbox&) = delete;

  void submit(std::span<ports::GatewayRequest> requests, domain::Now now) override {
    sandbox_->submit(requests, now);
  }
  void poll(std::vector<ports::GatewayReply>& replies, domain::Now now) override {
    sandbox_->poll(replies, now);
    if (!sandbox_->has_failed() || std::exchange(told_, true)) return;
    log_.write(ports::LogLevel::error,
               "the sandbox gateway's ledger cannot be written: the process ends; open charges are "
               "asked for at the next start",
               {{"code", domain::to_string(domain::ErrorCode::store_failed)}});
    failed_();
  }
  std::optional<domain::Instant> next_due() const override { return sandbox_->next_due(); }

 private:
  std::unique_ptr<gateway::SandboxGateway> sandbox_;
  std::unique_ptr<cli::TemporaryDirectory> own_directory_;
  std::function<void()> failed_;
  ports::Log& log_;
  bool told_ = false;
};

/// Of a process that charges nothing.
class AbsentGateway final : public ports::PaymentGateway {
 public:
  void submit(std::span<ports::GatewayRequest> requests, domain::Now) override {
    PENSTOCK_CHECK(requests.empty(), "only the payment stage charges");
  }
  void poll(std::vector<ports::GatewayReply>&, domain::Now) override {}
  std::optional<domain::Instant> next_due() const override { return std::nullopt; }
};

std::unique_ptr<ports::PaymentGateway> open_sandbox(std::string ledger_path, GatewayHooks hooks,
                                                    ports::Log& log) {
  std::unique_ptr<cli::TemporaryDirectory> own_directory;
  if (ledger_path.empty()) {
    own_directory = std::make_unique<cli::TemporaryDirectory>();
    ledger_path = own_directory->path() + "/sandbox-ledger.jsonl";
  } else {
    std::error_code ignored;
    fs::create_directories(fs::path(ledger_path).parent_path(), ignored);
  }
  auto sandbox = gateway::SandboxGateway::open({.ledger_path = ledger_path});
  if (!sandbox) {
    log.write(ports::LogLevel::error, "the sandbox gateway's ledger does not open",
              {{"path", ledger_path},
               {"code", domain::to_string(domain::ErrorCode::store_failed)},
               {"detail", gateway::to_string(sandbox.error())}});
    return nullptr;
  }
  return std::make_unique<WatchedSandbox>(std::move(*sandbox), std::move(own_directory),
                                          std::move(hooks.failed), log);
}

}  // namespace

std::unique_ptr<ports::PaymentGateway> open_gateway(const ServeOptions& options, GatewayHooks hooks,
                                                    ports::Log& log) {
  if (const auto* const sandbox = std::get_if<SandboxInProcess>(&options.gateway)) {
    return open_sandbox(sandbox->ledger_path, std::move(hooks), log);
  }
  if (std::holds_alternative<NoGateway>(options.gateway)) return std::make_unique<AbsentGateway>();
  auto gateway = gateway_http::HttpGateway::open({.url = std::get<GatewayUrl>(options.gateway).url,
                                                  .timeout = options.gateway_timeout,
                                                  .wake = std::move(hooks.wake)});
  if (!gateway) {
    log.write(ports::LogLevel::error, "the gateway's URL is not usable",
              {{"detail", net::to_string(gateway.error())}});
    return nullptr;
  }
  return std::move(*gateway);
}

}  // namespace penstock::main

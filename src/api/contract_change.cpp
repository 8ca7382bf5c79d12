#include "api/contract_change.h"

#include <array>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>

#include "api/object_reader.h"
#include "api/sha256.h"
#include "domain/int128.h"
#include "domain/limits.h"
#include "domain/webhook_secret.h"
#include "net/address_policy.h"
#include "net/url.h"

namespace penstock::api {
namespace {

constexpr std::string_view kSecretForm =
    R"(Expected "whsec_" and padded standard base64 of 24 to 64 bytes, such as whsec_ and the )"
    R"(output of `openssl rand -base64 32`; or two of them with a space between.)";

Problem invalid_contract(std::vector<FieldProblem> errors) {
  return {.code = domain::ErrorCode::invalid_contract, .errors = std::move(errors)};
}

bool is_faster(const domain::TokenRate& left, const domain::TokenRate& right) {
  return domain::Int128{left.micro_tokens} * right.period_ns >
         domain::Int128{right.micro_tokens} * left.period_ns;
}

std::optional<domain::TokenRate> read_rate(ObjectReader& reader, std::string_view name) {
  const auto text = reader.decimal(name, Presence::optional);
  if (!text) return std::nullopt;
  auto rate = domain::parse_rate_per_second(*text);
  if (!rate) {
    reader.complain(name, "out-of-range",
                    fmt::format("Expected a number above 0 and at most {} with at most 12 digits "
                                "behind the point.",
                                domain::limits::kMaxRatePerSecond));
  }
  return rate;
}

std::optional<std::int64_t> read_whole(ObjectReader& reader, std::string_view name,
                                       std::int64_t most) {
  const auto number = reader.integer(name, Presence::optional);
  if (number && (*number < 1 || *number > most)) {
    reader.complain(name, "out-of-range",
                    fmt::format("{} is not between 1 and {}.", *number, most));
  }
  return number;
}

/// Whether the host is written as an address (of any form that resolvers read, such as 127.1), or
/// names this host, and is one that may not be reached.
bool is_private_host(const std::string& host) {
  if (host == "localhost" || host.ends_with(".localhost")) return true;
  if (host == "localhost." || host.ends_with(".localhost.")) return true;
  std::array<std::uint8_t, sizeof(in6_addr)> bytes{};
  if (::inet_pton(AF_INET6, host.c_str(), bytes.data()) == 1) return !net::is_public_unicast(bytes);
  if (::inet_aton(host.c_str(), reinterpret_cast<in_addr*>(bytes.data())) == 0) return false;
  return !net::is_public_unicast(std::span(bytes).first(sizeof(in_addr)));
}

void check_url(std::string_view text, WebhookReach reach, ObjectReader& webhook) {
  const auto url = net::parse_url(text);
  if (text.size() > domain::limits::kMaxWebhookUrlBytes || !url) {
    webhook.complain(
        "url", "invalid",
        fmt::format("Expected an absolute http or https URL without user or fragment, at most "
                    "{} bytes{}.",
                    domain::limits::kMaxWebhookUrlBytes,
                    url ? "" : fmt::format(" ({})", to_string(url.error()))));
  } else if (reach == WebhookReach::public_only && is_private_host(url->host)) {
    webhook.complain("url", "private-address",
                     "The host is a loopback, private or otherwise not public address, which this "
                     "server does not deliver to (--webhook-allow-private).");
  }
}

void read_webhook(ObjectReader& contract, WebhookReach reach, ContractChange& change,
                  std::vector<FieldProblem>& errors) {
  if (contract.removes("webhook")) {
    change.webhook = Part::removed;
    return;
  }
  const auto object = contract.object("webhook", Presence::optional);
  if (!object) return;
  change.webhook = Part::set;
  ObjectReader reader(*object, "/webhook", errors, {"url", "secret", "disabled"});
  if (const auto url = reader.string("url", Presence::optional)) {
    check_url(*url, reach, reader);
    change.hook.url = *url;
  }
  if (const auto secret = reader.string("secret", Presence::optional)) {
    if (secret->size() > domain::limits::kMaxWebhookSecretBytes) {
      reader.complain("secret", "out-of-range",
                      fmt::format("{} characters; at most {}.", secret->size(),
                                  domain::limits::kMaxWebhookSecretBytes));
    } else if (!domain::is_webhook_secret(*secret)) {
      reader.complain("secret", "invalid", std::string(kSecretForm));
    }
    change.hook.secret = *secret;
  }
  change.hook.disabled = reader.boolean("disabled", Presence::optional);
}

void merge_webhook(domain::Contract& contract, const ContractChange::Webhook& hook,
                   std::vector<FieldProblem>& errors) {
  domain::Webhook webhook = contract.webhook.value_or(domain::Webhook());
  if (hook.url) webhook.disabled = false;
  webhook.url = hook.url.value_or(webhook.url);
  webhook.secret = hook.secret.value_or(webhook.secret);
  webhook.disabled = hook.disabled.value_or(webhook.disabled);
  if (webhook.url.empty()) {
    errors.push_back({"/webhook/url", "required", "The tenant has no webhook yet."});
  }
  if (webhook.secret.empty()) {
    errors.push_back({"/webhook/secret", "required",
                      fmt::format("The tenant has no webhook yet. {}", kSecretForm)});
  }
  contract.webhook = std::move(webhook);
}

}  // namespace

std::expected<ContractChange, Problem> read_contract_change(net::JsonView body,
                                                            const domain::TenantId& tenant,
                                                            WebhookReach reach) {
  std::vector<FieldProblem> errors;
  ObjectReader reader(
      body, "", errors,
      {"tenant_id", "rate_per_second", "burst", "guarantee_per_second", "weight", "webhook"});
  ContractChange change;
  const auto named = reader.string("tenant_id", Presence::optional);
  if (named && *named != tenant.str()) {
    reader.complain("tenant_id", "conflict", "The path names another tenant.");
  }
  change.rate = read_rate(reader, "rate_per_second");
  change.burst = read_whole(reader, "burst", domain::limits::kMaxBurst);
  change.weight = reader.removes("weight")
                      ? domain::Contract().weight
                      : read_whole(reader, "weight", domain::limits::kMaxWeight);
  if (reader.removes("guarantee_per_second")) {
    change.guarantee = Part::removed;
  } else if (const auto rate = read_rate(reader, "guarantee_per_second")) {
    change.guarantee = Part::set;
    change.guaranteed = *rate;
  }
  read_webhook(reader, reach, change, errors);
  if (errors.empty() && body.size() == (named ? 1 : 0)) {
    errors.push_back({"", "names-nothing",
                      "Name what is to change: rate_per_second, burst, guarantee_per_second, "
                      "weight, webhook."});
  }
  if (!errors.empty()) return std::unexpected(invalid_contract(std::move(errors)));
  return change;
}

std::expected<domain::Contract, Problem> changed(domain::Contract present,
                                                 const ContractChange& change) {
  std::vector<FieldProblem> errors;
  present.bucket.rate = change.rate.value_or(present.bucket.rate);
  present.bucket.burst = change.burst.value_or(present.bucket.burst);
  present.weight = change.weight.value_or(present.weight);
  if (change.guarantee == Part::removed) present.guarantee.reset();
  if (change.guarantee == Part::set) present.guarantee = change.guaranteed;
  if (present.guarantee && is_faster(*present.guarantee, present.bucket.rate)) {
    errors.push_back({"/guarantee_per_second", "above-rate",
                      fmt::format("The guarantee, {}, is above the rate, {}.",
                                  domain::format_rate_per_second(*present.guarantee),
                                  domain::format_rate_per_second(present.bucket.rate))});
  }
  if (change.webhook == Part::removed) present.webhook.reset();
  if (change.webhook == Part::set) merge_webhook(present, change.hook, errors);
  if (!errors.empty()) return std::unexpected(invalid_contract(std::move(errors)));
  return present;
}

std::string entity_tag(const domain::Contract& contract) {
  // Lengths stand before texts, so that no two contracts are written alike.
  std::string text = fmt::format("{} {} {} ", contract.bucket.rate.micro_tokens,
                                 contract.bucket.rate.period_ns, contract.bucket.burst);
  if (contract.guarantee) {
    text += fmt::format("g{} {} ", contract.guarantee->micro_tokens, contract.guarantee->period_ns);
  }
  text += fmt::format("{} ", contract.weight);
  if (contract.webhook) {
    text += fmt::format("w{} {}:{}{}:{}", contract.webhook->disabled ? 1 : 0,
                        contract.webhook->url.size(), contract.webhook->url,
                        contract.webhook->secret.size(), contract.webhook->secret);
  }
  constexpr std::size_t kTagBytes = 12;
  std::string tag = "\"";
  const auto digest = sha256({text});
  for (const std::uint8_t byte : std::span(digest).first(kTagBytes)) {
    tag += fmt::format("{:02x}", byte);
  }
  return tag + '"';
}

bool matches(std::string_view if_match, std::string_view tag) {
  constexpr std::string_view kSpace = " \t";
  while (!if_match.empty()) {
    const std::size_t comma = if_match.find(',');
    std::string_view one = if_match.substr(0, comma);
    if_match.remove_prefix(comma == std::string_view::npos ? if_match.size() : comma + 1);
    const std::size_t first = one.find_first_not_of(kSpace);
    if (first == std::string_view::npos) continue;
    one = one.substr(first, one.find_last_not_of(kSpace) - first + 1);
    if (one == "*" || one == tag) return true;
  }
  return false;
}

}  // namespace penstock::api

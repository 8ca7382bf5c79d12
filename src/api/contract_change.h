#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <string>

#include "api/problem.h"
#include "domain/contract.h"
#include "domain/ids.h"
#include "net/json.h"

namespace penstock::api {

/// What a change does with a part of the contract that may be absent.
enum class Part : std::uint8_t { stays, removed, set };

/// What PUT /tenants/{id} names of a contract; all else stays.
struct ContractChange {
  std::optional<domain::TokenRate> rate;
  std::optional<std::int64_t> burst;
  std::optional<std::int64_t> weight;
  Part guarantee = Part::stays;
  domain::TokenRate guaranteed;  ///< where the guarantee is set
  Part webhook = Part::stays;
  struct Webhook {
    std::optional<std::string> url;
    std::optional<std::string> secret;
    std::optional<bool> disabled;
  } hook;  ///< where the webhook is set: of its members too, those that are named
};

/// Which receivers a webhook may be set to.
enum class WebhookReach : std::uint8_t {
  public_only,  ///< a host that can only be private, loopback or link-local is refused
  any,
};

/// Reads the body strictly (object_reader.h); `tenant` is the path's, which the body may repeat.
/// Problem: invalid-contract with every wrong field.
std::expected<ContractChange, Problem> read_contract_change(net::JsonView body,
                                                            const domain::TenantId& tenant,
                                                            WebhookReach reach);

/// `present` with the change made. A new URL keeps the secret and enables the webhook again, unless
/// the change says otherwise. Problem: invalid-contract, where the whole would break a rule: a
/// guarantee above the rate, a webhook without URL or secret.
std::expected<domain::Contract, Problem> changed(domain::Contract present,
                                                 const ContractChange& change);

/// The entity tag of a contract (RFC 9110, section 8.8.3), quotes included: another one for any
/// change, the secret's included.
std::string entity_tag(const domain::Contract& contract);

/// Whether an If-Match value lets a change of what has this tag pass: "*", or a list that names it.
bool matches(std::string_view if_match, std::string_view tag);

}  // namespace penstock::api

#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "cli/exit_code.h"
#include "cli/presentation.h"
#include "cli/server_access.h"

/// The commands that operate a running server over its HTTP interface; a file for each subcommand.
/// All print through `present`.
namespace penstock::cli {

struct OrderListOptions {
  std::string tenant;  ///< empty: the key's, or all
  std::string status;
  std::string created_from;  ///< RFC 3339
  std::string created_to;
  std::string limit;
  std::string cursor;
};
ExitCode list_orders(const ServerAccess& server, const OrderListOptions& options,
                     const Output& output);
enum class OrderView : std::uint8_t { record, events, why, receipt };
ExitCode show_order(const ServerAccess& server, const std::string& order, OrderView view,
                    const Output& output);
ExitCode cancel_order(const ServerAccess& server, const std::string& order, const Output& output);

struct DeadLetterFilter {
  std::string tenant;
  std::string stage;
  std::string error;
};
struct DeadLetterListOptions {
  DeadLetterFilter filter;
  std::string limit;
  std::string cursor;
};
ExitCode list_dead_letters(const ServerAccess& server, const DeadLetterListOptions& options,
                           const Output& output);
struct RedriveOptions {
  std::vector<std::string> orders;  ///< these, else those that the filter finds
  DeadLetterFilter filter;
  bool all = false;             ///< without names and filter: all there are
  std::string rate_per_second;  ///< empty: at once
};
ExitCode redrive(const ServerAccess& server, const RedriveOptions& options, const Output& output);
ExitCode discard(const ServerAccess& server, const std::string& order, const Output& output);

ExitCode list_tenants(const ServerAccess& server, const std::string& cursor, const Output& output);
ExitCode show_tenant(const ServerAccess& server, const std::string& tenant, const Output& output);
/// What is to change of a tenant's contract; what is empty stays as it is.
struct TenantContract {
  std::string tenant;
  std::string rate_per_second;
  std::optional<std::int64_t> burst;
  std::string guarantee_per_second;
  std::optional<std::int64_t> weight;
  std::string webhook_url;
  std::string webhook_secret;
  bool no_guarantee = false;  ///< remove it
  bool no_webhook = false;    ///< remove it
  std::string if_match;       ///< an ETag: change only what is still this
};
ExitCode put_tenant(const ServerAccess& server, const TenantContract& contract,
                    const Output& output);

struct StockName {
  std::string product;
  std::string tenant;  ///< empty: the key's, or default
};
ExitCode show_stock(const ServerAccess& server, const StockName& name, const Output& output);
ExitCode set_stock(const ServerAccess& server, const StockName& name, std::int64_t on_hand,
                   const Output& output);
ExitCode restock(const ServerAccess& server, const StockName& name, std::int64_t quantity,
                 const Output& output);

ExitCode show_queues(const ServerAccess& server, const Output& output);

}  // namespace penstock::cli

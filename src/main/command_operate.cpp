#include <cstdlib>
#include <iostream>
#include <memory>
#include <string>

#include <CLI/CLI.hpp>

#include "cli/operate.h"
#include "main/command.h"

namespace penstock::main {
namespace {

/// What all of these commands take, and the values of each.
struct OperateFlags {
  cli::ServerAccess server;
  bool json = false;
  std::string id;
  cli::OrderListOptions orders;
  cli::DeadLetterListOptions dead_letters;
  cli::RedriveOptions redrive;
  cli::TenantContract contract;
  cli::StockName stock;
  std::int64_t pieces = 0;
  std::string cursor;

  cli::Output output() const {
    return {.form = json ? cli::OutputForm::json : cli::OutputForm::text,
            .out = std::cout,
            .complaints = std::cerr};
  }
};

using Flags = std::shared_ptr<OperateFlags>;
using Run = std::function<cli::ExitCode(const OperateFlags&)>;

/// A group such as `orders`, whose subcommands share the server's flags.
CLI::App* add_group(CLI::App& app, const char* name, const char* help, const Flags& flags) {
  CLI::App* const group = app.add_subcommand(name, help);
  group->add_option("--server", flags->server.url, "the running server")
      ->type_name("URL")
      ->capture_default_str();
  group->add_option("--key", flags->server.key, "its key")->envname("PENSTOCK_ADMIN_KEY");
  group->add_flag("--json", flags->json, "the answer as it came");
  group->fallthrough();
  return group;
}

CLI::App* add_verb(CLI::App* group, const char* name, const char* help, const Flags& flags,
                   Action& action, Run run) {
  CLI::App* const verb = group->add_subcommand(name, help);
  verb->fallthrough();
  verb->callback(
      [&action, flags, run = std::move(run)] { action = [flags, run] { return run(*flags); }; });
  return verb;
}

void add_filter(CLI::App* verb, cli::DeadLetterFilter& filter) {
  verb->add_option("--tenant", filter.tenant, "of this tenant");
  verb->add_option("--stage", filter.stage, "given up by this stage");
  verb->add_option("--error", filter.error, "with this last error");
}

/// A new webhook's secret may stand in the environment, where no list of processes shows it.
/// Without a URL it is not used, so that a variable that is set does not change a secret unasked.
cli::TenantContract with_secret(cli::TenantContract contract) {
  // One thread still. NOLINTNEXTLINE(concurrency-mt-unsafe)
  const char* const secret = std::getenv("PENSTOCK_WEBHOOK_SECRET");
  if (secret != nullptr && contract.webhook_secret.empty() && !contract.webhook_url.empty()) {
    contract.webhook_secret = secret;
  }
  return contract;
}

}  // namespace

void add_orders(CLI::App& app, Action& action) {
  auto const flags = std::make_shared<OperateFlags>();
  CLI::App* const group = add_group(app, "orders", "orders of a running server", flags);
  group->require_subcommand(1);
  CLI::App* const list = add_verb(group, "list", "newest first", flags, action, [](auto& asked) {
    return cli::list_orders(asked.server, asked.orders, asked.output());
  });
  list->add_option("--tenant", flags->orders.tenant, "of this tenant");
  list->add_option("--status", flags->orders.status, "placed, reserved, charged, ...");
  list->add_option("--from", flags->orders.created_from, "created at or after (RFC 3339)");
  list->add_option("--to", flags->orders.created_to, "created before (RFC 3339)");
  list->add_option("--limit", flags->orders.limit, "at most so many");
  list->add_option("--cursor", flags->orders.cursor, "continue a list");
  struct View {
    const char* name;
    const char* help;
    cli::OrderView view;
  };
  for (auto const& [name, help, view] : {View{"get", "the record", cli::OrderView::record},
                                         View{"events", "its timeline", cli::OrderView::events},
                                         View{"why", "what it waits for", cli::OrderView::why},
                                         View{"receipt", "its receipt", cli::OrderView::receipt}}) {
    add_verb(group, name, help, flags, action,
             [view](auto& asked) {
               return cli::show_order(asked.server, asked.id, view, asked.output());
             })
        ->add_option("order_id", flags->id)
        ->required();
  }
  add_verb(group, "cancel", "money and stock go back", flags, action,
           [](auto& asked) { return cli::cancel_order(asked.server, asked.id, asked.output()); })
      ->add_option("order_id", flags->id)
      ->required();
}

void add_dead_letters(CLI::App& app, Action& action) {
  auto const flags = std::make_shared<OperateFlags>();
  CLI::App* const group = add_group(app, "dead-letters", "orders that a stage gave up", flags);
  group->require_subcommand(1);
  CLI::App* const list = add_verb(group, "list", "by id", flags, action, [](auto& asked) {
    return cli::list_dead_letters(asked.server, asked.dead_letters, asked.output());
  });
  add_filter(list, flags->dead_letters.filter);
  list->add_option("--limit", flags->dead_letters.limit, "at most so many");
  list->add_option("--cursor", flags->dead_letters.cursor, "continue a list");
  CLI::App* const redrive = add_verb(
      group, "redrive", "send them through again", flags, action,
      [](auto& asked) { return cli::redrive(asked.server, asked.redrive, asked.output()); });
  redrive->add_option("order_ids", flags->redrive.orders, "these (else: by filter, or --all)");
  add_filter(redrive, flags->redrive.filter);
  redrive->add_flag("--all", flags->redrive.all, "all there are");
  redrive->add_option("--rate", flags->redrive.rate_per_second, "so many a second")
      ->check(CLI::PositiveNumber);
  add_verb(group, "discard", "give one up; it is compensated", flags, action,
           [](auto& asked) { return cli::discard(asked.server, asked.id, asked.output()); })
      ->add_option("order_id", flags->id)
      ->required();
}

void add_tenants(CLI::App& app, Action& action) {
  auto const flags = std::make_shared<OperateFlags>();
  CLI::App* const group = add_group(app, "tenants", "contracts of tenants", flags);
  group->require_subcommand(1);
  add_verb(group, "list", "by name", flags, action, [](auto& asked) {
    return cli::list_tenants(asked.server, asked.cursor, asked.output());
  })->add_option("--cursor", flags->cursor, "continue a list");
  add_verb(group, "get", "one contract", flags, action,
           [](auto& asked) { return cli::show_tenant(asked.server, asked.id, asked.output()); })
      ->add_option("tenant_id", flags->id)
      ->required();
  CLI::App* const put =
      add_verb(group, "put", "change what is given of a contract", flags, action, [](auto& asked) {
        return cli::put_tenant(asked.server, with_secret(asked.contract), asked.output());
      });
  cli::TenantContract& contract = flags->contract;
  put->add_option("tenant_id", contract.tenant)->required();
  put->add_option("--rate", contract.rate_per_second, "orders a second")
      ->check(CLI::PositiveNumber);
  put->add_option("--burst", contract.burst, "orders at once");
  CLI::Option* const guarantee =
      put->add_option("--guarantee", contract.guarantee_per_second, "orders a second, always")
          ->check(CLI::PositiveNumber);
  put->add_flag("--no-guarantee", contract.no_guarantee, "remove the guarantee")
      ->excludes(guarantee);
  put->add_option("--weight", contract.weight, "share of the dequeue");
  CLI::Option* const url =
      put->add_option("--webhook-url", contract.webhook_url, "where its terminal events go");
  put->add_option("--webhook-secret", contract.webhook_secret,
                  "signs them (or PENSTOCK_WEBHOOK_SECRET)");
  put->add_flag("--no-webhook", contract.no_webhook, "remove the webhook")->excludes(url);
  put->add_option("--if-match", contract.if_match, "only if the contract still has this ETag");
}

void add_inventory(CLI::App& app, Action& action) {
  auto const flags = std::make_shared<OperateFlags>();
  CLI::App* const group = add_group(app, "inventory", "stock of products", flags);
  group->require_subcommand(1);
  CLI::App* const get = add_verb(
      group, "get", "on hand, reserved, sold", flags, action,
      [](auto& asked) { return cli::show_stock(asked.server, asked.stock, asked.output()); });
  CLI::App* const set =
      add_verb(group, "set", "what can be reserved", flags, action, [](auto& asked) {
        return cli::set_stock(asked.server, asked.stock, asked.pieces, asked.output());
      });
  CLI::App* const more = add_verb(group, "restock", "add pieces", flags, action, [](auto& asked) {
    return cli::restock(asked.server, asked.stock, asked.pieces, asked.output());
  });
  for (CLI::App* const verb : {get, set, more}) {
    verb->add_option("product_id", flags->stock.product)->required();
    verb->add_option("--tenant", flags->stock.tenant, "of this tenant");
  }
  set->add_option("on_hand", flags->pieces)->required();
  more->add_option("quantity", flags->pieces)->required();
}

void add_queues(CLI::App& app, Action& action) {
  auto const flags = std::make_shared<OperateFlags>();
  add_group(app, "queues", "depth and pace of the stages", flags)->callback([&action, flags] {
    action = [flags] { return cli::show_queues(flags->server, flags->output()); };
  });
}

}  // namespace penstock::main

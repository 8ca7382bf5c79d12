#include <iostream>
#include <memory>
#include <string>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "adapters/postgres/partition_bench.h"
#include "main/command.h"
#include "main/serve_options.h"
#include "net/json_writer.h"

namespace penstock::main {
namespace {

using postgres_store::MonthRemoval;
using postgres_store::PartitionBenchOptions;
using postgres_store::PartitionQuery;
using postgres_store::PartitionReport;
using postgres_store::Timing;

struct PartitionFlags {
  PartitionBenchOptions bench;
  bool json = false;
};

constexpr double kMebibyte = 1024.0 * 1024.0;

std::string shown(const Timing& timing) {
  if (timing.median_ms == 0) return "";
  return fmt::format("{:.2f} / {:.2f}", timing.median_ms, timing.p99_ms);
}

void print_table(const PartitionReport& report, std::ostream& out) {
  out << fmt::format("{} orders, {} partitions; milliseconds, median / p99\n", report.orders,
                     report.partitions);
  out << fmt::format("{:38} {:>18} {:>18} {:>10}\n", "", "partitioned", "plain", "scanned");
  for (const PartitionQuery& query : report.queries) {
    out << fmt::format("{:38} {:>18} {:>18} {:>10}\n", query.name, shown(query.partitioned),
                       shown(query.plain), query.partitions_scanned);
  }
  const auto removal = [&out](const char* name, const MonthRemoval& of) {
    out << fmt::format(
        "{:30} {:10.1f} ms, vacuum {:8.1f} ms, {:8.2f} MiB of WAL, {:8.1f} -> {:8.1f} MiB\n", name,
        of.statement_ms, of.vacuum_ms, static_cast<double>(of.wal_bytes) / kMebibyte,
        static_cast<double>(of.bytes_before) / kMebibyte,
        static_cast<double>(of.bytes_after) / kMebibyte);
  };
  removal("the oldest month: drop", report.dropped);
  removal("the oldest month: delete", report.deleted);
}

void write_timing(net::JsonWriter& writer, const char* name, const Timing& timing) {
  writer.key(name).begin_object();
  writer.key("median_ms").raw(fmt::format("{:.3f}", timing.median_ms));
  writer.key("p99_ms").raw(fmt::format("{:.3f}", timing.p99_ms));
  writer.end_object();
}

void write_removal(net::JsonWriter& writer, const char* name, const MonthRemoval& removal) {
  writer.key(name).begin_object();
  writer.key("statement_ms").raw(fmt::format("{:.3f}", removal.statement_ms));
  writer.key("vacuum_ms").raw(fmt::format("{:.3f}", removal.vacuum_ms));
  writer.member("wal_bytes", removal.wal_bytes)
      .member("bytes_before", removal.bytes_before)
      .member("bytes_after", removal.bytes_after)
      .end_object();
}

std::string json_of(const PartitionReport& report, const PartitionBenchOptions& options) {
  std::string out;
  net::JsonWriter writer(out);
  writer.begin_object()
      .member("months", options.months)
      .member("orders_per_month", options.orders_per_month)
      .member("repeats", options.repeats)
      .member("orders", report.orders)
      .member("partitions", report.partitions);
  writer.key("queries").begin_array();
  for (const PartitionQuery& query : report.queries) {
    writer.begin_object()
        .member("name", query.name)
        .member("partitions_scanned", query.partitions_scanned)
        .member("most_allowed", query.most_allowed);
    write_timing(writer, "partitioned", query.partitioned);
    write_timing(writer, "plain", query.plain);
    writer.end_object();
  }
  writer.end_array();
  write_removal(writer, "dropped", report.dropped);
  write_removal(writer, "deleted", report.deleted);
  writer.end_object();
  return out + "\n";
}

cli::ExitCode run_partitions(const PartitionFlags& flags) {
  if (!is_database_url(flags.bench.url)) {
    std::cerr << "penstock bench partitions: --store needs postgres://...\n";
    return cli::ExitCode::wrong_use;
  }
  const auto report = postgres_store::bench_partitions(
      flags.bench, [](const std::string& step) { std::cerr << step << '\n'; });
  if (!report) {
    std::cerr << "penstock bench partitions: " << report.error().detail << '\n';
    return cli::ExitCode::failed;
  }
  if (flags.json) {
    std::cout << json_of(*report, flags.bench);
  } else {
    print_table(*report, std::cout);
  }
  for (const std::string& name : report->unpruned) {
    std::cerr << "penstock bench partitions: not pruned: " << name << '\n';
  }
  return report->unpruned.empty() ? cli::ExitCode::done : cli::ExitCode::failed;
}

}  // namespace

void add_bench_partitions(CLI::App& bench, Action& action) {
  CLI::App* const command = bench.add_subcommand(
      "partitions", "months of history in partitions against one plain table, in a scratch schema");
  auto const flags = std::make_shared<PartitionFlags>();
  command->add_option("--store", flags->bench.url, "postgres://... of a role that makes schemas")
      ->envname("PENSTOCK_STORE")
      ->required()
      ->type_name("URL");
  command->add_option("--months", flags->bench.months)
      ->check(CLI::Range(2, 120))
      ->capture_default_str();
  command->add_option("--orders-per-month", flags->bench.orders_per_month)
      ->check(CLI::Range(10, 10'000'000))
      ->capture_default_str();
  command->add_option("--repeats", flags->bench.repeats, "of each query")
      ->check(CLI::Range(1, 10'000))
      ->capture_default_str();
  command->add_flag("--json", flags->json, "the report as JSON");
  command->callback([&action, flags] { action = [flags] { return run_partitions(*flags); }; });
}

}  // namespace penstock::main

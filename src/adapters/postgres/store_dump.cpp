#include "adapters/postgres/store_dump.h"

#include <algorithm>
#include <string>

#include "adapters/postgres/binary.h"
#include "adapters/postgres/migrations.h"
#include "adapters/postgres/order_codec.h"

namespace penstock::postgres_store {
namespace {

using domain::TenantId;

/// Rows that are fetched at once.
constexpr std::size_t kFetched = 1'000;

constexpr const char* kBegin =
    "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL statement_timeout = 0;"
    "SET LOCAL idle_in_transaction_session_timeout = 0";

/// One step of the snapshot, sorting what it reads included.
constexpr domain::Duration kFetchTimeout = domain::Duration::seconds(1'800);

class Dump {
 public:
  Dump(Connection& connection, ports::DumpVisitor& visitor)
      : connection_(connection), visitor_(visitor) {}

  std::expected<void, Failure> run() {
    if (auto begun = connection_.execute(kBegin); !begun) return begun;
    const struct {
      const char* sql;
      void (Dump::*tell)(const Rows&, std::size_t);
    } parts[] = {
        {"SELECT FROM dropped_months LIMIT 1", &Dump::dropped},
        {"SELECT * FROM active_records", &Dump::active},
        {"SELECT * FROM ended_orders", &Dump::ended},
        {"SELECT tenant_id, product_id, received, reserved, sold FROM stock", &Dump::stock},
        {"SELECT tenant_id, key, fingerprint, order_id, expires_at FROM idempotency_keys",
         &Dump::key},
        {"SELECT (e ->> 0)::uuid FROM outbox, jsonb_array_elements(entries) e"
         " UNION ALL SELECT order_id FROM deliveries",
         &Dump::delivery},
    };
    for (const auto& part : parts) {
      if (auto told = each(part.sql, part.tell); !told) return told;
    }
    return connection_.execute("COMMIT");
  }

 private:
  std::expected<void, Failure> each(const std::string& sql,
                                    void (Dump::*tell)(const Rows&, std::size_t)) {
    auto opened = connection_.execute("DECLARE all_rows NO SCROLL CURSOR FOR " + sql);
    if (!opened) return opened;
    for (;;) {
      const auto rows = connection_.query("FETCH " + std::to_string(kFetched) + " FROM all_rows");
      if (!rows) return std::unexpected(rows.error());
      for (std::size_t row = 0; row < rows->size(); ++row) (this->*tell)(*rows, row);
      if (rows->size() < kFetched) return connection_.execute("CLOSE all_rows");
    }
  }

  static std::string name_of(const Rows& rows, std::size_t row) {
    return order_id_from(rows.bytes(row, 0)).str();
  }

  void dropped(const Rows&, std::size_t) { visitor_.history_dropped(); }

  void active(const Rows& rows, std::size_t row) {
    const auto order = decode_order(fields_of(rows, row, 0, kRecordColumns));
    if (!order) return visitor_.corrupt("active_orders", name_of(rows, row));
    visitor_.active_order(*order);
  }

  void ended(const Rows& rows, std::size_t row) {
    const auto order = decode_order(fields_of(rows, row, 0, kRecordColumns));
    if (!order) return visitor_.corrupt("orders", name_of(rows, row));
    visitor_.ended_order(*order, rows.is_null(row, kRecordColumns)
                                     ? std::string_view{}
                                     : rows.bytes(row, kRecordColumns));
  }

  void stock(const Rows& rows, std::size_t row) {
    visitor_.stock(TenantId::unchecked(std::string(rows.bytes(row, 0))),
                   domain::ProductId::unchecked(std::string(rows.bytes(row, 1))),
                   {.received = rows.integer(row, 2),
                    .reserved = rows.integer(row, 3),
                    .sold = rows.integer(row, 4)});
  }

  void key(const Rows& rows, std::size_t row) {
    const std::string_view print = rows.bytes(row, 2);
    domain::IdempotencyRecord record;
    if (print.size() != record.fingerprint.size()) {
      return visitor_.corrupt("idempotency_keys", rows.bytes(row, 1));
    }
    std::ranges::copy(print, record.fingerprint.begin());
    record.order = order_id_from(rows.bytes(row, 3));
    record.expires_at = instant_from(rows.bytes(row, 4));
    visitor_.idempotency(TenantId::unchecked(std::string(rows.bytes(row, 0))),
                         domain::IdempotencyKey::unchecked(std::string(rows.bytes(row, 1))),
                         record);
  }

  void delivery(const Rows& rows, std::size_t row) {
    visitor_.waiting_delivery(order_id_from(rows.bytes(row, 0)));
  }

  Connection& connection_;
  ports::DumpVisitor& visitor_;
};

}  // namespace

std::expected<void, Failure> dump(const ConnectionOptions& options, ports::DumpVisitor& visitor) {
  auto connection = Connection::open(options, {});
  if (!connection) return std::unexpected(std::move(connection.error()));
  if (auto set = (*connection)->allow(kFetchTimeout); !set) return set;
  if (auto checked = check_schema_version(**connection, options.schema); !checked) return checked;
  return Dump(**connection, visitor).run();
}

}  // namespace penstock::postgres_store

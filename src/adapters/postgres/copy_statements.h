#pragma once

#include "adapters/postgres/connection.h"

/// What a copy into the store's schema runs. The tables are those of deploy/postgres; the columns
/// of order_facts and order_state are named in the order of those types.
namespace penstock::postgres_store::copy_statements {

inline constexpr Statement kEnded{.name = "copy_ended", .sql = R"~(
WITH input AS MATERIALIZED (
  SELECT z.* FROM ROWS FROM (unnest($1::order_facts[]), unnest($2::order_state[]))
    z(order_id, created_at, tenant_id, customer_id, total_minor, currency, payment_method,
      correlation_id, traceparent, placed_at, items, metadata, same_order)),
stored AS (
  INSERT INTO orders
  SELECT order_id, created_at, tenant_id, customer_id, total_minor, currency, payment_method,
         correlation_id, traceparent, placed_at, items, metadata, updated_at, status, version,
         reason, charge, handover, holds_stock, capture_reference, key_generation, charge_since,
         attempts, first_error, last_error, first_failed_at, interruptions, redrives, due,
         dead_letter_state, dead_letter_stage, dead_letter_first_error, dead_letter_last_error,
         dead_letter_attempts, dead_letter_first_failed_at, dead_letter_at, events, receipt
  FROM input ON CONFLICT DO NOTHING)
INSERT INTO events (order_id, created_at, kind, number, at, reason, attempt)
SELECT n.order_id, created_of(n.order_id), 2, n.number, n.at, n.reason, n.attempt
FROM unnest($3::uuid[], $4::integer[], $5::timestamptz[], $6::smallint[], $7::integer[])
     n(order_id, number, at, reason, attempt)
ON CONFLICT DO NOTHING)~"};

inline constexpr Statement kKeys{.name = "copy_keys", .sql = R"~(
INSERT INTO idempotency_keys AS k (tenant_id, key, fingerprint, order_id, expires_at)
SELECT * FROM unnest($1::text[], $2::text[], $3::bytea[], $4::uuid[], $5::timestamptz[])
ON CONFLICT (tenant_id, key) DO UPDATE SET fingerprint = excluded.fingerprint,
  order_id = excluded.order_id, expires_at = excluded.expires_at
  WHERE k.expires_at < excluded.expires_at)~"};

inline constexpr Statement kActive{
    .name = "copy_active",
    .sql =
        "SELECT write_active(store_now(), $1::order_facts[], $2::order_state[], NULL, NULL, NULL)"};

inline constexpr Statement kStock{.name = "copy_stock", .sql = R"~(
INSERT INTO stock (tenant_id, product_id, received, reserved, sold)
SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[], $5::bigint[]))~"};

/// A tenant with a bucket had an order, and is listed among the tenants.
inline constexpr Statement kBuckets{.name = "copy_buckets", .sql = R"~(
WITH input AS MATERIALIZED (
  SELECT * FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[],
                       $6::bigint[], $7::bigint[])
    i(tenant_id, used, virtual_time, remainder, rate, period, burst)),
listed AS (INSERT INTO contracts (tenant_id) SELECT tenant_id FROM input ON CONFLICT DO NOTHING)
INSERT INTO buckets (tenant_id, used, virtual_time, remainder, at_ns, rate_micro_tokens,
                     rate_period_ns, burst)
SELECT tenant_id, used, virtual_time, remainder, 0, rate, period, burst FROM input)~"};

inline constexpr Statement kContracts{.name = "copy_contracts", .sql = R"~(
INSERT INTO contracts (tenant_id, rate_micro_tokens, rate_period_ns, burst, guarantee_micro_tokens,
                       guarantee_period_ns, weight, webhook_url, webhook_secret, webhook_disabled)
SELECT * FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[],
                     $6::bigint[], $7::bigint[], $8::text[], $9::bytea[], $10::boolean[]))~"};

inline constexpr Statement kBatches{.name = "copy_batches", .sql = R"~(
INSERT INTO outbox (sequence, entries) OVERRIDING SYSTEM VALUE
SELECT sequence, jsonb_agg(jsonb_build_array(order_id, tenant_id, status) ORDER BY place)
FROM unnest($1::bigint[], $2::uuid[], $3::text[], $4::smallint[])
     WITH ORDINALITY i(sequence, order_id, tenant_id, status, place)
GROUP BY sequence)~"};

inline constexpr Statement kDeliveries{.name = "copy_deliveries", .sql = R"~(
INSERT INTO deliveries (order_id, created_at, tenant_id, attempt, due)
SELECT order_id, created_of(order_id), tenant_id, attempt, due
FROM unnest($1::uuid[], $2::text[], $3::integer[], $4::timestamptz[])
     i(order_id, tenant_id, attempt, due))~"};

inline constexpr Statement kPlace{.name = "copy_place",
                                  .sql = "UPDATE store_copy SET step = $1, after = $2"};
inline constexpr Statement kTypes{.name = "copy_types",
                                  .sql =
                                      "SELECT 'order_facts'::regtype::oid::bigint,"
                                      " 'order_state'::regtype::oid::bigint"};

/// Sums by name. Values of one row stay below 2^53, so that sums of them modulo a prime cannot
/// overflow; `$1` is when a key has to live.
inline constexpr Statement kTally{.name = "copy_tally", .sql = R"~(
WITH ended AS (
  SELECT to_char(created_at AT TIME ZONE 'UTC', 'YYYY-MM') AS month, status, total_minor, version,
         updated_at, timeline, receipt FROM orders),
sums(name, value) AS (
  SELECT month || ' orders of status ' || status, count(*) FROM ended GROUP BY month, status
  UNION ALL SELECT month || ' minor units', sum(total_minor % 1000003) FROM ended GROUP BY month
  UNION ALL SELECT month || ' versions', sum(version) FROM ended GROUP BY month
  UNION ALL SELECT month || ' times',
                   sum((extract(epoch FROM updated_at) * 1000000)::bigint % 1000003)
            FROM ended GROUP BY month
  UNION ALL SELECT month || ' events of kind 1', sum(jsonb_array_length(timeline)) FROM ended
            GROUP BY month
  UNION ALL SELECT to_char(created_at AT TIME ZONE 'UTC', 'YYYY-MM') || ' events of kind ' || kind,
                   count(*) FROM events GROUP BY 1
  UNION ALL SELECT month || ' receipt bytes', sum(length(receipt)) FROM ended GROUP BY month
  UNION ALL SELECT 'active orders of status ' || status, count(*) FROM active_orders GROUP BY status
  UNION ALL SELECT 'active minor units', sum(total_minor % 1000003) FROM active_orders
  UNION ALL SELECT 'active versions', sum(version) FROM active_orders
  UNION ALL SELECT 'active events', sum(jsonb_array_length(timeline)) FROM active_orders
  UNION ALL SELECT 'active interruptions', sum(interruptions) FROM active_orders
  UNION ALL SELECT 'keys', count(*) FROM idempotency_keys WHERE expires_at > $1
  UNION ALL SELECT 'products', count(*) FROM stock
  UNION ALL SELECT 'pieces received', sum(received) FROM stock
  UNION ALL SELECT 'pieces reserved', sum(reserved) FROM stock
  UNION ALL SELECT 'pieces sold', sum(sold) FROM stock
  UNION ALL SELECT 'contracts', count(*) FROM contracts WHERE rate_micro_tokens IS NOT NULL
  UNION ALL SELECT 'buckets', count(*) FROM buckets
  UNION ALL SELECT 'tokens used', sum(used % 1000003) FROM buckets
  UNION ALL SELECT 'terminal batches', count(*) FROM outbox
  UNION ALL SELECT 'orders in terminal batches', sum(jsonb_array_length(entries)) FROM outbox
  UNION ALL SELECT 'deliveries', count(*) FROM deliveries
  UNION ALL SELECT 'delivery attempts', sum(attempt) FROM deliveries)
SELECT name, value::bigint FROM sums WHERE value <> 0)~"};

inline constexpr Statement kAll[] = {kEnded,   kKeys,       kActive, kStock, kBuckets, kContracts,
                                     kBatches, kDeliveries, kPlace,  kTypes, kTally};

/// One row from `begin` on.
inline constexpr const char* kTable = R"~(
CREATE TABLE IF NOT EXISTS store_copy (
  source text NOT NULL, state text NOT NULL DEFAULT 'copying',
  copied_batches bigint NOT NULL DEFAULT 0, copied_until timestamptz,
  pass_to bigint, pass_until timestamptz, step text NOT NULL DEFAULT '',
  after bytea NOT NULL DEFAULT '', started_at timestamptz NOT NULL DEFAULT now(),
  ended_at timestamptz);
)~";

/// Refuses where anything is stored or a process uses the schema. The trigger comes first: from it
/// on no process starts, and one that had started is seen.
inline constexpr const char* kBegin = R"~(
CREATE FUNCTION refuse_while_copied() RETURNS trigger LANGUAGE plpgsql AS $f$
BEGIN
  RAISE EXCEPTION 'this store is being filled by penstock copy' USING ERRCODE = '55000';
END $f$;
CREATE TRIGGER copy_in_progress BEFORE INSERT OR UPDATE ON node_marks
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_while_copied();
DO $$ BEGIN
  IF EXISTS (SELECT FROM node_marks WHERE is_running) THEN
    RAISE EXCEPTION 'a process uses this store, or ended without a farewell'
      USING ERRCODE = '55006';
  END IF;
  IF EXISTS (SELECT FROM active_orders) OR EXISTS (SELECT FROM orders)
     OR EXISTS (SELECT FROM idempotency_keys) OR EXISTS (SELECT FROM stock)
     OR EXISTS (SELECT FROM contracts) OR EXISTS (SELECT FROM buckets)
     OR EXISTS (SELECT FROM outbox) OR EXISTS (SELECT FROM deliveries) THEN
    RAISE EXCEPTION 'this store is not empty' USING ERRCODE = '55006';
  END IF;
END $$;
)~";

inline constexpr const char* kClearLive =
    "TRUNCATE active_orders, stock, buckets, contracts, outbox, deliveries, active_counts";

/// The time since the source's last write counts for no bucket.
inline constexpr const char* kFinish = R"~(
UPDATE buckets SET at_ns = bucket_now_ns();
INSERT INTO active_counts SELECT 'copied', count(*) FROM active_orders;
SELECT setval(pg_get_serial_sequence('outbox', 'sequence'),
              (SELECT coalesce(max(sequence), 0) + 1 FROM outbox), false);
DROP TRIGGER copy_in_progress ON node_marks;
DROP FUNCTION refuse_while_copied();
)~";

}  // namespace penstock::postgres_store::copy_statements

#pragma once

#include <iterator>
#include <list>
#include <string>
#include <string_view>
#include <vector>

#include "adapters/postgres/connection.h"

/// The peer's schema and statements: plain SQL over batches, tables claimed by FOR UPDATE SKIP
/// LOCKED. Every statement is one round trip for a whole batch. Between `--timeline` and `--end`
/// stands what writes the orders' timelines, a row a step.
namespace penstock::peer::sql {

using postgres_store::Statement;

/// `jobs` is what the stages work on: narrow, and gone with the order's end. Without the index its
/// updates are heap-only, and a claim scans the table.
inline constexpr const char* kSchema = R"~(
CREATE TABLE orders (
  order_id uuid PRIMARY KEY, created_at timestamptz NOT NULL, tenant_id text COLLATE "C" NOT NULL,
  customer_id text NOT NULL, items jsonb NOT NULL, total_minor bigint NOT NULL,
  currency text NOT NULL, payment_method text NOT NULL, status smallint NOT NULL,
  capture_reference text, updated_at timestamptz NOT NULL) WITH (fillfactor = 80);
CREATE INDEX orders_tenant ON orders (tenant_id, order_id);
CREATE TABLE idempotency_keys (
  tenant_id text COLLATE "C", key text COLLATE "C", fingerprint bytea NOT NULL,
  order_id uuid NOT NULL, expires_at timestamptz NOT NULL, PRIMARY KEY (tenant_id, key));
CREATE INDEX idempotency_keys_expiry ON idempotency_keys (expires_at);
CREATE TABLE buckets (
  tenant_id text COLLATE "C" PRIMARY KEY, tokens double precision NOT NULL,
  at timestamptz NOT NULL, rate double precision NOT NULL, burst double precision NOT NULL)
  WITH (fillfactor = 50);
CREATE TABLE stock (
  tenant_id text COLLATE "C", product_id text COLLATE "C", available bigint NOT NULL,
  reserved bigint NOT NULL DEFAULT 0, sold bigint NOT NULL DEFAULT 0,
  PRIMARY KEY (tenant_id, product_id), CHECK (available >= 0 AND reserved >= 0))
  WITH (fillfactor = 50);
CREATE TABLE events (
  order_id uuid, number smallint, status smallint NOT NULL, at timestamptz NOT NULL,
  PRIMARY KEY (order_id, number));
CREATE TABLE receipts (order_id uuid PRIMARY KEY, receipt bytea NOT NULL);
CREATE TABLE jobs (
  order_id uuid PRIMARY KEY, stage smallint NOT NULL, tenant_id text COLLATE "C" NOT NULL,
  products text[] NOT NULL, quantities integer[] NOT NULL, total_minor bigint NOT NULL,
  capture_reference text)
  WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000,
        autovacuum_vacuum_cost_delay = 0);
)~";
inline constexpr const char* kStageIndex = "CREATE INDEX jobs_stage ON jobs (stage, order_id)";

/// Accepts a batch: keys that are new, a token each, the order and its job. Answers the ids that
/// were stored; the others were replays, or their tenant had no tokens for all of its orders.
inline constexpr Statement kIngest{.name = "ingest", .sql = R"~(
WITH input AS MATERIALIZED (
  SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::bytea[], $6::text[],
                       $7::int[], $8::bigint[], $9::text[])
    i(order_id, tenant_id, customer_id, key, fingerprint, product_id, quantity, price, method)),
fresh AS MATERIALIZED (
  SELECT * FROM input i WHERE NOT EXISTS (
    SELECT FROM idempotency_keys k WHERE k.tenant_id = i.tenant_id AND k.key = i.key)),
asked AS MATERIALIZED (SELECT tenant_id, count(*) AS tokens FROM fresh GROUP BY tenant_id),
locked AS MATERIALIZED (
  SELECT b.tenant_id FROM buckets b WHERE b.tenant_id IN (SELECT tenant_id FROM asked)
  ORDER BY b.tenant_id FOR UPDATE),
taken AS (
  UPDATE buckets b SET at = clock_timestamp(), tokens =
    least(b.burst, b.tokens + b.rate * extract(epoch FROM clock_timestamp() - b.at)) - a.tokens
  FROM asked a JOIN locked l USING (tenant_id) WHERE b.tenant_id = a.tenant_id
    AND least(b.burst, b.tokens + b.rate * extract(epoch FROM clock_timestamp() - b.at))
        >= a.tokens
  RETURNING b.tenant_id),
keyed AS (
  INSERT INTO idempotency_keys
  SELECT f.tenant_id, f.key, f.fingerprint, f.order_id, now() + interval '7 days'
  FROM fresh f JOIN taken USING (tenant_id) ORDER BY f.tenant_id, f.key
  ON CONFLICT DO NOTHING RETURNING order_id),
stored AS (
  INSERT INTO orders
  SELECT i.order_id, now(), i.tenant_id, i.customer_id,
         jsonb_build_array(jsonb_build_array(i.product_id, i.quantity, i.price)),
         i.quantity * i.price, 'USD', i.method, 1, NULL, now()
  FROM keyed JOIN input i USING (order_id)),
--timeline
noted AS (INSERT INTO events SELECT order_id, 1, 1, now() FROM keyed),
--end
queued AS (
  INSERT INTO jobs
  SELECT i.order_id, 1, i.tenant_id, ARRAY[i.product_id], ARRAY[i.quantity],
         i.quantity * i.price, NULL
  FROM keyed JOIN input i USING (order_id))
SELECT order_id FROM keyed)~"};

/// Accepts one order: the same, of one request in a transaction of its own.
inline constexpr Statement kIngestOne{.name = "ingest_one", .sql = R"~(
WITH taken AS (
  UPDATE buckets b SET at = clock_timestamp(), tokens =
    least(b.burst, b.tokens + b.rate * extract(epoch FROM clock_timestamp() - b.at)) - 1
  WHERE b.tenant_id = $2::text
    AND least(b.burst, b.tokens + b.rate * extract(epoch FROM clock_timestamp() - b.at)) >= 1
    AND NOT EXISTS (
      SELECT FROM idempotency_keys k WHERE k.tenant_id = $2::text AND k.key = $4::text)
  RETURNING b.tenant_id),
keyed AS (
  INSERT INTO idempotency_keys
  SELECT tenant_id, $4::text, $5::bytea, $1::uuid, now() + interval '7 days' FROM taken
  ON CONFLICT DO NOTHING RETURNING order_id, tenant_id),
stored AS (
  INSERT INTO orders
  SELECT order_id, now(), tenant_id, $3::text,
         jsonb_build_array(jsonb_build_array($6::text, $7::int, $8::bigint)),
         $7::int * $8::bigint, 'USD', $9::text, 1, NULL, now()
  FROM keyed),
--timeline
noted AS (INSERT INTO events SELECT order_id, 1, 1, now() FROM keyed),
--end
queued AS (
  INSERT INTO jobs
  SELECT order_id, 1, tenant_id, ARRAY[$6::text], ARRAY[$7::int], $7::int * $8::bigint, NULL
  FROM keyed)
SELECT order_id FROM keyed)~"};

/// Stage 1: reserves what a batch needs, order by order in their sequence; who comes short is
/// rejected. Answers how many it took.
inline constexpr Statement kInventory{.name = "inventory", .sql = R"~(
WITH claimed AS MATERIALIZED (
  SELECT order_id, tenant_id, products, quantities FROM jobs WHERE stage = 1
  ORDER BY order_id LIMIT $1::int FOR UPDATE SKIP LOCKED),
lines AS MATERIALIZED (
  SELECT c.order_id, c.tenant_id, u.product_id, u.quantity,
         sum(u.quantity) OVER (PARTITION BY c.tenant_id, u.product_id ORDER BY c.order_id)
           AS running
  FROM claimed c, unnest(c.products, c.quantities) u(product_id, quantity)),
locked AS MATERIALIZED (
  SELECT s.tenant_id, s.product_id, s.available FROM stock s
  JOIN (SELECT DISTINCT tenant_id, product_id FROM lines) l USING (tenant_id, product_id)
  ORDER BY s.tenant_id, s.product_id FOR UPDATE OF s),
short AS MATERIALIZED (
  SELECT DISTINCT l.order_id FROM lines l LEFT JOIN locked s USING (tenant_id, product_id)
  WHERE s.available IS NULL OR l.running > s.available),
wanted AS (
  SELECT tenant_id, product_id, sum(quantity) AS pieces FROM lines
  WHERE order_id NOT IN (SELECT order_id FROM short) GROUP BY tenant_id, product_id),
reserved AS (
  UPDATE stock s SET available = s.available - w.pieces, reserved = s.reserved + w.pieces
  FROM wanted w WHERE s.tenant_id = w.tenant_id AND s.product_id = w.product_id),
rejected AS (
  UPDATE orders o SET status = 5, updated_at = now()
  FROM short WHERE o.order_id = short.order_id),
--timeline
noted AS (
  INSERT INTO events
  SELECT c.order_id, 2, CASE WHEN s.order_id IS NULL THEN 2 ELSE 5 END, now()
  FROM claimed c LEFT JOIN short s USING (order_id)),
--end
moved AS (
  UPDATE jobs j SET stage = CASE WHEN s.order_id IS NULL THEN 2 ELSE 4 END
  FROM claimed c LEFT JOIN short s USING (order_id) WHERE j.order_id = c.order_id)
SELECT count(*) FROM claimed)~"};

/// Stage 2: what is to be charged. The rows stay locked until the same transaction stores the
/// captures.
inline constexpr Statement kCharges{.name = "charges", .sql = R"~(
SELECT order_id, total_minor FROM jobs WHERE stage = 2
ORDER BY order_id LIMIT $1::int FOR UPDATE SKIP LOCKED)~"};
inline constexpr Statement kCharged{.name = "charged", .sql = R"~(
WITH input AS MATERIALIZED (
  SELECT * FROM unnest($1::uuid[], $2::text[]) i(order_id, reference)),
--timeline
noted AS (INSERT INTO events SELECT order_id, 3, 3, now() FROM input),
--end
nothing AS (SELECT 1)
UPDATE jobs j SET stage = 3, capture_reference = i.reference
FROM input i WHERE j.order_id = i.order_id)~"};

/// Stage 3: what receipts are made of, and their end.
inline constexpr Statement kReceipts{.name = "receipts", .sql = R"~(
SELECT order_id, tenant_id, products[1], quantities[1], total_minor, capture_reference FROM jobs
WHERE stage = 3 ORDER BY order_id LIMIT $1::int FOR UPDATE SKIP LOCKED)~"};
inline constexpr Statement kFulfilled{.name = "fulfilled", .sql = R"~(
WITH input AS MATERIALIZED (
  SELECT * FROM unnest($1::uuid[], $2::bytea[]) i(order_id, receipt)),
done AS (
  UPDATE jobs j SET stage = 4 FROM input i WHERE j.order_id = i.order_id
  RETURNING j.order_id, j.tenant_id, j.products, j.quantities, j.capture_reference),
--timeline
noted AS (INSERT INTO events SELECT order_id, 4, 4, now() FROM input),
--end
kept AS (INSERT INTO receipts SELECT order_id, receipt FROM input),
pieces AS MATERIALIZED (
  SELECT d.tenant_id, u.product_id, sum(u.quantity) AS sold
  FROM done d, unnest(d.products, d.quantities) u(product_id, quantity) GROUP BY 1, 2),
locked AS MATERIALIZED (
  SELECT s.tenant_id, s.product_id, p.sold FROM stock s JOIN pieces p USING (tenant_id, product_id)
  ORDER BY s.tenant_id, s.product_id FOR UPDATE OF s),
sold AS (
  UPDATE stock s SET reserved = s.reserved - l.sold, sold = s.sold + l.sold
  FROM locked l WHERE s.tenant_id = l.tenant_id AND s.product_id = l.product_id)
UPDATE orders o SET status = 4, capture_reference = d.capture_reference, updated_at = now()
FROM done d WHERE o.order_id = d.order_id)~"};

/// Stage 5: what ended and is to be told.
inline constexpr Statement kNotified{.name = "notified", .sql = R"~(
WITH claimed AS MATERIALIZED (
  SELECT order_id FROM jobs WHERE stage = 4
  ORDER BY order_id LIMIT $1::int FOR UPDATE SKIP LOCKED),
--timeline
noted AS (INSERT INTO events SELECT order_id, 9, 9, now() FROM claimed),
--end
gone AS (DELETE FROM jobs j USING claimed c WHERE j.order_id = c.order_id)
SELECT order_id FROM claimed)~"};

inline constexpr Statement kBegin{.name = "peer_begin", .sql = "BEGIN"};
inline constexpr Statement kCommit{.name = "peer_commit", .sql = "COMMIT"};

inline constexpr Statement kPutTenant{
    .name = "put_tenant",
    .sql =
        "INSERT INTO buckets VALUES ($1, $3, clock_timestamp(), $2, $3) ON CONFLICT (tenant_id)"
        " DO UPDATE SET tokens = excluded.tokens, rate = excluded.rate, burst = excluded.burst"};
inline constexpr Statement kPutStock{
    .name = "put_stock",
    .sql =
        "INSERT INTO stock VALUES ($1, $2, $3) ON CONFLICT (tenant_id, product_id)"
        " DO UPDATE SET available = excluded.available"};

inline constexpr Statement kAll[] = {kIngest,    kIngestOne, kInventory, kCharges,
                                     kCharged,   kReceipts,  kFulfilled, kNotified,
                                     kPutTenant, kPutStock,  kBegin,     kCommit};

enum class Timeline { kept, none };

/// All statements, to be prepared.
inline std::vector<Statement> statements(Timeline timeline) {
  static std::list<std::string> texts;
  std::vector<Statement> all(std::begin(kAll), std::end(kAll));
  if (timeline == Timeline::kept) return all;
  for (Statement& statement : all) {
    std::string& text = texts.emplace_back(statement.sql);
    for (std::size_t at = text.find("--timeline"); at != std::string::npos;
         at = text.find("--timeline")) {
      constexpr std::string_view kEnd = "--end";
      text.erase(at, text.find(kEnd, at) + kEnd.size() - at);
    }
    statement.sql = text.c_str();
  }
  return all;
}

}  // namespace penstock::peer::sql

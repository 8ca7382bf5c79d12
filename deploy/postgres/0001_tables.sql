-- Tables. Runs with search_path set to the store's schema. Enumerations are stored by the numbers
-- of src/domain (append only); money, stock and token counts are bigint; times are timestamptz.

-- An order as the client gave it. created_at is the millisecond that the id names, and so the
-- partition; placed_at is the exact time.
CREATE TYPE order_facts AS (
  order_id uuid, created_at timestamptz, tenant_id text, customer_id text, total_minor bigint,
  currency text, payment_method text, correlation_id text, traceparent text,
  placed_at timestamptz, items jsonb, metadata jsonb);

-- What a commit changes. stage is the queue's, 0 at the end; events are those after the version
-- that was read: [version, microseconds since 1970, from, to, stage, reason, attempt].
CREATE TYPE order_state AS (
  order_id uuid, stage smallint,
  updated_at timestamptz, status smallint, version integer, reason smallint, charge smallint,
  handover smallint, holds_stock boolean, capture_reference bytea, key_generation integer,
  charge_since timestamptz, attempts integer, first_error smallint, last_error smallint,
  first_failed_at timestamptz, interruptions integer, redrives integer, due timestamptz,
  dead_letter_state smallint, dead_letter_stage smallint, dead_letter_first_error smallint,
  dead_letter_last_error smallint, dead_letter_attempts integer,
  dead_letter_first_failed_at timestamptz, dead_letter_at timestamptz,
  events jsonb, receipt bytea);

-- Orders that are not terminal: small and hot. The lease columns are in no index, so a claim and a
-- release of it are heap-only updates.
CREATE TABLE active_orders (
  order_id uuid PRIMARY KEY,
  created_at timestamptz NOT NULL,
  tenant_id text COLLATE "C" NOT NULL,
  customer_id text NOT NULL,
  total_minor bigint NOT NULL CHECK (total_minor >= 0),
  currency text NOT NULL,
  payment_method text NOT NULL,
  correlation_id text NOT NULL,
  traceparent text NOT NULL,
  placed_at timestamptz NOT NULL,
  items jsonb NOT NULL,
  metadata jsonb NOT NULL,
  updated_at timestamptz NOT NULL,
  status smallint NOT NULL CHECK (status IN (1, 2, 3, 6)),
  version integer NOT NULL CHECK (version > 0),
  reason smallint NOT NULL,
  charge smallint NOT NULL,
  handover smallint NOT NULL,
  holds_stock boolean NOT NULL,
  capture_reference bytea NOT NULL,
  key_generation integer NOT NULL,
  charge_since timestamptz NOT NULL,
  attempts integer NOT NULL,
  first_error smallint NOT NULL,
  last_error smallint NOT NULL,
  first_failed_at timestamptz NOT NULL,
  interruptions integer NOT NULL,
  redrives integer NOT NULL,
  due timestamptz NOT NULL,
  dead_letter_state smallint,
  dead_letter_stage smallint,
  dead_letter_first_error smallint,
  dead_letter_last_error smallint,
  dead_letter_attempts integer,
  dead_letter_first_failed_at timestamptz,
  dead_letter_at timestamptz,
  timeline jsonb NOT NULL,
  stage smallint NOT NULL CHECK (stage IN (2, 3, 4)),
  timed boolean NOT NULL,          -- waits for queue_due; else a first claim, in line since then
  queue_due timestamptz NOT NULL,
  lease_owner text,                -- a node; stays after a release until the next claim or commit
  lease_until timestamptz NOT NULL DEFAULT '-infinity'
) WITH (fillfactor = 60, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_cost_delay = 0);
CREATE INDEX active_orders_line ON active_orders (stage, tenant_id, queue_due, order_id)
  WHERE NOT timed;
CREATE INDEX active_orders_timed ON active_orders (stage, queue_due, order_id) WHERE timed;
CREATE INDEX active_orders_tenant ON active_orders (tenant_id, order_id);
CREATE INDEX active_orders_dead_letters ON active_orders (order_id)
  WHERE dead_letter_state IS NOT NULL;
CREATE INDEX active_orders_owed ON active_orders (order_id) WHERE status = 6 AND charge = 2;

-- Orders that ended: written once.
CREATE TABLE orders (
  order_id uuid NOT NULL,
  created_at timestamptz NOT NULL,
  tenant_id text COLLATE "C" NOT NULL,
  customer_id text NOT NULL,
  total_minor bigint NOT NULL CHECK (total_minor >= 0),
  currency text NOT NULL,
  payment_method text NOT NULL,
  correlation_id text NOT NULL,
  traceparent text NOT NULL,
  placed_at timestamptz NOT NULL,
  items jsonb NOT NULL,
  metadata jsonb NOT NULL,
  updated_at timestamptz NOT NULL,
  status smallint NOT NULL CHECK (status IN (4, 5, 7)),
  version integer NOT NULL,
  reason smallint NOT NULL,
  charge smallint NOT NULL,
  handover smallint NOT NULL,
  holds_stock boolean NOT NULL,
  capture_reference bytea NOT NULL,
  key_generation integer NOT NULL,
  charge_since timestamptz NOT NULL,
  attempts integer NOT NULL,
  first_error smallint NOT NULL,
  last_error smallint NOT NULL,
  first_failed_at timestamptz NOT NULL,
  interruptions integer NOT NULL,
  redrives integer NOT NULL,
  due timestamptz NOT NULL,
  dead_letter_state smallint,
  dead_letter_stage smallint,
  dead_letter_first_error smallint,
  dead_letter_last_error smallint,
  dead_letter_attempts integer,
  dead_letter_first_failed_at timestamptz,
  dead_letter_at timestamptz,
  PRIMARY KEY (order_id, created_at)
) PARTITION BY RANGE (created_at);
CREATE INDEX orders_tenant ON orders (tenant_id, order_id);
CREATE INDEX orders_dead_letters ON orders (order_id) WHERE dead_letter_state IS NOT NULL;

-- The timelines of orders that ended (kind 1, number = version), and the notifications of them
-- (kind 2, number = place; the first is the log entry's).
CREATE TABLE events (
  order_id uuid NOT NULL,
  created_at timestamptz NOT NULL,
  kind smallint NOT NULL,
  number integer NOT NULL,
  at timestamptz NOT NULL,
  from_status smallint,
  to_status smallint,
  stage smallint,
  reason smallint NOT NULL,
  attempt integer NOT NULL,
  PRIMARY KEY (order_id, created_at, kind, number)
) PARTITION BY RANGE (created_at);

CREATE TABLE receipts (
  order_id uuid NOT NULL,
  created_at timestamptz NOT NULL,
  receipt bytea NOT NULL,
  PRIMARY KEY (order_id, created_at)
) PARTITION BY RANGE (created_at);

-- Whatever no month takes; default_partition_rows must stay empty.
CREATE TABLE orders_default PARTITION OF orders DEFAULT;
CREATE TABLE events_default PARTITION OF events DEFAULT;
CREATE TABLE receipts_default PARTITION OF receipts DEFAULT;
-- The months that were dropped: an order of one of them is not lost, it is past its retention.
CREATE TABLE dropped_months (
  month date PRIMARY KEY,
  dropped_at timestamptz NOT NULL DEFAULT now()
);
CREATE VIEW default_partition_rows AS
  SELECT 'orders' AS table_name, order_id, created_at FROM orders_default
  UNION ALL SELECT 'events', order_id, created_at FROM events_default
  UNION ALL SELECT 'receipts', order_id, created_at FROM receipts_default;

-- Not partitioned by time: a key is unique over expiry boundaries. An expired row is taken over in
-- place; the rest is deleted in bounded batches.
CREATE TABLE idempotency_keys (
  tenant_id text COLLATE "C" NOT NULL,
  key text COLLATE "C" NOT NULL,
  fingerprint bytea NOT NULL,
  order_id uuid NOT NULL,
  expires_at timestamptz NOT NULL,
  PRIMARY KEY (tenant_id, key)
);
CREATE INDEX idempotency_keys_expiry ON idempotency_keys (expires_at);

-- Every tenant with a contract of its own or an order; without a rate the default is in force.
CREATE TABLE contracts (
  tenant_id text COLLATE "C" PRIMARY KEY,
  rate_micro_tokens bigint,
  rate_period_ns bigint,
  burst bigint,
  guarantee_micro_tokens bigint,
  guarantee_period_ns bigint,
  weight bigint,
  webhook_url text,
  webhook_secret bytea,
  webhook_disabled boolean
);

-- The GCRA on its virtual clock, under the contract that it was written under. Its row lock is the
-- tenant's admission mutex. at_ns never goes back.
CREATE TABLE buckets (
  tenant_id text COLLATE "C" PRIMARY KEY,
  used bigint NOT NULL CHECK (used >= 0),
  virtual_time bigint NOT NULL CHECK (virtual_time >= used),
  remainder bigint NOT NULL CHECK (remainder >= 0),
  at_ns bigint NOT NULL,
  rate_micro_tokens bigint NOT NULL,
  rate_period_ns bigint NOT NULL,
  burst bigint NOT NULL
) WITH (fillfactor = 50);

CREATE TABLE stock (
  tenant_id text COLLATE "C" NOT NULL,
  product_id text COLLATE "C" NOT NULL,
  received bigint NOT NULL,
  reserved bigint NOT NULL CHECK (reserved >= 0),
  sold bigint NOT NULL CHECK (sold >= 0),
  PRIMARY KEY (tenant_id, product_id),
  CHECK (received >= reserved + sold)
) WITH (fillfactor = 50);

-- Orders that ended together, until notification finished them: [order, tenant, status] each.
CREATE TABLE outbox (
  sequence bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  entries jsonb NOT NULL,
  lease_owner text,
  lease_until timestamptz NOT NULL DEFAULT '-infinity'
);

-- Webhook deliveries that are not over.
CREATE TABLE deliveries (
  order_id uuid PRIMARY KEY,
  created_at timestamptz NOT NULL,
  tenant_id text COLLATE "C" NOT NULL,
  attempt integer NOT NULL,
  due timestamptz NOT NULL,
  lease_owner text,
  lease_until timestamptz NOT NULL DEFAULT '-infinity'
) WITH (fillfactor = 70);
CREATE INDEX deliveries_due ON deliveries (due);

-- One row a process: what it runs, how it ended, and its part of the number of active orders. The
-- sum over the rows is the depth; each writer updates its own row, so none waits for another.
CREATE TABLE node_marks (
  node text PRIMARY KEY,
  is_running boolean NOT NULL DEFAULT false,
  unclean_ends integer NOT NULL DEFAULT 0,
  marks uuid[] NOT NULL DEFAULT '{}'
);
CREATE TABLE active_counts (
  node text PRIMARY KEY,
  active bigint NOT NULL
) WITH (fillfactor = 50);

-- An order as the adapter reads it, wherever it is.
CREATE VIEW active_records AS
  SELECT order_id, created_at, tenant_id, customer_id, total_minor, currency, payment_method,
         correlation_id, traceparent, placed_at, items, metadata,
         updated_at, status, version, reason, charge, handover, holds_stock, capture_reference,
         key_generation, charge_since, attempts, first_error, last_error, first_failed_at,
         interruptions, redrives, due, dead_letter_state, dead_letter_stage,
         dead_letter_first_error, dead_letter_last_error, dead_letter_attempts,
         dead_letter_first_failed_at, dead_letter_at, timeline
  FROM active_orders;
CREATE VIEW ended_records AS
  SELECT order_id, created_at, tenant_id, customer_id, total_minor, currency, payment_method,
         correlation_id, traceparent, placed_at, items, metadata,
         updated_at, status, version, reason, charge, handover, holds_stock, capture_reference,
         key_generation, charge_since, attempts, first_error, last_error, first_failed_at,
         interruptions, redrives, due, dead_letter_state, dead_letter_stage,
         dead_letter_first_error, dead_letter_last_error, dead_letter_attempts,
         dead_letter_first_failed_at, dead_letter_at,
         (SELECT jsonb_agg(jsonb_build_array(
                   e.number, (extract(epoch FROM e.at) * 1000000)::bigint, e.from_status,
                   e.to_status, e.stage, e.reason, e.attempt) ORDER BY e.number)
          FROM events e
          WHERE e.order_id = o.order_id AND e.created_at = o.created_at AND e.kind = 1) AS timeline
  FROM orders o;

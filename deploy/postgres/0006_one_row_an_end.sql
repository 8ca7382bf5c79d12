-- An order that ended is one row: its timeline and its receipt lie in it. What ended under the schema
-- before has its timeline in `events` and its receipt in `receipts`, and is read there; `events` goes
-- on taking the deliveries (kind 2). That a terminal batch was told of is noted once for all of its
-- orders.

ALTER TABLE orders
  ADD COLUMN timeline jsonb,
  ADD COLUMN receipt bytea,
  ADD COLUMN batch bigint,
  ADD COLUMN batch_created_at timestamptz;
ALTER TABLE outbox ADD COLUMN created_at timestamptz NOT NULL DEFAULT now();

-- Terminal batches that were told of; the sequence and the time are the outbox's. A batch is not
-- older than its orders, so its month goes with or after theirs.
CREATE TABLE terminal_batches (
  sequence bigint NOT NULL,
  created_at timestamptz NOT NULL,
  told_at timestamptz NOT NULL,
  PRIMARY KEY (sequence, created_at)
) PARTITION BY RANGE (created_at);
CREATE TABLE terminal_batches_default PARTITION OF terminal_batches DEFAULT;

CREATE OR REPLACE VIEW default_partition_rows AS
  SELECT 'orders' AS table_name, order_id, created_at FROM orders_default
  UNION ALL SELECT 'events', order_id, created_at FROM events_default
  UNION ALL SELECT 'receipts', order_id, created_at FROM receipts_default
  UNION ALL SELECT 'terminal_batches', NULL, created_at FROM terminal_batches_default;

-- An order that ended, as the adapter reads it, and what is kept beside it: its receipt, and when
-- the log was told of its end (null where that is noted in `events`, or was not yet).
CREATE VIEW ended_orders AS
  SELECT order_id, created_at, tenant_id, customer_id, total_minor, currency, payment_method,
         correlation_id, traceparent, placed_at, items, metadata,
         updated_at, status, version, reason, charge, handover, holds_stock, capture_reference,
         key_generation, charge_since, attempts, first_error, last_error, first_failed_at,
         interruptions, redrives, due, dead_letter_state, dead_letter_stage,
         dead_letter_first_error, dead_letter_last_error, dead_letter_attempts,
         dead_letter_first_failed_at, dead_letter_at,
         coalesce(o.timeline,
           (SELECT jsonb_agg(jsonb_build_array(
                     e.number, (extract(epoch FROM e.at) * 1000000)::bigint, e.from_status,
                     e.to_status, e.stage, e.reason, e.attempt) ORDER BY e.number)
            FROM events e
            WHERE e.order_id = o.order_id AND e.created_at = o.created_at AND e.kind = 1))
           AS timeline,
         coalesce(o.receipt,
           (SELECT r.receipt FROM receipts r
            WHERE r.order_id = o.order_id AND r.created_at = o.created_at)) AS receipt,
         (SELECT b.told_at FROM terminal_batches b
          WHERE b.sequence = o.batch AND b.created_at = o.batch_created_at) AS told_at
  FROM orders o;
CREATE OR REPLACE VIEW ended_records AS
  SELECT order_id, created_at, tenant_id, customer_id, total_minor, currency, payment_method,
         correlation_id, traceparent, placed_at, items, metadata,
         updated_at, status, version, reason, charge, handover, holds_stock, capture_reference,
         key_generation, charge_since, attempts, first_error, last_error, first_failed_at,
         interruptions, redrives, due, dead_letter_state, dead_letter_stage,
         dead_letter_first_error, dead_letter_last_error, dead_letter_attempts,
         dead_letter_first_failed_at, dead_letter_at, timeline
  FROM ended_orders;

-- Makes the months from the present one (UTC) to `months_ahead` later, where they are missing.
-- Safe to run at any time, by several at once. Returns how many partitions it made.
CREATE OR REPLACE FUNCTION create_monthly_partitions(months_ahead integer DEFAULT 3) RETURNS integer
LANGUAGE plpgsql AS $$
DECLARE
  v_first date := date_trunc('month', store_now() AT TIME ZONE 'UTC')::date;
  v_month date;
  v_table text;
  v_made integer := 0;
BEGIN
  PERFORM pg_advisory_xact_lock(hashtext('penstock months'), hashtext(current_schema()));
  FOR v_month IN
    SELECT (v_first + n * interval '1 month')::date FROM generate_series(0, months_ahead) n
  LOOP
    FOREACH v_table IN ARRAY ARRAY['orders', 'events', 'terminal_batches'] LOOP
      IF create_month(v_table, v_month) THEN
        v_made := v_made + 1;
      END IF;
    END LOOP;
  END LOOP;
  RETURN v_made;
END $$;

-- Drops the months that end at or before `before`, but for those that an active order, an end that
-- was not worked off or a delivery still names. Returns the names of the dropped partitions.
CREATE OR REPLACE FUNCTION drop_partitions_before(before date) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
  v_name text;
  v_month date;
BEGIN
  PERFORM pg_advisory_xact_lock(hashtext('penstock months'), hashtext(current_schema()));
  FOR v_name IN
    SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
    WHERE i.inhparent IN ('orders'::regclass, 'events'::regclass, 'receipts'::regclass,
                           'terminal_batches'::regclass)
      AND c.relname ~ '_[0-9]{4}_[0-9]{2}$' ORDER BY 1
  LOOP
    v_month := to_date(right(v_name, 7), 'YYYY_MM');
    CONTINUE WHEN v_month + interval '1 month' > before;
    CONTINUE WHEN EXISTS (
      SELECT FROM active_orders
      WHERE created_at >= v_month::timestamp AT TIME ZONE 'UTC'
        AND created_at < (v_month + interval '1 month')::timestamp AT TIME ZONE 'UTC');
    CONTINUE WHEN EXISTS (
      SELECT FROM deliveries
      WHERE created_at >= v_month::timestamp AT TIME ZONE 'UTC'
        AND created_at < (v_month + interval '1 month')::timestamp AT TIME ZONE 'UTC');
    CONTINUE WHEN EXISTS (
      SELECT FROM outbox, jsonb_array_elements(entries) e
      WHERE created_of((e ->> 0)::uuid) >= v_month::timestamp AT TIME ZONE 'UTC'
        AND created_of((e ->> 0)::uuid)
            < (v_month + interval '1 month')::timestamp AT TIME ZONE 'UTC');
    EXECUTE format('DROP TABLE %I', v_name);
    INSERT INTO dropped_months (month) VALUES (v_month) ON CONFLICT DO NOTHING;
    RETURN NEXT v_name;
  END LOOP;
END $$;

-- Ends outbox entries: a note that their orders were told of, and the deliveries they led to. One
-- that is gone has no effect. p_delivery_batches[n] is the sequence of the batch of p_deliveries[n].
CREATE OR REPLACE FUNCTION finish_outbox(p_sequences bigint[], p_delivery_batches bigint[],
                                         p_deliveries uuid[]) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  v_now timestamptz := store_now();
  v_gone outbox[];
BEGIN
  WITH gone AS (
    DELETE FROM outbox WHERE sequence = ANY (p_sequences) RETURNING *),
  told AS (
    INSERT INTO terminal_batches SELECT sequence, created_at, v_now FROM gone)
  SELECT array_agg(ROW(g.*)::outbox) INTO v_gone FROM gone g WHERE cardinality(p_deliveries) > 0;
  IF cardinality(p_deliveries) > 0 THEN
    INSERT INTO deliveries (order_id, created_at, tenant_id, attempt, due)
    SELECT d.order_id, created_of(d.order_id), e ->> 1, 1, v_now
    FROM unnest(v_gone) g CROSS JOIN LATERAL jsonb_array_elements(g.entries) e
    JOIN unnest(p_delivery_batches, p_deliveries) d(sequence, order_id)
      ON d.sequence = g.sequence AND d.order_id = (e ->> 0)::uuid;
  END IF;
END $$;

-- The rows that apply_orders (0007) writes.

-- Writes the last state of active orders that changed. By order: a state where it changed.
CREATE FUNCTION change_active(p_now timestamptz, p_final order_state[])
RETURNS void LANGUAGE plpgsql
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
BEGIN
  UPDATE active_orders a SET
    updated_at = s.updated_at, status = s.status, version = s.version, reason = s.reason,
    charge = s.charge, handover = s.handover, holds_stock = s.holds_stock,
    capture_reference = s.capture_reference, key_generation = s.key_generation,
    charge_since = s.charge_since, attempts = s.attempts, first_error = s.first_error,
    last_error = s.last_error, first_failed_at = s.first_failed_at,
    interruptions = s.interruptions, redrives = s.redrives, due = s.due,
    dead_letter_state = s.dead_letter_state, dead_letter_stage = s.dead_letter_stage,
    dead_letter_first_error = s.dead_letter_first_error,
    dead_letter_last_error = s.dead_letter_last_error,
    dead_letter_attempts = s.dead_letter_attempts,
    dead_letter_first_failed_at = s.dead_letter_first_failed_at,
    dead_letter_at = s.dead_letter_at, timeline = a.timeline || s.events, stage = s.stage,
    timed = s.due > p_now, queue_due = s.due, lease_owner = NULL, lease_until = '-infinity'
  FROM unnest(p_final) s WHERE a.order_id = s.order_id AND s.stage > 0;
END $$;

-- Writes new active orders. By order: facts where it is new, a state where it changed, and whether
-- it is leased to the node for a while from the start.
CREATE FUNCTION write_active(p_now timestamptz, p_facts order_facts[], p_final order_state[],
                             p_hold boolean[], p_node text, p_hold_for interval)
RETURNS void LANGUAGE plpgsql
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
BEGIN
  INSERT INTO active_orders (
    order_id, created_at, tenant_id, customer_id, total_minor, currency, payment_method,
    correlation_id, traceparent, placed_at, items, metadata, updated_at, status, version, reason,
    charge, handover, holds_stock, capture_reference, key_generation, charge_since, attempts,
    first_error, last_error, first_failed_at, interruptions, redrives, due, dead_letter_state,
    dead_letter_stage, dead_letter_first_error, dead_letter_last_error, dead_letter_attempts,
    dead_letter_first_failed_at, dead_letter_at, timeline, stage, timed, queue_due,
    lease_owner, lease_until)
  SELECT
    z.of, z.created_at, z.tenant_id, z.customer_id, z.total_minor, z.currency, z.payment_method,
    z.correlation_id, z.traceparent, z.placed_at, z.items, z.metadata, z.updated_at, z.status,
    z.version, z.reason, z.charge, z.handover, z.holds_stock, z.capture_reference,
    z.key_generation, z.charge_since, z.attempts, z.first_error, z.last_error, z.first_failed_at,
    z.interruptions, z.redrives, z.due, z.dead_letter_state, z.dead_letter_stage,
    z.dead_letter_first_error, z.dead_letter_last_error, z.dead_letter_attempts,
    z.dead_letter_first_failed_at, z.dead_letter_at, z.events, z.stage, z.due > p_now, z.due,
    CASE WHEN z.hold THEN p_node END,
    CASE WHEN z.hold THEN p_now + p_hold_for ELSE '-infinity' END
  FROM ROWS FROM (unnest(p_hold), unnest(p_facts), unnest(p_final)) z(hold, of)
  WHERE z.of IS NOT NULL AND z.stage > 0;
END $$;

-- Writes what ended, a row an order, into its month, and one terminal batch of them. p_place, by
-- order: its place among those that ended, 0 for the others. p_gone: those of them that are no longer
-- in the table, the others are taken from it. Joins here are of the batch with itself:
-- hashed, whatever the caller's settings are.
CREATE FUNCTION write_ended(p_now timestamptz, p_facts order_facts[], p_final order_state[],
                            p_place integer[], p_gone active_orders[])
RETURNS void LANGUAGE plpgsql
SET enable_nestloop = off SET enable_seqscan = off SET enable_hashjoin = on AS $$
DECLARE
  v_stored uuid[];
BEGIN
  IF cardinality(p_gone) < (SELECT count(*) FROM unnest(p_place) place WHERE place > 0) THEN
    v_stored := ARRAY(
      SELECT z.order_id FROM ROWS FROM (unnest(p_place), unnest(p_final)) z(place)
      WHERE z.place > 0 AND z.order_id NOT IN (SELECT g.order_id FROM unnest(p_gone) g));
  END IF;
  WITH ended AS MATERIALIZED (
    SELECT z.* FROM ROWS FROM (unnest(p_place), unnest(p_final)) z(place) WHERE z.place > 0),
  gone AS (
    DELETE FROM active_orders WHERE order_id = ANY (v_stored) RETURNING *),
  known AS MATERIALIZED (
    SELECT order_id, created_at, tenant_id, customer_id, total_minor, currency, payment_method,
           correlation_id, traceparent, placed_at, items, metadata, timeline FROM gone
    UNION ALL
    SELECT order_id, created_at, tenant_id, customer_id, total_minor, currency, payment_method,
           correlation_id, traceparent, placed_at, items, metadata, timeline FROM unnest(p_gone)
    UNION ALL
    SELECT f.*, '[]'::jsonb FROM unnest(p_facts) f JOIN ended s ON s.order_id = f.order_id),
  told AS (
    INSERT INTO outbox (entries, created_at)
    SELECT jsonb_agg(jsonb_build_array(k.order_id, k.tenant_id, s.status) ORDER BY s.place), p_now
    FROM known k JOIN ended s ON s.order_id = k.order_id RETURNING sequence)
  INSERT INTO orders (
    order_id, created_at, tenant_id, customer_id, total_minor, currency, payment_method,
    correlation_id, traceparent, placed_at, items, metadata, updated_at, status, version, reason,
    charge, handover, holds_stock, capture_reference, key_generation, charge_since, attempts,
    first_error, last_error, first_failed_at, interruptions, redrives, due, dead_letter_state,
    dead_letter_stage, dead_letter_first_error, dead_letter_last_error, dead_letter_attempts,
    dead_letter_first_failed_at, dead_letter_at, timeline, receipt, batch, batch_created_at)
  SELECT
    k.order_id, k.created_at, k.tenant_id, k.customer_id, k.total_minor, k.currency,
    k.payment_method, k.correlation_id, k.traceparent, k.placed_at, k.items, k.metadata,
    s.updated_at, s.status, s.version, s.reason, s.charge, s.handover, s.holds_stock,
    s.capture_reference, s.key_generation, s.charge_since, s.attempts, s.first_error,
    s.last_error, s.first_failed_at, s.interruptions, s.redrives, s.due, s.dead_letter_state,
    s.dead_letter_stage, s.dead_letter_first_error, s.dead_letter_last_error,
    s.dead_letter_attempts, s.dead_letter_first_failed_at, s.dead_letter_at,
    k.timeline || s.events, s.receipt, t.sequence, p_now
  FROM known k JOIN ended s ON s.order_id = k.order_id CROSS JOIN told t;
END $$;

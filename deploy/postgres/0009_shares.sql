-- Shares of rooms that tenants use together (src/domain/fair_share.h): claims leave out who is at its
-- share.

CREATE FUNCTION is_left_out(p_tenant text, p_left_out text[], p_group boolean)
RETURNS boolean LANGUAGE sql STABLE AS $$
  SELECT p_tenant = ANY (p_left_out)
    OR (p_group AND NOT EXISTS (SELECT FROM contracts c WHERE c.tenant_id = p_tenant
                                AND c.rate_micro_tokens IS NOT NULL))
$$;

DROP FUNCTION claim_orders(text, smallint, integer, interval, text, bigint, integer);
-- p_left_out: tenants that are at their share, p_group_left_out: so are all without a contract.
CREATE FUNCTION claim_orders(p_node text, p_stage smallint, p_limit integer, p_lease interval,
                             p_after text, p_default_weight bigint, p_max_tenants integer,
                             p_left_out text[], p_group_left_out boolean)
RETURNS SETOF active_records LANGUAGE plpgsql
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
  v_now timestamptz := store_now();
  v_claimed uuid[] := '{}';
  v_got uuid[];
  v_tenants text[];
  v_left integer := p_limit;
BEGIN
  PERFORM set_config('synchronous_commit', 'off', true);
  -- Timed ones first: they were claimed before. Half of the claim at most, so that a storm of one
  -- tenant's retries leaves room for the first claims of the others; the rest of it after those.
  v_left := (p_limit + 1) / 2;
  FOR pass IN 1 .. 2 LOOP
    WITH chosen AS MATERIALIZED (
      SELECT a.order_id, a.queue_due FROM active_orders a
      WHERE a.stage = p_stage AND a.timed AND a.queue_due <= v_now AND a.lease_until <= v_now
        AND NOT is_left_out(a.tenant_id, p_left_out, p_group_left_out)
      ORDER BY a.queue_due, a.order_id LIMIT v_left FOR UPDATE SKIP LOCKED),
    leased AS (
      UPDATE active_orders a SET lease_owner = p_node, lease_until = v_now + p_lease
      FROM chosen c WHERE a.order_id = c.order_id)
    SELECT coalesce(array_agg(order_id ORDER BY queue_due, order_id), '{}') INTO v_got FROM chosen;
    v_claimed := v_claimed || v_got;
    v_left := p_limit - cardinality(v_claimed);
    EXIT WHEN pass = 2 OR v_left = 0;

    -- Tenants with first claims, one index descent each, round from the one behind p_after.
    IF v_left > 0 THEN
      WITH RECURSIVE behind AS (
        (SELECT tenant_id FROM active_orders
         WHERE stage = p_stage AND NOT timed AND tenant_id > p_after ORDER BY tenant_id LIMIT 1)
        UNION ALL
        SELECT (SELECT a.tenant_id FROM active_orders a
                WHERE a.stage = p_stage AND NOT a.timed AND a.tenant_id > b.tenant_id
                ORDER BY a.tenant_id LIMIT 1)
        FROM behind b WHERE b.tenant_id IS NOT NULL),
      before AS (
        (SELECT tenant_id FROM active_orders
         WHERE stage = p_stage AND NOT timed AND tenant_id <= p_after ORDER BY tenant_id LIMIT 1)
        UNION ALL
        SELECT (SELECT a.tenant_id FROM active_orders a
                WHERE a.stage = p_stage AND NOT a.timed AND a.tenant_id > b.tenant_id
                  AND a.tenant_id <= p_after ORDER BY a.tenant_id LIMIT 1)
        FROM before b WHERE b.tenant_id IS NOT NULL),
      round AS (
        SELECT 1 AS half, tenant_id FROM behind WHERE tenant_id IS NOT NULL
        UNION ALL SELECT 2, tenant_id FROM before WHERE tenant_id IS NOT NULL
        LIMIT p_max_tenants)
      SELECT array_agg(tenant_id ORDER BY half, tenant_id) INTO v_tenants FROM round
      WHERE NOT is_left_out(tenant_id, p_left_out, p_group_left_out);
    END IF;

    -- Each pass offers every tenant whole turns of its weight; who had fewer leaves the round.
    WHILE v_left > 0 AND cardinality(v_tenants) > 0 LOOP
      WITH turn AS MATERIALIZED (
        SELECT i.tenant_id, i.place, c.rate_micro_tokens IS NULL AS grouped,
               coalesce(c.weight, p_default_weight) AS weight
        FROM unnest(v_tenants) WITH ORDINALITY i(tenant_id, place)
        LEFT JOIN contracts c ON c.tenant_id = i.tenant_id),
      turns AS (
        SELECT w.number, greatest(1, ceil(w.number::numeric / greatest(1, w.names)))::bigint
                 AS each_name
        FROM (SELECT greatest(1, ceil(v_left / (coalesce(sum(weight) FILTER (WHERE NOT grouped), 0)
                                               + max(grouped::integer))))::bigint AS number,
                     count(*) FILTER (WHERE grouped) AS names FROM turn) w),
      offered AS MATERIALIZED (
        SELECT q.order_id, q.queue_due, t.tenant_id, t.place, t.weight, t.grouped, t.number,
               row_number() OVER (PARTITION BY t.place ORDER BY q.queue_due, q.order_id) AS line
        FROM (SELECT turn.*, CASE WHEN grouped THEN each_name ELSE turns.number END AS number
              FROM turn CROSS JOIN turns) t CROSS JOIN LATERAL (
          SELECT a.order_id, a.queue_due FROM active_orders a
          WHERE a.stage = p_stage AND NOT a.timed AND a.tenant_id = t.tenant_id
            AND a.lease_until <= v_now
          ORDER BY a.queue_due, a.order_id LIMIT least(t.weight * t.number, v_left)
          FOR UPDATE SKIP LOCKED) q),
      -- Tenants without a contract of their own are one party: a turn is one order of them all.
      turned AS (
        SELECT o.*, CASE WHEN o.grouped
                    THEN row_number() OVER (PARTITION BY o.grouped
                                            ORDER BY (o.line - 1) / o.weight, o.place, o.line) - 1
                    ELSE (o.line - 1) / o.weight END AS turn_number
        FROM offered o),
      chosen AS MATERIALIZED (
        SELECT * FROM turned ORDER BY turn_number, place, line LIMIT v_left),
      leased AS (
        UPDATE active_orders a SET lease_owner = p_node, lease_until = v_now + p_lease
        FROM chosen c WHERE a.order_id = c.order_id)
      SELECT coalesce((SELECT array_agg(order_id ORDER BY turn_number, place, line) FROM chosen),
                      '{}'),
             (SELECT array_agg(tenant_id ORDER BY place) FROM offered WHERE line = weight * number)
      INTO v_got, v_tenants;
      v_claimed := v_claimed || v_got;
      v_left := v_left - cardinality(v_got);
    END LOOP;
    EXIT WHEN v_left = 0;
  END LOOP;

  RETURN QUERY
    SELECT r.* FROM unnest(v_claimed) WITH ORDINALITY i(order_id, n)
    JOIN active_records r ON r.order_id = i.order_id ORDER BY i.n;
END $$;

-- Accepts within a share: one more parameter, by tenant how many orders may be accepted. Contracts
-- and names without one are bounded apart, so that invented names take no place from a contract.
DO $$
DECLARE
  v_function text;
  v_edit text[];
BEGIN
  SELECT pg_get_functiondef(p.oid) INTO STRICT v_function FROM pg_proc p
    WHERE p.proname = 'apply_orders' AND p.pronamespace = current_schema()::text::regnamespace;
  FOREACH v_edit SLICE 1 IN ARRAY ARRAY[
    ['p_key_print bytea[])', 'p_key_print bytea[], p_tenant_room bigint[])'],
    ['IF v_active >= p_max_active OR NOT v_known[t] THEN',
     'IF v_active >= p_max_active OR NOT v_known[t] OR p_tenant_room[t] <= 0 THEN'],
    ['v_tenant_accepted[t] := true;',
     'v_tenant_accepted[t] := true;
      p_tenant_room[t] := p_tenant_room[t] - 1;'],
    ['v_is_plain := p_is_plain AND v_version = p_order_read',
     'v_is_plain := p_is_plain AND v_version = p_order_read
    AND (SELECT coalesce(bool_and(n <= room), true)
         FROM unnest(p_tenant_orders, p_tenant_room) i(n, room))'],
    ['SELECT count(*) INTO v_count FROM contracts;',
     'SELECT count(*) INTO v_count FROM contracts WHERE rate_micro_tokens IS NULL;']]
  LOOP
    IF position(v_edit[1] IN v_function) = 0 THEN
      RAISE EXCEPTION 'apply_orders is not the one of 0007: "%" is missing', v_edit[1];
    END IF;
    v_function := replace(v_function, v_edit[1], v_edit[2]);
  END LOOP;
  EXECUTE (SELECT 'DROP FUNCTION ' || p.oid::regprocedure FROM pg_proc p
           WHERE p.proname = 'apply_orders' AND p.pronamespace = current_schema()::text::regnamespace);
  EXECUTE v_function;

  SELECT pg_get_functiondef(p.oid) INTO STRICT v_function FROM pg_proc p
    WHERE p.proname = 'put_contracts' AND p.pronamespace = current_schema()::text::regnamespace;
  FOREACH v_edit SLICE 1 IN ARRAY ARRAY[
    ['SELECT count(*) INTO v_count FROM contracts;',
     'SELECT count(*) INTO v_count FROM contracts WHERE rate_micro_tokens IS NOT NULL;'],
    ['c.tenant_id IS NOT NULL AS known', 'c.rate_micro_tokens IS NOT NULL AS known']]
  LOOP
    IF position(v_edit[1] IN v_function) = 0 THEN
      RAISE EXCEPTION 'put_contracts is not the one of 0005: "%" is missing', v_edit[1];
    END IF;
    v_function := replace(v_function, v_edit[1], v_edit[2]);
  END LOOP;
  EXECUTE v_function;
END $$;

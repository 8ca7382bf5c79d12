-- Claims, leases, notification, stock by operators, contracts, and the runs of a node. What only
-- moves a lease does not wait for the disk: a lost lease is an order that is claimed again.

CREATE FUNCTION claim_orders(p_node text, p_stage smallint, p_limit integer, p_lease interval,
                             p_after text, p_default_weight bigint, p_max_tenants integer)
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
  -- Timed ones first: they were claimed before.
  WITH chosen AS MATERIALIZED (
    SELECT order_id, queue_due FROM active_orders
    WHERE stage = p_stage AND timed AND queue_due <= v_now AND lease_until <= v_now
    ORDER BY queue_due, order_id LIMIT v_left FOR UPDATE SKIP LOCKED),
  leased AS (
    UPDATE active_orders a SET lease_owner = p_node, lease_until = v_now + p_lease
    FROM chosen c WHERE a.order_id = c.order_id)
  SELECT coalesce(array_agg(order_id ORDER BY queue_due, order_id), '{}') INTO v_got FROM chosen;
  v_claimed := v_got;
  v_left := v_left - cardinality(v_got);

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
    SELECT array_agg(tenant_id ORDER BY half, tenant_id) INTO v_tenants FROM round;
  END IF;

  -- Each pass offers every tenant whole turns of its weight; who had fewer leaves the round.
  WHILE v_left > 0 AND cardinality(v_tenants) > 0 LOOP
    WITH turn AS MATERIALIZED (
      SELECT i.tenant_id, i.place, coalesce(c.weight, p_default_weight) AS weight
      FROM unnest(v_tenants) WITH ORDINALITY i(tenant_id, place)
      LEFT JOIN contracts c ON c.tenant_id = i.tenant_id),
    turns AS (
      SELECT greatest(1, ceil(v_left / sum(weight)))::bigint AS number FROM turn),
    offered AS MATERIALIZED (
      SELECT q.order_id, q.queue_due, t.tenant_id, t.place, t.weight, n.number,
             row_number() OVER (PARTITION BY t.place ORDER BY q.queue_due, q.order_id) AS line
      FROM turn t CROSS JOIN turns n CROSS JOIN LATERAL (
        SELECT a.order_id, a.queue_due FROM active_orders a
        WHERE a.stage = p_stage AND NOT a.timed AND a.tenant_id = t.tenant_id
          AND a.lease_until <= v_now
        ORDER BY a.queue_due, a.order_id LIMIT least(t.weight * n.number, v_left)
        FOR UPDATE SKIP LOCKED) q),
    chosen AS MATERIALIZED (
      SELECT o.*, (o.line - 1) / o.weight AS turn_number FROM offered o
      ORDER BY turn_number, place, line LIMIT v_left),
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

  RETURN QUERY
    SELECT r.* FROM unnest(v_claimed) WITH ORDINALITY i(order_id, n)
    JOIN active_records r ON r.order_id = i.order_id ORDER BY i.n;
END $$;

CREATE FUNCTION claim_order(p_node text, p_order uuid, p_lease interval)
RETURNS SETOF active_records LANGUAGE plpgsql AS $$
DECLARE
  v_now timestamptz := store_now();
BEGIN
  PERFORM set_config('synchronous_commit', 'off', true);
  UPDATE active_orders SET lease_owner = p_node, lease_until = v_now + p_lease
    WHERE order_id = p_order AND lease_until <= v_now;
  IF FOUND THEN
    RETURN QUERY SELECT * FROM active_records WHERE order_id = p_order;
  END IF;
END $$;

CREATE FUNCTION release_orders(p_node text, p_orders uuid[], p_dues timestamptz[]) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
  UPDATE active_orders a SET lease_until = '-infinity', timed = true, queue_due = i.due
    FROM (SELECT x.order_id, i.due FROM unnest(p_orders, p_dues) i(order_id, due)
          JOIN active_orders x ON x.order_id = i.order_id
          WHERE x.lease_owner = p_node AND x.lease_until > '-infinity'
          ORDER BY x.order_id FOR UPDATE OF x) i
    WHERE a.order_id = i.order_id;
END $$;

CREATE FUNCTION take_outbox(p_node text, p_limit integer, p_lease interval)
RETURNS TABLE (batch bigint, listed jsonb) LANGUAGE plpgsql AS $$
DECLARE
  v_now timestamptz := store_now();
BEGIN
  PERFORM set_config('synchronous_commit', 'off', true);
  RETURN QUERY
    WITH chosen AS MATERIALIZED (
      SELECT sequence FROM outbox WHERE lease_until <= v_now
      ORDER BY sequence LIMIT p_limit FOR UPDATE SKIP LOCKED),
    taken AS (
      UPDATE outbox o SET lease_owner = p_node, lease_until = v_now + p_lease
      FROM chosen c WHERE o.sequence = c.sequence RETURNING o.sequence, o.entries)
    SELECT t.sequence, t.entries FROM taken t ORDER BY t.sequence;
END $$;

CREATE FUNCTION take_deliveries(p_node text, p_limit integer, p_lease interval)
RETURNS TABLE (delivered_order uuid, delivered_tenant text, next_attempt integer)
LANGUAGE plpgsql AS $$
DECLARE
  v_now timestamptz := store_now();
BEGIN
  PERFORM set_config('synchronous_commit', 'off', true);
  RETURN QUERY
    WITH chosen AS MATERIALIZED (
      SELECT order_id, due FROM deliveries WHERE due <= v_now AND lease_until <= v_now
      ORDER BY due, order_id LIMIT p_limit FOR UPDATE SKIP LOCKED),
    taken AS (
      UPDATE deliveries d SET lease_owner = p_node, lease_until = v_now + p_lease
      FROM chosen c WHERE d.order_id = c.order_id
      RETURNING d.order_id, d.tenant_id, d.attempt, c.due)
    SELECT t.order_id, t.tenant_id, t.attempt FROM taken t ORDER BY t.due, t.order_id;
END $$;

-- Ends outbox entries: a note at each of their orders, and the deliveries they led to. One that is
-- gone has no effect. p_delivery_batches[n] is the sequence of the batch of p_deliveries[n].
CREATE FUNCTION finish_outbox(p_sequences bigint[], p_delivery_batches bigint[],
                              p_deliveries uuid[]) RETURNS void LANGUAGE sql AS $$
  WITH gone AS (
    DELETE FROM outbox WHERE sequence = ANY (p_sequences) RETURNING sequence, entries),
  entry AS MATERIALIZED (
    SELECT sequence, (e ->> 0)::uuid AS order_id, e ->> 1 AS tenant_id
    FROM gone, jsonb_array_elements(entries) e),
  noted AS (
    INSERT INTO events (order_id, created_at, kind, number, at, reason, attempt)
    SELECT order_id, created_of(order_id), 2, 1, store_now(), 25, 1 FROM entry)
  INSERT INTO deliveries (order_id, created_at, tenant_id, attempt, due)
  SELECT e.order_id, created_of(e.order_id), e.tenant_id, 1, store_now()
  FROM entry e JOIN unnest(p_delivery_batches, p_deliveries) d(sequence, order_id)
    ON d.sequence = e.sequence AND d.order_id = e.order_id
$$;

-- Ends attempts at deliveries; one that is over or another number has no effect.
CREATE FUNCTION end_attempts(p_orders uuid[], p_attempts integer[], p_reasons smallint[],
                             p_dues timestamptz[]) RETURNS void LANGUAGE sql AS $$
  WITH ended AS MATERIALIZED (
    SELECT d.order_id, d.created_at, d.attempt, i.reason, i.due FROM deliveries d
    JOIN unnest(p_orders, p_attempts, p_reasons, p_dues) i(order_id, attempt, reason, due)
      ON i.order_id = d.order_id AND i.attempt = d.attempt
    ORDER BY d.order_id FOR UPDATE OF d),
  noted AS (
    INSERT INTO events (order_id, created_at, kind, number, at, reason, attempt)
    SELECT order_id, created_at, 2, attempt + 1, store_now(), reason, attempt FROM ended),
  over AS (
    DELETE FROM deliveries d USING ended e WHERE d.order_id = e.order_id AND e.due IS NULL)
  UPDATE deliveries d SET attempt = d.attempt + 1, due = e.due, lease_owner = NULL,
         lease_until = '-infinity'
  FROM ended e WHERE d.order_id = e.order_id AND e.due IS NOT NULL
$$;

-- Sets (p_is_set) and restocks in their order; `refused` are outside 0..p_max and change nothing.
CREATE FUNCTION set_stock(p_tenants text[], p_products text[], p_product integer[],
                          p_is_set boolean[], p_pieces bigint[], p_max bigint)
RETURNS TABLE (refused boolean, now_received bigint, now_reserved bigint, now_sold bigint)
LANGUAGE plpgsql AS $$
DECLARE
  v_received bigint[] := array_fill(NULL::bigint, ARRAY[cardinality(p_products)]);
  v_reserved bigint[] := array_fill(0::bigint, ARRAY[cardinality(p_products)]);
  v_sold bigint[] := v_reserved;
  v_is_new boolean[] := array_fill(true, ARRAY[cardinality(p_products)]);
  v_written bigint;
  v_hand bigint;
  v_pieces bigint;
  p integer;
  r record;
BEGIN
  FOR r IN
    SELECT i.n, s.received, s.reserved, s.sold FROM stock s
    JOIN unnest(p_tenants, p_products) WITH ORDINALITY i(tenant_id, product_id, n)
      ON i.tenant_id = s.tenant_id AND i.product_id = s.product_id
    ORDER BY s.tenant_id, s.product_id FOR UPDATE OF s
  LOOP
    v_received[r.n] := r.received;
    v_reserved[r.n] := r.reserved;
    v_sold[r.n] := r.sold;
    v_is_new[r.n] := false;
  END LOOP;
  FOR c IN 1 .. cardinality(p_product) LOOP
    p := p_product[c];
    v_pieces := p_pieces[c];
    v_hand := coalesce(v_received[p], 0) - v_reserved[p] - v_sold[p];
    refused := v_pieces < 0 OR v_pieces > p_max
      OR (NOT p_is_set[c] AND v_hand + v_pieces > p_max);
    IF NOT refused THEN
      v_received[p] := CASE WHEN p_is_set[c] THEN v_pieces ELSE v_hand + v_pieces END
        + v_reserved[p] + v_sold[p];
    END IF;
    now_received := v_received[p];
    now_reserved := v_reserved[p];
    now_sold := v_sold[p];
    RETURN NEXT;
  END LOOP;
  UPDATE stock s SET received = i.received
    FROM unnest(p_tenants, p_products, v_received, v_is_new) i(tenant_id, product_id, received, new)
    WHERE s.tenant_id = i.tenant_id AND s.product_id = i.product_id AND NOT i.new;
  INSERT INTO stock
    SELECT i.tenant_id, i.product_id, i.received, 0, 0
    FROM unnest(p_tenants, p_products, v_received, v_is_new) i(tenant_id, product_id, received, new)
    WHERE i.new AND i.received IS NOT NULL ORDER BY i.tenant_id, i.product_id
    ON CONFLICT DO NOTHING;
  GET DIAGNOSTICS v_written = ROW_COUNT;
  IF v_written <> (SELECT count(*) FROM unnest(v_received, v_is_new) i(received, new)
                   WHERE i.new AND i.received IS NOT NULL) THEN
    RAISE EXCEPTION 'another writer set this product' USING ERRCODE = 'serialization_failure';
  END IF;
END $$;

-- All of a contract, in a form in which two are equal exactly where their texts are.
CREATE FUNCTION contract_text(c contracts)
RETURNS text LANGUAGE sql IMMUTABLE AS $$
  SELECT concat_ws(' ', c.rate_micro_tokens, c.rate_period_ns, c.burst,
                   coalesce(c.guarantee_micro_tokens::text, '-'),
                   coalesce(c.guarantee_period_ns::text, '-'), c.weight,
                   CASE WHEN c.webhook_disabled IS NULL THEN '-'
                        WHEN c.webhook_disabled THEN 'off' ELSE 'on' END,
                   coalesce(encode(c.webhook_secret, 'hex'), '-'), coalesce(c.webhook_url, '-'))
$$;

-- Stores contracts of distinct, sorted tenants; answers in their order: 0 stored, 1 one tenant too
-- many, 2 another contract is in force than the one that it was to be put instead of (p_instead_of,
-- null: in any case; p_instead_of_none: that one is in force where none is stored).
CREATE FUNCTION put_contracts(
  p_tenants text[], p_rates bigint[], p_periods bigint[], p_bursts bigint[],
  p_guarantee_rates bigint[], p_guarantee_periods bigint[], p_weights bigint[], p_urls text[],
  p_secrets bytea[], p_disabled boolean[], p_max_tenants bigint, p_instead_of text[],
  p_instead_of_none boolean[])
RETURNS SETOF bigint LANGUAGE plpgsql AS $$
DECLARE
  v_now_ns bigint := bucket_now_ns();
  v_outcomes bigint[] := array_fill(0, ARRAY[cardinality(p_tenants)]);
  v_stored boolean[];
  v_count bigint;
  r record;
BEGIN
  -- A row that is not there yet cannot be locked: nobody else puts until this is decided.
  IF array_remove(p_instead_of, NULL) <> '{}' THEN
    LOCK TABLE contracts IN SHARE ROW EXCLUSIVE MODE;
  END IF;
  SELECT count(*) INTO v_count FROM contracts;
  FOR r IN
    SELECT i.n, c.tenant_id IS NOT NULL AS known,
           i.instead_of IS NULL OR CASE WHEN c.rate_micro_tokens IS NULL THEN i.instead_of_none
                                        ELSE i.instead_of = contract_text(c) END AS expected
    FROM unnest(p_tenants, p_instead_of, p_instead_of_none)
         WITH ORDINALITY i(tenant_id, instead_of, instead_of_none, n)
    LEFT JOIN contracts c ON c.tenant_id = i.tenant_id ORDER BY i.n
  LOOP
    v_outcomes[r.n] := CASE WHEN NOT r.known AND v_count >= p_max_tenants THEN 1
                            WHEN NOT r.expected THEN 2 ELSE 0 END;
    IF NOT r.known AND v_outcomes[r.n] = 0 THEN
      v_count := v_count + 1;
    END IF;
  END LOOP;
  v_stored := ARRAY(SELECT o = 0 FROM unnest(v_outcomes) WITH ORDINALITY i(o, n) ORDER BY n);
  INSERT INTO contracts
    SELECT tenant_id, rate, period, burst, guarantee_rate, guarantee_period, weight, url, secret,
           disabled
    FROM unnest(p_tenants, p_rates, p_periods, p_bursts, p_guarantee_rates, p_guarantee_periods,
                p_weights, p_urls, p_secrets, p_disabled, v_stored)
         i(tenant_id, rate, period, burst, guarantee_rate, guarantee_period, weight, url, secret,
           disabled, stored)
    WHERE stored ORDER BY tenant_id
    ON CONFLICT (tenant_id) DO UPDATE SET
      rate_micro_tokens = excluded.rate_micro_tokens, rate_period_ns = excluded.rate_period_ns,
      burst = excluded.burst, guarantee_micro_tokens = excluded.guarantee_micro_tokens,
      guarantee_period_ns = excluded.guarantee_period_ns, weight = excluded.weight,
      webhook_url = excluded.webhook_url, webhook_secret = excluded.webhook_secret,
      webhook_disabled = excluded.webhook_disabled;
  PERFORM FROM buckets WHERE tenant_id = ANY (p_tenants) ORDER BY tenant_id FOR UPDATE;
  UPDATE buckets b SET used = n.used, virtual_time = n.virtual_time, remainder = n.remainder,
         at_ns = n.at_ns, rate_micro_tokens = n.rate_micro_tokens,
         rate_period_ns = n.rate_period_ns, burst = n.burst
    FROM unnest(p_tenants, p_rates, p_periods, p_bursts, v_stored)
         i(tenant_id, rate, period, burst, stored)
    JOIN buckets x ON x.tenant_id = i.tenant_id
    CROSS JOIN LATERAL bucket_under(x, i.rate, i.period, i.burst, v_now_ns) n
    WHERE b.tenant_id = i.tenant_id AND i.stored;
  RETURN QUERY SELECT unnest(v_outcomes);
END $$;

-- Begins a run of a node whose last one is over: counts an unclean end, tells and counts the marked
-- orders that nobody else has taken since, and frees what the last run held.
CREATE FUNCTION begin_run(p_node text)
RETURNS TABLE (ends integer, interrupted uuid[], active bigint) LANGUAGE plpgsql AS $$
DECLARE
  v_now timestamptz := store_now();
  v_last node_marks;
BEGIN
  INSERT INTO node_marks (node) VALUES (p_node) ON CONFLICT DO NOTHING;
  SELECT * INTO v_last FROM node_marks WHERE node = p_node FOR UPDATE;
  interrupted := '{}';
  IF v_last.is_running THEN
    WITH counted AS (
      UPDATE active_orders a SET interruptions = interruptions + 1
      WHERE order_id = ANY (v_last.marks) AND (lease_owner IS NULL OR lease_owner = p_node)
      RETURNING order_id)
    SELECT coalesce(array_agg(order_id ORDER BY order_id), '{}') INTO interrupted FROM counted;
  END IF;
  UPDATE active_orders SET lease_owner = NULL, lease_until = '-infinity', queue_due = due,
         timed = due > v_now
    WHERE lease_owner = p_node;
  UPDATE outbox SET lease_owner = NULL, lease_until = '-infinity' WHERE lease_owner = p_node;
  UPDATE deliveries SET lease_owner = NULL, lease_until = '-infinity' WHERE lease_owner = p_node;
  UPDATE node_marks m SET is_running = true, marks = '{}',
         unclean_ends = m.unclean_ends + v_last.is_running::integer
    WHERE m.node = p_node RETURNING m.unclean_ends INTO ends;
  SELECT coalesce(sum(c.active), 0) INTO active FROM active_counts c;
  RETURN NEXT;
END $$;

-- Depths of the stages; stage 0 carries the totals of the other tables.
CREATE FUNCTION depths() RETURNS TABLE (
  of_stage smallint, ready bigint, leased bigint, dead_letters bigint, oldest timestamptz,
  owed bigint, batches bigint, waiting_deliveries bigint)
LANGUAGE sql AS $$
  SELECT a.stage, count(*) FILTER (WHERE lease_until <= n.at
                                     AND dead_letter_state IS DISTINCT FROM 1),
         count(*) FILTER (WHERE lease_until > n.at),
         count(*) FILTER (WHERE dead_letter_state = 1),
         min(queue_due) FILTER (WHERE lease_until <= n.at AND NOT timed),
         count(*) FILTER (WHERE status = 6 AND charge = 2), 0, 0
  FROM active_orders a, (SELECT store_now() AS at) n GROUP BY a.stage
  UNION ALL
  SELECT 0::smallint, 0, 0, 0, NULL, 0, (SELECT count(*) FROM outbox),
         (SELECT count(*) FROM deliveries)
$$;

-- When the next timed order or delivery that nobody holds becomes due.
CREATE FUNCTION next_due() RETURNS timestamptz LANGUAGE sql AS $$
  SELECT min(due) FROM (
    SELECT (SELECT a.queue_due FROM active_orders a
            WHERE a.stage = s.stage AND a.timed AND a.lease_until <= n.at
            ORDER BY a.queue_due LIMIT 1) AS due
    FROM (VALUES (2::smallint), (3::smallint), (4::smallint)) s(stage),
         (SELECT store_now() AS at) n
    UNION ALL
    SELECT (SELECT d.due FROM deliveries d WHERE d.lease_until <= n.at ORDER BY d.due LIMIT 1)
    FROM (SELECT store_now() AS at) n) waiting
$$;

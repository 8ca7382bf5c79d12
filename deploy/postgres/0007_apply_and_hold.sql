-- Accepts and commits again, for ends of one row (0006) and for orders that are held: leased to the
-- node that accepts them by the commit that stores them, so that it works on without a claim.

DROP FUNCTION apply_orders(
  text, bigint, bigint, interval, bigint, bigint, bigint, uuid[], order_facts[], order_state[],
  integer[], integer[], integer[], integer[], integer[], bytea[], integer[], integer[], bigint[],
  text[], text[], text[], text[], text[]);
DROP FUNCTION write_active(timestamptz, order_facts[], order_state[]);
DROP FUNCTION write_ended(order_facts[], order_state[], integer[]);
DROP TYPE apply_answer;

-- The answer of apply_orders: one row with `outcomes`, and one for each order that was found stored
-- and is needed for an answer, as it was before this call.
--
-- outcomes, one a command: accept 0 accepted, 1 replayed, 2 key reused, 3 denied, 5 full, 6 and 7
-- accepted and rejected (unknown product, short of stock); commit 10 committed, 11 and 12 rejected
-- instead (unknown product, short), 13 stale, 14 missing. replays: the order of a replay.
-- bucket_*: one a tenant, as stored before this call; null where the tenant has none. held: by
-- command, whether its order is the node's from now on. active: the depth after this call.
CREATE TYPE apply_answer AS (
  outcomes smallint[], replays uuid[], now_ns bigint, bucket_used bigint[], bucket_time bigint[],
  bucket_remainder bigint[], bucket_at bigint[], bucket_rate bigint[], bucket_period bigint[],
  bucket_burst bigint[], force_rate bigint[], force_period bigint[], force_burst bigint[],
  held boolean[], active bigint, found active_records);

-- Applies accepts and commits in their order. Numbers count from 1; 0 is none. Per command: its
-- order, version read (0: accept), move (0 none, 1 reserve, 2 release, 3 sell), tenant, key,
-- fingerprint, the end of its lines, the version and the stage that it leads to, and whether its
-- order is to be held. p_orders, tenants, products and keys are distinct and sorted; p_facts is by
-- order, null where it is not new. The settings make the plans independent of statistics: every join
-- is from a short array into an index.
--
-- p_ends, by order: this commit, the only one of the order, ends it whatever the stock is. What is
-- needed where every command is carried out as it stands, which is seen by sums: p_is_plain (no order
-- and no key twice; then p_states is by order, else by command; p_state_of, by command, is its place
-- there), by order the version read and its place among those that end, by command the outcome, by
-- tenant the orders, by product the pieces that are reserved, released and sold, by key its order and
-- fingerprint. Else the commands are gone through one by one.
--
-- p_counter is the row of active_counts that this connection alone writes. An accepted order is held
-- for p_hold_for where it goes to p_hold_stage (null: none is), is due, and no other order of its
-- tenant waits there: then it would have been the next first claim of its tenant anyway.
CREATE FUNCTION apply_orders(
  p_node text, p_counter text, p_hold_stage smallint, p_hold_for interval, p_max_active bigint,
  p_max_tenants bigint, p_retention interval, p_rate bigint, p_period bigint, p_burst bigint,
  p_orders uuid[], p_facts order_facts[], p_states order_state[],
  p_order integer[], p_read integer[], p_move integer[], p_tenant integer[], p_key integer[],
  p_fingerprint bytea[], p_to_version integer[], p_to_stage smallint[], p_hold boolean[],
  p_line_end integer[], p_line_product integer[], p_line_pieces bigint[],
  p_tenants text[], p_product_tenants text[], p_products text[],
  p_key_tenants text[], p_keys text[],
  p_is_plain boolean, p_state_of integer[], p_ends boolean[], p_order_read integer[], p_place integer[],
  p_plain_outcome smallint[], p_tenant_orders bigint[], p_reserved bigint[], p_released bigint[],
  p_sold bigint[], p_key_order uuid[], p_key_print bytea[])
RETURNS SETOF apply_answer LANGUAGE plpgsql
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
  v_now timestamptz := store_now();
  v_now_ns bigint := bucket_now_ns();
  v_commands integer := cardinality(p_order);
  v_outcome smallint[] := array_fill(0::smallint, ARRAY[v_commands]);
  v_replay uuid[] := array_fill(NULL::uuid, ARRAY[v_commands]);
  -- by order
  v_version integer[] := array_fill(NULL::integer, ARRAY[cardinality(p_orders)]);
  v_ended_version boolean[] := array_fill(false, ARRAY[cardinality(p_orders)]);
  v_from integer[] := array_fill(0, ARRAY[cardinality(p_orders)]);
  v_rejected smallint[] := array_fill(0::smallint, ARRAY[cardinality(p_orders)]);
  v_earlier jsonb[] := array_fill(NULL::jsonb, ARRAY[cardinality(p_orders)]);
  v_hold boolean[] := v_ended_version;
  v_final order_state[] := array_fill(NULL::order_state, ARRAY[cardinality(p_orders)]);
  v_wanted uuid[] := '{}';
  v_place integer[] := array_fill(0, ARRAY[cardinality(p_orders)]);
  v_ended integer := 0;
  v_gone active_orders[] := '{}';
  v_gone_at integer[] := '{}';
  -- by tenant
  v_used bigint[] := array_fill(0::bigint, ARRAY[cardinality(p_tenants)]);
  v_time bigint[] := v_used;
  v_full bigint[] := v_used;
  v_known boolean[] := array_fill(false, ARRAY[cardinality(p_tenants)]);
  v_locked boolean[] := v_known;
  v_taken boolean[] := v_known;
  v_accepts boolean[] := v_known;
  v_tenant_accepted boolean[] := v_known;
  v_waits boolean[] := v_known;
  -- by product
  v_hand bigint[] := array_fill(NULL::bigint, ARRAY[cardinality(p_products)]);
  v_held bigint[] := v_hand;
  v_sold bigint[] := v_hand;
  v_moved boolean[] := array_fill(false, ARRAY[cardinality(p_products)]);
  -- by key
  v_key_order uuid[] := array_fill(NULL::uuid, ARRAY[cardinality(p_keys)]);
  v_key_print bytea[] := array_fill(NULL::bytea, ARRAY[cardinality(p_keys)]);
  v_key_is_new boolean[] := array_fill(false, ARRAY[cardinality(p_keys)]);
  v_answer apply_answer;
  v_state order_state;
  v_stage smallint;
  v_is_changed boolean := false;
  v_is_plain boolean;
  v_moved_at bigint[];
  v_room bigint;
  v_active_before bigint;
  v_active bigint;
  v_count bigint;
  v_floor bigint;
  v_first integer := 1;
  v_last integer;
  v_reason smallint;
  v_is_new boolean;
  o integer;
  t integer;
  k integer;
  p integer;
  r record;
BEGIN
  -- Orders that exist. What ends goes at once, if it has the version that was read.
  IF array_position(p_ends, true) IS NOT NULL THEN
    WITH gone AS (
      DELETE FROM active_orders a
      USING unnest(p_orders, p_order_read, p_ends) WITH ORDINALITY i(order_id, read, ends, n)
      WHERE i.ends AND a.order_id = i.order_id AND a.version = i.read
      RETURNING a AS row, i.n)
    SELECT coalesce(array_agg(g.row), '{}'), coalesce(array_agg(g.n), '{}')
    INTO v_gone, v_gone_at FROM gone g;
    FOREACH o IN ARRAY v_gone_at LOOP
      v_version[o] := p_order_read[o];
    END LOOP;
  END IF;
  FOR c IN 1 .. v_commands LOOP
    IF p_read[c] = 0 THEN
      v_accepts[p_tenant[c]] := true;
      v_version[p_order[c]] := 0;
    END IF;
  END LOOP;
  IF array_position(v_version, NULL) IS NOT NULL THEN
    FOR r IN
      SELECT a.version, i.n FROM active_orders a
      JOIN unnest(p_orders, v_version) WITH ORDINALITY i(order_id, version, n)
        ON i.order_id = a.order_id
      WHERE i.version IS NULL ORDER BY a.order_id FOR UPDATE OF a
    LOOP
      v_version[r.n] := r.version;
    END LOOP;
  END IF;
  IF array_position(v_version, NULL) IS NOT NULL THEN
    FOR r IN
      SELECT e.version, i.n FROM unnest(p_orders, v_version) WITH ORDINALITY i(order_id, version, n)
      JOIN orders e ON e.order_id = i.order_id AND e.created_at = created_of(i.order_id)
      WHERE i.version IS NULL
    LOOP
      v_version[r.n] := r.version;
      v_ended_version[r.n] := true;
    END LOOP;
  END IF;

  -- The depth: each writer's part. Batches of other writers that are not committed yet are not in
  -- it, so the bound may be passed by what those hold.
  SELECT coalesce(sum(active), 0) INTO v_active FROM active_counts;
  v_active_before := v_active;
  v_room := p_max_active - v_active + v_commands;

  -- Tenants and their buckets. Only a bucket that has a token is locked.
  FOR r IN
    SELECT i.n FROM unnest(p_tenants) WITH ORDINALITY i(tenant_id, n)
    JOIN contracts c ON c.tenant_id = i.tenant_id
  LOOP
    v_known[r.n] := true;
  END LOOP;
  IF v_room > 0 AND array_position(v_known, false) IS NOT NULL THEN
    SELECT count(*) INTO v_count FROM contracts;
    FOR i IN 1 .. cardinality(p_tenants) LOOP
      IF NOT v_known[i] AND v_accepts[i] AND v_count < p_max_tenants THEN
        v_known[i] := true;
        v_count := v_count + 1;
      END IF;
    END LOOP;
  END IF;
  INSERT INTO buckets
    SELECT i.tenant_id, 0, coalesce(c.burst, p_burst) * 1000000, 0, v_now_ns,
           coalesce(c.rate_micro_tokens, p_rate), coalesce(c.rate_period_ns, p_period),
           coalesce(c.burst, p_burst)
    FROM unnest(p_tenants, v_known, v_accepts) i(tenant_id, known, accepts)
    LEFT JOIN contracts c ON c.tenant_id = i.tenant_id
    WHERE i.known AND i.accepts AND v_room > 0
      AND NOT EXISTS (SELECT FROM buckets b WHERE b.tenant_id = i.tenant_id)
    ORDER BY i.tenant_id ON CONFLICT DO NOTHING;
  FOR r IN
    SELECT i.n FROM buckets b
    JOIN unnest(p_tenants, v_accepts) WITH ORDINALITY i(tenant_id, accepts, n)
      ON i.tenant_id = b.tenant_id
    LEFT JOIN contracts c ON c.tenant_id = b.tenant_id
    WHERE i.accepts AND has_token(bucket_under(
      b, coalesce(c.rate_micro_tokens, p_rate), coalesce(c.rate_period_ns, p_period),
      coalesce(c.burst, p_burst), v_now_ns))
    ORDER BY b.tenant_id FOR UPDATE OF b
  LOOP
    v_locked[r.n] := true;
  END LOOP;
  IF p_hold_stage IS NOT NULL THEN
    -- First claims are first in, first out: where the last in line waits, others may before it.
    FOR r IN
      SELECT i.n FROM unnest(p_tenants) WITH ORDINALITY i(tenant_id, n)
      CROSS JOIN LATERAL (
        SELECT a.lease_until FROM active_orders a
        WHERE a.stage = p_hold_stage AND NOT a.timed AND a.tenant_id = i.tenant_id
        ORDER BY a.queue_due DESC, a.order_id DESC LIMIT 1) last
      WHERE last.lease_until <= v_now
    LOOP
      v_waits[r.n] := true;
    END LOOP;
  END IF;
  v_answer.now_ns := v_now_ns;
  FOR r IN
    SELECT i.n, b, now.used, now.virtual_time, f.rate AS force_rate, f.period AS force_period,
           f.burst AS force_burst
    FROM unnest(p_tenants) WITH ORDINALITY i(tenant_id, n)
    LEFT JOIN buckets b ON b.tenant_id = i.tenant_id
    LEFT JOIN contracts c ON c.tenant_id = i.tenant_id
    CROSS JOIN LATERAL (
      SELECT coalesce(c.rate_micro_tokens, p_rate) AS rate,
             coalesce(c.rate_period_ns, p_period) AS period,
             coalesce(c.burst, p_burst) AS burst) f
    CROSS JOIN LATERAL bucket_under(b, f.rate, f.period, f.burst, v_now_ns) now
    ORDER BY i.n
  LOOP
    v_used[r.n] := r.used;
    v_time[r.n] := r.virtual_time;
    v_full[r.n] := r.force_burst * 1000000;
    v_answer.bucket_used[r.n] := (r.b).used;
    v_answer.bucket_time[r.n] := (r.b).virtual_time;
    v_answer.bucket_remainder[r.n] := (r.b).remainder;
    v_answer.bucket_at[r.n] := (r.b).at_ns;
    v_answer.bucket_rate[r.n] := (r.b).rate_micro_tokens;
    v_answer.bucket_period[r.n] := (r.b).rate_period_ns;
    v_answer.bucket_burst[r.n] := (r.b).burst;
    v_answer.force_rate[r.n] := r.force_rate;
    v_answer.force_period[r.n] := r.force_period;
    v_answer.force_burst[r.n] := r.force_burst;
  END LOOP;

  -- The keys that are live. The tenant's bucket is locked where one may be claimed.
  -- The fence (OFFSET) keeps the expiry out of the choice of an index: planned while the table was
  -- empty, the one on it would be read whole for each key.
  FOR r IN
    SELECT i.n, x.order_id, x.fingerprint
    FROM unnest(p_key_tenants, p_keys) WITH ORDINALITY i(tenant_id, key, n)
    CROSS JOIN LATERAL (
      SELECT s.order_id, s.fingerprint, s.expires_at FROM idempotency_keys s
      WHERE s.tenant_id = i.tenant_id AND s.key = i.key OFFSET 0) x
    WHERE x.expires_at > v_now
  LOOP
    v_key_order[r.n] := r.order_id;
    v_key_print[r.n] := r.fingerprint;
  END LOOP;

  v_is_plain := p_is_plain AND v_version = p_order_read
    AND array_position(v_ended_version, true) IS NULL
    AND (SELECT coalesce(bool_and(x IS NULL), true) FROM unnest(v_key_order) x)
    AND v_active + (SELECT coalesce(sum(n), 0) FROM unnest(p_tenant_orders) n) <= p_max_active
    AND (SELECT coalesce(bool_and(n = 0 OR (known AND locked
                                            AND greatest(used, at - full_at) + n * 1000000 <= at)),
                         true)
         FROM unnest(p_tenant_orders, v_known, v_locked, v_used, v_time, v_full)
              i(n, known, locked, used, at, full_at));
  IF v_is_plain AND cardinality(p_products) > 0 THEN
    WITH moved AS (
      UPDATE stock s SET reserved = s.reserved + i.reserved - i.released - i.sold,
             sold = s.sold + i.sold
      FROM unnest(p_product_tenants, p_products, p_reserved, p_released, p_sold)
           WITH ORDINALITY i(tenant_id, product_id, reserved, released, sold, n)
      WHERE s.tenant_id = i.tenant_id AND s.product_id = i.product_id
        AND i.reserved <= s.received - s.reserved - s.sold
      RETURNING i.n)
    SELECT coalesce(array_agg(n), '{}') INTO v_moved_at FROM moved;
    IF cardinality(v_moved_at) < cardinality(p_products) THEN
      -- Some product is short: nothing moved, and who gets its pieces is decided below.
      v_is_plain := false;
      UPDATE stock s SET reserved = s.reserved - i.reserved + i.released + i.sold,
             sold = s.sold - i.sold
        FROM unnest(p_product_tenants, p_products, p_reserved, p_released, p_sold)
             WITH ORDINALITY i(tenant_id, product_id, reserved, released, sold, n)
        WHERE s.tenant_id = i.tenant_id AND s.product_id = i.product_id
          AND i.n = ANY (v_moved_at);
    END IF;
  END IF;

  IF v_is_plain THEN
    v_outcome := p_plain_outcome;
    v_place := p_place;
    v_final := p_states;
    v_key_order := p_key_order;
    v_key_print := p_key_print;
    v_key_is_new := array_fill(true, ARRAY[cardinality(p_keys)]);
    SELECT coalesce(array_agg(CASE WHEN i.n = 0 THEN used
                                   ELSE greatest(used, at - full_at) + i.n * 1000000 END
                              ORDER BY place), '{}'),
           coalesce(array_agg(i.n > 0 ORDER BY place), '{}'), coalesce(sum(i.n), 0)
    INTO v_used, v_taken, v_count
    FROM unnest(p_tenant_orders, v_used, v_time, v_full)
         WITH ORDINALITY i(n, used, at, full_at, place);
    v_tenant_accepted := v_taken;
    v_ended := coalesce((SELECT max(place) FROM unnest(p_place) place), 0);
    v_active := v_active + v_count - v_ended;
    SELECT coalesce(array_agg(i.hold AND NOT v_waits[i.tenant] ORDER BY i.place), '{}'),
           coalesce(bool_or(i.read > 0 AND i.stage > 0), false)
    INTO v_hold, v_is_changed
    FROM unnest(p_order, p_hold, p_tenant, p_read, p_to_stage)
         i(place, hold, tenant, read, stage);
    v_commands := 0;  -- none is left for what follows
  END IF;

  -- Stock, as it is.
  IF v_commands > 0 THEN
    FOR r IN
      SELECT i.n, s.received, s.reserved, s.sold FROM stock s
      JOIN unnest(p_product_tenants, p_products) WITH ORDINALITY i(tenant_id, product_id, n)
        ON i.tenant_id = s.tenant_id AND i.product_id = s.product_id
      ORDER BY s.tenant_id, s.product_id FOR UPDATE OF s
    LOOP
      v_hand[r.n] := r.received - r.reserved - r.sold;
      v_held[r.n] := r.reserved;
      v_sold[r.n] := r.sold;
    END LOOP;
  END IF;
  FOR c IN 1 .. v_commands LOOP
    o := p_order[c];
    t := p_tenant[c];
    v_is_new := p_read[c] = 0;
    v_last := p_line_end[c];
    k := p_key[c];
    IF v_is_new AND k > 0 AND v_key_order[k] IS NOT NULL THEN
      IF v_key_print[k] = p_fingerprint[c] THEN
        v_outcome[c] := 1;
        v_replay[c] := v_key_order[k];
        IF NOT v_key_is_new[k] THEN
          v_wanted := v_wanted || v_key_order[k];
        END IF;
      ELSE
        v_outcome[c] := 2;
      END IF;
      v_first := v_last + 1;
      CONTINUE;
    ELSIF v_is_new THEN
      IF v_active >= p_max_active OR NOT v_known[t] THEN
        v_outcome[c] := 5;
        v_first := v_last + 1;
        CONTINUE;
      END IF;
      v_floor := greatest(v_used[t], v_time[t] - v_full[t]);
      IF NOT v_locked[t] OR v_floor + 1000000 > v_time[t] THEN
        v_outcome[c] := 3;
        v_first := v_last + 1;
        CONTINUE;
      END IF;
      v_used[t] := v_floor + 1000000;
      v_taken[t] := true;
    ELSIF v_version[o] IS NULL THEN
      v_outcome[c] := 14;
      v_first := v_last + 1;
      CONTINUE;
    ELSIF v_version[o] <> p_read[c] OR v_ended_version[o] THEN
      v_outcome[c] := 13;
      IF v_from[o] = 0 THEN
        v_wanted := v_wanted || p_orders[o];
      END IF;
      v_first := v_last + 1;
      CONTINUE;
    END IF;

    v_reason := 0;
    IF p_move[c] = 1 THEN
      FOR l IN v_first .. v_last LOOP
        IF v_hand[p_line_product[l]] IS NULL THEN
          v_reason := 4;
          EXIT;
        END IF;
      END LOOP;
      IF v_reason = 0 THEN
        FOR l IN v_first .. v_last LOOP
          p := p_line_product[l];
          IF v_hand[p] < p_line_pieces[l] THEN
            FOR b IN v_first .. l - 1 LOOP
              v_hand[p_line_product[b]] := v_hand[p_line_product[b]] + p_line_pieces[b];
              v_held[p_line_product[b]] := v_held[p_line_product[b]] - p_line_pieces[b];
            END LOOP;
            v_reason := 3;
            EXIT;
          END IF;
          v_hand[p] := v_hand[p] - p_line_pieces[l];
          v_held[p] := v_held[p] + p_line_pieces[l];
          v_moved[p] := true;
        END LOOP;
      END IF;
    ELSIF p_move[c] > 1 THEN
      FOR l IN v_first .. v_last LOOP
        p := p_line_product[l];
        v_held[p] := v_held[p] - p_line_pieces[l];
        IF p_move[c] = 2 THEN
          v_hand[p] := v_hand[p] + p_line_pieces[l];
        ELSE
          v_sold[p] := v_sold[p] + p_line_pieces[l];
        END IF;
        v_moved[p] := true;
      END LOOP;
    END IF;
    v_first := v_last + 1;
    v_stage := p_to_stage[c];
    IF v_reason > 0 THEN
      v_rejected[o] := v_reason;
      v_stage := 0;
    END IF;

    IF v_is_new THEN
      v_active := v_active + 1;
      v_tenant_accepted[t] := true;
      v_outcome[c] := CASE v_reason WHEN 0 THEN 0 WHEN 4 THEN 6 ELSE 7 END;
      IF k > 0 THEN
        v_key_order[k] := p_orders[o];
        v_key_print[k] := p_fingerprint[c];
        v_key_is_new[k] := true;
      END IF;
      v_hold[o] := p_hold[c] AND v_stage = p_hold_stage AND NOT v_waits[t];
    ELSE
      v_outcome[c] := CASE v_reason WHEN 0 THEN 10 WHEN 4 THEN 11 ELSE 12 END;
      IF v_from[o] > 0 THEN
        v_earlier[o] := coalesce(v_earlier[o], '[]') || (p_states[p_state_of[v_from[o]]]).events;
        v_hold[o] := false;
      END IF;
    END IF;
    v_version[o] := p_to_version[c];
    v_from[o] := c;
    IF v_stage = 0 THEN
      v_active := v_active - 1;
      v_ended_version[o] := true;
      v_ended := v_ended + 1;
      v_place[o] := v_ended;
    ELSIF NOT v_is_new THEN
      v_is_changed := true;
    END IF;
  END LOOP;

  FOR o IN 1 .. CASE WHEN v_commands = 0 THEN 0 ELSE cardinality(p_orders) END LOOP
    IF v_rejected[o] > 0 OR v_earlier[o] IS NOT NULL THEN
      v_state := p_states[p_state_of[v_from[o]]];
      IF v_rejected[o] > 0 THEN
        v_state := rejected_instead(v_state, v_rejected[o]);
      END IF;
      IF v_earlier[o] IS NOT NULL THEN
        v_state.events := v_earlier[o] || v_state.events;
      END IF;
      v_final[o] := v_state;
    ELSIF v_from[o] > 0 THEN
      v_final[o] := p_states[p_state_of[v_from[o]]];
    END IF;
  END LOOP;
  v_answer.held := ARRAY(
    SELECT v_hold[c.o] FROM unnest(p_order) WITH ORDINALITY c(o, n) ORDER BY c.n);
  v_answer.active := v_active;
  v_answer.outcomes := v_outcome;
  v_answer.replays := v_replay;
  RETURN NEXT v_answer;
  IF cardinality(v_wanted) > 0 THEN
    RETURN QUERY
      SELECT NULL::smallint[], NULL::uuid[], NULL::bigint, NULL::bigint[], NULL::bigint[],
             NULL::bigint[], NULL::bigint[], NULL::bigint[], NULL::bigint[], NULL::bigint[],
             NULL::bigint[], NULL::bigint[], NULL::bigint[], NULL::boolean[], NULL::bigint,
             found.row
      FROM (
        SELECT a AS row FROM active_records a WHERE a.order_id = ANY (v_wanted)
        UNION ALL
        SELECT ROW(g.order_id, g.created_at, g.tenant_id, g.customer_id, g.total_minor, g.currency,
                   g.payment_method, g.correlation_id, g.traceparent, g.placed_at, g.items,
                   g.metadata, g.updated_at, g.status, g.version, g.reason, g.charge, g.handover,
                   g.holds_stock, g.capture_reference, g.key_generation, g.charge_since, g.attempts,
                   g.first_error, g.last_error, g.first_failed_at, g.interruptions, g.redrives,
                   g.due, g.dead_letter_state, g.dead_letter_stage, g.dead_letter_first_error,
                   g.dead_letter_last_error, g.dead_letter_attempts, g.dead_letter_first_failed_at,
                   g.dead_letter_at, g.timeline)::active_records
        FROM unnest(v_gone) g WHERE g.order_id = ANY (v_wanted)
        UNION ALL
        SELECT ROW(e.*)::active_records
        FROM (SELECT DISTINCT w.order_id FROM unnest(v_wanted) w(order_id)) w
        JOIN ended_records e ON e.order_id = w.order_id AND e.created_at = created_of(w.order_id)
      ) found;
  END IF;

  -- The writes.
  UPDATE buckets b SET used = i.used, virtual_time = n.virtual_time, remainder = n.remainder,
         at_ns = n.at_ns, rate_micro_tokens = n.rate_micro_tokens,
         rate_period_ns = n.rate_period_ns, burst = n.burst
    FROM unnest(p_tenants, v_used, v_taken, v_answer.force_rate, v_answer.force_period,
                v_answer.force_burst) i(tenant_id, used, taken, rate, period, burst)
    JOIN buckets x ON x.tenant_id = i.tenant_id
    CROSS JOIN LATERAL bucket_under(x, i.rate, i.period, i.burst, v_now_ns) n
    WHERE b.tenant_id = i.tenant_id AND i.taken;
  INSERT INTO contracts (tenant_id)
    SELECT i.tenant_id FROM unnest(p_tenants, v_tenant_accepted) i(tenant_id, accepted)
    WHERE i.accepted AND NOT EXISTS (SELECT FROM contracts c WHERE c.tenant_id = i.tenant_id)
    ORDER BY i.tenant_id ON CONFLICT DO NOTHING;
  IF array_position(v_moved, true) IS NOT NULL THEN
    UPDATE stock s SET received = i.hand + i.held + i.sold, reserved = i.held, sold = i.sold
      FROM unnest(p_product_tenants, p_products, v_hand, v_held, v_sold, v_moved)
           i(tenant_id, product_id, hand, held, sold, moved)
      WHERE s.tenant_id = i.tenant_id AND s.product_id = i.product_id AND i.moved;
  END IF;
  IF array_position(v_key_is_new, true) IS NOT NULL THEN
    INSERT INTO idempotency_keys AS x
      SELECT i.tenant_id, i.key, i.fingerprint, i.order_id, v_now + p_retention
      FROM unnest(p_key_tenants, p_keys, v_key_print, v_key_order, v_key_is_new)
           i(tenant_id, key, fingerprint, order_id, is_new)
      WHERE i.is_new ORDER BY i.tenant_id, i.key
      ON CONFLICT (tenant_id, key) DO UPDATE SET fingerprint = excluded.fingerprint,
        order_id = excluded.order_id, expires_at = excluded.expires_at
        WHERE x.expires_at <= v_now;
    GET DIAGNOSTICS v_count = ROW_COUNT;
    IF v_count <> cardinality(array_positions(v_key_is_new, true)) THEN
      RAISE EXCEPTION 'another writer claimed a key' USING ERRCODE = 'serialization_failure';
    END IF;
  END IF;
  IF v_is_changed THEN
    PERFORM change_active(v_now, v_final);
  END IF;
  IF array_position(v_tenant_accepted, true) IS NOT NULL THEN
    PERFORM write_active(v_now, p_facts, v_final, v_hold, p_node, p_hold_for);
  END IF;
  IF v_ended > 0 THEN
    PERFORM write_ended(v_now, p_facts, v_final, v_place, v_gone);
  END IF;
  IF v_active <> v_active_before THEN
    INSERT INTO active_counts AS x VALUES (p_counter, v_active - v_active_before)
      ON CONFLICT (node) DO UPDATE SET active = x.active + excluded.active;
  END IF;
END $$;

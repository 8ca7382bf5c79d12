-- The store's clock, and the months that history is kept in.

-- The database's wall time; every lease, expiry and due time is compared with it alone.
CREATE FUNCTION store_now() RETURNS timestamptz LANGUAGE sql VOLATILE AS $$
  SELECT clock_timestamp()
$$;

-- What buckets refill by, in nanoseconds.
CREATE FUNCTION bucket_now_ns() RETURNS bigint LANGUAGE sql VOLATILE AS $$
  SELECT (extract(epoch FROM clock_timestamp()) * 1000000000)::bigint
$$;

-- The time that a UUIDv7 names.
CREATE FUNCTION created_of(p_order uuid) RETURNS timestamptz
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
  SELECT timestamptz '1970-01-01 00:00:00+00' + interval '1 millisecond'
    * ('x' || left(replace(p_order::text, '-', ''), 12))::bit(48)::bigint
$$;

-- Makes the partition of one table for one month, taking in what fell into the default partition.
CREATE FUNCTION create_month(p_table text, p_month date) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
  v_name text := format('%s_%s', p_table, to_char(p_month, 'YYYY_MM'));
  v_from timestamptz := p_month::timestamp AT TIME ZONE 'UTC';
  v_to timestamptz := (p_month + interval '1 month')::timestamp AT TIME ZONE 'UTC';
BEGIN
  IF to_regclass(quote_ident(v_name)) IS NOT NULL THEN
    RETURN false;
  END IF;
  EXECUTE format('LOCK TABLE %I IN SHARE ROW EXCLUSIVE MODE', p_table);
  EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING DEFAULTS INCLUDING CONSTRAINTS)',
                 v_name, p_table);
  EXECUTE format(
    'WITH moved AS (DELETE FROM %I WHERE created_at >= %L AND created_at < %L RETURNING *)
     INSERT INTO %I SELECT * FROM moved', p_table || '_default', v_from, v_to, v_name);
  EXECUTE format('ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)',
                 p_table, v_name, v_from, v_to);
  RETURN true;
END $$;

-- Makes the months from the present one (UTC) to `months_ahead` later, where they are missing.
-- Safe to run at any time, by several at once. Returns how many partitions it made.
CREATE FUNCTION create_monthly_partitions(months_ahead integer DEFAULT 3) RETURNS integer
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
    FOREACH v_table IN ARRAY ARRAY['orders', 'events', 'receipts'] LOOP
      IF create_month(v_table, v_month) THEN
        v_made := v_made + 1;
      END IF;
    END LOOP;
  END LOOP;
  RETURN v_made;
END $$;

-- Drops the months that end at or before `before`, but for those that an active order, an end that
-- was not worked off or a delivery still names. Returns the names of the dropped partitions.
CREATE FUNCTION drop_partitions_before(before date) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
  v_name text;
  v_month date;
BEGIN
  PERFORM pg_advisory_xact_lock(hashtext('penstock months'), hashtext(current_schema()));
  FOR v_name IN
    SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
    WHERE i.inhparent IN ('orders'::regclass, 'events'::regclass, 'receipts'::regclass)
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

-- Deletes up to `p_limit` expired keys; returns how many. Locked ones are left for the next time.
CREATE FUNCTION delete_expired_keys(p_limit integer) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
  v_deleted integer;
BEGIN
  DELETE FROM idempotency_keys k USING (
    SELECT tenant_id, key FROM idempotency_keys WHERE expires_at <= store_now()
    ORDER BY expires_at LIMIT p_limit FOR UPDATE SKIP LOCKED) gone
  WHERE k.tenant_id = gone.tenant_id AND k.key = gone.key;
  GET DIAGNOSTICS v_deleted = ROW_COUNT;
  RETURN v_deleted;
END $$;

-- The tenants' buckets, a GCRA on a virtual clock.

-- A bucket at `p_now_ns` under a contract; the arithmetic is src/domain/token_bucket.cpp's.
CREATE FUNCTION bucket_under(b buckets, p_rate bigint, p_period bigint, p_burst bigint,
                             p_now_ns bigint) RETURNS buckets LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
  v_full bigint := b.burst * 1000000;
  v_gained numeric;
  v_time numeric;
  v_floor numeric;
BEGIN
  v_gained := b.rate_micro_tokens::numeric * greatest(p_now_ns - b.at_ns, 0) + b.remainder;
  v_time := b.virtual_time + div(v_gained, b.rate_period_ns);
  b.remainder := mod(v_gained, b.rate_period_ns);
  b.at_ns := greatest(b.at_ns, p_now_ns);
  v_floor := greatest(b.used::numeric, v_time - v_full);
  IF v_time - v_floor = v_full THEN
    b.remainder := 0;
  END IF;
  IF v_time >= 4611686018427387904 THEN
    v_time := v_time - v_floor;
    b.used := 0;
  END IF;
  b.virtual_time := v_time;
  IF b.rate_micro_tokens <> p_rate OR b.rate_period_ns <> p_period OR b.burst <> p_burst THEN
    b.used := greatest(b.used, b.virtual_time - v_full);
    b.remainder := div(b.remainder::numeric * p_period, b.rate_period_ns);
    b.rate_micro_tokens := p_rate;
    b.rate_period_ns := p_period;
    b.burst := p_burst;
    IF b.virtual_time - greatest(b.used, b.virtual_time - p_burst * 1000000)
       = p_burst * 1000000 THEN
      b.remainder := 0;
    END IF;
  END IF;
  RETURN b;
END $$;

-- Whether one more order fits: max(used, V - burst) + 1 token <= V.
CREATE FUNCTION has_token(b buckets) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
  SELECT greatest(b.used, b.virtual_time - b.burst * 1000000) + 1000000 <= b.virtual_time
$$;

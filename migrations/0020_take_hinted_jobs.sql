-- 0020_take_hinted_jobs.sql
-- Why: a job that a hint names is picked up by one round trip where it took five:
-- fence, read and manifest in one function. And the history's indexes by id no
-- longer ask autovacuum for each range that fills: under load its list of requests
-- is full, and each one that found no room was a line in the server's log. A vacuum
-- after inserts does the same.
-- Lock: writes to job_history (conclusions) wait, and reads of its short and standard
-- partitions, while these are read once. Backfill: the two indexes.

-- No row when the incarnation was ended, else first one without a job. Suspects
-- are left out: they need manifests of their own. The columns are those of
-- storage/job_repository.cpp, CARILLON_TAKEN.
CREATE FUNCTION carillon.take_hinted_jobs(
    node text, incarnation bigint, batch bigint, workspaces uuid[], shards varbit, kinds text[],
    after timestamptz, most int, in_hand uuid[])
  RETURNS TABLE (ids bytea, kind text, payload jsonb, attempt int, max_attempts int, crashes int, suspicion int,
                 priority int, revision int, run_at timestamptz, unique_key text, rate_key text,
                 correlation_id text, place tid)
  LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
  -- The statistics of a queue that is empty most of the time say that every index
  -- is as good as another (see begin_reading in storage/job_repository.cpp).
  SET enable_sort = off SET plan_cache_mode = force_generic_plan AS $$
#variable_conflict use_column
BEGIN
  PERFORM FROM carillon.node_incarnations i
  WHERE i.node = take_hinted_jobs.node AND i.incarnation = take_hinted_jobs.incarnation AND i.ended_at IS NULL
  FOR SHARE;
  IF NOT FOUND THEN
    RETURN;
  END IF;
  RETURN NEXT;
  -- A manifest need not reach the disk before its jobs run.
  PERFORM set_config('synchronous_commit', 'off', true);
  RETURN QUERY
  WITH found AS MATERIALIZED (
    SELECT j.* FROM unnest(take_hinted_jobs.workspaces) AS w (workspace_id)
    CROSS JOIN generate_series(0, 9) AS l (priority)
    CROSS JOIN LATERAL (
      SELECT j.ctid AS place, j.* FROM carillon.jobs j
      WHERE j.workspace_id = w.workspace_id AND j.priority = l.priority AND NOT j.in_bulk
        AND j.run_at > take_hinted_jobs.after AND j.run_at <= now() AND j.suspicion = 0
        AND get_bit(take_hinted_jobs.shards, j.shard) = 1 AND j.kind = ANY(take_hinted_jobs.kinds)
        AND NOT j.id = ANY(take_hinted_jobs.in_hand)
      ORDER BY j.run_at, j.id LIMIT take_hinted_jobs.most) AS j),
  listed AS (
    INSERT INTO carillon.job_manifests (incarnation, batch, job_ids)
    SELECT take_hinted_jobs.incarnation, take_hinted_jobs.batch, array_agg(f.id) FROM found f HAVING count(*) > 0)
  SELECT uuid_send(f.id) || uuid_send(f.tenant_id) || uuid_send(f.workspace_id), f.kind::text, f.payload, f.attempt,
         f.max_attempts, f.crashes, f.suspicion::int, f.priority::int, f.revision, f.run_at, f.unique_key::text,
         f.rate_key::text, f.correlation_id::text, f.place
  FROM found f;
END $$;

-- A conclusion locks partitions in the order of its rows: it waits before the first.
LOCK TABLE ONLY carillon.job_history IN SHARE ROW EXCLUSIVE MODE;
DROP INDEX carillon.job_history_short_id_index;
CREATE INDEX job_history_short_id_index ON carillon.job_history_short USING brin (id) WITH (pages_per_range = 32);
DROP INDEX carillon.job_history_standard_id_index;
CREATE INDEX job_history_standard_id_index ON carillon.job_history_standard USING brin (id) WITH (pages_per_range = 32);

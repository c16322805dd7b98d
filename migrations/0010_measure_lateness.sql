-- 0010_measure_lateness.sql
-- Why: operators ask how late posts leave, by workspace and network, and are
-- told when too many do; one node looks for all of them.
-- Lock: none on tables that exist. Backfill: none.

-- What was published within the last `span`, an account's post being one, and
-- what is due for longer than `late_after` and has not been tried. A post that
-- needed a retry is counted apart: its time was the network's, or a crash's.
-- The instant of acceptance is that of the answer; where none came and the
-- post was found afterwards, the latest that it can have been.
CREATE FUNCTION carillon.publish_lateness(
    span interval DEFAULT interval '1 hour', late_after interval DEFAULT interval '1 minute')
  RETURNS TABLE (
    tenant_id uuid,
    workspace_id uuid,
    network varchar,
    posts bigint,   -- Accepted at the first try, or waiting.
    late bigint,    -- Of these: accepted later than late_after, or waiting.
    waiting bigint, -- Due for longer than late_after, and not tried yet.
    retried bigint, -- Published at a later try; in no other number.
    p50_ms bigint,
    p99_ms bigint,
    max_ms bigint)
  LANGUAGE sql STABLE ROWS 100 AS $$
  SELECT m.tenant_id, m.workspace_id, m.network,
         count(*) FILTER (WHERE NOT m.retried),
         count(*) FILTER (WHERE NOT m.retried AND m.lateness > late_after),
         count(*) FILTER (WHERE m.waiting),
         count(*) FILTER (WHERE m.retried),
         ceil(percentile_disc(0.5) WITHIN GROUP (ORDER BY m.lateness_ms) FILTER (WHERE NOT m.retried))::bigint,
         ceil(percentile_disc(0.99) WITHIN GROUP (ORDER BY m.lateness_ms) FILTER (WHERE NOT m.retried))::bigint,
         ceil(max(m.lateness_ms) FILTER (WHERE NOT m.retried))::bigint
  FROM (
    SELECT x.*, extract(epoch FROM x.lateness) * 1000 AS lateness_ms
    FROM (
      SELECT p.tenant_id, p.workspace_id, t.platform_code AS network, t.retry_count > 0 AS retried,
             false AS waiting, a.accepted_at - p.scheduled_at AS lateness
      FROM carillon.posts p
      JOIN carillon.post_targets t ON t.post_id = p.id AND t.status = 'published'
      CROSS JOIN LATERAL (
        SELECT coalesce(b.started_at + b.latency_ms * interval '1 millisecond',
                        least(b.concluded_at, b.deadline_at)) AS accepted_at
        FROM carillon.publish_attempts b
        WHERE b.post_id = p.id AND b.target_id = t.id AND b.state = 'succeeded'
        ORDER BY b.started_at DESC LIMIT 1) a
      -- What went out before the post was scheduled anew was for another instant.
      WHERE p.status = 'published' AND p.published_at > now() - span AND a.accepted_at >= p.scheduled_at
      UNION ALL
      SELECT p.tenant_id, p.workspace_id, t.platform_code, false, true, now() - p.scheduled_at
      FROM carillon.posts p
      JOIN carillon.post_targets t ON t.post_id = p.id AND t.status IN ('pending', 'failed')
      WHERE p.status = 'scheduled' AND p.deleted_at IS NULL AND p.scheduled_at < now() - late_after
      UNION ALL
      SELECT p.tenant_id, p.workspace_id, t.platform_code, false, true, now() - p.scheduled_at
      FROM carillon.posts p
      JOIN carillon.post_targets t ON t.post_id = p.id AND t.status IN ('pending', 'publishing') AND t.retry_count = 0
      WHERE p.status = 'publishing' AND p.scheduled_at < now() - late_after
        AND NOT EXISTS (SELECT FROM carillon.publish_attempts b
                        WHERE b.post_id = p.id AND b.target_id = t.id AND b.started_at >= p.scheduled_at
                          AND b.error_code IS DISTINCT FROM 'NOT_SENT')) x) m
  GROUP BY m.tenant_id, m.workspace_id, m.network
$$;

-- What operators are told of, at most once an hour each.
CREATE TABLE carillon.operator_alarms (
  name varchar(50) PRIMARY KEY,
  -- Whoever looks moves it on, so that one node looks for all.
  next_look_at timestamptz NOT NULL DEFAULT '-infinity',
  told_at timestamptz
);
INSERT INTO carillon.operator_alarms (name) VALUES ('publish_lateness');
